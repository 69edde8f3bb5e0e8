"""Lists in numbered pages, read so that a row is not missed when the list changes meanwhile.

When a row of a page that was read is deleted, the first row of the next page moves back onto a page
that was read. Inserted rows only move rows onto later pages, which are still to come. So:

- A stated total that got smaller shows a deletion: earlier pages are read again until one begins
  with a known row.
- A pass that brings fewer rows than the smallest total that was stated missed some: the list is
  read again.
- A deletion and an insertion between the same two answers leave no sign, nor does anything where
  no total is stated. A list that has to be certain (`confirm`), or has no total, is read again
  until a pass brings nothing that the total does not explain.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Hashable, Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from itertools import compress, count
from typing import Any

from singer_http.errors import Incomplete, Refused, RequestRejected
from singer_http.http.seen_keys import SeenKeys

logger = logging.getLogger(__name__)

Row = dict[str, Any]
Key = Callable[[Row], Hashable]
Map = Callable[[Callable[[int], Any], Iterable[int]], Iterator[Any]]

PASSES = 5
"""Passes over a list that changes, after which the run stops."""


@dataclass(frozen=True, slots=True)
class PageParams:
    """The query that asks for a page."""

    number: str
    """The name of the parameter that holds the number, from 1."""
    size_name: str
    """The name of the parameter that holds the size."""
    size: int
    """Rows that are asked for; the vendor may give fewer or more."""
    settings: str = "page_size"
    """The settings that an error about pages refers to."""

    def query(self, number: int) -> dict[str, Any]:
        """The query for one page."""
        return {self.number: number, self.size_name: self.size}


def stated_total(value: Any) -> int | None:
    """A total as an answer states it, a number or its digits; None if it is neither."""
    if isinstance(value, bool) or value is None:
        return None
    try:
        number = int(value)
        return number if number >= 0 and (isinstance(value, str) or number == value) else None
    except (TypeError, ValueError, OverflowError):
        return None


def key_of(*names: str) -> Key:
    """The identity of a row: these members of it, the whole row where it has none of them."""

    def key(row: Row) -> Hashable:
        values = [row.get(name) for name in names]
        return str(values if any(value is not None for value in values) else row)

    def single(row: Row) -> Hashable:
        value = row.get(names[0])
        return str(row) if value is None else str(value)

    return single if len(names) == 1 else key


@dataclass(frozen=True, slots=True)
class NumberedPages:
    """A list in pages 1, 2, ... of a size that the vendor may overrule."""

    fetch: Callable[[int], Any]
    """The parsed answer for a page's number; in any thread."""
    rows: Callable[[Any], list[Row]]
    """The rows of an answer; raises StopRun if it has no list."""
    total: Callable[[Any], int | None]
    """The number of all rows, as an answer states it."""
    key: Key
    """A row's identity."""
    listed: str
    """What the rows are, for errors."""
    params: PageParams
    """Its size and its settings; `fetch` uses the rest."""
    map: Map = map
    """As `map`; may call ahead, side by side."""
    confirm: bool = False
    """Read a list of several pages twice, even if nothing shows that it changed."""
    one_answer: bool = False
    """Without a total: page 2 equal to page 1 means that the vendor gives all rows in one answer.
    It may also mean that the vendor ignores the parameters and rows are missing."""

    def ask(self, number: int) -> Any:
        """The parsed answer for a page's number; in any thread.

        Raises:
            StopRun: there is no usable answer.
        """
        try:
            return self.fetch(number)
        except Refused as error:  # the list, not a record
            message = f"{self.listed}: HTTP {error.status}: {error.reason}; check api_url"
            raise RequestRejected(message) from error

    def read(self) -> Iterator[list[Row]]:
        """Yield the rows, page by page, each once.

        Raises:
            RequestRejected: the vendor refuses to list them.
            Incomplete: rows are missing, or the list changed in each of `PASSES` passes.
        """
        with closing(SeenKeys()) as seen:
            before: _Pass | None = None
            for number in range(1, PASSES + 1):
                current = _Pass(self, seen, first=before is None)
                yield from current.read()
                if not self._has_to_go_on(current, before):
                    return
                if before and current.problem and not current.fresh:
                    raise Incomplete(self._error(current, current.problem))
                if number > 1 or current.problem:
                    logger.info("%s: the list changed while it was read: again", self.listed)
                before = current
            raise Incomplete(
                f"{self.listed}: the list changed in each of {PASSES} passes over it; run again "
                f"when fewer changes are made, or check {self.params.settings}"
            )

    def single_pass(self, number: int) -> Iterator[tuple[int, list[Row]]]:
        """Each page with its number, from one on. Rows that move meanwhile can be missed."""
        before: list[Hashable] = []
        for page in count(number):
            rows = self.rows(self.ask(page))
            keys = [self.key(row) for row in rows]
            if not rows or keys == before:  # a number beyond the end may give the last page again
                return
            yield page, rows
            before = keys

    def _has_to_go_on(self, current: _Pass, before: _Pass | None) -> bool:
        if current.problem:
            return True
        if current.answers == 1 or not (self.confirm or current.total is None):
            return False
        if before is None:
            return True
        # Rows that only this pass brought were inserted, or the pass before missed them.
        growth = (current.total or 0) - (before.total or 0)
        return current.fresh > max(0, growth)

    def _error(self, current: _Pass, problem: str) -> str:
        total = "an unknown total" if current.total is None else current.total
        what = f"{self.listed}: got {current.got} of {total}"
        return f"{what}: {problem}; check {self.params.settings}"


