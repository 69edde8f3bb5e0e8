"""What was sent, and what came of it: the memory of a target.

SQLite (WAL) beside the run's other files by default, PostgreSQL by URL. One thread uses it.
Acknowledgements wait in memory until the next commit: lost with the process, they cost a resend
of what is idempotent and a question to the vendor for what is not, never a record.
"""

from __future__ import annotations

import hashlib
import json
import re
import time
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import orjson
import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from singer_http.errors import StopRun
from singer_http.operations import DELETED, SAME, Effect, Row
from singer_http.store.database import Database
from singer_http.store.tables import (
    ROW,
    LeftBehind,
    Scope,
    accounts,
    delivered,
    pending,
    scopes,
)

_PHONE = re.compile(r"\+?[\d\s().\-]{7,}")


class Ledger:
    """The ledger of one plugin; see the module's text.

    Raises:
        ConfigError: the database cannot be opened or written; the line names the setting.
    """

    def __init__(self, url: str, *, discard: bool = False) -> None:
        """Open (and if need be create or migrate) the ledger.

        Args:
            url: any SQLAlchemy URL of SQLite or PostgreSQL.
            discard: leave no trace (`dry_run`): SQLite is copied, PostgreSQL never commits.
        """
        self._database = Database(url, discard=discard)
        self._execute = self._database.execute
        self._write = self._database.commit
        self._acknowledged: list[tuple[Any, ...]] = []
        self._acknowledged_keys: set[str] = set()
        self._settled: list[int] = []
        self.claim = self._database.claim
        self._compile()

    def _compile(self) -> None:
        """Write the statements that are run for each window once, as the database takes them."""
        if self._database.sqlite:
            upsert: Any = sqlite.insert(delivered)
            some: Any = sa.text("SELECT value FROM json_each(:some)")
        else:
            upsert = postgresql.insert(delivered)
            some = sa.text("SELECT jsonb_array_elements_text(CAST(:some AS jsonb))")
        changed = ("digest", "source", "remote_id", "identity", "uncertain", "at")
        self._upsert = upsert.on_conflict_do_update(
            index_elements=["scope", "key"],
            set_={name: upsert.excluded[name] for name in changed},
        )
        scope = delivered.c.scope == sa.bindparam("scope")
        self._by_key = sa.select(*ROW).where(scope & delivered.c.key.in_(some))
        self._by_identity = sa.select(delivered.c.identity, delivered.c.key).where(
            scope & delivered.c.identity.in_(some)
        )

    # --- whose rows -------------------------------------------------------------------------

    def remember_account(self, plugin: str, credential: str, account: str) -> list[str]:
        """Note that a credential belongs to an account; the other credentials' accounts if new.

        Returns:
            Nothing if the credential was seen before or is the first; else the accounts that
            the ledger knows for other credentials: the caller decides whether to go on, and
            then calls `confirm_account`.
        """
        found = self._execute(
            sa.select(accounts.c.credential, accounts.c.account).where(accounts.c.plugin == plugin)
        ).all()
        if found and not any(row.credential == credential for row in found):
            return sorted({row.account for row in found})
        self.confirm_account(plugin, credential, account)
        return []

    def confirm_account(self, plugin: str, credential: str, account: str) -> None:
        """Note that a credential belongs to an account."""
        where = (accounts.c.plugin == plugin) & (accounts.c.credential == credential)
        self._execute(accounts.delete().where(where))
        self._execute(
            accounts.insert().values(plugin=plugin, credential=credential, account=account)
        )
        self._write()

    def scope(self, account: str, sync: str, stream: str) -> Scope | None:
        """The scope of a stream, `None` if this pipeline never wrote it."""
        found = self._execute(
            sa.select(scopes).where(
                (scopes.c.account == account)
                & (scopes.c.sync == sync)
                & (scopes.c.stream == stream)
            )
        ).one_or_none()
        if found is None:
            return None
        known = any(
            self._execute(
                sa.select(table.c.scope).where(table.c.scope == found.id).limit(1)
            ).first()
            for table in (delivered, pending)
        )
        return Scope(
            found.id, found.source, tuple(json.loads(found.keys)), known, found.schema_message
        )

    def streams(self, account: str, sync: str) -> list[str]:
        """The streams that this pipeline has scopes for."""
        return list(
            self._execute(
                sa.select(scopes.c.stream).where(
                    (scopes.c.account == account) & (scopes.c.sync == sync)
                )
            ).scalars()
        )

    def open_scope(
        self,
        account: str,
        sync: str,
        stream: str,
        *,
        source: str,
        keys: Sequence[str],
        schema_message: bytes,
    ) -> Scope:
        """Make the scope of a stream, or bring it up to date."""
        values = {
            "source": source,
            "keys": json.dumps(list(keys)),
            "schema_message": schema_message,
        }
        known = self.scope(account, sync, stream)
        if known is None:
            self._execute(
                scopes.insert().values(account=account, sync=sync, stream=stream, **values)
            )
        else:
            self._execute(scopes.update().where(scopes.c.id == known.id).values(**values))
        self._write()
        scope = self.scope(account, sync, stream)
        if scope is None:
            raise StopRun("The ledger lost what was just written: is something else emptying it?")
        return scope

    # --- rows -------------------------------------------------------------------------------

    def hashed(self, text: str) -> str:
        """Salted hash of an identity: `#` and 32 hex digits."""
        digest = hashlib.blake2b(text.encode(), digest_size=16, key=self._database.salt)
        return "#" + digest.hexdigest()

    def stored_key(self, key: str, *, personal: bool) -> str:
        """The form in which a key stands in the ledger: hashed if it may be an email or number.

        A plain key can be looked up by a person, and rows that come in the key's order lie side
        by side: a run costs the same per row however large the ledger is.
        """
        if personal or "@" in key or (not key.isdecimal() and _PHONE.fullmatch(key)):
            return self.hashed(key)
        return key

    def rows(self, scope: int, keys: Sequence[str]) -> dict[str, Row]:
        """What is known of these (stored) keys."""
        if not self._acknowledged_keys.isdisjoint(keys):
            self._apply()
        found = self._execute(self._by_key, {"scope": scope, "some": _json(keys)})
        return {row[0]: Row(*row) for row in found.all()}

    def owner_of_identity(self, scope: int, identity: str) -> Row | None:
        """The row that holds a (hashed) identity."""
        return self._one(scope, delivered.c.identity == identity)

    def owner_of_remote_id(self, scope: int, remote_id: str) -> Row | None:
        """The row that stands for what the vendor calls by this id."""
        # The second condition is the index's own, in the words that let it be used.
        found = self._one(scope, (delivered.c.remote_id == remote_id) & sa.text("remote_id <> '='"))
        return found or self._one(
            scope, (delivered.c.key == remote_id) & (delivered.c.remote_id == SAME)
        )

    def _one(self, scope: int, condition: sa.ColumnElement[bool]) -> Row | None:
        self._apply()
        found = self._execute(
            sa.select(*ROW).where((delivered.c.scope == scope) & condition).limit(1)
        ).first()
        return Row(*found) if found else None

    def owners(self, scope: int, identities: Sequence[str]) -> dict[str, str]:
        """Which of these (hashed) identities have a row: identity -> its key."""
        self._apply()
        found = self._execute(self._by_identity, {"scope": scope, "some": _json(identities)})
        return {row[0]: row[1] for row in found}

    def find(self, account: str, stream: str, *, identity: str) -> str | None:
        """The vendor's id of an identity, from any pipeline into this account."""
        self._apply()
        found = self._execute(
            sa.select(delivered.c.remote_id, delivered.c.key)
            .join(scopes, scopes.c.id == delivered.c.scope)
            .where(
                (scopes.c.account == account)
                & (scopes.c.stream == stream)
                & (delivered.c.identity == identity)
                & delivered.c.remote_id.is_not(None)
            )
            .order_by(delivered.c.at.desc())
            .limit(1)
        ).first()
        if found is None:
            return None
        return str(found.key if found.remote_id == SAME else found.remote_id)

    def walk(self, scope: int, size: int = 1000) -> Iterator[list[Row]]:
        """All rows that stand for something, in the order of their keys, `size` at a time."""
        after = ""
        while True:
            self._apply()
            page = [
                Row(*row)
                for row in self._execute(
                    sa.select(*ROW)
                    .where(
                        (delivered.c.scope == scope)
                        & (delivered.c.key > after)
                        & (delivered.c.digest != DELETED)
                    )
                    .order_by(delivered.c.key)
                    .limit(size)
                )
            ]
            if not page:
                return
            yield page
            after = page[-1].key

    def require_durable(self) -> None:
        """Commits reach the disk from now on: for what must not be repeated after a power cut."""
        self.commit()
        self._database.require_durable()

    # --- write-ahead --------------------------------------------------------------------------

    def mark_pending(self, scope: int, entries: Iterable[tuple[Effect, bytes]]) -> list[int]:
        """Commit that these requests are about to leave; the ids to acknowledge them by.

        What was acknowledged since the last commit is committed with it.
        """
        self._put()
        now = int(time.time())
        ids = []
        for effect, records in entries:
            inserted = self._execute(
                _INSERT_PENDING,
                {"scope": scope, "effect": effect, "at": now, "records": records},
            )
            ids.append(int(inserted.inserted_primary_key[0]))
        self._commit()
        return ids

    def acknowledge(
        self,
        scope: int,
        key: str,
        digest: bytes,
        remote_id: str | None,
        identity: str | None,
        source: bytes = b"",
    ) -> None:
        """What was sent under a (stored) key arrived."""
        if remote_id == key:
            remote_id = SAME
        self._acknowledged_keys.add(key)
        self._acknowledged.append(
            (scope, key, digest, source, remote_id, identity, False, int(time.time()))
        )

    def mark_uncertain(self, scope: int, key: str, digest: bytes, identity: str | None) -> None:
        """What was sent under a (stored) key may have arrived."""
        self._acknowledged_keys.add(key)
        self._acknowledged.append((scope, key, digest, b"", None, identity, True, int(time.time())))

    def forget_others(self, scope: int, key: str, hung_on: str) -> None:
        """What was acknowledged under a (stored) key undid all that hung on a record.

        Args:
            scope: whose rows.
            key: the row that stays.
            hung_on: the vendor's id of the record.
        """
        self._apply()
        self._execute(
            delivered.delete().where(
                (delivered.c.scope == scope)
                & (delivered.c.key != key)
                & (delivered.c.identity == self.hashed(hung_on))
            )
        )
        self._write()

    def settle(self, entry: int) -> None:
        """The answer to a pending request is in; its records need not be kept."""
        self._settled.append(entry)

    def left_behind(self, scope: int) -> list[LeftBehind]:
        """What an earlier run left pending, oldest first."""
        self._apply()
        return [
            LeftBehind(row.id, Effect(row.effect), row.records, row.at)
            for row in self._execute(
                sa.select(pending).where(pending.c.scope == scope).order_by(pending.c.id)
            )
        ]

    def _put(self) -> None:
        """Write down what was acknowledged, for the next commit."""
        if self._acknowledged:
            self._database.insert_many(self._upsert, self._acknowledged)
        if self._settled:
            self._execute(_DELETE_PENDING, [{"entry": entry} for entry in self._settled])

    def _commit(self) -> None:
        """Commit; what was acknowledged is kept for another try if the database refuses."""
        self._write()
        self._acknowledged, self._settled = [], []
        self._acknowledged_keys.clear()

    def _apply(self) -> None:
        """Commit what was acknowledged.

        A transaction is never left open while requests are under way: other syncs write too.
        """
        if self._acknowledged or self._settled:
            self._put()
            self._commit()

    def commit(self) -> None:
        """Commit what was acknowledged so far.

        Raises:
            StopRun: the disk is full, or the database is gone.
        """
        self._put()
        self._commit()

    def close(self) -> None:
        """Commit and close."""
        try:
            self.commit()
        finally:
            self._database.close()


_INSERT_PENDING = pending.insert()
_DELETE_PENDING = pending.delete().where(pending.c.id == sa.bindparam("entry"))


def _json(texts: Iterable[str]) -> str:
    return orjson.dumps(list(texts)).decode()
