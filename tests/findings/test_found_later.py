"""What a second hostile test found: other examples of the kinds that are settled already."""

from __future__ import annotations

import os
import signal
import time
from typing import Any

import pytest

from singer_sandbox import Sandbox
from tests.findings.inputs import (
    PEOPLE,
    SMS,
    kill_in_flight,
    kinds,
    people,
    rows,
    sms,
    texts,
    wait_until,
)
from tests.findings.test_scopes import TWO_TEXTS, VISIT, VISITS
from tests.front_door import JSON, Plugin, record, schema

STRANGE_SMS = (
    '{"type":"RECORD","stream":"sms","record":'
    '{"id":"1","number":"+16193596440","text":"Hello","x":NaN}}\n'
)


# --- an uncertain record and a record of its key that is invalid ---------------------------------


@pytest.mark.parametrize(
    "bad", [STRANGE_SMS, sms("1", number="letters"), sms("1", text=""), sms("1", text=" ")]
)
def test_an_invalid_record_does_not_take_the_place_of_an_uncertain_message(
    merlin: Plugin, sandbox: Sandbox, bad: Any
) -> None:
    """Kinds H4, H18: it was forgotten that the first one may have arrived, and it went again."""
    sandbox.fault(vendor="merlin", body="SMS", when="after", drop=True)
    assert kinds(merlin.run([SMS, sms("1")])) == ["uncertain"]
    assert sorted(kinds(merlin.run([SMS, bad], max_rejects=""))) == ["invalid", "uncertain"]
    for _ in range(2):
        result = merlin.run([SMS, sms("1")], max_rejects="")
        assert result.exit_code == 0, result.error
    assert texts(sandbox) == ["Hello"]
    assert "uncertain" in kinds(result)


def test_an_invalid_record_leaves_once_the_uncertain_one_is_settled_and_it_is_corrected(
    merlin: Plugin, sandbox: Sandbox
) -> None:
    sandbox.fault(vendor="merlin", body="SMS", when="after", drop=True)
    merlin.run([SMS, sms("1")])
    merlin.run([SMS, sms("1", number="letters")], max_rejects="")
    maps = {"sms": {"number": "'+16193596440'"}}
    result = merlin.run([SMS], uncertain="drop", stream_maps=maps)
    assert (result.exit_code, result.rejects) == (0, []), result.error
    assert texts(sandbox) == ["Hello"]


@pytest.mark.parametrize("bad", [{"dnd": "maybe"}, {"phone": "letters"}, {"tags": 5}])
def test_an_invalid_record_does_not_take_the_place_of_an_uncertain_contact(
    rei: Plugin, sandbox: Sandbox, bad: JSON
) -> None:
    """The vendor's answer came too late, and then its lookup did not show the contact."""
    sandbox.fault(vendor="rei", method="POST", path="contacts/$", late=4)
    row = {"key": "1", "email": "ann@example.com", "firstName": "A"}
    first = rei.run(rows("contacts", row), timeout=1)
    assert kinds(first) == ["uncertain"]
    result = rei.run(rows("contacts", row | bad), max_rejects="", phone_region="US")
    assert "uncertain" in kinds(result)


# --- stream_maps that changed while something was in flight --------------------------------------

RENAMED: JSON = {
    "visits": "__NULL__",
    "first-sms": TWO_TEXTS["sms"],
    "second-sms": TWO_TEXTS["again-sms"],
}


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("passed", [0, 1])
def test_a_message_in_flight_is_not_sent_again_though_its_mapping_has_another_name(
    merlin: Plugin, sandbox: Sandbox, when: str, passed: int
) -> None:
    """Kind H6: its pending entry named a mapping that was not there, and was not looked at."""
    fault = {"vendor": "merlin", "body": "SMS", "after": passed}
    kill_in_flight(merlin, [VISITS, VISIT], when, fault=fault, stream_maps=TWO_TEXTS)
    for maps in (RENAMED, RENAMED, TWO_TEXTS):
        result = merlin.run([VISITS, VISIT], stream_maps=maps, max_rejects="")
        assert result.exit_code == 0, result.error
    assert sorted(texts(sandbox)) == ["Bye", "Thank you, Ann"]
    assert kinds(result) == ["uncertain"]


