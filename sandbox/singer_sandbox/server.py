"""Runs the application under uvicorn, on a socket that is bound before anything is printed."""

from __future__ import annotations

import gc
import os
import signal
import socket
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import uvicorn
from typing_extensions import override
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from singer_sandbox.app import TRANSPORT, App
from singer_sandbox.world import World

LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost"})


class Protocol(HttpToolsProtocol):
    """Gives the application the connection, so that a fault can break it."""

    @override
    def on_message_begin(self) -> None:
        """Called by the parser at the start of a request."""
        super().on_message_begin()
        scope: Any = self.scope
        scope[TRANSPORT] = self.transport


class Server(uvicorn.Server):
    """Says when it listens."""

    def __init__(self, config: uvicorn.Config, ready: Callable[[], None]) -> None:
        super().__init__(config)
        self._ready = ready

    @override
    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Called once, before the first request."""
        await super().startup(sockets)
        self._ready()


def listen(host: str, port: int) -> socket.socket:
    """A bound socket; only on loopback, as the sandbox has no secrets and no manners."""
    if host not in LOOPBACK:
        raise ValueError(f"--host must be a loopback address ({', '.join(sorted(LOOPBACK))})")
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
    except OSError:
        listener.close()
        raise
    return listener


def base_url(listener: socket.socket) -> str:
    """The address to reach it at."""
    host, port = listener.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def write_port(path: Path, port: int) -> None:
    """Write the port whole, so that a reader never sees half of it."""
    part = path.with_name(f"{path.name}.{os.getpid()}")
    part.write_text(f"{port}\n", "ascii")
    part.replace(path)


def stop_with_stdin() -> None:
    """End when standard input does: a test run that is killed leaves no server behind."""

    def wait() -> None:
        # Not sys.stdin: its lock must not be held when the interpreter ends.
        while os.read(0, 1024):
            pass
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=wait, daemon=True).start()


def serve(world: World, listener: socket.socket, ready: Callable[[], None]) -> None:
    """Serve until SIGTERM or SIGINT."""
    config = uvicorn.Config(
        App(world),
        http=Protocol,
        ws="none",
        lifespan="off",
        log_level="critical",
        access_log=False,
        proxy_headers=False,
        server_header=False,
        date_header=True,
        backlog=1024,
        timeout_keep_alive=120,
        # Requests that are held or slow are not worth waiting for at the end.
        timeout_graceful_shutdown=0,
    )
    # Hundreds of thousands of records are no garbage, and to walk over them would be measured.
    gc.set_threshold(100_000, 50, 1000)
    # uvicorn hands the signal on when it is done; to end is success here, not a crash.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: None)
    Server(config, ready).run(sockets=[listener])
