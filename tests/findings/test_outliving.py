"""Everything that must outlive a run is in the database, and the database is no bottleneck."""

from __future__ import annotations

import json
import shutil
import signal
import sqlite3
import time
from typing import Any

import psycopg
import pytest

from singer_sandbox import Sandbox
from tests.findings.inputs import (
    MEMBERS,
    PEOPLE,
    SMS,
    hours,
    kinds,
    member,
    people,
    person,
    sms,
    texts,
)
from tests.front_door import Plugin, state
from tests.processes import wait_read


def without_disk(plugin: Plugin) -> None:
    """The container is gone, and its disk with it."""
    shutil.rmtree(plugin.work_dir, ignore_errors=True)


@pytest.fixture
def on_postgresql(autoreach: Plugin, database: str) -> Plugin:
    autoreach.config["database_url"] = database
    return autoreach


def test_rejects_outlive_the_disk(on_postgresql: Plugin, sandbox: Sandbox) -> None:
    """P5"""
    good = [person(f"p{i}") for i in range(95)]
    bad = [person("x", email="nonsense"), person("y", phone="letters")]
    first = on_postgresql.run([PEOPLE, *good, *bad, state({"at": 97})])
    assert (first.states, len(first.rejects)) == ([{"at": 97}], 2)
    without_disk(on_postgresql)
    second = on_postgresql.run([PEOPLE, person("p1"), state({"at": 98})])
    assert {r["record"]["id"] for r in second.rejects} == {"x", "y"}
    without_disk(on_postgresql)
    maps = {"people": {"email": "id + '@example.com'", "phone": "None"}}
    healed = on_postgresql.run([PEOPLE], stream_maps=maps)
    assert healed.rejects == []
    assert {"x", "y"} <= set(people(sandbox))


def test_held_messages_outlive_the_disk(merlin: Plugin, sandbox: Sandbox, database: str) -> None:
    """P5"""
    merlin.config["database_url"] = database
    assert kinds(merlin.run([SMS, sms("1")], quiet_hours=hours(-60, 60))) == ["held"]
    without_disk(merlin)
    assert merlin.run([SMS]).exit_code == 0
    assert texts(sandbox) == ["Hello"]


@pytest.mark.parametrize("decision", ["resend", "drop"])
def test_uncertain_messages_outlive_the_disk(
    merlin: Plugin, sandbox: Sandbox, database: str, decision: str
) -> None:
    """P5"""
    merlin.config["database_url"] = database
    sandbox.fault(vendor="merlin", body="SMS", drop=True)
    assert kinds(merlin.run([SMS, sms("1")])) == ["uncertain"]
    without_disk(merlin)
    assert kinds(merlin.run([SMS, sms("2", "two")])) == ["uncertain"]
    without_disk(merlin)
    assert merlin.run([SMS], uncertain=decision).rejects == []
    assert texts(sandbox) == (["two", "Hello"] if decision == "resend" else ["two"])
    assert merlin.run([SMS, sms("1")]).counts("sms") == {"received": 1, "unchanged": 1}


def test_a_token_outlives_the_disk(on_postgresql: Plugin, sandbox: Sandbox) -> None:
    """P5"""
    for number in range(3):
        on_postgresql.run([PEOPLE, person(f"p{number}")])
        without_disk(on_postgresql)
    assert sandbox.state("autoreach")["counters"]["tokens_issued"] == 1


def test_rate_windows_outlive_the_disk(on_postgresql: Plugin, sandbox: Sandbox) -> None:
    """P5"""
    for run in range(2):
        messages = [PEOPLE, *(person(f"p{run}{i}") for i in range(4))]
        on_postgresql.run(messages, rate_limit="6/5s", batch_size_rows=1)
        without_disk(on_postgresql)
    times = sorted(r["at"] for r in sandbox.requests("autoreach") if r["method"] == "PATCH")
    assert all(len([t for t in times if at <= t < at + 5]) <= 6 for at in times)


# --- R1, R2 -------------------------------------------------------------------------------------


def test_a_dry_run_blocks_no_real_run(on_postgresql: Plugin, sandbox: Sandbox) -> None:
    """R1"""
    on_postgresql.run([PEOPLE, person("a")])
    dry = on_postgresql.start(None, dry_run=True)
    assert dry.stdin
    for message in (PEOPLE, *(person(f"p{i}") for i in range(200))):
        dry.stdin.write(json.dumps(message).encode() + b"\n")
    dry.stdin.flush()
    wait_read(dry.stdin)
    assert dry.poll() is None
    begin = time.monotonic()
    process = on_postgresql.start([PEOPLE, *(person(f"p{i}") for i in range(200))], sync="default")
    real = on_postgresql.finish(process)
    assert real.exit_code == 0, real.error
    assert time.monotonic() - begin < 20
    dry.send_signal(signal.SIGTERM)
    dry.wait(10)
    assert len(people(sandbox)) == 201


def test_no_transaction_is_open_while_a_request_is_in_flight(
    on_postgresql: Plugin, sandbox: Sandbox, database: str
) -> None:
    """R2"""
    on_postgresql.run([MEMBERS, member("a")])
    sandbox.fault(vendor="autoreach", method="PUT", hold="x")
    process = on_postgresql.start([MEMBERS, member("a", first_name="A"), member("b")])
    sandbox.wait_held("x")
    time.sleep(0.2)
    with psycopg.connect(database) as connection:
        open_ones = connection.execute(
            "SELECT query FROM pg_stat_activity WHERE datname = current_database()"
            " AND state LIKE 'idle in transaction%%' AND pid <> pg_backend_pid()"
        ).fetchall()
    sandbox.release("x")
    assert on_postgresql.finish(process).exit_code == 0
    assert open_ones == []


def test_a_server_that_ends_idle_transactions_ends_no_run(
    on_postgresql: Plugin, sandbox: Sandbox, database: str
) -> None:
    """R2"""
    limited = f"{database}%20-cidle_in_transaction_session_timeout%3D200"
    with psycopg.connect(limited) as connection:
        found = connection.execute("SHOW idle_in_transaction_session_timeout").fetchone()
    assert found == ("200ms",)
    sandbox.options("autoreach", latency_ms=600)
    messages = [MEMBERS, *(member(f"m{i}") for i in range(3))]
    result = on_postgresql.run(messages, database_url=limited)
    assert (result.exit_code, result.rejects) == (0, []), result.error


# --- R7 -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("kill", [False, True])
def test_a_delivered_records_text_leaves_the_ledgers_file(
    autoreach: Plugin, sandbox: Sandbox, kill: bool
) -> None:
    """R7"""
    secret = "Marmalade Street"
    messages: list[Any] = [PEOPLE, *(person(f"p{i}", first_name=secret) for i in range(50))]
    if kill:
        autoreach.dying("after_pending", 1).run(messages)
    assert autoreach.run(messages).exit_code == 0
    assert len(people(sandbox)) == 50
    for path in autoreach.work_dir.iterdir():
        assert secret.encode() not in path.read_bytes(), path.name
    (ledger,) = autoreach.work_dir.glob("*.db")
    with sqlite3.connect(ledger) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
