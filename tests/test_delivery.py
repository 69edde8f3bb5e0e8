"""What happens to a record on its way, seen from outside (through target-autoreach's people)."""

from __future__ import annotations

import json
import stat
from typing import Any

import pytest

from singer_sandbox import Sandbox
from tests.front_door import JSON, Plugin, adds_up, record, schema, state

COLUMNS = ("id", "email", "first_name", "last_name", "phone")
SCHEMA = schema("people", COLUMNS)


def person(number: int, **fields: Any) -> JSON:
    fields = {"email": f"p{number}@example.com", "first_name": f"P{number}", **fields}
    return record("people", id=f"p{number}", **fields)


def people_at(sandbox: Sandbox) -> dict[str, JSON]:
    found: dict[str, JSON] = sandbox.state("autoreach")["people"]
    return found


def patches(sandbox: Sandbox) -> list[int]:
    """Rows in each PATCH that the vendor got."""
    return [r["items"] for r in sandbox.requests("autoreach") if r["method"] == "PATCH"]


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


def test_a_refused_batch_is_halved_until_the_bad_rows_stand_alone(
    people: Plugin, sandbox: Sandbox
) -> None:
    rows = [person(i, **({"email": "nonsense"} if i in {130, 177} else {})) for i in range(250)]
    result = people.run([SCHEMA, *rows])
    assert result.exit_code == 0
    assert len(people_at(sandbox)) == 248
    assert result.counts("people") == {"received": 250, "upserted": 248, "rejected": 2}
    assert {r["record"]["id"] for r in result.rejects} == {"p130", "p177"}
    rejection = result.rejects[0]["rejection"]
    assert rejection["kind"] == "refused"
    assert rejection["status"] == 422
    assert "email" in rejection["reason"]


def test_a_record_that_stays_refused_costs_one_request_a_run(
    people: Plugin, sandbox: Sandbox
) -> None:
    rows = [person(i, **({"email": "nonsense"} if i == 30 else {})) for i in range(100)]
    people.run([SCHEMA, *rows])
    before = len(patches(sandbox))
    result = people.run([SCHEMA, *rows])
    assert len(patches(sandbox)) == before + 1
    assert len(result.rejects) == 1


def test_many_rejects_heal_in_batches_once_the_mapping_is_mended(
    people: Plugin, sandbox: Sandbox
) -> None:
    rows = [person(i, email="nonsense") for i in range(300)]
    people.run([SCHEMA, *rows], max_rejects="")
    before = len(patches(sandbox))
    result = people.run([SCHEMA, *(person(i) for i in range(300))])
    assert result.rejects == []
    assert len(people_at(sandbox)) == 300
    assert len(patches(sandbox)) < before + 30


def test_what_stays_refused_does_not_stop_a_run_of_few_changes(
    people: Plugin, sandbox: Sandbox
) -> None:
    bad = [person(i, **({"email": "nonsense"} if i < 50 else {})) for i in range(300)]
    worse = [record("people", id=f"x{i}", email=5) for i in range(50)]
    people.run([SCHEMA, *bad, *worse], max_rejects="")
    changed = person(299, first_name="Changed")
    result = people.run([SCHEMA, *bad[:-1], *worse, changed])
    assert result.exit_code == 0, result.error
    assert result.counts("people") == {
        "received": 350, "unchanged": 249, "upserted": 1, "rejected": 100,
    }  # fmt: skip


def test_a_reject_heals_when_the_source_brings_a_good_one(people: Plugin, sandbox: Sandbox) -> None:
    people.run([SCHEMA, person(1, email="nonsense")])
    assert people.path("rejects.jsonl").exists()
    result = people.run([SCHEMA, person(1)])
    assert result.rejects == []
    assert not people.path("rejects.jsonl").exists()
    assert people_at(sandbox)["p1"]["email"] == "p1@example.com"


def test_a_reject_is_sent_again_with_todays_mapping(people: Plugin, sandbox: Sandbox) -> None:
    people.run([SCHEMA, person(1, email="nonsense"), person(2)])
    maps = {"people": {"email": "'fixed@example.com'"}}
    result = people.run([SCHEMA], stream_maps=maps)
    assert people_at(sandbox)["p1"]["email"] == "fixed@example.com"
    assert result.report["streams"]["people"]["retried"]["upserted"] == 1
    assert result.rejects == []
    assert adds_up(result.report)


