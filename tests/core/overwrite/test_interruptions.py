"""What a sync wrote is never taken for an edit, however its run ended."""

from __future__ import annotations

from pathlib import Path

import pytest

from singer_sandbox import Sandbox
from tests.core.overwrite.crm import KEEP, AutoReach, Crm, ReiV1
from tests.core.overwrite.crm import crm as made
from tests.front_door import JSON


@pytest.mark.parametrize("step", ["after_pending", "after_answer", "before_acknowledged"])
def test_an_update_of_a_run_that_died_is_no_edit(crm: Crm, step: str) -> None:
    crm.run(crm.row("1", "ann@example.com", "Ann", "Smith", "red"), **KEEP)
    dying = crm.plugin.dying(step)
    died = dying.run([crm.schema, crm.row("1", "ann@example.com", "Anne", "Smith", "blue")], **KEEP)
    assert died.exit_code == -9
    result = crm.run(crm.row("1", "ann@example.com", "Anna", "Smith", "green"), **KEEP)
    assert crm.values() == [("ann@example.com", "Anna", "Smith", "green")]
    assert not result.report["streams"][crm.stream]["kept"]


@pytest.mark.parametrize("step", ["after_answer", "before_acknowledged"])
def test_an_update_on_first_sight_of_a_run_that_died_is_no_edit(crm: Crm, step: str) -> None:
    crm.run(crm.row("0", "ann@example.com", "Ann", "Smith"), sync="other")
    died = crm.plugin.dying(step).run(
        [crm.schema, crm.row("1", "ann@example.com", "Ann", "Smith", "blue")], **KEEP
    )
    assert died.exit_code == -9
    crm.run(crm.row("1", "ann@example.com", "Ann", "Smith", "green"), **KEEP)
    assert crm.values() == [("ann@example.com", "Ann", "Smith", "green")]


def test_an_edit_after_a_run_that_died_is_kept(crm: Crm) -> None:
    _, first, _, _ = crm.columns
    crm.run(crm.row("1", "ann@example.com", "Ann", "Smith", "red"), **KEEP)
    dying = crm.plugin.dying("after_answer")
    dying.run([crm.schema, crm.row("1", "ann@example.com", "Anne", "Smith", "blue")], **KEEP)
    crm.edit(0, **{first: "Hannah"})
    result = crm.run(crm.row("1", "ann@example.com", "Anna", "Smith", "green"), **KEEP)
    assert crm.values() == [("ann@example.com", "Hannah", "Smith", "green")]
    kept = result.report["streams"][crm.stream]["kept"]
    assert kept == {first: 1}


def test_an_update_that_was_carried_out_and_then_refused_is_no_edit(crm: Crm) -> None:
    crm.run(crm.row("1", "ann@example.com", "Ann", "Smith", "red"), **KEEP)
    crm.fault(crm.update, when="after", status=503)
    crm.fault(crm.update, after=1, status=422, answer={"error": "no", "message": "no"})
    result = crm.run(crm.row("1", "ann@example.com", "Anne", "Smith", "blue"), **KEEP)
    assert crm.counts(result) == {"received": 1, "rejected": 1}
    assert crm.values() == [("ann@example.com", "Anne", "Smith", "blue")]
    crm.sandbox.clear_faults()
    result = crm.run(crm.row("1", "ann@example.com", "Anna", "Smith", "green"), **KEEP)
    assert crm.values() == [("ann@example.com", "Anna", "Smith", "green")]
    assert not result.report["streams"][crm.stream]["kept"]


