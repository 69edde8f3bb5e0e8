"""The account's list of contacts: all of them, and those that changed lately."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any

from singer_http.errors import Incomplete
from singer_http.operations import JSON
from target_reisoftware.index import milliseconds

if TYPE_CHECKING:
    from singer_http.http.client import Client, Response
    from singer_http.report.counts import Counts

PAGE_SIZE = 100
ADDED, UPDATED = "date_added", "date_updated"
FIELDS = {ADDED: "dateAdded", UPDATED: "dateUpdated"}


@dataclass(slots=True)
class Page:
    """One answer."""

    rows: list[JSON]
    total: int | None
    """Contacts in the account, as the answer states it."""
    at: int
    """Epoch milliseconds of the answer, by the vendor's clock."""
    cursor: tuple[Any, Any] | None = None
    """Of the next page; None after the last one."""


class ContactList:
    """The list as API v1 gives it."""

    def __init__(self, client: Client, meter: Counts) -> None:
        """Read nothing yet."""
        self._client = client
        self._meter = meter
        self.shows_changes = True
        """Contacts come in the order of their changes, as far as is known."""

    def cost(self) -> int | None:
        """Requests that reading all contacts takes; None if the vendor does not say it."""
        total = self._page({"limit": 1}).total
        return None if total is None else max(1, math.ceil(total / PAGE_SIZE))

    def all(self) -> Iterator[Page]:
        """All contacts. New ones come at the end, and so into a page that is still to be read.

        Raises:
            Incomplete: some are missing.
        """
        got, least = 0, math.inf
        for page in self._pages(ADDED, "asc"):
            got += len(page.rows)
            least = min(least, page.total if page.total is not None else math.inf)
            yield page
        if math.isfinite(least) and got < least:
            message = f"contacts: {got} of {least} contacts were read"
            raise Incomplete(message)

    def changed(self, since: int) -> Iterator[Page]:
        """Contacts that changed at a moment (epoch milliseconds) or later.

        Only those that were added since, if the vendor does not sort them by their changes.
        """
        if self.shows_changes:
            last: int | None = None
            for page in self._pages(UPDATED, "desc"):
                times = [milliseconds(row.get("dateUpdated")) or 0 for row in page.rows]
                known = times if last is None else [last, *times]
                yield page
                if known != sorted(known, reverse=True):
                    self.shows_changes = False
                    break
                last = times[-1] if times else last
                if not times or times[-1] < since:
                    return
            else:
                # The cursor ended, or did not move.
                self.shows_changes = last is None or last < since or page.cursor is None
                if self.shows_changes:
                    return
        for page in self._pages(ADDED, "desc"):
            yield page
            if not page.rows or (milliseconds(page.rows[-1].get("dateAdded")) or 0) < since:
                return

    def _pages(self, sort: str, order: str) -> Iterator[Page]:
        query: JSON = {"limit": PAGE_SIZE, "sortBy": sort, "order": order}
        seen: tuple[Any, Any] | None = None
        while True:
            page = self._page(query)
            yield page
            if page.cursor is None or page.cursor == seen:
                return
            seen = page.cursor
            query |= {"startAfter": page.cursor[0], "startAfterId": page.cursor[1]}

    def _page(self, query: JSON) -> Page:
        answer = self._client.request("GET", "contacts/", params=query, meter=self._meter)
        data = answer.data if isinstance(answer.data, dict) else {}
        rows, meta = data.get("contacts"), data.get("meta")
        meta = meta if isinstance(meta, dict) else {}
        if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
            message = "contacts: the answer has no list 'contacts'"
            raise Incomplete(message)
        cursor = None
        if rows and meta.get("nextPage") != "":
            # Without one half of the cursor the same page would come again.
            field = FIELDS[query.get("sortBy", ADDED)]
            after, after_id = meta.get("startAfter"), meta.get("startAfterId")
            if None in (after, after_id):
                after, after_id = milliseconds(rows[-1].get(field)), rows[-1].get("id")
            cursor = (after, after_id)
        return Page(rows, number(meta.get("total")), moment_of(answer), cursor)


def number(value: Any) -> int | None:
    """A count; None for anything else."""
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def moment_of(answer: Response) -> int:
    """Epoch milliseconds of an answer by the vendor's clock, which alone dates its contacts."""
    try:
        return round(parsedate_to_datetime(answer.headers["Date"]).timestamp() * 1000)
    except (KeyError, TypeError, ValueError):
        return round(time.time() * 1000)
