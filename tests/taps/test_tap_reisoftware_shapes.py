"""A record of REI Software has one shape, whichever version of the API it is read by."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft7Validator

from singer_sandbox import Sandbox
from tests.contacts import contact, only_v2
from tests.front_door import JSON
from tests.tapping import Tap, Tapped, only

TEXTS_OF_V1 = {
    "id", "locationId", "contactName", "firstName", "lastName", "companyName", "email",
    "emailLowerCase", "fullNameLowerCase", "phone", "type", "source", "assignedTo", "address1",
    "city", "state", "postalCode", "country", "website", "timezone", "fingerprint", "dateOfBirth",
    "dateAdded", "dateUpdated",
}  # fmt: skip
OTHERS_OF_V1 = {
    "dnd": "boolean",
    "lastActivity": "integer",
    "tags": "array",
    "customField": "array",
}
NOT_IN_A_SEARCH = {"fingerprint", "lastActivity"}

Reader = Callable[..., Tapped]


@pytest.fixture
def read(sandbox: Sandbox, tmp_path: Path) -> Reader:
    """Read everything by a version of the API."""

    def run(version: str, **config: Any) -> Tapped:
        settings = sandbox.settings("tap-reisoftware", api_version=version)
        folder = tmp_path / version
        folder.mkdir(exist_ok=True)
        return Tap("tap-reisoftware", sandbox, folder, **settings).read(**config)

    return run


def by_id(done: Tapped, stream: str) -> dict[str, JSON]:
    return {row["id"]: row for row in done.records(stream)}


@pytest.mark.parametrize("stream", ["tags", "campaigns", "workflows"])
def test_lists_are_the_same(sandbox: Sandbox, read: Reader, stream: str) -> None:
    sandbox.seed()
    ours = {"locationId": "C2QujeCh8ZnC7al2InWR"}
    old = {key: row | ours for key, row in by_id(read("v1"), stream).items()}
    assert by_id(read("v2"), stream) == old


@only_v2
def test_the_schema_keeps_the_names_and_types_of_v1(rei: Tap) -> None:
    (entry,) = [e for e in rei.discover()["streams"] if e["stream"] == "contacts"]
    types = {name: d["type"][0] for name, d in entry["schema"]["properties"].items()}
    assert types.items() >= (dict.fromkeys(TEXTS_OF_V1, "string") | OTHERS_OF_V1).items()


def test_contacts_have_the_fields_of_v1(sandbox: Sandbox, read: Reader) -> None:
    sandbox.seed()
    sandbox.options("rei", date_values="epoch_ms", search_date_of_birth="epoch_ms")
    born = {"id": contact(3), "dateOfBirth": "1990-09-25", "dnd": True, "address1": "1 Main St"}
    empty = {"id": contact(4), "email": None, "phone": None, "tags": None, "firstName": None}
    sandbox.put_state("rei", {"contacts": [born, empty]})
    old, new = by_id(read("v1"), "contacts"), by_id(read("v2"), "contacts")
    assert new.keys() == old.keys()
    for key, row in old.items():
        for field in row.keys() - NOT_IN_A_SEARCH:
            other = new[key].get(field)
            if field in ("contactName", "fullNameLowerCase"):
                assert (other or "") == (row[field] or "").lower()
            else:
                assert (other or None) == (row[field] or None), (key, field)
    assert new[contact(3)]["address1"] == "1 Main St"
    assert new[contact(3)]["dateOfBirth"] == "1990-09-25"


def test_dates_of_custom_fields_are_epoch_milliseconds_in_both(
    sandbox: Sandbox, read: Reader
) -> None:
    sandbox.seed()
    day = 1_735_603_200_000
    values = {"cfSaleDate0000000003": day, "cfNotes0000000000006": "2026-01-31"}
    sandbox.put_state("rei", {"contacts": [{"id": contact(2), "customField": values}]})
    found = []
    for version, form in (("v1", "date"), ("v2", "date"), ("v2", "epoch_ms")):
        sandbox.options("rei", date_values=form)
        custom = by_id(read(version), "contacts")[contact(2)]["customField"]
        found.append({item["id"]: item["value"] for item in custom})
    assert found[0] == found[1] == found[2]
    assert found[0]["cfSaleDate0000000003"] == day
    assert found[0]["cfNotes0000000000006"] == "2026-01-31"  # a text stays one


@only_v2
def test_custom_fields_are_asked_for_only_where_a_value_may_be_a_date(
    sandbox: Sandbox, rei: Tap, contacts: JSON
) -> None:
    sandbox.fill("rei", contacts=10)
    rei.read(catalog=contacts)
    assert {r["template"] for r in sandbox.requests("rei")} == {"/v2/contacts/search"}


@pytest.mark.parametrize("times", ["naive", "offset"])
def test_appointments_have_the_fields_of_v1(sandbox: Sandbox, read: Reader, times: str) -> None:
    sandbox.seed()
    sandbox.options("rei", appointment_times=times)
    old, new = by_id(read("v1"), "appointments"), by_id(read("v2"), "appointments")
    assert new.keys() == old.keys()
    for key, row in old.items():
        assert new[key].keys() >= row.keys()
        for field in ("startTime", "endTime"):
            naive = row[field][:19].replace("T", " ")
            assert new[key][field] == {"naive": naive, "offset": row[field]}[times]
            del new[key][field], row[field]
        assert new[key] == row


def test_custom_fields_have_the_fields_of_v1(sandbox: Sandbox, read: Reader) -> None:
    sandbox.seed()
    old, new = by_id(read("v1"), "custom_fields"), by_id(read("v2"), "custom_fields")
    assert new.keys() == old.keys()
    for key, row in old.items():
        assert {field: new[key][field] for field in row} == row


@only_v2
def test_folders_and_fields_of_other_objects_are_no_custom_fields(
    sandbox: Sandbox, rei: Tap
) -> None:
    sandbox.seed()
    rows = [
        {"id": "folder", "name": "Property", "documentType": "folder"},
        {"id": "deal", "name": "Price", "dataType": "MONETORY", "model": "opportunity"},
        {"id": "other", "name": "Odd", "dataType": "SOMETHING_NEW"},
    ]
    sandbox.put_state("rei", {"custom_fields": rows})
    done = rei.read(catalog=only(rei.discover(), "custom_fields"))
    found = by_id(done, "custom_fields")
    assert "other" in found
    assert found.keys().isdisjoint({"folder", "deal"})


@only_v2
def test_every_value_fits_the_schema(sandbox: Sandbox, rei: Tap) -> None:
    sandbox.seed()
    file = {"0f1e": {"meta": {"size": 1}, "url": "https://example.com/f", "documentId": "d"}}
    sandbox.put_state(
        "rei",
        {
            "custom_fields": [{"id": "cfFile", "name": "Deed", "dataType": "FILE_UPLOAD"}],
            "contacts": [
                {
                    "id": contact(3),
                    "customField": {"cfFile": file},
                    "additionalEmails": [{"email": "b@example.com"}],
                    "dndSettings": {"Call": {"status": "active"}, "RCS": {"status": "inactive"}},
                }
            ],
        },
    )
    done = rei.read()
    schemas = {m["stream"]: m["schema"] for m in done.messages if m["type"] == "SCHEMA"}
    for stream, schema in schemas.items():
        validator = Draft7Validator(schema)
        for record in done.records(stream):
            validator.validate(record)
    assert "were present" not in done.stderr
    row = by_id(done, "contacts")[contact(3)]
    assert row["dndSettings"] == {"Call": {"status": "active"}, "RCS": {"status": "inactive"}}
    assert row["additionalEmails"] == [{"email": "b@example.com"}]
    assert {"id": "cfFile", "value": file} in row["customField"]


@only_v2
def test_rows_with_little_in_them_are_read(sandbox: Sandbox, rei: Tap, contacts: JSON) -> None:
    rows: list[JSON] = [
        {"id": "a", "dateUpdated": "2026-01-01T00:00:00.000Z", "searchAfter": [1, "a"]},
        {"id": "b", "customFields": None, "tags": None, "address": None, "searchAfter": [2, "b"]},
        {"id": "c", "address1": "2 Main St", "lastActivity": "2021-07-16T11:39:30.564Z",
         "name": "Ann Lee", "customFields": [{"id": "x"}, {"value": 1}], "searchAfter": [3, "c"]},
        {"id": "d", "dateOfBirth": 654_220_800_000, "email": "D@Example.com",
         "lastActivity": 1_626_435_570_564, "searchAfter": [4, "d"]},
    ]  # fmt: skip
    answer = {"contacts": rows, "total": 4, "traceId": "t"}
    sandbox.fault(vendor="rei", path="search$", status=200, answer=answer)
    found = by_id(rei.read(catalog=contacts), "contacts")
    assert found.keys() == {"a", "b", "c", "d"}
    assert found["b"]["customField"] == []
    assert (found["c"]["address1"], found["c"]["contactName"]) == ("2 Main St", "Ann Lee")
    assert found["c"]["customField"] == [{"id": "x", "value": None}]
    assert found["c"]["lastActivity"] == found["d"]["lastActivity"] == 1_626_435_570_564
    assert found["d"]["dateOfBirth"] == "1990-09-25"
    assert found["d"]["emailLowerCase"] == "d@example.com"
