"""The vendors' server on loopback: accounts by credentials, faults by the scenario's plan."""

from __future__ import annotations

import contextlib
import json
import socket
import threading
import time
import urllib.parse
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from typing_extensions import override

from tests.hostile.faults import (
    CREATE,
    LOOKUP_WAIT,
    MESSAGE,
    MOST_LAG,
    READ,
    TIMEOUT,
    Fault,
    Signal,
)

JSON = dict[str, Any]
PAGE = b"<html><head><title>Please wait</title></head><body>One moment.</body></html>"


@dataclass
class Call:
    """A request as a vendor sees it."""

    method: str
    path: str
    """Below the vendor's address, without the first slash."""
    query: dict[str, str]
    headers: dict[str, str]
    """Names in lower case."""
    body: Any
    """Decoded JSON; None without a body."""


@dataclass
class Answer:
    """What the vendor answers: JSON, or bytes as they are."""

    status: int
    data: Any = None
    raw: bytes | None = None
    headers: dict[str, str] = field(default_factory=dict)

    @property
    def content(self) -> bytes:
        """The body."""
        if self.raw is not None:
            return self.raw
        return b"" if self.data is None else json.dumps(self.data).encode()


class Vendor:
    """A model of one vendor: all its accounts. `handle` runs under the world's lock."""

    empty_means_none = False
    """A read that is answered with nothing at all may mean that nothing was found."""

    def __init__(self, world: World) -> None:
        self.world = world

    def label(self, call: Call) -> str:
        """READ, CREATE, WRITE, MESSAGE, or token."""
        raise NotImplementedError

    def handle(self, call: Call) -> Answer:
        """Do the work."""
        raise NotImplementedError

    def refusal(self, call: Call, words: str) -> Answer:
        """A no in the vendor's own words; nothing is done."""
        raise NotImplementedError


@dataclass
class World:
    """One scenario's vendor, and what goes wrong in the step that runs."""

    lag: float = 0.0
    """Seconds by which lists and lookups are behind."""
    vendor: Vendor | None = None
    faults: list[Fault] = field(default_factory=list)
    signal: Signal | None = None
    send_signal: Callable[[int], None] | None = None
    writes: int = 0
    """Creates, writes and messages of this step."""
    deletes: list[Any] = field(default_factory=list)
    """What the vendor deleted in this step, as it was."""
    busy: int = 0
    """Requests being handled."""
    ended_early: int = 0
    """Runs that were killed or stopped."""
    quiet: bool = False
    """The scenario is over: late work is not done any more."""
    lock: threading.RLock = field(default_factory=threading.RLock)
    work: threading.RLock = field(default_factory=threading.RLock)
    strangers_asked: list[str] = field(default_factory=list)
    """Paths that were asked for with credentials of nobody."""

    def step(self, faults: list[Fault], signal: Signal | None) -> None:
        """Begin a step."""
        with self.lock:
            self.faults, self.signal = faults, signal
            self.writes, self.deletes = 0, []

    def visible(self, made_at: float) -> bool:
        """Whether something made then stands in lists and lookups."""
        return time.monotonic() - made_at >= self.lag

    def wait_until_quiet(self) -> None:
        """Wait for the end of late work."""
        end = time.monotonic() + 10
        while self.busy and time.monotonic() < end:
            time.sleep(0.01)

    def plan(self, label: str) -> Fault | None:
        """The fault that hits this request."""
        with self.lock:
            found = [fault for fault in self.faults if fault.strikes(label)]
        return found[0] if found else None

    def maybe_signal(self, when: str) -> None:
        """Send the step's signal if this is the moment."""
        with self.lock:
            signal = self.signal
            due = signal and not signal.sent and signal.nth and signal.when == when
            if not (signal and due and self.writes >= signal.nth and self.send_signal):
                return
            signal.sent = True
        self.send_signal(signal.signum)


class Server(ThreadingHTTPServer):
    """Serves the worlds of all scenarios of one process, each under `/<name>/`."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.worlds: dict[str, World] = {}
        threading.Thread(target=self.serve_forever, args=(0.05,), daemon=True).start()

    @override
    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that was killed is no news."""

    def url(self, name: str) -> str:
        """Where a world is."""
        return f"http://127.0.0.1:{self.server_address[1]}/{name}"


