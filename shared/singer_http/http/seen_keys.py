"""The keys of rows that were read: memory stays flat, whatever their number."""

from __future__ import annotations

import sqlite3
import tempfile
from array import array
from collections.abc import Hashable, Iterable, Sequence

HASH_BYTES = 8


class SeenKeys:
    """A set of keys on disk, 8 bytes for each: keys are added often and looked up rarely.

    Two keys with the same 64-bit hash count as one: a chance of 1 in 30 million for a million rows.
    """

    def __init__(self) -> None:
        """Start empty; nothing is on disk yet."""
        self._added = tempfile.SpooledTemporaryFile(1 << 16)  # noqa: SIM115  (closed with this)
        self._index: sqlite3.Connection | None = None

    @property
    def is_indexed(self) -> bool:
        """Whether a look-up was made: from then on one costs little."""
        return self._index is not None

    def add(self, keys: Iterable[Hashable]) -> None:
        """Add keys; costs no look-up."""
        hashes = array("q", map(hash, keys))
        if self._index is None:
            self._added.write(hashes.tobytes())
        else:
            self._insert(self._index, hashes)

    def unseen(self, keys: Sequence[Hashable]) -> list[bool]:
        """For each key, whether it was not added before."""
        index = self._indexed()
        query = "SELECT 1 FROM seen WHERE hash = ?"
        return [index.execute(query, (hash(key),)).fetchone() is None for key in keys]

    def close(self) -> None:
        """Free the disk."""
        self._added.close()
        if self._index is not None:
            self._index.close()

    def _indexed(self) -> sqlite3.Connection:
        """The index; the first look-up builds it."""
        if self._index is None:
            # An empty name is a temporary file that SQLite removes.
            self._index = sqlite3.connect("", isolation_level=None, check_same_thread=False)
            self._index.execute("PRAGMA journal_mode = OFF")
            self._index.execute("CREATE TABLE seen (hash INTEGER PRIMARY KEY)")
            self._added.seek(0)
            while piece := self._added.read(HASH_BYTES << 12):
                self._insert(self._index, array("q", piece))
        return self._index

    @staticmethod
    def _insert(index: sqlite3.Connection, hashes: array[int]) -> None:
        index.execute("BEGIN")
        index.executemany("INSERT OR IGNORE INTO seen VALUES (?)", ((each,) for each in hashes))
        index.execute("COMMIT")
