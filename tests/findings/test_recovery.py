"""What a dead run left is recovered before anything newer of that key counts."""

from __future__ import annotations

import json
import select
import signal
from typing import Any

import pytest

from singer_sandbox import Sandbox
from tests.findings.inputs import (
    CHECKPOINTS,
    MEMBERS,
    PEOPLE,
    SMS,
    contacts,
    kill_in_flight,
    kinds,
    member,
    members,
    people,
    person,
    rows,
    sms,
    start_patched,
    texts,
)
from tests.findings.test_scopes import TWO_TEXTS, VISIT, VISITS
from tests.front_door import JSON, Plugin, record, schema, state


def contact(key: str, **fields: Any) -> list[Any]:
    return rows("contacts", {"key": key, "email": f"{key}@example.com", **fields})


@pytest.fixture
def autoreach(autoreach: Plugin, ledger_url: str | None) -> Plugin:
    """With each kind of ledger."""
    autoreach.config["ledger_url"] = ledger_url
    return autoreach


def kill_patch(autoreach: Plugin, when: str, row: JSON) -> None:
    """A run that dies while a person is being sent."""
    kill_in_flight(autoreach, [PEOPLE, row], when, fault={"method": "PATCH"})


@pytest.mark.parametrize("when", ["before", "after"])
def test_the_newest_of_a_person_wins_though_an_older_one_was_in_flight(
    autoreach: Plugin, sandbox: Sandbox, when: str
) -> None:
    """H1"""
    old, new = (person("e1", first_name=name) for name in ("OLD", "NEW"))
    kill_patch(autoreach, when, old)
    process = start_patched(autoreach, CHECKPOINTS, [PEOPLE, new, state({"at": 1})])
    assert process.stdout
    watch = select.poll()  # select takes no descriptor beyond 1023
    watch.register(process.stdout, select.POLLIN)
    assert watch.poll(20_000), "no STATE came out"
    line = process.stdout.readline()
    process.send_signal(signal.SIGTERM)
    second = autoreach.finish(process)
    assert second.exit_code == 143, second.stderr
    assert json.loads(line) == {"at": 1}
    third = autoreach.run([PEOPLE, person("e2", first_name="Other")])
    assert third.exit_code == 0, third.error
    assert people(sandbox)["e1"]["first_name"] == "NEW"


@pytest.mark.parametrize("when", ["before", "after"])
def test_the_newest_wins_over_a_pending_entry_though_it_was_rejected(
    autoreach: Plugin, sandbox: Sandbox, when: str
) -> None:
    """H1"""
    kill_patch(autoreach, when, person("e1", first_name="OLD"))
    sandbox.fault(vendor="autoreach", method="PATCH", body="NEW", status=422, times=None)
    autoreach.run([PEOPLE, person("e1", first_name="NEW")], max_rejects="")
    sandbox.clear_faults()
    result = autoreach.run([PEOPLE, person("e2")])
    assert result.exit_code == 0, result.error
    assert people(sandbox)["e1"]["first_name"] == "NEW"


@pytest.mark.parametrize("fault", [{"status": 502}, {"drop": True}, {"cut": True}])
def test_nothing_is_unchanged_while_an_update_may_have_been_applied(
    rei: Plugin, sandbox: Sandbox, fault: JSON
) -> None:
    """H2"""
    assert rei.run(contact("ann", dnd=True)).exit_code == 0
    sandbox.fault(vendor="rei", method="PUT", when="after", times=None, **fault)
    stopped = rei.run(contact("ann", dnd=False), max_retries=0)
    assert stopped.exit_code == 1
    sandbox.clear_faults()
    result = rei.run(contact("ann", dnd=True))
    assert result.exit_code == 0, result.error
    (ann,) = contacts(sandbox).values()
    assert ann["dnd"] is True


