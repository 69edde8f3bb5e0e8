"""A value that comes back in another form is no edit; and a field is what the vendor calls it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from singer_sandbox import Sandbox
from tests.core.overwrite.crm import KEEP, AutoReach, Merlin, Rei, ReiV1, ReiV2
from tests.core.overwrite.crm import crm as made
from tests.front_door import JSON, Plugin, Result, record, schema

TYPES = {
    "day": ("DATE", None),
    "number": ("NUMERICAL", None),
    "many": ("MULTIPLE_OPTIONS", ["a", "b", "c"]),
    "one": ("SINGLE_OPTIONS", ["x", "y", "z"]),
    "note": ("LARGE_TEXT", None),
}
FIELDS = [
    {"id": f"field{name:0>15}", "name": name, "fieldKey": f"contact.{name}", "dataType": kind,
     "position": 1, **({"picklistOptions": choices} if choices else {})}
    for name, (kind, choices) in TYPES.items()
]  # fmt: skip
ROW: JSON = {
    "key": "1", "email": "Ann@Example.com", "phone": "(555) 201-0042", "firstName": " Ann ",
    "dateOfBirth": "1990-09-25", "dnd": True, "postalCode": "01234", "website": "example.com",
    "day": "2026-05-01", "number": 7.5, "many": ["b", "a"], "one": "x", "note": " Hi ",
}  # fmt: skip
EDITS: JSON = {
    "email": "ann2@example.com", "phone": "+15552010043", "firstName": "ann",
    "dateOfBirth": "1990-09-26", "dnd": False, "postalCode": "1234", "website": "example.org",
    "day": "2026-05-02", "number": 8, "many": ["a"], "one": "y", "note": "Hi!",
}  # fmt: skip
NEXT: JSON = {
    "email": "ann3@example.com", "phone": "555 201 0044", "firstName": "Anna",
    "dateOfBirth": "1991-09-25", "postalCode": "02345", "website": "example.net",
    "day": "2026-06-01", "number": "9", "many": ["c"], "one": "z", "note": "Ho",
}  # fmt: skip


def messages(row: JSON, key: str = "key") -> list[JSON]:
    """One contact; its columns have any type."""
    properties: JSON = {name: {} for name in row}
    return [schema("contacts", properties, (key,)), record("contacts", **row)]


def contact(**fields: Any) -> list[JSON]:
    return messages({**ROW, **fields})


@pytest.fixture
def rei(rei: Rei, sandbox: Sandbox) -> Rei:
    sandbox.put_state("rei", {"custom_fields": FIELDS})
    rei.plugin.config |= {"phone_region": "US", **KEEP}
    return rei


def delivered(plugin: Plugin, lines: list[JSON], **config: Any) -> Result:
    result = plugin.run(lines, **config)
    assert result.exit_code == 0, result.stderr
    assert not result.rejects
    return result


def test_no_form_is_taken_for_an_edit(rei: Rei) -> None:
    delivered(rei.plugin, contact())
    again = delivered(rei.plugin, contact(), full_resync=True)
    assert rei.counts(again) == {"received": 1, "skipped": 1}
    result = delivered(rei.plugin, contact(**NEXT))
    assert rei.counts(result) == {"received": 1, "updated": 1}


@pytest.mark.parametrize("name", EDITS)
def test_an_edit_of_each_kind_of_field_is_seen(sandbox: Sandbox, tmp_path: Path, name: str) -> None:
    rei = made(ReiV1, sandbox, tmp_path)
    sandbox.put_state("rei", {"custom_fields": FIELDS})
    settings = {"phone_region": "US", **KEEP}
    delivered(rei.plugin, contact(), **settings)
    # Another pipeline writes it, in the forms that the vendor takes.
    edit = messages({"id": rei.ids()[0], name: EDITS[name]}, "id")
    delivered(rei.plugin, edit, sync="person", phone_region="US")
    before = rei.records()
    new = {name: NEXT.get(name, True)}
    # dnd has two values: the edit is seen where the source has the first one still.
    result = delivered(rei.plugin, contact(**new), **settings, full_resync=True)
    assert result.report["streams"]["contacts"]["kept"] == {name: 1}
    assert [{**one, "dateUpdated": ""} for one in rei.records()] == [
        {**one, "dateUpdated": ""} for one in before
    ]


@pytest.mark.parametrize("policy", ["if_unedited", "if_empty"])
def test_an_opt_out_is_written_to_a_contact_of_which_nobody_said_anything(
    rei: Rei, policy: str
) -> None:
    rei.sandbox.put_state("rei", {"contacts": [{"id": "c1", "email": "p@example.com"}]})
    row = {"key": "k1", "email": "p@example.com", "dnd": True}
    result = delivered(rei.plugin, messages(row), overwrite={"*": policy})
    assert rei.counts(result)["updated"] == 1
    (one,) = rei.records()
    assert one["dnd"] is True


@pytest.mark.parametrize("policy", ["if_unedited", "if_empty"])
def test_an_opt_out_of_a_channel_is_written_where_nobody_said_anything(
    sandbox: Sandbox, tmp_path: Path, policy: str
) -> None:
    rei = made(ReiV2, sandbox, tmp_path)
    channels = {name: {"status": "inactive", "message": ""} for name in ("Call", "Email")}
    one = {"id": "c1", "email": "p@example.com", "dndSettings": channels}
    sandbox.put_state("rei", {"contacts": [one]})
    row = {"key": "k1", "email": "p@example.com", "dndSettings": {"Email": "active"}}
    setting = {"overwrite": {"*": policy}, "validate_records": False}
    delivered(rei.plugin, messages(row), **setting)
    assert rei.records()[0]["dndSettings"]["Email"]["status"] == "active"
    # Once this sync wrote the channel, what is shown is what a person wants.
    sandbox.put_state("rei", {"contacts": [one]})
    result = delivered(rei.plugin, messages(row), **setting, full_resync=True)
    assert rei.records()[0]["dndSettings"]["Email"]["status"] == "inactive"
    assert result.report["streams"]["contacts"]["kept"] == {"dndSettings.Email": 1}


def test_tags_are_added_whatever_was_edited(rei: Rei) -> None:
    delivered(rei.plugin, contact(tags=["a"]))
    rei.edit(0, firstName="Hannah", tags=["a", "vip"])
    result = delivered(rei.plugin, contact(tags=["a", "b"], firstName="Anna"))
    (one,) = rei.records()
    assert one["firstName"] == "Hannah"
    assert sorted(one["tags"]) == ["a", "b", "vip"]
    assert rei.counts(result)["updated"] == 1


def test_a_name_in_one_column_is_edited_with_its_parts(rei: Rei) -> None:
    def named(name: str) -> list[JSON]:
        return messages({"key": "1", "email": "ann@example.com", "name": name})

    delivered(rei.plugin, named("Ann Smith"))
    again = delivered(rei.plugin, named("Ann Smith"), full_resync=True)
    assert rei.counts(again) == {"received": 1, "skipped": 1}
    one = rei.records()[0]
    rei.sandbox.remove("rei", "contacts", one["id"])
    rest = {n: v for n, v in one.items() if n not in ("name", "dateAdded", "dateUpdated")}
    edited = {**rest, "firstName": "Ann", "lastName": "Smyth"}
    rei.sandbox.put_state("rei", {"contacts": [edited]})
    result = delivered(rei.plugin, named("Ann Jones"))
    assert result.report["streams"]["contacts"]["kept"] == {"name": 1}
    assert rei.records()[0]["lastName"] == "Smyth"


@pytest.mark.parametrize("form", ["object", "list", "flat"])
def test_custom_fields_of_autoreach_are_compared_in_each_format(
    sandbox: Sandbox, tmp_path: Path, form: str
) -> None:
    crm = made(AutoReach, sandbox, tmp_path)
    sandbox.options("autoreach", custom_fields_format=form)
    settings = {**KEEP, "custom_fields_format": form}
    crm.run(crm.row("1", "ann@example.com", "Ann", "Smith", "red"), **settings)
    again = crm.run(
        crm.row("1", "ann@example.com", "Ann", "Smith", "red"), **settings, full_resync=True
    )
    assert crm.counts(again) == {"received": 1, "skipped": 1}
    result = crm.run(crm.row("1", "ann@example.com", "Anne", "Smith", "blue"), **settings)
    assert crm.counts(result) == {"received": 1, "updated": 1}


def test_a_custom_field_beside_the_others_has_one_name_from_the_first_member_on(
    sandbox: Sandbox, tmp_path: Path
) -> None:
    crm = made(AutoReach, sandbox, tmp_path)
    flat = {"custom_fields_format": "flat"}
    crm.run(crm.row("1", "ann@example.com", "Ann", "Smith", "red"), **flat, **KEEP)
    assert crm.plugin.run([], "--verify", **flat).exit_code == 0
    crm.run(crm.row("1", "ann@example.com", "Ann", "Smith", "blue"), **flat, **KEEP)
    assert crm.records()[0]["color"] == "blue"
    crm.sandbox.put_state("autoreach", {"members": [{**crm.records()[0], "color": "green"}]})
    result = crm.run(crm.row("1", "ann@example.com", "Ann", "Smith", "red"), **flat, **KEEP)
    assert result.report["streams"]["members"]["kept"] == {"Color": 1}
    assert crm.records()[0]["color"] == "green"
    allowed = {"*": "if_unedited", "color": "always"}
    crm.run(crm.row("1", "ann@example.com", "Ann", "Smith", "red"), **flat, overwrite=allowed)
    assert crm.records()[0]["color"] == "red"


def test_a_field_that_search_does_not_show_is_kept_unless_it_is_always_sent(
    sandbox: Sandbox, tmp_path: Path
) -> None:
    crm = made(Merlin, sandbox, tmp_path)

    def lead(value: str) -> list[JSON]:
        row = {"key": "1", "Email": "ann@example.com", "Fname": "Ann", "Opportunitie": value}
        return messages(row)

    delivered(crm.plugin, lead("1"), **KEEP)
    result = delivered(crm.plugin, lead("2"), **KEEP)
    assert result.report["streams"]["contacts"]["kept"] == {"Opportunitie": 1}
    setting = {"*": "if_unedited", "Opportunitie": "always"}
    delivered(crm.plugin, lead("3"), overwrite=setting)
    assert crm.records()[0]["Opportunitie"] == "3"


def test_a_form_that_the_vendor_shows_after_a_write_is_no_edit(rei: Rei) -> None:
    def at(website: str) -> list[JSON]:
        return messages({"key": "1", "email": "ann@example.com", "website": website})

    def stores(website: str) -> None:
        """The vendor stores the website in a form of its own, and its answer shows that."""
        one = {"id": rei.ids()[0], "email": "ann@example.com", "website": website}
        answer = {"contact": one, "succeded": True}
        rei.fault(rei.update, when="after", status=200, answer=answer)

    delivered(rei.plugin, at("a.example.com"))
    stores("https://b.example.com/")
    delivered(rei.plugin, at("b.example.com"))
    rei.edit(0, website="https://b.example.com/")
    delivered(rei.plugin, at("c.example.com"))
    assert rei.records()[0]["website"] == "c.example.com"


def test_nor_is_it_if_the_tags_were_refused_after_the_write(rei: Rei) -> None:
    def at(website: str, tags: str) -> list[JSON]:
        return messages({"key": "1", "email": "a@example.com", "website": website, "tags": tags})

    delivered(rei.plugin, at("a.example.com", "x"))
    stored = "https://b.example.com/"
    one = {"id": rei.ids()[0], "email": "a@example.com", "website": stored}
    answer = {"contact": one, "succeded": True}
    rei.fault(rei.update, when="after", status=200, answer=answer)
    rei.fault({"method": "POST", "path": "tags"}, status=422)
    assert len(rei.plugin.run(at("b.example.com", "x,y")).rejects) == 1
    rei.sandbox.clear_faults()
    rei.edit(0, website=stored)
    delivered(rei.plugin, at("c.example.com", "x"))
    assert rei.records()[0]["website"] == "c.example.com"
