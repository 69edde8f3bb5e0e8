"""The database: opened, brought up to date, read and written with clear errors."""

from __future__ import annotations

import fcntl
import functools
import hashlib
import itertools
import os
import secrets
import sqlite3
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

import orjson
import sqlalchemy as sa
from sqlalchemy.exc import ArgumentError, SQLAlchemyError

from singer_http.errors import DatabaseLost, DatabaseUnreachable, NoDatabase, StopRun
from singer_http.store.dry_copy import Pipeline, copy_for_dry_run, remove_copy
from singer_http.store.tables import MIGRATIONS, VERSION, meta, metadata, set_up_sqlite
from singer_http.store.trouble import passes, words

Row = tuple[Any, ...]

ROWS = 100
"""In one INSERT, at most."""
CONNECT_SECONDS = 30
"""That PostgreSQL gets to answer, unless `database_url` says otherwise (`connect_timeout`)."""
ENCODINGS = ("UTF8", "SQL_ASCII")
"""Of PostgreSQL that hold any text; the latter keeps bytes as they come."""
TRIES = 5
"""Times that a lock is tried, a fifth of a second apart."""


class Database:
    """One connection to SQLite or PostgreSQL, with the tables of `tables.py`.

    Raises:
        NoDatabase: it cannot be opened or written; the line names the setting.
    """

    def __init__(self, url: str, *, dry_run_of: Pipeline | None = None) -> None:
        """Open it, and make or migrate the tables.

        Args:
            url: any SQLAlchemy URL of SQLite or PostgreSQL.
            dry_run_of: a pipeline whose rows are copied into a temporary SQLite: the database
                itself is only read, and not locked.
        """
        self._copy: Path | None = None
        self._locks: list[int] = []
        with ExitStack() as opened:  # closed again unless all goes well
            try:
                self._open(parse_url(url), dry_run_of, opened)
            except ModuleNotFoundError as error:
                raise NoDatabase(
                    f"database_url needs the package {error.name}: install it beside the plugin "
                    "(pip install 'psycopg[binary]')."
                ) from None
            except NoDatabase:
                raise
            except (SQLAlchemyError, OSError, sqlite3.Error, StopRun) as error:
                kind = DatabaseUnreachable if passes(error) else NoDatabase
                raise kind(
                    f"The database cannot be opened ({words(error)}): check `database_url` and "
                    "that `work_dir` can be written; nothing was sent."
                ) from None
            opened.pop_all()

    def _open(self, url: sa.URL, dry_run_of: Pipeline | None, opened: ExitStack) -> None:
        if dry_run_of is not None:
            self._copy = copy_for_dry_run(url, dry_run_of)
            opened.callback(remove_copy, self._copy)
            url = sa.make_url(f"sqlite:///{self._copy}")
        self._path = _file_of(url)
        if self._path:
            self._path.touch(mode=0o600)
            self._file = _identity(self._path)
        self._engine = sa.create_engine(url)
        opened.callback(self._engine.dispose)
        self.dialect = self._engine.dialect
        self.sqlite = self.dialect.name == "sqlite"
        if self.sqlite:
            sa.event.listen(self._engine, "connect", set_up_sqlite)
        else:  # with a stricter default of the server, waiting for a row ends in an error
            self._engine = self._engine.execution_options(isolation_level="READ COMMITTED")
        self._connection = self._engine.connect()
        opened.callback(self._connection.close)
        self.salt = self._prepare()
        """Of the hashes in this database: 16 bytes."""
        if not self.sqlite:
            self.set_durable(False)

    def _prepare(self) -> bytes:
        """Make or migrate the tables, one process at a time: several may run for the first time."""
        connection = self._connection
        if self.sqlite:
            connection.execute(sa.text("BEGIN IMMEDIATE"))
        else:
            require_unicode(connection)
            connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_lock_number("tables"))))
        metadata.create_all(connection)
        values: dict[str, str] = dict(connection.execute(sa.select(meta)).all())
        if not values:
            values = {"version": str(VERSION), "salt": secrets.token_hex(16)}
            rows = [{"name": name, "value": value} for name, value in values.items()]
            connection.execute(meta.insert(), rows)
        self._migrate(int(values["version"]))
        connection.commit()
        return bytes.fromhex(values["salt"])

    def _migrate(self, version: int) -> None:
        if version > VERSION:
            raise NoDatabase(
                f"The database was written by a later release (version {version}, this one knows "
                f"{VERSION}): upgrade this plugin, or set another `database_url`."
            )
        connection = self._connection
        for step in range(version, VERSION):
            for statement in MIGRATIONS[step]:
                connection.exec_driver_sql(statement)
            connection.execute(
                meta.update().where(meta.c.name == "version").values(value=str(step + 1))
            )

    def lock(self, name: str) -> bool:
        """Hold a name where the data is until `close`; `False` if another process holds it.

        The system releases it, however the process ends. A dry run holds nothing.
        """
        if self._copy:
            return True
        number = _lock_number(name)
        if not self.sqlite:
            held = self.execute(sa.select(sa.func.pg_try_advisory_lock(number))).scalar_one()
            self.commit()
            return bool(held)
        descriptor = os.open(self._lock_file(number), os.O_RDWR | os.O_CREAT, 0o600)
        for attempt in range(TRIES):
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                if attempt < TRIES - 1:  # `is_locked` of another process holds it for a moment
                    time.sleep(0.02)
            else:
                self._locks.append(descriptor)
                return True
        os.close(descriptor)
        return False

    def is_locked(self, name: str) -> bool:
        """Whether a process holds a name. Nobody is kept from taking it."""
        return bool(self.held([name]))

    def held(self, names: Iterable[str]) -> set[str]:
        """Those of these names that a process holds."""
        if self.sqlite:
            return {name for name in names if self._is_file_locked(_lock_number(name))}
        held = sa.text(
            "SELECT (classid::bigint << 32) | objid::bigint AS number FROM pg_locks "
            "JOIN pg_database ON pg_database.oid = database "
            "WHERE locktype = 'advisory' AND datname = current_database() AND objsubid = 1"
        )
        numbers = {row.number for row in self.query(held)}
        return {name for name in names if _lock_number(name) in numbers}

    def _is_file_locked(self, number: int) -> bool:
        try:
            descriptor = os.open(self._lock_file(number), os.O_RDONLY)
        except OSError:
            return False
        try:
            fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except OSError:
            return True
        finally:
            os.close(descriptor)
        return False

    def _lock_file(self, number: int) -> str:
        return f"{self._path}.{number:x}.lock"

    def set_durable(self, durable: bool) -> None:
        """Whether commits wait for the disk from now on; call it between transactions.

        What waits makes everything before it durable too.
        """
        with self._guarded():
            if self.sqlite:
                level = "FULL" if durable else "NORMAL"
                self._connection.exec_driver_sql(f"PRAGMA synchronous={level}")
            else:
                level = "on" if durable else "off"
                self._connection.exec_driver_sql(f"SET synchronous_commit TO {level}")
            self._connection.commit()

    def query(self, statement: Any, parameters: Any = None) -> Sequence[Any]:
        """The rows of a SELECT. No transaction stays open. Errors as in `execute`."""
        with self._guarded():
            found = self._connection.execute(statement, parameters).all()
            if not self.sqlite:
                self._connection.commit()
            return found

    def execute(self, statement: Any, parameters: Any = None) -> Any:
        """Run a statement, in a transaction that the caller commits.

        Raises:
            StopRun: the disk is full, the database locked or gone.
        """
        with self._guarded():
            return self._connection.execute(statement, parameters)

    def connect(self) -> sa.Connection:
        """Another connection to the same database, for `read`."""
        with self._guarded():
            return self._engine.connect()

    def read(self, connection: sa.Connection, statement: Any, values: Any = None) -> Sequence[Any]:
        """The rows of a SELECT on another connection. No transaction stays open."""
        with self._guarded(connection):
            found = connection.execute(statement, values).all()
            connection.rollback()
            return found

    def among(self, column: sa.Column[Any]) -> Any:
        """A condition: the column is one of the texts of the JSON list in the parameter `some`."""
        if self.sqlite:
            return column.in_(sa.text("SELECT value FROM json_each(:some)"))
        # As an array: PostgreSQL would read the whole table for a subquery of unknown size.
        texts = "SELECT jsonb_array_elements_text(CAST(:some AS jsonb))"
        return sa.text(f"{column.table.name}.{column.name} = ANY(ARRAY({texts}))")

    def insert_many(self, statement: sa.Insert, rows: Sequence[Row]) -> None:
        """Run an INSERT for many rows, of all columns of its table; errors as in `execute`."""
        with self._guarded():
            if not self.sqlite:
                # One statement for all rows: executing one for each costs more than the rows.
                columns = [list(column) for column in zip(*rows, strict=True)]
                self._connection.exec_driver_sql(_of_arrays(statement, self.dialect), (*columns,))
                return
            # Many rows in one statement: each statement releases the interpreter lock, which has
            # to be waited for while other threads send.
            for start in range(0, len(rows), ROWS):
                some = rows[start : start + ROWS]
                values = tuple(itertools.chain.from_iterable(some))
                text = _of_rows(statement, len(some), self.dialect)
                self._connection.exec_driver_sql(text, values)

    def commit(self) -> None:
        """Commit; errors as in `execute`."""
        with self._guarded():
            self._connection.commit()
        # A file that was removed takes every commit, and nothing of it is ever found again.
        if self._path and _identity(self._path) != self._file:
            raise StopRun(
                f"The database {self._path} was removed or replaced during the run: restore it, or "
                "check `database_url`; what was sent since then is not in it."
            )

    def rollback(self) -> None:
        """Take back what was not committed."""
        with suppress(SQLAlchemyError):
            self._connection.rollback()

    @contextmanager
    def _guarded(self, connection: sa.Connection | None = None) -> Iterator[None]:
        """Say in one line what the database refuses, a full disk above all."""
        try:
            yield
        except SQLAlchemyError as error:
            with suppress(SQLAlchemyError):
                (connection or self._connection).rollback()
            kind = DatabaseLost if passes(error) else StopRun
            raise kind(
                f"The database cannot be used ({words(error)}): free some space or check "
                "`database_url`; what was sent stays marked as pending, and the next run recovers "
                "it."
            ) from None

    def close(self) -> None:
        """Close it; a copy is removed, a lock released."""
        with suppress(SQLAlchemyError):
            if self.sqlite and self._path:
                # Deleted texts also leave the log.
                self._connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")
        with suppress(SQLAlchemyError):
            self._connection.close()
        self._engine.dispose()
        if self._copy:
            remove_copy(self._copy)
        for descriptor in self._locks:
            with suppress(OSError):
                os.close(descriptor)
        self._locks.clear()


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
    encoding = connection.scalar(sa.text("SHOW server_encoding"))
    if encoding not in ENCODINGS:
        raise NoDatabase(
            f"The database has the encoding {encoding}, which lacks characters: make one with "
            "ENCODING 'UTF8', and name it in `database_url`. Nothing was sent."
        )


