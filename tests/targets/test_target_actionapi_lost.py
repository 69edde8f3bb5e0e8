"""target-actionapi makes no contact twice, whatever becomes of an answer or of the run."""

from __future__ import annotations

from pathlib import Path

import pytest

from singer_sandbox import Sandbox
from tests.front_door import JSON, Plugin
from tests.targets.test_target_actionapi import SCHEMA, contact, contacts_at, kinds, labels


@pytest.fixture
def merlin(sandbox: Sandbox, tmp_path: Path) -> Plugin:
    return Plugin("target-actionapi", sandbox, tmp_path)


# --- lost answers -----------------------------------------------------------------------------


def test_a_new_contact_whose_answer_was_lost_is_looked_up_by_name(
    merlin: Plugin, sandbox: Sandbox
) -> None:
    faults: list[JSON] = [{"drop": True}, {"status": 500}, {"cut": True}]
    for i, fault in enumerate(faults):
        for when in ("before", "after"):
            body = f'NEW.*"{when}{i}"|"{when}{i}".*NEW'
            sandbox.fault(vendor="merlin", body=body, when=when, **fault)
    names = [f"{when}{i}" for i in range(3) for when in ("before", "after")]
    rows = [SCHEMA, *(contact(name) for name in names)]
    result = merlin.run(rows)
    assert result.counts("contacts") == {"received": 6, "created": 6}, result.rejects
    assert sorted(c["Lname"] for c in contacts_at(sandbox)) == sorted(names)
    assert merlin.run(rows).counts("contacts") == {"received": 6, "unchanged": 6}


def test_json_that_breaks_off_counts_as_a_lost_answer(merlin: Plugin, sandbox: Sandbox) -> None:
    sandbox.options("merlin", new_form="list")
    sandbox.fault(vendor="merlin", body="NEW", cut_json=True)
    result = merlin.run([SCHEMA, contact("a")])
    assert result.counts("contacts") == {"received": 1, "created": 1}
    assert len(contacts_at(sandbox)) == 1


def test_without_a_name_a_lost_answer_is_uncertain_until_a_person_decides(
    merlin: Plugin, sandbox: Sandbox
) -> None:
    row = contact("a", Fname=None, Lname=None)
    sandbox.fault(vendor="merlin", body="NEW", when="after", drop=True)
    result = merlin.run([SCHEMA, row])
    assert kinds(result.rejects) == ["uncertain"]
    result = merlin.run([SCHEMA, row])
    assert result.counts("contacts") == {"received": 1, "skipped": 1}
    assert len(result.rejects) == 1
    assert len(contacts_at(sandbox)) == 1
    result = merlin.run([SCHEMA], uncertain="drop")
    assert result.rejects == []
    result = merlin.run([SCHEMA, row])
    assert result.counts("contacts") == {"received": 1, "unchanged": 1}
    changed = contact("a", Fname=None, Lname=None, Number="+16193596440")
    result = merlin.run([SCHEMA, changed])
    assert "idContact" in result.rejects[0]["rejection"]["reason"]  # it is there, its id unknown
    assert len(contacts_at(sandbox)) == 1


def test_an_edit_is_sent_again_after_a_lost_answer(merlin: Plugin, sandbox: Sandbox) -> None:
    merlin.run([SCHEMA, contact("a")])
    sandbox.fault(vendor="merlin", body="EDIT", when="after", drop=True)
    sandbox.fault(vendor="merlin", body="EDIT", after=1, status=503)
    result = merlin.run([SCHEMA, contact("a", Number="+16193596440")])
    assert result.counts("contacts") == {"received": 1, "updated": 1}
    assert labels(sandbox).count("EDIT") == 3


@pytest.mark.parametrize("status", [200, 404])
def test_a_no_after_a_lost_answer_does_not_prove_that_the_edit_was_not_done(
    merlin: Plugin, sandbox: Sandbox, status: int
) -> None:
    merlin.run([SCHEMA, contact("a")])
    no = {"status": "error", "message": "Group does not exist"}
    sandbox.fault(vendor="merlin", body="EDIT", when="after", status=503)
    sandbox.fault(vendor="merlin", body="EDIT", after=1, status=status, answer=no)
    result = merlin.run([SCHEMA, contact("a", Fname="Other")])
    assert kinds(result.rejects) == ["refused"]
    assert contacts_at(sandbox)[0]["Fname"] == "Other"
    merlin.run([SCHEMA, contact("a")])
    assert contacts_at(sandbox)[0]["Fname"] == "Juan"


def test_a_run_killed_in_the_middle_of_new_makes_no_second_contact(
    merlin: Plugin, sandbox: Sandbox
) -> None:
    sandbox.fault(vendor="merlin", body="NEW", when="after", hold="new", times=None)
    rows = [SCHEMA, *(contact(f"c{i}") for i in range(6)), contact("n", Fname=None, Lname=None)]
    process = merlin.start(rows, concurrency=8)
    sandbox.wait_held("new", 5)
    process.kill()
    process.communicate()
    sandbox.clear_faults()
    sandbox.release("new")
    result = merlin.run(rows)
    assert result.exit_code == 0, result.stderr
    names = sorted(c["Lname"] for c in contacts_at(sandbox) if c["Lname"])
    assert names == [f"c{i}" for i in range(6)]
    assert len(contacts_at(sandbox)) in (6, 7)
    assert sum(1 for c in contacts_at(sandbox) if not c["Lname"]) <= 1


def test_a_new_key_needs_to_be_told_whose_it_is(merlin: Plugin, sandbox: Sandbox) -> None:
    merlin.run([SCHEMA, contact("a")])
    sandbox.account("merlin", "default", key="renewed-key-1")
    result = merlin.run([SCHEMA, contact("a")], api_key="renewed-key-1")
    assert result.exit_code == 1
    assert "account" in result.error
    assert len(contacts_at(sandbox)) == 1
