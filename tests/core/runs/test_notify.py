"""`notify`: who is told of a run that stopped, failed or left rejects, and what."""

from __future__ import annotations

import json
import logging
import sys
import time
from collections.abc import Iterator
from typing import Any

import pytest

from singer_http.report import notify
from singer_http.report.rejects_summary import summarise
from tests import made_up
from tests.answering import Reply, Server
from tests.front_door import JSON, Plugin, Result, record, schema, state

SCHEMA = schema("people", ("id", "email", "phone"))
TOKEN = "T1JJ3T3L2x"
GOOD = [SCHEMA, record("people", id="own_1", email="ann@example.com"), state(1)]
BAD = [
    SCHEMA,
    *(record("people", id=f"own_{i}", email="Ann Oakley") for i in range(3)),
    record("people", id="own_9", email="b@example.com", phone="+15551234567"),
    state(1),
]


@pytest.fixture(autouse=True)
def loggers_speak_again() -> Iterator[None]:
    """A run ends with its message, a test goes on: what is silenced there is not silent here."""
    levels = {name: logging.getLogger(name).level for name in notify.CHATTY}
    yield
    for name, level in levels.items():
        logging.getLogger(name).setLevel(level)


def address(server: Server, *, options: str = "") -> str:
    """An Apprise URL of that server, with a path that nobody may see."""
    return f"json://bot:pass-4711@127.0.0.1:{server.server_address[1]}/hooks/{TOKEN}{options}"


def messages(server: Server) -> list[JSON]:
    return [json.loads(seen.body) for seen in server.seen]


def told(people: Plugin, server: Server, rows: list[JSON], **config: Any) -> Result:
    return people.run(rows, **{"max_rejects": "", "notify": [address(server)], **config})


def test_rejects_are_told_with_counts_reasons_and_the_command_to_look_further(
    people: Plugin, server: Server
) -> None:
    result = told(people, server, BAD, sync="nightly", account="seven")
    assert result.exit_code == 0
    (message,) = messages(server)
    assert message["title"] == "target-autoreach (nightly): 3 rejects"
    text = message["message"]
    assert "people: 4 received, 1 delivered, 0 unchanged, 3 rejected" in text
    assert "3 rejected records are outstanding:" in text
    assert "  3  people, " in text
    assert f"target-autoreach --report {result.report['run']}" in text
    assert "--explain" in text
    assert "seven" in text
    for personal in ("Ann", "Oakley", "example.com", "5551234567"):
        assert personal not in text


def test_a_run_in_order_tells_nobody(people: Plugin, server: Server) -> None:
    assert told(people, server, GOOD).exit_code == 0
    assert messages(server) == []


def test_a_dry_run_tells_nobody(people: Plugin, server: Server) -> None:
    assert told(people, server, BAD, dry_run=True).exit_code == 0
    assert messages(server) == []


def test_what_is_only_held_for_a_later_run_tells_nobody(server: Server) -> None:
    report, _ = made_up.clean()
    held = summarise([made_up.rejected(1, "held", None, "due within quiet_hours")])
    notify.notify([address(server)], report, held)
    assert messages(server) == []
    notify.notify([address(server)], report, made_up.rejects(5))
    assert len(messages(server)) == 1


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"max_rejects": "0"}, "max_rejects"),
        ({"mode": "mirror"}, "mirror_count"),
        ({"mode": "nonsense"}, "mode"),
        ({"database_url": "postgresql://127.0.0.1:1/db"}, "database_url"),
        ({"client_secret": "wrong-secret-4711"}, "client_id"),
    ],
)
def test_a_run_that_stops_is_told_with_its_error(
    people: Plugin, server: Server, settings: JSON, words: str
) -> None:
    result = told(people, server, BAD, **settings)
    assert result.exit_code == 1
    (message,) = messages(server)
    assert message["title"] == "target-autoreach: stopped"
    assert "Stopped: " in message["message"]
    assert words in message["message"]
    assert "4711" not in message["message"]


def test_every_address_is_told(people: Plugin, server: Server) -> None:
    result = told(people, server, BAD, notify=[address(server), address(server)])
    assert result.exit_code == 0
    assert len(messages(server)) == 2


