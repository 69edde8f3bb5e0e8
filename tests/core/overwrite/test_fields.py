"""Fields in the form in which vendors store them, and what the ledger keeps of them."""

from __future__ import annotations

import hashlib
from decimal import Decimal
from typing import Any

import pytest

from singer_http.sink import fields
from singer_http.sink.fields import FieldHashes, form


def hashed(text: str) -> bytes:
    return hashlib.blake2b(text.encode(), digest_size=8, key=b"salt").digest()


@pytest.mark.parametrize(
    "values",
    [
        (None, "", "  ", [], {}, [None], {"a": None}),
        (7, Decimal("7.0"), 7.0),
        (Decimal("7.50"), 7.5),
        (1e2, 100),
        (True, "true"),
        ("Jos\u00e9", "Jose\u0301", " Jos\u00e9 "),
        (["b", "a"], ["a", "b"], ["a", "", "b"]),
        ({"a": 1, "b": None}, {"a": "1"}),
        ("2024-05-01 20:18:57 +0000", "2024-05-01T20:18:57Z", "2024-05-01T22:18:57.000+02:00"),
        ("2024-05-01", "2024-05-01T00:00:00.000Z", "2024-05-01 00:00:00 +0000"),
    ],
    ids=str,
)
def test_values_that_are_one_to_a_vendor_have_one_form(values: tuple[Any, ...]) -> None:
    assert len({form(value, times=True) for value in values}) == 1


@pytest.mark.parametrize(
    ("sent", "shown"),
    [
        (7, "7"),
        (7, "7.00"),
        (Decimal("7.50"), "7.5"),
        ("7.50", 7.5),
        ("7", 7),
        ("7", "7"),
        (" 7 ", "7"),
        (1e2, "100"),
    ],
    ids=str,
)
def test_a_number_and_its_text_are_one_value(sent: Any, shown: Any) -> None:
    assert not fields.is_other(fields.forms(sent, shown=False), fields.forms(shown, shown=True))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("01234", "1234"),
        ("01234", 1234),
        ("1.1", "1.10"),
        ("7", "7.0"),
        ("Ann", "ann"),
        ("a b", "ab"),
        ("7", "7.1"),
        (7, 8),
        (7, None),
        (False, None),
        ("2024-05-01", "2024-05-02"),
        ("2024-05-01T10:00:00Z", "2024-05-01T10:00:01Z"),
        (["a"], ["a", "b"]),
        ("20240501", "2024-05-01"),
    ],
    ids=str,
)
def test_values_that_a_person_tells_apart_are_two(one: Any, other: Any) -> None:
    for sent, shown in ((one, other), (other, one)):
        assert fields.is_other(fields.forms(sent, shown=False), fields.forms(shown, shown=True))


def test_in_a_field_of_text_a_time_is_text() -> None:
    assert form("2024-05-01") != form("2024-05-01T00:00:00Z")


def test_fields_within_others_have_names_of_their_own_and_are_left_out_one_by_one() -> None:
    body = {"a": 1, "in": {"x": 1, "y": 2}, "pairs": [{"key": "k", "value": 3}], "list": ["x"]}
    assert dict(fields.flat(body)) == {
        "a": 1, "in.x": 1, "in.y": 2, "pairs.k": 3, "list": ["x"],
    }  # fmt: skip
    assert fields.without(body, {"a", "in.x", "pairs.k"}) == {"in": {"y": 2}, "list": ["x"]}
    assert fields.without(body, {"in.x", "in.y", "list"}) == {"a": 1, "pairs": body["pairs"]}
    assert fields.without({"in": {}, "a": None}, {"b"}) == {"in": {}, "a": None}


def test_what_was_written_last_is_told_from_anything_else() -> None:
    hashes = FieldHashes(hashed)
    packed = hashes.pack({"a": ("1",), "b": ("",)})
    assert hashes.wrote(packed, "a", ("1",))
    assert hashes.wrote(packed, "b", ("",))
    assert not hashes.wrote(packed, "a", ("2",))
    assert not hashes.wrote(packed, "b", ("1",))
    assert not hashes.wrote(packed, "c", ("1",))
    assert hashes.has(packed, "a")
    assert not hashes.has(packed, "c")
    assert not hashes.has(None, "a")
    assert not hashes.has(b"", "a")


def test_a_field_that_is_written_takes_its_own_place_and_no_other() -> None:
    hashes = FieldHashes(hashed)
    packed = hashes.pack({"b": ("2",), "c": ("3",)}, hashes.pack({"a": ("1",), "b": ("1",)}))
    assert hashes.wrote(packed, "a", ("1",))
    assert hashes.wrote(packed, "b", ("2",))
    assert hashes.wrote(packed, "c", ("3",))
    assert not hashes.wrote(packed, "b", ("1",))
    assert len(packed) == 1 + 3 * 8


def test_what_may_have_been_written_stands_beside_what_was() -> None:
    hashes = FieldHashes(hashed)
    before = hashes.pack({"a": ("1",), "b": ("1",)})
    packed = hashes.joined(before, hashes.pack({"a": ("2",), "b": ("1",)}))
    assert hashes.wrote(packed, "a", ("1",))
    assert hashes.wrote(packed, "a", ("2",))
    assert len(packed) == 1 + 3 * 8
    assert not hashes.wrote(hashes.pack({"a": ("3",)}, packed), "a", ("1",))


def test_hashes_of_another_form_are_not_read() -> None:
    hashes = FieldHashes(hashed)
    other = b"\x00" + hashes.pack({"a": ("1",)})[1:]
    assert not hashes.has(other, "a")
    assert not hashes.wrote(other, "a", ("1",))
    assert hashes.pack({"b": ("1",)}, other) == hashes.pack({"b": ("1",)})
