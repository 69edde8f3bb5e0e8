"""kill -9 at every step of a batch: nothing lost, nothing created twice, few things sent again."""

from __future__ import annotations

import json
import signal
from pathlib import Path

import pytest

from singer_sandbox import Sandbox
from tests.front_door import JSON, Plugin, record, schema, state
from tests.processes import wait_until

STEPS = (
    "before_pending", "after_pending", "after_answer", "before_acknowledged",
    "after_acknowledged",
)  # fmt: skip

SENT_AGAIN = 128
"""The most rows that a crash may cause to be sent again (docs/delivery.md), at 2 requests of 10."""

PEOPLE = [
    schema("people", ("id", "email")),
    *(record("people", id=f"p{i}", email=f"p{i}@example.com") for i in range(300)),
    state({"at": 300}),
]


@pytest.fixture
def people(people: Plugin, ledger_url: str | None) -> Plugin:
    """With each kind of ledger."""
    people.config["ledger_url"] = ledger_url
    return people


MEMBERS = [
    schema("members", ("owner", "email", "list_id"), ("owner",)),
    *(record("members", owner=f"o{i}", email=f"o{i}@example.com", list_id="1") for i in range(200)),
    state({"at": 200}),
]


@pytest.fixture
def lists(sandbox: Sandbox) -> Sandbox:
    sandbox.put_state("autoreach", {"lists": [{"id": 1, "name": "Owners"}]})
    return sandbox


def members(sandbox: Sandbox) -> list[JSON]:
    return list(sandbox.state("autoreach")["members"].values())


def sent(sandbox: Sandbox, method: str) -> int:
    return sum(r["items"] or 1 for r in sandbox.requests("autoreach") if r["method"] == method)


@pytest.mark.parametrize("nth", [1, 2, 4])
@pytest.mark.parametrize("step", STEPS)
def test_people_arrive_though_the_run_dies(
    people: Plugin, sandbox: Sandbox, step: str, nth: int
) -> None:
    died = people.dying(step, nth).run(PEOPLE)
    assert died.exit_code == -9, died.stderr
    assert died.states == []
    result = people.run(PEOPLE)
    assert result.exit_code == 0, result.stderr
    assert len(sandbox.state("autoreach")["people"]) == 300
    assert result.states == [{"at": 300}]


def test_no_more_is_sent_again_than_may_be_out_at_once(people: Plugin, sandbox: Sandbox) -> None:
    small: JSON = {"batch_size_rows": 10, "concurrency": 2}
    died = people.dying("after_answer", 20).run(PEOPLE, **small)
    assert died.exit_code == -9, died.stderr
    arrived = len(sandbox.state("autoreach")["people"])
    assert arrived > SENT_AGAIN
    result = people.run(PEOPLE, **small)
    assert result.exit_code == 0, result.stderr
    assert len(sandbox.state("autoreach")["people"]) == 300
    assert sent(sandbox, "PATCH") - 300 <= SENT_AGAIN


@pytest.mark.parametrize("nth", [1, 2, 3])
@pytest.mark.parametrize("step", STEPS)
def test_members_are_created_once_though_the_run_dies(
    people: Plugin, lists: Sandbox, step: str, nth: int
) -> None:
    died = people.dying(step, nth).run(MEMBERS)
    assert died.exit_code == -9, died.stderr
    result = people.run(MEMBERS)
    assert result.exit_code == 0, result.stderr
    emails = [member["email"] for member in members(lists)]
    assert len(emails) == len(set(emails)) == 200


@pytest.mark.console_script
@pytest.mark.parametrize("when", ["before", "after"])
def test_a_create_in_flight_is_looked_up_after_a_crash(
    people: Plugin, lists: Sandbox, when: str
) -> None:
    lists.fault(vendor="autoreach", method="POST", path="members", after=3, hold="x", when=when)
    process = people.start(MEMBERS, concurrency=1)
    lists.wait_held("x")
    process.kill()
    process.wait()
    lists.clear_faults()
    lists.release("x")
    result = people.run(MEMBERS)
    assert result.exit_code == 0, result.stderr
    emails = [member["email"] for member in members(lists)]
    assert len(emails) == len(set(emails)) == 200


def test_what_a_dead_run_left_is_finished_without_the_source(
    people: Plugin, sandbox: Sandbox
) -> None:
    people.dying("after_pending", 2).run(PEOPLE)
    before = len(sandbox.state("autoreach")["people"])
    result = people.run([])
    assert result.exit_code == 0, result.stderr
    assert len(sandbox.state("autoreach")["people"]) > before
    assert result.report["streams"]["people"]["retried"]["upserted"] > 0


def test_something_newer_wins_over_what_a_dead_run_left(people: Plugin, sandbox: Sandbox) -> None:
    people.dying("after_pending", 1).run(
        [PEOPLE[0], record("people", id="a", email="old@example.com")]
    )
    people.run([PEOPLE[0], record("people", id="a", email="new@example.com")])
    assert sandbox.state("autoreach")["people"]["a"]["email"] == "new@example.com"
    assert sent(sandbox, "PATCH") == 1, "the older one was sent though it was known to be older"


@pytest.mark.parametrize(
    "fault", [{"drop": True}, {"status": 500}, {"cut": True}, {"cut_json": True}]
)
@pytest.mark.parametrize("when", ["before", "after"])
def test_a_create_whose_answer_is_lost_is_made_once(
    people: Plugin, lists: Sandbox, fault: JSON, when: str
) -> None:
    lists.fault(
        vendor="autoreach", method="POST", path="members", after=2, times=2, when=when, **fault
    )
    result = people.run(MEMBERS)
    assert result.exit_code == 0, result.stderr
    emails = [member["email"] for member in members(lists)]
    assert len(emails) == len(set(emails)) == 200
    assert result.counts("members") == {"received": 200, "created": 200}


