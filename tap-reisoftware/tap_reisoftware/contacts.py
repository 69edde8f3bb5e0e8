"""Contacts: all of them, or those that changed."""

from __future__ import annotations

import time
from collections.abc import Generator, Iterator, Mapping
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, cast

from singer_sdk import SchemaDirectory, StreamSchema
from typing_extensions import override

from singer_http.errors import Incomplete
from singer_http.tap.page_stream import Record
from singer_http.tap.stream import HTTPStream
from tap_reisoftware import schemas
from tap_reisoftware.contacts_scan import ContactsScan, iso, milliseconds

if TYPE_CHECKING:
    from singer_sdk.helpers.types import Context

    from tap_reisoftware.appointments import Appointments

SETTLED = 30_000
"""Milliseconds after which a change is certain to be in the list. Later ones are read again."""

LONG = 20
"""Pages from which on a list is read from both its ends."""

CLOCKS_APART = 600_000
"""Milliseconds that our clock may be ahead, where the vendor does not tell the time."""


class Contacts(HTTPStream):
    """Contacts; incremental by dateUpdated.

    Without a bookmark everything is read, from the oldest change on, so that an interrupted run
    can go on where it was. With one, from the newest change back to the bookmark. Both rely on
    sortBy=date_updated, which is checked as they go; where it does not hold, or cannot be told,
    everything is read in the order in which it was added.
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
    def page_size(self) -> int:
        """Contacts in a page."""
        return int(self.config["page_size"])

    @property
    def since(self) -> int | None:
        """Epoch milliseconds of the bookmark or the start date; None to read everything."""
        if self.replication_method != "INCREMENTAL":
            return None
        return milliseconds(self.get_starting_replication_key_value(None))

    def remember(self, newest: int) -> None:
        """Move the bookmark to a dateUpdated (epoch milliseconds) that was read."""
        reached = self.until_now(newest)
        if self.replication_method == "INCREMENTAL" and reached > (self.since or 0):
            state = self.get_context_state(None)
            state["replication_key"] = self.replication_key
            state["replication_key_value"] = iso(reached)

    def until_now(self, newest: int) -> int:
        """The same, if it is settled: what changes during the run belongs to the next one too."""
        return newest if self._settled is None else min(newest, self._settled)

    def note_clock(self, headers: Mapping[str, str]) -> None:
        """Take the time from the first answer."""
        if self._settled is None:
            try:
                now = parsedate_to_datetime(headers.get("Date", "")).timestamp() * 1000
            except (TypeError, ValueError):
                now = time.time() * 1000 - CLOCKS_APART
            self._settled = round(now) - SETTLED

    @override
    def get_replication_key_signpost(self, context: Context | None = None) -> None:
        """Have none: the vendor's clock counts, not ours."""

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
        children = cast("list[Appointments]", self.child_streams)
        both: list[Contacts | Appointments] = [self, *children]
        readers = [stream for stream in both if stream.selected]
        needs = [reader.since for reader in readers]
        since = None if None in needs else min(need for need in needs if need is not None)
        self._newest = 0
        if since is not None:
            good = yield from self._newest_first(since)
        elif self.since is None:
            good = yield from self._all()
        else:
            good = False  # all are needed for their appointments
        if not good:
            yield from self._as_added()
        for reader in readers:
            reader.remember(self._newest)

    def _all(self) -> Generator[list[Record], None, bool]:
        """Everything, from the oldest change on; the bookmark comes along.

        A long list is read from its newest end too until the two walks meet: with a cursor, pages
        of one walk cannot be fetched side by side.
        """
        up, down = (ContactsScan(self, "date_updated", order) for order in ("asc", "desc"))
        climbing, falling = up.pages(), down.pages()
        got = 0
        for rows in climbing:
            fresh = [row for row in rows if not down.met(row)]
            got += len(fresh)
            self._resumable = True
            yield fresh
            self._resumable = False
            if down.pages_read and (not fresh or up.edge > down.edge):
                break  # they have met
            if (up.total or 0) >= LONG * self.page_size and self.config["concurrency"] > 1:
                fresh = [row for row in next(falling, []) if not up.met(row)]
                got += len(fresh)
                yield fresh
                if not fresh or not down.good:
                    break
        self._newest = max(up.newest, down.newest)
        if not down.pages_read:
            return self._trusted(up.good and up.complete)
        if not (up.good and down.good):
            return self._trusted(False)
        # Contacts that changed meanwhile have gone to the end that was read first.
        self._late = 0
        yield from self._newest_first(down.newest + 1, proved=True)
        return self._trusted(got + self._late >= min(up.least, down.least))

    def _newest_first(
        self, since: int, *, proved: bool = False
    ) -> Generator[list[Record], None, bool]:
        """What changed since the bookmark, and then what changed while that was read."""
        while True:
            walk = ContactsScan(self, "date_updated", "desc", until=since)
            for rows in walk.pages():
                fresh = changed(rows, since)
                self._late += len(fresh)
                yield fresh
            self._newest = max(self._newest, walk.newest)
            proved = walk.good and (walk.complete or (walk.reached and (proved or walk.proved())))
            if not proved or walk.pages_read <= 1:  # one answer is one moment
                return self._trusted(proved)
            since = walk.newest + 1

    def _as_added(self) -> Iterator[list[Record]]:
        """Everything, in an order that does not change during the read."""
        walk = ContactsScan(self, "date_added", "asc")
        yield from walk.pages()
        self._newest = max(self._newest, walk.newest)
        if not walk.complete:
            message = (
                f"{self.name}: got {walk.got} of {walk.total}: the cursor does not lead on; "
                "look at page_size and api_url"
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
