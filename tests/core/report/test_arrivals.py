"""When a record last came unchanged: kept for the last runs, without touching its ledger row."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
import sqlalchemy as sa

from singer_http.report.counts import Report
from singer_http.store import DATABASE_FILE
from singer_http.store.arrivals import CHUNK, LEAST
from singer_http.store.database import Database
from singer_http.store.store import Store
from singer_http.store.tables import arrivals
from singer_sandbox import Sandbox
from tests.front_door import JSON, Plugin, Result
from tests.people import SCHEMA, person
from tests.processes import wait_until

IDLE_IN_TRANSACTION = (
    "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
    " AND state LIKE 'idle in transaction%' AND pid <> pg_backend_pid()"
)

WRITTEN = "SELECT id FROM singer_http_arrivals"


@pytest.fixture
def autoreach(people: Plugin, ledger_url: str | None) -> Plugin:
    people.config["database_url"] = ledger_url
    return people


def told(plugin: Plugin, key: str, starts: str) -> str:
    """The line of `--explain` that begins with some words."""
    lines = [line.strip() for line in plugin.run([], "--explain", key).stdout.splitlines()]
    return next((line for line in lines if line.startswith(starts)), "")


def last_came(plugin: Plugin, key: str) -> str:
    """The run in which a record last came unchanged, empty for none."""
    line = told(plugin, key, "came again unchanged")
    return line.removeprefix("came again unchanged, last in run ").partition(",")[0]


def run_of(result: Result) -> str:
    return str(result.report["run"])


# --- through the front door -----------------------------------------------------------------------


def test_what_comes_to_the_same_request_came_unchanged_and_was_not_sent_again(
    autoreach: Plugin,
) -> None:
    first = autoreach.run([SCHEMA, person(1)])
    assert told(autoreach, "p1", "sent ").endswith(f"Z by run {run_of(first)}")
    time.sleep(1.1)  # the ledger's row is written again, in another second
    again = autoreach.run([SCHEMA, person(1, email=" p1@example.com ")])
    assert again.counts("people") == {"received": 1, "unchanged": 1}
    assert last_came(autoreach, "p1") == run_of(again)
    assert told(autoreach, "p1", "sent ").startswith(f"sent by run {run_of(first)}, which began ")


def test_a_record_that_came_twice_in_a_run_came_in_that_run(autoreach: Plugin) -> None:
    autoreach.run([SCHEMA, person(1)])
    again = autoreach.run([SCHEMA, person(1), person(1)])
    assert again.counts("people") == {"received": 2, "merged": 1, "unchanged": 1}
    assert last_came(autoreach, "p1") == run_of(again)


def test_a_run_that_was_killed_hides_no_earlier_arrival(autoreach: Plugin) -> None:
    autoreach.run([SCHEMA, person(1)])
    second = autoreach.run([SCHEMA, person(1)])
    killed = autoreach.dying("after_pending").run([SCHEMA, person(1), person(2)])
    assert killed.exit_code == -9
    assert last_came(autoreach, "p1") == run_of(second)
    fourth = autoreach.run([SCHEMA, person(1), person(2)])
    assert last_came(autoreach, "p1") == run_of(fourth)


def test_a_run_that_was_stopped_keeps_its_arrivals(autoreach: Plugin, sandbox: Sandbox) -> None:
    autoreach.run([SCHEMA, person(1)])
    sandbox.fault(vendor="autoreach", method="PATCH", status=503)
    stopped = autoreach.run([SCHEMA, person(1), person(2)], max_retries=0)
    assert stopped.exit_code == 1
    assert last_came(autoreach, "p1") == run_of(stopped)


def test_a_dry_run_leaves_no_arrival(autoreach: Plugin) -> None:
    autoreach.run([SCHEMA, person(1)])
    autoreach.run([SCHEMA, person(1)], dry_run=True)
    assert last_came(autoreach, "p1") == ""


def test_an_arrival_in_another_sync_is_none_in_this_one(autoreach: Plugin) -> None:
    autoreach.run([SCHEMA, person(1)])
    for _ in range(2):
        autoreach.run([SCHEMA, person(1)], sync="nightly")
    assert last_came(autoreach, "p1") == ""


def test_arrivals_leave_no_transaction_open_while_a_request_is_in_flight(
    people: Plugin, sandbox: Sandbox, database: str
) -> None:
    people.config["database_url"] = database
    rows = [person(i) for i in range(CHUNK + 1000)]
    people.run([SCHEMA, *rows])
    sandbox.fault(vendor="autoreach", method="PATCH", hold="x")
    changed = person(0, first_name="Ann")
    process = people.start([SCHEMA, changed, *rows[1:]], batch_size_rows=1)
    sandbox.wait_held("x")
    with psycopg.connect(database, autocommit=True) as connection:
        wait_until(lambda: connection.execute(WRITTEN).fetchall())
        time.sleep(0.5)
        left_open = connection.execute(IDLE_IN_TRANSACTION).fetchone()
    sandbox.release("x")
    done = people.finish(process)
    assert done.exit_code == 0, done.error
    assert left_open == (0,)
    assert last_came(people, f"p{CHUNK}") == run_of(done)


# --- many of them ---------------------------------------------------------------------------------


@pytest.fixture
def url(ledger_url: str | None, tmp_path: Path) -> str:
    return ledger_url or f"sqlite:///{tmp_path / DATABASE_FILE}"


def a_run(number: int) -> JSON:
    report = Report(
        "target-x", "0", account="a", sync="default", mode="upsert", dry_run=False, rate_limit=""
    )
    return report.as_dict() | {"run": f"run-{number}"}


def came(url: str, number: int, keys: list[str], *, ends: bool = True) -> int:
    """A run in which these keys came unchanged; the scope."""
    store = Store(url, f"run-{number}")
    scope = store.scopes.open("a", "default", "s", source="s", keys=["id"], schema_message=b"").id
    store.begin_run(a_run(number), "a")
    for start in range(0, len(keys), 1000):
        store.arrivals.add(scope, keys[start : start + 1000])
    if ends:
        store.finish()
    store.close()
    return scope


@pytest.fixture
def reader(url: str) -> Iterator[Store]:
    store = Store(url, "reader")
    yield store
    store.close()


def last(store: Store, scope: int, key: str) -> str | None:
    found = store.arrivals.last(scope, key)
    return found.run if found else None


def runs_kept(url: str) -> list[int]:
    database = Database(url)
    found = database.query(sa.select(arrivals.c.run).distinct().order_by(arrivals.c.run))
    database.close()
    return [row.run for row in found]


def test_of_a_run_that_dies_what_filled_a_row_is_kept(url: str, reader: Store) -> None:
    keys = [f"k{number}" for number in range(CHUNK + 500)]
    scope = came(url, 1, keys, ends=False)
    assert last(reader, scope, "k0") == "run-1"
    assert last(reader, scope, keys[-1]) is None


def test_hashed_keys_are_found_too(url: str, reader: Store) -> None:
    keys = [f"#{number:032x}" for number in range(1 << 70, (1 << 70) + 10)]
    scope = came(url, 1, [f"#{'a' * 32}", *keys])
    assert last(reader, scope, f"#{'a' * 32}") == "run-1"
    assert last(reader, scope, f"#{'b' * 32}") is None


def test_a_part_of_a_key_is_no_key(url: str, reader: Store) -> None:
    scope = came(url, 1, ["one\ntwo", "twelve", "é"])
    for key in ("one\ntwo", "twelve", "é"):
        assert last(reader, scope, key) == "run-1"
    for key in ("one", "two", "twelv", "welve"):
        assert last(reader, scope, key) is None


def test_the_last_runs_are_kept_and_older_ones_dropped(url: str, reader: Store) -> None:
    size = LEAST * 2 // 5
    keys = [f"k{number}" for number in range(size)]
    scopes = {came(url, number, keys) for number in range(1, 5)}
    assert len(runs_kept(url)) == 2
    assert last(reader, scopes.pop(), "k7") == "run-4"


def test_a_full_extract_is_kept_however_large_it_is(url: str, reader: Store) -> None:
    keys = [f"k{number}" for number in range(LEAST + 1)]
    for number in (1, 2):
        scope = came(url, number, keys)
    assert len(runs_kept(url)) == 1
    assert last(reader, scope, keys[-1]) == "run-2"
