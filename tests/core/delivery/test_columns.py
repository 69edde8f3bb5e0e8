"""Columns of a table become the vendor's fields: names, formats, numbers, empty values."""

from __future__ import annotations

import datetime
from decimal import Decimal
from typing import Any

import pytest

from singer_http.errors import ConfigError
from singer_http.operations import Rejection
from singer_http.sink import columns as f
from singer_http.sink.formats import format_of, parse_date_time, properties_of


def fields(*names: str) -> f.CustomFields:
    return f.CustomFields(f.CustomField(f"f{n}", (f"f{n}", name)) for n, name in enumerate(names))


def resolved(columns: list[str], custom: f.CustomFields) -> f.Columns:
    return f.resolve(
        {name: {} for name in columns}, fields=(), left_out=(), keys=(),
        custom_fields=lambda: custom, convert=lambda *_: None,
    )  # fmt: skip


# --- names ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("column", "name"),
    [
        ("pet_name", "Pet Name"), ("PET-NAME", "pet name"), ("petname", "Pet 🐶 Name!"),
        ("stra\u00dfe", "STRASSE"), ("Stra\u1e9ee", "stra\u00dfe"), ("cafe\u0301", "Caf\u00e9"),
        ("m2", "M2"), ("%", "%"), ("🏠", "🏠"), ("", ""),
    ],
)  # fmt: skip
def test_a_column_finds_its_field_without_case_punctuation_and_spaces(
    column: str, name: str
) -> None:
    found = fields("other", name).find(column)
    assert found is not None
    assert found.id == "f1"


@pytest.mark.parametrize(
    ("column", "name"),
    [
        ("$", "%"), ("", "%"), ("  ", "%"), ("#", "%"), ("🏡", "🏠"), ("_", ""),
        ("cafe", "Caf\u00e9"),
        ("\u0915\u093f", "\u0915\u093e"), ("\uff41\uff47\uff45", "age"), ("m2", "m\u00b2"),
        ("\u0301", "\u0300"), ("ilce", "\u0130lce"),
    ],
)  # fmt: skip
def test_a_column_is_not_sent_into_a_field_of_another_name(column: str, name: str) -> None:
    assert fields(name).find(column) is None
    assert resolved([column], fields(name)).unknown == (column,)


def test_two_fields_of_one_name_stop_the_run_only_if_a_column_uses_it() -> None:
    custom = fields("Pet Name", "pet-name", "City", "City")
    assert resolved(["f2", "Pet Name"], custom).unknown == ()
    for column in ("petname", "City", "city"):
        with pytest.raises(ConfigError, match=column):
            resolved([column], custom)


def test_two_columns_of_one_field_stop_the_run() -> None:
    with pytest.raises(ConfigError, match="pet_name"):
        resolved(["pet_name", "PetName"], fields("Pet Name"))


def test_two_members_of_one_field_reject_the_record() -> None:
    with pytest.raises(Rejection, match="pet_name") as caught:
        list(f.custom_members({"pet_name": 1, "PetName": 2}, fields("Pet Name")))
    assert "Pet Name" in caught.value.reason
    with pytest.raises(Rejection):
        list(f.custom_members({"petname": 1}, fields("Pet Name", "pet-name")))


# --- formats ----------------------------------------------------------------------------------

DATE: dict[str, Any] = {"type": "string", "format": "date-time"}
SCHEMA: dict[str, Any] = {
    "definitions": {"when": DATE, "again": {"$ref": "#/definitions/when"}, "a/b~c": DATE},
    "$defs": {"loop": {"anyOf": [{"$ref": "#/$defs/loop"}, {"$ref": "#/$defs/loop"}]}},
    "properties": {
        "plain": DATE,
        "any": {"anyOf": [{"type": "null"}, DATE]},
        "one": {"oneOf": [{"type": "null"}, {"anyOf": [DATE]}]},
        "all": {"allOf": [{"$ref": "#/definitions/when"}, {"type": "string"}]},
        "ref": {"$ref": "#/definitions/when"},
        "twice": {"anyOf": [{"$ref": "#/definitions/again"}, True]},
        "escaped": {"$ref": "#/definitions/a~1b~0c"},
        "percent": {"$ref": "#/definitions/a~1b%7E0c"},
        "of_property": {"$ref": "#/properties/any/anyOf/1"},
        "loop": {"$ref": "#/$defs/loop"},
        "elsewhere": {"$ref": "https://example.com/schema.json#/x"},
        "nowhere": {"$ref": "#/definitions/nobody"},
        "anchor": {"$ref": "#when"},
        "yes": True,
        "no": False,
        "odd": {"anyOf": True, "format": 5},
    },
}
WITHOUT = ("loop", "elsewhere", "nowhere", "anchor", "yes", "no", "odd")


