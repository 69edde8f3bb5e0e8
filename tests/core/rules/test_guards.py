"""Rule 5: guards are asked after every wait, before the request leaves."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from singer_sandbox import Sandbox
from target_actionapi.guards import MessageGuards
from tests.core.rules.runs import Runs
from tests.front_door import JSON, adds_up, record, schema

SMS = schema("sms", {"id": {}, "number": {}, "text": {}})


def sms(number: int) -> JSON:
    return record("sms", id=number, number="+16193596440", text=f"t{number}")


def texts(sandbox: Sandbox) -> list[str]:
    return [message["text"] for message in sandbox.state("merlin")["sms"]]


@pytest.fixture
def merlin(sandbox: Sandbox, tmp_path: Path) -> Runs:
    hours = "00:00-00:01 UTC"  # the tests say when they are
    return Runs("target-actionapi", sandbox, tmp_path, concurrency=1, quiet_hours=hours)


def quiet_after(patch: pytest.MonkeyPatch, seconds: float) -> None:
    """Quiet hours begin so long after the first message asks for them."""
    began: list[float] = []

    def are_quiet(_guards: MessageGuards) -> bool:
        began.append(time.monotonic())
        return time.monotonic() - began[0] > seconds

    patch.setattr(MessageGuards, "are_quiet", are_quiet)


def test_quiet_hours_that_begin_during_the_wait_for_a_permit_hold(
    merlin: Runs, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    quiet_after(monkeypatch, 0.5)
    ran = merlin.run([SMS, sms(1), sms(2)], rate_limit="1/1s")
    assert (ran.error, texts(sandbox), ran.kinds("id")) == ("", ["t1"], {2: "held"})
    assert adds_up(ran.report)
    monkeypatch.undo()
    assert merlin.run([SMS]).rejects == []
    assert texts(sandbox) == ["t1", "t2"]


def test_quiet_hours_that_begin_while_the_vendor_asks_to_wait_hold(
    merlin: Runs, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    quiet_after(monkeypatch, 0.5)
    sandbox.fault(vendor="merlin", status=429, retry_after=1)
    ran = merlin.run([SMS, sms(1)])
    assert (ran.error, texts(sandbox), ran.kinds("id")) == ("", [], {1: "held"})
    monkeypatch.undo()
    merlin.run([SMS])
    assert texts(sandbox) == ["t1"]


def test_a_message_that_is_tried_again_after_429_counts_once(
    merlin: Runs, sandbox: Sandbox
) -> None:
    sandbox.fault(vendor="merlin", status=429, retry_after=0, times=2)
    ran = merlin.run([SMS, sms(1), sms(2)], max_messages=2)
    assert (ran.error, texts(sandbox), ran.rejects) == ("", ["t1", "t2"], [])


def test_the_run_stops_before_the_message_over_max_messages_though_others_were_tried_again(
    merlin: Runs, sandbox: Sandbox
) -> None:
    sandbox.fault(vendor="merlin", status=429, retry_after=0)
    ran = merlin.run([SMS, sms(1), sms(2), sms(3)], max_messages=2)
    assert "max_messages" in ran.error
    assert texts(sandbox) == ["t1", "t2"]
    assert merlin.run([SMS, sms(1), sms(2), sms(3)]).error == ""
    assert texts(sandbox) == ["t1", "t2", "t3"]


def test_a_guard_that_fails_lets_nothing_through(
    merlin: Runs, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(_guards: MessageGuards) -> bool:
        raise OSError("no clock")

    monkeypatch.setattr(MessageGuards, "are_quiet", broken)
    ran = merlin.run([SMS, sms(1), sms(2)])
    assert (ran.error, texts(sandbox), ran.kinds("id")) == ("", [], {1: "invalid", 2: "invalid"})
    monkeypatch.undo()
    assert merlin.run([SMS]).rejects == []
    assert texts(sandbox) == ["t1", "t2"]
