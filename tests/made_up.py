"""Made-up reports and rejects: what a page has to show at its most and at its least."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from singer_http.operations import JSON
from singer_http.report.counts import Report
from singer_http.report.rejects_summary import Rejected, summarise

LONG = "a_column_or_stream_with_a_name_that_is_far_longer_than_anybody_would_want_it_to_be"
REASONS = (
    ("refused", 422, "email: 'not an address' is not an email address"),
    ("invalid", None, "previous_contact_date: not a date"),
    ("refused", 400, "phone: +15551234567 is not a number that can be reached"),
    ("uncertain", None, "('Connection aborted.', RemoteDisconnected('Remote end closed'))"),
    ("held", None, "due within quiet_hours (21:00-08:00 America/Chicago): kept for later"),
)


def report(**changes: Any) -> Report:
    made = Report(
        "target-autoreach",
        "0.1.0",
        account="client-4711",
        sync="nightly",
        mode="upsert",
        dry_run=False,
        rate_limit="10/s",
    )
    made.run = "20260131T120000Z-1a2b3c"
    made.started_at, made.finished_at = "2026-01-31T12:00:00Z", "2026-01-31T12:01:30Z"
    made.input_complete = True
    for name, value in changes.items():
        assert hasattr(made, name)
        setattr(made, name, value)
    return made


def stream(made: Report, name: str, *, source: str | None = None, **counts: Any) -> Report:
    found = made.stream(name)
    found.add_source(source or name)
    for column, value in counts.items():
        setattr(found.counts, column, value)
    return made


def stored(made: Report, requests: int = 90) -> JSON:
    """As it is stored, with requests over time that look like those of a run."""
    found = made.as_stored()
    found["timeline"] = {
        "seconds": float(requests),
        "width": 1,
        "requests": [(i * 7) % 11 for i in range(requests)],
        "retries": 3,
    }
    read: JSON = json.loads(json.dumps(found))
    return read


def rejected(number: int, kind: str, status: int | None, reason: str, **record: Any) -> Rejected:
    message = {
        "type": "RECORD",
        "stream": "people",
        "record": {"id": f"own_{number}", "email": f"ann{number}@example.com", **record},
        "rejection": {"kind": kind, "reason": reason, "status": status},
    }
    return Rejected(json.dumps(message).encode(), "people", f"own_{number}", number + 1)


def rejects(number: int, reasons: int = len(REASONS), **record: Any) -> JSON:
    """A summary of so many rejects, for so many reasons."""

    def lines() -> Iterator[Rejected]:
        for i in range(number):
            kind, status, reason = REASONS[i % reasons % len(REASONS)]
            more = "" if i % reasons < len(REASONS) else f" (variant {chr(97 + i % reasons % 26)}"
            more += chr(97 + i % reasons // 26) + ")" if more else ""
            yield rejected(i, kind, status, reason + more, **record)

    return summarise(lines(), "/srv/meltano/.singer-http/target-autoreach.nightly.rejects.jsonl")


def usual() -> tuple[JSON, JSON]:
    made = stream(
        report(), "people", source="public-people",
        received=12_480, merged=31, unchanged=9_610, upserted=2_771, rejected=56, skipped=12,
        requests=318, retries=3,
    )  # fmt: skip
    stream(made, "members", received=905, created=220, updated=675, skipped=10, requests=900)
    made.stream("members").counts.kept = {"first_name": 12, "phone": 3}
    return stored(made), rejects(56)


def clean() -> tuple[JSON, JSON]:
    made = stream(report(sync="default"), "people", received=300, upserted=300, requests=3)
    return stored(made, 3), rejects(0)


def empty() -> tuple[JSON, JSON]:
    return stored(stream(report(), "people"), 0), rejects(0)


def nothing() -> tuple[JSON, JSON]:
    made = report(outcome="stopped", error="Bad credentials: check client_id and client_secret.")
    return stored(made, 0), rejects(0)


def crowded() -> tuple[JSON, JSON]:
    """All outcomes at once, large numbers, long names, more reasons than are shown."""
    made = report(
        plugin="target-" + LONG, sync=LONG, account=LONG, mode="mirror", input_complete=False
    )
    outcomes = (
        "merged", "unchanged", "created", "updated", "upserted", "deleted", "rejected", "skipped",
    )  # fmt: skip
    numbers = {name: 111_111_111 * (i + 1) for i, name in enumerate(outcomes)} | {"deleted": 1}
    received = sum(numbers.values()) + 17
    stream(made, LONG, source="public-" + LONG, received=received, removed=1_234, **numbers)
    made.stream(LONG).retried.received = made.stream(LONG).retried.rejected = 3
    made.stream(LONG).notes.append("mirror: nothing removed: the count says 3, 2 rows came")
    stream(made, "members", received=3, rejected=1, created=2)
    return stored(made, 240), rejects(400, 60, **{LONG: LONG})


def dry() -> tuple[JSON, JSON]:
    made = stream(report(dry_run=True), "people", received=3, created=1, updated=1, rejected=1)
    made.stream("people").examples = [
        {"operation": "created", "id": None, "fields": {"first_name": {"new": "Ann"}}},
        {
            "operation": "updated",
            "id": "4711",
            "fields": {"email": {"old": "a…@example.com", "new": "b…@example.com"}},
        },
    ]
    return stored(made, 2), rejects(1)


def stopped() -> tuple[JSON, JSON]:
    made = report(
        outcome="stopped",
        input_complete=False,
        error="2,511 of 5,000 records were rejected, more than max_rejects (50%) allows: check "
        "the reasons in the rejects file, then run again.",
    )
    stream(made, "people", received=5_400, upserted=2_489, rejected=2_511, requests=120)
    return stored(made), rejects(2_511)


PAGES = {f.__name__: f for f in (usual, clean, empty, nothing, crowded, dry, stopped)}
