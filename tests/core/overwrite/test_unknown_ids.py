"""What this sync wrote is known, though no id was told, or only a person says that it arrived."""

from __future__ import annotations

from pathlib import Path

from singer_sandbox import Sandbox
from tests.core.overwrite.crm import KEEP, AutoReach, Merlin, Rei
from tests.core.overwrite.crm import crm as made
from tests.front_door import JSON, Result


def kept(result: Result) -> JSON:
    (stream,) = result.report["streams"].values()
    found: JSON = stream["kept"]
    return found


def made_without_id(sandbox: Sandbox, tmp_path: Path) -> AutoReach:
    """A member was made, and the answer did not tell its id."""
    crm = made(AutoReach, sandbox, tmp_path)
    crm.fault({"method": "POST", "path": "members$"}, when="after", status=200, answer={"data": {}})
    crm.run(crm.row("1", "ann@example.com", "Ann", "Smith", "red"), **KEEP)
    crm.sandbox.clear_faults()
    return crm


def test_a_record_that_was_made_without_its_id_takes_the_sources_changes(
    sandbox: Sandbox, tmp_path: Path
) -> None:
    crm = made_without_id(sandbox, tmp_path)
    crm.run(crm.row("1", "ann@example.com", "Anne", "Smith", "red"), **KEEP)
    assert crm.values() == [("ann@example.com", "Anne", "Smith", "red")]


def test_and_what_was_edited_in_it_is_kept(sandbox: Sandbox, tmp_path: Path) -> None:
    crm = made_without_id(sandbox, tmp_path)
    crm.edit(0, first_name="Hannah")
    result = crm.run(crm.row("1", "ann@example.com", "Anne", "Smith", "blue"), **KEEP)
    assert crm.values() == [("ann@example.com", "Hannah", "Smith", "blue")]
    assert kept(result) == {"first_name": 1}


def test_a_member_that_replaced_a_deleted_one_is_not_this_syncs(
    sandbox: Sandbox, tmp_path: Path
) -> None:
    crm = made(AutoReach, sandbox, tmp_path)
    crm.run(crm.row("1", "ann@example.com", "Ann", "Smith", "red"), **KEEP)
    other = {**crm.records()[0], "id": 900, "last_name": "Smith"}
    sandbox.remove("autoreach", "members", crm.ids()[0])
    sandbox.put_state("autoreach", {"members": [other]})
    assert "1 marked" in crm.plugin.run([], "--verify", "--repair").stdout
    result = crm.run(crm.row("1", "ann@example.com", "Ann", "Smyth", "red"), **KEEP)
    assert kept(result) == {"last_name": 1}


def test_a_contact_that_is_resolved_as_sent_takes_the_sources_changes(
    sandbox: Sandbox, tmp_path: Path
) -> None:
    crm = made(Merlin, sandbox, tmp_path)
    crm.fault({"body": "NEW"}, when="after", drop=True, times=1)
    row = crm.row("1", "ann@example.com", None, None, "red")
    assert len(crm.plugin.run([crm.schema, row], **KEEP).rejects) == 1
    resolved = crm.plugin.run([], "--resolve", "contacts", "1", "sent", **KEEP)
    assert "contacts: 1: it counts as delivered.\n" in resolved.stderr
    row = crm.row("1", "ann@example.com", None, None, "blue")
    row["record"]["idContact"] = crm.ids()[0]
    result = crm.plugin.run([crm.schema_with("idContact"), row], **KEEP)
    assert crm.values()[0][3] == "blue"
    assert kept(result) == {}


def refused(rei: Rei) -> None:
    """An update was refused; a person wrote it by hand."""
    rei.run(rei.row("1", "ann@example.com", "Ann", "Boston", "red"), **KEEP)
    rei.fault(rei.update, status=422, times=1)
    row = rei.row("1", "ann@example.com", "Anne", "Boston", "red")
    assert len(rei.plugin.run([rei.schema, row], **KEEP).rejects) == 1
    rei.sandbox.clear_faults()
    rei.edit(0, firstName="Anne")


def test_an_update_that_is_resolved_as_sent_is_what_this_sync_wrote_last(rei: Rei) -> None:
    refused(rei)
    rei.plugin.run([], "--resolve", "contacts", "1", "sent", **KEEP)
    rei.run(rei.row("1", "ann@example.com", "Annie", "Boston", "red"), **KEEP)
    assert rei.values()[0][1] == "Annie"
    rei.edit(0, firstName="Hannah")
    result = rei.run(rei.row("1", "ann@example.com", "Anna", "Boston", "red"), **KEEP)
    assert kept(result) == {"firstName": 1}


def test_a_field_that_a_resolved_update_leaves_out_is_still_this_syncs(rei: Rei) -> None:
    rei.run(rei.row("1", "ann@example.com", "Ann", "Boston", "red"), **KEEP)
    rei.fault(rei.update, status=422, times=1)
    row = rei.row("1", "ann@example.com", "Anne", None, "red")
    assert len(rei.plugin.run([rei.schema, row], **KEEP).rejects) == 1
    rei.sandbox.clear_faults()
    rei.edit(0, firstName="Anne")
    rei.plugin.run([], "--resolve", "contacts", "1", "sent", **KEEP)
    result = rei.run(rei.row("1", "ann@example.com", "Anne", "Rome", "red"), **KEEP)
    assert rei.values()[0][2] == "Rome"
    assert kept(result) == {}


def test_a_vendor_that_cannot_be_asked_is_said(rei: Rei) -> None:
    refused(rei)
    rei.fault({"path": "custom-?[fF]ields"}, status=500, times=None)
    resolved = rei.plugin.run([], "--resolve", "contacts", "1", "sent", **KEEP, max_retries=0)
    assert resolved.exit_code == 0
    assert "it counts as delivered. Its fields are not known (" in resolved.stderr
    assert "so `overwrite` keeps what the vendor has in them until" in resolved.stderr
