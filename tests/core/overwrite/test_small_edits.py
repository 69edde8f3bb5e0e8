"""The case of a letter, or a zero, can be an edit; what a vendor makes of a value is none."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from singer_sandbox import Sandbox
from target_reisoftware import values
from tests.core.overwrite.crm import KEEP, AutoReach, Crm, Merlin, Rei
from tests.core.overwrite.crm import crm as made
from tests.front_door import JSON, Result, record, schema

PLACES = {"email": 0, "text": 1, "custom field": 3}


def row(crm: Crm, place: str, value: Any) -> JSON:
    given: list[Any] = ["ann@example.com", "Ann", "Smith", "red"]
    given[PLACES[place]] = value
    return crm.row("1", *given)


def edited(crm: Crm, place: str, before: Any, after: Any, new: Any) -> Result:
    """A value is delivered, a person edits it, the source changes."""
    crm.run(row(crm, place, before), **KEEP)
    crm.edit(0, **{crm.columns[PLACES[place]]: after})
    return crm.run(row(crm, place, new), **KEEP)


@pytest.mark.parametrize("place", ["text", "custom field"])
@pytest.mark.parametrize(
    ("before", "after"),
    [("mcdonald", "McDonald"), ("McDonald", "mcdonald"), ("1.1", "1.10"), ("7.0", "7")],
)
def test_a_correction_of_case_or_zeros_is_kept(
    crm: Crm, place: str, before: str, after: str
) -> None:
    result = edited(crm, place, before, after, "9")
    assert crm.values()[0][PLACES[place]] == after
    assert sum(result.report["streams"][crm.stream]["kept"].values()) == 1
    assert crm.plugin.run([], "--verify").exit_code == 1


def test_a_time_in_a_field_of_text_is_text(crm: Crm) -> None:
    edited(crm, "text", "2026-05-01", "2026-05-01T00:00:00Z", "2026-06-01")
    assert crm.values()[0][1] == "2026-05-01T00:00:00Z"


@pytest.mark.parametrize("kind", [AutoReach, Merlin])
@pytest.mark.parametrize(
    ("before", "after"),
    [
        (7.5, "7.50"),
        (7, "7.00"),
        ("7.50", 7.5),
        ("7", 7),
        (7.5, 7.5),
        (True, "true"),
        ("2026-05-01", "2026-05-01T00:00:00Z"),
        ("2026-05-01T10:00:00Z", "2026-05-01 10:00:00 +0000"),
        (["b", "a"], ["a", "b"]),
    ],
)
def test_a_number_or_a_time_that_is_shown_in_another_form_is_no_edit(
    sandbox: Sandbox, tmp_path: Path, kind: type[Crm], before: Any, after: Any
) -> None:
    crm = made(kind, sandbox, tmp_path)
    crm.plugin.config["validate_records"] = False
    crm.run(row(crm, "custom field", before), **KEEP)
    crm.edit(0, **{crm.columns[3]: after})
    assert crm.plugin.run([], "--verify").exit_code == 0
    again = crm.run(row(crm, "custom field", before), **KEEP, full_resync=True)
    assert crm.counts(again) == {"received": 1, "skipped": 1}
    crm.run(row(crm, "custom field", "new"), **KEEP)
    assert crm.values()[0][3] == "new"


def test_a_phone_that_was_sent_before_phone_region_was_set_is_no_edit(
    sandbox: Sandbox, tmp_path: Path
) -> None:
    crm = made(AutoReach, sandbox, tmp_path)

    def phone(number: str) -> list[JSON]:
        line = crm.row("1", "ann@example.com", "Ann")
        return [crm.schema_with("phone"), line | {"record": {**line["record"], "phone": number}}]

    settings: JSON = {**KEEP, "phone_region": "GB"}
    crm.plugin.run(phone("020 7946 0001"), **KEEP)
    assert crm.plugin.run([], "--verify", **settings).exit_code == 0
    again = crm.plugin.run(phone("020 7946 0001"), **settings)
    assert crm.counts(again) == {"received": 1, "skipped": 1}, "another form of the number"
    crm.plugin.run(phone("020 7946 0002"), **settings)
    assert crm.records()[0]["phone"] == "+442079460002"
    crm.edit(0, phone="020 7946 0003")
    assert crm.plugin.run([], "--verify", **settings).exit_code == 1
    crm.plugin.run(phone("020 7946 0004"), **settings)
    assert crm.records()[0]["phone"] == "020 7946 0003"


def test_the_case_of_an_email_is_no_edit(crm: Crm) -> None:
    crm.run(crm.row("1", "ann@example.com", "Ann"), **KEEP)
    crm.edit(0, **{crm.columns[0]: "Ann@Example.com"})
    result = crm.run(crm.row("1", "ann2@example.com", "Ann"), **KEEP)
    assert crm.counts(result) == {"received": 1, "updated": 1}


# --- the full name in REI Software --------------------------------------------------------------


def named(name: str, **more: Any) -> list[JSON]:
    given = {"key": "1", "email": "ann@example.com", "name": name, **more}
    columns: JSON = {name: {} for name in given}
    return [schema("contacts", columns, ("key",)), record("contacts", **given)]


def deliver(rei: Rei, lines: list[JSON], **config: Any) -> Result:
    result = rei.plugin.run(lines, **KEEP, **config)
    assert result.exit_code == 0, result.stderr
    assert not result.rejects
    return result


@pytest.mark.parametrize("matching", ["lookup", "list"])
def test_the_case_of_a_full_name_is_corrected_and_kept(rei: Rei, matching: str) -> None:
    deliver(rei, named("Ann mcdonald"), matching=matching)
    rei.edit(0, name="Ann McDonald")
    result = deliver(rei, named("Ann Smith"), matching=matching)
    assert rei.records()[0]["name"] == "Ann McDonald"
    assert result.report["streams"]["contacts"]["kept"] == {"name": 1}


@pytest.mark.parametrize("matching", ["lookup", "list"])
def test_the_source_corrects_the_case_of_a_full_name(rei: Rei, matching: str) -> None:
    deliver(rei, named("ann mcdonald"), matching=matching)
    deliver(rei, named("Ann McDonald"), matching=matching)
    assert rei.records()[0]["name"] == "Ann McDonald"


@pytest.mark.parametrize("matching", ["lookup", "list"])
def test_a_full_name_that_nobody_edited_is_no_edit(rei: Rei, matching: str) -> None:
    deliver(rei, named("Ann McDonald"), matching=matching)
    again = deliver(rei, named("Ann McDonald"), matching=matching, full_resync=True)
    assert rei.counts(again) == {"received": 1, "skipped": 1}
    assert rei.plugin.run([], "--verify").exit_code == 0
    deliver(rei, named("Ann Smith"), matching=matching)
    assert rei.records()[0]["name"] == "Ann Smith"


@pytest.mark.parametrize(
    ("shown", "is_own"),
    [
        ({"name": "Ann McDonald"}, True),
        ({"contactName": "ann mcdonald"}, True),
        ({"contactName": "ann mcdonald", "firstName": "Ann", "lastName": "McDonald"}, True),
        ({"firstName": "Ann", "lastName": "McDonald"}, True),
        ({"name": "Ann Mcdonald"}, False),
        ({"contactName": "ann mcdonald", "firstName": "Ann", "lastName": "Mcdonald"}, False),
        ({"contactName": "ann mcdonald", "firstName": "ann", "lastName": "mcdonald"}, False),
        ({"contactName": "ann smith"}, False),
        ({}, False),
    ],
)
def test_lower_case_is_the_vendors_unless_the_parts_of_the_name_tell(
    shown: JSON, is_own: bool
) -> None:
    own = set(values.own_name(("Ann McDonald",)))
    assert own.isdisjoint(values.shown_name(shown)) is not is_own


@pytest.mark.parametrize("shown", ["false", "FALSE", "0", False, None])
def test_an_opt_out_that_is_shown_as_text_is_read(shown: Any) -> None:
    assert values.stored_flag(shown) == "false"
    assert values.stored_flag("true") == values.stored_flag(True) == "true"
