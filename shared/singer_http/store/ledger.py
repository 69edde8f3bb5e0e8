"""The ledger: what was delivered for each key, and what is about to be sent.

Acknowledgements wait in memory until the next commit: if the process dies,
idempotent requests are sent again and others are looked up; no record is lost.
"""

from __future__ import annotations

import hashlib
import re
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import orjson
import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from singer_http.operations import DELETED, SAME, UNKNOWN, Effect, Row
from singer_http.store.database import Database, json_list
from singer_http.store.rows import Delivered, Unfinished, beginning
from singer_http.store.tables import NAME, ROW, claims, delivered, is_of_reject, pending, scopes

_PHONE = re.compile(r"\+?(?:[\s().\-]*\d){7,20}[\s().\-]*")
"""At most 20 digits: of ten million UUIDs a few have no letter, and no plan can compare a hash."""
FORMER = "\nformer "
"""How the key of a ledger row begins that keeps a record of a key which has left it: a mirror still
has to remove the record. No extract contains such a key, and the row owns nothing."""
LONGEST_KEY = 200
"""Characters of a key that is stored as it is; a longer one is hashed."""


class Ledger:
    """Reads and writes the tables `delivered`, `claims` and `pending`."""

    def __init__(self, database: Database, commit: Callable[[], None]) -> None:
        """Work on a database.

        Args:
            database: an open one.
            commit: writes down and commits what this ledger and its neighbours hold back.
        """
        self.run: int | None = None
        """The number of the run that sends."""
        self._database = database
        self._commit = commit
        self._query = database.query
        self._execute = database.execute
        self._hashing = hashlib.blake2b(digest_size=16, key=database.salt)
        self._acknowledged: dict[tuple[int, str], Delivered] = {}
        self._forgotten: dict[tuple[int, str], None] = {}
        self._claimed: list[tuple[int, str, str]] = []
        self._settled: list[int] = []
        self._compile()

    def _compile(self) -> None:
        """Write the statements that are run for each batch once, as the database takes them."""
        if self._database.sqlite:
            upsert: Any = sqlite.insert(delivered)
            claim: Any = sqlite.insert(claims)
        else:
            upsert = postgresql.insert(delivered)
            claim = postgresql.insert(claims)
        changed = ("digest", "source", "remote_id", "at", "mapping", "version")
        self._upsert = upsert.on_conflict_do_update(
            index_elements=["scope", "key"],
            set_={
                **{name: upsert.excluded[name] for name in changed},
                **{
                    name: sa.func.coalesce(upsert.excluded[name], delivered.c[name])
                    for name in ("run", "names", "fields")
                },
            },
        )
        self._add_claims = claim.on_conflict_do_nothing()
        scope = delivered.c.scope == sa.bindparam("scope")
        self._by_key = sa.select(*ROW).where(scope & self._database.among(delivered.c.key))
        self._fields_by_key = sa.select(
            delivered.c.key, delivered.c.remote_id, delivered.c.fields
        ).where(scope & self._database.among(delivered.c.key) & (delivered.c.digest != DELETED))
        # The condition on '=' repeats the index's own: only then is the index used.
        self._by_id = sa.select(delivered.c.remote_id, delivered.c.key).where(
            scope & self._database.among(delivered.c.remote_id) & sa.text("remote_id <> '='")
        )
        self._by_id_as_key = sa.select(delivered.c.key, delivered.c.key).where(
            scope & self._database.among(delivered.c.key) & (delivered.c.remote_id == SAME)
        )
        claimed = claims.c.scope == sa.bindparam("scope")
        self._claimants = sa.select(claims.c.claim, claims.c.key).where(
            claimed & self._database.among(claims.c.claim)
        )
        of_keys = claimed & self._database.among(claims.c.key) & ~is_of_reject
        self._delete_claims = claims.delete().where(of_keys)
        self._names_of = sa.select(delivered.c.key, delivered.c.names).where(
            scope & self._database.among(delivered.c.key)
        )
        self._claims_of = sa.select(claims.c.key, claims.c.claim).where(of_keys)

    # --- keys and hashes --------------------------------------------------------------------

    def hashed(self, text: str) -> str:
        """Salted hash of an identity: `#` and 32 hex digits."""
        hashing = self._hashing.copy()  # half the time of a new one with a key
        hashing.update(text.encode("utf-8", "surrogatepass"))
        return "#" + hashing.hexdigest()

    def name(self, text: str) -> bytes:
        """Salted hash of a text: 8 bytes."""
        return self.names((text,))

    def names(self, texts: Iterable[str]) -> bytes:
        """What a person may look a key up by: the first 8 bytes of the hash of each."""
        hashes, new = b"", self._hashing.copy
        for text in texts:
            hashing = new()
            hashing.update(text.encode("utf-8", "surrogatepass"))
            hashes += hashing.digest()[:NAME]
        return hashes

    def stored_key(self, key: str, *, personal: bool) -> str:
        """The form of a key in the database: hashed if it may be an email or number.

        A plain key is readable, and rows in the order of the key are neighbours in the table: the
        time for a row does not grow with the ledger.
        """
        if (
            personal
            or "@" in key
            or key.startswith("#")
            or len(key) > LONGEST_KEY
            or (not key.isdecimal() and _PHONE.fullmatch(key))
        ):
            return self.hashed(key)
        return key

    # --- rows -------------------------------------------------------------------------------

    def rows(self, scope: int, keys: Sequence[str]) -> dict[str, Row]:
        """What is known of these (stored) keys."""
        if any((scope, key) in self._acknowledged for key in keys) or self._forgotten:
            self._commit()
        found = self._query(self._by_key, {"scope": scope, "some": json_list(keys)})
        return {row[0]: Row(*row) for row in found}

    def fields(self, scope: int, keys: Sequence[str]) -> dict[str, tuple[str | None, bytes | None]]:
        """Of these (stored) keys: the vendor's id, and hashes of the fields that were sent."""
        if any((scope, key) in self._acknowledged for key in keys) or self._forgotten:
            self._commit()
        found = self._query(self._fields_by_key, {"scope": scope, "some": json_list(keys)})
        return {row[0]: (row[0] if row[1] == SAME else row[1], row[2]) for row in found}

    def row(self, scope: int, key: str) -> Row | None:
        """What is known of one (stored) key."""
        return self.rows(scope, [key]).get(key)

    def owners_of_ids(self, scope: int, ids: Sequence[str]) -> dict[str, set[str]]:
        """Which (stored) keys were delivered to these records of the vendor: id -> keys."""
        self._apply()
        owners: dict[str, set[str]] = {}
        for statement in (self._by_id, self._by_id_as_key):
            for id_, key in self._query(statement, {"scope": scope, "some": json_list(ids)}):
                owners.setdefault(id_, set()).add(key)
        return owners

    def claimants(self, scope: int, hashed: Sequence[str]) -> dict[str, set[str]]:
        """Which (stored) keys have these (hashed) claims: claim -> keys."""
        self._apply()
        owners: dict[str, set[str]] = {}
        for claim, key in self._query(self._claimants, {"scope": scope, "some": json_list(hashed)}):
            owners.setdefault(claim, set()).add(key)
        return owners

    def claims_of(self, scope: int, keys: Sequence[str]) -> dict[str, set[str]]:
        """The claims of these (stored) keys, without those of rejects: key -> hashed claims."""
        self._apply()
        held: dict[str, set[str]] = {}
        for key, claim in self._query(self._claims_of, {"scope": scope, "some": json_list(keys)}):
            held.setdefault(key, set()).add(claim)
        return held

    def find(self, account: str, stream: str, identity: str) -> str | None:
        """The vendor's id of a (hashed) identity, from any pipeline into this account."""
        self._apply()
        found = self._query(
            sa.select(delivered.c.remote_id, delivered.c.key)
            .join(scopes, scopes.c.id == delivered.c.scope)
            .join(claims, (claims.c.scope == delivered.c.scope) & (claims.c.key == delivered.c.key))
            .where(
                (scopes.c.account == account)
                & (scopes.c.stream == stream)
                & (claims.c.claim == identity)
                & delivered.c.remote_id.is_not(None)
                & (delivered.c.digest != DELETED)
                & delivered.c.key.not_like(f"{FORMER}%")
            )
            .order_by(delivered.c.at.desc())
            .limit(1)
        )
        if not found:
            return None
        return str(found[0].key if found[0].remote_id == SAME else found[0].remote_id)

    def walk(self, scope: int, size: int = 1000) -> Iterator[list[Row]]:
        """All rows that were not deleted, in the order of their keys, `size` at a time."""
        after = ""
        while True:
            self._apply()
            page = [
                Row(*row)
                for row in self._query(
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

    # --- before a request -------------------------------------------------------------------

    def add_pending(
        self,
        scope: int,
        *,
        effect: Effect,
        route: str,
        keys: Sequence[str],
        records: Sequence[bytes],
        sent: bytes | None,
        resent: bool,
    ) -> int:
        """Write that a request is about to leave; the caller commits. The entry's id."""
        inserted = self._execute(
            _INSERT_PENDING,
            {
                "scope": scope,
                "effect": effect,
                "at": time.time(),
                "route": route,
                "keys": json_list(keys),
                "records": b"\n".join(records),
                "sent": sent,
                "resent": resent,
            },
        )
        return int(inserted.inserted_primary_key[0])

    def settle(self, entry: int) -> None:
        """The answer to a pending request is in; its records need not be kept."""
        self._settled.append(entry)

    def unfinished(self, scope: int) -> list[Unfinished]:
        """What runs that died left pending, oldest first."""
        self._apply()
        return [
            Unfinished(
                row.id,
                Effect(row.effect),
                row.at,
                row.route,
                orjson.loads(row.keys),
                row.records.split(b"\n"),
                row.sent,
                row.resent,
            )
            for row in self._query(
                sa.select(pending).where(pending.c.scope == scope).order_by(pending.c.id)
            )
        ]

    def has_unfinished(self, scope: int) -> bool:
        """Whether a run that died left something pending."""
        return bool(self._query(sa.select(pending.c.id).where(pending.c.scope == scope).limit(1)))

    # --- after an answer --------------------------------------------------------------------

    def acknowledge(self, scope: int, what: Delivered) -> None:
        """What was sent under a key arrived."""
        if what.remote_id == what.key:
            what.remote_id = SAME
        elif what.remote_id is not None:
            what.remote_id = what.remote_id.replace("\0", "")
        place = (scope, what.key)
        earlier = self._acknowledged.pop(place, None)
        if earlier is not None:
            what.follow(earlier)
        self._forgotten.pop(place, None)
        self._acknowledged[place] = what

    def claim(self, scope: int, key: str, hashed: Sequence[str]) -> None:
        """A (stored) key may have these (hashed) claims, though nothing was acknowledged."""
        self._claimed += [(scope, claim, key) for claim in hashed]

    def mark_unknown(self, scope: int, row: Row, fields: bytes | None = None) -> None:
        """It is unknown what the vendor now has for a key: nothing is unchanged against it.

        Args:
            scope: of the row.
            row: of the key.
            fields: hashes of all that this sync may have written; None: as before.
        """
        what = Delivered(row.key, UNKNOWN, b"", row.remote_id, None, fields=fields, sent=False)
        self.acknowledge(scope, what)

    def forget(self, scope: int, key: str) -> None:
        """Remove a (stored) key and its claims."""
        self._acknowledged.pop((scope, key), None)
        self._forgotten[scope, key] = None

    def forget_others(self, scope: int, key: str, claim: str) -> None:
        """A delivery under a (stored) key undid what others had with a (hashed) claim."""
        for other in self.claimants(scope, [claim]).get(claim, set()) - {key}:
            self.forget(scope, other)

    def forget_delivered(self, account: str, sync: str) -> None:
        """Forget what a pipeline delivered (no ledger is wanted); what is pending stays."""
        own = sa.select(scopes.c.id).where((scopes.c.account == account) & (scopes.c.sync == sync))
        for table in (delivered, claims):
            self._execute(table.delete().where(table.c.scope.in_(own)))
        self._commit()

    # --- writing down -----------------------------------------------------------------------

    def flush(self) -> None:
        """Write down what is held back; the caller commits."""
        if self._forgotten:
            places = [{"in_scope": scope, "of": key} for scope, key in self._forgotten]
            self._execute(_DELETE_ROW, places)
            self._execute(_DELETE_CLAIMS, places)
        if self._acknowledged:
            self._keep_names()
            rows, claimed = [], []
            cleared: dict[int, list[str]] = {}
            now = int(time.time())
            for (scope, key), what in self._acknowledged.items():
                rows.append(
                    (
                        scope, key, what.digest, what.source, what.remote_id, now,
                        self.run if what.sent else None,
                        what.names, what.mapping, what.version, what.fields,
                    )
                )  # fmt: skip
                if what.claims is not None:
                    cleared.setdefault(scope, []).append(key)
                    claimed += [(scope, claim, key) for claim in dict.fromkeys(what.claims)]
            self._database.insert_many(self._upsert, rows)
            for scope, keys in cleared.items():
                self._execute(self._delete_claims, {"scope": scope, "some": json_list(keys)})
            if claimed:
                self._database.insert_many(self._add_claims, claimed)
        if self._claimed:
            self._database.insert_many(self._add_claims, self._claimed)
        if self._settled:
            self._execute(_DELETE_PENDING, [{"entry": entry} for entry in self._settled])

    def _keep_names(self) -> None:
        """What a partial record says nothing of holds still: its key keeps its names and claims."""
        partial: dict[int, dict[str, Delivered]] = {}
        for (scope, key), what in self._acknowledged.items():
            if what.partial:
                partial.setdefault(scope, {})[key] = what
        for scope, those in partial.items():
            place = {"scope": scope, "some": json_list(those)}
            for key, names in self._execute(self._names_of, place).all():
                those[key].add_names(names)
            for key, claim in self._execute(self._claims_of, place).all():
                those[key].add_names(beginning(claim))

    def flushed(self) -> None:
        """It was committed."""
        self._acknowledged, self._forgotten = {}, {}
        self._claimed, self._settled = [], []

    @property
    def holds_back(self) -> bool:
        """Whether something waits to be written down."""
        return bool(self._acknowledged or self._forgotten or self._claimed or self._settled)

    def _apply(self) -> None:
        if self.holds_back:
            self._commit()


_INSERT_PENDING = pending.insert()
_DELETE_PENDING = pending.delete().where(pending.c.id == sa.bindparam("entry"))
_DELETE_ROW = delivered.delete().where(
    (delivered.c.scope == sa.bindparam("in_scope")) & (delivered.c.key == sa.bindparam("of"))
)
_DELETE_CLAIMS = claims.delete().where(
    (claims.c.scope == sa.bindparam("in_scope"))
    & (claims.c.key == sa.bindparam("of"))
    & ~is_of_reject
)
