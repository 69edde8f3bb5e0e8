"""Runs `meltano run` once, for one account, in a folder that is gone afterwards."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from singer_accounts.folder import Folder

LEFT_OUT = ("AIRFLOW_", "_AIRFLOW")
"""Variables of the worker that a plugin must not see: they have Airflow's own secrets."""
LOCAL_DATABASE = "singer-http.db"
"""In the `work_dir` of a plugin that gets no `database_url`."""
SETTLE_SECONDS = 60.0
"""How long a plugin has for the requests in flight, after Meltano was killed."""
INSTALLED = ("extractors", "loaders", "mappers", "utilities")
"""Folders of `.meltano` with the environments of the plugins."""


def of_worker() -> dict[str, str]:
    """The environment of the worker, without Airflow's own variables."""
    return {k: v for k, v in os.environ.items() if not k.startswith(LEFT_OUT)}


class Meltano:
    """One `meltano run`.

    Args:
        command: the command of Meltano.
        project: the folder of `meltano.yml`, with its plugins installed.
        locks: whether the job has a target of ours, which takes a lock for its account.
        folder: of this run. What Meltano and the plugins write goes there, so that two runs on
            one machine share nothing, and a task leaves nothing.
    """

    def __init__(self, command: str, project: Path, folder: Folder, *, locks: bool) -> None:
        self._command = command
        self._locks = locks
        self._project = project
        self._folder_lock = folder.lock
        self._system = folder.path / "meltano"
        self.work_dir = folder.path / "work"
        self._state_home = folder.path / "state"
        self._process: subprocess.Popen[str] | None = None
        self._ended = False

    def environment(self, plugins: Sequence[str], values: Mapping[str, str]) -> dict[str, str]:
        """The worker's environment without Airflow's, and what the run is given."""
        return {
            **of_worker(),
            # Its logs.
            "XDG_STATE_HOME": str(self._state_home),
            "MELTANO_SYS_DIR_ROOT": str(self._system),
            # The plugins were installed with the project: a run that installs is slow, and changes
            # what another one uses.
            "MELTANO_AUTO_INSTALL": "false",
            "MELTANO_SEND_ANONYMOUS_USAGE_STATS": "false",
            "NO_COLOR": "1",
            **settings(plugins, "work_dir", str(self.work_dir)),
            **values,
        }

    def run(self, job: str, environment: Mapping[str, str], say: Callable[[str], None]) -> int:
        """Run a job to its end; its exit code, below 0 if a signal killed Meltano.

        Args:
            job: of `meltano.yml`.
            environment: all of it.
            say: is given each line that Meltano and the plugins write.
        """
        self._prepare()
        if self._ended:
            return 128 + signal.SIGTERM
        # Meltano refuses a run of the account for 5 minutes after one that was killed. The lock of
        # a target of ours ends with its process, and excludes the runs of an account better.
        force = ["--force"] if self._locks else []
        # A session of its own: Airflow kills a task 5 seconds after SIGTERM, and a target needs up
        # to `timeout` for the requests in flight.
        process = self._process = subprocess.Popen(  # noqa: S603 - the DAG's own words
            [self._command, "run", *force, job],
            cwd=self._project,
            env=dict(environment),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            start_new_session=True,
            pass_fds=(self._folder_lock,),  # it may outlive a worker that is killed
        )
        if self._ended:  # between the two
            self.end()
        for line in process.stdout or ():
            say(line.rstrip("\n"))
        code = process.wait()
        if code < 0:
            self._end_plugins(process.pid)
        return code

    def end(self) -> None:
        """Ask it to end, as SIGTERM does; `run` returns when it has."""
        self._ended = True
        if self._process is not None and self._process.poll() is None:
            with suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGTERM)

    def _end_plugins(self, group: int) -> None:
        """End what a killed Meltano left: a target would run on, and exclude the next try."""
        ends = time.monotonic() + SETTLE_SECONDS
        with suppress(ProcessLookupError):  # none is left
            os.killpg(group, signal.SIGTERM)
            while time.monotonic() < ends:
                os.killpg(group, 0)
                time.sleep(0.1)

    def _prepare(self) -> None:
        for made in (self._system, self.work_dir, self._state_home):
            made.mkdir(mode=0o700)
        # It cannot be opened, so a plugin that got no `database_url` ends before it sends anything.
        # Otherwise its ledger would be gone with this folder, and each run would send all again.
        (self.work_dir / LOCAL_DATABASE).mkdir(mode=0o700)
        for kind in INSTALLED:
            installed = self._project / ".meltano" / kind
            if installed.exists():
                (self._system / kind).symlink_to(installed)


def settings(plugins: Sequence[str], setting: str, value: str) -> dict[str, str]:
    """The same setting for several plugins, as the variables that Meltano reads."""
    return {f"{plugin}_{setting}".replace("-", "_").upper(): value for plugin in plugins}
