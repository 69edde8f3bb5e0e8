"""What a stopped run tells a scheduler: whether a retry is of use, and from when on."""

from __future__ import annotations

import json
import signal
import time
from collections.abc import Iterator
from datetime import datetime
from typing import Any

import pytest

from singer_http import errors
from singer_http.errors import Interrupted, SingerHTTPError
from singer_http.report.counts import Report
from singer_sandbox import Sandbox
from tests.front_door import JSON, Plugin, record, schema, state

SCHEMA = schema("people", ("id", "email"))
PERSON = record("people", id="own_1", email="p1@example.com")
MESSAGES = [SCHEMA, PERSON, state(1)]


def told(report: JSON) -> tuple[str, bool, str | None]:
    return report["outcome"], report["needs_person"], report["retry_at"]


def stored(people: Plugin, run: str) -> JSON:
    """The report of a run, as the database has it."""
    assert people.run([], "--report", run).exit_code == 0
    found: JSON = json.loads((people.work_dir / f"{people.name}.{run}.report.json").read_text())
    return found


@pytest.mark.parametrize(
    "config",
    [
        {"client_secret": "wrong"},
        {"timeout": "soon"},
        {"mode": "mirror"},
        {"max_rejects": "0"},
        {"api_url": "http://127.0.0.1:1/api", "auth_url": "http://example.com/"},
    ],
    ids=lambda config: next(iter(config)),
)
def test_credentials_thresholds_and_settings_need_a_person(
    people: Plugin, config: dict[str, Any]
) -> None:
    bad = record("people", id="own_2", email="no mail")
    result = people.run([SCHEMA, PERSON, bad, state(1)], **config)
    assert result.exit_code == 1
    assert told(result.report) == ("stopped", True, None), result.error
    assert "needs a person" in people.path("report.html").read_text()
    if "api_url" not in config:  # another server is another account
        assert stored(people, result.report["run"]) == result.report


def test_a_run_that_ends_well_needs_nobody(people: Plugin) -> None:
    result = people.run(MESSAGES)
    assert told(result.report) == ("ok", False, None)
    assert "needs a person" not in people.path("report.html").read_text()


def test_a_vendor_that_is_down_may_be_tried_again_at_any_time(
    people: Plugin, sandbox: Sandbox
) -> None:
    sandbox.fault(vendor="autoreach", method="PATCH", status=503)
    result = people.run(MESSAGES, max_retries=0)
    assert told(result.report) == ("stopped", False, None)


def test_a_vendor_that_asks_for_a_long_pause_names_the_time_of_the_next_try(
    people: Plugin, sandbox: Sandbox
) -> None:
    sandbox.fault(vendor="autoreach", method="PATCH", status=429, headers={"Retry-After": "3600"})
    result = people.run(MESSAGES, max_wait=1)
    outcome, needs_person, retry_at = told(result.report)
    assert (outcome, needs_person) == ("stopped", False)
    assert retry_at is not None
    assert 3500 < datetime.fromisoformat(retry_at).timestamp() - time.time() < 3601
    assert retry_at in people.path("report.html").read_text()
    assert stored(people, result.report["run"]) == result.report


def test_another_run_of_the_same_sync_is_only_waited_for(people: Plugin, sandbox: Sandbox) -> None:
    sandbox.fault(vendor="autoreach", method="PATCH", hold="x")
    process = people.start(MESSAGES)
    sandbox.wait_held("x")
    assert told(people.run(MESSAGES).report) == ("stopped", False, None)
    sandbox.release("x")
    assert told(people.finish(process).report) == ("ok", False, None)


def test_a_signal_needs_nobody(people: Plugin, sandbox: Sandbox) -> None:
    sandbox.fault(vendor="autoreach", method="PATCH", hold="x")
    process = people.start(MESSAGES)
    sandbox.wait_held("x")
    process.send_signal(signal.SIGTERM)
    sandbox.release("x")
    assert told(people.finish(process).report) == ("stopped", False, None)


def test_a_tap_that_was_killed_in_the_middle_of_a_line_needs_nobody(people: Plugin) -> None:
    result = people.run([SCHEMA, '{"type": "RECORD", "stream": "peo'])
    assert told(result.report) == ("stopped", False, None)


def test_a_message_that_no_tap_writes_needs_a_person(people: Plugin) -> None:
    assert told(people.run([PERSON]).report) == ("stopped", True, None)


def test_a_database_that_is_away_needs_nobody_and_one_that_does_not_exist_does(
    people: Plugin, postgresql: str
) -> None:
    away = people.run(MESSAGES, database_url="postgresql://127.0.0.1:1/db")
    assert told(away.report) == ("stopped", False, None), away.error
    unknown = people.run(MESSAGES, database_url=postgresql.replace("/postgres?", "/nowhere?"))
    assert told(unknown.report) == ("stopped", True, None), unknown.error
    for option in ("sslmode=always", "keepalives=often", "nonsense=1"):
        wrong = people.run(MESSAGES, database_url=f"postgresql://127.0.0.1:1/db?{option}")
        assert told(wrong.report) == ("stopped", True, None), wrong.error
    nowhere = people.run(MESSAGES, database_url="sqlite:////proc/nowhere.db")
    assert told(nowhere.report) == ("stopped", True, None), nowhere.error


def all_errors(kind: type[SingerHTTPError]) -> Iterator[type[SingerHTTPError]]:
    for child in kind.__subclasses__():
        yield child
        yield from all_errors(child)


def test_each_class_of_what_stops_a_run_says_whether_a_person_is_needed() -> None:
    stops: list[type[SingerHTTPError]] = [errors.StopRun, *all_errors(errors.StopRun)]
    assert len(stops) > 10
    assert [kind.__name__ for kind in stops if "needs_person" not in vars(kind)] == []


@pytest.mark.parametrize("error", [ValueError("a bug"), Interrupted(15)])
def test_nothing_else_says_that_a_retry_is_useless(error: BaseException) -> None:
    report = Report("t", "0", account="a", sync="s", mode="upsert", dry_run=False)
    report.finish(error)
    assert told(report.as_dict())[1:] == (False, None)