class Handler(BaseHTTPRequestHandler):
    """One connection."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: Server

    @override
    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing."""

    def answer(self) -> None:
        """Any request."""
        target = urllib.parse.urlsplit(self.path)
        length = int(self.headers.get("Content-Length") or 0)
        text = self.rfile.read(length) if length else b""
        name, _, path = target.path.lstrip("/").partition("/")
        world = self.server.worlds.get(name)
        if world is None or world.vendor is None or world.quiet:
            self.write(Answer(410, raw=PAGE))
            return
        try:
            body = json.loads(text) if text else None
        except ValueError:
            self.write(Answer(400, {"message": "not JSON"}))
            return
        query = dict(urllib.parse.parse_qsl(target.query, keep_blank_values=True))
        headers = {name.lower(): value for name, value in self.headers.items()}
        call = Call(self.command, urllib.parse.unquote(path), query, headers, body)
        with world.lock:
            world.busy += 1
        try:
            self.carry_out(world, world.vendor, call)
        finally:
            with world.lock:
                world.busy -= 1

    def __getattr__(self, name: str) -> Any:
        """`do_GET` and all others."""
        if name.startswith("do_"):
            return self.answer
        raise AttributeError(name)

    def carry_out(self, world: World, vendor: Vendor, call: Call) -> None:
        """Do the work, and what goes wrong before or after it."""
        label = vendor.label(call)
        if label == "token":
            with world.work:
                done = vendor.handle(call)
            self.write(done)
            return
        if label != READ:
            with world.lock:
                world.writes += 1
        fault = world.plan(label)
        if label != READ:
            world.maybe_signal("before")
        if fault and fault.when == "before":
            self.fail(fault, vendor, call, None)
            return
        if fault and label in (CREATE, MESSAGE) and fault.kind in ("late", "very_late"):
            signal, ended = world.signal, world.ended_early
            time.sleep(lateness(fault))
            killed = signal is not None and signal.sent and signal.signum == 9
            ended_early = killed or world.ended_early > ended
            # A create that is carried out long after its run was killed or stopped may be made
            # again: that is not promised.
            if world.quiet or (fault.kind == "very_late" and ended_early):
                return
        with world.work:
            done = vendor.handle(call)
        if label != READ:
            world.maybe_signal("after")
        if fault is None:
            self.write(done)
        else:
            if fault.kind in ("late", "very_late") and label not in (CREATE, MESSAGE):
                time.sleep(TIMEOUT + 0.1)
            self.fail(fault, vendor, call, done)

    def fail(self, fault: Fault, vendor: Vendor, call: Call, done: Answer | None) -> None:
        """Answer as the fault says; `done` is what the vendor would have answered."""
        kind = fault.kind
        content = done.content if done else b""
        none = kind == "nothing" or (kind == "empty" and vendor.empty_means_none)
        if none and vendor.label(call) == READ:
            kind = "truncated"  # these are forms of "there is none": the vendor would be lying
        if done and done.status >= 400 and kind in ("empty", "nothing", "html", "truncated"):
            kind = "drop"  # nobody answers 200 to what the vendor refused
        if kind == "drop":
            self.drop()
        elif kind == "status":
            self.write(Answer(fault.status, raw=PAGE if fault.nth % 2 else b'{"message":"oops"}'))
        elif kind == "throttle":
            self.write(Answer(429, {"message": "slow down"}, headers={"Retry-After": "0"}))
        elif kind == "redirect":
            self.write(Answer(fault.status, raw=b"", headers={"Location": "/elsewhere"}))
        elif kind == "html":
            self.write(Answer(200, raw=PAGE, headers={"Content-Type": "text/html"}))
        elif kind == "not_found_page":
            self.write(Answer(404, raw=PAGE, headers={"Content-Type": "text/html"}))
        elif kind == "unauthorized":
            self.write(Answer(401, {"message": "Unauthorized"}))
        elif kind.startswith("refuse"):
            echo = f" {call.headers} {call.body}" if kind == "refuse_echo" else ""
            self.write(vendor.refusal(call, f"value is invalid{echo}"))
        elif kind == "cut":
            self.write(Answer(200, raw=content[: len(content) // 2]), length=len(content) + 20)
            self.drop()
        elif kind == "truncated":
            self.write(Answer(200, raw=content[: max(1, len(content) // 2)] or b"{"))
        elif kind in ("empty", "nothing"):
            self.write(Answer(200, raw=b"" if kind == "empty" else b"{}"))
        elif kind == "drip":
            self.drip(done or Answer(200, {}))
        elif done:  # late
            self.write(done)

    def write(self, answer: Answer, length: int | None = None) -> None:
        """Send an answer; nobody may be there any more."""
        content = answer.content
        try:
            self.send_response(answer.status)
            headers = {"Content-Type": "application/json", **answer.headers}
            for name, value in headers.items():
                self.send_header(name, value)
            if answer.status != 204:
                self.send_header("Content-Length", str(len(content) if length is None else length))
            self.end_headers()
            if answer.status != 204:
                self.wfile.write(content)
        except OSError:
            self.close_connection = True

    def drip(self, answer: Answer) -> None:
        """Send an answer of a few bytes in a few seconds."""
        content = answer.content or b"{}"
        with contextlib.suppress(OSError):
            self.send_response(answer.status)
            self.send_header("Content-Length", str(len(content) + 60))
            self.end_headers()
            for _ in range(50):
                self.wfile.write(b" ")
                time.sleep(0.1)
        self.drop()

    def drop(self) -> None:
        """End the connection in the middle."""
        self.close_connection = True
        with contextlib.suppress(OSError):
            self.connection.shutdown(socket.SHUT_RDWR)


def lateness(fault: Fault) -> float:
    """Seconds from a create's arrival until it is carried out."""
    if fault.kind == "very_late":
        return TIMEOUT + LOOKUP_WAIT + MOST_LAG + 0.6
    return TIMEOUT + 0.1 + 0.1 * (fault.nth % 4)
