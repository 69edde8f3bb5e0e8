"""Whose rows: accounts and scopes."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from singer_http.errors import ConfigError, StopRun
from singer_http.store.database import Database
from singer_http.store.rows import Scope, Standing
from singer_http.store.tables import (
    accounts,
    delivered,
    is_same,
    pending,
    rejects,
    same,
    scopes,
    standing,
)


class Scopes:
    """Reads and writes the tables `accounts` and `scopes`."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._query = database.query
        self._execute = database.execute

    def guard_key(self, plugin: str, credential: str) -> None:
        """Stop at a key that is new; see `guard_key`."""
        guard_key(self._query(accounts_of(plugin)), credential)

    def remember_account(self, plugin: str, credential: str, account: str) -> None:
        """Note that a credential belongs to an account."""
        where = (accounts.c.plugin == plugin) & (accounts.c.credential == credential)
        self._execute(accounts.delete().where(where))
        self._execute(
            accounts.insert().values(plugin=plugin, credential=credential, account=account)
        )
        self._database.commit()

    def find(self, account: str, sync: str, stream: str) -> Scope | None:
        """The scope of a stream, `None` if this pipeline never wrote it."""
        known = sa.or_(
            *(sa.exists().where(t.c.scope == scopes.c.id) for t in (delivered, pending, rejects))
        )
        found = self._query(
            sa.select(scopes, known.label("known")).where(_is(account, sync, stream))
        )
        if not found:
            return None
        row = found[0]
        keys = tuple(json.loads(row.keys))
        return Scope(row.id, row.source, keys, bool(row.known), row.schema_message)

    def streams(self, account: str, sync: str) -> dict[str, int]:
        """The streams that this pipeline has scopes for: stream -> id."""
        where = (scopes.c.account == account) & (scopes.c.sync == sync)
        found = self._query(
            sa.select(scopes.c.stream, scopes.c.id).where(where).order_by(scopes.c.id)
        )
        return {row.stream: row.id for row in found}

    def are_same(self, account: str, other: str) -> bool:
        """Whether one of two accounts (with servers) became the other; see `note_same`."""
        there = is_same(sa.literal(account), other)
        return bool(self._query(sa.select(sa.literal(1)).where(there)))

    def has_account(self, account: str) -> bool:
        """Whether any pipeline has a ledger of an account, at this address or a former one."""
        found = sa.select(scopes.c.id).where(is_same(scopes.c.account, account)).limit(1)
        return bool(self._query(found))

    def move(self, account: str, to: str, sync: str) -> None:
        """Give what a pipeline wrote into an account to the same account at another address."""
        where = (scopes.c.account == account) & (scopes.c.sync == sync)
        self._execute(scopes.update().where(where).values(account=to))
        self.note_same(account, to)

    def note_same(self, account: str, became: str) -> None:
        """Note that an account is known at another address now; other syncs may do so too."""
        insert = sqlite.insert(same) if self._database.sqlite else postgresql.insert(same)
        values = {"account": account, "became": became}
        noted = insert.values(values).on_conflict_do_update(index_elements=["account"], set_=values)
        self._execute(same.delete().where(same.c.account == became))
        self._execute(same.update().where(same.c.became == account).values(became=became))
        self._execute(noted)
        self._database.commit()

    def open(
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
        values: dict[str, Any] = {
            "source": source,
            "keys": json.dumps(list(keys)),
            "schema_message": schema_message,
        }
        if self.find(account, sync, stream) is None:
            self._execute(
                scopes.insert().values(account=account, sync=sync, stream=stream, **values)
            )
        else:
            self._execute(scopes.update().where(_is(account, sync, stream)).values(**values))
        self._database.commit()
        scope = self.find(account, sync, stream)
        if scope is None:
            raise StopRun("The ledger lost what was just written: is something else emptying it?")
        return scope

    def remap(self, scope: int, mapping: bytes | None) -> int:
        """Write the mapping of a scope, if it is another one now; committed.

        Args:
            scope: whose.
            mapping: see `Digests.mapping`; `None`: no versions are stored.

        Returns:
            How many rows had a version that stood until now.
        """
        before = self._query(sa.select(scopes.c.mapping).where(scopes.c.id == scope))[0][0]
        if before == mapping:
            return 0
        self._execute(scopes.update().where(scopes.c.id == scope).values(mapping=mapping))
        self._database.commit()
        if before is None:
            return 0
        own = (delivered.c.scope == scope) & (delivered.c.mapping == before)
        stood = sa.select(sa.func.count()).where(own & delivered.c.version.is_not(None))
        return int(self._query(stood)[0][0])

    def standing(self, account: str, sync: str) -> list[Standing]:
        """Of each stream of a pipeline: how many keys there are, and of how many a version stands.

        Args:
            account: account and server, as in `scopes`.
            sync: of the pipeline.
        """
        own = sa.select(scopes.c.id).where((scopes.c.account == account) & (scopes.c.sync == sync))
        view = standing.c
        found = self._query(
            sa.select(view.stream, sa.func.count(), sa.func.count(view.version))
            .where(view.scope.in_(own) & (view.state != "deleted"))
            .group_by(view.stream)
            .order_by(view.stream)
        )
        return [Standing(*row) for row in found]


def accounts_of(plugin: str) -> sa.Select[Any]:
    """The keys of a plugin that the ledger has seen, each with its account."""
    return sa.select(accounts.c.credential, accounts.c.account).where(accounts.c.plugin == plugin)


def guard_key(known: Sequence[Any], credential: str) -> None:
    """Stop at a key that the ledger has not seen, beside others that it has.

    Args:
        known: the rows of `accounts_of`.
        credential: a fingerprint of the key.

    Raises:
        ConfigError: it may be a renewed key, or another account's.
    """
    if not known or any(row.credential == credential for row in known):
        return
    names = " or ".join(sorted({row.account for row in known}))
    raise ConfigError(
        f"The ledger has not seen this key, but another one: set account to {names} if the key was "
        "renewed, or to a new name if this is another account. Nothing was sent."
    )


def _is(account: str, sync: str, stream: str) -> sa.ColumnElement[bool]:
    return (scopes.c.account == account) & (scopes.c.sync == sync) & (scopes.c.stream == stream)
