"""Limits as the vendor sees them, refusals that are about the request, credentials, addresses."""

from __future__ import annotations

import re
import signal
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from singer_sandbox import Sandbox
from tests.front_door import JSON, Plugin, record, schema, state
from tests.processes import wait_until

SCHEMA = schema("people", ("id", "email"))


def rows(number: int, prefix: str = "p") -> list[JSON]:
    return [
        record("people", id=f"{prefix}{i}", email=f"{prefix}{i}@example.com") for i in range(number)
    ]


def most_in_a_window(sandbox: Sandbox, seconds: float) -> int:
    """API requests that arrived in the busiest window; a token comes from elsewhere."""
    times: list[float] = sorted(
        r["at"] for r in sandbox.requests("autoreach") if "/api/" in r["path"]
    )
    return max(len([t for t in times if begin <= t < begin + seconds]) for begin in times)


def test_the_limit_holds_for_two_processes_together(people: Plugin, sandbox: Sandbox) -> None:
    config: JSON = {"rate_limit": "15/s", "batch_size_rows": 1, "concurrency": 4}
    first = people.start([SCHEMA, *rows(40)], sync="one", **config)
    second = people.start([SCHEMA, *rows(40, "q")], sync="two", **config)
    assert people.finish(first, "one").exit_code == 0
    assert people.finish(second, "two").exit_code == 0
    assert len(sandbox.state("autoreach")["people"]) == 80
    assert most_in_a_window(sandbox, 1.0) <= 15


def test_a_longer_window_outlives_the_run(people: Plugin, sandbox: Sandbox) -> None:
    config: JSON = {"rate_limit": "8/6s", "batch_size_rows": 1}
    people.run([SCHEMA, *rows(6)], **config)
    people.run([SCHEMA, *rows(6, "q")], **config)
    assert most_in_a_window(sandbox, 6.0) <= 8


def test_a_run_that_would_wait_for_its_own_limit_for_long_stops_and_loses_nothing(
    people: Plugin, sandbox: Sandbox
) -> None:
    messages = [SCHEMA, *rows(8), state(8)]
    config: JSON = {"batch_size_rows": 1, "concurrency": 3, "rate_limit": "5/h"}
    result = people.run(messages, **config)
    assert result.exit_code == 1
    assert re.fullmatch(
        r"rate_limit: 5/3600s is used up for 3\d\d\d s, longer than max_wait \(300 s\): run again "
        r"after 20[-0-9]+T[0-9:]+Z, or raise max_wait",
        result.error,
    )
    assert len(sandbox.state("autoreach")["people"]) == 5
    assert result.states == []
    again = datetime.fromisoformat(result.report["retry_at"])
    assert timedelta(minutes=55) < again - datetime.now(UTC) < timedelta(minutes=62)
    assert (result.report["outcome"], result.report["needs_person"]) == ("stopped", False)

    result = people.run(messages, **{**config, "rate_limit": "8/h"})
    assert (result.exit_code, result.states) == (0, [8])
    assert len(sandbox.state("autoreach")["people"]) == 8
    assert sum(r["method"] == "PATCH" for r in sandbox.requests("autoreach")) == 8


def test_a_run_that_delivered_nothing_waits_since_the_next_one_would_not_get_further(
    people: Plugin, sandbox: Sandbox
) -> None:
    sandbox.fault(vendor="autoreach", method="PATCH", status=422, times=None)
    people.run([SCHEMA, *rows(4)], batch_size_rows=1, rate_limit="")
    # Outstanding rejects are sent first, in each run: they would use up the limit again.
    process = people.start([SCHEMA, *rows(6, "q")], batch_size_rows=1, rate_limit="3/h")
    wait_until(lambda: sum(r["method"] == "PATCH" for r in sandbox.requests("autoreach")) == 7)
    time.sleep(3)  # it asks again after 1 and 2 seconds
    process.send_signal(signal.SIGTERM)
    result = people.finish(process)
    assert result.exit_code == 143
    assert "rate_limit: 3/3600s is used up, waiting until" in result.stderr


