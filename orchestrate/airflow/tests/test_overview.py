"""What the last task does, with a stand-in for `singer-http`."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from airflow.sdk.exceptions import AirflowFailException

from singer_accounts import Job
from singer_accounts.overview import Overview

STAND_IN = """#!/usr/bin/env python3
import json, os, pathlib, sys
print(json.dumps({"arguments": sys.argv[1:], "environment": dict(os.environ)}))
page = sys.argv[-1]
pathlib.Path(page).write_text("the page")
print("\\nPage: " + page)
"""


@dataclass
class Run:
    """As much of a DAG run as the last task sees, with the states of the accounts' tasks."""

    states: dict[str, str]
    run_id: str = "manual__2026-01-31T02:00:00+00:00"
    run_after: datetime = datetime(2026, 1, 31, 2, tzinfo=UTC)

    def get_task_states(self, **asked: Any) -> dict[str, dict[str, str]]:
        return {self.run_id: self.states}

    def xcom_pull(self, task_ids: str) -> list[dict[str, str]] | None:
        return [{"account": "dallas"}, {"account": "reno"}]

    def execute(self, last: Overview) -> Any:
        context: Any = {"dag_run": self, "ti": self}
        return last.execute(context)


@pytest.fixture
def last(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Overview:
    command = tmp_path / ".meltano" / "loaders" / "target-actionapi" / "venv/bin/singer-http"
    command.parent.mkdir(parents=True)
    command.write_text(STAND_IN)
    command.chmod(0o755)
    monkeypatch.setenv("AIRFLOW_CONN_SINGER", "postgres://user:p4ssword@db.example.com/singer")
    job = Job("messages", tmp_path, ["target-actionapi"], {}, database="singer")
    page = f"{tmp_path}/pages/{{run_id}}.html"
    return Overview(task_id="overview", job=job, page=page, of="account", accounts="list_accounts")


def test_the_page_is_made_with_the_environment_that_the_runs_have(
    last: Overview, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Else the runs would reach the database, and the page would not.
    monkeypatch.setenv("PGSSLROOTCERT", "/etc/root.crt")
    told = json.loads(last.summary("2026-01-31T02:00:00+00:00", tmp_path / "overview.html"))
    environment = told["environment"]
    assert environment["PGSSLROOTCERT"] == "/etc/root.crt"
    assert not [name for name in environment if "AIRFLOW" in name]
    url = environment["SINGER_HTTP_DATABASE_URL"]
    assert url == "postgresql://user:p4ssword@db.example.com/singer"
    assert "p4ssword" not in str(told["arguments"])


def test_the_log_names_the_place_where_the_page_stays(
    last: Overview, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    run = Run({"account_0": "success", "account_1": "success"})
    page = tmp_path / "pages" / "manual__2026-01-31T02_00_00+00_00.html"
    assert run.execute(last).endswith(str(page))
    assert page.read_text() == "the page"
    said = capfd.readouterr().out
    assert f"The page over all accounts: {page}" in said
    assert "\nPage: " not in said


def test_the_verdict_names_the_accounts_that_failed(last: Overview) -> None:
    with pytest.raises(AirflowFailException, match=r"1 of 2 accounts failed \(reno\); the page: "):
        Run({"account_0": "success", "account_1": "failed"}).execute(last)


def test_the_verdict_says_that_the_list_was_not_read(last: Overview) -> None:
    with pytest.raises(AirflowFailException, match="No account ran: the task list_accounts failed"):
        Run({"account": "upstream_failed"}).execute(last)
