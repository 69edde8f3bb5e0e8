"""The runs of a target: each has a report, in a file and in the database, however it ended."""

from __future__ import annotations

import json
import re
import signal
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from singer_http.store.runs import KEPT_RUNS, KILLED
from singer_sandbox import Sandbox
from tests.front_door import JSON, Plugin, Result, record, schema, state
from tests.processes import wait_until

SCHEMA = schema("people", ("id", "email"))


@pytest.fixture
def people(people: Plugin, ledger_url: str | None) -> Plugin:
    """target-autoreach, with either kind of database."""
    people.config["database_url"] = ledger_url
    return people


def person(number: int, email: str | None = None) -> JSON:
    return record("people", id=f"own_{number}", email=email or f"p{number}@example.com")


def history(people: Plugin, *args: str, **config: Any) -> list[str]:
    result = people.run([], "--history", *args, **config)
    assert result.exit_code == 0, result.stderr
    return result.stdout.splitlines()


def reported(people: Plugin, result: Result, error: str) -> None:
    """The files and the last lines say that the run stopped, and why."""
    assert result.exit_code == 1
    assert result.report["outcome"] == "stopped"
    assert error in result.report["error"]
    assert error in people.path("report.html").read_text().replace("&#x27;", "'")
    assert error in result.error
    assert "Traceback" not in result.stderr


# --- however it ends ----------------------------------------------------------------------------


def test_runs_that_went_well_and_stopped_are_listed_the_newest_first(people: Plugin) -> None:
    good = people.run([SCHEMA, person(1), person(2), state(1)], sync="nightly", account="seven")
    bad = people.run([SCHEMA, person(3, "no mail"), state(1)], max_rejects="0")
    lines = history(people)
    head, first, second = lines[:3]
    assert head.split() == [
        "run", "started", "(UTC)", "account", "sync", "mode", "outcome", "received", "unchanged",
        "delivered", "rejected", "outstanding", "seconds", "error",
    ]  # fmt: skip
    started = good.report["started_at"].replace("T", " ")[:-1]
    run = good.report["run"]
    assert second.split()[:-1] == (f"{run} {started} seven nightly upsert ok 2 0 2 0 0".split())
    assert first.startswith(bad.report["run"])
    assert "stopped" in first
    assert "max_rejects" in first or first.endswith("…")
    assert "--report RUN" in lines[-1]


def test_history_lists_as_many_runs_as_asked_for(people: Plugin) -> None:
    runs = [people.run([SCHEMA, state(i)]).report["run"] for i in range(3)]
    found = [line.split()[0] for line in history(people, "2") if line.startswith("2")]
    assert found == runs[:0:-1]


def test_a_database_without_runs_says_so_and_is_not_made(people: Plugin) -> None:
    (line,) = history(people)
    assert re.fullmatch(
        r"No run of target-autoreach is in the database(: .* is not there yet)?\.", line
    )
    assert not list(people.work_dir.glob("*.db*"))
    assert people.run([], "--report", "x").exit_code == 1
    assert not list(people.work_dir.glob("*.db*"))


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT])
def test_a_run_that_a_signal_ended_is_listed(
    people: Plugin, sandbox: Sandbox, how: signal.Signals
) -> None:
    sandbox.fault(vendor="autoreach", method="PATCH", hold="x")
    process = people.start([SCHEMA, person(1)])
    sandbox.wait_held("x")
    process.send_signal(how)
    sandbox.release("x")
    result = people.finish(process)
    assert result.exit_code == 128 + how
    (line,) = [line for line in history(people) if result.report["run"] in line]
    assert " stopped " in line
    assert line.endswith("ended by a signal")


def test_a_run_under_way_is_listed_as_running_and_then_as_killed(
    people: Plugin, sandbox: Sandbox
) -> None:
    sandbox.fault(vendor="autoreach", method="PATCH", hold="x")
    process = people.start([SCHEMA, person(1)])
    sandbox.wait_held("x")
    listed = history(people)[1]
    assert " running " in listed
    shown = people.run([], "--report", listed.split()[0]).stdout
    assert "under way" in shown
    assert "The run" not in shown
    process.kill()
    process.wait()
    sandbox.release("x")
    assert " killed " in history(people)[1]
    # The run after it writes that down.
    people.run([SCHEMA, state(1)])
    _, ok, killed = history(people)[:3]
    assert " ok " in ok
    assert " killed " in killed
    run = killed.split()[0]
    assert people.run([], "--report", run).exit_code == 0
    report = json.loads(people.work_dir.joinpath(f"{people.name}.{run}.report.json").read_text())
    assert (report["outcome"], report["error"]) == ("failed", KILLED)


def test_history_keeps_no_run_from_beginning(people: Plugin, sandbox: Sandbox) -> None:
    sandbox.fault(vendor="autoreach", method="PATCH", hold="x")
    process = people.start([SCHEMA, person(1), state(1)])
    sandbox.wait_held("x")
    for _ in range(3):
        history(people)
    second = people.run([SCHEMA, state(1)])
    assert "is under way" in second.error
    sandbox.release("x")
    assert people.finish(process).exit_code == 0
    outcomes = [line.split()[6] for line in history(people)[1:3]]
    assert sorted(outcomes) == ["ok", "stopped"]


def test_a_run_that_was_not_let_in_has_a_report(people: Plugin, sandbox: Sandbox) -> None:
    sandbox.fault(vendor="autoreach", method="PATCH", hold="x")
    process = people.start([SCHEMA, person(1), state(1)])
    sandbox.wait_held("x")
    reported(people, people.run([SCHEMA, state(1)]), "Another run of sync 'default'")
    sandbox.release("x")
    people.finish(process)


