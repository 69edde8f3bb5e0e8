"""What a target takes in: messages good and bad, BATCH files, schema changes, stream_maps."""

from __future__ import annotations

import json
from typing import Any

import pytest

from singer_sandbox import Sandbox
from tests.front_door import JSON, Plugin, adds_up, record, schema
from tests.people import COLUMNS, SCHEMA, people_at, person


def test_a_stream_behind_a_prefix_is_known(people: Plugin, sandbox: Sandbox) -> None:
    messages = [
        schema("public-people", COLUMNS),
        record("public-people", id="a", email="a@example.com"),
    ]
    assert people.run(messages).exit_code == 0
    assert "a" in people_at(sandbox)


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


def batch_of(manifest: Any, encoding: Any) -> dict[str, Any]:
    return {"type": "BATCH", "stream": "people", "encoding": encoding, "manifest": manifest}


JSONL = {"format": "jsonl"}


@pytest.mark.parametrize(
    ("messages", "words"),
    [
        ([SCHEMA, batch_of(None, JSONL)], "Line 2: the 'manifest' of the BATCH is not a list"),
        ([SCHEMA, batch_of("/a.jsonl", JSONL)], "the 'manifest' of the BATCH is not a list"),
        ([SCHEMA, batch_of([1], JSONL)], "the 'manifest' of the BATCH is not a list"),
        ([SCHEMA, batch_of([], "jsonl")], "Line 2: the 'encoding' of the BATCH is not an object"),
        (["not json\n"], "not JSON"),
        (['["a"]\n'], "not a Singer message"),
        (['{"type": "NONSENSE"}\n'], "NONSENSE"),
        ([person(1)], "before its SCHEMA"),
        ([schema("persons", COLUMNS)], "people"),
        ([schema("people", COLUMNS, ())], "keys"),
        (['{"type": "SCHEMA", "stream": "people"}\n'], "SCHEMA"),
        ([SCHEMA, '{"type": "RECORD", "stream": "people"}\n'], "record"),
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


def test_a_record_that_is_no_object_is_rejected_and_its_neighbours_go(
    people: Plugin, sandbox: Sandbox
) -> None:
    line = '{"type": "RECORD", "stream": "people", "record": 5}\n'
    result = people.run([SCHEMA, person(1), line, person(2)])
    assert result.exit_code == 0, result.stderr
    assert set(people_at(sandbox)) == {"p1", "p2"}
    assert [reject["rejection"]["reason"] for reject in result.rejects] == [
        "the record is not an object"
    ]


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


GONE = schema("people", (*COLUMNS, "_sdc_deleted_at"))
FEW = {"id": "id", "email": "email", "__else__": "__NULL__"}


def gone(number: int, **fields: Any) -> JSON:
    """As a plan has it: only the key."""
    empty = dict.fromkeys(COLUMNS) | fields
    return record("people", **empty | {"id": f"p{number}", "_sdc_deleted_at": "2026-01-01"})


def test_a_delete_whose_mark_stream_maps_drop_is_rejected(people: Plugin, sandbox: Sandbox) -> None:
    """As an upsert it could clear the person's fields, and the person would stay."""
    people.run([GONE, person(1)], stream_maps={"people": FEW})
    result = people.run([GONE, gone(1)], stream_maps={"people": FEW})
    (reject,) = result.rejects
    assert "_sdc_deleted_at: _sdc_deleted_at to delete" in reject["rejection"]["reason"]
    assert set(people_at(sandbox)) == {"p1"}
    named = {"people": {**FEW, "_sdc_deleted_at": "_sdc_deleted_at"}}
    result = people.run([GONE], stream_maps=named)
    assert (result.exit_code, result.rejects) == (0, [])
    assert people_at(sandbox) == {}


@pytest.mark.parametrize("said", ["__NULL__", "None"])
def test_stream_maps_that_name_the_column_of_deletes_decide(
    people: Plugin, sandbox: Sandbox, said: str
) -> None:
    maps = {"people": {**FEW, "_sdc_deleted_at": said}}
    result = people.run([GONE, gone(1, email="p1@example.com")], stream_maps=maps)
    assert (set(people_at(sandbox)), result.rejects) == ({"p1"}, [])


def test_a_deleted_row_lifts_no_suppression_that_stream_maps_make_of_it(
    people: Plugin, sandbox: Sandbox
) -> None:
    maps = {
        "suppressions": {"__source__": "people", "__filter__": "first_name == 'No'", **FEW},
        "people": {},
    }
    people.run([GONE, person(1, first_name="No")], stream_maps=maps)
    deleted = gone(1, email="p1@example.com", first_name="No")
    people.run([GONE, deleted], stream_maps=maps)
    people.run([GONE, person(3, email="p1@example.com")], stream_maps=maps)
    assert people_at(sandbox) == {}
