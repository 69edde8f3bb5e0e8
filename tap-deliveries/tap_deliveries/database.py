"""The database of the targets, opened to read: no lock is taken, nothing is written."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.exc import SQLAlchemyError
from typing_extensions import override

from singer_http.errors import ConfigError, StopRun
from singer_http.store import DATABASE_FILE
from singer_http.store.server import parse_url
from singer_http.store.tables import VERSION, meta
from singer_http.tap.ending import TapReport
from singer_http.tap.tap import HTTPTap

BUSY_SECONDS = 30.0
"""How long SQLite waits for a writer."""


class Reader:
    """One connection to SQLite or PostgreSQL. Each query is a transaction of its own.

    Raises:
        ConfigError: there is no such database, or it is of another version.
    """

    def __init__(self, url: str) -> None:
        """Open it.

        Args:
            url: any SQLAlchemy URL of SQLite or PostgreSQL.
        """
        try:
            self._engine = _engine(url)
            self._connection = self._engine.connect()
            self._check_version()
        except ModuleNotFoundError as error:
            raise ConfigError(
                f"database_url needs the package {error.name}: install it beside the plugin "
                "(pip install 'psycopg[binary]')."
            ) from None
        except SQLAlchemyError as error:
            raise ConfigError(
                f"The database cannot be read ({_words(error)}): check database_url and work_dir."
            ) from None

    def _check_version(self) -> None:
        found = None
        if sa.inspect(self._connection).has_table(meta.name):
            stated = sa.select(meta.c.value).where(meta.c.name == "version")
            found = self._connection.scalar(stated)
        if found is None:
            raise ConfigError(
                "The database holds no tables of a target: check database_url and work_dir, "
                "or let a target run first."
            )
        if int(found) != VERSION:
            how = (
                "upgrade this tap"
                if int(found) > VERSION
                else "the next run of an upgraded target brings it up to date"
            )
            raise ConfigError(
                f"The database has version {found} of the tables, this tap reads {VERSION}: {how}."
            )

    def query(self, statement: sa.Select[Any]) -> Sequence[sa.Row[Any]]:
        """The rows of a SELECT.

        Raises:
            StopRun: the database is gone.
        """
        try:
            return self._connection.execute(statement).all()
        except SQLAlchemyError as error:
            raise StopRun(
                f"The database cannot be read any more ({_words(error)}): run the tap again, it "
                "resumes at its last STATE."
            ) from None


def _engine(url: str) -> sa.Engine:
    parsed = parse_url(url)
    if parsed.get_backend_name() == "sqlite":
        path = Path(parsed.database or "").resolve()
        if not path.is_file():
            raise ConfigError(
                f"There is no database {path}: set work_dir or database_url to that of the targets."
            )
        address = f"{path.as_uri()}?mode=ro"
        return sa.create_engine(
            "sqlite://", creator=lambda: sqlite3.connect(address, BUSY_SECONDS, uri=True)
        )
    engine = sa.create_engine(parsed, isolation_level="AUTOCOMMIT")
    sa.event.listen(engine, "connect", _only_read)
    return engine


def _only_read(connection: Any, _record: Any) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SET default_transaction_read_only = on")
    connection.commit()


def _words(error: BaseException) -> str:
    return (str(getattr(error, "orig", None) or error).splitlines() or [type(error).__name__])[0]


class NoReport(TapReport):
    """Of a tap that only reads: it is not written."""

    @override
    def end(self, error: BaseException | None) -> None:
        pass


class DatabaseTap(HTTPTap):
    """A tap that reads the targets' database."""

    @cached_property
    @override
    def report(self) -> TapReport:
        return NoReport(self)

    @property
    @override
    def database_url(self) -> str:
        # Unlike a target's, this work_dir is only read: it is not made.
        given = self.config.get("database_url")
        return str(given) if given else f"sqlite:///{self.work_path / DATABASE_FILE}"

    @cached_property
    def reader(self) -> Reader:
        """The database, opened at first use."""
        return Reader(self.database_url)
