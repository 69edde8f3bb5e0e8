"""For any history of one key, the vendor ends with the newest value, in one record or none.

Values that go and come back, deletes, re-creations; lost answers, refusals, redirects, kills at any
step; full runs and runs that bring only what is new since the last STATE.
"""

from __future__ import annotations

import itertools
import shutil
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import backoff
import pytest
from hypothesis import given
from hypothesis import strategies as st

from singer_sandbox import Sandbox
from tests.core.rules.runs import Runs, examples
from tests.core.rules.sinks import CASES, Case, email
from tests.findings.inputs import settled
from tests.front_door import JSON, state

KEYS = ["one", "two"]
FOLDERS = itertools.count()
STEPS = ("after_pending", "after_answer", "before_acknowledged", "after_acknowledged")
FAULT_KINDS: tuple[JSON, ...] = (
    {"drop": True}, {"status": 500}, {"status": 303}, {"status": 504}, {"status": 404},
    {"status": 400}, {"cut_json": True}, {"status": 200, "answer": {}},
)  # fmt: skip


@dataclass(frozen=True)
class Change:
    """The source changes a row; without a value it deletes it."""

    key: str
    value: int | None


@dataclass(frozen=True)
class Go:
    """A run."""

    full: bool = True
    fault: JSON | None = None
    dies_at: str | None = None


CHANGES = st.builds(
    Change, st.sampled_from(["one", "one", "one", "two"]), st.sampled_from([None, 0, 1, 1, 2])
)
FAULTS = st.fixed_dictionaries(
    {"kind": st.sampled_from(FAULT_KINDS), "when": st.sampled_from(["before", "after"]),
     "times": st.integers(1, 3), "after": st.integers(0, 2)},
)  # fmt: skip
RUNS = st.builds(
    Go,
    full=st.booleans(),
    fault=st.none() | FAULTS,
    dies_at=st.sampled_from([None] * 12 + list(STEPS)),
)
HISTORIES = st.lists(st.one_of(CHANGES, RUNS), min_size=2, max_size=12)


@dataclass
class Source:
    """Rows with the number of their last change; what is deleted stays, marked."""

    rows: dict[str, tuple[int, int | None]] = field(default_factory=dict)
    changes: int = 0
    bookmark: int = 0

    def change(self, key: str, value: int | None) -> None:
        if value is None and self.rows.get(key, (0, None))[1] is None:
            return  # there is nothing to delete
        self.changes += 1
        self.rows[key] = self.changes, value

    def messages(self, case: Case, *, full: bool) -> list[JSON]:
        messages = case.messages([])
        for key, (number, value) in sorted(self.rows.items(), key=lambda row: row[1][0]):
            if full or number > self.bookmark:
                messages += case.messages([key], value or 0, delete=value is None)[1:]
        return [*messages, state({"at": self.changes})]


class Story:
    def __init__(self, case: Case, sandbox: Sandbox, directory: Path) -> None:
        self.case, self.sandbox = case, sandbox
        self.source = Source()
        self.runs = Runs(
            case.target, sandbox, directory, max_retries=1, concurrency=2, **case.settings(sandbox)
        )

    def play(self, history: list[Change | Go]) -> None:
        for step in history:
            if isinstance(step, Change):
                self.source.change(step.key, step.value)
            else:
                self.go(step)

    def go(self, step: Go) -> None:
        messages = self.source.messages(self.case, full=step.full)
        if step.fault:
            self.break_down(step.fault)
        if step.dies_at is not None:
            states = self.runs.run_and_die(step.dies_at, messages)
            settled(self.sandbox)
        else:
            states = self.run(messages)
        if states:
            self.source.bookmark = states[-1]["at"]
        self.sandbox.clear_faults()

    def break_down(self, fault: JSON) -> None:
        """What the vendor does with the requests of the next run."""
        kind = fault["kind"]
        given = {k: v for k, v in fault.items() if k != "kind"}
        if kind.get("status") in (400, 404):
            given["when"] = "before"  # a no of the vendor says that nothing was done
        if kind.get("status") == 200:
            given["when"] = "after"  # a yes to what was not done cannot be told
        methods, actions = ["POST", "PUT", "PATCH", "DELETE"], "NEW|EDIT|TRASH"
        if kind.get("status") == 404:
            # To a delete it is a yes: the record is not there. No one can tell that from a lie.
            methods, actions = ["POST", "PUT", "PATCH"], "NEW|EDIT"
        if self.case.vendor == "merlin":
            methods, given["body"] = ["POST"], actions
        for method in methods:
            self.sandbox.fault(vendor=self.case.vendor, method=method, **given, **kind)

    def run(self, messages: list[JSON]) -> list[Any]:
        ran = self.runs.run(messages)
        assert not ran.error or "Traceback" not in ran.messages
        return ran.states

    def end(self) -> None:
        """Run without faults until nothing is outstanding; a person looks what arrived."""
        settled(self.sandbox)
        for _ in range(4):
            ran = self.runs.run(self.source.messages(self.case, full=False))
            assert ran.error == ""
            self.source.bookmark = ran.states[-1]["at"]
            if not ran.rejects:
                break
            for reject in ran.rejects:
                if reject["rejection"]["kind"] == "uncertain":
                    key = reject["record"]["k"]
                    there = any(email(key) == row[0] for row in self.case.state(self.sandbox))
                    self.runs.resolve(self.case.sink.stream, key, "sent" if there else "unsent")
        assert self.runs.run(self.source.messages(self.case, full=False)).rejects == []

    def check(self) -> None:
        wanted = [
            [email(key), f"v{value}"]
            for key, (_, value) in self.source.rows.items()
            if value is not None
        ]
        assert self.case.state(self.sandbox) == sorted(wanted)


@pytest.fixture(autouse=True)
def short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backoff, "full_jitter", lambda _seconds: 0.002)


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("histories")


RECORDS = [case for case in CASES if case.name in {
    "autoreach-people", "autoreach-members", "rei-contacts", "rei-v2-contacts", "merlin-contacts",
}]  # fmt: skip


@pytest.mark.parametrize("case", RECORDS, ids=[case.name for case in RECORDS])
@examples(12)
@given(history=HISTORIES)
def test_the_vendor_ends_with_the_newest_value(
    sandbox: Sandbox, folders: Path, case: Case, history: list[Change | Go]
) -> None:
    tell(sandbox, folders, case, history)


def tell(sandbox: Sandbox, folders: Path, case: Case, history: list[Change | Go]) -> None:
    directory = folders / str(next(FOLDERS))
    directory.mkdir()
    case.prepare(sandbox, KEYS)
    story = Story(case, sandbox, directory)
    story.play(history)
    story.end()
    story.check()
    shutil.rmtree(directory)
