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

    def __post_init__(self) -> None:
        """Check the arguments: a text is a sequence too, and few who write a DAG check types.

        With a text as `plugins` no plugin would get the database, and each worker would have a
        ledger of its own.

        Raises:
            TypeError: an argument has a wrong type; Airflow shows it as an import error.
        """
        if isinstance(self.plugins, str) or not self.plugins:
            msg = f"plugins is a list of names of plugins of ours, not {self.plugins!r}"
            raise TypeError(msg)
        if not isinstance(self.project, Path):
            msg = f"project is a Path, not {self.project!r}"
            raise TypeError(msg)
        for named in (self.credentials, self.urls, self.variables):
            for name, value in named.items():
                if not isinstance(value, str):
                    msg = f"{name} is a text, not of type {type(value).__name__}"
                    raise TypeError(msg)

    @property
    def has_target(self) -> bool:
        """Whether a target of ours is in the job."""
        return any(plugin.startswith("target-") for plugin in self.plugins)
