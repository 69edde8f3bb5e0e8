"""The ledger's database: opened, brought up to date, and read and written with clear errors."""

from __future__ import annotations

import functools
import hashlib
import itertools
import os
import secrets
import sqlite3
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.exc import SQLAlchemyError

from singer_http.errors import ConfigError, StopRun
from singer_http.store.tables import MIGRATIONS, VERSION, meta, metadata, set_up_sqlite

Row = tuple[Any, ...]

ROWS = 100
"""In one INSERT, at most."""
TRIES = 5
"""Times that the tables are looked for, a fifth of a second apart."""


class Database:
    """One connection to SQLite or PostgreSQL, with the ledger's tables.

    Raises:
        ConfigError: it cannot be opened or written; the line names the setting.
    """

    def __init__(self, url: str, *, discard: bool) -> None:
        """Open it, and make or migrate the tables.

        Args:
            url: any SQLAlchemy URL of SQLite or PostgreSQL.
            discard: leave no trace: SQLite is copied, PostgreSQL never commits.
        """
        self._discard = discard
        self._copy: Path | None = None
        try:
            self._engine = self._open(url)
            self.dialect = self._engine.dialect
            self.sqlite = self.dialect.name == "sqlite"
            self._connection = self._engine.connect()
            self.salt = self._prepare()
            """Of the hashes in this ledger: 16 bytes."""
        except ModuleNotFoundError as error:
            raise ConfigError(
                f"ledger_url needs the package {error.name}: install it beside the plugin "
                "(pip install 'psycopg[binary]')."
            ) from None
        except (SQLAlchemyError, OSError, sqlite3.Error) as error:
            raise ConfigError(
                f"The ledger cannot be opened ({_words(error)}): check `ledger_url` and that "
                "`work_dir` can be written; nothing was sent."
            ) from None

    def _open(self, url: str) -> sa.Engine:
        parsed = sa.make_url(url)
        if parsed.get_backend_name() == "sqlite" and self._discard:
            descriptor, name = tempfile.mkstemp(suffix=".ledger")
            os.close(descriptor)
            self._copy = Path(name)
            original = parsed.database
            if original and Path(original).exists():
                with (
                    sqlite3.connect(f"file:{original}?mode=ro", uri=True) as source,
                    sqlite3.connect(name) as copy,
                ):
                    source.backup(copy)
            parsed = sa.make_url(f"sqlite:///{name}")
        elif parsed.get_backend_name() == "sqlite" and parsed.database:
            Path(parsed.database).touch(mode=0o600)
        elif parsed.get_backend_name() == "postgresql" and parsed.drivername == "postgresql":
            parsed = parsed.set(drivername="postgresql+psycopg")
        engine = sa.create_engine(parsed)
        if engine.dialect.name == "sqlite":
            sa.event.listen(engine, "connect", set_up_sqlite)
        elif engine.dialect.name != "postgresql":
            raise ConfigError(
                f"`ledger_url` is for {engine.dialect.name}: the ledger keeps to SQLite and "
                "PostgreSQL."
            )
        return engine

    def _prepare(self) -> bytes:
        """Make the tables if they are not there; two first runs at once may both try."""
        for _ in range(TRIES - 1):
            with suppress(SQLAlchemyError, StopRun):
                return self._create()
            self._connection.rollback()
            time.sleep(0.2)
        return self._create()

    def _create(self) -> bytes:
        metadata.create_all(self._connection)
        values: dict[str, str] = dict(self.execute(sa.select(meta)).all())
        if not values:
            values = {"version": str(VERSION), "salt": secrets.token_hex(16)}
            rows = [{"name": name, "value": value} for name, value in values.items()]
            self.execute(meta.insert(), rows)
        self._migrate(int(values["version"]))
        self.commit()
        return bytes.fromhex(values["salt"])

    def _migrate(self, version: int) -> None:
        if version > VERSION:
            raise ConfigError(
                f"The ledger was written by a later release (version {version}, this one knows "
                f"{VERSION}): upgrade this plugin, or set another `ledger_url`."
            )
        for step in range(version, VERSION):
            for statement in MIGRATIONS[step]:
                self._connection.exec_driver_sql(statement)
            self.execute(meta.update().where(meta.c.name == "version").values(value=str(step + 1)))

    def claim(self, name: str) -> bool:
        """Hold a name in the database until `close`; `False` if another process holds it.

        SQLite lies in a `work_dir`, where a file is locked; PostgreSQL may serve several machines.
        """
        if self.sqlite or self._discard:
            return True
        number = int.from_bytes(hashlib.blake2b(name.encode(), digest_size=7).digest())
        held = self.execute(sa.select(sa.func.pg_try_advisory_lock(number)))
        return bool(held.scalar_one())

    def require_durable(self) -> None:
        """Commits reach the disk from now on; call it between transactions."""
        if self.sqlite:
            self._connection.exec_driver_sql("PRAGMA synchronous=FULL")
            self.commit()

    def execute(self, statement: Any, parameters: Any = None) -> Any:
        """Run a statement.

        Raises:
            StopRun: the disk is full, the database locked or gone.
        """
        with self._guarded():
            return self._connection.execute(statement, parameters)

    def insert_many(self, statement: sa.Insert, rows: Sequence[Row]) -> None:
        """Run an INSERT for many rows, of all columns of its table; errors as in `execute`."""
        with self._guarded():
            if not self.sqlite:
                names = statement.table.columns.keys()
                named = [dict(zip(names, row, strict=True)) for row in rows]
                self._connection.execute(statement, named)
                return
            # Many rows in one statement: for each statement, the interpreter is let go of, and
            # has to be waited for while other threads send.
            for start in range(0, len(rows), ROWS):
                some = rows[start : start + ROWS]
                values = tuple(itertools.chain.from_iterable(some))
                text = _of_rows(statement, len(some), self.dialect)
                self._connection.exec_driver_sql(text, values)

    def commit(self) -> None:
        """Commit; errors as in `execute`."""
        if self._discard and not self.sqlite:
            return
        with self._guarded():
            self._connection.commit()

    @contextmanager
    def _guarded(self) -> Iterator[None]:
        """Say in one line what the database refuses, a full disk above all."""
        try:
            yield
        except SQLAlchemyError as error:
            self._connection.rollback()
            raise StopRun(
                f"The ledger cannot be used ({_words(error)}): free some space or check "
                "`ledger_url`; what was sent stays marked as pending, and the next run settles it."
            ) from None

    def close(self) -> None:
        """Close it; a copy is removed."""
        self._connection.close()
        self._engine.dispose()
        if self._copy:
            for suffix in ("", "-wal", "-shm"):
                Path(f"{self._copy}{suffix}").unlink(missing_ok=True)


@functools.lru_cache(ROWS)
def _of_rows(statement: sa.Insert, number: int, dialect: sa.Dialect) -> str:
    """An INSERT of so many rows in the database's own words: compiling it takes longer than it."""
    row: dict[str, Any] = dict.fromkeys(statement.table.columns.keys())
    return str(statement.values([row] * number).compile(dialect=dialect))


def _words(error: BaseException) -> str:
    return str(getattr(error, "orig", None) or error).splitlines()[0]
