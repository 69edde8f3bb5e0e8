"""What a task does, with a stand-in for Meltano."""

from __future__ import annotations

import dataclasses
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import threading
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from airflow.sdk.exceptions import (
    AirflowException,
    AirflowFailException,
    AirflowRescheduleException,
)
from airflow.sdk.log import mask_logs

from singer_accounts import Job
from singer_accounts.folder import PREFIX
from singer_accounts.folder import folder as try_folder
from singer_accounts.task import RunAccount

STAND_IN = Path(__file__).with_name("meltano_stand_in.py")
SECRET = "merlin-key-of-dallas"
COUNTS = {"received": 50, "created": 49, "rejected": 1, "unchanged": 0, "seconds": 1.5}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("AIRFLOW_CONN_MERLIN_DALLAS", json.dumps(
        {"conn_type": "generic", "password": SECRET, "extra": {"location": "L1"}}
    ))  # fmt: skip
    monkeypatch.setenv(
        "AIRFLOW_CONN_SINGER", "postgres://user:p%40ss@db.example.com:5432/singer?sslmode=require"
    )
    (tmp_path / "project" / ".meltano" / "loaders" / "target-actionapi").mkdir(parents=True)
    return tmp_path


def task(folder: Path, **told: Any) -> RunAccount:
    told["seen"] = str(folder / "seen.json")
    job = Job(
        name="messages",
        project=folder / "project",
        plugins=["target-actionapi"],
        credentials={"TARGET_ACTIONAPI_API_KEY": "password", "LOCATION": "location"},
        database="singer",
        variables={"STAND_IN": json.dumps(told)},
        meltano=str(STAND_IN),
    )
    account = {"account": "dallas", "connection": "merlin_dallas", "TARGET_X_RATE_LIMIT": "5/s"}
    return RunAccount(task_id="account", job=job, account=account)


def report(**members: Any) -> dict[str, Any]:
    told = {"plugin": "target-actionapi", "account": "dallas", "outcome": "ok", "error": None}
    return {**told, "streams": {"sms": COUNTS}, **members}


def test_a_run_gets_its_accounts_settings_and_leaves_nothing(folder: Path) -> None:
    given = task(folder, report=report()).execute({})
    assert given == {
        "account": "dallas",
        "streams": {"sms": {"received": 50, "created": 49, "rejected": 1}},
    }
    seen = json.loads((folder / "seen.json").read_text())
    assert seen["arguments"] == ["run", "--force", "messages"]
    assert seen["cwd"] == str(folder / "project")
    assert seen["system"] == ["loaders"]
    environment = seen["environment"]
    url = "user:p%40ss@db.example.com:5432/singer?sslmode=require"
    expected = {
        "TARGET_ACTIONAPI_API_KEY": SECRET,
        "LOCATION": "L1",
        "TARGET_ACTIONAPI_ACCOUNT": "dallas",
        "TARGET_ACTIONAPI_DATABASE_URL": f"postgresql://{url}",
        "MELTANO_DATABASE_URI": f"postgresql+psycopg://{url}",
        "MELTANO_RUN_STATE_ID_SUFFIX": "dallas",
        "SINGER_ACCOUNT": "dallas",
        "TARGET_X_RATE_LIMIT": "5/s",
    }
    assert expected.items() <= environment.items()
    assert not [name for name in environment if "AIRFLOW" in name]
    assert not Path(environment["TARGET_ACTIONAPI_WORK_DIR"]).exists()


