"""Reading what comes in numbered pages, without losing any of it in silence."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import count
from typing import TYPE_CHECKING, Any

from singer_http.errors import Incomplete

if TYPE_CHECKING:
    from singer_http.tap.stream import HTTPStream

Record = dict[str, Any]


def stated(total: Any) -> int | None:
    """A total as an answer states it, a number or its digits; None if it is neither."""
    return int(total) if isinstance(total, int | str) and str(total).isdigit() else None


@dataclass(frozen=True, slots=True)
class NumberedPages:
    """Pages 1, 2, ... of a size that is asked for, and that the vendor may overrule.

    The size of the first page says how many there are; they are fetched side by side. What
    came in is counted against the total that the answers state.
    """

    page_param: str
    size_param: str
    size: int
    settings: str = "page_size"
    """What to look at when something is missing."""

    def query(self, number: int) -> dict[str, Any]:
        """The part of a query that asks for a page, counted from 1."""
        return {self.page_param: number, self.size_param: self.size}

    def read(self, stream: HTTPStream, params: dict[str, Any]) -> Iterator[list[Record]]:
        """Yield the pages in their order.

        Raises:
            Incomplete: a page repeats, or there is an end before the total.
        """
        first = self._fetch(stream, params, 1)
        tally = _Tally(stream, self.settings)
        rows = tally.take(1, first)
        if tally.total is None:
            yield from self._without_total(stream, params, tally, rows)
            return
        if tally.complete or not rows:
            tally.check_complete("page 1 is empty")
            yield rows
            return
        planned = range(2, -(-tally.total // len(rows)) + 1)
        answers = stream.ahead(lambda number: self._fetch(stream, params, number), planned)
        yield rows
        for number, answer in zip(planned, answers, strict=True):
            yield tally.take(number, answer)
            if tally.complete:
                return
        # Shorter pages than the first, or a total that has grown.
        for number in count(planned.stop):
            if tally.complete:
                return
            rows = tally.take(number, self._fetch(stream, params, number))
            if not rows:
                tally.check_complete(f"page {number} is empty")
            yield rows

    def _without_total(
        self, stream: HTTPStream, params: dict[str, Any], tally: _Tally, rows: list[Record]
    ) -> Iterator[list[Record]]:
        """No total: on until a page is empty, or the last one comes again."""
        for number in count(2):
            if not rows:
                return
            yield rows
            answer = self._fetch(stream, params, number)
            # Page 2 as page 1 says that the parameters are ignored; a later one as the one before
            # it, that a number beyond the end gives the last page.
            if number > 2 and tally.repeats_last(stream.rows(answer)):
                return
            rows = tally.take(number, answer)

    def _fetch(self, stream: HTTPStream, params: dict[str, Any], number: int) -> Any:
        return stream.fetch({**params, **self.query(number)})


@dataclass(slots=True)
class _Tally:
    """What came in so far, and whether it makes sense."""

    stream: HTTPStream
    settings: str
    total: int | None = None
    got: int = 0
    _pages: set[int] = field(default_factory=set)
    _last: frozenset[Any] = frozenset()

    @property
    def complete(self) -> bool:
        return self.total is not None and self.got >= self.total

    def take(self, number: int, answer: Any) -> list[Record]:
        """Count the rows of a page, and return them."""
        rows = self.stream.rows(answer)
        total = self.stream.total(answer)
        self.total = self.total if total is None else total
        if not rows:
            return rows
        keys = self._keys(rows)
        page = hash(tuple(keys))
        if page in self._pages:
            self._fail(f"page {number} is the same as an earlier one")
        self._pages.add(page)
        # Rows that moved over from the page before, because something was added, count once.
        self.got += len(rows) - sum(key in self._last for key in keys)
        self._last = frozenset(keys)
        return rows

    def repeats_last(self, rows: list[Record]) -> bool:
        return bool(rows) and frozenset(self._keys(rows)) == self._last

    def check_complete(self, problem: str) -> None:
        if not self.complete:
            self._fail(problem)

    def _keys(self, rows: Sequence[Record]) -> list[Any]:
        names = self.stream.primary_keys
        if len(names) == 1:
            return [str(row.get(names[0])) for row in rows]
        return [str([row.get(name) for name in names] if names else row) for row in rows]

    def _fail(self, problem: str) -> None:
        total = "an unknown total" if self.total is None else self.total
        what = f"{self.stream.name}: got {self.got} of {total}"
        message = f"{what}: {problem}; look at {self.settings}"
        raise Incomplete(message)
