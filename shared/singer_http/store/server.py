"""SQLite and PostgreSQL, where they differ: addresses, encodings, errors, the SQL of INSERTs."""

from __future__ import annotations

import functools
import sqlite3
from typing import Any

import orjson
import sqlalchemy as sa
from sqlalchemy.exc import ArgumentError, DBAPIError, OperationalError, PendingRollbackError

from singer_http.errors import DatabaseLost, NoDatabase
from singer_http.store.tables import VIEW, meta, metadata

CONNECT_SECONDS = 30
"""That PostgreSQL gets to answer, unless `database_url` says otherwise (`connect_timeout`)."""
ENCODINGS = ("UTF8", "SQL_ASCII")
"""Of PostgreSQL that hold any text; the latter keeps bytes as they come."""

PASSING = ("08", "40", "57", "53300", "55P03")
"""The first characters of the SQLSTATEs of temporary errors: connection, conflict, shutdown, too
many connections, lock."""
LASTING = (
    "authentication failed", "no password supplied", "does not exist", "pg_hba.conf",
    "permission denied", "connection is bad: invalid ", "for connection option",
)  # fmt: skip
"""Texts of a refused connection that stays refused: such an error has no SQLSTATE."""
LOCK_SECONDS = 30
"""That a change of PostgreSQL's tables waits for others; meanwhile all new statements wait too."""
BUSY = {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}


def words(error: BaseException) -> str:
    """The first line of what the database says."""
    cause = getattr(error, "orig", None) or error
    return (str(cause).splitlines() or [type(error).__name__])[0]


def passes(error: BaseException) -> bool:
    """Whether a later try may succeed though nobody changed anything."""
    if isinstance(error, DatabaseLost | PendingRollbackError):
        return True  # the latter follows a connection that broke
    if not isinstance(error, DBAPIError):
        return False
    cause: Any = error.orig
    if isinstance(cause, sqlite3.Error):
        return getattr(cause, "sqlite_errorcode", 0) & 0xFF in BUSY
    state = getattr(cause, "sqlstate", None)
    if state:
        return str(state).startswith(PASSING)
    if error.connection_invalidated:
        return True
    said = str(cause)
    return isinstance(error, OperationalError) and not any(part in said for part in LASTING)


def problem_of_tables(error: DBAPIError) -> str:
    """Why PostgreSQL does not make or change our tables; empty for another error."""
    state = getattr(error.orig, "sqlstate", None)
    if state == "42501":  # insufficient privilege
        return (
            "This release makes or changes tables or the view in the database, which the user of "
            "`database_url` may not: run `--history` once with the URL of their owner"
        )
    if state == "55P03":  # lock not available
        return (
            "This release changes tables or the view in the database, and for "
            f"{LOCK_SECONDS} s another session has had them in an open transaction: end it, and "
            "run again"
        )
    return ""


def parse_url(url: str) -> sa.URL:
    """A URL of SQLite or PostgreSQL, with the driver and the time that it gets to connect.

    Raises:
        NoDatabase: it is no URL, or that of another database.
    """
    try:
        parsed = sa.make_url(url)
    except (ArgumentError, ValueError):  # a port that is no number
        raise NoDatabase(
            "`database_url` is not an SQLAlchemy URL (postgresql://user:password@host:5432/name); "
            "special characters of user and password are percent-encoded. Nothing was sent."
        ) from None
    if parsed.drivername in {"postgresql", "postgres"}:  # libpq and many hosts write the latter
        parsed = parsed.set(drivername="postgresql+psycopg")
    backend = parsed.get_backend_name()
    if backend not in {"sqlite", "postgresql"}:
        raise NoDatabase(f"`database_url` is for {backend}: it must be SQLite or PostgreSQL.")
    if backend == "postgresql" and parsed.drivername != "postgresql+psycopg":
        raise NoDatabase(
            f"`database_url` names the driver {parsed.get_driver_name()}, which is not used here: "
            "write postgresql://, without a driver."
        )
    if backend == "sqlite" and parsed.database in {None, "", ":memory:"}:
        raise NoDatabase(
            "`database_url` names no file: what is only in memory does not outlive a run. Add its "
            "path, or leave the setting out for the database in `work_dir`."
        )
    if backend == "postgresql":
        options = {
            "connect_timeout": str(CONNECT_SECONDS),
            # A network that drops idle connections is noticed, and kept from dropping them.
            "keepalives_idle": "60",
            **parsed.query,
            "client_encoding": "utf8",
        }
        parsed = parsed.update_query_dict(options)
    return parsed


def require_unicode(connection: sa.Connection) -> None:
    """Refuse a PostgreSQL that cannot hold every text: one record would stop each run.

    Raises:
        NoDatabase: its encoding has fewer characters than Unicode.
    """
    driver: Any = connection.connection.driver_connection
    encoding = driver.info.parameter_status("server_encoding")  # the server said it at once
    if encoding not in ENCODINGS:
        raise NoDatabase(
            f"The database has the encoding {encoding}, which lacks characters: make one with "
            "ENCODING 'UTF8', and name it in `database_url`. Nothing was sent."
        )


ROWS = 100
"""In one INSERT, at most."""


TABLES_ARE_THERE = {
    name: f"SELECT name, value FROM {meta.name} WHERE ({number}) = :number"  # noqa: S608 - ours
    for name, number in {
        "sqlite": "SELECT count(*) FROM sqlite_master WHERE name IN "
        "(SELECT value FROM json_each(:some))",
        "postgresql": "SELECT count(to_regclass(name)) FROM "
        "jsonb_array_elements_text(CAST(:some AS jsonb)) AS names (name)",
    }.items()
}
"""The rows of `meta`, if all our tables and the view are there: one question instead of many."""
TABLES = orjson.dumps([*metadata.tables, VIEW]).decode()
"""The names of our tables and the view, as the parameter `some` of the above."""


@functools.lru_cache(ROWS)
def of_rows(statement: sa.Insert, number: int, dialect: sa.Dialect) -> str:
    """The SQL of an n-row INSERT, cached: compiling it costs more than executing it."""
    row: dict[str, Any] = dict.fromkeys(statement.table.columns.keys())
    return str(statement.values([row] * number).compile(dialect=dialect))


@functools.lru_cache(ROWS)
def of_arrays(statement: sa.Insert, dialect: sa.Dialect) -> str:
    """The SQL of an INSERT whose rows are given as one array for each column."""
    table, text = statement.table, str(statement.compile(dialect=dialect))
    names = ", ".join(table.columns.keys())
    arrays = ", ".join(f"%s::{column.type.compile(dialect)}[]" for column in table.columns)
    conflict = text[text.index(" ON CONFLICT") :]
    return f"INSERT INTO {table.name} ({names}) SELECT * FROM unnest({arrays}){conflict}"  # noqa: S608 - names of ours
