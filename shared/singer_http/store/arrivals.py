"""When a record last came unchanged: the keys of each run, kept for the last runs only.

The ledger's rows are not touched for it: writing 200,000 rows costs as much as reading them all.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

import sqlalchemy as sa

from singer_http.store.database import Database
from singer_http.store.tables import arrivals, contains, delivered, runs

CHUNK = 20_000
"""Keys in one row of the table."""
ROOM = 2
"""Arrivals that are kept for each row of the ledger: a full extract is kept twice."""
LEAST = 100_000
"""Arrivals that are kept of each stream, however small its ledger is."""
HASH_LENGTH = 17
"""Characters of a hashed key that are kept: # and 64 bits."""


class Arrival(NamedTuple):
    """A run in which a key came unchanged."""

    number: int
    """Of the run, as in `runs`."""
    run: str
    at: int
    """Epoch seconds at which that run began."""


class Arrivals:
    """Reads and writes the table `arrivals`."""

    def __init__(self, database: Database, commit: Callable[[], None]) -> None:
        """Work on a database.

        Args:
            database: an open one.
            commit: writes down and commits what this store and its neighbours hold back.
        """
        self._database = database
        self._commit = commit
        self._came: dict[int, list[str]] = {}
        self._written: set[int] = set()
        self.run: int | None = None
        """The number of this run."""

    def add(self, scope: int, keys: Iterable[str]) -> None:
        """These (stored) keys came, and were unchanged."""
        came = self._came.setdefault(scope, [])
        came += keys
        if len(came) >= CHUNK:
            self._commit()

    def flush(self, *, all_of_them: bool = False) -> None:
        """Write down what fills a row of the table, or all that is held back."""
        for scope, came in self._came.items():
            if self.run is not None and (len(came) >= CHUNK or all_of_them):
                text = _lines(came)
                self._database.execute(
                    arrivals.insert(),
                    {
                        "scope": scope,
                        "run": self.run,
                        "rows": len(came),
                        "keys": text.encode("utf-8", "surrogatepass"),
                    },
                )
                self._written.add(scope)

    def flushed(self, *, all_of_them: bool = False) -> None:
        """It was committed."""
        for scope, came in list(self._came.items()):
            if len(came) >= CHUNK or all_of_them:
                del self._came[scope]

    def prune(self) -> None:
        """Drop what is too old of the streams that were written; the caller commits."""
        for scope in self._written:
            self._prune(scope)
        self._written.clear()

    def _prune(self, scope: int) -> None:
        where = arrivals.c.scope == scope
        sizes = self._database.query(
            sa.select(arrivals.c.run, sa.func.sum(arrivals.c.rows))
            .where(where)
            .group_by(arrivals.c.run)
            .order_by(arrivals.c.run.desc())
        )
        if sum(size for _, size in sizes) <= LEAST:
            return  # counting the ledger's rows costs as much as reading them
        rows = self._database.query(
            sa.select(sa.func.count()).select_from(delivered).where(delivered.c.scope == scope)
        )[0][0]
        room = max(LEAST, ROOM * rows)
        kept = 0
        for number, (run, size) in enumerate(sizes):
            kept += size
            if number and kept > room:
                self._database.execute(arrivals.delete().where(where & (arrivals.c.run <= run)))
                return

    def last(self, scope: int, key: str) -> Arrival | None:
        """The last run in which a (stored) key came unchanged, as far as runs are kept."""
        line = f"\n{_short(key)}\n".encode("utf-8", "surrogatepass")
        found = self._database.query(
            sa.select(runs.c.id, runs.c.run, runs.c.started_at)
            .join(arrivals, arrivals.c.run == runs.c.id)
            .where(
                (arrivals.c.scope == scope)
                & contains(arrivals.c["keys"], line, sqlite=self._database.sqlite)
            )
            .order_by(arrivals.c.id.desc())
            .limit(1)
        )
        return Arrival(*found[0]) if found else None


def _lines(keys: Sequence[str]) -> str:
    text = "\n".join(keys)
    if "#" in text or text.count("\n") >= len(keys):
        text = "\n".join(map(_short, keys))
    return f"\n{text}\n"


def _short(key: str) -> str:
    """A key as a line; no key holds a NUL character."""
    return key[:HASH_LENGTH] if key.startswith("#") else key.replace("\n", "\0")
