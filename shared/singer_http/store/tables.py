"""The tables of the database.

meta        the schema's version, the salt of the hashes
accounts    which keys (credentials) were used for which account
same        account -> the account that it became (see `target.takeover`): their suppressions
            hold for both
scopes      (account, sync, stream): whose rows these are, their source, their key columns
delivered   scope, key -> digest, source, remote id, at, run, names (hashed) to look it up by
claims      scope, claim, key: what a key refers to at the vendor (emails, phones, tags), hashed;
            also what a rejected record refers to, which owns nothing
pending     one entry for each request that is about to leave: its effect, its keys and records;
            gone once the answer is in
rejects     what is outstanding: the record as it was read, the reason, the scope
runs        one row for each run of a target or a tap: its report, and how it ended
arrivals    scope, run -> the keys that came unchanged in that run
rates       account -> when its newest requests were answered, which are in flight
tokens      credentials (hashed) -> a token, and until when it is used
verifying   scope -> how far its `--verify` has come
verified    scope, key -> what `--verify` saw of it: that it is as delivered, or how it differs
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa

from singer_http.operations import DELETED, SAME

VERSION = 3
"""Of the tables below. A release that changes them adds a step to `MIGRATIONS`."""

NAME = 8
"""Bytes of each hash in `delivered.names`."""

MIGRATIONS: dict[int, Sequence[str]] = {
    1: (
        "ALTER TABLE singer_http_delivered ADD COLUMN run INTEGER",
        "ALTER TABLE singer_http_delivered ADD COLUMN names BYTEA",
    ),
    2: (
        "ALTER TABLE singer_http_scopes ADD COLUMN mapping BYTEA",
        "ALTER TABLE singer_http_delivered ADD COLUMN mapping BYTEA",
        "ALTER TABLE singer_http_delivered ADD COLUMN version VARCHAR",
        "ALTER TABLE singer_http_delivered ADD COLUMN fields BYTEA",
        (
            "CREATE INDEX IF NOT EXISTS singer_http_runs_by_sync "
            "ON singer_http_runs (plugin, account, sync, id)"
        ),
    ),
}
"""From version n to n + 1: the statements that change a table. New tables are made without one."""

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

same = sa.Table(
    "singer_http_same",
    metadata,
    sa.Column("account", sa.String, primary_key=True, comment="account and server"),
    sa.Column("became", sa.String, nullable=False, comment="account and server"),
)

scopes = sa.Table(
    "singer_http_scopes",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("account", sa.String, nullable=False, comment="account and server"),
    sa.Column("sync", sa.String, nullable=False),
    sa.Column("stream", sa.String, nullable=False),
    sa.Column("source", sa.String, nullable=False, comment="the stream that it was read from"),
    sa.Column("keys", sa.String, nullable=False, comment="JSON list of key columns"),
    sa.Column("schema_message", sa.LargeBinary, nullable=False, comment="the last SCHEMA"),
    sa.Column("mapping", sa.LargeBinary, comment="digest of all that decides what is sent, today"),
    sa.UniqueConstraint("account", "sync", "stream"),
)

delivered = sa.Table(
    "singer_http_delivered",
    metadata,
    sa.Column("scope", sa.Integer, primary_key=True),
    sa.Column("key", sa.String, primary_key=True, comment="hashed if it may be personal"),
    sa.Column("digest", sa.LargeBinary, nullable=False, comment="of what was sent"),
    sa.Column("source", sa.LargeBinary, nullable=False, comment="digest of the source's record"),
    sa.Column("remote_id", sa.String, comment="the vendor's; '=' where it is the key"),
    sa.Column("at", sa.BigInteger, nullable=False, comment="epoch seconds"),
    sa.Column("run", sa.Integer, comment="the run that sent it, as in runs"),
    # Not indexed: the pages of an index in the order of hashes cost a run half of its time again.
    sa.Column("names", sa.LargeBinary, comment="of emails, phones, parts: 8 bytes of each hash"),
    sa.Column("mapping", sa.LargeBinary, comment="as in scopes, when it was sent or compared"),
    sa.Column("version", sa.String, comment="the source's, of the setting version_column"),
    sa.Column("fields", sa.LargeBinary, comment="short hashes of the fields that were sent"),
    sqlite_with_rowid=False,
)
by_remote_id = sa.Index(
    "singer_http_by_remote_id",
    delivered.c.scope,
    delivered.c.remote_id,
    sqlite_where=delivered.c.remote_id != SAME,
    postgresql_where=delivered.c.remote_id != SAME,
)

claims = sa.Table(
    "singer_http_claims",
    metadata,
    sa.Column("scope", sa.Integer, primary_key=True),
    sa.Column("claim", sa.String, primary_key=True, comment="hashed"),
    sa.Column("key", sa.String, primary_key=True, comment="as in delivered"),
    sqlite_with_rowid=False,
)
claims_by_key = sa.Index("singer_http_claims_by_key", claims.c.scope, claims.c.key)
OF_REJECT = "?"
"""Before a claim of a rejected record, which owns nothing; the ledger's claims begin with `#`.

