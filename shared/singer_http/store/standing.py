"""The view `singer_http_standing`: what became of each key, and the version of it that stands.

It is part of the public interface, for plans that are made in SQL: columns are only ever added.
"""

from __future__ import annotations

import hashlib

import sqlalchemy as sa

from singer_http.operations import DELETED, SAME
from singer_http.store.tables import meta

NAME = "singer_http_standing"

standing = sa.Table(
    NAME,
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


def ensure_view(connection: sa.Connection) -> None:
    """Make the view, or replace that of another release.

    One that is as it should be is left alone: replacing it would wait for everybody who reads it.
    """
    sqlite = connection.dialect.name == "sqlite"
    text = _SELECT.format(**(_SQLITE if sqlite else _POSTGRESQL))
    digest = hashlib.blake2b(text.encode(), digest_size=8).hexdigest()
    noted = meta.c.name == "standing"
    there = NAME in sa.inspect(connection).get_view_names()
    if there and connection.scalar(sa.select(meta.c.value).where(noted)) == digest:
        return
    if sqlite:
        connection.exec_driver_sql(f"DROP VIEW IF EXISTS {NAME}")
    create = "CREATE" if sqlite else "CREATE OR REPLACE"  # which keeps what was granted
    connection.exec_driver_sql(f"{create} VIEW {NAME} AS {text}")
    connection.execute(meta.delete().where(noted))
    connection.execute(meta.insert().values(name="standing", value=digest))
