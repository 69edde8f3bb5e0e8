"""Connections to the vendor: how long they may idle and wait, and what has left through them.

urllib3's timeouts limit each wait. Here all waits of one try end at one moment, so a server that
sends one byte at a time cannot hold a run up.
"""

from __future__ import annotations

import http.client
import io
import socket
import threading
import time
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any
from urllib.parse import urlsplit

import requests
import urllib3
from requests import PreparedRequest
from requests.adapters import HTTPAdapter
from typing_extensions import override
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import ConnectTimeoutError

from singer_http.http.clock import CLOCK

LONGEST_IDLE = 1.0
"""Seconds that a connection may idle and still be used. A server may close it at any moment, and a
request that is lost in that moment may not be sent again if it creates or sends something."""

_TLS_RECORD = 1 << 14
"""Bytes that TLS encrypts at once."""


class Attempt(threading.local):
    """What this thread is sending."""

    seconds: float = float("inf")
    """The limit for connecting, and the limit from the first byte sent to the last received."""
    leave_by: float = float("inf")
    """Seconds of `CLOCK.steady`: after this the request does not leave any more."""
    ends: float = float("inf")
    """Monotonic seconds: when the current wait of the try ends."""
    has_left: bool | None = None
    """Whether a byte of the request may have left. None: these connections are not in use."""

    def begin(self, seconds: float) -> None:
        """Begin a try."""
        self.seconds, self.has_left = seconds, None
        self.leave_by = CLOCK.steady() + seconds

    def start_clock(self) -> None:
        """Let the waits from now on end together."""
        self.ends = time.monotonic() + self.seconds

    def remaining(self) -> float:
        """Seconds until the end.

        Raises:
            TimeoutError: it is over.
        """
        remaining = self.ends - time.monotonic()
        if remaining <= 0:
            message = "timed out"
            raise TimeoutError(message)
        return remaining


attempt = Attempt()


class _LimitedReader(io.RawIOBase):
    """The bytes of one answer; every read ends when the try does."""

    def __init__(self, sock: socket.socket, raw: io.RawIOBase) -> None:
        self._sock, self._raw = sock, raw

    @override
    def readable(self) -> bool:
        return True

    @override
    def readinto(self, buffer: Any) -> int | None:
        self._sock.settimeout(attempt.remaining())
        return self._raw.readinto(buffer)

    @override
    def close(self) -> None:
        self._raw.close()
        super().close()


class _Response(http.client.HTTPResponse):
    """An answer that is read with the limit of its try."""

    def __init__(self, sock: socket.socket, *args: Any, **kwargs: Any) -> None:
        super().__init__(sock, *args, **kwargs)
        self.fp = io.BufferedReader(_LimitedReader(sock, self.fp.detach()))

    @override
    def begin(self) -> None:
        # Python skips a 100, and takes a 102 or 103, which only announces the answer, for the
        # answer itself: each further request of the connection would get the one before's.
        super().begin()
        while self.status < HTTPStatus.OK:
            vars(self).update(headers=None, msg=None)  # what tells `begin` that nothing was read
            super().begin()


class _Connection(HTTPConnection):
    """Counts as dropped once it has idled for too long; notes when a request leaves."""

    response_class = _Response
    _used_at = float("inf")

    @property
    @override
    def is_connected(self) -> bool:
        idle = time.monotonic() - self._used_at
        return idle < LONGEST_IDLE and super().is_connected

    @override
    def connect(self) -> None:
        attempt.start_clock()
        super().connect()

    @override
    def request(self, *args: Any, **kwargs: Any) -> None:
        if self.sock is None:
            self.connect()
        # Looking up a name, trying several addresses and a suspended machine have no limit of
        # their own, and a permit of the rate limit is held for so long and no longer.
        if CLOCK.steady() > attempt.leave_by:
            message = "connecting took too long"
            raise ConnectTimeoutError(self, message)
        attempt.start_clock()
        attempt.has_left = True
        super().request(*args, **kwargs)

    @override
    def send(self, data: Any) -> None:
        if self.sock is not None:
            self.sock.settimeout(attempt.remaining())
        super().send(data)

    @override
    def getresponse(self) -> Any:
        response = super().getresponse()
        self._used_at = time.monotonic()
        return response


class _SecureConnection(_Connection, HTTPSConnection):
    @override
    def send(self, data: Any) -> None:
        # Python limits the whole of a plain `sendall`, but each part of an encrypted one.
        for start in range(0, len(data), _TLS_RECORD):
            super().send(data[start : start + _TLS_RECORD])


class _Pool(urllib3.HTTPConnectionPool):
    ConnectionCls = _Connection


class _SecurePool(urllib3.HTTPSConnectionPool):
    ConnectionCls = _SecureConnection


_POOLS = {"http": _Pool, "https": _SecurePool}


class Adapter(HTTPAdapter):
    """Sends with a pool that is looked up once per origin, not once per request."""

    def __init__(self, connections: int) -> None:
        """Connect to nothing yet. `connections`: the most at once."""
        self._pools: dict[str, Any] = {}
        super().__init__(pool_connections=4, pool_maxsize=connections, pool_block=True)

    @override
    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, **kwargs)
        self.poolmanager.pool_classes_by_scheme = _POOLS

    @override
    def proxy_manager_for(self, proxy: str, **proxy_kwargs: Any) -> Any:
        manager = super().proxy_manager_for(proxy, **proxy_kwargs)
        if not proxy.lower().startswith("socks"):
            manager.pool_classes_by_scheme = _POOLS
        return manager

    @override
    def close(self) -> None:
        # urllib3 closes a pool when nothing refers to it any more; here something does.
        while self._pools:
            self._pools.popitem()[1].close()
        super().close()

    @override
    def send(
        self,
        request: PreparedRequest,
        stream: bool = False,
        timeout: Any = None,
        verify: bool | str = True,
        cert: Any = None,
        proxies: Mapping[str, str] | None = None,
    ) -> requests.Response:
        attempt.has_left = False
        url = str(request.url)
        parts = urlsplit(url)
        origin = f"{parts.scheme}://{parts.netloc}"
        pool: Any = self._pools.get(origin)
        if pool is None:
            pool = self.get_connection_with_tls_context(request, verify, dict(proxies or {}), cert)
            self.cert_verify(pool, url, verify, cert)  # type: ignore[no-untyped-call]
            self._pools[origin] = pool
        response = requests.Response()
        response.raw = raw = pool.urlopen(
            request.method,
            f"{parts.path or '/'}?{parts.query}" if parts.query else parts.path or "/",
            body=request.body,
            headers=request.headers,
            redirect=False,
            assert_same_host=False,
            preload_content=False,
            decode_content=False,
            retries=False,
            timeout=timeout,
        )
        response.status_code = raw.status
        response.headers = raw.headers
        return response
