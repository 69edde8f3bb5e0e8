"""API v2: a search for contacts, sorted by dateUpdated, the oldest change first.

What is known of the search (sources in docs/vendors/reisoftware.md):

- Pages by number end at 10,000 contacts. The cursor of the last row leads on without an end, and
  holds the row's id, so that rows with the same dateUpdated are not skipped.
- A contact that changes during the read moves to the end of the order, and is read (again) there.
- The index is some seconds behind: a contact that has changed is listed as it was, then for a
  moment not at all, then as it is. So the bookmark stays behind the start of the run, and a full
  refresh that has read fewer contacts than the vendor counts looks for them again.
- `total` counts what the index may not have yet: it is a hint.
- The end is an empty page: there is no other sign.
"""

from __future__ import annotations

import time
from array import array
from collections.abc import Iterator
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from typing_extensions import override

from reisoftware_api.times import milliseconds
from singer_http.errors import Incomplete
from tap_reisoftware.reading import ContactsReader, VendorClock

if TYPE_CHECKING:
    from reisoftware_api.v2 import V2
    from singer_http.tap.page_stream import Record
    from singer_http.tap.stream import HTTPStream

TAIL = 10_000
"""Milliseconds of changes that are read beyond the moment when the start of the run was reached:
the vendor's clocks differ, and its index is behind."""

PAUSES = (1, 2, 4, 8, 16)
"""Seconds between the looks for contacts that are counted but were not listed."""


class SearchReader(ContactsReader):
    """Reads a search to its end."""

    overlap = 300_000

    def __init__(self, stream: HTTPStream, api: V2, clock: VendorClock) -> None:
        """Read nothing yet."""
        self._stream, self._api, self._clock = stream, api, clock
        self._size = int(stream.config["page_size"])
        self._cursor: list[Any] | None = None
        self._recent: set[tuple[Any, int]] = set()
        """Id and dateUpdated of the rows that were read near the end of the order."""
        self._ids = array("q")
        """Hashes of the ids that a full refresh has read."""
        self._stop_after: int | None = None

    @override
    def pages(self, since: int | None, *, resume: bool) -> Iterator[list[Record]]:
        yield from self._search(since)
        if self._is_full:
            yield from self._late()

    @override
    def reached(self, records: list[Record]) -> int:
        return self.newest  # a page is written before the next one is read

    @property
    def _is_full(self) -> bool:
        return self._stream.replication_method == "FULL_TABLE"

    def _search(self, since: int | None) -> Iterator[list[Record]]:
        self._cursor = None
        first = self._stream.fetch(self._query(since))
        for answer in self._stream.chain(first, lambda page: self._next_query(page, since)):
            if rows := self._stream.rows(answer):
                yield self._new(rows)

    def _query(self, since: int | None) -> Record:
        return self._api.search(self._size, since=since, after=self._cursor)

    def _next_query(self, answer: Any, since: int | None) -> Record | None:
        """Note what an answer shows; the query of the next request."""
        rows = self._stream.rows(answer)
        if not rows:
            return None
        first, last = self._position(rows[0]), self._position(rows[-1])
        positions = [at for row in rows if (at := self._position(row)) is not None]
        cursor = self._api.cursor(rows[-1])
        if self._cursor is not None:
            before = milliseconds(self._cursor[0])
            if cursor == self._cursor or (first and before and first < before):
                raise self._incomplete("the cursor leads to no further page")
        if any(one > other for one, other in pairwise(positions)):
            raise self._incomplete("they are not sorted by dateUpdated, as was asked")
        self._cursor = cursor
        self.newest = max([self.newest, *positions[-1:]])
        if last is not None and self._is_past_end(last):
            return None
        return self._query(since)

    def _is_past_end(self, position: int) -> bool:
        """Whether all contacts of the start of the run are read, wherever they moved meanwhile.

        Contacts that go on changing would else be read without an end.
        """
        if self._stop_after is None and position >= (self._clock.started or 0):
            self._stop_after = self._clock.now + TAIL
        return self._stop_after is not None and position > self._stop_after

    def _position(self, row: Record) -> int | None:
        return milliseconds(self._api.cursor(row)[0])

    def _new(self, rows: list[Record]) -> list[Record]:
        """The rows that this run has not read: a full refresh reads the end of the order again."""
        if not self._is_full:
            return rows
        self._ids.extend(hash(row.get("id")) for row in rows)
        recent = (self._clock.started or 0) - self.overlap
        new = []
        for row in rows:
            entry = (row.get("id"), self._position(row) or 0)
            if entry[1] >= recent:
                if entry in self._recent:
                    continue
                self._recent.add(entry)
            new.append(row)
        return new

    def _late(self) -> Iterator[list[Record]]:
        """Read what the index did not list while the contacts were read."""
        for pause in PAUSES:
            if not self._missing():
                return
            time.sleep(pause)
            yield from self._search((self._clock.started or 0) - self.overlap)
        if missing := self._missing():
            self._stream.logger.warning(
                "The vendor counts %s contacts more than it listed: they changed during the read, "
                "or its count is not exact. Run again to be sure.",
                missing,
            )

    def _missing(self) -> int:
        """How many contacts more the vendor counts than were read."""
        answer = self._stream.fetch(self._api.search(1))
        total = answer.get("total") if isinstance(answer, dict) else None
        return max(0, total - len(set(self._ids))) if isinstance(total, int) else 0

    def _incomplete(self, problem: str) -> Incomplete:
        return Incomplete(
            f"{self._stream.name}: not all of them can be read: {problem}; "
            "check page_size and api_url"
        )
