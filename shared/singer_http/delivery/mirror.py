"""Mode `mirror`: what this sync once wrote and the source no longer has is removed.

Nothing in a Singer stream proves that an extract is complete: not its end, not STATE, not
ACTIVATE_VERSION. So the source has to say how many rows there are, in a column, and exactly that
many have to arrive, each with a key of its own.
"""

from __future__ import annotations

import functools
import sqlite3
from collections.abc import Iterable, Iterator
from decimal import Decimal
from typing import Any

from singer_http.delivery.attempt import item_guard
from singer_http.delivery.item import Item
from singer_http.errors import StopRun
from singer_http.operations import DELETED, JSON, OutcomeKind, Rejection, Row
from singer_http.plugin.validation import parse_share
from singer_http.sink.base import HTTPSink
from singer_http.store.ledger import Ledger

TRUST = "trust"


class Mirror:
    """Counts the rows of the source, and finds the keys that it no longer has."""

    def __init__(self, column: str, max_deletes: str) -> None:
        """Watch a run.

        Args:
            column: holds the extract's row count, or `trust`.
            max_deletes: a number, or a share of the ledger's rows.
        """
        self.column = column
        self.max_deletes = max_deletes
        self._rows: dict[str, int] = {}
        self._stated: dict[str, set[Any]] = {}
        self._keyless: set[str] = set()
        self._unidentified: set[str] = set()
        self._repeated: set[str] = set()
        self._store = sqlite3.connect("", isolation_level=None)
        for statement in (
            "PRAGMA synchronous=OFF",
            "PRAGMA journal_mode=OFF",
            "CREATE TABLE seen (stream TEXT, key TEXT, PRIMARY KEY (stream, key)) WITHOUT ROWID",
            "CREATE TABLE named (stream TEXT, name TEXT, PRIMARY KEY (stream, name)) WITHOUT ROWID",
        ):
            self._store.execute(statement)

    # --- rows of the extract ------------------------------------------------------------------

    def count(self, source: str, record: JSON) -> None:
        """Count a row of the extract, before `stream_maps`."""
        self._rows[source] = self._rows.get(source, 0) + 1
        stated = self._stated.setdefault(source, set())
        if len(stated) < 2:
            stated.add(_number(record.get(self.column)))

    def saw(self, item: Item) -> None:
        """A record is present, even if it is rejected."""
        if item.keyless:
            self._keyless.add(item.sink.stream)
        else:
            self.saw_key(item.sink.stream, item.stored)

    def saw_key(self, stream: str, stored: str) -> None:
        """A (stored) key is present."""
        new = self._store.execute("INSERT OR IGNORE INTO seen VALUES (?, ?)", (stream, stored))
        if not new.rowcount:
            self._repeated.add(stream)

    def saw_rejected(
        self, item: Item, claims: Iterable[str], rejection: Rejection, *, new: bool
    ) -> None:
        """A rejected row names a record of the vendor: that is present.

        Args:
            item: the row.
            claims: its identities, hashed.
            rejection: why, and which record of the vendor it names.
            new: the ledger does not know its key. If nothing identifies such a row, nobody can tell
                which record it refers to, and nothing is removed.
        """
        ids = (item.remote_id, rejection.remote_id)
        names = [*(() if rejection.blocked else claims), *(f"id {id_}" for id_ in ids if id_)]
        self._store.executemany(
            "INSERT OR IGNORE INTO named VALUES (?, ?)", [(item.sink.stream, n) for n in names]
        )
        if new and not names:
            self._unidentified.add(item.sink.stream)

    # --- what is gone -------------------------------------------------------------------------

    def doubt(self, source: str, stream: str) -> str | None:
        """Why the extract is not known to be complete."""
        if stream in self._keyless:
            return "a row has no key, so it is unknown which records are gone"
        if stream in self._unidentified:
            return "a row with a new key was rejected, so it is unknown which record it refers to"
        if self.column == TRUST:
            return None
        rows, stated = self._rows.get(source, 0), self._stated.get(source, set())
        if not rows:
            return "no row arrived, so none stated how many there are"
        if len(stated) > 1:
            return f"the column {self.column} (mirror_count) differs from row to row"
        (said,) = stated
        if said is None:
            return (
                f"the column {self.column} (mirror_count) did not arrive, or holds no number: "
                "select it in the tap; after a change of the view: meltano run --refresh-catalog"
            )
        if said != rows:
            return f"{rows:,} rows came, the column {self.column} (mirror_count) says {said}"
        if stream in self._repeated:
            return "several rows share a key, so fewer records came than rows"
        return None

    def is_present(self, stream: str, stored: str) -> bool:
        """Whether a (stored) key is in the extract."""
        found = self._store.execute(
            "SELECT 1 FROM seen WHERE stream = ? AND key = ?", (stream, stored)
        )
        return found.fetchone() is not None

    def names(self, claims: Iterable[str], item: Item) -> bool:
        """Whether a rejected row names the record of a removal.

        Args:
            claims: of the key, hashed.
            item: the removal.
        """
        names = [*claims, *([f"id {item.remote_id}"] if item.remote_id else [])]
        return any(
            self._store.execute(
                "SELECT 1 FROM named WHERE stream = ? AND name = ?", (item.sink.stream, name)
            ).fetchone()
            for name in names
        )

    def gone(self, ledger: Ledger, scope: int, stream: str) -> Iterator[Row]:
        """The ledger's rows that the source no longer has.

        Raises:
            StopRun: more than `max_deletes`; raised before the first row.
        """
        total, missing = 0, 0
        for page in ledger.walk(scope):
            total += len(page)
            missing += sum(1 for _ in self._missing(stream, page))
        limit = parse_share(self.max_deletes)
        if not limit.allows_gone(missing, total):
            raise StopRun(
                f"{stream}: the mirror would remove {missing:,} of {total:,} records, more than "
                f"max_deletes ({self.max_deletes}) allows: nothing was removed. Check the "
                "source, or raise max_deletes."
            )
        if missing:
            for page in ledger.walk(scope):
                yield from self._missing(stream, page)

    def _missing(self, stream: str, page: list[Row]) -> Iterator[Row]:
        return (row for row in page if not self.is_present(stream, row.key))

    def close(self) -> None:
        """Remove the temporary store."""
        self._store.close()


def removal(sink: HTTPSink, row: Row, seq: int) -> tuple[Item, Rejection | None]:
    """The operation that removes a ledger row's record; the rejection, if it cannot be removed."""
    item = Item(sink, "", key=row.key, delete=True, line=b"", seq=seq)
    item.digest = DELETED
    item.removal, item.id_from_record = True, True
    item.stored, item.row = row.key, row
    item.remote_id = row.remote_id
    item.expect = OutcomeKind.DELETED
    failed = item_guard(functools.partial(sink.prepare_removal, item))
    item.conflict_keys = (item.key, *([f"\nid {item.remote_id}"] if item.remote_id else []))
    return item, failed


def _number(value: Any) -> int | None:
    """A row count: a number, or its text."""
    if isinstance(value, bool) or value is None:
        return None
    try:
        number = Decimal(str(value).strip())
        return int(number) if number == number.to_integral_value() else None
    except (ArithmeticError, ValueError):
        return None
