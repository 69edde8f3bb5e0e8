"""What sources write: SCHEMAs of any draft, rows that cannot be, files that break off."""

from __future__ import annotations

import gzip
import hashlib
import json
import time
from pathlib import Path
from typing import Any

import pytest

from singer_sandbox import Sandbox
from tests.findings.inputs import PEOPLE, kinds, people, person, sent
from tests.front_door import JSON, Plugin, adds_up, record, schema, state

TARGETS = ("target-autoreach", "target-reisoftware", "target-emailmarketing", "target-actionapi")
STREAMS = {
    "target-autoreach": ("people", "id", "email"),
    "target-reisoftware": ("contacts", "key", "email"),
    "target-emailmarketing": ("contacts", "email", "first_name"),
    "target-actionapi": ("contacts", "key", "Email"),
}
DRAFTS: dict[str, Any] = {
    "draft-4 exclusiveMaximum": {"type": ["integer"], "maximum": 9, "exclusiveMaximum": True},
    "draft-4 exclusiveMinimum": {"type": "number", "minimum": 0, "exclusiveMinimum": False},
    "draft-6 exclusiveMaximum": {"type": "integer", "exclusiveMaximum": 9},
    "true": True,
    "2020-12 prefixItems": {"type": "array", "prefixItems": [{"type": "string"}]},
    "draft-4 id": {"id": "http://example.com/x", "type": ["string", "null"]},
    "nested": {"anyOf": [{"type": "integer", "maximum": 9, "exclusiveMaximum": True}, True]},
}


@pytest.mark.parametrize("name", TARGETS)
@pytest.mark.parametrize("draft", DRAFTS)
def test_a_schema_of_any_draft_is_taken(
    sandbox: Sandbox, tmp_path: Path, name: str, draft: str
) -> None:
    """P8, P14"""
    sandbox.put_state("kasplo", {"lists": [{"name": "News", "list_id": "l1"}]})
    stream, key, other = STREAMS[name]
    plugin = Plugin(name, sandbox, tmp_path)
    if name == "target-emailmarketing":
        plugin.config["list"] = "News"
    columns = schema(stream, {key: {"type": "string"}, other: {}, "extra": DRAFTS[draft]}, (key,))
    row = {key: "a", other: "A"} | {n: "a@example.com" for n in (key, other) if "mail" in n}
    result = plugin.run([columns, record(stream, **row)])
    assert (result.exit_code, result.rejects) == (0, []), result.error
    assert result.counts(stream)["received"] == 1


@pytest.mark.parametrize(
    ("schemas", "value", "good"),
    [
        ({"maximum": 9, "exclusiveMaximum": True}, 9, False),
        ({"maximum": 9, "exclusiveMaximum": False}, 9, True),
        ({"exclusiveMaximum": 9}, 9, False),
        (True, [1], True),
    ],
)
def test_a_schema_still_means_what_it_says(
    autoreach: Plugin, sandbox: Sandbox, schemas: Any, value: Any, good: bool
) -> None:
    """P8"""
    sandbox.put_state("autoreach", {"custom_fields": [{"key": "size"}]})
    columns = schema("people", {"id": {}, "email": {}, "size": schemas})
    result = autoreach.run([columns, person("a", size=value)])
    assert result.exit_code == 0, result.error
    assert kinds(result) == ([] if good else ["invalid"])


LONG = "".join(hashlib.sha256(bytes([i])).hexdigest() for i in range(94))
BAD_ROWS = {
    "NaN": '{"id":"x","email":"x@example.com","first_name":NaN}',
    "Infinity": '{"id":"x","email":"x@example.com","first_name":-Infinity}',
    "surrogate": '{"id":"x","email":"x@example.com","first_name":"\\ud800"}',
    "NUL in the key": '{"id":"x\\u0000","email":"x@example.com"}',
    "surrogate in the key": '{"id":"\\udfff","email":"x@example.com"}',
    "a key that is a list": '{"id":["x"],"email":"x@example.com"}',
    "a key that is an object": '{"id":{"x":1},"email":"x@example.com"}',
    # Random: PostgreSQL compresses what repeats itself.
    "an id of 6,000 characters": f'{{"id":"{LONG}","email":"x@example.com"}}',
    "deep": '{"id":"x","email":"x@example.com","first_name":' + "[" * 900 + "]" * 900 + "}",
}


