"""The rejects file: what is outstanding now, as valid Singer input.

During a run the rejects lie in a temporary SQLite file, so that a million of them cost no memory;
the file that users see is written anew beside itself and renamed whenever it has to be true:
before a STATE goes out, and at the end.
"""

from __future__ import annotations

import datetime
import hashlib
import os
import sqlite3
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import orjson

from singer_http.errors import StopRun
from singer_http.operations import Rejection, RejectionKind

PENDING = "pending"
"""Kind of a record that a dead run left in the ledger: sent again like a reject, never written."""

_LOOKUP = 500


class Stored(NamedTuple):
    """An outstanding record."""

    id: int
    source: str
    kind: str
    line: bytes
    """The RECORD message as it stands in the file, `rejection` included."""
    at: float
    """Epoch seconds of the rejection."""


class Rejects:
    """Outstanding rejects of one target and sync.

    A record belongs to (stream, key) once its sink is there to tell the key (`identify`); until
    then, and where it has none, it is known by the text of its record.
    """

    def __init__(self, path: Path, *, read_only: bool = False) -> None:
        """Load the file if there is one.

        Args:
            path: `<work_dir>/<plugin>.rejects.jsonl`.
            read_only: never write it (`dry_run`).
        """
        self.path = path
        self._read_only = read_only
        self._dirty = False
        self._schemas: dict[str, bytes] = {}
        self._database = sqlite3.connect("", isolation_level=None)
        self._database.execute("PRAGMA synchronous=OFF")
        self._database.execute("PRAGMA journal_mode=OFF")
        self._database.execute(
            "CREATE TABLE rejects (id INTEGER PRIMARY KEY, source TEXT, stream TEXT, key TEXT,"
            " seq INTEGER, kind TEXT, at REAL, line BLOB)"
        )
        self._database.execute("CREATE UNIQUE INDEX by_key ON rejects (stream, key)")
        self.outstanding = 0
        """Number of records in the store."""
        if path.exists():
            self._load()

    def _load(self) -> None:
        decoder = msgspec.json.Decoder()
        with self.path.open("rb") as file:
            for number, line in enumerate(file, 1):
                try:
                    message = decoder.decode(line)
                    kind = message["type"]
                    if kind == "SCHEMA":
                        self._schemas[message["stream"]] = line.rstrip(b"\n")
                        continue
                    rejection = message.get("rejection") or {}
                    self._insert(
                        message["stream"],
                        None,
                        text_key(message["record"]),
                        0,
                        rejection.get("kind", RejectionKind.INVALID),
                        _epoch(rejection.get("at")),
                        line.rstrip(b"\n"),
                    )
                except (msgspec.DecodeError, KeyError, TypeError, AttributeError):
                    raise StopRun(
                        f"{self.path}, line {number}, is not a Singer message: mend or remove the "
                        "line; the file holds rejected records and is not overwritten."
                    ) from None

    def _insert(
        self,
        source: str,
        stream: str | None,
        key: str,
        seq: int,
        kind: str,
        at: float,
        line: bytes,
    ) -> None:
        before = self._database.total_changes
        place = stream if stream is not None else f"\n{source}"
        newer = self._database.execute(
            "SELECT 1 FROM rejects WHERE stream = ? AND key = ? AND seq > ?", (place, key, seq)
        ).fetchone()
        if newer:
            return
        self.outstanding -= self._database.execute(
            "DELETE FROM rejects WHERE stream = ? AND key = ?", (place, key)
        ).rowcount
        self._database.execute(
            "INSERT INTO rejects (source, stream, key, seq, kind, at, line)"
            " VALUES (?, ?, ?, ?, ?, ?, ?)",
            (source, place, key, seq, kind, at, line),
        )
        self.outstanding += 1
        self._dirty = self._dirty or before > 0

    # --- the records of a stream --------------------------------------------------------------

    def schema(self, source: str) -> bytes | None:
        """The SCHEMA message that stands in the file for a source stream."""
        return self._schemas.get(source)

    def sources(self) -> list[str]:
        """The source streams that have outstanding records."""
        return [row[0] for row in self._database.execute("SELECT DISTINCT source FROM rejects")]

    def unidentified(self, source: str) -> list[Stored]:
        """Records from earlier runs whose key is not known yet."""
        return [
            Stored(*row)
            for row in self._database.execute(
                "SELECT id, source, kind, line, at FROM rejects WHERE stream = ? ORDER BY id",
                (f"\n{source}",),
            )
        ]

    def identify(self, stored: Stored, stream: str, key: str) -> None:
        """A record from an earlier run turns out to belong to a key."""
        self.outstanding -= self._database.execute(
            "DELETE FROM rejects WHERE stream = ? AND key = ?", (stream, key)
        ).rowcount
        self._database.execute(
            "UPDATE rejects SET stream = ?, key = ? WHERE id = ?", (stream, key, stored.id)
        )

    def known(self, stream: str, keys: Sequence[str]) -> dict[str, str]:
        """Which of these keys have an outstanding record: key -> kind."""
        found: dict[str, str] = {}
        if not self.outstanding:
            return found
        for start in range(0, len(keys), _LOOKUP):
            some = keys[start : start + _LOOKUP]
            marks = ",".join("?" * len(some))
            found.update(
                self._database.execute(
                    f"SELECT key, kind FROM rejects WHERE stream = ? AND key IN ({marks})",  # noqa: S608
                    (stream, *some),
                )
            )
        return found

    def earlier(self, stream: str) -> Iterator[tuple[str, Stored]]:
        """Records from earlier runs that nothing newer has replaced yet, oldest first."""
        last = 0
        while True:
            row = self._database.execute(
                "SELECT key, id, source, kind, line, at FROM rejects"
                " WHERE stream = ? AND seq = 0 AND id > ? ORDER BY id LIMIT 1",
                (stream, last),
            ).fetchone()
            if row is None:
                return
            last = row[1]
            yield row[0], Stored(*row[1:])

    # --- what a run does ----------------------------------------------------------------------

    def put(
        self,
        *,
        source: str,
        stream: str,
        key: str,
        seq: int,
        line: bytes,
        operation: str,
        rejection: Rejection,
    ) -> None:
        """Keep a record that was rejected; it replaces what was outstanding for its key."""
        message = msgspec.json.decode(line)
        now = datetime.datetime.now(datetime.UTC)
        message["rejection"] = {
            "kind": str(rejection.kind),
            "reason": rejection.reason,
            "status": rejection.status,
            "operation": operation,
            "attempts": rejection.attempts,
            "at": now.strftime("%Y-%m-%dT%H:%M:%SZ"),
        }
        self._dirty = True
        self._insert(
            source, stream, key, seq, str(rejection.kind), now.timestamp(),
            msgspec.json.encode(message),
        )  # fmt: skip

    def put_pending(self, *, source: str, stream: str, key: str, line: bytes, at: float) -> None:
        """Take in a record that a dead run left pending, unless a reject is newer."""
        self._insert(source, stream, key, 0, PENDING, at, line)

    def drop(self, stream: str, key: str, seq: int, *, but: str = "") -> None:
        """Something as new as `seq` settled the key: what is older leaves, but for one kind."""
        gone = self._database.execute(
            "DELETE FROM rejects WHERE stream = ? AND key = ? AND seq <= ? AND kind <> ?",
            (stream, key, seq, but),
        ).rowcount
        self.outstanding -= gone
        self._dirty = self._dirty or gone > 0

    def write(self, schemas: dict[str, bytes]) -> None:
        """Make the file true, if anything changed since it was last written.

        Args:
            schemas: source stream -> the SCHEMA message of this run.

        Raises:
            StopRun: the file cannot be written.
        """
        self._schemas.update(schemas)
        if self._read_only or not self._dirty:
            return
        try:
            if not self._database.execute(
                "SELECT 1 FROM rejects WHERE kind <> ? LIMIT 1", (PENDING,)
            ).fetchone():
                self.path.unlink(missing_ok=True)
            else:
                self._write_file()
        except OSError as error:
            raise StopRun(
                f"The rejects file {self.path} cannot be written ({error.strerror}): free some "
                "space or check `work_dir`; STATE was not advanced, so nothing is lost."
            ) from None
        self._dirty = False

    def lines(self) -> Iterator[bytes]:
        """The lines of the file, as it would be written now."""
        for source in self.sources():
            schema = self._schemas.get(source)
            if schema is not None:
                yield schema
        for (line,) in self._database.execute(
            "SELECT line FROM rejects WHERE kind <> ? ORDER BY id", (PENDING,)
        ):
            yield line

    def listed(self) -> Iterator[tuple[int, bytes, str, str]]:
        """The rejected records: line number in the file, line, stream ("": not known), key."""
        schemas = sum(source in self._schemas for source in self.sources())
        rows = self._database.execute(
            "SELECT line, stream, key FROM rejects WHERE kind <> ? ORDER BY id", (PENDING,)
        )
        for number, (line, stream, key) in enumerate(rows, schemas + 1):
            yield number, line, stream if not stream.startswith("\n") else "", key

    def _write_file(self) -> None:
        descriptor, name = tempfile.mkstemp(dir=self.path.parent, prefix=f".{self.path.name}.")
        try:
            with os.fdopen(descriptor, "wb") as file:
                for line in self.lines():
                    file.write(line + b"\n")
                file.flush()
                os.fsync(file.fileno())
            Path(name).replace(self.path)
        except BaseException:
            Path(name).unlink(missing_ok=True)
            raise

    def close(self) -> None:
        """Let go of the temporary store; the file is not written."""
        self._database.close()


def text_key(record: Any) -> str:
    """How a record without a key is known: by its text."""
    text = orjson.dumps(record, option=orjson.OPT_SORT_KEYS, default=str)
    return "\n" + hashlib.blake2b(text, digest_size=16).hexdigest()


def _epoch(text: Any) -> float:
    try:
        return datetime.datetime.fromisoformat(str(text)).timestamp()
    except ValueError:
        return 0.0
