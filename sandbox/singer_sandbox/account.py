"""What one account of a vendor holds."""

from __future__ import annotations

import time
from collections import Counter, deque
from collections.abc import Mapping
from itertools import islice
from typing import Any, ClassVar, TypeVar

Row = dict[str, Any]
R = TypeVar("R")


class ControlError(ValueError):
    """A control call that makes no sense; the text says what would."""


class Account:
    """One account's data: tables of records by id, and lists of what was carried out."""

    tables: ClassVar[Mapping[str, str]] = {}
    """Table name → the field that identifies a record."""
    journals: ClassVar[tuple[str, ...]] = ()
    """Lists of every occurrence, so that a duplicate shows."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.rows: dict[str, dict[str, Row]] = {table: {} for table in self.tables}
        self.entries: dict[str, list[Row]] = {journal: [] for journal in self.journals}
        self.counters: Counter[str] = Counter()
        self.pages: dict[Any, bytes] = {}
        self.arrivals: deque[float] = deque()
        self.rate_limit: Any = None
        """This account's own limit, in place of the vendor's option."""
        self.written: dict[str, deque[tuple[float, str, Any]]] = {}
        """Table → when, key, and the record as it was before (None: there was none)."""
        self._serial: Counter[str] = Counter()

    def changed(self) -> None:
        """Forget the rendered pages."""
        if self.pages:
            self.pages = {}

    def note(self, table: str, key: str, before: Any, lag: float) -> None:
        """Remember what a write replaced, while lookups lag that many seconds behind."""
        if lag:
            self.written.setdefault(table, deque()).append((time.time(), key, before))

    def as_of(self, table: str, rows: Mapping[str, R], lag: float) -> Mapping[str, R]:
        """The rows of a table as they were so many seconds ago: later writes are taken back."""
        if not lag:
            return rows
        seen = dict(rows)
        for _, key, before in reversed(self.recent(table, lag)):
            if before is None:
                seen.pop(key, None)
            else:
                seen[key] = before
        return seen

    def recent(self, table: str, lag: float) -> deque[tuple[float, str, Any]]:
        """The writes of the last so many seconds, oldest first."""
        written = self.written.get(table, deque())
        then = time.time() - lag
        while written and written[0][0] <= then:
            written.popleft()
        return written

    def next_number(self, table: str) -> int:
        """A number not used in this table."""
        rows = self.rows[table]
        while True:
            self._serial[table] += 1
            if str(self._serial[table]) not in rows:
                return self._serial[table]

    def dump(self) -> dict[str, Any]:
        """Everything held, as the control API shows it."""
        return {**self.rows, **self.entries}

    def sizes(self) -> dict[str, int]:
        """How many of each are held."""
        sizes = {table: len(rows) for table, rows in self.rows.items()}
        return sizes | {journal: len(rows) for journal, rows in self.entries.items()}

    def newest(self, count: int) -> dict[str, list[Row]]:
        """The last ones of each table and list, newest first."""
        newest = {name: list(islice(reversed(t.values()), count)) for name, t in self.rows.items()}
        for name, rows in self.entries.items():
            newest[name] = list(islice(reversed(rows), count))
        return newest

    def merge(self, collections: Mapping[str, Any]) -> None:
        """Take fixtures in: `{"members": [{...}]}`; a record with a known id is merged into it."""
        unknown = set(collections) - set(self.rows) - set(self.entries)
        if unknown:
            raise ControlError(
                f"unknown collections {sorted(unknown)}; there are "
                f"{sorted([*self.rows, *self.entries])}"
            )
        for name, given in collections.items():
            rows = list(given.values()) if isinstance(given, dict) else given
            if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
                raise ControlError(f"{name} must be a list of objects")
            if name in self.entries:
                self.entries[name].extend(rows)
            else:
                for row in rows:
                    self.put(name, dict(row))
        self.changed()

    def put(self, table: str, row: Row) -> None:
        """Take one fixture in."""
        key = self.tables[table]
        if row.get(key) is None:
            row[key] = self.next_number(table)
        rows = self.rows[table]
        rows[str(row[key])] = {**rows.get(str(row[key]), {}), **row}

    def remove(self, table: str, key: str) -> bool:
        """Delete a record behind the clients' back; False when it is not there."""
        self.changed()
        return self.rows[table].pop(key, None) is not None