def test_nothing_is_unchanged_while_a_delivery_was_in_flight(
    autoreach: Plugin, sandbox: Sandbox
) -> None:
    """H2"""
    autoreach.run([PEOPLE, person("a", first_name="One")])
    kill_patch(autoreach, "after", person("a", first_name="Two"))
    result = autoreach.run([PEOPLE, person("a", first_name="One")])
    assert result.exit_code == 0, result.error
    assert people(sandbox)["a"]["first_name"] == "One"


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_contact_whose_email_changed_after_a_create_in_flight_is_one(
    rei: Plugin, sandbox: Sandbox, when: str
) -> None:
    """H3"""
    kill_in_flight(
        rei, contact("k"), when, fault={"vendor": "rei", "method": "POST", "path": "contacts/$"}
    )
    result = rei.run(contact("k", email="other@example.com"))
    assert result.exit_code == 0, result.error
    assert [c["email"] for c in contacts(sandbox).values()] == ["other@example.com"]


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_member_whose_email_changed_after_a_create_in_flight_is_one(
    autoreach: Plugin, sandbox: Sandbox, when: str
) -> None:
    """H3"""
    fault = {"method": "POST", "path": "members"}
    kill_in_flight(autoreach, [MEMBERS, member("a")], when, fault=fault)
    result = autoreach.run([MEMBERS, member("a", email="other@example.com")])
    assert result.exit_code == 0, result.error
    assert [m["email"] for m in members(sandbox)] == ["other@example.com"]


def test_a_merlin_contact_renamed_after_a_create_in_flight_is_one(
    merlin: Plugin, sandbox: Sandbox
) -> None:
    """H3"""

    def row(name: str, email: str) -> list[Any]:
        return rows("contacts", {"key": "1", "Email": email, "Fname": name, "Lname": "Lee"})

    kill_in_flight(merlin, row("Ann", "ann@example.com"), "after", fault={"body": "NEW"})
    result = merlin.run(row("Anna", "anna@example.com"))
    assert result.exit_code == 0, result.error
    held = sandbox.state("merlin")["contacts"].values()
    assert [c["Email"] for c in held if c.get("Email")] == ["anna@example.com"]


STRANGE_SMS = (
    '{"type":"RECORD","stream":"sms","record":'
    '{"id":"1","number":"+16193596440","text":"Hello","x":NaN}}\n'
)


# --- an uncertain record and a record of its key that is invalid ---------------------------------


@pytest.mark.parametrize(
    "bad", [STRANGE_SMS, sms("1", number="letters"), sms("1", text=""), sms("1", text=" ")]
)
def test_an_invalid_record_does_not_take_the_place_of_an_uncertain_message(
    merlin: Plugin, sandbox: Sandbox, bad: Any
) -> None:
    """Kinds H4, H18: it was forgotten that the first one may have arrived, and it went again."""
    sandbox.fault(vendor="merlin", body="SMS", when="after", drop=True)
    assert kinds(merlin.run([SMS, sms("1")])) == ["uncertain"]
    assert sorted(kinds(merlin.run([SMS, bad], max_rejects=""))) == ["invalid", "uncertain"]
    for _ in range(2):
        result = merlin.run([SMS, sms("1")], max_rejects="")
        assert result.exit_code == 0, result.error
    assert texts(sandbox) == ["Hello"]
    assert "uncertain" in kinds(result)


def test_an_invalid_record_leaves_once_the_uncertain_one_is_settled_and_it_is_corrected(
    merlin: Plugin, sandbox: Sandbox
) -> None:
    sandbox.fault(vendor="merlin", body="SMS", when="after", drop=True)
    merlin.run([SMS, sms("1")])
    merlin.run([SMS, sms("1", number="letters")], max_rejects="")
    maps = {"sms": {"number": "'+16193596440'"}}
    result = merlin.run([SMS], uncertain="drop", stream_maps=maps)
    assert (result.exit_code, result.rejects) == (0, []), result.error
    assert texts(sandbox) == ["Hello"]


@pytest.mark.parametrize("bad", [{"dnd": "maybe"}, {"phone": "letters"}, {"tags": 5}])
def test_an_invalid_record_does_not_take_the_place_of_an_uncertain_contact(
    rei: Plugin, sandbox: Sandbox, bad: JSON
) -> None:
    """The vendor's answer came too late, and then its lookup did not show the contact."""
    sandbox.fault(vendor="rei", method="POST", path="contacts/$", late=4)
    row = {"key": "1", "email": "ann@example.com", "firstName": "A"}
    first = rei.run(rows("contacts", row), timeout=1)
    assert kinds(first) == ["uncertain"]
    result = rei.run(rows("contacts", row | bad), max_rejects="", phone_region="US")
    assert "uncertain" in kinds(result)


