"""Relations, their plans, and the Singer messages that a tap makes of their rows."""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from typing import Any

import psycopg
from psycopg import sql
from psycopg.rows import dict_row

from singer_http.exact_json import encode
from tests.front_door import JSON, state

ACCOUNT = "sandbox-client"
TYPES = {
    "smallint": "integer", "integer": "integer", "bigint": "integer", "numeric": "number",
    "real": "number", "double precision": "number",
}  # fmt: skip


def plan(table: str, stream: str, key: str, **arguments: Any) -> str:
    """A model: the plan of a relation."""
    given = "".join(f", {name}={value!r}" for name, value in arguments.items())
    given = given.replace("True", "true").replace("False", "false")
    account = "" if "account" in arguments else f", account={ACCOUNT!r}"
    return (
        f"{{{{ singer_http.to_send(source('warehouse', '{table}'), '{stream}', {key}"
        f"{account}{given}) }}}}"
    )


def rows_of(connection: psycopg.Connection[Any], query: str) -> list[JSON]:
    """The rows of a query, as objects."""
    with connection.cursor(row_factory=dict_row) as cursor:
        return cursor.execute(query.encode()).fetchall()


def columns_of(connection: psycopg.Connection[Any], table: str) -> dict[str, str]:
    """The columns of a table of the schema warehouse and their types."""
    found = connection.execute(
        "SELECT column_name, data_type FROM information_schema.columns"
        " WHERE table_schema = 'warehouse' AND table_name = %s ORDER BY ordinal_position",
        [table],
    )
    return dict(found.fetchall())


def messages(
    stream: str, columns: dict[str, str], keys: Sequence[str], rows: Sequence[JSON]
) -> list[JSON | bytes]:
    """What tap-postgres makes of rows: SCHEMA, RECORDs, STATE."""
    types = {**columns, "row_version": "text", "_sdc_deleted_at": "text", "row_count": "integer"}
    properties = {
        name: {"type": [TYPES.get(kind, "string"), "null"]} for name, kind in types.items()
    }
    schema = {
        "type": "SCHEMA",
        "stream": stream,
        "key_properties": list(keys),
        "schema": {"type": "object", "properties": properties},
    }
    lines = [
        encode(
            {"type": "RECORD", "stream": stream, "record": {k: _json(v) for k, v in row.items()}}
        )
        for row in rows
    ]
    return [schema, *lines, state({"rows": len(rows)})]


def _json(value: Any) -> Any:
    return value.isoformat() if isinstance(value, datetime.datetime) else value


def empty(connection: psycopg.Connection[Any], schema: str, *, like: str = "") -> None:
    """Remove the rows of all tables of a schema whose names begin so."""
    found = connection.execute(
        "SELECT tablename FROM pg_tables WHERE schemaname = %s AND starts_with(tablename, %s)",
        [schema, like],
    ).fetchall()
    for (table,) in found:
        name = sql.Identifier(schema, table)
        connection.execute(sql.SQL("DELETE FROM {}").format(name))