It counts while its key has a reject, and is replaced by the next reject of the key."""
is_of_reject = claims.c.claim.startswith(OF_REJECT)

pending = sa.Table(
    "singer_http_pending",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("scope", sa.Integer, nullable=False, index=True),
    sa.Column("effect", sa.String, nullable=False),
    sa.Column("at", sa.Float, nullable=False, comment="epoch seconds"),
    sa.Column("route", sa.String, nullable=False, comment="the mapping that made them"),
    sa.Column("keys", sa.String, nullable=False, comment="JSON list, as in delivered"),
    sa.Column("records", sa.LargeBinary, nullable=False, comment="RECORD lines, as read"),
    sa.Column("sent", sa.LargeBinary, comment="JSON: body, identities, digest of a create"),
    sa.Column("resent", sa.Boolean, nullable=False, comment="resent by the setting `uncertain`"),
)

rejects = sa.Table(
    "singer_http_rejects",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("scope", sa.Integer, nullable=False),
    sa.Column("key", sa.String, nullable=False, comment="as in delivered"),
    sa.Column("slot", sa.String, nullable=False, comment="'', 'newer', or other content's digest"),
    sa.Column("run", sa.String, nullable=False, comment="the run that rejected it"),
    sa.Column("seq", sa.BigInteger, nullable=False, comment="order of arrival in that run"),
    sa.Column("at", sa.BigInteger, nullable=False, comment="epoch seconds"),
    sa.Column("kind", sa.String, nullable=False),
    sa.Column("reason", sa.String, nullable=False),
    sa.Column("status", sa.Integer),
    sa.Column("operation", sa.String, nullable=False),
    sa.Column("attempts", sa.Integer, nullable=False),
    sa.Column("route", sa.String, nullable=False, comment="the mapping that made it"),
    sa.Column("remote_id", sa.String, comment="the vendor's record that it names"),
    sa.Column("digest", sa.LargeBinary, nullable=False, comment="of what was or would be sent"),
    sa.Column("resent", sa.Boolean, nullable=False, comment="resent by the setting `uncertain`"),
    sa.Column("record", sa.LargeBinary, nullable=False, comment="the RECORD line, as read"),
    sa.UniqueConstraint("scope", "key", "slot"),
)

runs = sa.Table(
    "singer_http_runs",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("run", sa.String, nullable=False, unique=True, comment="as the report names it"),
    sa.Column("plugin", sa.String, nullable=False),
    sa.Column("account", sa.String, nullable=False, comment="account and server, as in scopes"),
    sa.Column("sync", sa.String, nullable=False),
    sa.Column("started_at", sa.BigInteger, nullable=False, comment="epoch seconds"),
    sa.Column("finished_at", sa.BigInteger, comment="epoch seconds; null while it runs"),
    sa.Column("outcome", sa.String, nullable=False, comment="running, ok, stopped or failed"),
    sa.Column("report", sa.Text, nullable=False, comment="JSON, as in the report's file"),
    sa.Column("page", sa.Text, comment="JSON: what the page shows besides"),
)
runs_by_sync = sa.Index(
    "singer_http_runs_by_sync", runs.c.plugin, runs.c.account, runs.c.sync, runs.c.id
)

arrivals = sa.Table(
    "singer_http_arrivals",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("scope", sa.Integer, nullable=False, index=True),
    sa.Column("run", sa.Integer, nullable=False, comment="as in runs"),
    sa.Column("rows", sa.Integer, nullable=False),
    sa.Column("keys", sa.LargeBinary, nullable=False, comment="as in delivered, a line each"),
)

rates = sa.Table(
    "singer_http_rates",
    metadata,
    sa.Column("account", sa.String, primary_key=True, comment="account and server, hashed"),
    sa.Column("state", sa.LargeBinary, nullable=False, comment="MessagePack of a RateState"),
)

tokens = sa.Table(
    "singer_http_tokens",
    metadata,
    sa.Column("name", sa.String, primary_key=True, comment="hash of the credentials"),
    sa.Column("token", sa.String, nullable=False),
    sa.Column("use_until", sa.Float, nullable=False, comment="epoch seconds"),
)

verifying = sa.Table(
    "singer_http_verifying",
    metadata,
    sa.Column("scope", sa.Integer, primary_key=True),
    sa.Column("began", sa.BigInteger, nullable=False, comment="epoch seconds"),
    sa.Column("ended", sa.BigInteger, comment="epoch seconds; null until all was compared"),
    sa.Column("place", sa.Text, nullable=False, comment="JSON: where it goes on"),
)

verified = sa.Table(
    "singer_http_verified",
    metadata,
    sa.Column("scope", sa.Integer, primary_key=True),
    sa.Column("key", sa.String, primary_key=True, comment="as in delivered"),
    sa.Column("at", sa.BigInteger, comment="of the delivered row that was compared, as its run"),
    sa.Column("run", sa.Integer),
    sa.Column("other", sa.String, comment="the vendor's record that has its email or phone"),
    sa.Column("difference", sa.Text, comment="JSON; null where there is none"),
    sa.Column("skipped", sa.String, comment="why it cannot be compared"),
    sa.Column("marked", sa.BigInteger, comment="epoch seconds; by `--repair`, to be sent again"),
    sqlite_with_rowid=False,
)

VIEW = "singer_http_standing"

standing = sa.Table(
    VIEW,
    sa.MetaData(),
    sa.Column("account", sa.String, nullable=False),
    sa.Column("server", sa.String, nullable=False),
    sa.Column("sync", sa.String, nullable=False),
    sa.Column("stream", sa.String, nullable=False),
    sa.Column("key", sa.String, nullable=False, comment="canonical text, or a hash"),
    sa.Column("key_hashed", sa.Boolean, nullable=False),
    sa.Column("version", sa.String, comment="null unless it stands"),
    sa.Column("state", sa.String, nullable=False),
    sa.Column("remote_id", sa.String, comment="the vendor's id"),
    sa.Column("delivered_at", sa.DateTime, comment="of the last acknowledgement"),
    sa.Column("run", sa.String, comment="as in the reports"),
    sa.Column("scope", sa.Integer, nullable=False, comment="of account, sync and stream"),
)
"""A view: what became of each key, and the version of it that stands.

