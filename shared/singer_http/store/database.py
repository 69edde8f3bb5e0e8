"""The database: opened, brought up to date, read and written with clear errors."""

from __future__ import annotations

import fcntl
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
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from singer_http.errors import DatabaseLost, DatabaseUnreachable, NoDatabase, StopRun
from singer_http.store.dry_copy import Pipeline, copy_for_dry_run, remove_copy
from singer_http.store.server import (
    LOCK_SECONDS,
    ROWS,
    TABLES,
    TABLES_ARE_THERE,
    of_arrays,
    of_rows,
    parse_url,
    passes,
    problem_of_tables,
    require_unicode,
    words,
)
from singer_http.store.tables import (
    MIGRATIONS,
    VERSION,
    ensure_view,
    meta,
    metadata,
    set_up_sqlite,
    view_of,
)

Row = tuple[Any, ...]

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
        self._path = file_of(url)
        if self._path:
            self._path.touch(mode=0o600)
            self._file = _identity(self._path)
        # hstore is not used: whether the server has it costs a round trip.
        options = {} if self._path else {"use_native_hstore": False}
        self._engine = sa.create_engine(url, **options)
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
        """Make or migrate the tables where they are not as they should be; the salt."""
        connection = self._connection
        if not self.sqlite:
            require_unicode(connection)
        try:
            there = sa.text(TABLES_ARE_THERE[self.dialect.name])
            found = connection.execute(there, {"some": TABLES, "number": len(metadata.tables) + 1})
            values = {str(row.name): str(row.value) for row in found}
        except DBAPIError:  # no table of ours is there, or what is wrong is found again below
            values = {}
        connection.rollback()
        _, view = view_of(sqlite=self.sqlite)
        if (values.get("version"), values.get("standing")) == (str(VERSION), view):
            return bytes.fromhex(values["salt"])
        try:
            return self._make_tables()
        except DBAPIError as error:
            if problem := problem_of_tables(error):
                kind = DatabaseUnreachable if passes(error) else NoDatabase
                raise kind(f"{problem} ({words(error)}). Nothing was sent.") from None
            raise

    def _make_tables(self) -> bytes:
        """Make or migrate the tables, one process at a time: several may run for the first time."""
        connection = self._connection
        if self.sqlite:
            connection.execute(sa.text("BEGIN IMMEDIATE"))
        else:
            connection.exec_driver_sql(f"SET LOCAL lock_timeout TO '{LOCK_SECONDS}s'")
            connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_lock_number("tables"))))
        metadata.create_all(connection)
        values: dict[str, str] = dict(connection.execute(sa.select(meta)).all())
        if not values:
            values = {"version": str(VERSION), "salt": secrets.token_hex(16)}
            rows = [{"name": name, "value": value} for name, value in values.items()]
            connection.execute(meta.insert(), rows)
        self._migrate(int(values["version"]))
        ensure_view(connection)
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
        with self._guarded(), self._in_one_trip(self._connection):
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
        with self._guarded(connection), self._in_one_trip(connection):
            found = connection.execute(statement, values).all()
            connection.rollback()
            return found

    @contextmanager
    def _in_one_trip(self, connection: sa.Connection) -> Iterator[None]:
        """Ask PostgreSQL without a transaction, if none is open: it takes two more round trips."""
        driver: Any = None if self.sqlite else connection.connection.driver_connection
        if driver is None or driver.info.transaction_status:
            yield
            return
        driver.autocommit = True
        try:
            yield
        finally:
            if not driver.closed:
                driver.autocommit = False

    def among(self, column: sa.Column[Any]) -> Any:
        """A condition: the column is one of the texts of the JSON list in the parameter `some`."""
        if self.sqlite:
            return column.in_(sa.text("SELECT value FROM json_each(:some)"))
        # As an array: PostgreSQL would read the whole table for a subquery of unknown size.
        texts = "SELECT jsonb_array_elements_text(CAST(:some AS jsonb))"
        return sa.text(f"{column.table.name}.{column.name} = ANY(ARRAY({texts}))")

    def texts(self) -> sa.TableValuedAlias:
        """The texts of the JSON list in the parameter `some`, as a table with a column `value`."""
        value = sa.column("value", sa.String)
        if self.sqlite:
            return sa.func.json_each(sa.text(":some")).table_valued(value)
        texts = sa.func.jsonb_array_elements_text(sa.text("CAST(:some AS jsonb)"))
        return texts.table_valued(value).render_derived()

    def insert_many(self, statement: sa.Insert, rows: Sequence[Row]) -> None:
        """Run an INSERT for many rows, of all columns of its table; errors as in `execute`."""
        with self._guarded():
            if not self.sqlite:
                # One statement for all rows: executing one for each costs more than the rows.
                columns = [list(column) for column in zip(*rows, strict=True)]
                self._connection.exec_driver_sql(of_arrays(statement, self.dialect), (*columns,))
                return
            # Many rows in one statement: each statement releases the interpreter lock, which has
            # to be waited for while other threads send.
            for start in range(0, len(rows), ROWS):
                some = rows[start : start + ROWS]
                values = tuple(itertools.chain.from_iterable(some))
                text = of_rows(statement, len(some), self.dialect)
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
                # Deleted texts also leave the log. Whoever reads or writes beside this one does so
                # too when it closes, so it is not waited for.
                self._connection.exec_driver_sql("PRAGMA busy_timeout=500")
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


def file_of(url: sa.URL) -> Path | None:
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


def json_list(texts: Iterable[str]) -> str:
    """Texts as the parameter of `Database.among`."""
    return orjson.dumps(list(texts)).decode()
