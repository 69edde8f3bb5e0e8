"""What the two ways to read the list of contacts have in common."""

from __future__ import annotations

import abc
import time
from collections.abc import Iterator, Mapping
from email.utils import parsedate_to_datetime
from typing import ClassVar

from reisoftware_api.times import milliseconds
from singer_http.tap.page_stream import Record

CLOCKS_APART = 600_000
"""Milliseconds that our clock may differ, where an answer has no Date header."""


class VendorClock:
    """The vendor's time, from its answers."""

    started: int | None = None
    """Epoch milliseconds of the first answer, at the latest."""
    now: int = 0
    """Epoch milliseconds of the last answer, at the earliest."""

    def note(self, headers: Mapping[str, str]) -> None:
        """Take the time from an answer's headers."""
        try:
            told = round(parsedate_to_datetime(headers.get("Date", "")).timestamp() * 1000)
            earliest, latest = told, told + 1000  # it has whole seconds
        except (TypeError, ValueError):
            ours = round(time.time() * 1000)
            earliest, latest = ours - CLOCKS_APART, ours + CLOCKS_APART
        if self.started is None:
            self.started = earliest
        self.now = max(self.now, latest)


class ContactsReader(abc.ABC):
    """Reads contacts, all of them or those that changed."""

    overlap: ClassVar[int]
    """Milliseconds: what changed so shortly before a run is read again by the next one."""

    newest = 0
    """Epoch milliseconds of the latest dateUpdated that was read."""

    @abc.abstractmethod
    def pages(self, since: int | None, *, resume: bool) -> Iterator[list[Record]]:
        """Read the rows, page by page, as the vendor gives them.

        Args:
            since: epoch milliseconds from which changes count; None for all contacts.
            resume: the bookmark may move with the pages, so that an interrupted run can resume.

        Raises:
            StopRun: not all of them can be read.
        """

    @abc.abstractmethod
    def reached(self, records: list[Record]) -> int:
        """Epoch milliseconds before which all changes are read, once these records are written.

        0 where that is not known yet.
        """


def changed(records: list[Record], since: int | None) -> list[Record]:
    """Those that changed at a time (epoch milliseconds) or later, and those that do not say."""
    if since is None:
        return records
    return [
        record
        for record in records
        if (at := milliseconds(record.get("dateUpdated"))) is None or at >= since
    ]
