"""What a run did, in numbers: counted for each stream, written as JSON."""

from __future__ import annotations

import datetime
import json
import secrets
from dataclasses import asdict, dataclass, field
from pathlib import Path

from singer_http.errors import Interrupted, SingerHTTPError, StopRun, one_line
from singer_http.files import atomic_write
from singer_http.operations import JSON, OutcomeKind
from singer_http.report.table import table
from singer_http.report.timeline import Timeline

ALMOST_A_SECOND = datetime.timedelta(microseconds=999_999)
"""Rounds up to whole seconds: a retry that is a little early would be refused."""
KEPT_EXAMPLES = 3
"""Of one field."""


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
    suppressed: int = 0
    """Of `skipped`: people who must not be reached."""
    requests: int = 0
    retries: int = 0
    seconds: float = 0.0
    """From the stream's first message to its last answer."""
    kept: dict[str, int] = field(default_factory=dict)
    """Field -> records whose value at the vendor `overwrite` kept."""

    def add(self, kind: OutcomeKind, number: int = 1) -> None:
        """Count an outcome."""
        name = kind._value_  # a plain string: `value` is a slow property of the enum
        setattr(self, name, getattr(self, name) + number)

    def keep(self, name: str) -> None:
        """Count a field of one record whose value at the vendor `overwrite` kept."""
        self.kept[name] = self.kept.get(name, 0) + 1

    @property
    def delivered(self) -> int:
        """Records that changed something at the vendor."""
        return self.created + self.updated + self.upserted + self.deleted

    def as_dict(self) -> JSON:
        """The counts by name."""
        return asdict(self) | {"seconds": round(self.seconds, 3)}


@dataclass(slots=True)
class StreamReport:
    """One stream: this run's records, and an earlier run's that were sent again."""

    counts: Counts = field(default_factory=Counts)
    retried: Counts = field(default_factory=Counts)
    sources: list[str] = field(default_factory=list)
    """The source streams that fed it, by the names that they came with."""
    filtered: int = 0
    """Records that `stream_maps` left out: not received."""
    notes: list[str] = field(default_factory=list)
    examples: list[JSON] = field(default_factory=list)
    """Of a dry run: operations that would be sent (see `preview.Example`)."""
    kept_examples: list[JSON] = field(default_factory=list)
    """Of each field a few records whose value at the vendor `overwrite` kept."""

    def add_source(self, name: str) -> None:
        """Note a source stream, once."""
        if name not in self.sources:
            self.sources.append(name)

    def add_kept(self, field_: str, id_: str | None, theirs: str, ours: str) -> None:
        """Show a value that was kept, if its field has few examples yet.

        Args:
            field_: as people call it.
            id_: the vendor's, of the record.
            theirs: the vendor's value, as people may see it; as is `ours`, the source's.
        """
        if sum(one["field"] == field_ for one in self.kept_examples) < KEPT_EXAMPLES:
            example = {"field": field_, "id": id_, "vendor": theirs, "source": ours}
            self.kept_examples.append(example)

    def as_dict(self) -> JSON:
        """As it stands in the report file."""
        found = self.counts.as_dict()
        if self.retried.received:
            found["retried"] = self.retried.as_dict()
        for name in ("filtered", "notes", "examples", "kept_examples"):
            if value := getattr(self, name):
                found[name] = value
        return found


class Report:
    """The report of one run of a target."""

    def __init__(
        self,
        plugin: str,
        version: str,
        *,
        account: str,
        sync: str,
        mode: str,
        dry_run: bool,
        rate_limit: str = "",
    ) -> None:
        """Begin now, under a run id of its own: sortable by time, unique by a random part."""
        started = datetime.datetime.now(datetime.UTC)
        self.run = f"{started:%Y%m%dT%H%M%SZ}-{secrets.token_hex(3)}"
        self.plugin = plugin
        self.version = version
        self.account = account
        self.sync = sync
        self.mode = mode
        self.dry_run = dry_run
        self.rate_limit = rate_limit
        self.started_at = _text(started)
        self.finished_at: str | None = None
        self.outcome = "ok"
        self.error: str | None = None
        self.needs_person = False
        self.retry_at: str | None = None
        self.input_complete = False
        """A STATE came, and no record after the last one. Set by the reader of the input."""
        self.streams: dict[str, StreamReport] = {}
        self.timeline = Timeline()

    def stream(self, name: str) -> StreamReport:
        """The counts of a stream, made at first sight."""
        return self.streams.setdefault(name, StreamReport())

    def finish(self, error: BaseException) -> None:
        """Note what ended the run: `stopped` for a reason to act on, or else `failed`."""
        stopped = isinstance(error, StopRun | Interrupted)
        interrupted = isinstance(error, Interrupted)
        self.outcome = "stopped" if stopped else "failed"
        self.error = "ended by a signal" if interrupted else one_line(str(error))
        if isinstance(error, SingerHTTPError):
            self.needs_person = error.needs_person
            if error.retry_at is not None:
                self.retry_at = _text(error.retry_at + ALMOST_A_SECOND)
        self.finished_at = _text(datetime.datetime.now(datetime.UTC))

    def as_dict(self) -> JSON:
        """As it stands in the report file."""
        now = _text(datetime.datetime.now(datetime.UTC))
        return {
            "run": self.run,
            "plugin": self.plugin,
            "version": self.version,
            "account": self.account,
            "sync": self.sync,
            "mode": self.mode,
            "started_at": self.started_at,
            "finished_at": self.finished_at or now,
            "dry_run": self.dry_run,
            "outcome": self.outcome,
            "error": self.error,
            "needs_person": self.needs_person,
            "retry_at": self.retry_at,
            "input_complete": self.input_complete,
            "streams": {name: stream.as_dict() for name, stream in self.streams.items()},
        }

    def extras(self) -> JSON:
        """What only the page needs."""
        return {
            "sources": {name: list(stream.sources) for name, stream in self.streams.items()},
            "rate_limit": self.rate_limit,
            "timeline": self.timeline.as_dict(),
        }

    def as_stored(self) -> JSON:
        """The report file's content, and what only the page needs."""
        return self.as_dict() | self.extras()

    def write(self, path: Path) -> None:
        """Write the JSON, readable by its owner only.

        Raises:
            OSError: it cannot be written.
        """
        atomic_write(path, json.dumps(self.as_dict(), indent=2).encode() + b"\n")

    def table(self) -> str:
        """The counts as a plain table."""
        return table(self.as_dict())


def _text(moment: datetime.datetime) -> str:
    return f"{moment:%Y-%m-%dT%H:%M:%SZ}"
