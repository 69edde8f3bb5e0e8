"""One try of one request: what is sent, over which connection, and what came back of it."""

from __future__ import annotations

import json
import os
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import orjson
import requests
import urllib3
from requests.adapters import HTTPAdapter
from requests.cookies import RequestsCookieJar
from typing_extensions import override
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import (
    ConnectTimeoutError,
    HTTPError,
    NewConnectionError,
    ProtocolError,
    ReadTimeoutError,
)
from urllib3.exceptions import ProxyError as PoolProxyError
from urllib3.exceptions import SSLError as PoolSSLError

from singer_http import redaction
from singer_http.errors import ConfigError, RequestRejected, SingerHTTPError, one_line
from singer_http.http.urls import is_loopback, require_safe_url

if TYPE_CHECKING:
    from collections.abc import Mapping

    from requests import PreparedRequest

LONGEST_IDLE = 1.0
"""Seconds that a connection may idle and still be used: a server may close it at any moment,
and a request that is lost so may not be sent again if it creates or sends something."""


class Unsent(SingerHTTPError):
    """Nothing reached the vendor: no connection."""


class Lost(SingerHTTPError):
    """No answer, or half of one: the vendor may have done it."""


@dataclass(slots=True)
class Answer:
    """What the vendor said, whatever its status."""

    status: int
    headers: Mapping[str, str]
    data: Any
    """Parsed JSON; None for an empty body; text where it is no JSON."""


class _Watched:
    """A connection that counts as dropped once it has idled for too long."""

    _used_at = float("inf")

    @property
    def is_connected(self) -> bool:
        idle = time.monotonic() - self._used_at
        return idle < LONGEST_IDLE and super().is_connected  # type: ignore[misc]

    def getresponse(self) -> Any:
        response = super().getresponse()  # type: ignore[misc]
        self._used_at = time.monotonic()
        return response


class _Connection(_Watched, HTTPConnection):
    pass


class _SecureConnection(_Watched, HTTPSConnection):
    pass


class _Pool(urllib3.HTTPConnectionPool):
    ConnectionCls = _Connection


class _SecurePool(urllib3.HTTPSConnectionPool):
    ConnectionCls = _SecureConnection


_POOLS = {"http": _Pool, "https": _SecurePool}


class _Adapter(HTTPAdapter):
    """Sends with a pool that is looked up once per origin, not once per request."""

    def __init__(self, connections: int) -> None:
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
    def send(
        self,
        request: PreparedRequest,
        stream: bool = False,
        timeout: Any = None,
        verify: bool | str = True,
        cert: Any = None,
        proxies: Mapping[str, str] | None = None,
    ) -> requests.Response:
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


class _NoCookies(RequestsCookieJar):
    @override
    def extract_cookies(self, response: Any, request: Any) -> None:
        """Take none: looking for them takes as long as parsing the answer."""


class _Session(requests.Session):
    """Follows no redirect, keeps no cookies."""

    def __init__(self) -> None:
        super().__init__()
        self.cookies = _NoCookies()

    @override
    def get_redirect_target(self, resp: requests.Response) -> None:
        return None


