"""What the vendor refuses or cannot be sent: it stands alone, is kept, and heals."""

from __future__ import annotations

import pytest

from singer_sandbox import Sandbox
from tests.front_door import JSON, Plugin, adds_up, record, schema, state
from tests.people import COLUMNS, SCHEMA, patches, people_at, person


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


def test_two_keys_with_one_identity_are_told_apart_by_the_reason(
    people: Plugin, sandbox: Sandbox
) -> None:
    columns = schema("people", ("owner", "id", "email"), ("owner",))
    rows = [record("people", owner=o, id="same", email=f"{o}@example.com") for o in ("one", "two")]
    result = people.run([columns, *rows])
    assert people_at(sandbox)["same"]["email"] == "one@example.com"
    assert "one" in result.rejects[0]["rejection"]["reason"]
    assert result.rejects[0]["record"]["owner"] == "two"
