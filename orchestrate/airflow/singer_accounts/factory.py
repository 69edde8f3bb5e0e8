"""The DAG: list the accounts, run each, show them all."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from airflow.sdk import DAG, task
from airflow.sdk.exceptions import AirflowFailException

from singer_accounts.accounts import AccountsError, Query, read
from singer_accounts.job import Job
from singer_accounts.overview import Overview
from singer_accounts.task import RunAccount

EACH = "account"
"""Id of the mapped task."""
LISTED = "list_accounts"


def accounts_dag(
    *,
    job: Job,
    accounts: Path | Query,
    schedule: Any,
    dag_id: str | None = None,
    pool: str = "default_pool",
    retries: int = 5,
    retry_delay: timedelta = timedelta(minutes=1),
    max_retry_delay: timedelta = timedelta(hours=1),
    page: str | None = None,
) -> DAG:
    """A DAG that runs a job once for each account.

    Args:
        job: what runs.
        accounts: a YAML file or a query; read at the start of each DAG run.
        schedule: as Airflow takes it: a cron expression, a timetable, None.
        dag_id: the job's name if not given.
        pool: Airflow's pool: its slots are the number of accounts that run at once.
        retries: of an account's task. A run that needs a person is not retried, and a pause that
            the vendor asked for is no retry.
        retry_delay: before the first retry; doubled for each further one.
        max_retry_delay: the longest.
        page: where the page over all accounts goes; see `Overview`.

    Raises:
        TypeError: `accounts` or `page` is something else; Airflow shows it as an import error.
    """
    if not isinstance(accounts, Path | Query):
        msg = f"accounts is a Path or a Query, not {accounts!r}"
        raise TypeError(msg)
    if not isinstance(page, str | None):  # a Path of a URL has lost a slash
        msg = f"page is a text, not {page!r}"
        raise TypeError(msg)
    with DAG(
        dag_id or job.name,
        schedule=schedule,
        start_date=datetime(2026, 1, 1, tzinfo=UTC),
        catchup=False,
        # Two runs of one account exclude each other: the second one would fail.
        max_active_runs=1,
        doc_md=f"`meltano run {job.name}` for each account.",
    ) as dag:

        @task(task_id=LISTED, retries=retries, retry_delay=retry_delay)
        def list_accounts() -> list[dict[str, str]]:
            try:
                return [account.row() for account in read(accounts)]
            except AccountsError as error:  # it stays wrong until a person corrects it
                raise AirflowFailException(str(error)) from None

        each = RunAccount.partial(
            task_id=EACH,
            job=job,
            pool=pool,
            retries=retries,
            retry_delay=retry_delay,
            retry_exponential_backoff=True,
            max_retry_delay=max_retry_delay,
            map_index_template="{{ task.account['account'] }}",
        ).expand(account=list_accounts())
        last = Overview(
            task_id="overview",
            job=job,
            page=page,
            of=EACH,
            accounts=LISTED,
            retries=retries,
            retry_delay=retry_delay,
            trigger_rule="all_done",
        )
        each >> last
    return dag