def test_a_format_is_found_under_alternatives_and_references() -> None:
    found = {name: format_of(own) for name, own in properties_of(SCHEMA).items()}
    expected = {name: None if name in WITHOUT else "date-time" for name in SCHEMA["properties"]}
    assert found == {**expected, "odd": None}


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2026-03-04T05:06:07", "2026-03-04T05:06:07"),
        ("2026-03-04t05:06:07z", "2026-03-04T05:06:07"),
        ("2026-03-04 05:06:07 +0200", "2026-03-04T03:06:07"),
        (" 2026-03-04T05:06:07.5Z ", "2026-03-04T05:06:07.500000"),
        ("2026-03-04T05:06:07.123456789-01:00", "2026-03-04T06:06:07.123456"),
        ("2026-03-04T24:00:00Z", "2026-03-05T00:00:00"),
        ("2026-12-31T24:00", "2027-01-01T00:00:00"),
        ("2016-12-31T23:59:60Z", "2017-01-01T00:00:00"),
        ("2017-01-01T00:59:60+01:00", "2017-01-01T00:00:00"),
        ("2026-03-04", "2026-03-04T00:00:00"),
        ("20260304", "2026-03-04T00:00:00"),
    ],
)
def test_dates_in_the_forms_of_iso_8601_are_read(text: str, moment: str) -> None:
    expected = datetime.datetime.fromisoformat(moment).replace(tzinfo=datetime.UTC)
    assert parse_date_time(text) == expected


@pytest.mark.parametrize(
    "value",
    ["", "soon", "04.03.2026", "2026-02-30", "2026-03-04T24:01:00", "2026-03-04T25:00",
     "9999-12-31T24:00", "2026-03-04T05:06:07ZZ", 5, True, None, Decimal(5),
     "0001-01-01T00:00:00+05:00"],
)  # fmt: skip
def test_what_is_no_date_is_none(value: Any) -> None:
    assert parse_date_time(value) is None


# --- values -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("x", "x"), (7, "7"), (Decimal("7.0"), "7"), (Decimal("1.10"), "1.10"),
        (Decimal("1E+5"), "100000"), (Decimal("-0.0"), "0"), (7.0, "7"), (2.5, "2.5"),
        (Decimal("1E-7"), "0.0000001"), (10**30, "1" + "0" * 30),
        (Decimal("123456789012345678.25"), "123456789012345678.25"),
        (True, None), (None, None), ([1], None), (float("nan"), None),
    ],
)  # fmt: skip
def test_a_number_as_text_keeps_its_digits(value: Any, text: str | None) -> None:
    assert f.as_text(value) == text


@pytest.mark.parametrize(
    ("value", "number"),
    [
        ("123456789012345678", 123456789012345678), (" -7.0 ", -7), ("1.10", Decimal("1.10")),
        ("1e3", 1000), (Decimal("9007199254740993.0"), 9007199254740993), (".5", Decimal("0.5")),
        (0.1, Decimal("0.1")), (5, 5), ("1_000", None), ("nan", None), ("inf", None), ("", None),
        ("1,5", None), (True, None), ("\u0665", None), (Decimal("NaN"), None),
    ],
)  # fmt: skip
def test_a_number_out_of_text_is_exact(value: Any, number: Any) -> None:
    assert f.number_of(value) == number
    assert type(f.number_of(value)) is type(number)


def test_empty_text_counts_as_null() -> None:
    columns = [f.Column("a", "A"), f.Column("b", "B", lambda value: value * 2)]
    record = {"a": "", "b": " \t\u00a0"}
    assert f.applier(columns, send_nulls=False)(record) == {}
    assert f.applier(columns, send_nulls=True)(record) == {"A": None, "B": None}
    assert f.applier(columns, send_nulls=True)({"a": 0, "b": False}) == {"A": 0, "B": 0}
    members = list(f.custom_members({"x": " ", "y": 1}, fields("x")))
    assert [(name, value) for name, _, value in members] == [("x", None), ("y", 1)]


@pytest.mark.parametrize(
    ("value", "id_"),
    [(None, None), ("", None), (" ", None), ("a", "a"), (7, "7"), (Decimal("7.0"), "7"), (0, "0")],
)
def test_an_id_has_one_text(value: Any, id_: str | None) -> None:
    assert f.identifier("id", value) == id_


@pytest.mark.parametrize("value", [True, ["a"], {"a": 1}])
def test_an_id_is_a_text_or_a_number(value: Any) -> None:
    with pytest.raises(Rejection, match="id"):
        f.identifier("id", value)


def test_a_phone_that_is_not_one_number_is_rejected_and_its_column_named() -> None:
    convert = f.phone("Number", "US")
    assert convert(5551234567) == "+15551234567"
    for value in ("call Ann 5551234567", "5551234567 5559876543", True):
        with pytest.raises(Rejection) as caught:
            convert(value)
        assert caught.value.reason.startswith("Number: ")
    with pytest.raises(Rejection) as caught:
        f.phone("Number", None)("5551234567")
    assert "phone_region" in caught.value.reason
