"""A key is one key in every spelling of its number, and a number stays what was written."""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import Any

import pytest

from singer_sandbox import Sandbox
from tests.findings.inputs import (
    DELETED,
    NUMBER,
    hours,
    kill_in_flight,
    kinds,
    members,
    people,
    texts,
)
from tests.front_door import JSON, Plugin, record, schema
from tests.tapping import Tap

NUMERIC = {"id": {"type": ["number", "null"]}, "number": {}, "text": {}}
SMS = schema("sms", NUMERIC)
SPELLINGS = ["7", "7.0", "7.00", "7e0", "70E-1", "0.7e1"]
BEYOND = "123456789012345678901234567890"
"""An integer beyond 64 bits."""


def sms(key: str, text: str = "Hello") -> str:
    row = f'{{"id":{key},"number":"{NUMBER}","text":"{text}"}}'
    return f'{{"type":"RECORD","stream":"sms","record":{row}}}\n'


@pytest.mark.parametrize("first", ["7.0", "7e0"])
@pytest.mark.parametrize("again", ["7", "7.0", "7.00"])
def test_a_refused_message_is_sent_once_whatever_its_key_looks_like(
    merlin: Plugin, sandbox: Sandbox, first: str, again: str
) -> None:
    """P2"""
    sandbox.fault(vendor="merlin", body="SMS", status=400, answer={"error": "Not now"})
    assert kinds(merlin.run([SMS, sms(first)])) == ["refused"]
    for _ in range(2):
        result = merlin.run([SMS, sms(again)])
        assert result.exit_code == 0, result.error
    assert (texts(sandbox), result.rejects) == (["Hello"], [])


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("again", ["7", "7.0"])
def test_a_message_in_flight_is_not_sent_again_under_a_number_as_key(
    merlin: Plugin, sandbox: Sandbox, when: str, again: str
) -> None:
    """P2"""
    kill_in_flight(merlin, [SMS, sms("7.0")], when, fault={"vendor": "merlin", "body": "SMS"})
    for _ in range(2):
        result = merlin.run([SMS, sms(again)])
        assert result.exit_code == 0, result.error
    assert texts(sandbox) == ["Hello"]
    assert kinds(result) == ["uncertain"]


@pytest.mark.parametrize("again", ["7", "7.0", "7e0"])
def test_a_held_call_goes_out_once(merlin: Plugin, sandbox: Sandbox, again: str) -> None:
    """P2"""
    calls: list[JSON | str] = [schema("calls", NUMERIC), sms("7.0").replace('"sms"', '"calls"')]
    assert kinds(merlin.run(calls, quiet_hours=hours(-60, 60))) == ["held"]
    calls[1] = sms(again).replace('"sms"', '"calls"')
    merlin.run(calls)
    result = merlin.run(calls)
    assert (texts(sandbox, "calls"), result.rejects) == (["Hello"], [])


@pytest.mark.parametrize("column", ["id", "external_id"])
def test_a_delete_names_the_person_as_the_delivery_did(
    autoreach: Plugin, sandbox: Sandbox, column: str
) -> None:
    """P2: 7.0 in the body and 7 in the address are two ids to a vendor that compares texts."""
    columns = schema("people", {column: {}, "email": {}}, (column,))
    row = f'{{"{column}":7.0,"email":"ann@example.com"}}'
    autoreach.run([columns, f'{{"type":"RECORD","stream":"people","record":{row}}}\n'])
    assert list(people(sandbox)) == ["7"]
    result = autoreach.run([columns, record("people", **{column: 7, "_sdc_deleted_at": DELETED})])
    assert result.counts("people") == {"received": 1, "deleted": 1}
    assert people(sandbox) == {}


def test_all_spellings_in_one_run_are_one_key(people_numbers: Plugin, sandbox: Sandbox) -> None:
    """P2"""
    lines = [person(key, f"n{i}") for i, key in enumerate(SPELLINGS)]
    result = people_numbers.run([PEOPLE, *lines])
    assert result.counts("people") == {"received": 6, "merged": 5, "upserted": 1}
    (only,) = people(sandbox).values()
    assert only["first_name"] == "n5"


def test_a_batch_file_has_the_same_keys_as_a_record(
    people_numbers: Plugin, sandbox: Sandbox, tmp_path: Path
) -> None:
    """P2"""
    people_numbers.run([PEOPLE, person("7", "first")])
    path = tmp_path / "batch.json.gz"
    path.write_bytes(gzip.compress(b'{"id":7.0,"first_name":"first"}\n{"id":8.0}\n'))
    batch: JSON = {
        "type": "BATCH",
        "stream": "people",
        "encoding": {"format": "jsonl", "compression": "gzip"},
        "manifest": [path.as_uri()],
    }
    result = people_numbers.run([PEOPLE, batch])
    assert result.exit_code == 0, result.error
    assert result.counts("people") == {"received": 2, "unchanged": 1, "upserted": 1}
    assert len(people(sandbox)) == 2


