"""A line on the terminal that says how far a run is; nothing where stderr is no terminal."""

from __future__ import annotations

import logging
import shutil
import sys
import threading
from types import TracebackType
from typing import TYPE_CHECKING, TextIO

if TYPE_CHECKING:
    from singer_http.report.counts import Report

EVERY = 0.25
"""Seconds between two updates."""
CLEAR = "\x1b[K"


class Progress:
    """Shows a report's counts while it is open.

    The cursor stays at the line's beginning, so that whatever is printed next overwrites it.
    """

    def __init__(self, report: Report, rate_limit: str, stream: TextIO | None = None) -> None:
        """Watch a report; nothing is shown before `with`."""
        self._report = report
        self._limit = rate_limit
        self._stream = stream or sys.stderr
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._work, daemon=True, name="progress")
        self._handlers = [h for h in logging.getLogger().handlers if _is_terminal(h)]

    def __enter__(self) -> None:
        if not self._stream.isatty():
            return
        for handler in self._handlers:
            handler.addFilter(self._make_room)
        self._thread.start()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if not self._thread.is_alive():
            return
        self._ended.set()
        self._thread.join()
        for handler in self._handlers:
            handler.removeFilter(self._make_room)
        self._write("")

    def _work(self) -> None:
        while not self._ended.wait(EVERY):
            width = shutil.get_terminal_size().columns - 1
            self._write(self.line()[:width] + "\r")

    def _write(self, text: str) -> None:
        try:
            self._stream.write(CLEAR + text)
            self._stream.flush()
        except (OSError, ValueError):  # the terminal has gone
            self._ended.set()

    def _make_room(self, _record: logging.LogRecord) -> bool:
        self._write("")
        return True

    def line(self) -> str:
        """The line: records, requests, rejects, rate against the limit."""
        # Made by another thread than the one that counts: a number may be a moment old.
        counts = [stream.counts for stream in list(self._report.streams.values())]
        parts = [
            f"{sum(c.received for c in counts):,} records",
            f"{sum(c.delivered for c in counts):,} delivered",
            f"{sum(c.requests for c in counts):,} requests",
            f"{sum(c.rejected for c in counts):,} rejected",
            f"{self._report.timeline.rate():.1f}/s"
            + (f" (limit {self._limit})" if self._limit else ""),
            f"{self._report.timeline.seconds:.0f} s",
        ]
        return " · ".join(parts)


def _is_terminal(handler: logging.Handler) -> bool:
    stream = getattr(handler, "stream", None)
    return bool(stream is not None and stream.isatty())