TWO_PEOPLE: JSON = {
    "visits": "__NULL__",
    "people": {"__source__": "visits", "first_name": "name"},
    "again-people": {"__source__": "visits", "id": "id + '-b'", "first_name": "name"},
}
OTHER_NAMES: JSON = {
    "visits": "__NULL__",
    "one-people": TWO_PEOPLE["people"],
    "two-people": TWO_PEOPLE["again-people"],
}
NAMES = schema("visits", ("id", "email", "name"))


def visit(name: str) -> JSON:
    return record("visits", id="1", email="ann@example.com", name=name)


def test_an_old_value_in_flight_is_not_sent_over_a_newer_one_once_its_mapping_is_back(
    autoreach: Plugin, sandbox: Sandbox
) -> None:
    """Kind H1: a pending entry of a mapping that is not there was kept for later."""
    fault = {"vendor": "autoreach", "method": "PATCH"}
    messages = [NAMES, visit("Old")]
    kill_in_flight(autoreach, messages, "before", fault=fault, stream_maps=TWO_PEOPLE)
    assert autoreach.run([NAMES, visit("New")], stream_maps=OTHER_NAMES).exit_code == 0
    assert autoreach.run([NAMES], stream_maps=TWO_PEOPLE).exit_code == 0
    assert {row["first_name"] for row in people(sandbox).values()} == {"New"}


def test_nothing_is_unchanged_against_a_value_in_flight_of_a_mapping_that_is_gone(
    autoreach: Plugin, sandbox: Sandbox
) -> None:
    """Kind H2"""
    assert autoreach.run([NAMES, visit("A")], stream_maps=OTHER_NAMES).exit_code == 0
    fault = {"vendor": "autoreach", "method": "PATCH"}
    kill_in_flight(autoreach, [NAMES, visit("B")], "after", fault=fault, stream_maps=TWO_PEOPLE)
    result = autoreach.run([NAMES, visit("A")], stream_maps=OTHER_NAMES)
    assert (result.exit_code, result.rejects) == (0, []), result.error
    assert {row["first_name"] for row in people(sandbox).values()} == {"A"}


def test_what_was_in_flight_is_held_until_its_mapping_is_back(
    autoreach: Plugin, sandbox: Sandbox
) -> None:
    fault = {"vendor": "autoreach", "method": "PATCH"}
    messages = [NAMES, visit("Old")]
    kill_in_flight(autoreach, messages, "before", fault=fault, stream_maps=TWO_PEOPLE)
    assert set(kinds(autoreach.run([NAMES], stream_maps=OTHER_NAMES))) == {"held"}
    result = autoreach.run([NAMES], stream_maps=TWO_PEOPLE)
    assert (result.exit_code, result.rejects) == (0, []), result.error
    assert {row["first_name"] for row in people(sandbox).values()} == {"Old"}


# --- signals -------------------------------------------------------------------------------------


def test_a_signal_ends_the_wait_for_a_batch_file(autoreach: Plugin) -> None:
    """Kind P19: a file that does not open, as on a disk that hangs."""
    pipe = autoreach.directory / "rows.jsonl"
    os.mkfifo(pipe)
    encoding = {"format": "jsonl"}
    batch = {"type": "BATCH", "stream": "people", "encoding": encoding, "manifest": [str(pipe)]}
    process = autoreach.start([PEOPLE, batch])
    wait_until(lambda: any(autoreach.work_dir.glob("*.db")))
    time.sleep(1)  # until it waits for the file
    try:
        process.send_signal(signal.SIGTERM)
        process.wait(timeout=20)
    finally:
        process.kill()
    result = autoreach.finish(process)
    assert result.exit_code == 143, result.stderr
    assert result.report["outcome"] == "stopped"
