"""From columns to the vendor's fields: nulls, unknown and custom fields, phones, dates."""

from __future__ import annotations

import pytest

from singer_sandbox import Sandbox
from tests.front_door import Plugin, record, schema
from tests.people import COLUMNS, SCHEMA, people_at, person


def test_nulls_are_left_alone_or_sent(people: Plugin, sandbox: Sandbox) -> None:
    people.run([SCHEMA, person(1, last_name="Old")])
    people.run([SCHEMA, person(1, first_name="Changed", last_name=None)])
    assert people_at(sandbox)["p1"]["last_name"] == "Old"
    people.run([SCHEMA, person(1, last_name=None)], nulls="send")
    assert people_at(sandbox)["p1"]["last_name"] is None


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
