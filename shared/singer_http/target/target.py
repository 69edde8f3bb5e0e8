"""The target: Singer messages in; streams find their sinks, and a run its end."""

from __future__ import annotations

import contextlib
import gc
import gzip
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager
from functools import cached_property
from typing import IO, TYPE_CHECKING, Any, ClassVar

import click
import msgspec
import orjson
from singer_sdk import Target
from singer_sdk.helpers.capabilities import PluginCapabilities, TargetCapabilities
from typing_extensions import override

from singer_http.errors import ConfigError, Interrupted, StopRun, one_line
from singer_http.plugin.base import HTTPPlugin, fingerprint
from singer_http.plugin.validation import is_secret
from singer_http.target.reader import LineReader
from singer_http.target.router import Routes

if TYPE_CHECKING:
    from collections.abc import Sequence

    from singer_sdk.plugin_base import _ConfigInput

    from singer_http.report.counts import Report
    from singer_http.report.rejects_summary import Rejected
    from singer_http.sink.base import HTTPSink
    from singer_http.target.run import Run

CHECKPOINT = 60.0
"""Seconds between two moments at which everything is settled so that STATE can go out."""


class HTTPTarget(HTTPPlugin, Target):
    """A target of an HTTP API that delivers each record once, and can say what became of it."""

    sinks: ClassVar[tuple[type[HTTPSink], ...]]
    """One for each stream, in the order in which they are delivered."""
    account_by_key: ClassVar[bool] = False
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
        self._state: Any = None
        self._emitted: Any = None
        self._checked_at = time.monotonic()

    # --- a run --------------------------------------------------------------------------------

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

    @cached_property
    def run(self) -> Run:
        """The run's ledger, rejects and workers, opened at first use."""
        from singer_http.target.run import Run  # noqa: PLC0415 - `--about` starts without it

        run = Run(
            self.config, self.report, self.logger, self.work_dir, self.name, self.ledger_account
        )
        if run.has_ledger and self.account_by_key:
            self._guard_account(run)
        return run

    @cached_property
    def routes(self) -> Routes:
        """Where the records of each source stream go."""
        return Routes(self)

    @property
    def ledger_account(self) -> str:
        """Whose rows these are in the ledger: the account, and the server that it is on."""
        return f"{self.account} {self.api_url.partition('://')[2]}"

    @property
    def credential(self) -> str:
        """A fingerprint of the key."""
        schema = self.config_jsonschema["properties"]
        required = self.config_jsonschema.get("required", ())
        return fingerprint(
            *(str(self.config.get(name)) for name in required if is_secret(schema[name]))
        )

    def _guard_account(self, run: Run) -> None:
        """Stop if the key is new where the ledger knows another one."""
        credential = self.credential
        others = run.ledger.remember_account(self.name, credential, self.account)
        if not others:
            return
        if not self.config.get("account"):
            run.close()
            raise ConfigError(
                "The ledger has not seen this key, but another one: set account to "
                f"{' or '.join(others)} if the key was renewed, or to a new name if this is "
                "another account. Nothing was sent."
            )
        run.ledger.confirm_account(self.name, credential, self.account)

    def check_settings(self) -> None:
        """Refuse settings that cannot be, before anything is read.

        Raises:
            ConfigError: with the setting to look at.
        """
        mode = self.config["mode"]
        if mode == "mirror" and not self.config.get("mirror_count"):
            raise ConfigError(
                "mode mirror needs mirror_count: the column that holds the extract's row count "
                "(count(*) over () in the view), or 'trust'."
            )
        if mode == "mirror" and self.config.get("ledger_url") == "none":
            raise ConfigError("mode mirror needs a ledger: ledger_url must not be 'none'.")
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

    # --- messages -----------------------------------------------------------------------------

    @override
    def _process_schema_message(self, message_dict: dict[str, Any]) -> None:
        self.routes.open(message_dict, self.message_reader.line)

    @override
    def _process_record_message(self, message_dict: dict[str, Any]) -> None:
        try:
            routes = self.routes.of[message_dict["stream"]]
            record = message_dict["record"]
        except KeyError as error:
            raise self._misplaced(error) from None
        if not isinstance(record, dict):
            raise StopRun(f"Line {self.message_reader.number}: the record is not an object.")
        self.report.input_complete = False
        run = self.run
        if run.mirror is not None:
            run.mirror.count(message_dict["stream"], record)
        for route in routes:
            route.take(record, self.message_reader.line)
        if run.signal is not None:
            run.check_signal()

    def _misplaced(self, error: KeyError) -> StopRun:
        missing = error.args[0]
        if missing in {"stream", "record"}:
            return StopRun(f"Line {self.message_reader.number}: the message has no {missing!r}.")
        return StopRun(
            f"Line {self.message_reader.number}: a RECORD of stream {missing!r} came before its "
            "SCHEMA: the tap must send the SCHEMA first."
        )

    @override
    def _process_state_message(self, message_dict: dict[str, Any]) -> None:
        if "value" not in message_dict:
            raise StopRun(f"Line {self.message_reader.number}: the STATE has no 'value'.")
        self._state = message_dict["value"]
        self.report.input_complete = True
        if time.monotonic() - self._checked_at >= CHECKPOINT:
            self.checkpoint()

    @override
    def _process_activate_version_message(self, message_dict: dict[str, Any]) -> None:
        # It says nothing about which rows are there: an SDK tap sends it before they come.
        self.logger.debug("ACTIVATE_VERSION has no meaning here and is passed over")

    @override
    def _process_batch_message(self, message_dict: dict[str, Any]) -> None:
        stream = message_dict["stream"]
        for record in read_batch(message_dict):
            line = orjson.dumps({"type": "RECORD", "stream": stream, "record": record}, default=str)
            self.message_reader.line = line
            self._process_record_message({"stream": stream, "record": record})

    @override
    def process_endofpipe(self) -> None:
        """See everything through: what waited, what earlier runs left, what a mirror removes."""
        self.run.check_signal()
        self.routes.open_earlier()
        self.routes.finish()
        self.checkpoint()

    def checkpoint(self) -> None:
        """Settle everything that came; then STATE may say so."""
        self._checked_at = time.monotonic()
        self.routes.drain()
        run = self.run
        run.rejects.write(self.routes.schemas)
        run.ledger.commit()
        settled = not self.routes.spooled and not run.dry_run
        if settled and self._state is not None and self._state != self._emitted:
            sys.stdout.buffer.write(msgspec.json.encode(self._state) + b"\n")
            sys.stdout.buffer.flush()
            self._emitted = self._state

    # --- ends ---------------------------------------------------------------------------------

    @override
    def on_signal(self, signum: int) -> None:
        # While requests are in flight the signal is only noted: it is looked at between batches.
        if "run" not in self.__dict__ or self.message_reader.waiting:
            raise Interrupted(signum)
        self.run.signal = signum
        if "client" in self.__dict__:
            # Not from here: the handler may have come upon the very lock that `stop` takes.
            threading.Thread(target=self.client.stop, daemon=True).start()

    def deliver(self, file_input: IO[bytes] | None = None) -> None:
        """Read messages to their end, and leave everything explained whatever happens."""
        self.check_settings()
        # Records are no garbage to look for: what a run makes is freed by counting references.
        gc.freeze()
        gc.set_threshold(100_000, 20, 50)
        try:
            _ = self.run
            self.client.on_request = self.report.timeline.note
            with self._progress():
                self.listen(file_input)  # type: ignore[arg-type]
        except BaseException as error:
            self._end(error)
            raise
        self._end(None)

    def _end(self, error: BaseException | None) -> None:
        outcome, text = "ok", None
        if error is not None:
            outcome = "stopped" if isinstance(error, StopRun | Interrupted) else "failed"
            text = "ended by a signal" if isinstance(error, Interrupted) else one_line(str(error))
        run = self.__dict__.get("run")
        if run is None:
            return
        lines = self._settle_and_close(run, outcome, text)
        try:
            self.report.write(self.work_dir / f"{self._stem}.report.json")
        except OSError as problem:
            self.logger.warning("The report could not be written: %s", problem.strerror)
        if self.report.streams:
            lines.insert(0, self.report.table())
        print("\n".join(lines), file=sys.stderr)  # noqa: T201 - the user's summary

    def _explain(self, run: Run) -> list[str]:
        """Write the page; the run's last lines."""
        # `--about` starts without them.
        from singer_http.report import page as report_page  # noqa: PLC0415
        from singer_http.report.rejects_summary import summarise  # noqa: PLC0415
        from singer_http.report.table import closing_lines  # noqa: PLC0415

        stored = self.report.as_stored()
        summary = summarise(self._rejected(run), run.rejects.path)
        path = self.work_dir / f"{self._stem}.report.html"
        try:
            report_page.write(path, stored, summary)
        except Exception as error:  # noqa: BLE001 - a page is no reason for a run to fail
            self.logger.warning("The report's page could not be written: %s", error)
            return closing_lines(stored, summary)
        return closing_lines(stored, summary, page=path)

    def _rejected(self, run: Run) -> Iterator[Rejected]:
        from singer_http.report.rejects_summary import Rejected  # noqa: PLC0415 - as above

        routes = [route for routes in self.routes.of.values() for route in routes]
        standing = {route.delivery.sink.stream: route.delivery.standing for route in routes}
        for number, line, stream, key in run.rejects.listed():
            known = standing.get(stream)
            readable = known is not None and known.stored_key(key) == key
            name = stream or msgspec.json.decode(line)["stream"]
            yield Rejected(line, name, key.partition("\n")[0] if readable else None, number)

    def _progress(self) -> AbstractContextManager[None]:
        if not sys.stderr.isatty():
            return contextlib.nullcontext()
        from singer_http.report.progress import Progress  # noqa: PLC0415 - on a terminal only

        return Progress(self.report, self.config.get("rate_limit") or "")

    def _settle_and_close(self, run: Run, outcome: str, text: str | None) -> list[str]:
        lines: list[str] = []
        try:
            self.client.stop()
            run.settle_in_flight()
            run.rejects.write(self.routes.schemas)
            run.ledger.commit()
        except StopRun as error:
            self.logger.error("%s", error)
        finally:
            self.report.finish(outcome, text)
            lines = self._explain(run)
            run.close()
            self.client.close()
        return lines

    @property
    def _stem(self) -> str:
        sync = self.config["sync"]
        return self.name if sync == "default" else f"{self.name}.{sync}"

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
        check: bool = False,
    ) -> None:
        super(Target, cls).invoke(about=about, about_format=about_format)
        cls.print_version(print_fn=cls.logger.info)
        target = cls(
            config=config.config if config else {},
            parse_env_config=bool(config and config.parse_env),
        )
        if check:
            from singer_http.target.check import check as carry_out  # noqa: PLC0415 - rarely needed

            sys.exit(0 if carry_out(target) else 1)
        target.deliver(file_input)

    @classmethod
    @override
    def get_singer_command(cls) -> click.Command:
        command = super().get_singer_command()
        for parameter in command.params:
            if parameter.name == "file_input":
                parameter.type = click.File("rb")
        words = "Try settings, credentials, ledger and work_dir; send and write nothing."
        command.params.append(click.Option(["--check"], is_flag=True, help=words))
        return command


def read_batch(message: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The records of a BATCH message's files (jsonl, gzip or plain).

    Raises:
        StopRun: another encoding, or a file that cannot be read.
    """
    from singer_sdk.helpers._batch import StorageTarget  # noqa: PLC0415 - rarely needed

    encoding = message.get("encoding", {})
    if encoding.get("format") != "jsonl":
        raise StopRun(f"A BATCH of format {encoding.get('format')!r} came; only jsonl is read.")
    for path in message.get("manifest", ()):
        head, tail = StorageTarget.split_url(path)
        try:
            with (
                StorageTarget.from_url(head).open(tail, mode="rb") as raw,
                gzip.open(raw) if encoding.get("compression") == "gzip" else raw as lines,
            ):
                yield from (msgspec.json.decode(line) for line in lines if line.strip())
        except (OSError, msgspec.DecodeError) as error:
            raise StopRun(f"The BATCH file {path} cannot be read: {error}") from None
