"""What a run did, in numbers: counted per stream, written as JSON, shown as a table."""

from __future__ import annotations

import datetime
import json
import os
import tempfile
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from singer_http.operations import JSON, OutcomeKind
from singer_http.report.timeline import Timeline

COLUMNS = (
    "received", "merged", "unchanged", "created", "updated", "upserted", "deleted", "rejected",
    "skipped", "removed", "requests", "retries",
)  # fmt: skip


@dataclass(slots=True)
class Counts:
    """Counts of one stream. `requests` and `retries` make it a meter for the client."""

    received: int = 0
    merged: int = 0
    unchanged: int = 0
    created: int = 0
    updated: int = 0
    upserted: int = 0
    deleted: int = 0
    rejected: int = 0
    skipped: int = 0
    removed: int = 0
    requests: int = 0
    retries: int = 0
    seconds: float = 0.0
    """From the stream's first message to its last answer."""

    def add(self, kind: OutcomeKind, number: int = 1) -> None:
        """Count an outcome."""
        name = kind._value_  # a plain string: what the enum itself is looks slower
        setattr(self, name, getattr(self, name) + number)

    @property
    def delivered(self) -> int:
        """Records that changed something at the vendor."""
        return self.created + self.updated + self.upserted + self.deleted

    def as_dict(self) -> dict[str, Any]:
        """The counts by name."""
        found = {f.name: getattr(self, f.name) for f in fields(self)}
        found["seconds"] = round(self.seconds, 3)
        return found


@dataclass(slots=True)
class StreamReport:
    """One stream: this run's records, and an earlier run's that were sent again."""

    counts: Counts = field(default_factory=Counts)
    retried: Counts = field(default_factory=Counts)
    filtered: int = 0
    """Records that `stream_maps` left out: not received."""
    notes: list[str] = field(default_factory=list)
    examples: list[JSON] = field(default_factory=list)
    """Of a dry run: operations that would go out (see `preview.Example`)."""

    def as_dict(self) -> dict[str, Any]:
        """As it stands in the report file."""
        found = self.counts.as_dict()
        if self.retried.received:
            found["retried"] = self.retried.as_dict()
        if self.filtered:
            found["filtered"] = self.filtered
        if self.notes:
            found["notes"] = self.notes
        if self.examples:
            found["examples"] = self.examples
        return found


class Report:
    """The report of one run of a target."""

    def __init__(self, plugin: str, version: str, sync: str, *, dry_run: bool) -> None:
        self.plugin = plugin
        self.version = version
        self.sync = sync
        self.dry_run = dry_run
        self.started_at = _now()
        self.outcome = "ok"
        self.error: str | None = None
        self.input_complete = False
        self.streams: dict[str, StreamReport] = {}
        self.timeline = Timeline()

    def stream(self, name: str) -> StreamReport:
        """The counts of a stream, made at first sight."""
        return self.streams.setdefault(name, StreamReport())

    def finish(self, outcome: str, error: str | None = None) -> None:
        """Note how the run ended: `ok`, `stopped` (for a reason to act on) or `failed`."""
        self.outcome = outcome
        self.error = error

    def as_dict(self) -> dict[str, Any]:
        """As it stands in the report file."""
        return {
            "plugin": self.plugin,
            "version": self.version,
            "sync": self.sync,
            "started_at": self.started_at,
            "finished_at": _now(),
            "dry_run": self.dry_run,
            "outcome": self.outcome,
            "error": self.error,
            "input_complete": self.input_complete,
            "streams": {name: stream.as_dict() for name, stream in self.streams.items()},
        }

    def write(self, path: Path) -> None:
        """Write the JSON beside itself and rename it; readable by its owner only."""
        descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        with os.fdopen(descriptor, "w") as file:
            json.dump(self.as_dict(), file, indent=2)
            file.write("\n")
        Path(name).replace(path)

    def cells(self) -> list[list[str]]:
        """The counts as a head and a line for each stream, only columns that say something."""
        rows = [(name, stream.counts) for name, stream in self.streams.items()]
        rows += [
            (f"{name} (retried)", stream.retried)
            for name, stream in self.streams.items()
            if stream.retried.received
        ]
        columns = [
            column
            for column in COLUMNS
            if column == "received" or any(getattr(counts, column) for _, counts in rows)
        ]
        return [["stream", *columns]] + [
            [name, *(f"{getattr(counts, column):,}" for column in columns)] for name, counts in rows
        ]

    def table(self) -> str:
        """The counts as a plain table."""
        cells = self.cells()
        widths = [max(len(line[i]) for line in cells) for i in range(len(cells[0]))]
        return "\n".join(
            "  ".join(
                cell.ljust(width) if i == 0 else cell.rjust(width)
                for i, (cell, width) in enumerate(zip(line, widths, strict=True))
            )
            for line in cells
        )


def _now() -> str:
    return datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
