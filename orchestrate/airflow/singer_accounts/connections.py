"""Airflow connections, from whichever secrets backend: read inside a task only."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from airflow.sdk import Connection
from airflow.sdk.exceptions import AirflowFailException
from sqlalchemy import URL

FIELDS = ("login", "password", "host", "schema")
DIALECTS = {"postgres": "postgresql"}
"""Airflow's type of a connection -> SQLAlchemy's name, where they differ."""


def hook(connection: str) -> Any:
    """The hook of a database's connection (of `common.sql`)."""
    return Connection.get(connection).get_hook()


def credentials(connection: str, parts: Mapping[str, str]) -> dict[str, str]:
    """An account's credentials, as variables.

    Args:
        connection: id of the connection.
        parts: variable -> the part of the connection: one of `FIELDS`, or a name in its extra.

    Raises:
        AirflowFailException: the connection has no such part.
    """
    found = Connection.get(connection)
    extra = found.extra_dejson
    values: dict[str, str] = {}
    for variable, part in parts.items():
        value = getattr(found, part) if part in FIELDS else extra.get(part)
        if not value:
            has = [f for f in FIELDS if getattr(found, f)] + sorted(extra)
            msg = f"Connection {connection} has no {part}, for {variable}; it has {', '.join(has)}"
            raise AirflowFailException(msg)
        values[variable] = str(value)
    return values


def sqlalchemy_url(connection: str, *, driver: str = "") -> str:
    """The SQLAlchemy URL of a database's connection, with its password.

    `driver` is for programs that would take another one for PostgreSQL than they have.
    """
    found = Connection.get(connection)
    dialect = DIALECTS.get(found.conn_type, found.conn_type)
    url = URL.create(
        f"{dialect}+{driver}" if driver and dialect == "postgresql" else dialect,
        found.login,
        found.password,
        found.host,
        found.port,
        found.schema,
        {name: str(value) for name, value in found.extra_dejson.items()},
    )
    return url.render_as_string(hide_password=False)
