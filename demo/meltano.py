"""Runs Meltano as a user would, with what the demo uses instead of a user's own settings."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Callable, Mapping
from pathlib import Path

ROOT = Path(__file__).parents[1]
MELTANO = Path(os.environ.get("MELTANO", ROOT / ".tools" / "meltano" / "bin" / "meltano"))
STOP_SECONDS = 15.0
TICK_SECONDS = 0.25
PLUGIN_PREFIXES = ("MELTANO_", "TAP_", "TARGET_")


class MeltanoError(RuntimeError):
    """A command of Meltano failed; the text is the end of its log."""


class Meltano:
    """Meltano in this project's root, with a log, a state and variables of the demo's own.

    Args:
        folder: where the log and Meltano's own database go.
        variables: the environment for Meltano and its plugins, over this process' own.
    """

    def __init__(self, folder: Path, variables: Mapping[str, str]) -> None:
        self.log = folder / "meltano.log"
        # What the user has set for real pipelines must not reach into the demo, nor the other way.
        mine = {k: v for k, v in os.environ.items() if not k.startswith(PLUGIN_PREFIXES)}
        self.environment = {
            **mine,
            "MELTANO_DATABASE_URI": f"sqlite:///{folder / 'meltano.db'}",
            "MELTANO_ENVIRONMENT": "sandbox",
            "NO_COLOR": "1",
            **variables,
        }

    def __call__(self, *arguments: str, tick: Callable[[], None] = lambda: None) -> float:
        """Run one command to its end and return how many seconds it took.

        `tick` is called a few times a second meanwhile. Whatever ends this, no process of the
        command is left.

        Raises:
            MeltanoError: the command failed.
        """
        began = time.monotonic()
        with self.log.open("ab") as log:
            start = log.tell()
            # A session of its own: Ctrl-C reaches the demo alone, which then ends them all.
            process = subprocess.Popen(
                [MELTANO, *arguments],
                cwd=ROOT,
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
            try:
                while process.poll() is None:
                    time.sleep(TICK_SECONDS)
                    tick()
            finally:
                _end_group(process)
        if process.returncode:
            said = self.log.read_bytes()[start:].decode(errors="replace")
            end = "\n".join(said.splitlines()[-25:])
            msg = f"meltano {' '.join(arguments)}: exit code {process.returncode}\n{end}"
            raise MeltanoError(msg)
        return time.monotonic() - began


def _end_group(leader: subprocess.Popen[bytes]) -> None:
    """End a process and those that it started, also where it has left some of them behind."""
    for sign in (signal.SIGTERM, signal.SIGKILL):
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(leader.pid, sign)
            with contextlib.suppress(subprocess.TimeoutExpired):
                leader.wait(STOP_SECONDS)
            ends = time.monotonic() + STOP_SECONDS
            while time.monotonic() < ends:
                os.killpg(leader.pid, 0)  # raises when nobody is left
                time.sleep(0.05)
