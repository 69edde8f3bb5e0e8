"""What runs for each account."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Job:
    """A job of a Meltano project, and where its settings come from.

    Args:
        name: of the job in `meltano.yml`.
        project: the folder of `meltano.yml`, with its plugins installed, on each worker.
        plugins: ours among the job's plugins, the targets last: they get `account`, `database_url`
            and `work_dir`.
        credentials: variable -> the part of the account's connection that it gets: `login`,
            `password`, `host`, `schema`, or a name in the connection's extra.
        database: id of the connection of the one database that outlives a task: `database_url` of
            the plugins, and Meltano's own, which has the state.
        urls: variable -> id of a connection, for the URLs of other databases: `WAREHOUSE_URL`.
        variables: the same for all accounts: `MELTANO_ENVIRONMENT`. No credentials.
        meltano: the command.
    """

    name: str
    project: Path
    plugins: Sequence[str]
    credentials: Mapping[str, str]
    database: str
    urls: Mapping[str, str] = field(default_factory=dict)
    variables: Mapping[str, str] = field(default_factory=dict)
    meltano: str = "meltano"
