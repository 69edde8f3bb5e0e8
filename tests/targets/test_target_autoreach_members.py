"""AutoReach's members: which one a record is, and what a 404 about one means."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import pytest

from singer_sandbox import Sandbox
from target_autoreach.listing import MemberIndex
from tests.front_door import JSON, Plugin, record, schema

COLUMNS = ("key", "id", "email", "phone", "first_name", "_sdc_deleted_at")
SCHEMA = schema("members", COLUMNS, ("key",))


@pytest.fixture
def target(sandbox: Sandbox, tmp_path: Path) -> Plugin:
    return Plugin("target-autoreach", sandbox, tmp_path)


def member(key: str, **fields: Any) -> JSON:
    return record("members", key=key, **fields)


def members(sandbox: Sandbox) -> list[JSON]:
    return list(sandbox.state("autoreach")["members"].values())


@pytest.mark.parametrize("phone", ["(555) 123-4567", "15551234567", "+1 555 123 4567"])
def test_a_member_is_found_by_phone_however_it_is_written(
    target: Plugin, sandbox: Sandbox, phone: str
) -> None:
    sandbox.put_state("autoreach", {"members": [{"id": "m1", "phone": "+15551234567"}]})
    result = target.run([SCHEMA, member("a", phone=phone, first_name="Ann")])
    assert result.counts("members") == {"received": 1, "updated": 1}, result.rejects
    assert [m["first_name"] for m in members(sandbox)] == ["Ann"]


def test_an_email_is_sent_without_blanks_and_empty_text_changes_nothing(
    target: Plugin, sandbox: Sandbox
) -> None:
    kept = {"id": "m1", "email": "ann@example.com", "first_name": "Ann", "phone": "+15551234567"}
    sandbox.put_state("autoreach", {"members": [kept]})
    target.run([SCHEMA, member("a", email=" ann@example.com ", first_name="", phone="  ")])
    (found,) = members(sandbox)
    assert {name: found[name] for name in ("email", "first_name", "phone")} == {
        name: kept[name] for name in ("email", "first_name", "phone")
    }


@pytest.mark.parametrize("answer", [{}, {"message": "no Route matched"}, "<html>not found</html>"])
def test_a_404_of_a_gateway_is_no_delete(target: Plugin, sandbox: Sandbox, answer: Any) -> None:
    sandbox.put_state("autoreach", {"members": [{"id": "m1", "email": "ann@example.com"}]})
    sandbox.fault(
        vendor="autoreach", path="/(members|lists)", status=404, answer=answer, times=None
    )
    gone = member("a", id="m1", _sdc_deleted_at="2026-01-01T00:00:00Z")
    result = target.run([SCHEMA, gone])
    assert result.exit_code == 1
    assert len(members(sandbox)) == 1


@pytest.mark.parametrize("fault", [{}, {"status": 404, "answer": {}, "method": "DELETE"}])
def test_a_404_counts_in_the_vendors_words_or_when_its_lists_are_there(
    target: Plugin, sandbox: Sandbox, fault: JSON
) -> None:
    if fault:
        sandbox.fault(vendor="autoreach", times=None, **fault)
    gone = member("a", id="m9", _sdc_deleted_at="2026-01-01T00:00:00Z")
    result = target.run([SCHEMA, gone])
    assert result.counts("members") == {"received": 1, "deleted": 1}, result.stderr
    lists = [r for r in sandbox.requests("autoreach") if r["path"].endswith("/lists")]
    assert len(lists) == bool(fault)


def test_a_no_after_a_lost_answer_does_not_prove_that_the_update_was_not_done(
    target: Plugin, sandbox: Sandbox
) -> None:
    first = member("a", email="ann@example.com", first_name="Ann")
    target.run([SCHEMA, first])
    no = {"after": 1, "status": 200, "answer": {"errors": [{"title": "busy"}]}}
    sandbox.fault(vendor="autoreach", method="PUT", path="/members/", when="after", status=503)
    sandbox.fault(vendor="autoreach", method="PUT", path="/members/", **no)
    result = target.run([SCHEMA, member("a", email="ann@example.com", first_name="Other")])
    assert [r["rejection"]["kind"] for r in result.rejects] == ["refused"]
    assert [m["first_name"] for m in members(sandbox)] == ["Other"]
    target.run([SCHEMA, first])
    assert [m["first_name"] for m in members(sandbox)] == ["Ann"]


def test_one_reading_serves_all_that_was_lost_before_it_began() -> None:
    readings: list[int] = []
    reading, go_on = threading.Event(), threading.Event()

    def read() -> Any:
        readings.append(len(readings))
        reading.set()
        go_on.wait(5)
        return [("m1", "ann@example.com", "", "", b"")]

    index = MemberIndex(read)
    marks = [index.mark() for _ in range(6)]
    go_on.set()
    for mark in marks:
        assert index.find("ann@example.com", "", "", since=mark) == "m1"
    assert len(readings) == 1

    # What is lost while the list is read may have come behind the reader.
    go_on.clear()
    reading.clear()
    lost = {"since": index.mark()}
    thread = threading.Thread(target=index.find, args=("ann@example.com", "", ""), kwargs=lost)
    thread.start()
    reading.wait(5)
    mark = index.mark()  # returns at once
    go_on.set()
    thread.join(5)
    index.find("ann@example.com", "", "", since=mark)
    index.find("ann@example.com", "", "", since=mark)
    assert len(readings) == 3


def test_an_address_without_members_needs_a_person(people: Plugin) -> None:
    rows = [schema("members", ["email"], ["email"]), record("members", email="ann@example.com")]
    result = people.run(rows, api_url=f"{people.config['api_url']}/wrong")
    assert (result.report["outcome"], result.report["needs_person"]) == ("stopped", True)
    assert "HTTP 404: No such address or method.; check api_url" in (result.error or "")
