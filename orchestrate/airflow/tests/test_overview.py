"""What the last task does, with a stand-in for `singer-http`."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from singer_accounts import Job
from singer_accounts.overview import Overview

STAND_IN = """#!/usr/bin/env python3
import json, os, sys
print(json.dumps({"arguments": sys.argv[1:], "environment": dict(os.environ)}))
"""


def test_the_page_is_made_with_the_environment_that_the_runs_have(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    command = tmp_path / ".meltano" / "loaders" / "target-actionapi" / "venv/bin/singer-http"
    command.parent.mkdir(parents=True)
    command.write_text(STAND_IN)
    command.chmod(0o755)
    monkeypatch.setenv("AIRFLOW_CONN_SINGER", "postgres://user:p4ssword@db.example.com/singer")
    # Else the runs would reach the database, and the page would not.
    monkeypatch.setenv("PGSSLROOTCERT", "/etc/root.crt")
    job = Job("messages", tmp_path, ["target-actionapi"], {}, database="singer")
    last = Overview(task_id="overview", job=job, page=None, of="account", accounts="list_accounts")
    told = json.loads(last.summary("2026-01-31T02:00:00+00:00", tmp_path / "overview.html"))
    environment = told["environment"]
    assert environment["PGSSLROOTCERT"] == "/etc/root.crt"
    assert not [name for name in environment if "AIRFLOW" in name]
    url = environment["SINGER_HTTP_DATABASE_URL"]
    assert url == "postgresql://user:p4ssword@db.example.com/singer"
    assert "p4ssword" not in str(told["arguments"])
