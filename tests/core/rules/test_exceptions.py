"""Whatever goes wrong with one record rejects that record, and nothing else.

Each record fails in another step of its sink; the others are delivered. Run again without the
fault, all is as if nothing had happened: nothing lost, nothing sent or created twice.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from singer_sandbox import Sandbox
from tests.core.rules.raising import PLACES, Faults, key_of
from tests.core.rules.runs import Ran, Runs
from tests.core.rules.sinks import CASES, COUNT, Case
from tests.front_door import adds_up

GOOD = [f"g{i}" for i in range(3)]
FAILING = [key_of(place) for place in PLACES]
KEYS = [GOOD[0], *FAILING, *GOOD[1:]]


class Story:
    """The runs of one case, with a fault and then without; and what a run without one does."""

    def __init__(self, case: Case, sandbox: Sandbox, tmp_path: Path, shift: int) -> None:
        self.case, self.sandbox = case, sandbox
        self.patch = pytest.MonkeyPatch()
        self.faults = Faults(self.patch, case.sink, shift)
        self.runs = Runs(case.target, sandbox, tmp_path / "faulty", **case.settings(sandbox))
        self.smooth = Runs(case.target, sandbox, tmp_path / "smooth", **case.settings(sandbox))
        for directory in ("faulty", "smooth"):
            (tmp_path / directory).mkdir()
        self.wanted: list[Any] = []

    def without_faults(self, *steps: dict[str, Any]) -> None:
        """Note the vendor's state after each step of a run in which nothing goes wrong."""
        self.case.prepare(self.sandbox, KEYS)
        for step in steps:
            ran = self._run(self.smooth, step)
            assert ran.rejects == []
            self.wanted.append(self.case.state(self.sandbox))
        self.case.prepare(self.sandbox, KEYS)

    def with_faults(self, step: dict[str, Any]) -> Ran:
        """A run in which each failing record fails, then one in which none does."""
        self.faults.armed = True
        ran = self._run(self.runs, step)
        self.faults.armed = False
        assert not {r["record"]["k"] for r in ran.rejects} & set(GOOD), "a good one was rejected"
        again = self._run(self.runs, step)
        if not self.case.sink.at_most_once:
            again = self._run(self.runs, step)  # what was uncertain is settled by now
            assert again.rejects == []
        assert self.case.state(self.sandbox) == self.wanted.pop(0)
        return ran

    def _run(self, runs: Runs, step: dict[str, Any]) -> Ran:
        config = {k: v for k, v in step.items() if k.startswith(("mode", "m"))}
        given = {k: v for k, v in step.items() if k not in config}
        ran = runs.run(self.case.messages(given.pop("keys", KEYS), **given), **config)
        assert ran.error == ""
        assert adds_up(ran.report)
        return ran


@pytest.fixture
def told(request: pytest.FixtureRequest, sandbox: Sandbox, tmp_path: Path) -> Any:
    case, shift = request.param
    story = Story(case, sandbox, tmp_path, shift)
    yield story
    story.patch.undo()


def each(cases: list[Case], *shifts: int) -> pytest.MarkDecorator:
    """Each case; a shift pairs the steps with other exceptions."""
    shifted = [(case, shift) for case in cases for shift in shifts]
    names = [f"{case.name}-{shift}" for case, shift in shifted]
    return pytest.mark.parametrize("told", shifted, ids=names, indirect=True)


REPEATABLE = [case for case in CASES if not case.sink.at_most_once]


@each(CASES, 0, 3)
def test_what_fails_at_any_step_of_a_new_record_costs_only_that_record(told: Story) -> None:
    told.without_faults({})
    ran = told.with_faults({})
    if told.case.sink.at_most_once:
        kinds = ran.kinds("k")
        assert kinds[key_of("after_request")] == kinds[key_of("after_send_call")] == "uncertain"
        assert kinds[key_of("before_request")] == "refused"
    assert {"prepare", "skip", "after_request"} <= told.faults.reached


@each(REPEATABLE, 5)
def test_what_fails_at_any_step_of_a_change_costs_only_that_record(told: Story) -> None:
    told.without_faults({}, {"version": 1})
    told._run(told.runs, {})
    told.wanted.pop(0)
    told.with_faults({"version": 1})


@each([case for case in REPEATABLE if case.deletes], 7)
def test_what_fails_at_any_step_of_a_delete_costs_only_that_record(told: Story) -> None:
    told.without_faults({}, {"delete": True})
    told._run(told.runs, {})
    told.wanted.pop(0)
    told.with_faults({"delete": True})


@each([case for case in REPEATABLE if "mirror" in case.sink.modes], 9)
def test_what_fails_at_any_step_of_a_removal_is_removed_by_a_later_run(told: Story) -> None:
    mirror = {"mode": "mirror", "mirror_count": COUNT, "max_deletes": "100%"}
    left = {"keys": GOOD, "count": len(GOOD), **mirror}
    told.without_faults({"count": len(KEYS), **mirror}, left)
    told._run(told.runs, {"count": len(KEYS), **mirror})
    told.wanted.pop(0)
    ran = told.with_faults(left)
    assert ran.rejects == []
