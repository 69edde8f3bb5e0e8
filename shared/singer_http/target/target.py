"""The target: Singer messages in; how a run begins and ends."""

from __future__ import annotations

import contextlib
import gc
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from functools import cached_property
from typing import IO, TYPE_CHECKING, Any, ClassVar

import click
from singer_sdk import Target
from singer_sdk.helpers.capabilities import PluginCapabilities, TargetCapabilities
from typing_extensions import override

from singer_http.errors import Cancelled, ConfigError, Interrupted, StopRun
from singer_http.files import write_whole
from singer_http.plugin.base import HTTPPlugin, fingerprint
from singer_http.plugin.settings import deciding
from singer_http.plugin.validation import is_secret
from singer_http.sink.base import HTTPSink
from singer_http.sink.overwrite import refuse
from singer_http.store import DATABASE_FILE
from singer_http.target.commands import carry_out, options, refuse_several
from singer_http.target.plan import Plan
from singer_http.target.reader import LineReader, read_batch, state_value

if TYPE_CHECKING:
    from singer_sdk.plugin_base import _ConfigInput

    from singer_http.report.counts import Report
    from singer_http.target.run import TargetRun
    from singer_http.target.takeover import EarlierAPI

CHECKPOINT = 60.0
"""Seconds between two moments at which everything is settled so that STATE can be written."""