def test_a_record_that_cannot_be_read_is_rejected_and_not_overwritten(crm: Crm) -> None:
    _, first, _, _ = crm.columns
    crm.run(crm.row("1", "ann@example.com", "Ann", "Smith", "red"), **KEEP)
    crm.edit(0, **{first: "Hannah"})
    crm.fault(crm.read_fault, status=422, times=None, answer={"message": "it is locked"})
    changed = crm.row("1", "ann@example.com", "Anne", "Smith", "blue")
    result = crm.plugin.run([crm.schema, changed], **KEEP)
    assert crm.values()[0][1] == "Hannah"
    crm.sandbox.clear_faults()
    if crm.vendor == "autoreach":  # its list is for all records: the run stops, nothing is rejected
        assert result.exit_code == 1
        assert "it is locked" in result.error
        assert not result.rejects
        counts = crm.run(changed, **KEEP).report["streams"][crm.stream]
    else:
        (message,) = result.rejects
        assert "it is locked" in message["rejection"]["reason"]
        # It is sent again, as what is rejected is.
        counts = crm.run(**KEEP).report["streams"][crm.stream]["retried"]
    assert crm.values() == [("ann@example.com", "Hannah", "Smith", "blue")]
    assert counts["kept"] == {first: 1}


@pytest.mark.parametrize("answer", [{}, {"contact": None}, {"contact": {}}, []], ids=str)
def test_an_answer_without_a_contact_is_no_contact_without_values(rei: Crm, answer: JSON) -> None:
    rei.run(rei.row("1", "ann@example.com", "Ann", "Rome", "red"), **KEEP)
    rei.edit(0, firstName="Hannah")
    rei.fault(rei.read_fault, status=200, answer=answer, times=None)
    changed = rei.row("1", "ann@example.com", "Anne", "Rome", "blue")
    result = rei.plugin.run([rei.schema, changed], **KEEP)
    assert rei.values() == [("ann@example.com", "Hannah", "Rome", "red")]
    (message,) = result.rejects
    assert message["rejection"]["reason"] == (
        "the answer shows no contact (the vendor's record cannot be read: overwrite)"
    )
    verified = rei.plugin.run([], "--verify")
    assert "1 not compared: the vendor does not show them" in verified.stdout
    rei.sandbox.clear_faults()
    rei.run(changed, **KEEP)
    assert rei.values() == [("ann@example.com", "Hannah", "Rome", "blue")]


def test_a_contact_that_is_shown_as_deleted_is_gone(rei: Crm) -> None:
    rei.run(rei.row("1", "ann@example.com", "Ann", "Rome"), **KEEP)
    (id_,) = rei.ids()
    rei.sandbox.remove(rei.vendor, rei.table, id_)
    shown = {"email": "ann@example.com", "firstName": "Ann", "city": "Rome"}
    deleted = {"contact": {"id": id_, "deleted": True, **shown}}
    rei.fault(rei.read_fault, status=200, answer=deleted, times=None)
    result = rei.run(rei.row("1", "ann@example.com", "Ann", "Rome"), **KEEP, full_resync=True)
    assert rei.counts(result) == {"received": 1, "created": 1}


def test_a_record_that_is_gone_is_made_anew_with_all_its_fields(crm: Crm) -> None:
    crm.run(crm.row("1", "ann@example.com", "Ann", "Smith", "red"), **KEEP)
    crm.sandbox.remove(crm.vendor, crm.table, crm.ids()[0])
    result = crm.plugin.run(
        [crm.schema, crm.row("1", "ann@example.com", "Anne", "Smith", "red")], **KEEP
    )
    if crm.vendor == "merlin":  # SEARCH does not tell "gone" from "not found"
        assert "cannot be read" in result.rejects[0]["rejection"]["reason"]
        return
    assert result.exit_code == 0, result.stderr
    assert crm.values() == [("ann@example.com", "Anne", "Smith", "red")]


def test_a_record_that_goes_between_its_reading_and_its_update_is_made_with_all_fields(
    crm: Crm,
) -> None:
    _, first, _, _ = crm.columns
    crm.run(crm.row("1", "ann@example.com", "Ann", "Smith", "red"), **KEEP)
    crm.edit(0, **{first: "Hannah"})
    gone = {"table": crm.table, "key": crm.ids()[0]}
    crm.fault(crm.read_fault, when="after", remove=gone)
    result = crm.run(crm.row("1", "ann@example.com", "Anne", "Smyth", "red"), **KEEP)
    assert crm.values() == [("ann@example.com", "Anne", "Smyth", "red")]
    assert not result.report["streams"][crm.stream]["kept"]
    result = crm.run(crm.row("1", "ann@example.com", "Anna", "Smyth", "red"), **KEEP)
    assert crm.values() == [("ann@example.com", "Anna", "Smyth", "red")]