@pytest.mark.parametrize("fault", [{"drop": True}, {"status": 503}, {"cut_json": True}])
@pytest.mark.parametrize("when", ["before", "after"])
def test_an_idempotent_request_is_sent_again(
    people: Plugin, sandbox: Sandbox, fault: JSON, when: str
) -> None:
    sandbox.fault(vendor="autoreach", method="PATCH", times=2, when=when, **fault)
    result = people.run(PEOPLE)
    assert result.exit_code == 0, result.stderr
    there = len(sandbox.state("autoreach")["people"])
    assert there == 300, f"{there} {result.report} {sandbox.requests()}"
    assert result.report["streams"]["people"]["retries"] >= 2


def test_a_vendor_that_stays_down_stops_the_run_and_the_next_one_finishes(
    people: Plugin, sandbox: Sandbox
) -> None:
    sandbox.fault(vendor="autoreach", method="PATCH", after=2, times=None, status=503)
    result = people.run(PEOPLE, max_retries=1)
    assert result.exit_code == 1
    assert result.states == []
    assert "max_retries" in result.error
    assert "Traceback" not in result.stderr
    assert result.report["outcome"] == "stopped"
    sandbox.clear_faults()
    assert people.run(PEOPLE).exit_code == 0
    assert len(sandbox.state("autoreach")["people"]) == 300


def test_a_token_that_expires_in_mid_run_is_renewed_once(people: Plugin, sandbox: Sandbox) -> None:
    sandbox.fault(vendor="autoreach", method="PATCH", after=2, expire_tokens=True)
    result = people.run(PEOPLE)
    assert result.exit_code == 0, result.stderr
    assert len(sandbox.state("autoreach")["people"]) == 300


def test_bad_credentials_stop_the_run_with_one_line(people: Plugin) -> None:
    result = people.run(PEOPLE, client_secret="wrong-secret-text")
    assert result.exit_code == 1
    assert "client_secret" in result.error
    assert "wrong-secret-text" not in result.stderr
    assert "Traceback" not in result.stderr


@pytest.mark.console_script
@pytest.mark.parametrize(("name", "code"), [("SIGTERM", 143), ("SIGINT", 130)])
def test_a_signal_ends_the_run_after_the_batch_in_hand(
    people: Plugin, sandbox: Sandbox, name: str, code: int
) -> None:
    sandbox.fault(vendor="autoreach", method="PATCH", after=1, times=1, hold="x", when="after")
    process = people.start(PEOPLE, concurrency=1)
    sandbox.wait_held("x")
    process.send_signal(getattr(signal, name))
    sandbox.release("x")
    result = people.finish(process)
    assert result.exit_code == code, result.stderr
    assert result.states == []
    assert result.report["outcome"] == "stopped"
    assert "Traceback" not in result.stderr
    before = sent(sandbox, "PATCH")
    there = len(sandbox.state("autoreach")["people"])
    assert 0 < there < 300
    assert people.run(PEOPLE).exit_code == 0
    assert len(sandbox.state("autoreach")["people"]) == 300
    assert sent(sandbox, "PATCH") == before + 300 - there


@pytest.mark.console_script
def test_a_signal_while_waiting_for_input_ends_the_run(people: Plugin, sandbox: Sandbox) -> None:
    process = people.start(None, batch_size_rows=20)
    assert process.stdin
    for message in PEOPLE[:21]:
        process.stdin.write(json.dumps(message).encode() + b"\n")
    process.stdin.flush()
    # Once the first batch has arrived, it runs, and there is nothing more to read.
    wait_until(lambda: sent(sandbox, "PATCH") >= 20)
    process.send_signal(signal.SIGTERM)
    result = people.finish(process)
    assert result.exit_code == 143, result.stderr
    assert result.states == []


@pytest.mark.console_script
def test_a_second_run_of_the_same_target_stops(people: Plugin, sandbox: Sandbox) -> None:
    sandbox.fault(vendor="autoreach", method="PATCH", hold="x")
    process = people.start(PEOPLE)
    sandbox.wait_held("x")
    second = people.run(PEOPLE)
    assert second.exit_code == 1
    assert "sync" in second.error
    process.kill()
    process.wait()
    sandbox.clear_faults()
    sandbox.release("x")
    assert people.run(PEOPLE).exit_code == 0  # a dead run's lock does not block


def test_a_work_dir_that_cannot_be_written_stops_before_anything_is_sent(
    people: Plugin, sandbox: Sandbox, tmp_path: Path
) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("")
    result = people.run(PEOPLE, work_dir=str(blocked / "x"))
    assert result.exit_code == 1
    assert "work_dir" in result.error
    assert sandbox.state("autoreach")["people"] == {}


def test_a_full_disk_stops_before_anything_is_sent(people: Plugin, sandbox: Sandbox) -> None:
    full = Path("/dev/full")
    if not full.exists():
        pytest.skip("there is no /dev/full here")
    people.config.pop("ledger_url", None)
    people.work_dir.mkdir(mode=0o700)
    people.work_dir.joinpath("singer-http.db").symlink_to(full)
    result = people.run(PEOPLE)
    assert result.exit_code == 1
    assert "database_url" in result.error
    assert sandbox.state("autoreach")["people"] == {}
