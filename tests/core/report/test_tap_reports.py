"""What a tap's run leaves: a report in a file and in the database, however it ends."""

from __future__ import annotations

import json
import re
import signal
import subprocess
from datetime import UTC, datetime
from pathlib import Path

import psycopg
import pytest

from singer_http.store import DATABASE_FILE
from singer_sandbox import Sandbox
from tests.front_door import JSON, SCRIPTS
from tests.tapping import Tap, only


@pytest.fixture
def rei(sandbox: Sandbox, tmp_path: Path) -> Tap:
    """A tap whose work_dir is there, as a target beside it leaves it."""
    return with_folder(Tap("tap-reisoftware", sandbox, tmp_path))


def with_folder(tap: Tap) -> Tap:
    Path(tap.config["work_dir"]).mkdir()
    return tap


@pytest.fixture
def contacts(rei: Tap) -> JSON:
    """A catalog in which only contacts are selected."""
    return only(rei.discover(), "contacts")


def report(tap: Tap, account: str = "") -> JSON:
    """The report that a tap left in its work_dir."""
    name = f"{tap.name}.{account}" if account else tap.name
    found: JSON = json.loads(Path(tap.config["work_dir"], f"{name}.report.json").read_text())
    return found


def hours_until(moment: str) -> float:
    """The hours from now to a moment of a report."""
    return (datetime.fromisoformat(moment) - datetime.now(UTC)).total_seconds() / 3600


def test_a_run_that_ends_well_says_what_it_read(sandbox: Sandbox, rei: Tap, contacts: JSON) -> None:
    sandbox.fill("rei", contacts=3)
    rei.read(catalog=contacts, account="dallas")
    left = report(rei, "dallas")
    assert left["streams"] == {"contacts": {"records": 3}}
    assert (left["plugin"], left["account"]) == ("tap-reisoftware", "dallas")
    assert (left["outcome"], left["error"]) == ("ok", None)
    assert (left["needs_person"], left["retry_at"]) == (False, None)


def test_a_stream_without_records_was_read_too(rei: Tap, contacts: JSON) -> None:
    rei.read(catalog=contacts)
    assert report(rei)["streams"] == {"contacts": {"records": 0}}


@pytest.mark.parametrize("key", ["no-key", None])
def test_credentials_that_are_wrong_or_missing_need_a_person(
    rei: Tap, contacts: JSON, key: str | None
) -> None:
    said = rei.run(catalog=contacts, api_key=key).error
    left = report(rei)
    assert (left["outcome"], left["needs_person"]) == ("stopped", True)
    assert left["error"] == said
    assert left["streams"] == {}


def test_a_setting_that_is_none_of_its_choices_needs_a_person(rei: Tap, contacts: JSON) -> None:
    said = rei.run(catalog=contacts, api_version="v9").error
    assert said == "setting api_version is 'v9'; it takes one of 'v1', 'v2'"
    left = report(rei)
    assert (left["outcome"], left["needs_person"], left["error"]) == ("stopped", True, said)


def test_a_pause_that_the_vendor_names_is_in_the_report(
    sandbox: Sandbox, rei: Tap, contacts: JSON
) -> None:
    sandbox.fill("rei", contacts=1)
    sandbox.fault(vendor="rei", status=429, times=None, retry_after=7200)
    assert "longer than max_wait" in rei.run(catalog=contacts).error
    left = report(rei)
    assert (left["outcome"], left["needs_person"]) == ("stopped", False)
    assert 1.9 < hours_until(left["retry_at"]) < 2.1


def test_a_tap_does_not_begin_while_its_own_limit_is_used_up_for_long(
    sandbox: Sandbox, rei: Tap, contacts: JSON
) -> None:
    sandbox.fill("rei", contacts=3)
    rei.read(catalog=contacts, rate_limit="2/day")
    said = rei.run(catalog=contacts, rate_limit="1/day").error
    assert "rate_limit: 1/86400s is used up for 86" in said
    left = report(rei)
    assert (left["needs_person"], left["error"]) == (False, said)
    assert 23 < hours_until(left["retry_at"]) < 25


def test_a_tap_that_reads_waits_for_its_own_limit_since_the_next_run_would_begin_again(
    sandbox: Sandbox, rei: Tap, contacts: JSON
) -> None:
    sandbox.fill("rei", contacts=3)
    process = rei.start(catalog=contacts, rate_limit="2/day", page_size=1)
    rei.wait_for("rate_limit: 2/86400s is used up, waiting until")
    assert process.poll() is None
    process.send_signal(signal.SIGTERM)
    assert rei.finish(process).exit_code == 143