class Transport:
    """Connections to the vendor, and the environment's say in them.

    Loopback never goes through a proxy; https honours the proxy and CA variables. Redirects are not
    followed, netrc and cookies are not used.

    Args:
        timeout: seconds to wait for a connection, and for an answer.
        connections: the most of them at once.
    """

    def __init__(self, timeout: float, connections: int) -> None:
        """Connect to nothing yet."""
        self._timeout: Any = urllib3.Timeout(connect=timeout, read=timeout)
        self._seconds = timeout
        self._session = _Session()
        self._session.mount("https://", _Adapter(connections))
        self._session.mount("http://", _Adapter(connections))
        self._environment: dict[str, dict[str, Any]] = {}

    def send(self, request: PreparedRequest) -> Answer:
        """Send once.

        Raises:
            Unsent: nothing reached the vendor.
            Lost: the vendor may have done it.
            StopRun: the address or the certificate is wrong.
        """
        url = str(request.url)
        parts = urlsplit(url)
        origin = f"{parts.scheme}://{parts.netloc}"
        environment = self._environment.get(origin)
        if environment is None:
            environment = self._environment[origin] = self._look_around(url)
        try:
            reply = self._session.send(request, stream=True, timeout=self._timeout, **environment)
            content = reply.raw.read(decode_content=True)
        except (requests.RequestException, HTTPError, OSError) as error:
            raise self._failure(error, parts.hostname or "") from error
        data, whole = parse(content, reply.headers.get("Content-Type") or "")
        if not whole and reply.status_code < 300:
            message = f"the answer's JSON is cut off or damaged (HTTP {reply.status_code})"
            raise Lost(message)
        if isinstance(data, str) and data.startswith("<") and reply.status_code < 300:
            # A proxy's, a log-in's, a maintenance page: the API itself has not answered.
            message = f"the answer is a web page (HTTP {reply.status_code})"
            raise Lost(message)
        return Answer(reply.status_code, reply.headers, data)

    def close(self) -> None:
        """Close the connections that are not in use."""
        self._session.close()

    def _look_around(self, url: str) -> dict[str, Any]:
        """What the environment says about an origin: proxies and trusted certificates."""
        try:
            require_safe_url(url)
        except ValueError as error:
            message = f"Credentials are not sent to this address; it takes {error}"
            raise ConfigError(message) from None
        found = self._session.merge_environment_settings(url, {}, None, None, None)
        verify: Any = found["verify"]
        if verify is True:
            verify = os.environ.get("SSL_CERT_FILE") or os.environ.get("SSL_CERT_DIR") or True
        if verify is not True and not Path(verify).exists():
            message = f"The CA bundle {verify!r} of the environment does not exist"
            raise ConfigError(message)
        for proxy in found["proxies"].values():
            redaction.add(urlsplit(proxy).password)
        loopback = is_loopback(urlsplit(url).hostname or "")
        return {"proxies": {} if loopback else dict(found["proxies"]), "verify": verify}

    def _failure(self, error: Exception, host: str) -> SingerHTTPError:
        """What a failed try means for the request."""
        cause = _root(error)
        if isinstance(cause, PoolSSLError | requests.exceptions.SSLError):
            if "CERTIFICATE_VERIFY_FAILED" in str(error):
                return RequestRejected(
                    f"The certificate of {host} cannot be verified: look at the address settings, "
                    "or name your CA in REQUESTS_CA_BUNDLE"
                )
            return Lost(f"the encrypted connection to {host} broke: {one_line(str(cause))}")
        if isinstance(cause, PoolProxyError | requests.exceptions.ProxyError):
            return Unsent(f"no connection through the proxy: {one_line(str(cause))}")
        if isinstance(cause, NewConnectionError):
            return Unsent(f"no connection to {host}: {_last_part(cause)}")
        if isinstance(cause, ConnectTimeoutError | requests.ConnectTimeout):
            return Unsent(f"no connection to {host} within {self._seconds:g} s")
        if isinstance(cause, ReadTimeoutError | requests.ReadTimeout):
            return Lost(f"no answer from {host} within {self._seconds:g} s")
        if isinstance(
            cause, requests.exceptions.InvalidURL | urllib3.exceptions.LocationValueError
        ):
            return RequestRejected(f"not an address: {one_line(str(cause))}")
        return Lost(f"the connection to {host} broke before the answer was in: {_last_part(cause)}")


def _root(error: BaseException) -> BaseException:
    """The urllib3 error within a requests error, the reason within "max retries"."""
    while True:
        inner = getattr(error, "reason", None) or (error.args[0] if error.args else None)
        if isinstance(error, ProtocolError) or not isinstance(inner, HTTPError):
            return error
        error = inner


def _last_part(error: BaseException) -> str:
    return one_line(str(error).rsplit(": ", 1)[-1])


def parse(content: bytes, content_type: str) -> tuple[Any, bool]:
    """A body as JSON (None if empty) or text, and whether it is whole.

    Not whole is what says that it is JSON, or begins like it, and does not parse.
    """
    text = content.removeprefix(b"\xef\xbb\xbf").strip()
    if not text:
        return None, True
    try:
        return orjson.loads(text), True
    except orjson.JSONDecodeError:
        pass
    try:
        # NaN, lone surrogates: not JSON to orjson, but some vendors send them.
        loose = json.loads(text.decode("utf-8", "replace"), parse_constant=lambda _: None)
        return orjson.loads(json.dumps(loose, ensure_ascii=False).encode("utf-8", "replace")), True
    except ValueError:
        damaged = "json" in content_type.lower() or text[:1] in b'{["'
        return text.decode("utf-8", "replace"), not damaged
    except RecursionError:
        return text.decode("utf-8", "replace"), False