PEOPLE = schema("people", {"id": {}, "first_name": {}, "email": {}})


@pytest.fixture
def people_numbers(autoreach: Plugin) -> Plugin:
    return autoreach


def person(key: str, name: str) -> str:
    row = f'{{"id":{key},"first_name":"{name}"}}'
    return f'{{"type":"RECORD","stream":"people","record":{row}}}\n'


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("9007199254740992.0", "9007199254740993.0"),
        ("9007199254740992", "9007199254740993"),
        ("0.1000000000000000055", "0.1"),
        (BEYOND, BEYOND[:-1] + "1"),
    ],
)
def test_two_keys_that_are_one_float_stay_two(
    autoreach: Plugin, sandbox: Sandbox, one: str, other: str
) -> None:
    """P10"""
    columns = schema("members", {"owner": {}, "email": {}}, ("owner",))
    lines = [
        f'{{"type":"RECORD","stream":"members","record":{{"owner":{key},"email":"{name}"}}}}\n'
        for key, name in ((one, "a@example.com"), (other, "b@example.com"))
    ]
    result = autoreach.run([columns, *lines])
    assert result.counts("members") == {"received": 2, "created": 2}, result.rejects
    assert sorted(m["email"] for m in members(sandbox)) == ["a@example.com", "b@example.com"]


@pytest.mark.parametrize("text", ["123456789012345678", "0.1", "12345678901234567.25", "5"])
@pytest.mark.parametrize("as_text", [True, False])
def test_a_number_reaches_a_numerical_field_as_it_was_written(
    rei: Plugin, sandbox: Sandbox, text: str, as_text: bool
) -> None:
    """P10"""
    value = f'"{text}"' if as_text else text
    row = f'{{"key":"1","email":"a@example.com","Value":{value}}}'
    line = f'{{"type":"RECORD","stream":"contacts","record":{row}}}\n'
    result = rei.run([schema("contacts", {"key": {}, "email": {}, "Value": {}}, ("key",)), line])
    assert (result.exit_code, result.rejects) == (0, []), result.error
    (post,) = [r for r in sandbox.requests("rei") if r["method"] == "POST"]
    assert post["numbers"] == [text]


@pytest.mark.parametrize(
    "value",
    ['{"at":9007199254740993.0}', '{"at":0.10}', '{"b":1e3,"a":[1.00]}', f'{{"at":{BEYOND}}}'],
)
def test_state_is_passed_on_byte_for_byte(autoreach: Plugin, value: str) -> None:
    """P10"""
    result = autoreach.run([PEOPLE, person("1", "a"), f'{{"type":"STATE","value":{value}}}\n'])
    assert result.stdout.strip() == value


@pytest.mark.parametrize("number", [BEYOND, f"-{BEYOND}", "18446744073709551616", "1e400"])
def test_a_rejected_row_with_a_big_number_stops_no_later_run(
    autoreach: Plugin, sandbox: Sandbox, number: str
) -> None:
    """P9"""
    columns = schema("people", {"id": {}, "email": {}, "first_name": {}, "size": {}})
    row = f'{{"id":"a","email":"nonsense","size":{number}}}'
    bad = f'{{"type":"RECORD","stream":"people","record":{row}}}\n'
    assert autoreach.run([columns, bad]).exit_code == 0
    text = autoreach.path("rejects.jsonl").read_text()
    assert number.lower() in text.lower()
    result = autoreach.run([columns, person("1", "fine")])
    assert result.exit_code == 0, result.error
    assert len(result.rejects) == 1
    assert [p["first_name"] for p in people(sandbox).values()] == ["fine"]


@pytest.mark.parametrize("number", [BEYOND, "18446744073709551616", "12345678901234567.89"])
def test_a_tap_writes_a_number_as_the_vendor_sent_it(
    sandbox: Sandbox, tmp_path: Path, number: str
) -> None:
    """P10"""
    answer = f'{{"data":[{{"id":1,"size":{number}}}],"meta":{{"total":1}}}}'
    sandbox.fault(vendor="autoreach", path="lists", status=200, answer=answer, times=None)
    done = Tap("tap-autoreach", sandbox, tmp_path).read()
    (line,) = [ln for ln in done.stdout.splitlines() if '"RECORD"' in ln and '"lists"' in ln]
    assert f'"size":{number}' in line.replace(" ", "")


def test_a_rejected_row_keeps_its_decimals(autoreach: Plugin) -> None:
    """P10"""
    columns = schema("people", {"id": {}, "email": {}, "size": {}})
    row: Any = '{"id":"a","email":"nonsense","size":0.1000000000000000055}'
    autoreach.run([columns, f'{{"type":"RECORD","stream":"people","record":{row}}}\n'])
    assert "0.1000000000000000055" in autoreach.path("rejects.jsonl").read_text()
