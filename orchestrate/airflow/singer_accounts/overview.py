"""The last task: one page over all accounts, and the verdict."""

from __future__ import annotations

import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from airflow.sdk import BaseOperator, Context, ObjectStoragePath
from airflow.sdk.exceptions import AirflowException, AirflowFailException
from typing_extensions import override

from singer_accounts import connections
from singer_accounts.job import Job
from singer_accounts.meltano import of_worker

COMMAND = "singer-http"
BAD = ("failed", "upstream_failed")
"""States of an account's task that fail the DAG run."""
NAMED = 20
"""Accounts that the error names, at most."""
WRITTEN = (0, 1)
"""Exit codes of the command: all went well, or a last run did not."""


class Overview(BaseOperator):
    """Writes the page out of the runs in the database; fails if an account's task did.

    Args:
        job: what ran for all accounts.
        page: where the page goes: a path or a URL that Airflow's object storage takes, with
            `{run_id}` where it should have the DAG run's id. None writes no page.
        of: id of the mapped task.
        accounts: id of the task that listed the accounts.
    """

    template_fields = ()

    def __init__(
        self, *, job: Job, page: str | None, of: str, accounts: str, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.job = job
        self.page = page
        self.of = of
        self.accounts = accounts

    @override
    def execute(self, context: Context) -> str | None:
        """Write it.

        Returns: where the page is.

        Raises:
            AirflowException: the page could not be made.
            AirflowFailException: accounts failed; a retry of this task does not help them.
        """
        run = context["dag_run"]
        since = run.run_after  # stays the same when failed accounts are cleared, and run again
        with tempfile.TemporaryDirectory(prefix="singer-overview-") as folder:
            made = Path(folder, "overview.html")
            self.log.info("%s", self.summary(since.isoformat(), made))
            where = self.publish(made, run.run_id)
        tasks = self.tasks(context)
        if tasks == {self.of: "upstream_failed"}:
            msg = f"No account ran: the task {self.accounts} failed, and its log says why"
            raise AirflowFailException(msg)
        failed = [task for task, state in tasks.items() if state in BAD]
        if failed:
            told = f"; the page: {where}" if where else ""
            # A tap that is not ours is in no page.
            names = ", ".join(self.names(context, failed[:NAMED]))
            more = ", ..." if len(failed) > NAMED else ""
            msg = f"{len(failed)} of {len(tasks)} accounts failed ({names}{more}){told}"
            raise AirflowFailException(msg)
        return where

    def tasks(self, context: Context) -> dict[str, str | None]:
        """The accounts' tasks of this DAG run, with their states."""
        run = context["dag_run"].run_id
        states: dict[str, str | None] = context["ti"].get_task_states(
            dag_id=self.dag_id, task_ids=[self.of], run_ids=[run]
        )[run]
        return states

    def names(self, context: Context, tasks: Sequence[str]) -> list[str]:
        """The accounts of these tasks: `account_0` has the first entry of the list."""
        rows = context["ti"].xcom_pull(task_ids=self.accounts) or []
        numbers = [task.removeprefix(f"{self.of}_") for task in tasks]
        return [rows[int(number)]["account"] for number in numbers]

    def summary(self, since: str, page: Path) -> str:
        """Make the page; what the command says."""
        database = connections.database_url(self.job.database)
        done = subprocess.run(  # noqa: S603 - the DAG's own words
            [self.command(), "overview", "--since", since, "--output", str(page)],
            # Not among the arguments, which every user of the machine can list.
            env={**of_worker(), "SINGER_HTTP_DATABASE_URL": database},
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode not in WRITTEN:
            msg = f"singer-http overview ended with {done.returncode}: {done.stderr.strip()}"
            raise AirflowException(msg)
        return done.stdout.rpartition("\n\nPage: ")[0]  # it is moved from there

    def command(self) -> str:
        """`singer-http` of the environment that Meltano made for a plugin of the job."""
        for plugin in reversed(self.job.plugins):
            for kind in ("loaders", "extractors"):
                parent = plugin.partition("--")[0]
                for name in (plugin, parent):
                    found = self.job.project / ".meltano" / kind / name / "venv" / "bin" / COMMAND
                    if found.exists():
                        return str(found)
        msg = f"{COMMAND} is in no plugin's environment in {self.job.project}: run meltano install"
        raise AirflowException(msg)

    def publish(self, made: Path, run_id: str) -> str | None:
        """Put the page where people find it."""
        if self.page is None:
            return None
        where = ObjectStoragePath(self.page.replace("{run_id}", run_id.replace(":", "_")))
        where.parent.mkdir(parents=True, exist_ok=True)
        where.write_bytes(made.read_bytes())
        self.log.info("The page over all accounts: %s", where)
        return str(where)
