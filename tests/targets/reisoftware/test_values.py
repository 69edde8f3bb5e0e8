"""Custom fields and values of REI Software's contacts, in the form that each field asks for."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from singer_sandbox import Sandbox
from tests.front_door import JSON, Plugin, Result, record, schema
from tests.targets.reisoftware.versions import VERSIONS, is_v2, target

FIELDS: list[JSON] = [
    {"id": "f1", "name": "Parcel ID", "fieldKey": "contact.parcel_id", "dataType": "TEXT"},
    {"id": "f2", "name": "Sale date", "fieldKey": "contact.sale_date", "dataType": "DATE"},
    {"id": "f3", "name": "Value", "fieldKey": "contact.value", "dataType": "NUMERICAL"},
    {
        "id": "f4", "name": "Interests", "fieldKey": "contact.interests",
        "dataType": "MULTIPLE_OPTIONS", "picklistOptions": ["sell", "rent", "buy, later"],
    },
    {
        "id": "f5", "name": "Motivation", "fieldKey": "contact.motivation",
        "dataType": "SINGLE_OPTIONS", "picklistOptions": ["low", "high"],
    },
    {"id": "f6", "name": "Type", "fieldKey": "contact.type", "dataType": "TEXT"},
]  # fmt: skip


@pytest.fixture(params=VERSIONS)
def rei(request: pytest.FixtureRequest, sandbox: Sandbox, tmp_path: Path) -> Iterator[Plugin]:
    sandbox.put_state("rei", {"custom_fields": FIELDS})
    yield from target(request.param, sandbox, tmp_path)


def run(rei: Plugin, *rows: JSON, types: JSON | None = None, **config: Any) -> Result:
    """Contacts known by their email."""
    full = [{"email": f"{n}@example.com", **row} for n, row in enumerate(rows)]
    names = dict.fromkeys(name for row in full for name in row)
    properties = {name: (types or {}).get(name, {}) for name in names}
    messages = [
        schema("contacts", properties, ("email",)),
        *(record("contacts", **row) for row in full),
    ]
    return rei.run(messages, **config)


def held(rei: Plugin) -> list[JSON]:
    found = rei.sandbox.state("rei")["contacts"].values()
    return sorted(found, key=lambda contact: str(contact["email"]))


def customs(rei: Plugin) -> list[JSON]:
    return [contact["customField"] for contact in held(rei)]


def reasons(result: Result) -> list[str]:
    return [message["rejection"]["reason"] for message in result.rejects]


@pytest.mark.parametrize(
    "column", ["f1", "contact.parcel_id", "parcel_id", "Parcel ID", "PARCEL-ID", "parcelid"]
)
def test_a_column_finds_its_custom_field_by_id_key_or_name(rei: Plugin, column: str) -> None:
    result = run(rei, {column: "P-1"})
    assert result.exit_code == 0, result.stderr
    assert customs(rei) == [{"f1": "P-1"}]


@pytest.mark.parametrize(
    "container",
    [
        {"f1": "P-1", "Value": 5},
        {"parcel_id": "P-1", "contact.value": "5.0"},
        [{"id": "f1", "value": "P-1"}, {"id": "f3", "value": 5}],
        '[{"id": "f1", "value": "P-1"}, {"id": "f3", "value": 5}]',
    ],
)
def test_custom_fields_come_as_an_object_or_as_the_taps_list(rei: Plugin, container: Any) -> None:
    run(rei, {"customField": container})
    assert customs(rei) == [{"f1": "P-1", "f3": 5}]


def test_each_type_is_sent_in_its_own_form(rei: Plugin) -> None:
    result = run(
        rei,
        {"Sale date": "2024-05-01", "Interests": ["sell", "rent"], "Value": 12.5, "Parcel ID": 7},
        {"Sale date": "2024-05-01T02:00:00+02:00", "Interests": "sell, rent", "Value": "12.5"},
        {"Sale date": 1714521600000, "Interests": "buy, later", "Motivation": "high"},
        {"Sale date": "2024-05-01 00:00:00", "Value": "", "Motivation": "", "Parcel ID": ""},
    )
    assert result.counts("contacts") == {"received": 4, "created": 4}
    assert customs(rei) == [
        {"f2": 1714521600000, "f4": ["sell", "rent"], "f3": 12.5, "f1": "7"},
        {"f2": 1714521600000, "f4": ["sell", "rent"], "f3": 12.5},
        {"f2": 1714521600000, "f4": ["buy, later"], "f5": "high"},
        {"f2": 1714521600000},
    ]


@pytest.mark.parametrize(
    ("row", "words"),
    [
        ({"Sale date": "soon"}, ("Sale date", "soon")),
        ({"Sale date": True}, ("Sale date", "True")),
        ({"Value": "much"}, ("Value", "much")),
        ({"Interests": ["sell", "steal"]}, ("Interests", "steal", "sell", "rent")),
        ({"Interests": 5}, ("Interests", "5")),
        ({"Motivation": "none"}, ("Motivation", "none", "low", "high")),
        ({"Parcel ID": ["a"]}, ("Parcel ID", "['a']")),
        ({"customField": "what?"}, ("customField", "what?")),
        ({"customField": [{"value": 1}]}, ("customField",)),
        ({"customField": {"Motivation": "none"}}, ("Motivation", "low")),
        ({"tags": 5}, ("tags", "5")),
        ({"city": ["Bonn"]}, ("city", "Bonn")),
    ],
)
def test_a_value_that_does_not_fit_is_invalid_and_its_field_is_named(
    rei: Plugin, row: JSON, words: tuple[str, ...]
) -> None:
    result = run(rei, row, {"city": "Bonn"})
    assert [message["rejection"]["kind"] for message in result.rejects] == ["invalid"]
    assert all(word in reasons(result)[0] for word in words)
    assert [contact["email"] for contact in held(rei)] == ["1@example.com"]


def test_a_read_only_field_is_left_out_although_a_custom_field_has_its_name(rei: Plugin) -> None:
    shown = {
        "type": "lead", "contactName": "x", "locationId": "l", "dateAdded": "2024-01-01",
        "dateUpdated": "2024-01-01", "assignedTo": "u", "lastActivity": 1, "fingerprint": "f",
        "emailLowerCase": "e", "fullNameLowerCase": "n",
    }  # fmt: skip
    result = run(rei, shown)
    assert result.counts("contacts") == {"received": 1, "created": 1}
    assert "left out" not in result.stderr
    assert customs(rei) == [{}]


def test_an_unknown_column_is_warned_about_or_stops_the_run_or_is_sent(rei: Plugin) -> None:
    assert "shoe_size" in run(rei, {"shoe_size": "9"}).stderr
    assert "shoe_size" not in held(rei)[0]
    stopped = run(rei, {"shoe_size": "9"}, unknown_fields="error")
    assert stopped.exit_code == 1
    assert "unknown_fields" in stopped.error
    sent = run(rei, {"shoe_size": "9"}, unknown_fields="send")
    if is_v2(rei):  # its bodies are strict
        assert reasons(sent) == ["property shoe_size should not exist; Unprocessable Entity"]
    else:
        assert held(rei)[0]["shoe_size"] == "9"


def test_an_unknown_custom_field_in_the_container_is_warned_about_once(rei: Plugin) -> None:
    result = run(rei, {"customField": {"shoe": 1}}, {"customField": {"shoe": 2}})
    assert result.stderr.count("'shoe'") == 1
    assert customs(rei) == [{}, {}]


def test_two_columns_of_one_custom_field_stop_the_run(rei: Plugin) -> None:
    result = run(rei, {"parcel_id": "a", "f1": "b"})
    assert result.exit_code == 1
    assert "parcel_id" in result.error
    assert held(rei) == []


def test_a_null_clears_a_custom_field_if_nulls_are_sent(rei: Plugin) -> None:
    run(rei, {"Parcel ID": "P-1", "Value": 1})
    run(rei, {"Parcel ID": None, "Value": 2})
    assert customs(rei) == [{"f1": "P-1", "f3": 2}]
    run(rei, {"Parcel ID": None, "Value": 2}, nulls="send")
    assert customs(rei) == [{"f3": 2}]


def test_numbers_become_text_where_the_vendor_wants_text(rei: Plugin) -> None:
    run(rei, {"postalCode": 45001, "phone": 8888888888})
    assert (held(rei)[0]["postalCode"], held(rei)[0]["phone"]) == ("45001", "+18888888888")


def test_a_birthday_is_the_day_that_was_written(rei: Plugin) -> None:
    types = {"dateOfBirth": {"type": "string", "format": "date-time"}}
    run(rei, {"dateOfBirth": "1990-09-25T00:00:00+02:00"}, types=types)
    assert held(rei)[0]["dateOfBirth"] == "1990-09-25"


def test_a_phone_region_makes_phones_e164(rei: Plugin) -> None:
    result = run(rei, {"phone": "030 123456"}, {"phone": "nonsense"}, phone_region="DE")
    assert [contact["phone"] for contact in held(rei)] == ["+4930123456"]
    assert "phone" in reasons(result)[0]


def test_an_emoji_in_every_field_arrives(rei: Plugin) -> None:
    run(rei, {"firstName": "🏠", "city": "Köln 🎉", "Parcel ID": "P🙂", "tags": ["🏷"]})
    (contact,) = held(rei)
    assert (contact["firstName"], contact["city"], contact["tags"]) == ("🏠", "Köln 🎉", ["🏷"])
    assert customs(rei) == [{"f1": "P🙂"}]


def test_the_order_of_tags_and_keys_and_the_form_of_numbers_is_no_change(rei: Plugin) -> None:
    run(rei, {"tags": ["a", "b"], "Value": 1, "customField": {"f1": "x", "f2": "2024-05-01"}})
    again = {"customField": {"f2": 1714521600000.0, "f1": "x"}, "Value": 1.0, "tags": "b,a"}
    assert run(rei, again).counts("contacts") == {"received": 1, "unchanged": 1}


def test_empty_text_changes_nothing_unless_nulls_are_sent(rei: Plugin) -> None:
    full = {"city": "Bonn", "Parcel ID": "P-1", "customField": {"f3": 1}}
    empty = {"city": "", "Parcel ID": " ", "customField": {"f3": ""}, "firstName": "Ann"}
    run(rei, full)
    run(rei, empty)
    assert (held(rei)[0]["city"], customs(rei)) == ("Bonn", [{"f1": "P-1", "f3": 1}])
    run(rei, empty, nulls="send")
    assert (held(rei)[0]["city"], customs(rei)) == (None, [{}])


def test_dnd_is_understood_in_any_form(rei: Plugin) -> None:
    forms = ["true", "FALSE", 1, 0, "1", "no", True, "yes", 1.0]
    result = run(rei, *({"dnd": form} for form in [*forms, "maybe", 2]), max_rejects="")
    assert [contact["dnd"] for contact in held(rei)] == [
        True, False, True, False, True, False, True, True, True,
    ]  # fmt: skip
    assert all(reason.startswith("dnd: ") for reason in reasons(result))
    assert len(result.rejects) == 2


def test_an_email_is_sent_without_blanks_around_it(rei: Plugin) -> None:
    result = run(rei, {"email": " ann@example.com "})
    assert result.counts("contacts") == {"received": 1, "created": 1}
    assert [contact["email"] for contact in held(rei)] == ["ann@example.com"]
