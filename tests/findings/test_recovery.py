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
    contacts,
    kill_in_flight,
    member,
    members,
    people,
    person,
    rows,
    start_patched,
)
from tests.front_door import JSON, Plugin, state


def contact(key: str, **fields: Any) -> list[Any]:
    return rows("contacts", {"key": key, "email": f"{key}@example.com", **fields})


@pytest.fixture
def autoreach(autoreach: Plugin, ledger_url: str | None) -> Plugin:
    """With each kind of ledger."""
    if ledger_url:
        autoreach.config["ledger_url"] = ledger_url
    return autoreach


@pytest.mark.parametrize("when", ["before", "after"])
def test_the_newest_of_a_person_wins_though_an_older_one_was_in_flight(
    autoreach: Plugin, sandbox: Sandbox, when: str
) -> None:
    """H1"""
    old, new = (person("e1", first_name=name) for name in ("OLD", "NEW"))
    kill_in_flight(autoreach, [PEOPLE, old], when, fault={"method": "PATCH"})
    process = start_patched(autoreach, CHECKPOINTS, [PEOPLE, new, state({"at": 1})])
    assert process.stdout
    assert select.select([process.stdout], [], [], 20)[0], "no STATE came out"
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
    kill_in_flight(
        autoreach, [PEOPLE, person("e1", first_name="OLD")], when, fault={"method": "PATCH"}
    )
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
    kill_in_flight(
        autoreach, [PEOPLE, person("a", first_name="Two")], "after", fault={"method": "PATCH"}
    )
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
