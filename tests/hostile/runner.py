"""Plugins as real processes, without a new interpreter for each.

A zygote imports the plugins once and forks a child for each run, so that a run starts in
milliseconds and still can be killed with SIGKILL. The zygote has one thread and talks JSON lines.

    with Runner() as runner:
        process = runner.start(["target-autoreach", "--config", "c.json"], cwd=..., ...)
        process.wait(30)
"""

from __future__ import annotations

import contextlib
import importlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
import traceback
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

PLUGINS = {
    "target-autoreach": ("target_autoreach.target", "TargetAutoReach"),
    "target-reisoftware": ("target_reisoftware.target", "TargetReiSoftware"),
    "target-emailmarketing": ("target_emailmarketing.target", "TargetEmailMarketing"),
    "target-actionapi": ("target_actionapi.target", "TargetActionApi"),
}
IMPORTED_LATE = (
    "singer_http.report.counts", "singer_http.report.page", "singer_http.target.run",
)  # fmt: skip
"""Modules that a run imports when it needs them: here they are imported once."""
PAUSE = 0.004
"""Seconds between two questions whether a child has ended."""


class Process:
    """A run of a plugin. Its pid stays its own until `wait` has seen the end."""

    def __init__(self, runner: Runner, pid: int) -> None:
        self.pid = pid
        self.returncode: int | None = None
        self._runner = runner
        self._lock = threading.Lock()

    def poll(self) -> int | None:
        """The exit code, as `subprocess` gives it (-9 for SIGKILL); None while it runs."""
        with self._lock:
            if self.returncode is None:
                status = self._runner.ask({"poll": self.pid})["status"]
                self.returncode = None if status is None else os.waitstatus_to_exitcode(status)
            return self.returncode

    def wait(self, timeout: float) -> int:
        """Wait for the end.

        Raises:
            subprocess.TimeoutExpired: it still runs after `timeout` seconds.
        """
        end = time.monotonic() + timeout
        while (code := self.poll()) is None:
            if time.monotonic() > end:
                raise subprocess.TimeoutExpired(str(self.pid), timeout)
            time.sleep(PAUSE)
        return code

    def send_signal(self, signum: int) -> None:
        """Send a signal, unless it has ended."""
        with self._lock, contextlib.suppress(ProcessLookupError):
            if self.returncode is None:
                os.kill(self.pid, signum)


class Runner:
    """Starts plugins. Used from several threads."""

    def __init__(self) -> None:
        self._zygote = subprocess.Popen(
            [sys.executable, "-m", "tests.hostile.runner"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            cwd=Path(__file__).parents[2],
        )
        self._lock = threading.Lock()

    def __enter__(self) -> Runner:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """End the zygote."""
        if self._zygote.stdin:
            self._zygote.stdin.close()
        self._zygote.wait(10)
        if self._zygote.stdout:
            self._zygote.stdout.close()

    def ask(self, question: Mapping[str, Any]) -> dict[str, Any]:
        """One question to the zygote, one answer."""
        stdin, stdout = self._zygote.stdin, self._zygote.stdout
        if stdin is None or stdout is None:
            raise RuntimeError("the zygote has no pipes")
        with self._lock:
            stdin.write(json.dumps(question).encode() + b"\n")
            stdin.flush()
            line = stdout.readline()
        if not line:
            raise RuntimeError("the zygote has ended")
        answer: dict[str, Any] = json.loads(line)
        return answer

    def start(
        self,
        argv: Sequence[str],
        cwd: Path,
        env: Mapping[str, str],
        stdin_path: Path,
        stdout_path: Path,
        stderr_path: Path,
    ) -> Process:
        """Start `argv` (a plugin's name and its arguments) with files for its three streams.

        Args:
            argv: the name is one of `PLUGINS`.
            cwd: its working directory.
            env: added to the environment.
            stdin_path: read.
            stdout_path: appended to.
            stderr_path: appended to.
        """
        paths = [str(stdin_path), str(stdout_path), str(stderr_path)]
        request = {"argv": list(argv), "cwd": str(cwd), "env": dict(env), "paths": paths}
        return Process(self, self.ask(request)["pid"])


# --- the zygote -----------------------------------------------------------------------------------


def main() -> None:
    """Serve until the input ends."""
    classes = {
        name: getattr(importlib.import_module(module), cls)
        for name, (module, cls) in PLUGINS.items()
    }
    for module in IMPORTED_LATE:
        with contextlib.suppress(ImportError):
            importlib.import_module(module)
    requests, answers = os.dup(0), os.dup(1)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.dup2(2, 1)
    children: set[int] = set()
    with os.fdopen(requests, "rb") as lines:
        for line in lines:
            request = json.loads(line)
            if "poll" in request:
                pid, status = os.waitpid(request["poll"], os.WNOHANG)
                children.discard(pid)
                answer: dict[str, Any] = {"status": status if pid else None}
            else:
                pid = os.fork()
                if pid == 0:
                    run(classes[request["argv"][0]], request)
                children.add(pid)
                answer = {"pid": pid}
            os.write(answers, json.dumps(answer).encode() + b"\n")
    for pid in children:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def run(plugin: Any, request: Mapping[str, Any]) -> None:
    """The child: carry out the command line, and never return."""
    code = 1
    try:
        os.chdir(request["cwd"])
        os.environ.update(request["env"])
        os.closerange(3, 64)
        flags = (os.O_RDONLY, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        for number, path in enumerate(request["paths"]):
            opened = os.open(path, flags[number > 0], 0o600)
            if opened != number:
                os.dup2(opened, number)
                os.close(opened)
        shorten_pauses(request["env"])
        sys.argv = list(request["argv"])
        try:
            plugin.cli()
            code = 0
        except SystemExit as error:
            code = error.code if isinstance(error.code, int) else int(error.code is not None)
        sys.stdout.flush()
        sys.stderr.flush()
    except Exception:  # noqa: BLE001 - the child of a fork has nobody above it who could say it
        traceback.print_exc()
    finally:
        os._exit(code)


def shorten_pauses(env: Mapping[str, str]) -> None:
    """A run of a minute in a second: STATE and second tries come as often as in a long one."""
    for name in ("CHECKPOINT", "LONGEST_BACKOFF"):
        if (value := env.get(f"HOSTILE_{name}")) is None:
            continue
        for module_name, module in list(sys.modules.items()):
            if module_name.startswith("singer_http") and hasattr(module, name):
                setattr(module, name, float(value))


if __name__ == "__main__":
    main()
