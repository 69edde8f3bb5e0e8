"""What happens to a record on its way, seen from outside (through target-autoreach's people)."""

from __future__ import annotations

import stat

from singer_sandbox import Sandbox
from tests.front_door import Plugin, record, schema, state
from tests.people import COLUMNS, SCHEMA, patches, people_at, person


def test_records_arrive_and_state_follows(people: Plugin, sandbox: Sandbox) -> None:
    result = people.run([SCHEMA, *(person(i) for i in range(250)), state({"at": 250})])
    assert result.exit_code == 0, result.stderr
    assert len(people_at(sandbox)) == 250
    assert people_at(sandbox)["p7"]["first_name"] == "P7"
    assert result.states == [{"at": 250}]
    assert result.counts("people") == {"received": 250, "upserted": 250}
    assert result.report["outcome"] == "ok"
    assert max(patches(sandbox)) <= 100


def test_what_did_not_change_costs_no_request(people: Plugin, sandbox: Sandbox) -> None:
    people.run([SCHEMA, *(person(i) for i in range(50))])
    sent = len(patches(sandbox))
    result = people.run([SCHEMA, *(person(i) for i in range(50))])
    assert result.counts("people") == {"received": 50, "unchanged": 50}
    assert len(patches(sandbox)) == sent


def test_number_form_and_key_order_are_no_change(people: Plugin, sandbox: Sandbox) -> None:
    numbers = schema("people", {"id": {"type": "string"}, "score": {"type": "number"}})
    config = {"unknown_fields": "send"}
    sandbox.put_state("autoreach", {"custom_fields": [{"key": "score", "name": "Score"}]})
    people.run(
        [numbers, '{"type":"RECORD","stream":"people","record":{"id":"a","score":1.0}}\n'], **config
    )
    result = people.run(
        [numbers, '{"record":{"score":1,"id":"a"},"stream":"people","type":"RECORD"}\n'], **config
    )
    assert result.counts("people") == {"received": 1, "unchanged": 1}


def test_full_resync_sends_what_did_not_change(people: Plugin, sandbox: Sandbox) -> None:
    people.run([SCHEMA, person(1)])
    result = people.run([SCHEMA, person(1)], full_resync=True)
    assert result.counts("people") == {"received": 1, "upserted": 1}


def test_the_last_copy_of_a_key_wins(people: Plugin, sandbox: Sandbox) -> None:
    copies = [person(1, first_name=f"v{i}") for i in range(7)]
    result = people.run([SCHEMA, *copies])
    assert people_at(sandbox)["p1"]["first_name"] == "v6"
    assert result.counts("people") == {"received": 7, "merged": 6, "upserted": 1}


def test_an_earlier_copy_goes_out_when_the_last_one_is_refused(
    people: Plugin, sandbox: Sandbox
) -> None:
    result = people.run([SCHEMA, person(1, first_name="good"), person(1, email="no email")])
    assert people_at(sandbox)["p1"]["first_name"] == "good"
    assert result.counts("people") == {"received": 2, "upserted": 1, "rejected": 1}
    assert [r["rejection"]["kind"] for r in result.rejects] == ["refused"]


def test_a_delete_goes_out_once_and_a_missing_one_is_a_success(
    people: Plugin, sandbox: Sandbox
) -> None:
    people.run([SCHEMA, person(1), person(2)])
    gone = [record("people", id=f"p{i}", _sdc_deleted_at="2026-01-01T00:00:00Z") for i in (1, 9)]
    result = people.run([SCHEMA, *gone])
    assert set(people_at(sandbox)) == {"p2"}
    assert result.counts("people") == {"received": 2, "deleted": 2}
    again = people.run([SCHEMA, *gone])
    assert again.counts("people") == {"received": 2, "unchanged": 2}


def test_a_dry_run_changes_nothing_and_reports_everything(people: Plugin, sandbox: Sandbox) -> None:
    people.run([SCHEMA, person(1), person(2)])
    before = people_at(sandbox)
    ledger = people.work_dir.joinpath("singer-http.db").read_bytes()
    rows = [person(1), person(2, first_name="new"), person(3), record("people", id="p4", email=1)]
    result = people.run([SCHEMA, *rows, state({"at": 1})], dry_run=True)
    assert result.exit_code == 0
    assert people_at(sandbox) == before
    assert result.states == []
    assert result.rejects == []
    assert people.work_dir.joinpath("singer-http.db").read_bytes() == ledger
    assert result.report["dry_run"] is True
    assert result.counts("people") == {
        "received": 4, "unchanged": 1, "upserted": 2, "rejected": 1,
    }  # fmt: skip


def test_a_batch_of_one_row_is_possible(people: Plugin, sandbox: Sandbox) -> None:
    people.run([SCHEMA, *(person(i) for i in range(12))], batch_size_rows=1)
    assert set(patches(sandbox)) == {1}


def test_another_source_stream_stops_the_run(people: Plugin, sandbox: Sandbox) -> None:
    people.run([SCHEMA, person(1)])
    renamed = [schema("crm-people", COLUMNS), record("crm-people", id="p1", email="x@example.com")]
    result = people.run(renamed)
    assert result.exit_code == 1
    assert "source" in result.error
    assert people.run(renamed, source="crm-people").exit_code == 0
    assert people_at(sandbox)["p1"]["email"] == "x@example.com"


def test_another_key_stops_the_run(people: Plugin) -> None:
    people.run([SCHEMA, person(1)])
    result = people.run([SCHEMA, person(1)], keys={"people": ["email"]})
    assert result.exit_code == 1
    assert "keys" in result.error


def test_the_report_says_why_a_run_stopped_before_its_first_record(people: Plugin) -> None:
    result = people.run([schema("nobody", COLUMNS)])
    assert result.exit_code == 1
    assert result.report["outcome"] == "stopped"
    assert "nobody" in result.report["error"]


def test_two_syncs_share_nothing(people: Plugin) -> None:
    people.run([SCHEMA, person(1)])
    result = people.run([SCHEMA, person(1)], sync="second")
    assert result.counts("people") == {"received": 1, "upserted": 1}
    assert people.path("report.json", "second").exists()


def test_no_ledger_means_everything_is_sent_again(people: Plugin) -> None:
    people.run([SCHEMA, person(1)], ledger_url="none")
    result = people.run([SCHEMA, person(1)], ledger_url="none")
    assert result.counts("people") == {"received": 1, "upserted": 1}


def test_files_are_the_owners_alone(people: Plugin) -> None:
    people.run([SCHEMA, person(1), person(2, email="nonsense")])
    assert stat.S_IMODE(people.work_dir.stat().st_mode) == 0o700
    for path in people.work_dir.iterdir():
        if path.name != ".gitignore":
            assert stat.S_IMODE(path.stat().st_mode) & 0o077 == 0, path.name


def test_emails_and_records_do_not_stay_in_the_ledger(people: Plugin) -> None:
    rows = [person(i, first_name="Zebediah") for i in range(20)]
    people.run([schema("people", COLUMNS, ("email",)), *rows])
    ledger = people.work_dir.joinpath("singer-http.db").read_bytes()
    assert b"example.com" not in ledger
    assert b"Zebediah" not in ledger
