"""The account's list of contacts: all of them, and those that changed lately."""

from __future__ import annotations

import math
import time
from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from typing_extensions import override

from reisoftware_api.times import milliseconds
from singer_http.errors import Incomplete
from singer_http.operations import JSON

if TYPE_CHECKING:
    from reisoftware_api.v2 import V2
    from singer_http.http.client import Client, Response
    from singer_http.report.counts import Counts

PAGE_SIZE = 100
MISSING = 0.1
"""The share of contacts that a lagging list may lack (or a page, if that is more)."""
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
    cursor: Any = None
    """What the next page is asked for by."""
    is_last: bool = False


class ContactList(ABC):
    """The list of one account, in the order of one version of the API."""

    def __init__(self, client: Client, meter: Counts) -> None:
        """Read nothing yet."""
        self._client = client
        self._meter = meter
        self.shows_changes = True
        """What was read has all changes: it is certain that contacts come in their order."""
        self.is_proved = False
        """A reading has shown that contacts come in the order of their changes."""

    def cost(self) -> int | None:
        """Requests that reading all contacts takes; None if the vendor does not say it."""
        total = self.total()
        return None if total is None else max(1, math.ceil(total / PAGE_SIZE))

    @abstractmethod
    def total(self) -> int | None:
        """How many contacts there are, as one request says it."""

    @abstractmethod
    def all(self) -> Iterator[Page]:
        """All contacts. New ones come at the end, and so into a page that is still to be read.

        Raises:
            Incomplete: some are missing.
        """

    @abstractmethod
    def walk(self, after: Any) -> Iterator[Page]:
        """Contacts from the cursor of a page on; None: from the first. Some may be missing."""

    @abstractmethod
    def changed(self, since: int) -> Iterator[Page]:
        """Contacts that changed at a moment (epoch milliseconds) or later.

        Only those that were added since, if the vendor does not sort them by their changes.
        """


class ContactListV1(ContactList):
    """The list as API v1 gives it."""

    @override
    def total(self) -> int | None:
        return self._page({"limit": 1}).total

    @override
    def all(self) -> Iterator[Page]:
        got, least = 0, math.inf
        for page in self._pages(ADDED, "asc"):
            got += len(page.rows)
            least = min(least, page.total if page.total is not None else math.inf)
            yield page
        if math.isfinite(least) and got < least:
            message = f"contacts: {got} of {least} contacts were read"
            raise Incomplete(message)

    @override
    def walk(self, after: Any) -> Iterator[Page]:
        return self._pages(ADDED, "asc", after)

    @override
    def changed(self, since: int) -> Iterator[Page]:
        times: list[int] = []
        added: list[int] = []
        self.shows_changes = False
        for page in self._pages(UPDATED, "desc"):
            yield page
            times += [milliseconds(row.get("dateUpdated")) or 0 for row in page.rows]
            added += [milliseconds(row.get("dateAdded")) or 0 for row in page.rows]
            if not _descends(times):
                break
            # In order they are by chance too, unless they would not be by the time of adding.
            self.is_proved = self.is_proved or not _descends(added) or _from_change(page)
            if not page.rows or times[-1] < since or page.is_last:
                self.shows_changes = self.is_proved
                return
        for page in self._pages(ADDED, "desc"):
            yield page
            if not page.rows or (milliseconds(page.rows[-1].get("dateAdded")) or 0) < since:
                return

    def _pages(self, sort: str, order: str, after: Any = None) -> Iterator[Page]:
        query: JSON = {"limit": PAGE_SIZE, "sortBy": sort, "order": order}
        seen: tuple[Any, Any] | None = None
        if after is not None:
            query |= {"startAfter": after[0], "startAfterId": after[1]}
        while True:
            page = self._page(query)
            yield page
            if page.is_last or page.cursor == seen:
                return
            seen = page.cursor
            query |= {"startAfter": page.cursor[0], "startAfterId": page.cursor[1]}

    def _page(self, query: JSON) -> Page:
        answer = self._client.request("GET", "contacts/", params=query, meter=self._meter)
        rows, meta = rows_of(answer), answer.data.get("meta")
        meta = meta if isinstance(meta, dict) else {}
        cursor = (meta.get("startAfter"), meta.get("startAfterId"))
        if rows and None in cursor:
            # With one half of the cursor the same page would come again.
            field = FIELDS[query.get("sortBy", ADDED)]
            cursor = (milliseconds(rows[-1].get(field)), rows[-1].get("id"))
        is_last = not rows or meta.get("nextPage") == ""
        return Page(rows, number(meta.get("total")), moment_of(answer), cursor, is_last)


def _descends(times: list[int]) -> bool:
    return all(first >= second for first, second in pairwise(times))


def _from_change(page: Page) -> bool:
    """Whether a page's cursor is its last contact's dateUpdated, and not its dateAdded."""
    if not page.rows:
        return False
    last = page.rows[-1]
    updated, added = milliseconds(last.get("dateUpdated")), milliseconds(last.get("dateAdded"))
    return updated != added and milliseconds(page.cursor[0]) == updated


class ContactListV2(ContactList):
    """The search of API v2, from the contact that was not changed for the longest time.

    Its index lags behind writes by up to a minute, and `total` does not: it is a hint.
    """

    def __init__(self, client: Client, api: V2, meter: Counts) -> None:
        """Read nothing yet."""
        super().__init__(client, meter)
        self._api = api

    @override
    def total(self) -> int | None:
        return self._page(self._api.search(1)).total

    @override
    def all(self) -> Iterator[Page]:
        got, least = 0, math.inf
        for page in self._pages(None):
            got += len(page.rows)
            least = min(least, page.total if page.total is not None else math.inf)
            yield page
        if math.isfinite(least) and least - got > max(PAGE_SIZE, least * MISSING):
            message = f"contacts: {got} of {least} contacts were read"
            raise Incomplete(message)

    @override
    def walk(self, after: Any) -> Iterator[Page]:
        return self._pages(None, after)

    @override
    def changed(self, since: int) -> Iterator[Page]:
        return self._pages(since)

    def _pages(self, since: int | None, after: Any = None) -> Iterator[Page]:
        while True:
            page = self._page(self._api.search(PAGE_SIZE, since=since, after=after))
            yield page
            if not page.rows:
                return
            if page.cursor == after:
                message = "contacts/search: the cursor searchAfter does not move"
                raise Incomplete(message)
            after = page.cursor

    def _page(self, query: JSON) -> Page:
        answer = self._client.request("POST", "contacts/search", json=query, meter=self._meter)
        rows = rows_of(answer)
        cursor = self._api.cursor(rows[-1]) if rows else None
        return Page(rows, number(answer.data.get("total")), moment_of(answer), cursor, not rows)


def rows_of(answer: Response) -> list[JSON]:
    """The contacts of an answer.

    Raises:
        Incomplete: it has none.
    """
    rows = answer.data.get("contacts") if isinstance(answer.data, dict) else None
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        message = "contacts: the answer has no list 'contacts'"
        raise Incomplete(message)
    return rows


def number(value: Any) -> int | None:
    """A count; None for anything else."""
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def moment_of(answer: Response) -> int:
    """Epoch milliseconds of an answer by the vendor's clock, which alone dates its contacts."""
    try:
        return round(parsedate_to_datetime(answer.headers["Date"]).timestamp() * 1000)
    except (KeyError, TypeError, ValueError):
        return round(time.time() * 1000)
