"""Whatever the order of failures, batch sizes and threads: the state at the vendor is the same.

Examples run in this process, since a thousand processes would take too long; the target, its
client and the sandbox are the real ones, only the pauses between tries are cut short.
"""

from __future__ import annotations

import io
import json
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import backoff
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from singer_http.errors import VendorDown
from singer_sandbox import Sandbox
from target_autoreach.target import TargetAutoReach
from tests.front_door import JSON, record, schema

KEYS = st.integers(0, 7)
EXAMPLES = settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


@pytest.fixture(autouse=True)
def short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backoff, "full_jitter", lambda _seconds: 0.002)


@st.composite
def changes(draw: st.DrawFn) -> list[tuple[int, str, int]]:
    """Records in order: key, what (good, refused, invalid, delete), a value."""
    what = st.sampled_from(["good"] * 5 + ["refused", "invalid", "delete"])
    return draw(st.lists(st.tuples(KEYS, what, st.integers(0, 3)), max_size=40))


FAULTS = st.lists(
    st.fixed_dictionaries(
        {
            "after": st.integers(0, 12),
            "times": st.integers(1, 2),
            "when": st.sampled_from(["before", "after"]),
            "kind": st.sampled_from(
                [
                    {"drop": True},
                    {"status": 500},
                    {"status": 429},
                    {"cut_json": True},
                    {"cut": True},
                ]
            ),
        }
    ),
    max_size=3,
)


def person(key: int, what: str, value: int) -> JSON:
    if what == "delete":
        return record("people", id=f"p{key}", _sdc_deleted_at="2026-01-01T00:00:00Z")
    email: Any = {"refused": "nonsense", "invalid": 5}.get(what, f"p{key}@example.com")
    return record("people", id=f"p{key}", email=email, first_name=f"v{value}")


def member(key: int, what: str, value: int) -> JSON:
    fields = person(key, what, value)["record"]
    fields["owner"] = fields.pop("id")
    return record("members", **fields, list_id="1")


def one_by_one(rows: list[tuple[int, str, int]]) -> dict[str, str]:
    """What is there when each is sent before the next comes: email -> first name."""
    there: dict[str, str] = {}
    for key, what, value in rows:
        if what == "good":
            there[f"p{key}@example.com"] = f"v{value}"
        elif what == "delete":
            there.pop(f"p{key}@example.com", None)
    return there


def deliver(sandbox: Sandbox, messages: list[JSON], directory: Path, **config: Any) -> None:
    """Run the target until it gets through, as a user (or a scheduler) would."""
    text = "".join(json.dumps(message) + "\n" for message in messages)
    for _ in range(6):
        target = TargetAutoReach(
            config={
                **sandbox.settings("target-autoreach"),
                "rate_limit": "",
                "lookup_wait": 0.02,
                "max_rejects": "",
                "max_retries": 3,
                "work_dir": str(directory),
                **config,
            }
        )
        try:
            target.deliver(io.BytesIO(text.encode()))
        except VendorDown:
            continue
        return
    raise AssertionError("the vendor was never up for long enough")


@dataclass
class History:
    """What two runs deliver, and what goes wrong."""

    rows: list[tuple[int, str, int]]
    cut: int
    """How many rows the first run has."""
    concurrency: int
    faults: list[JSON]


HISTORIES = st.builds(
    History,
    rows=changes(),
    cut=st.integers(0, 40),
    concurrency=st.integers(1, 5),
    faults=FAULTS,
)


@EXAMPLES
@given(history=HISTORIES, batch=st.integers(1, 7))
def test_people_end_up_as_if_sent_one_by_one(
    sandbox: Sandbox, history: History, batch: int
) -> None:
    run_and_compare(sandbox, "people", history, batch)


@EXAMPLES
@given(history=HISTORIES)
def test_members_end_up_as_if_sent_one_by_one(sandbox: Sandbox, history: History) -> None:
    run_and_compare(sandbox, "members", history, batch=1)


def run_and_compare(sandbox: Sandbox, stream: str, history: History, batch: int) -> None:
    rows, cut, concurrency = history.rows, history.cut, history.concurrency
    sandbox.reset()
    sandbox.put_state("autoreach", {"lists": [{"id": 1, "name": "A"}]})
    for fault in history.faults:
        where = {k: fault[k] for k in ("after", "times", "when")}
        if fault["kind"] == {"status": 429}:
            where["when"] = "before"  # what a 429 says is that nothing was done
        sandbox.fault(vendor="autoreach", path=stream, **where, **fault["kind"])
    key = "id" if stream == "people" else "owner"
    columns = schema(stream, (key, "email", "first_name", "list_id"), (key,))
    make = person if stream == "people" else member
    directory = Path(tempfile.mkdtemp())
    try:
        for part in (rows[:cut], rows[cut:]):
            messages = [columns, *(make(*row) for row in part)]
            deliver(sandbox, messages, directory, batch_size_rows=batch, concurrency=concurrency)
        found = list(sandbox.state("autoreach")[stream].values())
    finally:
        shutil.rmtree(directory)
    assert {item["email"]: item["first_name"] for item in found} == one_by_one(rows)
    assert len(found) == len(one_by_one(rows)), "something was created twice"