# --- stream_maps that changed while something was in flight --------------------------------------

RENAMED: JSON = {
    "visits": "__NULL__",
    "first-sms": TWO_TEXTS["sms"],
    "second-sms": TWO_TEXTS["again-sms"],
}


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("passed", [0, 1])
def test_a_message_in_flight_is_not_sent_again_though_its_mapping_has_another_name(
    merlin: Plugin, sandbox: Sandbox, when: str, passed: int
) -> None:
    """Kind H6: its pending entry named a mapping that was not there, and was not checked."""
    fault = {"vendor": "merlin", "body": "SMS", "after": passed}
    kill_in_flight(merlin, [VISITS, VISIT], when, fault=fault, stream_maps=TWO_TEXTS)
    for maps in (RENAMED, RENAMED, TWO_TEXTS):
        result = merlin.run([VISITS, VISIT], stream_maps=maps, max_rejects="")
        assert result.exit_code == 0, result.error
    assert sorted(texts(sandbox)) == ["Bye", "Thank you, Ann"]
    assert kinds(result) == ["uncertain"]


TWO_PEOPLE: JSON = {
    "visits": "__NULL__",
    "people": {"__source__": "visits", "first_name": "name"},
    "again-people": {"__source__": "visits", "id": "id + '-b'", "first_name": "name"},
}
OTHER_NAMES: JSON = {
    "visits": "__NULL__",
    "one-people": TWO_PEOPLE["people"],
    "two-people": TWO_PEOPLE["again-people"],
}
NAMES = schema("visits", ("id", "email", "name"))


def visit(name: str) -> JSON:
    return record("visits", id="1", email="ann@example.com", name=name)


def test_an_old_value_in_flight_is_not_sent_over_a_newer_one_once_its_mapping_is_back(
    autoreach: Plugin, sandbox: Sandbox
) -> None:
    """Kind H1: a pending entry of a mapping that is not there was kept for later."""
    fault = {"vendor": "autoreach", "method": "PATCH"}
    messages = [NAMES, visit("Old")]
    kill_in_flight(autoreach, messages, "before", fault=fault, stream_maps=TWO_PEOPLE)
    assert autoreach.run([NAMES, visit("New")], stream_maps=OTHER_NAMES).exit_code == 0
    assert autoreach.run([NAMES], stream_maps=TWO_PEOPLE).exit_code == 0
    assert {row["first_name"] for row in people(sandbox).values()} == {"New"}


def test_nothing_is_unchanged_against_a_value_in_flight_of_a_mapping_that_is_gone(
    autoreach: Plugin, sandbox: Sandbox
) -> None:
    """Kind H2"""
    assert autoreach.run([NAMES, visit("A")], stream_maps=OTHER_NAMES).exit_code == 0
    fault = {"vendor": "autoreach", "method": "PATCH"}
    kill_in_flight(autoreach, [NAMES, visit("B")], "after", fault=fault, stream_maps=TWO_PEOPLE)
    result = autoreach.run([NAMES, visit("A")], stream_maps=OTHER_NAMES)
    assert (result.exit_code, result.rejects) == (0, []), result.error
    assert {row["first_name"] for row in people(sandbox).values()} == {"A"}


def test_what_was_in_flight_is_held_until_its_mapping_is_back(
    autoreach: Plugin, sandbox: Sandbox
) -> None:
    fault = {"vendor": "autoreach", "method": "PATCH"}
    messages = [NAMES, visit("Old")]
    kill_in_flight(autoreach, messages, "before", fault=fault, stream_maps=TWO_PEOPLE)
    assert set(kinds(autoreach.run([NAMES], stream_maps=OTHER_NAMES))) == {"held"}
    result = autoreach.run([NAMES], stream_maps=TWO_PEOPLE)
    assert (result.exit_code, result.rejects) == (0, []), result.error
    assert {row["first_name"] for row in people(sandbox).values()} == {"Old"}
