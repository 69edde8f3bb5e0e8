"""An Airflow DAG: contacts and SMS of all accounts, from the warehouse to Merlin CRM.

Airflow reads only files that have both of these words: airflow, dag.
"""

from __future__ import annotations

import os
from datetime import timedelta
from pathlib import Path

from singer_accounts import Job, Query, accounts_dag

HERE = Path(__file__).parents[1]
# Where the vendor is not the real one: the sandbox's addresses.
ADDRESSES = {
    name: os.environ[name]
    for name in (
        "TARGET_ACTIONAPI_API_URL",
        "TARGET_ACTIONAPI_AUTOMATION_URL",
        "TARGET_ACTIONAPI_MESSAGE_URL",
    )
    if name in os.environ
}

dag = accounts_dag(
    job=Job(
        name="messages",
        project=Path(os.environ.get("MELTANO_PROJECT_ROOT", HERE)),
        plugins=["target-actionapi"],
        credentials={"TARGET_ACTIONAPI_API_KEY": "password"},
        database="singer",
        urls={"WAREHOUSE_URL": "warehouse"},
        # Only as long as no SMS was sent to any account: see docs/how-to/messages.md.
        variables={**ADDRESSES, "TARGET_ACTIONAPI_FIRST_RUN": "true"},
        meltano=os.environ.get("MELTANO", "meltano"),
    ),
    accounts=Query(
        "warehouse",
        'select account, connection, rate_limit as "TARGET_ACTIONAPI_RATE_LIMIT"'
        " from agency.accounts order by account",
    ),
    schedule=None,
    pool="accounts",
    retry_delay=timedelta(seconds=int(os.environ.get("RETRY_SECONDS", "60"))),
    page=os.environ.get("OVERVIEW_PAGE"),
)
