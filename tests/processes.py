"""Runs of plugins as processes: forked where the SDK is imported already, or console scripts."""

from __future__ import annotations

import array
import ctypes
import fcntl
import json
import os
import select
import signal
import socket
import subprocess
import sys
import tempfile
import termios
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import IO, Any, ClassVar

from tests.fork_server import NUMBER, Request, plugins

ROOT = Path(__file__).parents[1]
SCRIPTS = Path(sys.executable).parent
"""Where the console scripts are."""
ENTRIES = plugins()


class ForkServer:
    """The one `fork_server.py` of this process, started when it is needed."""

    _running: ClassVar[ForkServer | None] = None

    def __init__(self) -> None:
        self._control, theirs = socket.socketpair()
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "tests.fork_server", str(theirs.fileno())],
                stdin=subprocess.DEVNULL,
                cwd=ROOT,
                pass_fds=[theirs.fileno()],
                start_new_session=True,  # Ctrl-C is for who runs the tests
            )

    @classmethod
    def get(cls) -> ForkServer:
        """The one that runs."""
        if cls._running is None:
            cls._running = cls()
        return cls._running

    @classmethod
    def stop(cls) -> None:
        """End it, and the runs that still go on."""
        running, cls._running = cls._running, None
        if running:
            running._control.close()
            running._process.wait()

    def fork(self, request: Request, descriptors: Sequence[int]) -> socket.socket:
        """Begin a run; its channel."""
        mine, theirs = socket.socketpair()
        with theirs:
            socket.send_fds(self._control, [b"."], [*descriptors, theirs.fileno()])
        mine.sendall(json.dumps(request).encode() + b"\n")
        return mine


class Forked:
    """A run in a child of the fork server; the part of `subprocess.Popen` that tests use.

    Its output goes to files, so it never waits for a reader.
    """

    def __init__(
        self,
        request: Request,
        *,
        stdin: IO[bytes] | int,
        stdout: IO[bytes] | int,
        stderr: IO[bytes] | int,
    ) -> None:
        self.args = request["argv"]
        self.returncode: int | None = None
        self.stdin: IO[bytes] | None = None
        self._outputs: list[IO[bytes] | None] = [None, None]
        opened: list[int] = []
        descriptors: list[int] = []
        for number, stream in enumerate((stdin, stdout, stderr)):
            if not isinstance(stream, int):
                descriptors.append(stream.fileno())
            elif stream == subprocess.DEVNULL:
                opened.append(os.open(os.devnull, os.O_RDWR))
                descriptors.append(opened[-1])
            elif stream != subprocess.PIPE:
                descriptors.append(stream)
            elif number == 0:
                theirs, mine = os.pipe()
                self.stdin = os.fdopen(mine, "wb", buffering=0)
                opened.append(theirs)
                descriptors.append(theirs)
            else:
                output = self._outputs[number - 1] = tempfile.TemporaryFile()  # noqa: SIM115  (open as long as this)
                descriptors.append(output.fileno())
        self._channel = ForkServer.get().fork(request, descriptors)
        for descriptor in opened:
            os.close(descriptor)
        self.pid = self._number()

    def poll(self) -> int | None:
        """The exit code, None while it runs."""
        if self.returncode is None and self._ended_within(0):
            self.wait()
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        """Wait for its end; the exit code, negative for the signal that ended it."""
        if self.returncode is None:
            if not self._ended_within(timeout):
                raise subprocess.TimeoutExpired(self.args, timeout or 0)
            self.returncode = self._number()
            self._channel.close()
        return self.returncode

    def communicate(self, timeout: float | None = None) -> tuple[bytes, bytes]:
        """Close its input, wait for its end; what it wrote to stdout and stderr."""
        if self.stdin:
            self.stdin.close()
        self.wait(timeout)
        written = []
        for output in self._outputs:
            if output:
                output.seek(0)
            written.append(output.read() if output else b"")
        return written[0], written[1]

    def send_signal(self, signum: int) -> None:
        """Send a signal, unless it has ended."""
        if self.poll() is None:
            os.kill(self.pid, signum)

    def terminate(self) -> None:
        """Send SIGTERM."""
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """Send SIGKILL."""
        self.send_signal(signal.SIGKILL)

    def _ended_within(self, seconds: float | None) -> bool:
        # Not select: it takes no descriptor beyond 1023, and some tests open many.
        watch = select.poll()
        watch.register(self._channel, select.POLLIN)
        return bool(watch.poll(None if seconds is None else seconds * 1000))

    def _number(self) -> int:
        data = self._channel.recv(NUMBER.size, socket.MSG_WAITALL)
        if len(data) < NUMBER.size:
            raise RuntimeError("the fork server has died")
        number: int = NUMBER.unpack(data)[0]
        return number


def terminate_elsewhere(process: Process) -> None:
    """Send SIGTERM to a thread that is not the main one, whose wait it does not interrupt."""
    threads = (int(path.name) for path in Path(f"/proc/{process.pid}/task").iterdir())
    other = next(thread for thread in threads if thread != process.pid)
    assert ctypes.CDLL(None).tgkill(process.pid, other, signal.SIGTERM) == 0


def wait_until(found: Callable[[], Any], seconds: float = 60) -> None:
    """Wait until it is so; AssertionError if it is not in time."""
    ends = time.monotonic() + seconds
    while not found():
        assert time.monotonic() < ends, "waited in vain"
        time.sleep(0.01)


def wait_read(pipe: IO[bytes]) -> None:
    """Wait until all that was written to a pipe has been read; AssertionError if it is not."""
    unread = array.array("i", [1])

    def all_read() -> bool:
        fcntl.ioctl(pipe, termios.FIONREAD, unread)
        return unread[0] == 0

    wait_until(all_read)


Process = Forked | subprocess.Popen[bytes]

true_console_scripts = False
"""Whether `start` runs console scripts; set for tests with the mark `console_script`."""


def start(
    name: str,
    arguments: Sequence[str],
    *,
    cwd: Path,
    stdin: IO[bytes] | int = subprocess.DEVNULL,
    stdout: IO[bytes] | int = subprocess.PIPE,
    stderr: IO[bytes] | int = subprocess.PIPE,
    env: Mapping[str, str] | None = None,
    entry: str | None = None,
    dies_at: tuple[str, int] | None = None,
) -> Process:
    """Start a plugin.

    Args:
        env: the whole environment, None for this process's.
        entry: `package.module:Class.cli`, for what is not installed as a script.
        dies_at: the step of `dying.py` at which it kills itself, and which time.
    """
    command = [str(SCRIPTS / name), *arguments]
    environment = dict(os.environ if env is None else env)
    if true_console_scripts and entry is None and dies_at is None:
        return subprocess.Popen(
            command, stdin=stdin, stdout=stdout, stderr=stderr, cwd=cwd, env=environment
        )
    request: Request = {
        "entry": entry or ENTRIES[name],
        "argv": command,
        "cwd": str(cwd),
        "env": environment,
    }
    if dies_at:
        request["dies_at"] = dies_at
    return Forked(request, stdin=stdin, stdout=stdout, stderr=stderr)
