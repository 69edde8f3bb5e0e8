"""Airflow, Redis, PostgreSQL and two workers, each of them real: nothing lost, nothing twice.

ACCOUNTS=200 is the whole test; docs/scale.md has its results.
"""

from __future__ import annotations

import contextlib
import os
import re
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from trial.stage import Size, Stage, key, limit, stage, wait_for_workers
from trial.workers import Network, Worker, available

from singer_accounts.folder import PREFIX

pytestmark = [
    pytest.mark.real_parts,
    pytest.mark.skipif(not available(), reason="needs root, ip and unshare"),
]

ACCOUNTS = int(os.environ.get("ACCOUNTS", "12"))
SLOTS = int(os.environ.get("SLOTS", "2"))
AWAY_SECONDS = 20.0
CONCURRENCY = 4
"""Requests in flight of a run: what may be uncertain after a SIGKILL."""
RENDERED = "rendered_task_instance_fields"
"""A table that may be empty: only `list_accounts` has fields that are rendered."""


@contextlib.contextmanager
def running(folder: Path, size: Size) -> Iterator[tuple[Stage, list[Worker]]]:
    """Airflow with two workers that take tasks."""
    with contextlib.ExitStack() as stack:
        one = stack.enter_context(stage(folder, size))
        one.airflow.start(one.connections(), slots=2 * SLOTS)
        network = stack.enter_context(Network(one.ports, folder))
        workers = []
        for number in (1, 2):
            home = folder / "machines" / str(number)
            home.mkdir(parents=True)
            environment = one.airflow.worker_environment(home, SLOTS)
            workers.append(stack.enter_context(Worker(network, number, home, environment)))
        wait_for_workers(one, 2)
        yield one, workers


class Accidents:
    """What goes wrong while the accounts run: first a worker dies, then PostgreSQL restarts."""

    def __init__(self, one: Stage, worker: Worker) -> None:
        self._one = one
        self._worker = worker
        self._killed_at = 0.0
        self._back = False
        self.restarted = False
        self.running_when_killed = 0
        self._last: dict[str, int] = {}

    def look(self, states: dict[str, int]) -> None:
        """Cause the next accident, once so many tasks have ended."""
        if states != self._last:
            print(f"{time.strftime('%H:%M:%S')} {states}", flush=True)
            self._last = states
        done, all_ = states.get("success", 0), self._one.size.accounts
        if not self._killed_at and done >= 0.3 * all_ and self._busy():
            self.running_when_killed = self._busy()
            self._worker.kill()
            self._killed_at = time.monotonic()
            print("a worker was killed", flush=True)
        elif (
            self._killed_at and not self._back and time.monotonic() > self._killed_at + AWAY_SECONDS
        ):
            self._worker.start()
            self._back = True
        elif self._back and not self.restarted and done >= 0.6 * all_ and states.get("running"):
            self.restarted = True
            self._one.restart_postgres()
            print("PostgreSQL was restarted", flush=True)

    def _busy(self) -> int:
        """Accounts that the worker runs."""
        (row,) = self._one.airflow.query(
            "select count(*) as number from task_instance where task_id = 'account' and"
            f" state = 'running' and hostname = '{self._worker.address}'"
        )
        return int(row["number"])


def uncertain(one: Stage) -> Counter[str]:
    """Account -> SMS that may have arrived, which a person has to settle."""
    with psycopg.connect(one.urls["singer"]) as connection:
        rows = connection.execute(
            "select s.account, count(*) from singer_http_rejects r join singer_http_scopes s"
            " on s.id = r.scope where r.kind = 'uncertain' and s.stream = 'sms' group by 1"
        ).fetchall()
    return Counter({re.split(r"[ @]", account)[0]: number for account, number in rows})


def check_account(one: Stage, name: str, may_lack: int) -> None:
    """Everything arrived at this account, once, and nothing of another one."""
    state = one.sandbox.state("merlin", name)
    rows = range(1, one.size.contacts + 1)
    emails = Counter(contact["Email"] for contact in state["contacts"].values())
    assert emails == Counter(f"ann{row}@{name}.example.com" for row in rows)
    assert {contact["Lname"] for contact in state["contacts"].values()} == {f"Of {name}"}
    texts = Counter(sms["text"] for sms in state["sms"])
    expected = Counter(f"Hello Ann{row} of {name}." for row in range(1, one.size.sms + 1))
    assert not texts - expected, "twice, or to a wrong account"
    assert (expected - texts).total() <= may_lack


