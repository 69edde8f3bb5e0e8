"""Several processes of one account: what they share, whatever else is theirs alone."""

from __future__ import annotations

import bisect
import os
import shutil
import signal
import threading
import time
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg import conninfo

from singer_http.http.rate_limit import Limiter, parse_limits
from singer_http.store.database import Database
from singer_http.store.rate_windows import RateWindows
from singer_sandbox import Sandbox
from tests.findings.inputs import PEOPLE, people, person, sent
from tests.front_door import Plugin, record, schema
from tests.processes import wait_until
from tests.tapping import Tap

LIMIT = os.environ.get("LIMIT", "50/2s")
"""`make limits` sets a longer one."""
(WINDOW,) = parse_limits(LIMIT)


def arrivals(sandbox: Sandbox) -> list[float]:
    """When the vendor's API got a request; a token comes from elsewhere."""
    return sorted(r["at"] for r in sandbox.requests("autoreach") if "/api/" in r["path"])


def busiest(times: list[float], seconds: float) -> int:
    """How many requests the fullest window holds."""
    return max(bisect.bisect_left(times, at + seconds) - n for n, at in enumerate(times))


def machine(sandbox: Sandbox, folder: Path, name: str, **settings: Any) -> Plugin:
    """A target with a folder of its own."""
    folder.mkdir(exist_ok=True)
    return Plugin(
        "target-autoreach", sandbox, folder, sync=name, batch_size_rows=1, concurrency=4,
        rate_limit=LIMIT, timeout=3, **settings,
    )  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("shared", ["postgresql", "sqlite"])
def test_the_limit_holds_for_processes_that_share_a_database_and_one_is_killed(
    request: pytest.FixtureRequest, sandbox: Sandbox, tmp_path: Path, shared: str
) -> None:
    """Three targets and a tap; the limit is never exceeded, and at least 90% of it is used."""
    everywhere: dict[str, Any] = {}
    if shared == "postgresql":
        everywhere["database_url"] = request.getfixturevalue("database")
    else:
        everywhere["work_dir"] = str(tmp_path / "work")
    sandbox.fill("autoreach", members=2000)
    machines = [machine(sandbox, tmp_path / f"m{n}", f"m{n}", **everywhere) for n in range(3)]
    tap = Tap(
        "tap-autoreach", sandbox, tmp_path, rate_limit=LIMIT, timeout=3, page_size=5, **everywhere
    )
    running = [
        m.start([PEOPLE, *(person(f"{m.config['sync']}-{n}") for n in range(8 * WINDOW.count))])
        for m in machines
    ]
    reader = tap.start()
    wait_until(lambda: len(arrivals(sandbox)) > 2 * WINDOW.count, 60 + 2 * WINDOW.seconds)
    running[0].send_signal(signal.SIGKILL)
    running[0].wait()
    time.sleep(6 * WINDOW.seconds)
    for process in (*running, reader):
        process.send_signal(signal.SIGTERM)
        process.wait(30)
    times = arrivals(sandbox)
    assert busiest(times, WINDOW.seconds) <= WINDOW.count
    # From the first request on, the permits of the killed one included.
    seconds = times[-1] - times[0]
    used = len(times) / (WINDOW.count * (seconds / WINDOW.seconds))
    assert used >= 0.9, (len(times), seconds)
    assert any("m1-" in key for key in people(sandbox))
    assert sandbox.state("autoreach")["counters"]["tokens_issued"] == 1