def test_the_rejects_file_is_input_for_the_target(people: Plugin, sandbox: Sandbox) -> None:
    people.run([SCHEMA, person(1, phone="letters"), person(2)])
    path = people.path("rejects.jsonl")
    text = path.read_text().replace("letters", "+15550100")
    path.write_text(text)
    result = people.run([], "--input", str(path))
    assert result.exit_code == 0, result.stderr
    assert people_at(sandbox)["p1"]["phone"] == "+15550100"
    assert result.rejects == []


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


def test_a_wrong_mapping_costs_a_handful_of_rows(people: Plugin, sandbox: Sandbox) -> None:
    rows = [person(i, email="nonsense") for i in range(5000)]
    result = people.run([SCHEMA, *rows, state({"at": 1})])
    assert result.exit_code == 1
    assert "max_rejects" in result.error
    assert result.states == []
    assert sum(patches(sandbox)) < 200
    assert 20 <= len(result.rejects) <= 30


def test_invalid_records_do_not_stop_a_run_of_good_ones(people: Plugin, sandbox: Sandbox) -> None:
    bad = [record("people", id=f"b{i}", email=5) for i in range(30)]
    result = people.run([SCHEMA, *bad, *(person(i) for i in range(100))])
    assert result.exit_code == 0, result.error
    assert len(people_at(sandbox)) == 100
    assert len(result.rejects) == 30


def test_a_run_of_invalid_records_stops(people: Plugin) -> None:
    bad = [record("people", id=f"b{i}", email=5) for i in range(2000)]
    result = people.run([SCHEMA, *bad])
    assert result.exit_code == 1
    assert "max_rejects" in result.error


def test_a_dry_run_changes_nothing_and_reports_everything(people: Plugin, sandbox: Sandbox) -> None:
    people.run([SCHEMA, person(1), person(2)])
    before = people_at(sandbox)
    ledger = people.path("ledger.db").read_bytes()
    rows = [person(1), person(2, first_name="new"), person(3), record("people", id="p4", email=1)]
    result = people.run([SCHEMA, *rows, state({"at": 1})], dry_run=True)
    assert result.exit_code == 0
    assert people_at(sandbox) == before
    assert result.states == []
    assert result.rejects == []
    assert people.path("ledger.db").read_bytes() == ledger
    assert result.report["dry_run"] is True
    assert result.counts("people") == {
        "received": 4, "unchanged": 1, "upserted": 2, "rejected": 1,
    }  # fmt: skip


def test_nulls_are_left_alone_or_sent(people: Plugin, sandbox: Sandbox) -> None:
    people.run([SCHEMA, person(1, last_name="Old")])
    people.run([SCHEMA, person(1, first_name="Changed", last_name=None)])
    assert people_at(sandbox)["p1"]["last_name"] == "Old"
    people.run([SCHEMA, person(1, last_name=None)], nulls="send")
    assert people_at(sandbox)["p1"]["last_name"] is None


def test_full_resync_sends_what_did_not_change(people: Plugin, sandbox: Sandbox) -> None:
    people.run([SCHEMA, person(1)])
    result = people.run([SCHEMA, person(1)], full_resync=True)
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
    ledger = people.path("ledger.db").read_bytes()
    assert b"example.com" not in ledger
    assert b"Zebediah" not in ledger


def test_a_stream_behind_a_prefix_is_known(people: Plugin, sandbox: Sandbox) -> None:
    messages = [
        schema("public-people", COLUMNS),
        record("public-people", id="a", email="a@example.com"),
    ]
    assert people.run(messages).exit_code == 0
    assert "a" in people_at(sandbox)


def test_a_batch_of_one_row_is_possible(people: Plugin, sandbox: Sandbox) -> None:
    people.run([SCHEMA, *(person(i) for i in range(12))], batch_size_rows=1)
    assert set(patches(sandbox)) == {1}


def test_batch_messages_are_read(people: Plugin, sandbox: Sandbox) -> None:
    path = people.directory / "batch.jsonl"
    path.write_text("".join(json.dumps(person(i)["record"]) + "\n" for i in range(30)))
    batch = {
        "type": "BATCH",
        "stream": "people",
        "encoding": {"format": "jsonl", "compression": "none"},
        "manifest": [f"file://{path}"],
    }
    result = people.run([SCHEMA, batch])
    assert result.exit_code == 0, result.stderr
    assert len(people_at(sandbox)) == 30


