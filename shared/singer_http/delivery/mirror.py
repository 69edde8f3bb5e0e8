"""Mode `mirror`: what this sync once wrote and the source no longer has is removed.

Nothing in a Singer stream proves that an extract is complete: not its end, not STATE, not
ACTIVATE_VERSION. So the source has to say how many rows there are, in a column, and exactly that
many have to come.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from singer_http.errors import StopRun
from singer_http.operations import JSON, Row
from singer_http.plugin.validation import parse_share

if TYPE_CHECKING:
    from singer_http.delivery.delivery import Delivery

TRUST = "trust"
ALWAYS_ALLOWED = 5
"""What a share allows, however small the ledger."""


class Mirror:
    """Counts what the source brings, and tells what it no longer has."""

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
        self._seen = sqlite3.connect("", isolation_level=None)
        self._seen.execute("PRAGMA synchronous=OFF")
        self._seen.execute("PRAGMA journal_mode=OFF")
        self._seen.execute(
            "CREATE TABLE seen (stream TEXT, key TEXT, PRIMARY KEY (stream, key)) WITHOUT ROWID"
        )

    def count(self, source: str, record: JSON) -> None:
        """Count a row of the extract, before `stream_maps`."""
        self._rows[source] = self._rows.get(source, 0) + 1
        stated = self._stated.setdefault(source, set())
        value = record.get(self.column)
        if len(stated) < 2:
            stated.add(value if isinstance(value, int | float) else str(value))

    def saw(self, stream: str, stored: str) -> None:
        """A (stored) key is present, whatever becomes of its record."""
        self._seen.execute("INSERT OR IGNORE INTO seen VALUES (?, ?)", (stream, stored))

    def saw_keyless(self, stream: str) -> None:
        """A row without a key: whose it is cannot be told, so nothing is known to be gone."""
        self._keyless.add(stream)

    def doubt(self, source: str, stream: str) -> str | None:
        """Why the extract is not known to be complete."""
        if stream in self._keyless:
            return "a row came without its key, so it cannot be told which ones are gone"
        if self.column == TRUST:
            return None
        rows, stated = self._rows.get(source, 0), self._stated.get(source, set())
        if not rows:
            return "no row came, so none could say how many there are"
        if len(stated) > 1:
            return f"the column {self.column} (mirror_count) differs from row to row"
        (said,) = stated
        if said != rows:
            return f"{rows:,} rows came, the column {self.column} (mirror_count) says {said}"
        return None

    def gone(self, delivery: Delivery) -> Iterator[Row]:
        """The ledger's rows that the source no longer has.

        Raises:
            StopRun: more than `max_deletes`; raised before the first row.
        """
        total, missing = 0, 0
        for page in delivery.ledger.walk(delivery.scope.id):
            total += len(page)
            missing += sum(1 for _ in self._missing(delivery, page))
        limit = parse_share(self.max_deletes)
        if not limit.allows(missing, total, at_least=ALWAYS_ALLOWED):
            raise StopRun(
                f"{delivery.sink.stream}: the mirror would remove {missing:,} of {total:,} "
                f"records, more than max_deletes ({self.max_deletes}) allows: nothing was removed. "
                "Look at the source, or raise max_deletes."
            )
        if missing:
            for page in delivery.ledger.walk(delivery.scope.id):
                yield from self._missing(delivery, page)

    def _missing(self, delivery: Delivery, page: list[Row]) -> Iterator[Row]:
        stream = delivery.sink.stream
        for row in page:
            found = self._seen.execute(
                "SELECT 1 FROM seen WHERE stream = ? AND key = ?", (stream, row.key)
            ).fetchone()
            if not found and not row.uncertain:
                yield row

    def close(self) -> None:
        """Let go of the temporary store."""
        self._seen.close()
