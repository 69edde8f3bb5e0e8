"""The task of one account."""

from __future__ import annotations

import signal
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from airflow.sdk import BaseOperator, Context
from airflow.sdk.exceptions import (
    AirflowException,
    AirflowFailException,
    AirflowRescheduleException,
)
from typing_extensions import override

from singer_accounts import connections
from singer_accounts.accounts import Account
from singer_accounts.folder import folder
from singer_accounts.job import Job
from singer_accounts.meltano import Meltano, settings
from singer_accounts.outcome import Outcome


class RunAccount(BaseOperator):
    """Runs the job for one account, and decides by the reports of its plugins.

    Args:
        job: what runs, for all accounts.
        account: an entry of the list of accounts. It has no credentials: those are read from the
            account's connection when the task runs, and go to Meltano's environment only.
    """

    template_fields = ()

    def __init__(self, *, job: Job, account: Mapping[str, Any], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.job = job
        self.account = account
        self._meltano: Meltano | None = None

    @override
    def execute(self, context: Context) -> dict[str, Any]:
        """Run it.

        Returns: the account's name and counts, which the task's page shows.

        Raises:
            AirflowFailException: a person has to do something first; no retries.
            AirflowRescheduleException: the vendor named a time to come back.
            AirflowException: anything else; Airflow retries.
        """
        account = Account.of(self.account)
        with folder() as own:
            job = self.job
            meltano = Meltano(job.meltano, job.project, own, locks=job.has_target)
            self._meltano = meltano
            environment = meltano.environment(job.plugins, self.values(account))
            code = meltano.run(job.name, environment, self.log.info)
            outcome = Outcome.read(meltano.work_dir)
        counts = outcome.counts()
        for stream, numbers in counts.items():
            shown = ", ".join(f"{name} {number:,}" for name, number in numbers.items())
            self.log.info("%s: %s: %s", account.name, stream, shown or "nothing came")
        if code != 0:
            raise self.error(account, code, outcome)
        if lacks := outcome.undeclared(job.plugins, account.name):
            msg = (
                f"{account.name}: {', '.join(job.plugins)} did not get `{lacks}`: is each of them "
                "in the job, and does meltano.yml declare work_dir, account and database_url for "
                "it? Without them an account has no ledger that lasts."
            )
            raise AirflowFailException(msg)
        return {"account": account.name, "streams": counts}

    def values(self, account: Account) -> dict[str, str]:
        """The variables of an account's run, credentials among them."""
        job = self.job
        urls = {name: connections.sqlalchemy_url(id_) for name, id_ in job.urls.items()}
        database = connections.database_url(job.database)
        return {
            **job.variables,
            **urls,
            **account.variables,
            **connections.credentials(account.connection, job.credentials),
            **settings(job.plugins, "database_url", database),
            **settings(job.plugins, "account", account.name),
            "SINGER_ACCOUNT": account.name,
            # What `meltano[postgres]` installs.
            "MELTANO_DATABASE_URI": connections.database_url(job.database, driver="psycopg"),
            "MELTANO_RUN_STATE_ID_SUFFIX": account.name,
        }

    def error(self, account: Account, code: int, outcome: Outcome) -> AirflowException:
        """What a failed run means for Airflow."""
        why = outcome.error or "the log has the reason"
        if code < 0:
            name = signal.Signals(-code).name
            memory = "; the worker may lack memory" if name == "SIGKILL" else ""
            why = f"{name} killed Meltano{memory}"
        msg = f"{account.name}: meltano run {self.job.name} ended with {code}: {why}"
        if outcome.needs_person:
            return AirflowFailException(msg)
        if (at := outcome.retry_at) is not None and at > datetime.now(UTC):
            self.log.warning("%s: to be tried again at %s", msg, at.isoformat())
            return AirflowRescheduleException(at)  # type: ignore[no-untyped-call] # Airflow's
        return AirflowException(msg)

    @override
    def on_kill(self) -> None:
        """SIGTERM from Airflow: passed on to Meltano, which `execute` waits for."""
        if self._meltano is not None:
            self._meltano.end()