@pytest.fixture
def autoreach(autoreach: Plugin, ledger_url: str | None) -> Plugin:
    """With each kind of ledger."""
    autoreach.config["ledger_url"] = ledger_url
    return autoreach


@pytest.mark.parametrize("row", BAD_ROWS)
def test_a_row_that_cannot_be_is_rejected_and_the_others_go(
    autoreach: Plugin, sandbox: Sandbox, row: str
) -> None:
    """P14"""
    columns = schema("people", {"id": {}, "email": {}, "first_name": {}})
    line = f'{{"type":"RECORD","stream":"people","record":{BAD_ROWS[row]}}}\n'
    messages: list[JSON | str] = [columns, person("a"), line, person("b"), state({"at": 1})]
    for _ in range(2):
        result = autoreach.run(messages)
        assert result.exit_code == 0, result.error
        assert "Traceback" not in result.stderr
        assert {"a", "b"} <= set(people(sandbox))
        assert result.states == [{"at": 1}]
        assert result.report["streams"]["people"]["received"] == 3
        assert adds_up(result.report)
        assert len(result.rejects) == 1


@pytest.mark.parametrize("row", ["NaN", "surrogate"])
def test_a_row_that_cannot_be_stops_no_other_target(
    rei: Plugin, sandbox: Sandbox, row: str
) -> None:
    """P14"""
    columns = schema("contacts", {"id": {}, "email": {}, "first_name": {}, "k": {}}, ("k",))
    bad = BAD_ROWS[row].replace('"id"', '"k"').replace("first_name", "firstName")
    line = f'{{"type":"RECORD","stream":"contacts","record":{bad}}}\n'
    result = rei.run([columns, line, record("contacts", k="a", email="a@example.com")])
    assert result.exit_code == 0, result.error
    assert kinds(result) == ["invalid"]
    assert len(sandbox.state("rei")["contacts"]) == 1


@pytest.mark.parametrize(
    "line", ["{", '{"type":"RECORD","stream":"people","record":{"id":', "\x01"]
)
def test_a_line_that_nothing_can_read_ends_the_run_with_its_number(
    autoreach: Plugin, sandbox: Sandbox, line: str
) -> None:
    """P14"""
    result = autoreach.run([PEOPLE, person("a"), f"{line}\n", person("b")])
    assert result.exit_code == 1
    assert "line 3" in result.error.lower()
    assert "Traceback" not in result.stderr


def batch(path: Path) -> JSON:
    return {
        "type": "BATCH",
        "stream": "people",
        "encoding": {"format": "jsonl", "compression": "gzip"},
        "manifest": [path.as_uri()],
    }


