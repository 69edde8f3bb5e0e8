"""Many accounts on Airflow: one task for each.

`accounts_dag` makes the DAG.
`Job` says what runs, `Query` reads the accounts from a table.
"""

from singer_accounts.accounts import Query
from singer_accounts.factory import accounts_dag
from singer_accounts.job import Job

__all__ = ["Job", "Query", "accounts_dag"]