@pytest.mark.parametrize(
    ("settings", "error"),
    [
        ({"mode": "mirror"}, "mirror_count"),
        ({"batch_size_rows": 0}, "batch_size_rows"),
        ({"mode": "nonsense"}, "'upsert'"),
        ({"client_id": None}, "client_id is missing"),
        ({"timeout": "soon"}, "timeout"),
    ],
)
def test_a_setting_that_is_refused_leaves_a_report(
    people: Plugin, settings: JSON, error: str
) -> None:
    result = people.run([SCHEMA, person(1)], **settings)
    reported(people, result, error)
    (line,) = [line for line in history(people) if result.report["run"] in line]
    assert " stopped " in line
    assert " None " not in line


@pytest.mark.parametrize("sync", ["a/b", "../outside"])
def test_a_sync_that_is_refused_leaves_a_report_in_the_work_dir(people: Plugin, sync: str) -> None:
    more = people.directory / "more.json"
    more.write_text(json.dumps({"sync": sync}))
    result = people.run([SCHEMA, person(1)], "--config", str(more))
    assert result.exit_code == 1
    assert "could not be written" not in result.stderr
    (path,) = people.work_dir.glob("*.report.json")
    assert "setting sync is" in json.loads(path.read_text())["error"]
    assert not [*people.directory.glob("*.report.*")]


def test_a_signal_before_the_input_leaves_a_report(people: Plugin) -> None:
    process = people.start(None)
    wait_until(people.work_dir.exists)
    process.send_signal(signal.SIGTERM)
    assert process.stdin
    process.stdin.close()
    result = people.finish(process)
    assert result.exit_code == 143
    assert result.report["outcome"] == "stopped"


def test_a_dry_run_leaves_files_and_is_not_in_the_database(people: Plugin) -> None:
    result = people.run([SCHEMA, person(1), state(1)], dry_run=True)
    assert result.report["dry_run"] is True
    assert people.path("report.html").exists()
    assert "--report" not in result.stderr
    assert history(people)[0].startswith("No run of target-autoreach is in the database")


# --- one run ------------------------------------------------------------------------------------


def test_a_report_is_written_again_as_it_was(people: Plugin) -> None:
    first = people.run([SCHEMA, person(1), person(2, "no mail"), state(1)], max_rejects="")
    page = people.path("report.html").read_text()
    last = people.run([SCHEMA, person(2), state(2)])
    run = first.report["run"]
    result = people.run([], "--report", run)
    assert result.exit_code == 0, result.stderr
    written = people.work_dir / f"target-autoreach.{run}.report.json"
    assert json.loads(written.read_text()) == first.report
    again = people.work_dir / f"target-autoreach.{run}.report.html"
    assert again.read_text() == page
    assert str(written) in result.stdout
    assert str(again) in result.stdout
    assert "1 rejected record is outstanding" in result.stdout
    assert "email" in result.stdout
    # The last run's own files are as they were.
    assert people.report() == last.report
    assert oct(written.stat().st_mode)[-3:] == "600"


def test_the_beginning_of_a_runs_name_is_enough_if_no_other_has_it(people: Plugin) -> None:
    runs = [people.run([SCHEMA, state(i)]).report["run"] for i in range(2)]
    assert people.run([], "--report", runs[0][:-1]).exit_code == 0
    result = people.run([], "--report", runs[0][:4])
    assert result.exit_code == 1
    assert result.stderr.splitlines()[-1] == (
        f"Several runs begin with '{runs[0][:4]}': the last ones are {runs[1]}, {runs[0]}."
    )


def test_an_unknown_run_is_one_line_that_names_the_last_ones(people: Plugin) -> None:
    run = people.run([SCHEMA, state(1)]).report["run"]
    result = people.run([], "--report", "1999%")
    assert result.exit_code == 1
    assert result.stderr.splitlines()[-1] == (
        f"No run begins with '1999%': the last ones are {run}."
    )


def test_a_run_that_was_killed_has_a_page_without_rejects(people: Plugin, sandbox: Sandbox) -> None:
    people.dying("after_pending").run([SCHEMA, person(1), state(1)])
    run = history(people)[1].split()[0]
    assert people.run([], "--report", run).exit_code == 0
    page = people.work_dir.joinpath(f"target-autoreach.{run}.report.html").read_text()
    assert "could not tell which records are outstanding" in page


def test_runs_are_kept_for_90_days_and_the_last_100_for_ever(people: Plugin) -> None:
    """The table is filled as if 130 runs had ended long ago, 10 of them just now."""
    url = people.config["database_url"] or f"sqlite:///{people.work_dir / 'singer-http.db'}"
    people.run([SCHEMA, state(1)])
    engine = sa.create_engine(url.replace("postgresql://", "postgresql+psycopg://"))
    old = int((datetime.now(UTC) - timedelta(days=91)).timestamp())
    with engine.begin() as connection:
        connection.execute(sa.text("UPDATE singer_http_runs SET started_at = :old"), {"old": old})
        columns = "plugin, account, sync, started_at, finished_at, outcome, report"
        copy = (
            f"INSERT INTO singer_http_runs (run, {columns}) "
            f"SELECT :run, {columns} FROM singer_http_runs LIMIT 1"
        )
        for number in range(KEPT_RUNS + 30):
            connection.execute(sa.text(copy), {"run": f"old-{number:03}"})
    last = people.run([SCHEMA, state(2)]).report["run"]
    with engine.connect() as connection:
        kept = connection.scalars(sa.text("SELECT run FROM singer_http_runs ORDER BY id")).all()
    engine.dispose()
    assert kept[-1] == last
    assert kept[:-1] == [f"old-{number:03}" for number in range(30, KEPT_RUNS + 30)]
