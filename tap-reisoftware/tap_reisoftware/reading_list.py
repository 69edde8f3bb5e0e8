"""API v1: the list of contacts, whose order is verified during the read."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from typing import TYPE_CHECKING

from typing_extensions import override

from reisoftware_api.times import milliseconds
from singer_http.errors import Incomplete
from tap_reisoftware.contacts_scan import ContactsScan
from tap_reisoftware.reading import ContactsReader, changed

if TYPE_CHECKING:
    from singer_http.tap.page_stream import Record
    from singer_http.tap.stream import HTTPStream

LONG = 20
"""Pages from which on a list is read from both ends."""


class ListReader(ContactsReader):
    """Reads the list by its two orders.

    Without a bookmark all contacts are read, the oldest change first, so that an interrupted run
    can resume. With a bookmark, contacts are read from the newest change back to it. Both rely on
    sortBy=date_updated, which is verified during the read. Where the order is wrong or cannot be
    verified, all contacts are read in the order in which they were added.
    """

    overlap = 30_000

    def __init__(self, stream: HTTPStream) -> None:
        """Read nothing yet."""
        self._stream = stream
        self._resumable = False
        self._late = 0

    @override
    def pages(self, since: int | None, *, resume: bool) -> Iterator[list[Record]]:
        if since is not None:
            good = yield from self._newest_first(since)
        elif resume:
            good = yield from self._all()
        else:
            good = False  # appointments need all contacts
        if not good:
            yield from self._as_added()

    @override
    def reached(self, records: list[Record]) -> int:
        if not self._resumable:
            return 0
        dates = [milliseconds(record.get("dateUpdated")) or 0 for record in records]
        return max(dates, default=0)

    def _all(self) -> Generator[list[Record], None, bool]:
        """Read all contacts, the oldest change first; the bookmark moves with the pages.

        A long list is read from its newest end too, until the two scans meet: pages of one cursor
        cannot be requested in parallel.
        """
        ascending, descending = (
            ContactsScan(self._stream, "date_updated", order) for order in ("asc", "desc")
        )
        oldest_first, newest_first = ascending.pages(), descending.pages()
        got = 0
        for rows in oldest_first:
            fresh = [row for row in rows if not descending.has_passed(row)]
            got += len(fresh)
            self._resumable = True
            yield fresh
            self._resumable = False
            if descending.pages_read and (not fresh or ascending.edge > descending.edge):
                break  # the scans have met
            long = (ascending.total or 0) >= LONG * ascending.page_size
            if long and self._stream.config["concurrency"] > 1:
                fresh = [row for row in next(newest_first, []) if not ascending.has_passed(row)]
                got += len(fresh)
                yield fresh
                if not fresh or not descending.good:
                    break
        self.newest = max(ascending.newest, descending.newest)
        if not descending.pages_read:
            return self._trusted(ascending.good and ascending.complete)
        if not (ascending.good and descending.good):
            return self._trusted(False)
        # Contacts that changed meanwhile moved to the newest end, which was read first.
        self._late = 0
        yield from self._newest_first(descending.newest + 1, proved=True)
        return self._trusted(got + self._late >= min(ascending.least, descending.least))

    def _newest_first(
        self, since: int, *, proved: bool = False
    ) -> Generator[list[Record], None, bool]:
        """Read what changed since the bookmark, then what changed during that read."""
        while True:
            scan = ContactsScan(self._stream, "date_updated", "desc", until=since)
            for rows in scan.pages():
                fresh = changed(rows, since)
                self._late += len(fresh)
                yield fresh
            self.newest = max(self.newest, scan.newest)
            proved = scan.good and (scan.complete or (scan.reached and (proved or scan.proved())))
            if not proved or scan.pages_read <= 1:  # one answer is one moment
                return self._trusted(proved)
            since = scan.newest + 1

    def _as_added(self) -> Iterator[list[Record]]:
        """Read all contacts, in an order that does not change during the read."""
        scan = ContactsScan(self._stream, "date_added", "asc")
        yield from scan.pages()
        self.newest = max(self.newest, scan.newest)
        if not scan.complete:
            message = (
                f"{self._stream.name}: got {scan.got} of {scan.total}: the cursor leads to no "
                "further page; check page_size and api_url"
            )
            raise Incomplete(message)

    def _trusted(self, good: bool) -> bool:
        if not good:
            self._stream.logger.warning(
                "It is not certain that the vendor sorts contacts by date_updated: "
                "reading all of them"
            )
        return good
