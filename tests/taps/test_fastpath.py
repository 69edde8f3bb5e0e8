"""A page of records is written as the SDK writes it; a change of the SDK is noticed."""

from __future__ import annotations

import copy
import hashlib
import inspect
import io
import json
import logging
import threading
import time
from contextlib import redirect_stdout
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from singer_sdk.helpers._catalog import pop_deselected_record_properties
from singer_sdk.helpers._typing import conform_record_data_types
from singer_sdk.helpers.conform import TypeConformanceLevel
from singer_sdk.singerlib import MetadataMapping, RecordMessage, StateMessage

from singer_http.tap.page_stream import PRIVATE
from singer_http.tap.prefetch import Prefetcher
from singer_http.tap.selection import RecordSelector
from singer_http.tap.writer import PageWriter, encode

SDK = "91be2ff0cd18d275"
"""What the private parts of the SDK looked like when `page_stream.py` was written (0.54.9)."""


def test_the_sdk_has_not_changed_under_page_stream() -> None:
    source = "".join(inspect.getsource(part) for part in PRIVATE)
    now = hashlib.sha256(source.encode()).hexdigest()[:16]
    assert now == SDK, "read what changed in the SDK's parts that page_stream.py replaces"


names = st.sampled_from("abc")
values = st.recursive(
    st.none() | st.booleans() | st.integers(0, 9) | st.text(max_size=2),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(names, inner, max_size=3),
    max_leaves=6,
)
schemas = st.recursive(
    st.just({"type": ["string", "null"]}),
    lambda inner: (
        st.builds(
            lambda properties, more: {
                "type": ["object", "null"],
                "properties": properties,
                **({"additionalProperties": True} if more else {}),
            },
            st.dictionaries(names, inner, min_size=1, max_size=3),
            st.booleans(),
        )
        | st.builds(lambda items: {"type": ["array", "null"], "items": items}, inner)
    ),
    max_leaves=6,
)


@settings(deadline=None, max_examples=500, suppress_health_check=[HealthCheck.too_slow])
@given(
    properties=st.dictionaries(names, schemas, max_size=3),
    more=st.booleans(),
    record=st.dictionaries(names, values, max_size=3),
    deselected=st.sets(st.integers(0, 9), max_size=3),
)
def test_a_record_is_cut_as_the_sdk_cuts_it(
    properties: dict[str, Any], more: bool, record: dict[str, Any], deselected: set[int]
) -> None:
    schema = {"type": "object", "properties": properties, "additionalProperties": more}
    metadata = MetadataMapping.get_standard_metadata(schema=schema, key_properties=[])
    for number, item in enumerate(metadata.values()):
        item.selected = number not in deselected
    metadata.root.selected = True
    mask = metadata.resolve_selection()
    expected = copy.deepcopy(record)
    pop_deselected_record_properties(expected, schema, mask)
    expected = conform_record_data_types(
        "x", expected, schema, TypeConformanceLevel.RECURSIVE, logging.getLogger()
    )
    before = copy.deepcopy(record)
    assert RecordSelector(schema, mask).cut(record) == expected
    assert record == before


def test_records_are_written_late_and_everything_else_at_once() -> None:
    writer, out = PageWriter(), io.StringIO()
    with redirect_stdout(out):
        writer.write_message(RecordMessage(stream="x", record={"a": 1}))
        assert out.getvalue() == ""
        writer.write_message(StateMessage(value={"b": 2}))
        lines = out.getvalue().splitlines()
        writer.write(b"c\n" * 40_000)
        assert len(out.getvalue()) > 80_000
    assert [json.loads(line)["type"] for line in lines] == ["RECORD", "STATE"]


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (Decimal("1.50"), "1.50"),
        (Decimal("7.0"), "7.0"),
        (Decimal("1E+400"), "1E+400"),
        (Decimal("9007199254740993.0"), "9007199254740993.0"),
        (2**70, str(2**70)),
        ([{"deep": -(2**64)}], f'[{{"deep":{-(2**64)}}}]'),
        ("😀", '"😀"'),
        ("\ud83d!", '"\ufffd!"'),
        (float("nan"), "null"),
        (Decimal("Infinity"), "null"),
        ([Decimal("NaN"), Decimal("1.10"), 2**70], f"[null,1.10,{2**70}]"),
        (datetime(2026, 1, 31, tzinfo=UTC), '"2026-01-31T00:00:00+00:00"'),
        (b"x", "\"b'x'\""),
    ],
    ids=repr,
)
def test_every_value_is_written_as_json_and_numbers_exactly(value: Any, text: str) -> None:
    assert encode({"v": value, "w": 1}).decode() == f'{{"v":{text},"w":1}}'


def test_a_name_with_half_a_surrogate_pair_is_written() -> None:
    assert json.loads(encode({"\ud83d": 1})) == {"\ufffd": 1}


def test_calls_run_side_by_side_and_come_back_in_order() -> None:
    busy, most, lock = 0, 0, threading.Lock()
    together = threading.Barrier(3)

    def call(number: int) -> int:
        nonlocal busy, most
        with lock:
            busy += 1
            most = max(most, busy)
        if number < 3:
            together.wait(timeout=30)
        time.sleep(0.02 / (number + 1))
        with lock:
            busy -= 1
        return number

    assert list(Prefetcher(3).map(call, range(30))) == list(range(30))
    assert most == 3


def test_no_more_is_asked_for_than_is_taken() -> None:
    asked: list[int] = []

    def call(number: int) -> int:
        asked.append(number)
        return number

    results = Prefetcher(3).map(call, range(1000))
    assert [next(results), next(results)] == [0, 1]
    time.sleep(0.1)
    assert len(asked) <= 8
    del results


def test_the_first_error_ends_it() -> None:
    def call(number: int) -> float:
        return 1 / (5 - number)

    results = Prefetcher(3).map(call, range(1000))
    with pytest.raises(ZeroDivisionError):
        list(results)