@pytest.mark.parametrize("damage", ["cut", "corrupt", "checksum", "no gzip", "missing", "empty"])
def test_a_damaged_batch_file_is_one_line_and_exit_1(
    autoreach: Plugin, sandbox: Sandbox, tmp_path: Path, damage: str
) -> None:
    """P15"""
    text = "".join(json.dumps(person(f"p{i}")["record"]) + "\n" for i in range(2000)).encode()
    whole = gzip.compress(text)
    data = {
        "cut": whole[: len(whole) // 2],
        "corrupt": whole[:200] + bytes(b ^ 0xFF for b in whole[200:260]) + whole[260:],
        "checksum": whole[:-8] + b"\0" * 8,
        "no gzip": text,
        "empty": b"",
    }.get(damage)
    path = tmp_path / "batch.gz"
    if data is not None:
        path.write_bytes(data)
    result = autoreach.run([PEOPLE, batch(path), state({"at": 1})])
    assert result.exit_code == 1
    assert "batch.gz" in result.error
    assert "Traceback" not in result.stderr
    assert result.states == []
    assert result.report["outcome"] in ("stopped", "failed")


# --- H25 ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [0, -1, -100])
def test_a_batch_size_of_nothing_is_refused_at_configuration(
    autoreach: Plugin, sandbox: Sandbox, size: int
) -> None:
    """H25"""
    result = autoreach.run([PEOPLE, person("a")], batch_size_rows=size)
    assert result.exit_code == 1
    assert "batch_size_rows" in result.error
    assert sandbox.requests() == []


@pytest.mark.parametrize("word", ["Invalid contact list entry", "list price is not numeric"])
def test_a_refusal_that_mentions_a_list_stops_no_run(
    kasplo: Plugin, sandbox: Sandbox, word: str
) -> None:
    """H25"""
    sandbox.fault(
        vendor="kasplo", method="POST", status=400, times=None, body="b@example",
        answer={"status": 400, "message": word, "error": {"message": word}, "data": {}},
    )  # fmt: skip
    columns = schema("contacts", ("email", "first_name"), ("email",))
    messages = [columns, *(record("contacts", email=f"{n}@example.com") for n in "abc")]
    result = kasplo.run(messages, max_rejects="")
    assert result.exit_code == 0, result.error
    assert [r["record"]["email"] for r in result.rejects] == ["b@example.com"]
    assert len(sandbox.state("kasplo")["contacts"]) == 2


@pytest.mark.parametrize("config", [{"retry_rejects": True}, {"retry_rejects": False}])
def test_a_reject_that_is_filtered_out_now_leaves_and_is_counted(
    autoreach: Plugin, sandbox: Sandbox, config: JSON
) -> None:
    """H25"""
    assert len(autoreach.run([PEOPLE, person("x", email="nonsense")]).rejects) == 1
    maps = {"people": {"__filter__": "record['id'] != 'x'"}}
    result = autoreach.run([PEOPLE, person("y")], stream_maps=maps, **config)
    if config["retry_rejects"]:
        assert result.rejects == []
        assert result.report["streams"]["people"]["filtered"] == 1
    assert list(people(sandbox)) == ["y"]


# --- R3, R4 -------------------------------------------------------------------------------------


def test_a_hundred_schema_changes_cost_no_more_requests(
    autoreach: Plugin, sandbox: Sandbox
) -> None:
    """R3"""
    sandbox.fill("autoreach", members=300)
    narrow = schema("members", ("owner", "email"), ("owner",))
    wide = schema("members", ("owner", "email", "phone"), ("owner",))
    messages = []
    for i in range(60):
        row = record("members", owner=f"o{i}", email=f"o{i}@example.com")
        messages += [(narrow, wide)[i % 2], row]
    result = autoreach.run(messages)
    assert (result.exit_code, result.rejects) == (0, []), result.error
    assert len(sandbox.state("autoreach")["members"]) == 360
    assert len(sent(sandbox, "autoreach", "GET")) <= 12


@pytest.mark.slow
def test_many_schema_changes_run_out_of_nothing(autoreach: Plugin, sandbox: Sandbox) -> None:
    """R3"""
    messages: list[JSON] = []
    for i in range(1200):
        messages += [schema("people", ("id", "email", f"x{i % 2}")), person(f"p{i}")]
    result = autoreach.run(messages)
    assert result.exit_code == 0, result.error
    assert len(people(sandbox)) == 1200


@pytest.mark.parametrize("size", [24_000_000])
def test_a_long_line_is_read_in_time_that_grows_with_its_length(
    autoreach: Plugin, sandbox: Sandbox, size: int
) -> None:
    """R4: four times the length takes less than eight times as long; 16 times if it is squared."""
    columns = schema("people", ("id", "email", "notes"))
    took = []
    for key, length in (("a", size // 4), ("b", size)):
        begin = time.monotonic()
        result = autoreach.run([columns, person(key, notes="x" * length), person(f"{key}2")])
        took.append(time.monotonic() - begin)
        assert result.exit_code == 0, result.error
        assert f"{key}2" in people(sandbox)
    assert took[1] < 8 * took[0]
