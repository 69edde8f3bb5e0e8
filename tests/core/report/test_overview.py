"""`singer-http overview`: the last run of each account, as a table, a page and an exit code."""

from __future__ import annotations

import json
import re
import secrets
import subprocess
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from singer_http.operations import JSON
from singer_http.report.overview import Absent, Overview, overview
from singer_http.report.overview_page import render
from singer_http.store.database import Database
from singer_http.store.runs import Runs, lock_name
from singer_http.store.tables import runs
from singer_sandbox import Sandbox
from tests import browser, made_up
from tests.front_door import Plugin, record, schema, state
from tests.processes import SCRIPTS

SCHEMA = schema("people", ("id", "email"))
HOSTILE = "<script>alert('x')</script>"


def address(people: Plugin) -> str:
    url = people.config.get("database_url")
    return str(url or f"sqlite:///{people.work_dir / 'singer-http.db'}")


def command(
    url: str, *args: str, env: dict[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    given = [] if env else ["--database-url", url]
    return subprocess.run(
        [str(SCRIPTS / "singer-http"), "overview", *given, *args],
        capture_output=True, text=True, timeout=60, env=env,
    )  # fmt: skip


def person(number: int, email: str | None = None) -> JSON:
    return record("people", id=f"own_{number}", email=email or f"p{number}@example.com")


def of_last_day(url: str) -> Overview:
    return overview(url, since=datetime.now(UTC) - timedelta(days=1))


@pytest.fixture
def people(people: Plugin, ledger_url: str | None) -> Plugin:
    """target-autoreach, with either kind of database."""
    people.config["database_url"] = ledger_url
    return people


def store(url: str, reports: list[tuple[JSON, JSON | None]]) -> None:
    """Write reports as the last runs of their accounts, just now."""
    database = Database(url)
    now = int(time.time())
    for report, summary in reports:
        told = report | {"run": f"{report['run']}-{secrets.token_hex(4)}"}
        database.execute(
            runs.insert().values(
                run=told["run"],
                plugin=told["plugin"],
                account=f"{told['account']} example.com",
                sync=told["sync"],
                started_at=now - 10,
                finished_at=now,
                outcome=told["outcome"],
                report=json.dumps(told),
                page=json.dumps(told | {"rejects": summary}),
            )
        )
    database.commit()
    database.close()


# --- through the front door ---------------------------------------------------------------------


def test_an_account_whose_tap_may_have_stopped_is_named(people: Plugin, tmp_path: Path) -> None:
    people.run([SCHEMA, person(1), state(1)], account="seven")
    people.run([], account="eight")
    page = tmp_path / "overview.html"
    done = command(address(people), "--output", str(page))
    assert done.returncode == 0, done.stderr
    said = done.stdout.partition("the tap may have stopped: 1\n")[2]
    assert [line.split()[0] for line in said.splitlines()[:2]] == ["account", "eight"]
    assert "the tap may have stopped: 1</h2>" in page.read_text()


def test_a_name_breaks_no_line_of_the_table(people: Plugin) -> None:
    url = address(people)
    for account in ("two\nlines", "\x1b[2Jclears", "x" * 190):
        people.run(SCHEMA, client_secret="", account=account)
    lines = command(url).stdout.splitlines()
    named = [line for line in lines if line.startswith("stopped")]
    assert len(named) == 3, lines
    assert all(line.isprintable() and len(line) < 400 for line in lines)


def test_all_accounts_are_there_and_who_needs_a_person_is_first(
    people: Plugin, sandbox: Sandbox, tmp_path: Path
) -> None:
    good = [SCHEMA, person(1), person(2), state(1)]
    people.run(good, account="seven", rate_limit="5/s")
    people.run([SCHEMA, person(3, "no mail"), state(1)], account="eight", max_rejects="")
    people.run([SCHEMA, person(4, "no mail"), state(1)], account="nine", max_rejects="")
    people.run([SCHEMA, person(4, "none at all"), state(1)], account="ten", max_rejects="0")
    sandbox.fault(vendor="autoreach", method="PATCH", status=503)
    people.run(good, account="eleven", max_retries=0)
    page = tmp_path / "overview.html"
    done = command(address(people), "--output", str(page))
    assert done.returncode == 1, done.stderr
    lines = done.stdout.splitlines()
    assert lines[1].split() == ["5", "3", "0", "2", "0", "3"]
    assert [line.split()[1] for line in lines[4:6]] == ["ten", "eleven"]
    assert "needs a person: 1 of 1 records were rejected" in lines[4]
    assert "needs a person" not in lines[5]
    # The rejects of three accounts are one reason.
    assert re.search(r"^ +3 +3  people, refused, HTTP 422: ", done.stdout, re.MULTILINE)
    shown = page.read_text()
    assert oct(page.stat().st_mode)[-3:] == "600"
    assert "<h2>Need a person: 1</h2>" in shown
    assert "<h2>Stopped or failed: a retry may help: 1</h2>" in shown
    assert "<td>5/s</td>" in shown
    for value in ("no mail", "none at all", "example.com", "own_"):
        assert value not in shown
        assert value not in done.stdout


def test_when_all_is_well_the_exit_code_is_0_also_with_rejects_and_runs_under_way(
    people: Plugin, sandbox: Sandbox
) -> None:
    people.run([SCHEMA, person(3, "no mail"), state(1)], account="eight", max_rejects="")
    sandbox.fault(vendor="autoreach", method="PATCH", hold="x")
    process = people.start([SCHEMA, person(1), state(1)], account="seven")
    sandbox.wait_held("x")
    # Another try of the same account is not let in: how the first one ends is what counts.
    assert people.run([SCHEMA, state(1)], account="seven").exit_code == 1
    found = of_last_day(address(people))
    assert found.outcomes == {"ok": 1, "running": 1}
    assert command(address(people)).returncode == 0
    time.sleep(1.1)  # the database has whole seconds
    sandbox.release("x")
    assert people.finish(process).exit_code == 0
    assert of_last_day(address(people)).outcomes == {"ok": 2}


def test_a_run_that_was_killed_has_failed_until_the_next_one_ends(
    people: Plugin, sandbox: Sandbox
) -> None:
    people.dying("after_pending").run([SCHEMA, person(1), state(1)])
    (run,) = of_last_day(address(people)).last_runs
    assert (run.outcome, run.needs_person) == ("failed", False)
    assert "was killed" in run.error
    assert command(address(people)).returncode == 1
    people.run([SCHEMA, person(1), state(1)])
    assert of_last_day(address(people)).outcomes == {"ok": 1}


def test_only_runs_since_a_moment_count_and_accounts_without_one_are_named(people: Plugin) -> None:
    people.run([SCHEMA, person(1), state(1)], account="seven")
    url = address(people)
    database = Database(url)
    database.execute(runs.update().values(started_at=runs.c.started_at - 90_000))
    database.commit()
    database.close()
    done = command(url)
    assert done.returncode == 1
    assert done.stdout.startswith("No run began since ")
    assert command(url, "--since", "26h").returncode == 0
    assert (
        command(url, "--since", f"{datetime.now(UTC) - timedelta(hours=26):%Y-%m-%d}").returncode
        == 0
    )
    people.run([SCHEMA, person(1), state(1)], account="eight")
    found = of_last_day(url)
    assert [run.account for run in found.last_runs] == ["eight"]
    assert found.absent == [Absent("seven", "default")]
    assert "1 accounts and syncs have no run since" in command(url).stdout


def test_what_cannot_be_read_is_one_line_and_exit_code_2(tmp_path: Path) -> None:
    missing = command(f"sqlite:///{tmp_path}/none.db")
    assert (missing.returncode, missing.stdout) == (2, "")
    assert "There is no database" in missing.stderr
    assert not (tmp_path / "none.db").exists()
    away = command("postgresql://ann:hidden-word@127.0.0.1:1/db")
    assert away.returncode == 2
    assert "cannot be opened" in away.stderr
    assert "hidden-word" not in away.stderr
    assert len(away.stderr.splitlines()) == 1
    assert command("sqlite:///x", "--since", "soon").returncode == 2


def test_the_url_may_come_from_the_environment(people: Plugin) -> None:
    people.run([SCHEMA, person(1), state(1)])
    assert command("", env={"SINGER_HTTP_DATABASE_URL": address(people)}).returncode == 0


# --- made-up runs -------------------------------------------------------------------------------


def crowd(number: int) -> list[tuple[JSON, JSON | None]]:
    """The last runs of many accounts: most are well, each hundredth stopped."""
    usual, stopped = made_up.usual(), made_up.stopped()
    many: list[tuple[JSON, JSON | None]] = []
    for place in range(number):
        report, summary = stopped if place % 100 == 0 else usual
        changes = {"account": f"location-{place:05}", "needs_person": place % 200 == 0}
        if place % 200 == 100:
            changes["retry_at"] = "2026-01-31T14:00:00Z"
        many.append((report | changes, summary))
    return many


@pytest.mark.parametrize(("width", "dark"), [(1000, False), (500, True)])
def test_in_a_browser_nothing_is_clipped_or_faint(width: int, dark: bool, tmp_path: Path) -> None:
    browser.find()
    url = f"sqlite:///{tmp_path}/runs.db"
    hostile, summary = made_up.crowded()
    hostile |= {"account": HOSTILE, "outcome": "stopped", "error": HOSTILE, "needs_person": True}
    store(url, [*crowd(300), (hostile, summary), made_up.crowded()])
    found = of_last_day(url)
    page = browser.looks_right([render(found)], tmp_path, width=width, dark=dark)
    assert page.asked == []
    assert "Need a person: 3" in page.dom
    assert "Requests against each limit" in page.dom
    assert HOSTILE not in page.dom


def test_the_nearest_limit_is_the_one_of_which_a_run_used_most(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/runs.db"
    report, summary = made_up.usual()
    report |= {"rate_limit": "100/10s, 300/day"}
    report["timeline"] |= {"requests": [10] * 27, "width": 1, "seconds": 27.0}
    store(url, [(report, summary)])
    (run,) = of_last_day(url).last_runs
    assert run.limits == (("100/10s", 100.0, 1.0), ("300/day", 270.0, 0.9))
    assert run.nearest
    assert run.nearest.limit == "100/10s"
    assert (run.requests, run.seconds) == (270, 27.0)


def test_nothing_of_a_record_is_in_an_error(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/runs.db"
    report, _ = made_up.nothing()
    failed = report | {"outcome": "failed", "error": "ValueError: 'Ann Oakley'", "account": "a"}
    stopped = report | {"error": "ann@example.com, +1 555 201 0042", "account": "b"}
    store(url, [(failed, None), (stopped, None)])
    shown = render(of_last_day(url)) + of_last_day(url).table()
    for value in ("Oakley", "ann@", "201 0042"):
        assert value not in shown


def test_ten_thousand_accounts_take_seconds(database: str) -> None:
    store(database, crowd(10_000))
    began = time.monotonic()
    found = of_last_day(database)
    page = render(found)
    assert time.monotonic() - began < 15
    assert len(found.last_runs) == 10_000
    assert found.need_person == 50
    assert len(found.bad) == 100
    assert page.count("location-") > 10_000
    assert sum(count.rejects for _, count in found.reasons) == found.outstanding
    assert len(found.table().splitlines()) < 60


def test_the_locks_of_many_runs_are_read_at_once(people: Plugin) -> None:
    people.run([SCHEMA, state(1)])
    first, second = Database(address(people)), Database(address(people))
    name = lock_name("target-autoreach", "default", "x")
    assert first.lock(name)
    assert second.held([name, "another"]) == {name}
    assert list(Runs(second).last_of_each(int(time.time()) + 5)) == []
    first.close()
    until = time.monotonic() + 10  # PostgreSQL ends a session after the client has gone
    while second.held([name]) and time.monotonic() < until:
        time.sleep(0.02)
    assert second.held([name]) == set()
    second.close()
