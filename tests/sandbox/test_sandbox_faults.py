"""The sandbox goes wrong exactly when it is told to."""

from __future__ import annotations

import threading
import time
from email.utils import parsedate_to_datetime
from typing import Any

import pytest
import requests

from singer_sandbox import Sandbox
from tests.calling import merlin, rei


def test_a_status_fault_strikes_as_often_as_told(sandbox: Sandbox) -> None:
    sandbox.fault(vendor="rei", path="lookup", status=429, after=1, times=2, retry_after=7)
    sandbox.fault(vendor="rei", method="POST", status=503, retry_after_date=100, answer={"busy": 1})
    codes = [
        rei(sandbox, "GET", "contacts/lookup?email=a@example.com").status_code for _ in range(4)
    ]
    assert codes == [404, 429, 429, 404]
    answer = rei(sandbox, "POST", "contacts/", {"email": "a@example.com"})
    assert (answer.status_code, answer.json()) == (503, {"busy": 1})
    assert parsedate_to_datetime(answer.headers["Retry-After"]).timestamp() > time.time() + 90
    assert [fault["hits"] for fault in sandbox.faults()] == [2, 1]
    assert sandbox.state("rei")["contacts"] == {}


@pytest.mark.parametrize("fault", [{"drop": True}, {"status": 502}, {"cut": True}])
def test_work_is_done_though_the_answer_is_lost(sandbox: Sandbox, fault: dict[str, Any]) -> None:
    sandbox.fault(vendor="rei", method="POST", when="after", **fault)
    try:
        assert rei(sandbox, "POST", "contacts/", {"email": "a@example.com"}).status_code == 502
    except (requests.ConnectionError, requests.exceptions.ChunkedEncodingError):
        assert "status" not in fault
    assert len(sandbox.state("rei")["contacts"]) == 1
    assert rei(sandbox, "GET", "contacts/").status_code == 200


def test_nothing_is_done_when_the_connection_drops_before(sandbox: Sandbox) -> None:
    sandbox.fault(vendor="merlin", body='"SMS"', drop=True)
    with pytest.raises(requests.ConnectionError):
        merlin(sandbox, {"type": "SMS", "number": "+15551234567", "text": "hello"})
    assert sandbox.state("merlin")["sms"] == []
    assert sandbox.requests("merlin")[0]["status"] == 0


def test_an_answer_can_be_cut_off_in_its_json(sandbox: Sandbox) -> None:
    sandbox.fault(vendor="rei", cut_json=True)
    answer = rei(sandbox, "GET", "contacts/")
    assert answer.status_code == 200
    with pytest.raises(requests.JSONDecodeError):
        answer.json()


def test_a_held_request_waits_until_it_is_released(sandbox: Sandbox) -> None:
    sandbox.fault(vendor="merlin", hold="gate", when="after", times=None)
    action = {"type": "SMS", "number": "+15551234567", "text": "hello"}
    threads = [threading.Thread(target=merlin, args=(sandbox, action)) for _ in range(2)]
    for thread in threads:
        thread.start()
    sandbox.wait_held("gate", 2)
    assert len(sandbox.state("merlin")["sms"]) == 2
    assert all(thread.is_alive() for thread in threads)
    assert sandbox.release("gate") == 2
    for thread in threads:
        thread.join(10)
    counts = sandbox.counts()
    assert counts["max_in_flight"]["merlin"] == 2
    assert counts["max_same_identity_writes"]["merlin"] == {
        "count": 2,
        "identity": "SMS:+15551234567",
    }
    assert counts["counts"][0]["template"] == "/flex/API SMS"


def test_a_reset_breaks_off_what_is_held(sandbox: Sandbox) -> None:
    sandbox.fault(vendor="merlin", hold="gate")
    errors: list[Exception] = []

    def send() -> None:
        try:
            merlin(sandbox, {"type": "NEW", "Number": "+15551234567"})
        except requests.ConnectionError as error:
            errors.append(error)

    thread = threading.Thread(target=send)
    thread.start()
    sandbox.wait_held("gate")
    sandbox.reset()
    thread.join(10)
    assert errors
    assert sandbox.state("merlin")["contacts"] == {}
    assert sandbox.requests() == []


def test_latency_holds_up_nobody_else(sandbox: Sandbox) -> None:
    sandbox.options("rei", latency_ms=200)
    threads = [threading.Thread(target=rei, args=(sandbox, "GET", "tags")) for _ in range(8)]
    begin = time.monotonic()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert time.monotonic() - begin >= 0.2
    assert sandbox.counts()["max_in_flight"]["rei"] > 1


def test_a_rate_limit_refuses_what_is_beyond_it(sandbox: Sandbox) -> None:
    sandbox.options("rei", rate_limit=[5, 10])
    answers = [rei(sandbox, "GET", "tags") for _ in range(7)]
    assert [answer.status_code for answer in answers] == [200] * 5 + [429] * 2
    assert 1 <= int(answers[-1].headers["Retry-After"]) <= 10
    assert sandbox.rates("rei", 10)["max"] == 7
    assert sandbox.state("rei")["counters"]["rate_limited"] == 2