@pytest.mark.parametrize("kind", ["postgresql", "sqlite"])
def test_first_runs_at_once_make_the_tables_once(
    request: pytest.FixtureRequest, tmp_path: Path, kind: str
) -> None:
    url = f"sqlite:///{tmp_path / 'x.db'}"
    if kind == "postgresql":
        url = request.getfixturevalue("database")
    problems: list[Exception] = []
    salts: set[bytes] = set()
    together = threading.Barrier(6)

    def first_run() -> None:
        together.wait()
        try:
            opened = Database(url)
            salts.add(opened.salt)
            opened.close()
        except Exception as error:  # noqa: BLE001 - none is expected
            problems.append(error)

    threads = [threading.Thread(target=first_run) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert problems == []
    assert len(salts) == 1


def tap_in_the_middle(sandbox: Sandbox, folder: Path, url: str) -> tuple[Tap, Any]:
    """A tap whose second page of members is held until `x` is released."""
    sandbox.fill("autoreach", members=300)
    sandbox.fault(vendor="autoreach", path="members", hold="x", after=1)
    settings: dict[str, Any] = {"rate_limit": "100/s", "database_url": url, "concurrency": 1}
    tap = Tap("tap-autoreach", sandbox, folder, **settings)
    process = tap.start()
    sandbox.wait_held("x")
    return tap, process


def test_a_tap_whose_database_went_away_says_so_in_one_line(
    sandbox: Sandbox, tmp_path: Path, postgresql: str, own_database: str
) -> None:
    tap, process = tap_in_the_middle(sandbox, tmp_path, own_database)
    name = conninfo.conninfo_to_dict(own_database)["dbname"]
    with psycopg.connect(postgresql, autocommit=True) as connection:
        connection.execute(f"DROP DATABASE {name} WITH (FORCE)".encode())
    sandbox.release("x")
    done = tap.finish(process)
    assert "database_url" in done.error
    assert "cannot be used" in done.error


def test_a_lost_connection_to_the_database_ends_no_tap_and_frees_no_permit(
    sandbox: Sandbox, tmp_path: Path, own_database: str
) -> None:
    tap, process = tap_in_the_middle(sandbox, tmp_path, own_database)
    with psycopg.connect(own_database, autocommit=True) as connection:
        connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
        account = f"sandbox-client {sandbox.url.partition('//')[2].lower()}"
        other = Limiter("1/h", lambda: RateWindows(own_database, account, 60))
        assert other.try_acquire() > 0
    sandbox.release("x")
    done = tap.finish(process)
    assert done.exit_code == 0, done.stderr
    assert len(done.records("members")) == 300


def test_nothing_is_left_on_the_disk_of_a_tap_with_postgresql(
    sandbox: Sandbox, tmp_path: Path, database: str
) -> None:
    sandbox.seed()
    tap = Tap("tap-autoreach", sandbox, tmp_path, rate_limit="100/s", database_url=database)
    for _ in range(2):
        tap.read()
    assert not (tmp_path / "work").exists()
    assert sandbox.state("autoreach")["counters"]["tokens_issued"] == 1


def test_the_reads_of_a_dry_run_count_for_the_limit(
    sandbox: Sandbox, tmp_path: Path, database: str
) -> None:
    members = schema("members", ("owner", "email"), ("owner",))
    rows = [members, *(record("members", owner=n, email=f"{n}@example.com") for n in "abc")]
    target = machine(sandbox, tmp_path / "m", "m", database_url=database)
    for dry in (True, False):
        done = target.run(rows, sync="m", rate_limit="4/4s", dry_run=dry)
        assert done.exit_code == 0, done.error
    times = arrivals(sandbox)
    assert len(times) > 4
    assert busiest(times, 4.0) <= 4
    assert sandbox.state("autoreach")["counters"]["tokens_issued"] == 1


def test_no_rate_limit_opens_no_database(sandbox: Sandbox, tmp_path: Path) -> None:
    sandbox.seed()
    Tap("tap-reisoftware", sandbox, tmp_path).read()
    assert not (tmp_path / "work").exists()


def test_a_tap_and_a_target_share_one_window(
    sandbox: Sandbox, tmp_path: Path, database: str
) -> None:
    """The second one waits for what the first one sent, on another disk."""
    sandbox.seed()
    tap = Tap("tap-autoreach", sandbox, tmp_path, rate_limit="30/6s", database_url=database)
    tap.read()
    target = machine(sandbox, tmp_path / "m", "m", database_url=database)
    target.run([PEOPLE, *(person(f"p{n}") for n in range(35))], sync="m", rate_limit="30/6s")
    shutil.rmtree(target.work_dir)
    assert busiest(arrivals(sandbox), 6.0) <= 30
    assert len(sent(sandbox, "autoreach", "PATCH")) == 35