def test_a_message_that_waited_for_the_limit_is_sent_once_by_a_later_run(
    sandbox: Sandbox, tmp_path: Path
) -> None:
    merlin = Plugin("target-actionapi", sandbox, tmp_path, first_run=True)
    sms = schema("sms", ("id", "number", "text"))
    texts = [record("sms", id=str(n), number="+15550100000", text=f"no. {n}") for n in range(6)]
    result = merlin.run([sms, *texts], rate_limit="4/h")
    assert "longer than max_wait" in result.error
    assert len(sandbox.state("merlin")["sms"]) == 4
    result = merlin.run([sms, *texts], first_run=False)
    assert result.exit_code == 0, result.stderr
    assert sorted(one["text"] for one in sandbox.state("merlin")["sms"]) == [
        f"no. {n}" for n in range(6)
    ]


def test_a_short_wait_for_the_limit_paces_a_run_whatever_max_wait_is(
    people: Plugin, sandbox: Sandbox
) -> None:
    result = people.run([SCHEMA, *rows(6)], max_wait=0, rate_limit="4/2s", batch_size_rows=1)
    assert result.exit_code == 0, result.stderr
    assert len(sandbox.state("autoreach")["people"]) == 6


@pytest.mark.parametrize("form", [{"retry_after": 1}, {"retry_after_date": 2}, {"reset": 2}])
def test_what_the_vendor_asks_for_is_waited_for(
    people: Plugin, sandbox: Sandbox, form: JSON
) -> None:
    sandbox.fault(vendor="autoreach", method="PATCH", status=429, times=1, **form)
    result = people.run([SCHEMA, *rows(3)])
    assert result.exit_code == 0, result.stderr
    patches = [r["at"] for r in sandbox.requests("autoreach") if r["method"] == "PATCH"]
    assert patches[1] - patches[0] >= 0.9


def test_a_pause_beyond_max_wait_stops_the_run_and_says_until_when(
    people: Plugin, sandbox: Sandbox
) -> None:
    sandbox.fault(vendor="autoreach", method="PATCH", status=429, times=None, retry_after=3600)
    result = people.run([SCHEMA, *rows(3)], max_wait=5)
    assert result.exit_code == 1
    assert "max_wait" in result.error
    assert "after 20" in result.error


def test_a_forbidden_request_stops_the_run_with_the_vendors_words(
    people: Plugin, sandbox: Sandbox
) -> None:
    answer = {"errors": [{"status": 403, "title": "Forbidden", "detail": "no Enterprise License"}]}
    sandbox.fault(vendor="autoreach", method="PATCH", status=403, times=None, answer=answer)
    result = people.run([SCHEMA, *rows(300)])
    assert result.exit_code == 1
    assert "no Enterprise License" in result.error
    assert sum(r["method"] == "PATCH" for r in sandbox.requests("autoreach")) <= 2


def test_a_wrong_address_stops_the_run(people: Plugin, sandbox: Sandbox) -> None:
    result = people.run([SCHEMA, *rows(30)], api_url=f"{sandbox.url}/autoreach/api/v9")
    assert result.exit_code == 1
    assert "api_url" in result.error
    assert result.rejects == []


@pytest.mark.parametrize(
    "url",
    [
        "http://example.com/api/v1",
        "ftp://127.0.0.1/api",
        "https://user:word@example.com/api",
        "nonsense",
    ],
)
def test_credentials_go_nowhere_else(people: Plugin, url: str) -> None:
    result = people.run([SCHEMA, *rows(1)], api_url=url)
    assert result.exit_code == 1
    assert "api_url" in result.error
    assert "word" not in result.error.replace("password", "")
    assert "Traceback" not in result.stderr


def test_errors_in_a_success_are_a_refusal(people: Plugin, sandbox: Sandbox) -> None:
    sandbox.options("autoreach", errors_in_200=True)
    result = people.run([SCHEMA, *rows(1)])
    assert [r["rejection"]["kind"] for r in result.rejects] == ["refused"]
    assert sandbox.state("autoreach")["people"] == {}


def test_a_delete_that_answers_with_a_body_has_failed(people: Plugin, sandbox: Sandbox) -> None:
    people.run([SCHEMA, *rows(1)])
    sandbox.options("autoreach", delete_fails_with_body=True)
    gone = record("people", id="p0", _sdc_deleted_at="2026-01-01")
    result = people.run([SCHEMA, gone])
    assert result.rejects[0]["rejection"]["operation"] == "delete"
    assert "p0" in sandbox.state("autoreach")["people"]
