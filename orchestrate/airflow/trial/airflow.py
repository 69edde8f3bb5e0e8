"""Airflow on this machine: its configuration, its processes, its commands."""

from __future__ import annotations

import base64
import json
import os
import secrets
import subprocess
import sys
import urllib.request
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import psycopg
from psycopg.rows import dict_row

from trial.services import Process, wait

HERE = Path(__file__).parents[1]
ROOT = HERE.parents[1]
BIN = Path(sys.executable).parent
PARTS = {"api": "api-server", "scheduler": "scheduler", "dags": "dag-processor"}
DAG = "messages"


class Airflow:
    """An Airflow with the CeleryExecutor; its workers are started beside it.

    Args:
        folder: for its home, logs and the like.
        database: URL of its own database.
        redis: URL of the queue.
        port: of the API server.
        variables: for the DAG and its tasks.
    """

    def __init__(
        self, folder: Path, database: str, redis: str, port: int, variables: Mapping[str, str]
    ) -> None:
        self.folder = folder
        self.database = database
        self.url = f"http://127.0.0.1:{port}"
        mine = {k: v for k, v in os.environ.items() if not k.startswith(("AIRFLOW", "MELTANO"))}
        self._shared = {
            **mine,
            "PATH": f"{BIN}{os.pathsep}{mine['PATH']}",
            # The package, as an image would have it installed.
            "PYTHONPATH": str(HERE),
            "AIRFLOW__CORE__EXECUTOR": "CeleryExecutor",
            "AIRFLOW__CORE__DAGS_FOLDER": str(HERE / "example" / "dags"),
            "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
            "AIRFLOW__CORE__DAGS_ARE_PAUSED_AT_CREATION": "False",
            "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"{self.url}/execution/",
            "AIRFLOW__API_AUTH__JWT_SECRET": secrets.token_hex(32),
            "AIRFLOW__CELERY__BROKER_URL": redis,
            "AIRFLOW__CELERY__RESULT_BACKEND": f"db+{_psycopg2(database)}",
            "AIRFLOW__CELERY__WORKER_PREFETCH_MULTIPLIER": "1",
            "AIRFLOW__CELERY__WORKER_ENABLE_REMOTE_CONTROL": "True",
            # A worker that is gone is noticed in half a minute; the default is 5.
            "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_SEC": "5",
            "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT": "30",
            "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT_DETECTION_INTERVAL": "5",
            "AIRFLOW__SCHEDULER__TASK_QUEUED_TIMEOUT": "60",
            "AIRFLOW__SCHEDULER__TASK_QUEUED_TIMEOUT_CHECK_INTERVAL": "15",
            "AIRFLOW__LOGGING__LOGGING_LEVEL": "INFO",
            **variables,
        }
        # Only the parts that stand together; a worker has the API's address, and no more.
        self._own = {
            "AIRFLOW_HOME": str(folder / "home"),
            "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": _psycopg2(database),
            "AIRFLOW__CORE__FERNET_KEY": base64.urlsafe_b64encode(secrets.token_bytes(32)).decode(),
            "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_ALL_ADMINS": "True",
            "AIRFLOW__API__SECRET_KEY": secrets.token_hex(32),
            "AIRFLOW__API__HOST": "127.0.0.1",
            "AIRFLOW__API__PORT": str(port),
            "AIRFLOW__API__WORKERS": "1",
            "AIRFLOW__API__BASE_URL": self.url,
        }
        self.parts = [
            Process(name, [str(BIN / "airflow"), command], {**self._shared, **self._own}, folder)
            for name, command in PARTS.items()
        ]

    def start(self, connections: Mapping[str, Mapping[str, Any]], slots: int) -> None:
        """Prepare the database and start the parts.

        Args:
            connections: id -> its members, as `airflow connections import` takes them.
            slots: of the pool of the accounts.
        """
        self("db", "migrate")
        self("pools", "set", "accounts", str(slots), "Accounts at once")
        listed = self.folder / "connections.json"
        listed.touch(0o600)
        listed.write_text(json.dumps(connections))
        self("connections", "import", str(listed))
        listed.unlink()
        for part in self.parts:
            part.start()
        wait("Airflow's API", self._healthy, 300)
        wait("the DAG", lambda: bool(self.query("select 1 from dag where not is_stale")), 300)

    def stop(self) -> None:
        """End the parts."""
        for part in self.parts:
            part.end()
        for part in self.parts:
            part.stop()

    def revive(self) -> None:
        """Start what has ended by itself."""
        for part in self.parts:
            part.revive()

    def worker_environment(self, home: Path, slots: int) -> dict[str, str]:
        """A worker's variables.

        Args:
            home: a folder of its own.
            slots: how many tasks it runs at once.
        """
        return {
            **self._shared,
            "AIRFLOW_HOME": str(home),
            "HOME": str(home),
            "TMPDIR": str(home / "tmp"),
            "AIRFLOW__CELERY__WORKER_CONCURRENCY": str(slots),
            "OVERVIEW_PAGE": str(home / "overview.html"),
        }

    def __call__(self, *arguments: str) -> str:
        """Run a command of Airflow.

        Raises:
            RuntimeError: it failed; the text is the end of what it said.
        """
        done = subprocess.run(
            [str(BIN / "airflow"), *arguments],
            env={**self._shared, **self._own},
            cwd=self.folder,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            msg = f"airflow {' '.join(arguments)}: {(done.stdout + done.stderr)[-3000:]}"
            raise RuntimeError(msg)
        return done.stdout

    def query(self, statement: str) -> list[dict[str, Any]]:
        """Query Airflow's database."""
        with psycopg.connect(self.database, row_factory=dict_row) as connection:
            return connection.execute(statement.encode()).fetchall()

    def tasks(self) -> dict[str, int]:
        """State -> how many accounts' tasks have it."""
        rows = self.query(
            "select coalesce(state, 'none') as state, count(*) as number from task_instance"
            " where task_id = 'account' group by 1"
        )
        return {row["state"]: row["number"] for row in rows}

    def run_state(self) -> str:
        """How the last DAG run stands."""
        rows = self.query("select state from dag_run order by id desc limit 1")
        return str(rows[0]["state"]) if rows else "none"

    def _healthy(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self.url}/api/v2/monitor/health", timeout=5) as answer:
                return bool(json.load(answer)["scheduler"]["status"] == "healthy")
        except (OSError, ValueError):
            return False


def _psycopg2(url: str) -> str:
    return url.replace("postgresql://", "postgresql+psycopg2://", 1)