@dataclass(slots=True)
class _Pass:
    """One reading of the list from page 1 to its end."""

    pages: NumberedPages
    seen: SeenKeys
    first: bool
    """Nothing was read before this pass."""

    answers: int = 0
    got: int = 0
    """Rows, without those that an insertion moved over from the page before."""
    fresh: int = 0
    """Rows that were not read before."""
    total: int | None = None
    """As the last page stated it."""
    least: int = 0
    """The smallest total that was stated."""
    deleted: int = 0
    """By how much the total got smaller from one page to the next."""
    problem: str | None = None
    """What shows that rows are missing."""
    _first_length: int = 0
    _previous: frozenset[Hashable] = frozenset()
    _known_pages: set[int] = field(default_factory=set)

    def read(self) -> Iterator[list[Row]]:
        """Yield the rows that were not read before, page by page."""
        for number, answer in self._answers():
            total_before = self.total
            rows = self._note(answer)
            keys = [self.pages.key(row) for row in rows]
            repeated = self._is_repeated(keys)
            fresh = [] if repeated else self._take(rows, keys)
            if total_before is not None and self.total is not None and self.total < total_before:
                self.deleted += total_before - self.total
                yield from self._moved_back(number)
            if repeated or not rows:
                self.problem = self._shortage(number, keys)
                return
            yield fresh
            if self._is_last(number, len(rows)):
                return
            self._previous = frozenset(keys)

    def _answers(self) -> Iterator[tuple[int, Any]]:
        """The answers by page number. Those that page 1 promises are fetched ahead."""
        pages = self.pages
        first = pages.ask(1)
        self._first_length = len(pages.rows(first))
        last = -(-(pages.total(first) or 0) // max(1, self._first_length))
        planned = range(2, max(1, last) + 1)
        ahead = pages.map(pages.ask, planned)
        yield 1, first
        yield from zip(planned, ahead, strict=True)
        # Shorter pages than the first, a total that has grown, or none.
        for number in count(planned.stop):
            yield number, pages.ask(number)

    def _note(self, answer: Any) -> list[Row]:
        """Note what an answer states; its rows."""
        self.answers += 1
        total = self.pages.total(answer)
        if total is not None:
            self.least = total if self.total is None else min(self.least, total)
            self.total = total
        return self.pages.rows(answer)

    def _is_repeated(self, keys: list[Hashable]) -> bool:
        page = hash(tuple(keys))
        if page in self._known_pages:
            return bool(keys)
        self._known_pages.add(page)
        return False

    def _take(self, rows: list[Row], keys: list[Hashable]) -> list[Row]:
        """Count rows; those of them that were not read before."""
        overlap = sum(key in self._previous for key in keys) if self._previous else 0
        self.got += len(rows) - overlap
        if self.first and not self.seen.is_indexed:
            is_new = [key not in self._previous for key in keys] if overlap else None
        else:
            is_new = self.seen.unseen(keys)
        self.seen.add(keys)
        if is_new is not None:
            rows = list(compress(rows, is_new))
        self.fresh += len(rows)
        return rows

    def _moved_back(self, number: int) -> Iterator[list[Row]]:
        """Rows that a deletion moved from page `number` onto earlier pages.

        Read backwards: what moves meanwhile moves onto pages that are still to come.
        """
        logger.info("%s: rows were deleted while they were read: back a page", self.pages.listed)
        for earlier in range(number - 1, 0, -1):
            self.answers += 1
            rows = self.pages.rows(self.pages.ask(earlier))
            keys = [self.pages.key(row) for row in rows]
            is_new = self.seen.unseen(keys)
            self.seen.add(keys)
            fresh = list(compress(rows, is_new))
            self.got += len(fresh)
            self.fresh += len(fresh)
            yield fresh
            if is_new and not is_new[0]:
                return  # rows before a known one are known

    def _is_last(self, number: int, length: int) -> bool:
        """Whether the list ends with a page. A full page proves nothing, whatever the total."""
        if self.total is None or self.got - self.deleted < self.total:
            return False
        if number == 1:
            return length != self.pages.params.size
        return length < self._first_length

    def _shortage(self, number: int, keys: list[Hashable]) -> str | None:
        """What is wrong about a list that ends with an empty page, or with one that repeats."""
        repeats = f"page {number} is the same as an earlier one"
        if self.total is not None:
            if self.got >= self.least:
                return None
            return repeats if keys else f"page {number} is empty"
        if not keys:
            return None
        if number == 2:
            # More rows than were asked for: the vendor does not divide the list into pages.
            whole = self.pages.one_answer or len(keys) > self.pages.params.size
            return None if whole else repeats
        # A number beyond the end may give the last page again.
        return None if frozenset(keys) == self._previous else repeats
