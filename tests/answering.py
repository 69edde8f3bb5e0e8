"""A server that answers as a test tells it to."""

from __future__ import annotations

import contextlib
import queue
import socket
import threading
import time
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import SimpleNamespace
from typing import Any

from typing_extensions import override

from singer_http.http.client import Client
from tests.processes import wait_until

JSON = {"Content-Type": "application/json"}


@dataclass
class Reply:
    """What the server does with a request."""

    status: int = 200
    body: bytes = b'{"ok": true}'
    headers: dict[str, str] = field(default_factory=lambda: dict(JSON))
    length: int | None = None
    """Content-Length, where it is not the body's."""
    drop: bool = False
    """Close the connection without an answer."""
    delay: float = 0.0
    close_after: bool = False
    """Close the connection after the answer, without having said so."""
    drip: float = 0.0
    """Seconds before each byte, from the status line on."""
    interim: tuple[int, ...] = ()
    """Statuses of answers that only announce the answer, each a moment before the next."""
    again: tuple[tuple[str, str], ...] = ()
    """More headers; a name can come again."""


class Server(ThreadingHTTPServer):
    """Answers with the replies that are given to it, then with 200."""

    daemon_threads = True

    def __init__(self) -> None:
        """Listen on any port of this machine."""
        super().__init__(("127.0.0.1", 0), Handler)
        self.replies: queue.Queue[Reply] = queue.Queue()
        self.seen: list[SimpleNamespace] = []
        self.closed = 0
        """Connections that were closed."""

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/v1"

    def will(self, *replies: Reply) -> None:
        for reply in replies:
            self.replies.put(reply)

    @override
    def close_request(self, request: Any) -> None:
        super().close_request(request)
        self.closed += 1

    def stop_at_first_request(self, client: Client) -> None:
        """Stop a client, from another thread, once it has sent a request."""

        def stop() -> None:
            wait_until(lambda: self.seen)
            client.stop()

        threading.Thread(target=stop, daemon=True).start()


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Server

    def handle_any(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        seen = SimpleNamespace(
            method=self.command,
            path=self.path,
            headers=self.headers,
            body=body,
            at=time.monotonic(),
            port=self.client_address[1],
        )
        self.server.seen.append(seen)
        try:
            reply = self.server.replies.get_nowait()
        except queue.Empty:
            reply = Reply()
        time.sleep(reply.delay)
        for status in reply.interim:
            self.wfile.write(f"HTTP/1.1 {status} Wait\r\nLink: </style.css>\r\n\r\n".encode())
            time.sleep(0.1)
        if reply.drop:
            self.close_connection = True
            self.connection.shutdown(socket.SHUT_RDWR)
            return
        length = str(len(reply.body) if reply.length is None else reply.length)
        headers = [*reply.headers.items(), *reply.again, ("Content-Length", length)]
        head = "".join(f"{name}: {value}\r\n" for name, value in headers)
        answer = f"HTTP/1.1 {reply.status} Answer\r\n{head}\r\n".encode() + reply.body
        with contextlib.suppress(OSError):  # the client may have hung up
            for byte in answer if reply.drip else ():
                time.sleep(reply.drip)
                self.wfile.write(bytes([byte]))
            if not reply.drip:
                self.wfile.write(answer)
        if reply.close_after or reply.drip or reply.length is not None:
            self.close_connection = True

    @override
    def log_message(self, *args: Any) -> None:
        """Keep quiet."""


for method in ("GET", "POST", "PUT", "PATCH", "DELETE"):
    setattr(Handler, f"do_{method}", Handler.handle_any)