def test_a_credential_is_in_no_line_and_in_no_attribute(
    folder: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    one = task(folder, report=report())
    assert SECRET not in str(one.execute({}))
    said = capfd.readouterr()
    assert "a line of the run" in said.out
    assert SECRET not in said.out + said.err
    assert SECRET not in str(one.__dict__)


def test_a_credential_that_a_plugin_prints_is_masked(
    folder: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    extra = {"location": "merlin-location"}
    conn = {"conn_type": "generic", "password": SECRET, "host": "crm.example.com", "extra": extra}
    monkeypatch.setenv("AIRFLOW_CONN_MERLIN_DALLAS", json.dumps(conn))
    monkeypatch.setenv("AIRFLOW_CONN_SINGER", "postgres://u:sing%40er%2Fpw@db.example.com/singer")
    said = ["TARGET_ACTIONAPI_API_KEY", "LOCATION", "HOST", "TARGET_ACTIONAPI_DATABASE_URL"]
    one = task(folder, report=report(), say=said)
    one.job = dataclasses.replace(one.job, credentials={**one.job.credentials, "HOST": "host"})
    one.execute({})
    # In a worker each line goes through this.
    shown = mask_logs(None, "info", {"event": capfd.readouterr().out})["event"]
    assert "*** *** crm.example.com postgresql://u:***@db.example.com/singer" in shown


@pytest.mark.parametrize(("part", "given"), [
    ({"project": "p1", "ok": True}, '{"project": "p1", "ok": true}'),
    (["a", "b"], '["a", "b"]'),
    (17, "17"),
])  # fmt: skip
def test_a_part_of_an_extra_that_is_no_text_is_given_as_json(
    folder: Path, monkeypatch: pytest.MonkeyPatch, part: Any, given: str
) -> None:
    conn = {"conn_type": "generic", "password": SECRET, "extra": {"location": part}}
    monkeypatch.setenv("AIRFLOW_CONN_MERLIN_DALLAS", json.dumps(conn))
    task(folder, report=report()).execute({})
    assert json.loads((folder / "seen.json").read_text())["environment"]["LOCATION"] == given


@pytest.mark.parametrize("extra", ['{"sslmode": "require"', '["sslmode"]', '"sslmode"'])
@pytest.mark.parametrize("connection", ["SINGER", "MERLIN_DALLAS"])
def test_an_extra_that_is_no_json_object_needs_a_person(
    folder: Path, monkeypatch: pytest.MonkeyPatch, connection: str, extra: str
) -> None:
    # Airflow takes it as empty: the database would be used without sslmode.
    conn = {"conn_type": "postgres", "host": "db.example.com", "password": SECRET, "extra": extra}
    monkeypatch.setenv(f"AIRFLOW_CONN_{connection}", json.dumps(conn))
    said = f"Connection {connection.lower()}: its extra is no JSON object"
    with pytest.raises(AirflowFailException, match=said):
        task(folder, report=report()).execute({})


@pytest.mark.parametrize(("kind", "said"), [
    ("sqlite", "Connection singer is for sqlite: it has to be PostgreSQL"),
    ("postgresql+psycopg2", r"is for postgresql\+psycopg2: it has to be PostgreSQL"),
    (None, "Connection singer has no type"),
])  # fmt: skip
def test_a_database_that_no_other_worker_would_see_needs_a_person(
    folder: Path, monkeypatch: pytest.MonkeyPatch, kind: str | None, said: str
) -> None:
    told = {"conn_type": kind, "host": "/var/singer.db"}
    monkeypatch.setenv("AIRFLOW_CONN_SINGER", json.dumps(told))
    with pytest.raises(AirflowFailException, match=said):
        task(folder, report=report()).execute({})


def test_the_counts_stand_at_the_end_of_the_log(
    folder: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    task(folder, report=report()).execute({})
    *_, line, counts = capfd.readouterr().out.splitlines()
    assert "a line of the run" in line
    assert "dallas: sms: received 50, created 49, rejected 1" in counts


def test_a_stop_that_needs_a_person_is_not_retried(folder: Path) -> None:
    told = report(outcome="stopped", error="Invalid key", needs_person=True, retry_at=None)
    with pytest.raises(AirflowFailException, match=r"dallas: .* ended with 1: Invalid key"):
        task(folder, code=1, report=told).execute({})


def test_a_pause_that_the_vendor_names_is_kept(folder: Path) -> None:
    at = datetime.now(UTC).replace(microsecond=0) + timedelta(hours=2)
    told = report(outcome="stopped", error="Later", needs_person=False, retry_at=at.isoformat())
    with pytest.raises(AirflowRescheduleException) as raised:
        task(folder, code=1, report=told).execute({})
    assert raised.value.reschedule_date == at


@pytest.mark.parametrize(("told", "setting"), [
    (None, "work_dir"),
    (report(plugin="tap-reisoftware"), "work_dir"),
    (report(account="c5c18c878e94a4f9"), "account"),
])  # fmt: skip
def test_a_run_whose_plugin_did_not_get_its_settings_needs_a_person(
    folder: Path, told: dict[str, Any] | None, setting: str
) -> None:
    # A name in `plugins` is wrong, or meltano.yml does not declare the setting.
    with pytest.raises(AirflowFailException, match=f"target-actionapi did not get `{setting}`"):
        task(folder, report=told).execute({})


@pytest.mark.parametrize("told", [None, report(outcome="failed", error="x", needs_person=False)])
def test_any_other_failure_is_retried(folder: Path, told: dict[str, Any] | None) -> None:
    with pytest.raises(AirflowException) as raised:
        task(folder, code=1, report=told).execute({})
    assert not isinstance(raised.value, AirflowFailException | AirflowRescheduleException)


def test_a_connection_without_a_credential_needs_a_person(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_MERLIN_DALLAS", '{"conn_type": "generic", "login": "me"}')
    with pytest.raises(AirflowFailException, match=r"has no password, .*; it has login"):
        task(folder, report=report()).execute({})


@pytest.mark.parametrize(("extra", "said"), [
    ({"sslmode": "always"}, "Connection singer: sslmode 'always' is none of disable, allow, "),
    ({"ssl_mode": "require"}, "Connection singer: the extra ssl_mode is no option of PostgreSQL: "),
])  # fmt: skip
def test_an_extra_that_postgresql_does_not_know_needs_a_person(
    folder: Path, monkeypatch: pytest.MonkeyPatch, extra: dict[str, str], said: str
) -> None:
    told = {"conn_type": "postgres", "host": "db.example.com", "password": "p", "extra": extra}
    monkeypatch.setenv("AIRFLOW_CONN_SINGER", json.dumps(told))
    with pytest.raises(AirflowFailException, match=re.escape(said)):
        task(folder, report=report()).execute({})
    assert not (folder / "seen.json").exists()


def test_an_extra_of_airflows_own_hook_is_left_out(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = {"cursor": "dictcursor", "sqlalchemy_scheme": "postgresql"}
    extra = {"sslmode": "require", "keepalives": True, **own}
    told = {"conn_type": "postgres", "host": "db.example.com", "schema": "s", "extra": extra}
    monkeypatch.setenv("AIRFLOW_CONN_SINGER", json.dumps(told))
    task(folder, report=report()).execute({})
    given = json.loads((folder / "seen.json").read_text())["environment"]
    url = "postgresql://db.example.com/s?keepalives=1&sslmode=require"
    assert given["TARGET_ACTIONAPI_DATABASE_URL"] == url


def test_sigterm_is_passed_on_and_waited_for(folder: Path) -> None:
    one = task(folder, wait=True)

    def kill() -> None:
        ends = time.monotonic() + 30
        while not (folder / "seen.json").exists() and time.monotonic() < ends:
            time.sleep(0.05)
        time.sleep(0.3)
        one.on_kill()

    threading.Thread(target=kill, daemon=True).start()
    with pytest.raises(AirflowException, match="ended with 143"):
        one.execute({})
    assert (folder / "seen.ended").read_text() == "after the requests in flight"


def test_what_a_killed_meltano_left_is_ended_before_the_try_is_over(folder: Path) -> None:
    # The kernel kills it where memory is short. A target that goes on refuses the next try.
    with pytest.raises(AirflowException, match="with -9: SIGKILL killed Meltano; the worker may"):
        task(folder, killed=True).execute({})
    assert (folder / "seen.ended").read_text() == "after the requests in flight"


def start_and_kill(folder: Path, meanwhile: str = "pass") -> subprocess.Popen[bytes]:
    """A try in a process of its own, which kills itself once it has its folder."""
    program = (
        "import os, signal, subprocess; from singer_accounts.folder import folder\n"
        f"with folder() as own: {meanwhile}; os.kill(os.getpid(), signal.SIGKILL)"
    )
    return subprocess.Popen(
        [sys.executable, "-c", program],
        env={**os.environ, "TMPDIR": str(folder)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )


def test_the_folder_of_a_killed_try_is_removed_by_the_next_one(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    assert start_and_kill(folder).wait() == -signal.SIGKILL
    (left,) = folder.glob(f"{PREFIX}*")
    with try_folder() as one, try_folder() as other:
        assert not left.exists()
        assert one.path.exists()
        assert other.path.exists()
    assert not [*folder.glob(f"{PREFIX}*")]


def test_the_folder_of_a_run_whose_worker_was_killed_stays_until_the_run_ends(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    worker = start_and_kill(folder, "subprocess.Popen(['cat'], pass_fds=(own.lock,))")
    worker.wait()
    (left,) = folder.glob(f"{PREFIX}*")
    with try_folder():
        assert left.exists()
    worker.communicate()  # cat ends with its input, and then its files are closed
    ends = time.monotonic() + 10
    while left.exists() and time.monotonic() < ends:
        with try_folder():
            pass
    assert not left.exists()
