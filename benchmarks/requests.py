"""Requests per record at REI Software, under the vendor's limit: what a user waits for."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks import work
from benchmarks.contestants import Stage

LIMIT, WINDOW = 100, 10.0
"""Requests in seconds: HighLevel's own limit."""
ACCOUNT = 5_000
"""Contacts that the account has before."""
BULK = 100
"""Contacts in one request of v2 that changes tags, at most."""


@dataclass(frozen=True)
class Row:
    """What one run took."""

    version: str
    what: str
    records: int
    requests: int
    least: int
    """Requests without which it cannot be done."""
    seconds: float
    used: float
    """Share of the limit that was used."""
    wanted: float | None
    """Requests per record, at most."""

    @property
    def each(self) -> float:
        """Requests per record."""
        return self.requests / self.records


def rows(stage: Stage, count: int) -> list[Row]:
    """New contacts, updates and tags, by each version of the API."""
    found = []
    for version in ("v1", "v2"):
        stage.empty()
        stage.sandbox.fill("rei", contacts=ACCOUNT)
        runs = (
            ("new contacts", _contacts(stage.folder, count, "Austin"), count, 1.1),
            ("updates", _contacts(stage.folder, count, "Reno"), count, 1.01),
            ("tags", _tags(stage.folder, count), count // BULK if version == "v2" else count, None),
        )
        for number, (what, messages, least, wanted) in enumerate(runs):
            command = stage.target_command(
                "target-reisoftware",
                messages,
                fresh=number == 0,
                **stage.sandbox.settings("target-reisoftware", version),
                rate_limit=f"{LIMIT}/{WINDOW:g}s",
                concurrency=8,
            )
            stage.sandbox.log(enabled=True, bodies=False, clear=True)
            sample = command.run()
            at = sorted(entry["at"] for entry in stage.sandbox.requests("rei"))
            found.append(Row(version, what, count, len(at), least, sample.wall, _used(at), wanted))
    return found


def _used(at: list[float]) -> float:
    """How full the windows were, on the average, once the first one was full."""
    gaps = [after - before for before, after in zip(at, at[LIMIT:], strict=False)]
    return WINDOW * len(gaps) / sum(gaps) if gaps else 0.0


def _contacts(folder: Path, count: int, city: str) -> Path:
    schema = {"properties": dict.fromkeys(("email", "firstName", "city"), work.TEXT)}
    records = (
        {"email": f"new{n}@example.com", "firstName": f"Ann {n}", "city": city}
        for n in range(count)
    )
    return _messages(folder / f"contacts-{city}.jsonl", "contacts", schema, records)


def _tags(folder: Path, count: int) -> Path:
    schema = {"properties": dict.fromkeys(("email", "tag"), work.TEXT)}
    records = ({"email": f"new{n}@example.com", "tag": "bench"} for n in range(count))
    return _messages(folder / "tags.jsonl", "contact_tags", schema, records)


def _messages(path: Path, stream: str, schema: Any, records: Any) -> Path:
    head = {"type": "SCHEMA", "stream": stream, "schema": schema, "key_properties": ["email"]}
    with path.open("w") as file:
        file.write(json.dumps(head) + "\n")
        for one in records:
            file.write(json.dumps({"type": "RECORD", "stream": stream, "record": one}) + "\n")
    return path
