"""The ledger's tables.

meta        the schema's version, the salt of the hashes
accounts    which keys were used for which account
scopes      (account, sync, stream): whose rows these are, their source, their key columns
delivered   scope, key -> digest, source, remote_id, identity, uncertain, at
pending     one entry for each request that is about to leave: its effect and its records as
            they came; gone when the answer is in
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import sqlalchemy as sa

from singer_http.operations import SAME, Effect

VERSION = 1
"""Of the tables below. A release that changes them adds a step to `MIGRATIONS`."""

MIGRATIONS: dict[int, Sequence[str]] = {}
"""From version n to n + 1: the statements that do it."""

metadata = sa.MetaData()

meta = sa.Table(
    "singer_http_meta",
    metadata,
    sa.Column("name", sa.String, primary_key=True),
    sa.Column("value", sa.String, nullable=False),
)

accounts = sa.Table(
    "singer_http_accounts",
    metadata,
    sa.Column("plugin", sa.String, primary_key=True),
    sa.Column("credential", sa.String, primary_key=True, comment="fingerprint of host and key"),
    sa.Column("account", sa.String, nullable=False),
)

scopes = sa.Table(
    "singer_http_scopes",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("account", sa.String, nullable=False),
    sa.Column("sync", sa.String, nullable=False),
    sa.Column("stream", sa.String, nullable=False),
    sa.Column("source", sa.String, nullable=False, comment="the stream that it was read from"),
    sa.Column("keys", sa.String, nullable=False, comment="JSON list of key columns"),
    sa.Column("schema_message", sa.LargeBinary, nullable=False, comment="the last SCHEMA"),
    sa.UniqueConstraint("account", "sync", "stream"),
)

delivered = sa.Table(
    "singer_http_delivered",
    metadata,
    sa.Column("scope", sa.Integer, primary_key=True),
    sa.Column("key", sa.String, primary_key=True, comment="hashed if it may be personal"),
    sa.Column("digest", sa.LargeBinary, nullable=False, comment="of what was sent"),
    sa.Column("source", sa.LargeBinary, nullable=False, comment="digest of the source's record"),
    sa.Column("remote_id", sa.String, comment="the vendor's id"),
    sa.Column("identity", sa.String, comment="hashed email or number"),
    sa.Column("uncertain", sa.Boolean, nullable=False),
    sa.Column("at", sa.Integer, nullable=False, comment="epoch seconds"),
    sqlite_with_rowid=False,
)
by_identity = sa.Index(
    "singer_http_by_identity",
    delivered.c.scope,
    delivered.c.identity,
    sqlite_where=delivered.c.identity.is_not(None),
    postgresql_where=delivered.c.identity.is_not(None),
)
by_remote_id = sa.Index(
    "singer_http_by_remote_id",
    delivered.c.scope,
    delivered.c.remote_id,
    sqlite_where=delivered.c.remote_id != SAME,
    postgresql_where=delivered.c.remote_id != SAME,
)

pending = sa.Table(
    "singer_http_pending",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("scope", sa.Integer, nullable=False, index=True),
    sa.Column("effect", sa.String, nullable=False),
    sa.Column("at", sa.Integer, nullable=False, comment="epoch seconds"),
    sa.Column("records", sa.LargeBinary, nullable=False, comment="RECORD lines, as they came"),
)


class Scope(NamedTuple):
    """Whose rows: one target stream of one pipeline into one account."""

    id: int
    source: str
    keys: tuple[str, ...]
    known: bool
    """It has rows, or an earlier run that died was about to write some."""
    schema_message: bytes


class LeftBehind(NamedTuple):
    """A pending entry that an earlier run left behind."""

    id: int
    effect: Effect
    records: bytes
    at: int


ROW: tuple[sa.Column[Any], ...] = (
    delivered.c.key, delivered.c.digest, delivered.c.source, delivered.c.remote_id,
    delivered.c.identity, delivered.c.uncertain, delivered.c.at,
)  # fmt: skip
"""Columns of a `Row`, in its order."""


def set_up_sqlite(connection: Any, _record: Any) -> None:
    """Prepare a new SQLite connection: others may read and write beside it."""
    cursor = connection.cursor()
    for pragma in ("journal_mode=WAL", "synchronous=NORMAL", "busy_timeout=30000"):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()