class HTTPTarget(HTTPPlugin, Target):
    """A target of an HTTP API that delivers each record once, and reports each outcome."""

    sinks: ClassVar[tuple[type[HTTPSink], ...]]
    """One for each stream, in the order in which they are delivered."""
    account_by_key: bool = False
    """The account's default is made of the key: one that the ledger has not seen stops the run."""

    message_reader_class = LineReader
    message_reader: LineReader
    capabilities = [  # noqa: RUF012 - the SDK declares it so
        PluginCapabilities.ABOUT,
        PluginCapabilities.STREAM_MAPS,
        PluginCapabilities.FLATTENING,
        PluginCapabilities.STRUCTURED_LOGGING,
        TargetCapabilities.VALIDATE_RECORDS,
    ]

    @override
    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._state: bytes | None = None
        self._emitted: bytes | None = None
        self._checked_at = time.monotonic()
        self._read_since_state = True  # messages, after the last STATE

    # --- a run --------------------------------------------------------------------------------

    @override
    def next_run_goes_on(self) -> bool:
        # Lists and outstanding rejects come first in each run, and might use up a limit each time.
        return any(stream.counts.delivered for stream in [*self.report.streams.values()])

    @cached_property
    def report(self) -> Report:
        """The counts of this run."""
        from singer_http.report.counts import Report  # noqa: PLC0415 - `--about` starts without it

        return Report(
            self.name,
            self.plugin_version,
            account=self.account,
            sync=self.config["sync"],
            mode=self.config["mode"],
            dry_run=self.config["dry_run"],
            rate_limit=self.config.get("rate_limit") or "",
        )

    @property
    def plan(self) -> Plan:
        """What a run is about."""
        from singer_http.sink.suppressions import Suppressions  # noqa: PLC0415 - `--about` without

        return Plan(
            name=self.name,
            version=self.plugin_version,
            config=self.config,
            deciding=deciding(self.config, self.config_jsonschema),
            sinks=(Suppressions, *self.sinks),
            account=self.account,
            ledger_account=self.ledger_account,
            credential=self.credential if self.account_by_key else "",
            api_url=self.api_url,
            find_database=lambda: self.database_url,
            earlier_api=self.earlier_api,
            path=self.path,
        )

    @cached_property
    def run(self) -> TargetRun:
        """Database, workers and deliveries, opened at first use."""
        from singer_http.target.run import TargetRun  # noqa: PLC0415 - `--about` starts without it

        return TargetRun(self.plan, self.report, self.client, lambda: self.mapper, self.logger)

    @property
    def earlier_api(self) -> EarlierAPI | None:
        """How to know a ledger that was written through an earlier API of the vendor."""
        return None

    @cached_property
    @override
    def database_url(self) -> str:
        old = self.config.get("ledger_url")
        return super().database_url if old in (None, "", "none") else str(old)

    @property
    def credential(self) -> str:
        """A fingerprint of the key."""
        schema = self.config_jsonschema["properties"]
        required = self.config_jsonschema.get("required", ())
        return fingerprint(
            *(str(self.config.get(name)) for name in required if is_secret(schema[name]))
        )

    def check_settings(self) -> None:
        """Refuse settings that cannot be, before anything is read.

        Raises:
            ConfigError: with the setting to check.
        """
        mode, rows = self.config["mode"], self.config.get("batch_size_rows")
        if rows is not None and rows < 1:
            raise ConfigError(f"batch_size_rows is {rows}: a request holds at least 1 row.")
        if mode == "mirror" and not self.config.get("mirror_count"):
            raise ConfigError(
                "mode mirror needs mirror_count: the column that holds the extract's row count "
                "(count(*) over () in the view), or 'trust'."
            )
        new, old = self.config.get("database_url"), self.config.get("ledger_url")
        if new and old not in (None, "", "none", new):
            raise ConfigError(
                "database_url and ledger_url name two databases: ledger_url is the old name of "
                "database_url, so leave it out."
            )
        if mode == "mirror" and old == "none":
            raise ConfigError("mode mirror needs a ledger: ledger_url must not be 'none'.")
        if not any(sink.readable for sink in self.sinks):
            streams = " and ".join(sink.stream for sink in self.sinks)
            refuse(self.config["overwrite"], streams, "Leave the setting out.")
        if not any(mode in sink.modes for sink in self.sinks):
            modes = sorted({mode for sink in self.sinks for mode in sink.modes})
            raise ConfigError(f"mode {mode} is not possible here: use {' or '.join(modes)}.")

    def probe(self, sinks: Sequence[HTTPSink]) -> None:
        """Ask the vendor for something that only the right credentials get (for `--check`).

        Raises:
            StopRun: they are not the right ones, or there is no answer.
        """
        for sink in sinks:
            if sink.has_custom_fields:
                sink.account_fields()
                return

    @contextlib.contextmanager
    def _without_traces(self) -> Iterator[None]:
        """Write tokens and rate windows to a temporary database; no more than one retry."""
        with tempfile.TemporaryDirectory() as folder:
            self.database_url = f"sqlite:///{folder}/{DATABASE_FILE}"
            self._config |= {"max_retries": min(1, self.config["max_retries"]), "dry_run": True}
            yield

    # --- messages -----------------------------------------------------------------------------

    @override
    def _process_schema_message(self, message_dict: dict[str, Any]) -> None:
        reader = self.message_reader
        self.run.router.open(message_dict, reader.line, reader.number)

    @override
    def _process_record_message(self, message_dict: dict[str, Any]) -> None:
        reader = self.message_reader
        if "record" not in message_dict:
            raise StopRun(f"Line {reader.number}: the message has no 'record'.")
        self._take(message_dict.get("stream"), message_dict["record"], reader.line)

    def _take(self, stream: Any, record: Any, line: bytes) -> None:
        """Hand a record to its routes."""
        reader, run = self.message_reader, self.run
        try:
            routes = run.router.by_source[stream]
        except (KeyError, TypeError):
            raise self._no_schema(stream) from None
        self._read_since_state = True
        session = run.session
        if session.mirror is not None:
            session.mirror.count(stream, record if isinstance(record, dict) else {})
        if reader.problem is None:
            for route in routes:
                route.take(record, line)
        else:
            for route in routes:
                route.reject(record, line, reader.problem)
        session.check_signal()

    def _no_schema(self, stream: Any) -> StopRun:
        if not isinstance(stream, str):
            return StopRun(f"Line {self.message_reader.number}: the message has no 'stream'.")
        return StopRun(
            f"Line {self.message_reader.number}: a RECORD of stream {stream[:80]!r} came before "
            "its SCHEMA: the tap must send the SCHEMA first."
        )

    @override
    def _process_state_message(self, message_dict: dict[str, Any]) -> None:
        value = state_value(self.message_reader.line)
        if value is None:
            raise StopRun(f"Line {self.message_reader.number}: the STATE has no 'value'.")
        self._state, self._read_since_state = value, False
        if time.monotonic() - self._checked_at >= CHECKPOINT:
            self.checkpoint()

    @override
    def _process_activate_version_message(self, message_dict: dict[str, Any]) -> None:
        # It does not say which rows exist: an SDK tap sends it before the rows.
        self.logger.debug("ACTIVATE_VERSION has no meaning here and is ignored")

    @override
    def _process_batch_message(self, message_dict: dict[str, Any]) -> None:
        reader, stream = self.message_reader, message_dict.get("stream")
        records = read_batch(message_dict, reader.number)
        while True:
            reader.waiting = True  # for a disk that hangs, or a pipe: a signal ends it
            self.run.session.check_signal()
            found = next(records, None)
            reader.waiting = False
            if found is None:
                break
            reader.problem = found.problem
            self._take(stream, found.value, found.line)
        reader.problem = None

    @override
    def process_endofpipe(self) -> None:
        """Deliver what waited, what earlier runs left, and what a mirror removes."""
        self.run.session.check_signal()
        self.run.finish()
        self.checkpoint()

    def checkpoint(self) -> None:
        """Settle everything that was read; then STATE may be written."""
        self._checked_at = time.monotonic()
        run = self.run
        run.router.flush()
        run.session.store.commit()
        run.session.store.save_run(self.report.as_dict())
        run.session.export_rejects()
        settled = not run.router.spooled and not run.session.dry_run
        if settled and self._state is not None and self._state != self._emitted:
            write_whole(sys.stdout.buffer, self._state + b"\n")
            sys.stdout.buffer.flush()
            self._emitted = self._state

    # --- ends ---------------------------------------------------------------------------------

    @override
    def on_signal(self, signum: int) -> None:
        # While requests are in flight the signal is only noted: it is checked between batches.
        if "run" not in self.__dict__ or self.message_reader.waiting:
            raise Interrupted(signum)
        self.run.session.signal = signum
        self.cancel_requests()

    def deliver(self, file_input: IO[bytes] | None = None) -> None:
        """Read messages to their end, and leave a report whatever happens."""
        # Records have no reference cycles, so the cyclic collector runs rarely.
        gc.freeze()
        gc.set_threshold(100_000, 20, 50)
        error: BaseException | None = None
        try:
            self.check_settings()
            self.run.begin()
            self.client.on_request = self.report.timeline.note
            with self._progress():
                self.listen(file_input)  # type: ignore[arg-type]
        except Cancelled as cancelled:
            error = self._interrupted() or cancelled
        except BaseException as raised:  # noqa: BLE001 - raised again below
            error = raised
        error = self._end(error)
        if error is not None:
            raise error

    def _interrupted(self) -> Interrupted | None:
        """What ended the client, if a signal did."""
        run = self.__dict__.get("run")
        signal = run.session.signal if run else None
        return Interrupted(signal) if signal is not None else None

    def _end(self, error: BaseException | None) -> BaseException | None:
        """Settle, close, report; the error that the run ends with."""
        from singer_http.target.ending import end  # noqa: PLC0415 - `--about` starts without it

        self.report.input_complete = not self._read_since_state and self._state is not None
        return end(self.plan, self.report, self.__dict__.get("run"), error, self.logger)

    def _progress(self) -> AbstractContextManager[None]:
        if not sys.stderr.isatty():
            return contextlib.nullcontext()
        from singer_http.report.progress import Progress  # noqa: PLC0415 - on a terminal only

        return Progress(self.report, self.config.get("rate_limit") or "")

    # --- command line -------------------------------------------------------------------------

    @classmethod
    @override
    def invoke(  # type: ignore[override]
        cls,
        *,
        about: bool = False,
        about_format: str | None = None,
        config: _ConfigInput | None = None,
        file_input: IO[bytes] | None = None,
        **commands: Any,
    ) -> None:
        super(Target, cls).invoke(about=about, about_format=about_format)
        cls.print_version(print_fn=cls.logger.info)
        refuse_several(commands, file_input)
        given, env = config.config if config else {}, bool(config and config.parse_env)
        try:
            target = cls(config=given, parse_env_config=env)
        except ConfigError as error:
            if not any(commands.values()):
                cls._end_unmade(error, given, env)
            raise
        well = target._carry_out(commands)
        if well is not None:
            sys.exit(0 if well else 1)
        target.deliver(file_input)

    @classmethod
    def _end_unmade(cls, error: ConfigError, given: dict[str, Any], env: bool) -> None:
        """Leave a report of a run whose settings are refused, if they allow that much."""
        with contextlib.suppress(Exception):
            cls.unchecked(given, env)._end(error)

    def _carry_out(self, commands: dict[str, Any]) -> bool | None:
        """Carry out a command that is no run; whether all went well, `None` if there is none."""
        if commands.get("check"):
            from singer_http.target.check import check  # noqa: PLC0415 - rarely needed

            with self._without_traces():
                return check(self)
        return carry_out(self, commands)

    @classmethod
    @override
    def get_singer_command(cls) -> click.Command:
        command = super().get_singer_command()
        for parameter in command.params:
            if parameter.name == "file_input":
                parameter.type = click.File("rb")
        command.params += options()
        return command
