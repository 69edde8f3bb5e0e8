"""A rejected record is known by the key that it has once it is corrected."""

from __future__ import annotations

from pathlib import Path

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