It is a public interface, for plans that are made in SQL: columns are only ever added."""

ROW: tuple[sa.Column[Any], ...] = (
    delivered.c.key, delivered.c.digest, delivered.c.source, delivered.c.remote_id,
    delivered.c.at, delivered.c.mapping, delivered.c.version,
)  # fmt: skip
"""Columns of a `Row`, in its order."""


def is_same(column: sa.ColumnElement[str], account: str) -> sa.ColumnElement[bool]:
    """Whether a column names this account (with server), at one of its addresses."""
    own = same.alias()  # without a name of its own it would be joined to `same` below
    found = sa.select(own.c.became).where(own.c.account == account).scalar_subquery()
    became = sa.func.coalesce(found, account)
    former = sa.select(same.c.account).where(same.c.became == became)
    return (column == became) | column.in_(former)


def contains(column: sa.Column[Any], part: bytes, *, sqlite: bool) -> sa.ColumnElement[bool]:
    """Whether a binary column holds some bytes: looked for in the database, row by row."""
    if sqlite:
        return sa.func.instr(column, part) > 0
    return sa.func.position(sa.literal(part, sa.LargeBinary).op("IN")(column)) > 0


def set_up_sqlite(connection: Any, _record: Any) -> None:
    """Prepare a new SQLite connection: others may read and write beside it.

    What is deleted is overwritten: records are here only while they are pending or rejected.
    """
    cursor = connection.cursor()
    for pragma in (
        "busy_timeout=30000",
        "journal_mode=WAL",
        "synchronous=NORMAL",
        "secure_delete=ON",
    ):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


_SQLITE = {
    "keys": "json_each(p.keys) AS e",
    "one_key": "e.value",
    "newline": "char(10)",
    "deleted": f"X'{DELETED.hex()}'",
    "at": "strftime('%Y-%m-%dT%H:%M:%SZ', d.at, 'unixepoch')",
    "text": "",
    "time": "",
}
_POSTGRESQL = {
    "keys": "json_array_elements_text(p.keys::json) AS e(key)",
    "one_key": "e.key",
    "newline": "chr(10)",
    "deleted": f"'\\x{DELETED.hex()}'::bytea",
    "at": "to_timestamp(d.at)",
    "text": "::text",
    "time": "::timestamptz",
}

_ACCOUNT = "substr(s.account, 1, length(rtrim(s.account, replace(s.account, ' ', ''))) - 1)"
_SERVER = "substr(s.account, length(rtrim(s.account, replace(s.account, ' ', ''))) + 1)"
"""`scopes` has both in one text. A server contains no space, an account may."""

# What is outstanding is few rows: joined once, as a whole, so that a plan of millions of rows is
# one hash join. A key with several has the state that says most: the least number.
_OUTSTANDING = """
    SELECT scope, key, min(place) AS place, max(run) AS run FROM (
        SELECT r.scope, r.key{text} AS key, NULLIF(r.run, ''){text} AS run,
            CASE r.kind WHEN 'uncertain' THEN 2 WHEN 'held' THEN 4 ELSE 3 END AS place
        FROM singer_http_rejects AS r
        UNION ALL
        SELECT p.scope, {one_key}, NULL{text}, 1 FROM singer_http_pending AS p, {keys}
    ) AS each_one
    GROUP BY scope, key
