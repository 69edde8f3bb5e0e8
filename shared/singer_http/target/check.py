"""`target-x --check`: what would stop a run? A list of ticks on stderr; nothing is written.

What depends on the records' columns, which only a run sees, is printed as a note.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import sqlite3
import sys
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol
from urllib.parse import quote

import sqlalchemy as sa

from singer_http.errors import (
    BadCredentials,
    ConfigError,
    Refused,
    SingerHTTPError,
    one_line,
)
from singer_http.plugin.validation import EVERY_FIELD
from singer_http.report.notify import check_addresses
from singer_http.sink import suppression_file
from singer_http.sink.context import SinkContext
from singer_http.sink.kinds import check_overwrite
from singer_http.sink.overwrite import restricts
from singer_http.store import DATABASE_FILE
from singer_http.store.scopes import accounts_of, guard_key
from singer_http.store.server import parse_url, require_unicode
from singer_http.store.suppressions import STREAM, number_of_suppressed
from singer_http.store.tables import (
    VERSION,
    claims,
    delivered,
    is_same,
    meta,
    metadata,
    same,
    scopes,
)

if TYPE_CHECKING:
    import logging
    from collections.abc import Mapping

    from singer_http.http.client import Client
    from singer_http.report.counts import Report
    from singer_http.sink.base import HTTPSink

MAY_WRITE = sa.text(
    "SELECT current_setting('transaction_read_only') = 'off' AND bool_and("
    "has_table_privilege(name, 'INSERT') AND has_table_privilege(name, 'UPDATE')"
    " AND has_table_privilege(name, 'DELETE')) "
    "FROM unnest(CAST(:names AS text[])) AS names (name) WHERE to_regclass(name) IS NOT NULL"
)
"""PostgreSQL: whether the user may write into those of our tables that are there."""
ROOM = 16 * 1024 * 1024
"""Bytes of free space in `work_dir` below which a run is not worth beginning."""


def check(target: _Checked) -> bool:
    """Carry out all checks; whether all went well."""
    return Check(target).run()


class _Checked(Protocol):
    """What a check reads of a target and calls."""

    @property
    def name(self) -> str: ...
    @property
    def plugin_version(self) -> str: ...
    @property
    def config(self) -> Mapping[str, Any]: ...
    @property
    def logger(self) -> logging.Logger: ...
    @property
    def client(self) -> Client: ...
    @property
    def report(self) -> Report: ...
    @property
    def sinks(self) -> Sequence[type[HTTPSink]]: ...
    @property
    def api_url(self) -> str: ...
    @property
    def credential(self) -> str: ...
    @property
    def ledger_account(self) -> str: ...
    @property
    def account_by_key(self) -> bool: ...
    @property
    def work_path(self) -> Path: ...
    def check_settings(self) -> None: ...
    def probe(self, sinks: Sequence[HTTPSink]) -> None: ...


class Check:
    """One list of ticks."""

    def __init__(self, target: _Checked) -> None:
        self._target = target
        self._work_dir = target.work_path
        self._well = True
        self._sinks: list[HTTPSink] = []
        self._notes: list[str] = []
        self._asked = 0
        self._refusal: BadCredentials | None = None

    def run(self) -> bool:
        """Print the ticks."""
        target = self._target
        self._line(f"{target.name} {target.plugin_version}")
        self._tick("settings", self._settings)
        self._tick("work_dir", self._folder)
        self._tick("ledger", self._ledger)
        self._tick("suppression", self._suppression)
        if self._tick("address", self._address) and self._tick("credentials", self._credentials):
            for sink in self._sinks:
                if sink.has_custom_fields:
                    self._tick(f"custom fields, {sink.stream}", partial(_fields, sink))
            self._check_overwrite()
        if addresses := target.config.get("notify"):
            self._tick("notify", partial(check_addresses, addresses, target.name))
        for note in self._notes:
            self._line(f"Note: {one_line(note, 500)}")
        target.client.close()
        return self._well

    def _tick(self, name: str, look: Callable[[], str]) -> bool:
        try:
            words, well = look(), True
        except Refused as error:
            words, well = f"the vendor refused: HTTP {error.status}: {error.reason}", False
        except SingerHTTPError as error:
            words, well = str(error), False
        self._well = self._well and well
        self._line(f"  {_mark(well=well)} {name}: {one_line(words, 500)}")
        return well

    @staticmethod
    def _line(text: str) -> None:
        print(text, file=sys.stderr)  # noqa: T201 - stdout is for Singer messages

    def _settings(self) -> str:
        target = self._target
        target.check_settings()
        mode = target.config["mode"]
        streams = [sink.stream for sink in target.sinks if mode in sink.modes]
        return f"mode {mode} for {', '.join(streams)}"

    def _folder(self) -> str:
        """The folder that exists or would be made; no file is written."""
        path = self._work_dir
        there = next(p for p in (path, *path.parents) if p.exists())
        if not there.is_dir() or not os.access(there, os.W_OK | os.X_OK):
            raise ConfigError(f"{path} cannot be written: see work_dir and the rights of {there}")
        if (free := shutil.disk_usage(there).free) < ROOM:
            raise ConfigError(f"{path} has only {free // 1024:,} KB left")
        return f"{path}" if there == path else f"{path} will be made"

    def _ledger(self) -> str:
        target = self._target
        url = target.config.get("database_url")
        old = target.config.get("ledger_url")
        if old == "none":
            once = [sink.stream for sink in target.sinks if sink.at_most_once]
            if once:
                self._notes.append(
                    f"{', '.join(once)}: a run with this stream stops, because it is sent at most "
                    "once, which needs a ledger: ledger_url must not be 'none'."
                )
            return "none is kept (ledger_url)"
        with _opened(url or old, self._work_dir / DATABASE_FILE) as connection:
            return "will be made" if connection is None else self._contents(connection)

    def _suppression(self) -> str:
        """Who must not be reached: the files are read as a run reads them."""
        target, config = self._target, self._target.config
        region = config.get("phone_region")
        numbers = {
            path: sum(1 for _ in suppression_file.read([path], region))
            for path in suppression_file.paths(config.get("suppression"))
        }
        url = config.get("database_url") or config.get("ledger_url")
        default = self._work_dir / DATABASE_FILE
        with _opened(None if url == "none" else url, default) as connection:
            if connection is not None and sa.inspect(connection).has_table(claims.name):
                account, column = target.ledger_account, scopes.c.account
                known = sa.inspect(connection).has_table(same.name)
                whose = is_same(column, account) if known else column == account
                number = connection.scalar(number_of_suppressed(whose))
                numbers |= {f"stream {STREAM}": number} if number else {}
        return suppression_file.described(numbers) if numbers else "nobody"

    def _contents(self, connection: sa.Connection) -> str:
        kind = "SQLite" if connection.dialect.name == "sqlite" else "PostgreSQL"
        if kind == "PostgreSQL":
            require_unicode(connection)
        if not sa.inspect(connection).has_table(meta.name):
            may = sa.text("SELECT has_schema_privilege(current_schema(), 'CREATE')")
            if kind == "PostgreSQL" and not connection.scalar(may):
                raise ConfigError("the user may not make tables: grant CREATE on the schema")
            return f"{kind}, its tables will be made"
        if kind == "PostgreSQL" and not connection.scalar(MAY_WRITE, {"names": [*metadata.tables]}):
            raise ConfigError(
                "the user may not write: grant INSERT, UPDATE and DELETE on all tables, and check "
                "whether the database is read-only"
            )
        stated = connection.scalar(sa.select(meta.c.value).where(meta.c.name == "version"))
        version = int(stated or VERSION)
        if version > VERSION:
            raise ConfigError(f"of a later release (version {version}): upgrade this plugin")
        rows = connection.scalar(sa.select(sa.func.count()).select_from(delivered))
        target = self._target
        if target.account_by_key and not target.config.get("account"):
            guard_key(connection.execute(accounts_of(target.name)).all(), target.credential)
        later = "" if version == VERSION else ", will be brought up to date"
        return f"{kind}, {rows:,} records known{later}"

    def _address(self) -> str:
        """Whether the vendor answers; a refusal of the credentials is kept for the next tick."""
        target = self._target
        target.client.on_request = self._count
        try:
            self._sinks = [self._sink(kind) for kind in target.sinks]
            target.probe(self._sinks)
        except BadCredentials as error:
            self._refusal = error
        return f"{target.api_url} answers" if self._asked else f"{target.api_url}, not tried"

    def _credentials(self) -> str:
        if self._refusal is not None:
            raise self._refusal
        return "accepted" if self._asked else "not tried: this vendor has nothing to read"

    def _check_overwrite(self) -> None:
        """Whether the setting names fields: a policy for a misspelt one would protect nothing."""
        setting = self._target.config.get("overwrite") or {}
        for sink in self._sinks if restricts(setting) or setting.keys() - {EVERY_FIELD} else ():
            if sink.readable and self._target.config["unknown_fields"] != "send":
                self._tick(f"overwrite, {sink.stream}", partial(_overwrite, sink))
                continue
            # A column that the vendor does not know is a field then: only a run sees the columns.
            try:
                check_overwrite(sink)
            except ConfigError as error:
                unless = " unless that is a column of it" if sink.readable else ""
                self._notes.append(f"a run with {sink.stream} stops{unless}: {error}")

    def _context(self) -> SinkContext:
        target = self._target
        return SinkContext(
            config=target.config,
            deciding={},
            client=target.client,
            logger=target.logger,
            api_url=target.api_url,
            version=target.plugin_version,
            ledger=NoLedger(),
            counts=lambda stream: target.report.stream(stream).counts,
        )

    def _sink(self, kind: type[HTTPSink]) -> HTTPSink:
        """The sink as a SCHEMA without columns opens it.

        Raises:
            ConfigError: whatever columns come, a run stops here.
        """
        try:
            return kind(self._context(), {"properties": {}}, ())
        except ConfigError as error:
            if not kind.supposed:
                raise
            sink = kind(self._context(), {"properties": {name: {} for name in kind.supposed}}, ())
            self._notes.append(
                f"a run stops unless the records have the column {' or '.join(kind.supposed)}: "
                f"{error}"
            )
            return sink

    def _count(self, first: bool) -> None:
        self._asked += first


class NoLedger:
    """A view of a ledger that knows nothing."""

    def find(self, stream: str, identity: str) -> str | None:  # noqa: ARG002 - as a view has it
        """Find nothing."""
        return None


def _fields(sink: HTTPSink) -> str:
    # By convention a field's last name is the one that people see.
    names = [field.names[-1] for field in sink.account_fields().fields]
    shown = ", ".join(names[:8])
    return f"{len(names)} ({shown}{', ...' if len(names) > 8 else ''})" if names else "none"


def _overwrite(sink: HTTPSink) -> str:
    check_overwrite(sink)
    return ", ".join(f"{name}: {policy}" for name, policy in sink.config["overwrite"].items())


def _mark(*, well: bool) -> str:
    mark, plain = ("\N{CHECK MARK}", "ok") if well else ("\N{BALLOT X}", "FAILED")
    try:
        mark.encode(sys.stderr.encoding or "ascii")
    except (UnicodeEncodeError, LookupError):
        return plain
    return mark


@contextlib.contextmanager
def _opened(url: str | None, default: Path) -> Iterator[sa.Connection | None]:
    """A ledger to read from, which is not written to; `None` if there is none yet.

    Raises:
        ConfigError: it cannot be read.
    """
    try:
        parsed = parse_url(url or f"sqlite:///{default}")
        if parsed.get_backend_name() == "sqlite":
            path = Path(parsed.database or default)
            if not path.exists():
                yield None
                return
            # Without a log beside it no process is writing: it can be read without making one.
            log = path.with_name(f"{path.name}-wal")
            still = "" if log.exists() else "&immutable=1"
            name = f"file:{quote(str(path.absolute()))}?mode=ro{still}"
            engine = sa.create_engine("sqlite://", creator=lambda: sqlite3.connect(name, uri=True))
        else:
            engine = sa.create_engine(parsed)
        with engine.connect() as connection:
            yield connection
        engine.dispose()
    except ModuleNotFoundError as error:
        raise ConfigError(f"database_url needs the package {error.name}: install it") from None
    except (sa.exc.SQLAlchemyError, OSError) as error:
        cause = one_line(str(getattr(error, "orig", None) or error), 200)
        raise ConfigError(f"cannot be read ({cause}): check database_url") from None