def text_of(folder: Path) -> Iterator[tuple[Path, str]]:
    """All that Airflow's parts and the workers left in files."""
    for place in (folder / "home", folder / "machines", *folder.glob("*.log")):
        for path in [place] if place.is_file() else place.rglob("*"):
            if path.is_file() and path.stat().st_size:
                yield path, path.read_text(errors="replace")


def check_no_secret(one: Stage) -> None:
    """No key is in a log, an XCom, a rendered template or the DAG."""
    secret = re.compile(r"merlin-key-of-")
    logs = 0
    for path, text in text_of(one.folder):
        assert not secret.search(text), path
        logs += path.suffix == ".log"
    assert logs > one.size.accounts
    for table in (
        "xcom",
        RENDERED,
        "serialized_dag",
        "log",
        "task_instance",
    ):
        rows = one.airflow.query(f"select cast({table}.* as text) as text from {table}")
        assert rows or table == RENDERED, table
        assert not [row for row in rows if secret.search(row["text"])], table


def tries(one: Stage) -> list[dict[str, Any]]:
    """Each account's task."""
    return one.airflow.query(
        "select rendered_map_index as account, state, try_number, hostname from task_instance"
        " where task_id = 'account' order by map_index"
    )


def test_a_killed_worker_and_a_restart_of_postgresql_lose_nothing(tmp_path: Path) -> None:
    size = Size(ACCOUNTS)
    with running(tmp_path, size) as (one, workers):
        worker = workers[0]
        accidents = Accidents(one, worker)
        began = time.monotonic()
        state = one.run(60 * size.accounts + 600, accidents.look)
        seconds = time.monotonic() - began
        print(f"{size.accounts} accounts in {seconds:.0f} seconds: {state}", flush=True)

        assert accidents.running_when_killed
        assert accidents.restarted
        assert state == "success"
        tasks = tries(one)
        assert [task["account"] for task in tasks] == size.names()
        assert {task["state"] for task in tasks} == {"success"}
        assert {task["hostname"] for task in tasks} == {worker.address for worker in workers}
        again = [task for task in tasks if task["try_number"] > 1]
        assert len(again) >= accidents.running_when_killed
        print(f"{len(again)} accounts had more than one try", flush=True)

        open_ = uncertain(one)
        print(f"uncertain SMS: {dict(open_)}", flush=True)
        assert open_.total() <= CONCURRENCY * len(again)
        for name in size.names():
            check_account(one, name, may_lack=open_[name])
        of_each = one.sandbox.accounts("merlin", window=1)
        for number, name in enumerate(size.names(), 1):
            assert of_each[name]["counters"].get("rate_limited", 0) == 0, name
            assert of_each[name]["max"] <= limit(number), name
        assert of_each["default"]["requests"] == 0
        check_no_secret(one)
        (page,) = (tmp_path / "machines").glob("*/overview.html")
        assert all(name in page.read_text() for name in size.names())
        for home in (tmp_path / "machines").iterdir():
            assert not [*(home / "tmp").glob(f"{PREFIX}*")], home


def test_who_needs_a_person_fails_at_once_and_a_pause_is_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Beyond it, a run stops and names the time.
    monkeypatch.setenv("TARGET_ACTIONAPI_MAX_WAIT", "1")
    with running(tmp_path, Size(3)) as (one, _):
        one.sandbox.account("merlin", "account-001", replace=True, key="another")
        one.sandbox.fault(
            vendor="merlin", body=key("account-002"), status=429, headers={"retry-after": "40"}
        )
        paused: list[int] = []
        state = one.run(900, lambda states: paused.append(states.get("up_for_reschedule", 0)))

        first, second, third = tries(one)
        assert (first["state"], first["try_number"]) == ("failed", 1)
        # The pause of the vendor is no try.
        assert (second["state"], second["try_number"]) == ("success", 1)
        assert third["state"] == "success"
        assert max(paused) == 1
        assert state == "failed"
        check_account(one, "account-002", may_lack=0)
        assert one.sandbox.accounts("merlin")["account-001"]["sizes"]["contacts"] == 0
        log = next((tmp_path / "machines").glob("*/logs/*/*/task_id=overview/attempt=1.log"))
        assert "1 of 3 accounts failed (account-001); the page: " in log.read_text()
        assert "needs a person: " in log.read_text()