def _file_of(url: sa.URL) -> Path | None:
    """The file of an SQLite database."""
    if url.get_backend_name() != "sqlite" or not url.database:
        return None
    return Path(url.database)


def _identity(path: Path) -> tuple[int, int] | None:
    """Which file it is; `None` if there is none."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino


def _lock_number(name: str) -> int:
    """The number of an advisory lock."""
    return int.from_bytes(hashlib.blake2b(name.encode(), digest_size=7).digest())


@functools.lru_cache(ROWS)
def _of_rows(statement: sa.Insert, number: int, dialect: sa.Dialect) -> str:
    """The SQL of an n-row INSERT, cached: compiling it costs more than executing it."""
    row: dict[str, Any] = dict.fromkeys(statement.table.columns.keys())
    return str(statement.values([row] * number).compile(dialect=dialect))


@functools.lru_cache(ROWS)
def _of_arrays(statement: sa.Insert, dialect: sa.Dialect) -> str:
    """The SQL of an INSERT whose rows are given as one array for each column."""
    table, text = statement.table, str(statement.compile(dialect=dialect))
    names = ", ".join(table.columns.keys())
    arrays = ", ".join(f"%s::{column.type.compile(dialect)}[]" for column in table.columns)
    conflict = text[text.index(" ON CONFLICT") :]
    return f"INSERT INTO {table.name} ({names}) SELECT * FROM unnest({arrays}){conflict}"  # noqa: S608 - names of ours


def json_list(texts: Iterable[str]) -> str:
    """Texts as the parameter of `Database.among`."""
    return orjson.dumps(list(texts)).decode()
