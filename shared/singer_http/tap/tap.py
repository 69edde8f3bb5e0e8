"""A tap of an HTTP API: what the taps share."""

from __future__ import annotations

import gc
import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from decimal import Decimal
from functools import cached_property
from typing import IO, TYPE_CHECKING, Any, ClassVar

import click
from singer_sdk import Tap
from typing_extensions import override

from singer_http.errors import ConfigError, Interrupted, StopRun
from singer_http.plugin.base import HTTPPlugin
from singer_http.tap.prefetch import Prefetcher
from singer_http.tap.writer import PageWriter

if TYPE_CHECKING:
    from singer_sdk import Stream
    from singer_sdk.plugin_base import _ConfigInput

    from singer_http.http.client import Client
    from singer_http.tap.ending import TapReport


class HTTPTap(HTTPPlugin, Tap):
    """A tap whose streams are `HTTPStream`s. A subclass sets `stream_types`."""

    message_writer_class = PageWriter
    message_writer: PageWriter

    stream_types: ClassVar[tuple[type[Stream], ...]] = ()
    """The streams, each made once."""

    _signal: int | None = None
    _busy = 0
    _torn = False
    """A signal ended a write in its middle: no STATE fits what came out any more."""
    _batching = False

    def __init__(self, **kwargs: Any) -> None:
        """Keep signals out of the writer.

        Raises:
            ConfigError: a setting is missing or wrong.
        """
        super().__init__(**kwargs)
        self.message_writer.guard = self.uninterrupted

    @override
    def discover_streams(self) -> Sequence[Stream]:
        return [stream(self) for stream in self.stream_types]

    @cached_property
    def report(self) -> TapReport:
        """What this run read."""
        from singer_http.tap.ending import TapReport  # noqa: PLC0415 - `--about` starts without it

        return TapReport(self)

    @cached_property
    @override
    def client(self) -> Client:
        client = super().client
        client.on_request = self.report.timeline.note
        return client

    def read(self) -> None:
        """Read what is selected, and leave a report whatever happens."""
        with self.report:
            self.sync_all()

    @cached_property
    def prefetcher(self) -> Prefetcher:
        """The threads that fetch pages before they are needed."""
        return Prefetcher(int(self.config["concurrency"]))

    def write(self, lines: bytes) -> None:
        """Write encoded messages, each with its line break."""
        self.message_writer.write(lines)

    def flush(self) -> None:
        """Let everything that was written be read."""
        self.message_writer.flush()

    @contextmanager
    def uninterrupted(self) -> Iterator[None]:
        """Let a signal wait until records and bookmarks fit together."""
        self._busy += 1
        try:
            yield
        finally:
            self._busy -= 1
        if self._signal is not None and not self._busy:
            self._end(self._signal)

    @contextmanager
    def batching(self) -> Iterator[None]:
        """Let a signal write no STATE: bookmarks are ahead of the BATCH messages."""
        self._batching = True
        try:
            yield
        finally:
            self._batching = False

    @override
    def on_signal(self, signum: int) -> None:
        # A second signal does not wait: the reader of stdout may have stopped reading.
        if self._busy and self._signal is None:
            self._signal = signum
            return
        self._end(signum)

    def _end(self, signum: int) -> None:
        """Write the STATE that fits the records that were written, and end."""
        self.cancel_requests()
        self._signal = None
        self._torn = self._torn or self._busy > 0
        fits = not self._torn and not self._batching
        if fits and hasattr(self, "state_writer") and self.state:
            self.state_writer.write_state(self.state)
        raise Interrupted(signum)

    @classmethod
    @override
    def invoke(  # type: ignore[override]
        cls,
        *,
        about: bool = False,
        about_format: str | None = None,
        config: _ConfigInput | None = None,
        state: IO[str] | None = None,
        catalog: IO[str] | None = None,
    ) -> None:
        super(Tap, cls).invoke(about=about, about_format=about_format)
        cls.print_version(print_fn=cls.logger.info)
        # Records have no reference cycles, so the cyclic collector runs rarely: it costs a third.
        gc.freeze()
        gc.set_threshold(100_000, 20, 50)
        given, env = _settings(config)
        with cls._reporting_stops(given, env):
            tap = cls(
                config=given,
                parse_env_config=env,
                state=_object(state, "--state"),
                catalog=_object(catalog, "--catalog"),
            )
        tap.read()

    @classmethod
    @override
    def cb_discover(cls, ctx: click.Context, param: click.Option, value: bool) -> None:
        # `meltano run` discovers first, and a vendor that is asked then may refuse the credentials.
        with cls._reporting_stops(*_settings(ctx.params.get("config"))):
            super().cb_discover(ctx, param, value)

    @classmethod
    @contextmanager
    def _reporting_stops(cls, given: dict[str, Any], env: bool) -> Iterator[None]:
        """Leave a report of a run that stops before it reads anything."""
        try:
            yield
        except StopRun as error:
            with suppress(Exception):
                cls.unchecked(given, env, setup_mapper=False).report.end(error)
            raise


def _settings(config: _ConfigInput | None) -> tuple[dict[str, Any], bool]:
    """The settings that the command line names; whether the environment has more."""
    return (config.config, config.parse_env) if config else ({}, False)


def _object(file: IO[str] | None, option: str) -> dict[str, Any] | None:
    """Its JSON object.

    Raises:
        ConfigError: it is something else.
    """
    if file is None:
        return None
    try:
        found = json.loads(file.read(), parse_float=Decimal)
    except ValueError:
        found = None
    if not isinstance(found, dict):
        message = f"{option} is not a JSON object"
        raise ConfigError(message)
    return found