@pytest.mark.parametrize(
    ("messages", "words"),
    [
        (["not json\n"], "not JSON"),
        (['["a"]\n'], "not a Singer message"),
        (['{"type": "NONSENSE"}\n'], "NONSENSE"),
        ([person(1)], "before its SCHEMA"),
        ([schema("persons", COLUMNS)], "people"),
        ([schema("people", COLUMNS, ())], "keys"),
        (['{"type": "SCHEMA", "stream": "people"}\n'], "SCHEMA"),
        ([SCHEMA, '{"type": "RECORD", "stream": "people"}\n'], "record"),
        ([SCHEMA, '{"type": "RECORD", "stream": "people", "record": 5}\n'], "not an object"),
        ([SCHEMA, '{"type": "STATE"}\n'], "STATE"),
    ],
)  # fmt: skip
def test_bad_messages_get_one_clear_line(people: Plugin, messages: list[Any], words: str) -> None:
    columns = [m if isinstance(m, str) else dict(m) for m in messages]
    if words == "keys":
        columns = [schema("people", ("email",), ())]
    result = people.run(columns)
    assert result.exit_code == 1
    assert words in result.error
    assert "Traceback" not in result.stderr


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"id": None}, "id"),
        ({"id": ""}, "id"),
        ({"id": "x", "email": 5}, "email"),
        ({"id": "x", "seen": "yesterday"}, "seen"),
        ({"id": "x", "count": "many"}, "count"),
        ({"id": ".."}, ".."),
    ],
)
def test_a_bad_record_is_rejected_and_its_neighbours_are_not(
    people: Plugin, sandbox: Sandbox, fields: JSON, words: str
) -> None:
    columns: JSON = {name: {"type": ["string", "null"]} for name in COLUMNS}
    columns["seen"] = {"type": ["string", "null"], "format": "date-time"}
    columns["count"] = {"type": ["integer", "null"]}
    sandbox.put_state("autoreach", {"custom_fields": [{"key": "seen"}, {"key": "count"}]})
    result = people.run(
        [schema("people", columns), person(1), record("people", **fields), person(2)]
    )
    assert result.exit_code == 0, result.stderr
    assert set(people_at(sandbox)) == {"p1", "p2"}
    assert result.rejects[0]["record"] == fields
    assert result.rejects[0]["rejection"]["kind"] == "invalid"
    assert words in result.rejects[0]["rejection"]["reason"]


def test_emoji_and_a_large_record_pass(people: Plugin, sandbox: Sandbox) -> None:
    sandbox.put_state("autoreach", {"custom_fields": [{"key": "notes"}]})
    big = "🏡é" * 1_700_000
    columns = schema("people", (*COLUMNS, "notes"))
    smiling = person(1, first_name="🏡", last_name="Ärger 🚧", notes="🎉")
    result = people.run([columns, smiling, person(2, notes=big), person(3)])
    assert result.exit_code == 0, result.stderr
    assert people_at(sandbox)["p2"]["custom_fields"]["notes"] == big
    assert people_at(sandbox)["p1"]["last_name"] == "Ärger 🚧"
    assert "p3" in people_at(sandbox)


def test_a_schema_change_does_not_reorder(people: Plugin, sandbox: Sandbox) -> None:
    wider = schema("people", (*COLUMNS, "external_id"))
    result = people.run(
        [SCHEMA, person(1, first_name="old"), wider, person(1, first_name="new", external_id="e")]
    )
    assert result.exit_code == 0, result.stderr
    assert people_at(sandbox)["p1"]["first_name"] == "new"


def test_stream_maps_rename_and_filter(people: Plugin, sandbox: Sandbox) -> None:
    maps = {"owners": {"__alias__": "people", "__filter__": "record['last_name'] != 'No'"}}
    rows = [
        record("owners", id="a", last_name="No", email="a@example.com"),
        record("owners", id="b", last_name="Yes", email="b@example.com"),
    ]
    result = people.run([schema("owners", COLUMNS), *rows], stream_maps=maps)
    assert result.exit_code == 0, result.stderr
    assert set(people_at(sandbox)) == {"b"}
    assert result.report["streams"]["people"]["filtered"] == 1
    assert adds_up(result.report)


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