def test_an_edit_between_the_reading_and_the_update_is_kept_where_the_field_is_not_sent(
    crm: Crm,
) -> None:
    _, first, last, _ = crm.columns
    crm.run(crm.row("1", "ann@example.com", "Ann", "Smith"), **KEEP)
    edited = crm.edited(crm.records()[0], {first: "Hannah"})
    crm.fault(crm.read_fault, when="after", put={crm.table: [edited]})
    crm.run(crm.row("1", "ann@example.com", "Ann", "Smyth"), **KEEP)
    assert (crm.read(crm.records()[0], first), crm.read(crm.records()[0], last)) == (
        "Hannah", "Smyth",
    )  # fmt: skip
    result = crm.run(crm.row("1", "ann@example.com", "Anne", "Smyth"), **KEEP)
    assert crm.read(crm.records()[0], first) == "Hannah"
    assert result.report["streams"][crm.stream]["kept"] == {first: 1}


def dies(crm: Crm, *row: str) -> None:
    """A run is killed when its update was carried out."""
    died = crm.plugin.dying("after_answer").run([crm.schema, crm.row("1", *row)], **KEEP)
    assert died.exit_code == -9


@pytest.mark.parametrize("status", [401, 422, 503])
def test_an_update_of_a_run_that_died_is_no_edit_after_a_run_that_could_not_read(
    crm: Crm, status: int
) -> None:
    crm.run(crm.row("1", "ann@example.com", "Ann", "Smith"), **KEEP)
    dies(crm, "ann@example.com", "Ann", "Smith", "blue")
    crm.fault(crm.read_fault, status=status, times=None)
    row = crm.row("1", "ann@example.com", "Ann", "Smith", "white")
    crm.plugin.run([crm.schema, row], **KEEP, max_retries=0)
    crm.sandbox.clear_faults()
    result = crm.run(crm.row("1", "ann@example.com", "Ann", "Smith", "green"), **KEEP)
    assert crm.values() == [("ann@example.com", "Ann", "Smith", "green")]
    assert not result.report["streams"][crm.stream]["kept"]


@pytest.mark.parametrize("status", [401, 503])
def test_nor_is_one_on_first_sight(crm: Crm, status: int) -> None:
    crm.run(crm.row("0", "ann@example.com", "Ann", "Smith"), sync="other")
    dies(crm, "ann@example.com", "Ann", "Smith", "blue")
    crm.fault(crm.read_fault, status=status, times=None)
    row = crm.row("1", "ann@example.com", "Ann", "Smith", "white")
    assert crm.plugin.run([crm.schema, row], **KEEP, max_retries=0).exit_code == 1
    crm.sandbox.clear_faults()
    crm.run(crm.row("1", "ann@example.com", "Ann", "Smith", "green"), **KEEP)
    assert crm.values() == [("ann@example.com", "Ann", "Smith", "green")]


@pytest.mark.parametrize("kind", [ReiV1, AutoReach])
def test_a_record_that_replaced_a_deleted_one_is_nobodys_after_a_run_that_died(
    sandbox: Sandbox, tmp_path: Path, kind: type[Crm]
) -> None:
    crm = made(kind, sandbox, tmp_path)
    crm.run(crm.row("1", "ann@example.com", "Ann", "Smith", "red"), **KEEP)
    one = crm.records()[0]
    sandbox.remove(crm.vendor, crm.table, str(one["id"]))
    assert "1 marked" in crm.plugin.run([], "--verify", "--repair").stdout
    other = 900 if isinstance(one["id"], int) else "x" * 20
    sandbox.put_state(crm.vendor, {crm.table: [{**one, "id": other}]})
    row = crm.row("1", "ann@example.com", "Ann", "Smyth", "red")
    assert crm.plugin.dying("after_pending").run([crm.schema, row], **KEEP).exit_code == -9
    result = crm.run(row, **KEEP)
    assert result.report["streams"][crm.stream]["kept"] == {crm.columns[2]: 1}
