"""Reading the list of contacts with its two cursor values, and verifying its order.

What is known of the list (sources in docs/):

- Both cursor values have to be sent, or the same page comes back for ever.
- On the last page the cursor is still set; only `nextPage` is "". An empty page and a repeated
  cursor end the list too.
- `nextPageUrl` is plain http on another host: following it would send the key there.
- It is not known whether the cursor works with sortBy=date_updated, so that order is verified.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from reisoftware_api.times import milliseconds

if TYPE_CHECKING:
    from singer_http.tap.page_stream import Record
    from singer_http.tap.stream import HTTPStream

FIELDS = {"date_added": "dateAdded", "date_updated": "dateUpdated"}


@dataclass(slots=True)
class ContactsScan:
    """One pass over the list, in one order."""

    stream: HTTPStream
    sort: str
    """`date_added` or `date_updated`."""
    order: str
    """`asc` or `desc`."""
    until: int | None = None
    """Epoch milliseconds: a scan from the newest stops at older contacts."""

    pages_read: int = 0
    newest: int = 0
    """Epoch milliseconds of the latest dateUpdated that was read."""
    got: int = 0
    total: int | None = None
    least: float = 0
    """The smallest total that was stated: contacts can be deleted during the scan."""
    in_order: bool = True
    """The values of the sort field are in order so far."""
    repeated: bool = False
    """The cursor did not move: the same page came again."""
    ended: bool = False
    """The end of the list was reached."""
    reached: bool = False
    """A contact older than `until` was read."""
    proof: bool = False
    """The rows are not in the order of dateAdded, or a cursor is a dateUpdated."""
    edge: int = 0
    """Epoch milliseconds of the last dateUpdated that was read."""
    edge_ids: set[Any] = field(default_factory=set)
    """The ids of contacts with that dateUpdated."""
    _last: Record | None = None
    _cursor: tuple[Any, Any] = (None, None)
    _telling: int | None = None

    def pages(self) -> Iterator[list[Record]]:
        """Yield the rows, page by page, until the end or until the order is wrong."""
        first = self.stream.fetch(self._query())
        for answer in self.stream.chain(first, self._next_query):
            if self.repeated:
                return
            yield self.stream.rows(answer)
            if not self.in_order:
                return

    @property
    def page_size(self) -> int:
        """Contacts in a page."""
        return int(self.stream.config["page_size"])

    @property
    def complete(self) -> bool:
        """Whether all contacts were read."""
        all_in = self.total is None or self.got >= self.total
        return all_in and (self.ended or self.repeated)

    @property
    def good(self) -> bool:
        """Whether the values show no error of the order."""
        return self.in_order and not self.repeated

    def proved(self) -> bool:
        """Whether it is certain that the vendor sorts by what was asked for.

        Values that are in order prove it only if those of dateAdded, the default, are not: else
        a contact that was changed long after it was added may stand on a page that was not read.
        """
        if not self.proof and self._telling is not None:
            # The cursor says which field it was made from, if the page ends where the two differ.
            answer = self.stream.fetch(self._query() | {"limit": self._telling + 1})
            self.proof = _cursor_is_updated(self.stream.rows(answer), _meta(answer))
        return self.proof

    def has_passed(self, row: Record) -> bool:
        """Whether the scan has passed the position of a contact."""
        at = milliseconds(row.get("dateUpdated"))
        if at is None or not self.pages_read or at > self.newest:
            return False  # newer than all that was read: it changed since
        past = at > self.edge if self.order == "desc" else at < self.edge
        return past or (at == self.edge and row.get("id") in self.edge_ids)

    def _query(self) -> dict[str, Any]:
        return {"limit": self.page_size, "sortBy": self.sort, "order": self.order}

    def _next_query(self, answer: Any) -> dict[str, Any] | None:
        """Note what an answer shows; the query of the next request."""
        rows = self.stream.rows(answer)
        meta = _meta(answer)
        if isinstance(meta.get("total"), int):
            self.least = meta["total"] if self.total is None else min(self.least, meta["total"])
            self.total = meta["total"]
        if not rows:
            self.ended = True
            return None
        cursor = (meta.get("startAfter"), meta.get("startAfterId"))
        if None in cursor:
            cursor = (milliseconds(rows[-1].get(FIELDS[self.sort])), rows[-1].get("id"))
        if cursor == self._cursor:
            self.repeated = True
            return None
        self._cursor = cursor
        self.pages_read += 1
        self.got += len(rows)
        self._judge(rows)
        self.proof = self.proof or _cursor_is_updated(rows, meta)
        self.ended = meta.get("nextPage") == ""
        last = milliseconds(rows[-1].get(FIELDS[self.sort]))
        self.reached = self.until is not None and last is not None and last < self.until
        if self.ended or self.reached or not self.in_order:
            return None
        return self._query() | {"startAfter": cursor[0], "startAfterId": cursor[1]}

    def _judge(self, rows: list[Record]) -> None:
        known = rows if self._last is None else [self._last, *rows]
        self._last = rows[-1]
        updated = [milliseconds(row.get("dateUpdated")) for row in known]
        added = [milliseconds(row.get("dateAdded")) for row in known]
        self.newest = max(self.newest, *(value or 0 for value in updated))
        if self.sort == "date_updated":
            if (edge := milliseconds(rows[-1].get("dateUpdated")) or 0) != self.edge:
                self.edge, self.edge_ids = edge, set()
            self.edge_ids |= {
                row.get("id") for row in rows if milliseconds(row.get("dateUpdated")) == edge
            }
            self.in_order = self.in_order and self._ordered(updated)
            self.proof = self.proof or not self._ordered(added)
            if self.pages_read == 1:
                pairs = enumerate(zip(updated, added, strict=True))
                self._telling = next((n for n, (one, other) in pairs if one != other), None)

    def _ordered(self, values: list[int | None]) -> bool:
        there = [value for value in values if value is not None]
        if self.order == "desc":
            there.reverse()
        return all(first <= second for first, second in pairwise(there))


def _cursor_is_updated(rows: list[Record], meta: dict[str, Any]) -> bool:
    """Whether a page's cursor was made from its last row's dateUpdated, not from its dateAdded."""
    if not rows:
        return False
    updated = milliseconds(rows[-1].get("dateUpdated"))
    differ = updated != milliseconds(rows[-1].get("dateAdded"))
    return differ and milliseconds(meta.get("startAfter")) == updated


def _meta(answer: Any) -> dict[str, Any]:
    meta = answer.get("meta") if isinstance(answer, dict) else None
    return meta if isinstance(meta, dict) else {}