@pytest.mark.parametrize("treatment", ["warn", "error", "send"])
def test_unknown_fields_are_treated_as_asked(
    people: Plugin, sandbox: Sandbox, treatment: str
) -> None:
    columns = schema("people", (*COLUMNS, "created_at", "colour"))
    row = person(1, colour="green", created_at="2026-01-01")
    result = people.run([columns, row], unknown_fields=treatment)
    if treatment == "error":
        assert result.exit_code == 1
        assert "colour" in result.error
        assert "created_at" not in result.error
        assert people_at(sandbox) == {}
    else:
        assert people_at(sandbox)["p1"].get("colour") == ("green" if treatment == "send" else None)
        assert ("colour" in result.stderr) == (treatment == "warn")


def test_custom_fields_are_found_by_key_or_name_whatever_the_case(
    people: Plugin, sandbox: Sandbox
) -> None:
    sandbox.put_state(
        "autoreach",
        {"custom_fields": [
            {"id": 1, "key": "parcel_id", "name": "Parcel ID"},
            {"id": 2, "key": "est_value", "name": "Estimated value ($)"},
        ]},
    )  # fmt: skip
    columns = schema("people", {
        "id": {"type": "string"}, "Parcel-Id": {"type": "string"},
        "estimated_value": {"type": "number"}, "custom_fields": {"type": "object"},
    })  # fmt: skip
    rows = [
        record("people", id="a", **{"Parcel-Id": "77-1", "estimated_value": 12.5}),
        record("people", id="b", custom_fields={"PARCEL ID": "77-2"}),
    ]
    result = people.run([columns, *rows])
    assert result.exit_code == 0, result.stderr
    assert people_at(sandbox)["a"]["custom_fields"] == {"parcel_id": "77-1", "est_value": 12.5}
    assert people_at(sandbox)["b"]["custom_fields"] == {"parcel_id": "77-2"}


@pytest.mark.parametrize("form", ["object", "list", "flat"])
def test_custom_fields_go_out_in_the_form_of_the_setting(
    people: Plugin, sandbox: Sandbox, form: str
) -> None:
    sandbox.put_state("autoreach", {"custom_fields": [{"key": "parcel_id"}]})
    sandbox.options("autoreach", custom_fields_format=form)
    columns = schema("people", (*COLUMNS, "parcel_id"))
    result = people.run([columns, person(1, parcel_id="7")], custom_fields_format=form)
    assert result.counts("people") == {"received": 1, "upserted": 1}
    assert people_at(sandbox)["p1"]["custom_fields"] == {"parcel_id": "7"}


def test_phones_become_e164_in_the_region(people: Plugin, sandbox: Sandbox) -> None:
    rows = [person(1, phone="(555) 010-0123"), person(2, phone="12")]
    result = people.run([SCHEMA, *rows], phone_region="US")
    assert people_at(sandbox)["p1"]["phone"] == "+15550100123"
    assert "phone" in result.rejects[0]["rejection"]["reason"]


def test_dates_take_the_vendors_form(people: Plugin, sandbox: Sandbox) -> None:
    columns = schema("people", {
        "id": {"type": "string"},
        "previous_contact_date": {"type": ["string", "null"], "format": "date-time"},
    })  # fmt: skip
    rows = [
        record("people", id="naive", previous_contact_date="2026-03-04T05:06:07"),
        record("people", id="zoned", previous_contact_date="2026-03-04T05:06:07+02:00"),
        record("people", id="vendor", previous_contact_date="2026-03-04 05:06:07 +0000"),
    ]
    people.run([columns, *rows])
    found = {key: value["previous_contact_date"] for key, value in people_at(sandbox).items()}
    assert found == {
        "naive": "2026-03-04 05:06:07 +0000",
        "zoned": "2026-03-04 03:06:07 +0000",
        "vendor": "2026-03-04 05:06:07 +0000",
    }


def test_two_keys_with_one_identity_are_told_apart_by_the_reason(
    people: Plugin, sandbox: Sandbox
) -> None:
    columns = schema("people", ("owner", "id", "email"), ("owner",))
    rows = [record("people", owner=o, id="same", email=f"{o}@example.com") for o in ("one", "two")]
    result = people.run([columns, *rows])
    assert people_at(sandbox)["same"]["email"] == "one@example.com"
    assert "one" in result.rejects[0]["rejection"]["reason"]
    assert result.rejects[0]["record"]["owner"] == "two"
