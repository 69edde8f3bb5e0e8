"""Forks a child for each run of a plugin; the plugins are imported once: `fork_server.py FD`.

Importing the SDK takes most of the time of a short run. A child of this process has it already, and
is otherwise what the plugin's console script is: module state, standard streams, signal handlers,
exit code, what runs at exit. `processes.py` is the other side.

FD is a Unix socket. One byte on it, with four descriptors (stdin, stdout, stderr, channel), is a
run. The channel is a Unix socket too: the child reads its `Request` from it, as one line of JSON;
this process writes the child's id to it, and the exit code when the child has ended, each as four
bytes. The end of FD ends this process and all its children.
"""

from __future__ import annotations

import atexit
import contextlib
import gc
import importlib
import io
import json
import os
import pkgutil
import select
import signal
import socket
import struct
import sys
import threading
import time
import zoneinfo
from importlib.metadata import EntryPoint, entry_points
from typing import NoReturn, NotRequired, TypedDict

import tests.dying

NUMBER = struct.Struct("=i")
DESCRIPTORS = 4


class Request(TypedDict):
    """What a child runs."""

    entry: str
    """The function, as in an entry point: `package.module:Class.method`."""
    argv: list[str]
    cwd: str
    env: dict[str, str]
    dies_at: NotRequired[tuple[str, int]]
    """The step at which it kills itself, and the how-manieth time (see `dying.py`)."""


def plugins() -> dict[str, str]:
    """Console script → entry point, of all taps and targets that are installed."""
    scripts = entry_points(group="console_scripts")
    return {s.name: s.value for s in scripts if s.name.startswith(("tap-", "target-"))}


def preload() -> None:
    """Import all modules of the plugins and of what they share, and what a run imports later."""
    packages = {entry.partition(".")[0] for entry in plugins().values()}
    for name in ("singer_http", *sorted(packages)):
        package = importlib.import_module(name)
        for module in pkgutil.walk_packages(package.__path__, f"{name}."):
            if not module.name.endswith("__main__"):
                importlib.import_module(module.name)
    for name in ("psycopg", "sqlalchemy.dialects.postgresql", "sqlalchemy.dialects.sqlite"):
        importlib.import_module(name)


def readable(*sockets: socket.socket) -> list[socket.socket]:
    """Wait until one can be read from; unlike `select`, whatever its descriptor's number."""
    poll = select.poll()
    for one in sockets:
        poll.register(one, select.POLLIN)
    found = {descriptor for descriptor, _ in poll.poll()}
    return [one for one in sockets if one.fileno() in found]


def serve(control: socket.socket) -> Request | None:
    """Fork a child for each run. Returns the run in the child, None at the end in this process."""
    children: dict[int, socket.socket] = {}
    woken, wake = socket.socketpair()
    wake.setblocking(False)
    signal.set_wakeup_fd(wake.fileno())
    signal.signal(signal.SIGCHLD, lambda *_: None)  # a signal that is ignored wakes nobody
    while True:
        ready = readable(control, woken)
        if woken in ready:
            woken.recv(4096)
            report_ended(children)
        if control in ready:
            byte, descriptors, _, _ = socket.recv_fds(control, 1, DESCRIPTORS)
            if not byte:
                for pid in children:
                    os.kill(pid, signal.SIGKILL)
                return None
            channel = socket.socket(fileno=descriptors.pop())
            if not (pid := os.fork()):
                for other in (control, woken, wake, *children.values()):
                    other.close()
                return begin(channel, descriptors)
            for descriptor in descriptors:
                os.close(descriptor)
            channel.sendall(NUMBER.pack(pid))
            children[pid] = channel


def report_ended(children: dict[int, socket.socket]) -> None:
    """Write the exit codes of the children that have ended; the others stay in `children`."""
    for pid in list(children):
        done, status = os.waitpid(pid, os.WNOHANG)
        if done:
            # Nobody reads it where a test has dropped the process.
            with children.pop(pid) as channel, contextlib.suppress(BrokenPipeError):
                channel.sendall(NUMBER.pack(os.waitstatus_to_exitcode(status)))


def begin(channel: socket.socket, descriptors: list[int]) -> Request:
    """Make the child what a process is that has just been started."""
    signal.set_wakeup_fd(-1)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    os.setsid()
    with channel, channel.makefile("rb") as lines:
        request: Request = json.loads(lines.readline())
    for number, descriptor in enumerate(descriptors):
        os.dup2(descriptor, number)
        os.close(descriptor)
    os.chdir(request["cwd"])
    os.environ.clear()
    os.environ.update(request["env"])
    time.tzset()
    zoneinfo.reset_tzpath()
    # The stream objects stay: the SDK's readers are bound to sys.stdin when they are imported.
    assert isinstance(sys.stdout, io.TextIOWrapper)
    sys.stdout.reconfigure(line_buffering=os.isatty(1))
    sys.argv = request["argv"]
    return request


def leave(code: int) -> NoReturn:
    """End as the interpreter does, but leave the memory to the system: that takes 40 ms less."""
    threading._shutdown()  # type: ignore[attr-defined]
    atexit._run_exitfuncs()
    try:
        sys.stdout.flush()
        sys.stderr.flush()
    except OSError:
        code = 120  # as the interpreter says it
    os._exit(code & 0xFF)


def main() -> None:
    """Serve; in a child, run the plugin and end as its console script does."""
    control = socket.socket(fileno=int(sys.argv[1]))
    preload()
    gc.freeze()  # what is imported is no garbage, and a child that looks at it copies its pages
    request = serve(control)
    if request is None:
        return
    if "dies_at" in request:
        tests.dying.arm(*request["dies_at"])
    command = EntryPoint(name="", value=request["entry"], group="").load()
    try:
        sys.exit(command())
    except SystemExit as end:
        if end.code is None or isinstance(end.code, int):
            leave(end.code or 0)
        raise


if __name__ == "__main__":
    main()