"""
_STATE = (
    "CASE o.place WHEN 1 THEN 'pending' WHEN 2 THEN 'uncertain' WHEN 3 THEN 'rejected' "
    "WHEN 4 THEN 'held'"
)

# The two parts have the same types: only then does PostgreSQL leave out what nobody selects.
_SELECT = f"""
SELECT {_ACCOUNT} AS account, {_SERVER} AS server,
    s.sync{{text}} AS sync, s.stream{{text}} AS stream,
    d.key{{text}} AS key, substr(d.key, 1, 1) = '#' AS key_hashed,
    CASE WHEN o.scope IS NULL AND d.mapping = s.mapping
        AND length(d.digest) > 0 AND d.digest <> {{deleted}}
        THEN d.version{{text}} END AS version,
    {_STATE} ELSE CASE WHEN d.digest = {{deleted}} THEN 'deleted'
        WHEN length(d.digest) = 0 THEN 'unknown' ELSE 'delivered' END END AS state,
    CASE WHEN d.remote_id = '{SAME}' THEN d.key ELSE d.remote_id END{{text}} AS remote_id,
    {{at}} AS delivered_at, r.run{{text}} AS run, s.id AS scope
FROM singer_http_delivered AS d
JOIN singer_http_scopes AS s ON s.id = d.scope
LEFT JOIN ({_OUTSTANDING}) AS o ON o.scope = d.scope AND o.key = d.key
LEFT JOIN singer_http_runs AS r ON r.id = d.run
WHERE substr(d.key, 1, 1) <> {{newline}}
UNION ALL
SELECT {_ACCOUNT}, {_SERVER}, s.sync{{text}}, s.stream{{text}},
    o.key, substr(o.key, 1, 1) = '#', NULL{{text}}, {_STATE} END, NULL{{text}},
    NULL{{time}}, o.run, s.id
FROM ({_OUTSTANDING}) AS o
JOIN singer_http_scopes AS s ON s.id = o.scope
LEFT JOIN singer_http_delivered AS d ON d.scope = o.scope AND d.key = o.key
WHERE d.scope IS NULL AND substr(o.key, 1, 1) <> {{newline}}
"""  # noqa: S608 - names of ours


def view_of(*, sqlite: bool) -> tuple[str, str]:
    """The view's SQL; its digest, by which the view of another release is recognised."""
    text = _SELECT.format(**(_SQLITE if sqlite else _POSTGRESQL))
    return text, hashlib.blake2b(text.encode(), digest_size=8).hexdigest()


def ensure_view(connection: sa.Connection) -> None:
    """Make the view, or replace that of another release.

    One that is as it should be is left alone: replacing it would wait for everybody who reads it.
    """
    sqlite = connection.dialect.name == "sqlite"
    text, digest = view_of(sqlite=sqlite)
    noted = meta.c.name == "standing"
    there = VIEW in sa.inspect(connection).get_view_names()
    if there and connection.scalar(sa.select(meta.c.value).where(noted)) == digest:
        return
    if sqlite:
        connection.exec_driver_sql(f"DROP VIEW IF EXISTS {VIEW}")
    create = "CREATE" if sqlite else "CREATE OR REPLACE"  # which keeps what was granted
    connection.exec_driver_sql(f"{create} VIEW {VIEW} AS {text}")
    connection.execute(meta.delete().where(noted))
    connection.execute(meta.insert().values(name="standing", value=digest))
