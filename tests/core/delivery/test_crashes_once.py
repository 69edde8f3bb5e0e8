"""kill -9 at every step of sending messages: nobody is texted twice, all others are listed."""

from __future__ import annotations

from pathlib import Path

import pytest

from singer_sandbox import Sandbox
from tests.front_door import Plugin, record, schema, state

NUMBERS = [f"+1555010{number:04}" for number in range(14)]
MESSAGES = [
    schema("sms", ("id", "number", "text")),
    *(record("sms", id=str(i), number=number, text="Hello") for i, number in enumerate(NUMBERS)),
    state({"at": 14}),
]


@pytest.fixture
def merlin(sandbox: Sandbox, tmp_path: Path, ledger_url: str | None) -> Plugin:
    return Plugin("target-actionapi", sandbox, tmp_path, first_run=True, ledger_url=ledger_url)


def texted(sandbox: Sandbox) -> list[str]:
    return [message["number"] for message in sandbox.state("merlin")["sms"]]


@pytest.mark.parametrize(
    ("step", "nth"),
    [
        (step, nth)
        for step in (
            "before_pending",
            "after_pending",
            "after_answer",
            "before_acknowledged",
            "after_acknowledged",
        )
        for nth in (1, 3)
    ],
)
def test_nobody_is_texted_twice_though_the_run_dies(
    merlin: Plugin, sandbox: Sandbox, step: str, nth: int
) -> None:
    died = merlin.dying(step, nth).run(MESSAGES, concurrency=3)
    assert died.exit_code == -9, died.stderr
    for _ in range(2):
        result = merlin.run(MESSAGES, concurrency=3)
        assert result.exit_code == 0, result.stderr
        sent = texted(sandbox)
        assert len(sent) == len(set(sent)), "somebody was texted twice"
        doubtful = [r["record"]["number"] for r in result.rejects]
        assert all(r["rejection"]["kind"] == "uncertain" for r in result.rejects)
        assert len(doubtful) <= 3, "more uncertain ones than were in flight"
        assert set(sent) | set(doubtful) == set(NUMBERS), "somebody is neither texted nor listed"


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_message_in_flight_when_the_run_dies_is_uncertain(
    merlin: Plugin, sandbox: Sandbox, when: str
) -> None:
    sandbox.fault(vendor="merlin", body="SMS", after=4, times=None, hold="x", when=when)
    process = merlin.start(MESSAGES, concurrency=2)
    sandbox.wait_held("x", count=2)
    process.kill()
    process.wait()
    sandbox.clear_faults()
    sandbox.release("x")
    result = merlin.run(MESSAGES, first_run=False)
    assert result.exit_code == 0, result.stderr
    assert len(result.rejects) == 2
    sent = texted(sandbox)
    assert len(sent) == len(set(sent)) == 14  # the held ones arrived after all: not sent again
    kept = merlin.run(MESSAGES, first_run=False)
    assert len(kept.rejects) == 2
    assert kept.counts("sms") == {"received": 14, "unchanged": 12, "skipped": 2}
    dropped = merlin.run(MESSAGES, first_run=False, uncertain="drop")
    assert dropped.rejects == []
    assert texted(sandbox) == sent


def test_uncertain_ones_are_sent_when_a_person_says_that_they_did_not_arrive(
    merlin: Plugin, sandbox: Sandbox
) -> None:
    sandbox.fault(vendor="merlin", body="SMS", after=2, times=2, drop=True, when="before")
    result = merlin.run(MESSAGES, concurrency=1)
    assert len(result.rejects) == 2
    assert len(texted(sandbox)) == 12
    again = merlin.run(MESSAGES, uncertain="resend")
    assert again.rejects == []
    assert sorted(texted(sandbox)) == sorted(NUMBERS)
