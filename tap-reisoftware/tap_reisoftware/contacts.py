"""Contacts: all of them, or those that changed."""

from __future__ import annotations

import abc
import time
from collections.abc import Generator, Iterator, Mapping
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any

from singer_sdk import SchemaDirectory, StreamSchema
from typing_extensions import override

from singer_http.errors import Incomplete
from singer_http.tap.page_stream import Record
from singer_http.tap.stream import HTTPStream
from tap_reisoftware import schemas
from tap_reisoftware.contacts_scan import ContactsScan, iso, milliseconds

if TYPE_CHECKING:
    from singer_sdk.helpers.types import Context

    from singer_http.http.client import Response

SETTLED = 30_000
"""Milliseconds after which a change is taken to be in the list. Later ones are read again."""

LONG = 20
"""Pages from which on a list is read from both ends."""

CLOCKS_APART = 600_000
"""Milliseconds that our clock may be ahead, where an answer has no Date header."""


class ReadsContacts(abc.ABC):
    """A stream that needs the contacts that changed since its own bookmark."""

    @property
    @abc.abstractmethod
    def since(self) -> int | None:
        """Epoch milliseconds from which changes of contacts count; None for all contacts."""

    @abc.abstractmethod
    def remember(self, newest: int) -> None:
        """Move the bookmark to a contact's dateUpdated (epoch milliseconds) that was read."""


class Contacts(HTTPStream, ReadsContacts):
    """Contacts; incremental by dateUpdated.

    Without a bookmark all contacts are read, the oldest change first, so that an interrupted run
    can resume. With a bookmark, contacts are read from the newest change back to it. Both rely on
    sortBy=date_updated, which is verified during the read. Where the order is wrong or cannot be
    verified, all contacts are read in the order in which they were added.
    """

    name = "contacts"
    path = "contacts/"
    records_key = "contacts"
    primary_keys = ("id",)
    replication_key = "dateUpdated"
    schema = StreamSchema(SchemaDirectory(schemas))

    _settled: int | None = None
    _resumable = False
    _newest = 0
    _late = 0

    @property
    @override
    def since(self) -> int | None:
        if self.replication_method != "INCREMENTAL":
            return None
        return milliseconds(self.get_starting_replication_key_value(None))

    @override
    def remember(self, newest: int) -> None:
        reached = self.until_now(newest)
        if self.replication_method == "INCREMENTAL" and reached > (self.since or 0):
            state = self.get_context_state(None)
            state["replication_key"] = self.replication_key
            state["replication_key_value"] = iso(reached)

    def until_now(self, newest: int) -> int:
        """The earlier of this time and the start of the run: later changes are read again."""
        return newest if self._settled is None else min(newest, self._settled)

    @override
    def ask(self, params: dict[str, Any] | None = None) -> Response:
        answer = super().ask(params)
        self._note_clock(answer.headers)
        return answer

    def _note_clock(self, headers: Mapping[str, str]) -> None:
        """Take the time of the start from the first answer."""
        if self._settled is None:
            try:
                now = parsedate_to_datetime(headers.get("Date", "")).timestamp() * 1000
            except (TypeError, ValueError):
                now = time.time() * 1000 - CLOCKS_APART
            self._settled = round(now) - SETTLED

    @override
    def get_replication_key_signpost(self, context: Context | None = None) -> None:
        """Set no signpost: it would use our clock, not the vendor's."""

    @override
    def wanted(self, records: list[Record]) -> list[Record]:
        return changed(records, self.since)

    @override
    def bookmark(self, records: list[Record]) -> None:
        if self._resumable:
            dates = [milliseconds(record.get("dateUpdated")) or 0 for record in records]
            self.remember(max(dates, default=0))

    @override
    def pages(self, context: Context | None) -> Iterator[list[Record]]:
        readers = [
            stream
            for stream in (self, *self.child_streams)
            if isinstance(stream, ReadsContacts) and stream.selected
        ]
        needs = [reader.since for reader in readers]
        since = None if None in needs else min(need for need in needs if need is not None)
        self._newest = 0
        if since is not None:
            good = yield from self._newest_first(since)
        elif self.since is None:
            good = yield from self._all()
        else:
            good = False  # appointments need all contacts
        if not good:
            yield from self._as_added()
        for reader in readers:
            reader.remember(self._newest)

    def _all(self) -> Generator[list[Record], None, bool]:
        """Read all contacts, the oldest change first; the bookmark moves with the pages.

        A long list is read from its newest end too, until the two scans meet: pages of one cursor
        cannot be requested in parallel.
        """
        ascending, descending = (
            ContactsScan(self, "date_updated", order) for order in ("asc", "desc")
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
            if long and self.config["concurrency"] > 1:
                fresh = [row for row in next(newest_first, []) if not ascending.has_passed(row)]
                got += len(fresh)
                yield fresh
                if not fresh or not descending.good:
                    break
        self._newest = max(ascending.newest, descending.newest)
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
            scan = ContactsScan(self, "date_updated", "desc", until=since)
            for rows in scan.pages():
                fresh = changed(rows, since)
                self._late += len(fresh)
                yield fresh
            self._newest = max(self._newest, scan.newest)
            proved = scan.good and (scan.complete or (scan.reached and (proved or scan.proved())))
            if not proved or scan.pages_read <= 1:  # one answer is one moment
                return self._trusted(proved)
            since = scan.newest + 1

    def _as_added(self) -> Iterator[list[Record]]:
        """Read all contacts, in an order that does not change during the read."""
        scan = ContactsScan(self, "date_added", "asc")
        yield from scan.pages()
        self._newest = max(self._newest, scan.newest)
        if not scan.complete:
            message = (
                f"{self.name}: got {scan.got} of {scan.total}: the cursor leads to no further "
                "page; look at page_size and api_url"
            )
            raise Incomplete(message)

    def _trusted(self, good: bool) -> bool:
        if not good:
            self.logger.warning(
                "It is not certain that the vendor sorts contacts by date_updated: "
                "reading all of them"
            )
        return good


def changed(records: list[Record], since: int | None) -> list[Record]:
    """Those that changed at a time (epoch milliseconds) or later, and those that do not say."""
    if since is None:
        return records
    return [
        record
        for record in records
        if (at := milliseconds(record.get("dateUpdated"))) is None or at >= since
    ]
