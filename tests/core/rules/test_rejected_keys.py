"""A rejected record is known by the key that it has once it is corrected."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from singer_sandbox import Sandbox
from tests.core.rules.runs import Runs
from tests.front_door import JSON, record, schema
from tests.subscribers import ACCOUNT, NEWS, SCHEMA, contact

PEOPLE = schema("people", {"id": {}, "email": {}, "first_name": {}})


@pytest.fixture
def kasplo(sandbox: Sandbox, tmp_path: Path) -> Runs:
    sandbox.put_state("kasplo", ACCOUNT)
    return Runs("target-emailmarketing", sandbox, tmp_path, list="News")


@pytest.fixture
def people(sandbox: Sandbox, tmp_path: Path) -> Runs:
    return Runs("target-autoreach", sandbox, tmp_path)


@pytest.mark.parametrize(
    "wrong", [{"first_name": 5}, {"tags": "no such tag"}, {"City": {"no": "text"}}]
)
def test_a_corrected_contact_replaces_its_reject(
    kasplo: Runs, sandbox: Sandbox, wrong: JSON
) -> None:
    assert len(kasplo.run([SCHEMA, contact("ann@example.com", **wrong)]).rejects) == 1
    ran = kasplo.run([SCHEMA, contact("ann@example.com", first_name="Ann")])
    assert ran.rejects == []
    found = sandbox.state("kasplo")["contacts"]
    assert found[f"{NEWS}/ann@example.com"]["first_name"] == "Ann"


def test_a_line_that_only_a_tolerant_reader_understands_is_replaced_too(kasplo: Runs) -> None:
    strange = (
        b'{"type":"RECORD","stream":"contacts","record":{"email":"ann@example.com","City":NaN}}'
    )
    assert kasplo.run([SCHEMA, strange]).kinds("email") == {"ann@example.com": "invalid"}
    assert kasplo.run([SCHEMA, contact("ann@example.com")]).rejects == []


def test_a_contact_of_an_unknown_list_goes_out_once_there_is_that_list(
    kasplo: Runs, sandbox: Sandbox
) -> None:
    later = contact("ann@example.com", list="Later", first_name="Ann")
    other = contact("ann@example.com", list="News", first_name="Bob")
    assert len(kasplo.run([SCHEMA, later]).rejects) == 1
    assert len(kasplo.run([SCHEMA, other]).rejects) == 1, "it is not about that list"
    sandbox.put_state("kasplo", {"lists": [{"name": "Later", "list_id": "L9"}]})
    assert kasplo.run([SCHEMA]).rejects == []
    found = sandbox.state("kasplo")["contacts"]
    assert {key: row["first_name"] for key, row in found.items()} == {
        "L9/ann@example.com": "Ann", f"{NEWS}/ann@example.com": "Bob",
    }  # fmt: skip


def test_what_came_meanwhile_is_newer_than_the_reject(kasplo: Runs, sandbox: Sandbox) -> None:
    old, new = (contact("ann@example.com", list="Later", first_name=n) for n in ("Old", "New"))
    assert len(kasplo.run([SCHEMA, old]).rejects) == 1
    sandbox.put_state("kasplo", {"lists": [{"name": "Later", "list_id": "L9"}]})
    for rows in ([new], []):
        assert kasplo.run([SCHEMA, *rows]).rejects == []
        assert sandbox.state("kasplo")["contacts"]["L9/ann@example.com"]["first_name"] == "New"


def test_a_record_without_a_key_leaves_the_rejects_once_it_has_one(
    people: Runs, sandbox: Sandbox
) -> None:
    keyless = record("people", id=None, email="ann@example.com", first_name="Ann")
    assert len(people.run([PEOPLE, keyless]).rejects) == 1
    for _ in range(2):
        ran = people.run([PEOPLE], stream_maps={"people": {"id": "record['id'] or 'p1'"}})
        assert ran.rejects == []
    assert list(sandbox.state("autoreach")["people"]) == ["p1"]


def corrected(runs: Runs, *changes: tuple[JSON, JSON]) -> list[JSON]:
    """A copy of the rejects file; in each record that has the first value, the second instead."""
    lines = runs.plugin.path("rejects.jsonl").read_text().splitlines()
    copy: list[JSON] = [json.loads(line) for line in lines]
    for message in copy:
        for old, new in changes:
            if message["type"] == "RECORD" and old.items() <= message["record"].items():
                message["record"] |= new
    return copy


@pytest.mark.parametrize(
    "wrong", [(None, None), ("", ""), ([1], [2]), ({"p": 1}, {}), ("1\0", "1\0"), ("1\0", "2\0")]
)
def test_a_corrected_copy_clears_a_reject_without_a_usable_key(
    people: Runs, sandbox: Sandbox, wrong: tuple[Any, Any]
) -> None:
    emails = ("ann@example.com", "bob@example.com")
    rows = [record("people", id=id_, email=email) for id_, email in zip(wrong, emails, strict=True)]
    assert len(people.run([PEOPLE, *rows]).rejects) == 2
    ann = ({"email": "ann@example.com"}, {"id": "p1"})
    ran = people.run(corrected(people, ann))
    assert [reject["record"]["email"] for reject in ran.rejects] == ["bob@example.com"]
    # Wrong once more, in another way: one reject, not two.
    ran = people.run(corrected(people, ({"email": "bob@example.com"}, {"id": {"n": 2}})))
    assert [reject["record"]["id"] for reject in ran.rejects] == [{"n": 2}]
    ran = people.run(corrected(people, ({"email": "bob@example.com"}, {"id": "p2"})))
    assert (ran.rejects, ran.error) == ([], "")
    assert sorted(sandbox.state("autoreach")["people"]) == ["p1", "p2"]


def test_a_corrected_copy_clears_its_reject_though_its_record_is_unchanged_or_merged(
    people: Runs,
) -> None:
    rows = [record("people", id=None, email=f"{name}@example.com") for name in ("ann", "bob")]
    known = record("people", id="p1", email="ann@example.com")
    assert len(people.run([PEOPLE, known, *rows]).rejects) == 2
    changes = [
        ({"email": "ann@example.com"}, {"id": "p1"}), ({"email": "bob@example.com"}, {"id": "p1"}),
    ]  # fmt: skip
    assert people.run(corrected(people, *changes[:1])).counts("people")["unchanged"] == 1
    assert len(people.reject_lines()) == 1
    people.run([PEOPLE, rows[0]])
    assert people.run(corrected(people, *changes)).counts("people")["merged"] == 1
    assert people.reject_lines() == []


def test_a_corrected_copy_clears_its_reject_though_its_key_is_another_one(
    kasplo: Runs, sandbox: Sandbox
) -> None:
    assert len(kasplo.run([SCHEMA, contact("ann at example.com")]).rejects) == 1
    ran = kasplo.run(
        corrected(kasplo, ({"email": "ann at example.com"}, {"email": "a@example.com"}))
    )
    assert (ran.rejects, list(sandbox.state("kasplo")["contacts"])) == (
        [],
        [f"{NEWS}/a@example.com"],
    )


def test_a_copy_clears_no_reject_of_another_stream_and_nothing_uncertain(
    sandbox: Sandbox, tmp_path: Path
) -> None:
    merlin = Runs("target-actionapi", sandbox, tmp_path)
    sms = schema("sms", {"id": {}, "number": {}, "text": {}})
    sandbox.fault(vendor="merlin", status=500, when="after", times=1)
    message = record("sms", id="1", number="+13105550100", text="Hello")
    assert merlin.run([sms, message]).kinds("id") == {"1": "uncertain"}
    copy = corrected(merlin, ({"id": "1"}, {"id": "2"}))
    assert merlin.run(copy).kinds("id") == {"1": "uncertain"}
    assert merlin.run([sms, message]).counts("sms")["skipped"] == 1


def test_other_content_under_a_used_key_is_cleared_once_it_has_a_key_of_its_own(
    sandbox: Sandbox, tmp_path: Path
) -> None:
    merlin = Runs("target-actionapi", sandbox, tmp_path)
    sms = schema("sms", {"id": {}, "number": {}, "text": {}})
    texts = [record("sms", id="1", number="+13105550100", text=text) for text in ("A", "B", "C")]
    assert len(merlin.run([sms, *texts]).rejects) == 2
    ran = merlin.run(corrected(merlin, ({"text": "B"}, {"id": "2"})))
    assert [reject["record"]["text"] for reject in ran.rejects] == ["C"]