def test_a_tap_that_is_ended_by_a_signal_needs_nobody(
    sandbox: Sandbox, rei: Tap, contacts: JSON
) -> None:
    sandbox.fill("rei", contacts=3)
    process = rei.start(catalog=contacts, rate_limit="1/60s", page_size=1)
    rei.wait_for("is used up, waiting until")
    process.send_signal(signal.SIGTERM)
    assert rei.finish(process).exit_code == 143
    left = report(rei)
    assert (left["outcome"], left["needs_person"]) == ("stopped", False)
    assert left["error"] == "ended by a signal"


def test_a_tap_whose_reader_has_ended_needs_nobody(
    sandbox: Sandbox, rei: Tap, contacts: JSON, tmp_path: Path
) -> None:
    sandbox.fill("rei", contacts=500)
    for name, content in (("c", rei.config), ("catalog", contacts)):
        (tmp_path / f"{name}.json").write_text(json.dumps(content))
    command = f"{SCRIPTS}/tap-reisoftware --config c.json --catalog catalog.json | head -c 10"
    subprocess.run(["sh", "-c", command], cwd=tmp_path, check=True, capture_output=True)
    left = report(rei)
    assert (left["outcome"], left["needs_person"]) == ("stopped", False)
    assert left["error"] == "The reader of the output has ended"


def test_a_discovery_that_asks_the_vendor_leaves_a_report_if_it_stops(
    sandbox: Sandbox, tmp_path: Path
) -> None:
    tap = with_folder(Tap("tap-autoreach", sandbox, tmp_path))
    tap.discover()
    assert not Path(tap.config["work_dir"], "tap-autoreach.report.json").exists()
    said = tap.run("--discover", client_secret="wrong").error
    left = report(tap)
    assert (left["error"], left["needs_person"]) == (said, True)


def test_the_overview_has_the_last_run_of_a_tap(sandbox: Sandbox, rei: Tap, contacts: JSON) -> None:
    sandbox.fill("rei", contacts=3)
    limited = {"rate_limit": "100/10s"}  # its window makes the database
    rei.run(catalog=contacts, account="dallas", api_key="no-key", **limited)
    code, said = overview(rei)
    assert code == 1
    assert re.search(r"stopped +dallas +tap-reisoftware +needs a person: HTTP 401", said)
    rei.read(catalog=contacts, account="dallas", **limited)
    code, said = overview(rei)
    assert code == 0
    assert "tap-reisoftware" not in said  # it is no longer among those that stopped
    # A tap has no input that could have ended early.
    assert "No STATE" not in said


def test_a_report_that_cannot_be_kept_is_no_reason_to_fail(
    sandbox: Sandbox, rei: Tap, contacts: JSON
) -> None:
    sandbox.fill("rei", contacts=3)
    url = "postgresql://nobody@127.0.0.1:9/none"
    done = rei.read(catalog=contacts, database_url=url)
    assert len(done.records("contacts")) == 3
    assert "The report is not in the database: " in done.stderr
    assert report(rei)["outcome"] == "ok"


def test_old_runs_of_a_tap_are_removed(
    sandbox: Sandbox, rei: Tap, contacts: JSON, database: str
) -> None:
    for _ in range(2):
        rei.read(catalog=contacts, account="dallas", database_url=database)
    columns = "plugin, account, sync, started_at, finished_at, outcome, report"
    with psycopg.connect(database) as connection:
        connection.execute(
            "UPDATE singer_http_runs SET started_at = started_at - 100 * 86400;"
            f"INSERT INTO singer_http_runs (run, {columns})"
            f" SELECT number, {columns} FROM singer_http_runs, generate_series(1, 110) AS number"
            " WHERE id = 1"
        )
    rei.read(catalog=contacts, account="dallas", database_url=database)
    rei.read(catalog=contacts, account="reno", database_url=database)
    with psycopg.connect(database) as connection:
        found = connection.execute(
            "SELECT split_part(account, ' ', 1), count(*) FROM singer_http_runs GROUP BY 1"
        ).fetchall()
    assert dict(found) == {"dallas": 100, "reno": 1}


def overview(tap: Tap) -> tuple[int, str]:
    """The exit code of `singer-http overview`, and what it says."""
    url = f"sqlite:///{tap.config['work_dir']}/{DATABASE_FILE}"
    done = subprocess.run(
        [SCRIPTS / "singer-http", "overview", "--database-url", url],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    return done.returncode, done.stdout + done.stderr