def test_the_setting_can_be_the_text_of_an_array(people: Plugin, server: Server) -> None:
    told(people, server, BAD, notify=json.dumps([address(server)]))
    assert len(messages(server)) == 1


# --- what may go wrong --------------------------------------------------------------------------


@pytest.mark.parametrize(
    "reply", [Reply(500), Reply(302), Reply(drop=True), Reply(delay=20)], ids=str
)
def test_an_address_that_refuses_or_does_not_answer_fails_no_run(
    people: Plugin, server: Server, reply: Reply
) -> None:
    server.will(reply)
    began = time.monotonic()
    result = told(people, server, BAD)
    assert time.monotonic() - began < 15
    assert result.exit_code == 0
    assert "notify: address 1 (json) did not take the message" in result.stderr


@pytest.mark.parametrize("wrong", ["nonsense", "nosuch://x", "json://127.0.0.1:1/x", ""])
def test_an_address_that_is_wrong_fails_no_run_and_keeps_no_other_from_being_told(
    people: Plugin, server: Server, wrong: str
) -> None:
    result = told(people, server, BAD, notify=[wrong, address(server)])
    assert result.exit_code == 0
    assert "notify: address 1" in result.stderr
    assert "address 2" not in result.stderr
    assert len(messages(server)) == 1


def test_an_address_that_never_answers_is_waited_for_once(
    server: Server, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(notify, "SECONDS", 0.5)
    server.will(*(Reply(delay=5) for _ in range(3)))
    began = time.monotonic()
    notify.notify([address(server, options="?rto=60")] * 3, *made_up.usual())
    assert time.monotonic() - began < 3
    assert [line.args for line in caplog.records if "did not take" in line.msg] == [
        (1, "json"), (2, "json"), (3, "json"),
    ]  # fmt: skip


def test_without_the_library_a_run_warns_and_goes_on(people: Plugin, server: Server) -> None:
    code = (
        "import sys; sys.modules['apprise'] = None; "
        "from target_autoreach.target import TargetAutoReach as T; T.cli()"
    )
    people.command = [sys.executable, "-c", code]
    result = told(people, server, BAD)
    assert result.exit_code == 0
    lines = [line for line in result.stderr.splitlines() if "apprise" in line]
    assert len(lines) == 1
    assert "target-autoreach[notify]" in lines[0]
    assert messages(server) == []


def test_an_address_stands_in_no_log_and_no_file(
    people: Plugin, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LOGLEVEL", "DEBUG")
    server.will(Reply(500), Reply(200))
    result = told(people, server, BAD, notify=[address(server), f"ntfys://{TOKEN}?auth=x"])
    files = [path.read_bytes() for path in people.work_dir.rglob("*") if path.is_file()]
    shown = "\n".join([result.stderr, result.stdout, *(f.decode(errors="replace") for f in files)])
    assert "DEBUG" in result.stderr
    assert TOKEN not in shown
    assert "pass-4711" not in shown


def test_an_unexpected_error_is_told_without_its_text() -> None:
    report, summary = made_up.usual()
    title, text = notify.message(
        report | {"outcome": "failed", "error": "KeyError: 'Ann Oakley'"}, summary
    )
    assert title.endswith("failed")
    assert "Ann" not in text


def test_a_person_is_not_named_by_the_error_of_a_run_that_stopped() -> None:
    report, summary = made_up.usual()
    error = "people: ann@example.com and +1 555 123 4567 are one"
    _, text = notify.message(report | {"outcome": "stopped", "error": error}, summary)
    assert "Stopped: people: … and … are one" in text


@pytest.mark.parametrize(
    ("addresses", "tick"),
    [
        (["json://127.0.0.1/x", "mailtos://user:pass-4711@example.com"], "✓ notify: 2 addresses"),
        (["json://127.0.0.1/x", "nosuch://pass-4711"], "✗ notify: address 2 is no URL"),
    ],
)
def test_a_check_reads_the_addresses_and_sends_nothing(
    people: Plugin, addresses: list[str], tick: str
) -> None:
    result = people.run([], "--check", notify=addresses)
    assert tick in result.stderr
    assert result.exit_code == (0 if "✓" in tick else 1)
    assert "4711" not in result.stderr
