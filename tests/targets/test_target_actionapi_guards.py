"""What keeps target-actionapi from texting too many, at night, or by mistake."""

from __future__ import annotations

import datetime
from pathlib import Path

import pytest

from singer_sandbox import Sandbox
from tests.front_door import Plugin, record
from tests.targets.test_target_actionapi_messages import (
    CALLS,
    CONTACTS,
    ENTRIES,
    NUMBER,
    SMS,
    entry,
    hours,
    kinds,
    reason,
    sms,
    texts,
)  # fmt: skip


@pytest.fixture
def merlin(sandbox: Sandbox, tmp_path: Path) -> Plugin:
    sandbox.put_state("merlin", {"automations": [{"idAuto": 7}]})
    return Plugin("target-actionapi", sandbox, tmp_path, first_run=True)


# --- guards -----------------------------------------------------------------------------------


def test_an_empty_ledger_sends_nothing_unless_it_is_the_first_run(
    merlin: Plugin, sandbox: Sandbox
) -> None:
    result = merlin.run([SMS, sms(1)], first_run=False)
    assert result.exit_code == 1
    assert "first_run" in result.error
    assert texts(sandbox) == []


def test_the_run_stops_before_the_first_message_over_max_messages(
    merlin: Plugin, sandbox: Sandbox
) -> None:
    calls = [record("calls", id=str(i), number=NUMBER, text=f"c{i}") for i in range(4)]
    rows = [SMS, CALLS, *(sms(i, text=f"t{i}") for i in range(20)), *calls]
    result = merlin.run(rows, max_messages=10)
    assert result.exit_code == 1
    assert "max_messages" in result.error
    assert len(texts(sandbox)) + len(texts(sandbox, "calls")) == 10
    assert result.report["outcome"] == "stopped"
    result = merlin.run(rows, max_messages=14)
    assert result.exit_code == 0, result.stderr
    assert len(set(texts(sandbox))) == len(texts(sandbox)) == 20
    assert len(texts(sandbox, "calls")) == 4


def test_within_quiet_hours_messages_are_held_for_a_later_run(
    merlin: Plugin, sandbox: Sandbox
) -> None:
    rows = [SMS, *(sms(i, text=f"t{i}") for i in range(30)), {"type": "STATE", "value": {"at": 1}}]
    result = merlin.run(rows, quiet_hours=hours(-60, 60), max_rejects="0")
    assert result.exit_code == 0, result.stderr
    assert result.states == [{"at": 1}]
    assert set(kinds(result.rejects)) == {"held"}
    assert len(result.rejects) == 30
    assert "quiet_hours" in reason(result)
    assert texts(sandbox) == []
    result = merlin.run([SMS], quiet_hours=hours(60, 120), retry_rejects=False)
    assert len(texts(sandbox)) == 30
    assert result.rejects == []
    assert result.report["streams"]["sms"]["retried"]["created"] == 30
    merlin.run(rows)
    assert len(texts(sandbox)) == 30


def test_quiet_hours_hold_no_contacts_and_no_automations(merlin: Plugin, sandbox: Sandbox) -> None:
    sandbox.put_state("merlin", {"contacts": [{"idContact": 5}]})
    result = merlin.run([ENTRIES, entry("1", idContact="5", idAuto="7")], quiet_hours=hours(-9, 9))
    assert result.counts("automations") == {"received": 1, "created": 1}


def test_quiet_hours_that_make_no_sense_are_refused_at_once(merlin: Plugin) -> None:
    from target_actionapi.guards import QuietHours

    result = merlin.run([SMS, sms(1)], quiet_hours="21:00-08:00")
    assert result.exit_code == 1
    assert "quiet_hours" in result.error
    assert "America/Chicago" in result.error
    for text in ("25:00-08:00 UTC", "21:61-08:00 UTC", "at night", "21:00-08:00 Mars/Base"):
        with pytest.raises(ValueError, match="America/Chicago"):
            QuietHours.parse(text)


@pytest.mark.parametrize(
    ("text", "utc", "held"),
    [
        ("21:00-08:00 America/Chicago", "2026-01-15T02:59", False),
        ("21:00-08:00 America/Chicago", "2026-01-15T03:00", True),
        ("21:00-08:00 America/Chicago", "2026-01-15T13:59", True),
        ("21:00-08:00 America/Chicago", "2026-01-15T14:00", False),
        ("21:00-08:00 America/Chicago", "2026-07-15T02:00", True),  # summer time
        ("21:00-08:00 America/Chicago", "2026-07-15T13:00", False),
        ("12:00-13:00 UTC", "2026-01-15T12:59", True),
        ("12:00-13:00 UTC", "2026-01-15T13:00", False),
        ("00:00-24:00 UTC", "2026-01-15T23:59", True),
        ("18:00-24:00 UTC", "2026-01-15T17:59", False),
    ],
)
def test_quiet_hours_go_by_the_clock_of_their_zone(text: str, utc: str, held: bool) -> None:
    from target_actionapi.guards import QuietHours

    moment = datetime.datetime.fromisoformat(utc).replace(tzinfo=datetime.UTC)
    assert QuietHours.parse(text).hold(moment) is held


# --- dry run ----------------------------------------------------------------------------------


def test_a_dry_run_prints_what_would_go_out_with_numbers_and_texts_shortened(
    merlin: Plugin, sandbox: Sandbox
) -> None:
    rows = [
        CONTACTS, ENTRIES, SMS,
        record("contacts", key="a", Email="ann@example.com", Fname="Annabella"),
        entry("1", Email="ann@example.com", idAuto="7"),
        sms(1, text="Your package has arrived"), sms(2, number="12"),
    ]  # fmt: skip
    result = merlin.run(rows, dry_run=True, first_run=False)
    assert result.exit_code == 0, result.stderr
    streams = result.report["streams"]
    assert [streams[s]["created"] for s in ("contacts", "automations", "sms")] == [1, 1, 1]
    assert streams["sms"]["rejected"] == 1
    assert "sms: would be created" in result.stderr
    assert NUMBER[:4] in result.stderr
    for personal in (NUMBER, "Your package has arrived", "ann@example.com", "Annabella"):
        assert personal not in result.stderr
    state = sandbox.state("merlin")
    assert [*state["contacts"], *state["sms"], *state["automation_entries"]] == []
    assert not merlin.path("rejects.jsonl").exists()
    assert merlin.run(rows).counts("automations") == {"received": 1, "created": 1}
