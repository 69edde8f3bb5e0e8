"""What a task does when a tap of ours stops: the real tap, and the sandbox as its vendor."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psycopg
import pytest
from airflow.sdk.exceptions import AirflowFailException, AirflowRescheduleException
from trial.airflow import ROOT

from demo.postgres import database, postgres
from singer_accounts import Job
from singer_accounts.task import RunAccount
from singer_sandbox.client import Sandbox

STAND_IN = Path(__file__).with_name("meltano_stand_in.py")
DATABASE_URL = "TAP_REISOFTWARE_DATABASE_URL"
TAP = ROOT / ".venv" / "bin" / "tap-reisoftware"

pytestmark = pytest.mark.skipif(not TAP.exists(), reason="there is no tap: make env")


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    with Sandbox(seed=True) as running:
        yield running


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with postgres() as server, database(server, "singer_taps") as name:
        yield name


@pytest.fixture
def task(sandbox: Sandbox, url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> RunAccount:
    """The task of an account whose contacts are read."""
    settings = sandbox.settings("tap-reisoftware")
    monkeypatch.setenv(
        "AIRFLOW_CONN_REI_DALLAS",
        json.dumps({"conn_type": "generic", "password": settings["api_key"]}),
    )
    monkeypatch.setenv("AIRFLOW_CONN_SINGER", url.replace("postgresql://", "postgres://"))
    job = Job(
        name="contacts",
        project=tmp_path,
        plugins=["tap-reisoftware"],
        credentials={"TAP_REISOFTWARE_API_KEY": "password"},
        database="singer",
        variables={
            "STAND_IN": json.dumps({"seen": str(tmp_path / "seen"), "tap": str(TAP)}),
            "TAP_REISOFTWARE_API_URL": settings["api_url"],
        },
        meltano=str(STAND_IN),
    )
    account = {"account": "dallas", "connection": "rei_dallas"}
    return RunAccount(task_id="account", job=job, account=account)


def last_run(url: str) -> tuple[str, str, bool]:
    """The outcome of the account's last run in the database, and whether it needs a person."""
    with psycopg.connect(url) as connection:
        (row,) = connection.execute(
            "select plugin, outcome, (report::json ->> 'needs_person')::boolean"
            " from singer_http_runs order by id desc limit 1"
        ).fetchall()
    return row


def test_a_task_shows_what_a_tap_read(task: RunAccount, sandbox: Sandbox) -> None:
    given = task.execute({})
    contacts = len(sandbox.state("rei")["contacts"])
    assert given["streams"]["contacts"] == {"records": contacts}


def test_wrong_credentials_of_a_tap_are_not_retried(
    task: RunAccount, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_REI_DALLAS", '{"conn_type": "generic", "password": "no-key"}')
    with pytest.raises(AirflowFailException, match=r"dallas: .* ended with 1: HTTP 401"):
        task.execute({})
    assert last_run(url) == ("tap-reisoftware", "stopped", True)


def test_a_pause_that_the_vendor_names_to_a_tap_is_kept(
    task: RunAccount, url: str, sandbox: Sandbox
) -> None:
    sandbox.fault(vendor="rei", status=429, times=None, retry_after=7200)
    with pytest.raises(AirflowRescheduleException) as raised:
        task.execute({})
    wait = raised.value.reschedule_date - datetime.now(UTC)
    assert timedelta(hours=1.9) < wait < timedelta(hours=2.1)
    assert last_run(url) == ("tap-reisoftware", "stopped", False)


def test_a_limit_of_a_day_that_is_used_up_frees_the_slot(
    task: RunAccount, monkeypatch: pytest.MonkeyPatch
) -> None:
    task.execute({})
    monkeypatch.setenv("TAP_REISOFTWARE_RATE_LIMIT", "1/day")
    with pytest.raises(AirflowRescheduleException) as raised:
        task.execute({})
    wait = raised.value.reschedule_date - datetime.now(UTC)
    assert timedelta(hours=23) < wait < timedelta(hours=25)


def test_a_plugin_that_gets_no_database_stops_before_its_first_request(
    task: RunAccount, sandbox: Sandbox
) -> None:
    # As where meltano.yml does not declare database_url: the ledger would end with the task.
    told = json.loads(task.job.variables["STAND_IN"])
    variables = {**task.job.variables, "STAND_IN": json.dumps({**told, "without": DATABASE_URL})}
    task.job = dataclasses.replace(task.job, variables=variables)
    with pytest.raises(AirflowFailException, match="check `database_url`"):
        task.execute({})
    assert not sandbox.requests("rei")
