"""One try of one request: over which connection it goes, and what came of it.

`requests` carries it, so that its auth classes and `requests-mock` work; sessions, adapters and
pools below it are set up here.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import requests
import urllib3
from requests.cookies import RequestsCookieJar
from typing_extensions import override
from urllib3.exceptions import (
    ConnectTimeoutError,
    HTTPError,
    LocationValueError,
    NewConnectionError,
    ProtocolError,
    ReadTimeoutError,
)
from urllib3.exceptions import ProxyError as PoolProxyError

from singer_http import redaction
from singer_http.errors import (
    Action,
    ConfigError,
    RequestRejected,
    SingerHTTPError,
    action_of,
    one_line,
)
from singer_http.http.answers import Unreadable, is_blank, is_web_page, parse
from singer_http.http.connections import Adapter, attempt
from singer_http.http.urls import is_loopback, require_safe_url

if TYPE_CHECKING:
    from collections.abc import Mapping

    from requests import PreparedRequest


class Unsent(SingerHTTPError):
    """Nothing reached the vendor: no connection."""


class Lost(SingerHTTPError):
    """No answer, or one that cannot be read: the vendor may have done it."""

    def __init__(self, reason: str, *, timed_out: bool = False) -> None:
        """Keep a reason (one line), and whether the vendor may still be working on it."""
        super().__init__(reason)
        self.timed_out = timed_out


@dataclass(slots=True)
class Answer:
    """What the vendor said, whatever its status."""

    status: int
    headers: Mapping[str, str]
    """Names without regard to case; a header that came twice is one text with commas."""
    data: Any
    """Parsed JSON; None for an empty or unreadable body; text where it is no JSON."""

    @property
    def in_own_words(self) -> bool:
        """Whether the API itself wrote it: no empty body, no `{}`, no proxy's web page."""
        return not is_blank(self.data) and not is_web_page(self.data)


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
    """Connections to the vendor, with the proxies and certificates that the environment names.

    Loopback never goes through a proxy; https honours the proxy and CA variables. Redirects are not
    followed, netrc and cookies are not used.

    Args:
        timeout: seconds for connecting, and seconds from sending to the answer's last byte.
        connections: the most of them at once.
    """

    def __init__(self, timeout: float, connections: int) -> None:
        """Connect to nothing yet."""
        self._timeout: Any = urllib3.Timeout(connect=timeout, read=timeout)
        self._seconds = timeout
        self._session = _Session()
        self._session.mount("https://", Adapter(connections))
        self._session.mount("http://", Adapter(connections))
        self._environment: dict[str, dict[str, Any]] = {}

    def send(self, request: PreparedRequest) -> Answer:
        """Send once.

        Raises:
            Unsent: nothing reached the vendor.
            Lost: the vendor may have done it.
            StopRun: the address or the certificate is wrong. Nothing has left.
        """
        url = str(request.url)
        parts = urlsplit(url)
        origin = f"{parts.scheme}://{parts.netloc}"
        environment = self._environment.get(origin)
        if environment is None:
            environment = self._environment[origin] = self._look_around(url)
        attempt.begin(self._seconds)
        try:
            reply = self._session.send(request, stream=True, timeout=self._timeout, **environment)
            content = reply.raw.read(decode_content=True)
        except (requests.RequestException, HTTPError, OSError) as error:
            raise self._failure(error, parts.hostname or "") from error
        status = reply.status_code
        try:
            data = parse(content, reply.headers.get("Content-Type") or "")
        except Unreadable as problem:
            # Who reads a 404 has to know whether it is about the record, or a gateway's.
            if status < 300 or action_of(status) is Action.NOT_FOUND:
                raise Lost(f"the answer {problem} (HTTP {status})") from None
            data = None
        if status < 300 and is_web_page(data):
            # A proxy's, a log-in's, a maintenance page: the API itself has not answered.
            message = f"the answer is a web page (HTTP {status})"
            raise Lost(message)
        return Answer(status, reply.headers, data)

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
        # Whether it left is known, not inferred: through a proxy, urllib3 calls a connection that
        # broke after the request a ProxyError too.
        left = attempt.has_left
        if left is None:  # another adapter carried it
            left = not isinstance(cause, requests.ConnectTimeout)
        if left:
            return self._lost(cause, host)
        if "CERTIFICATE_VERIFY_FAILED" in str(error):
            return RequestRejected(
                f"The certificate of {host} cannot be verified: check the address settings, "
                "or name your CA in REQUESTS_CA_BUNDLE"
            )
        if isinstance(cause, requests.exceptions.InvalidURL | LocationValueError):
            return RequestRejected(f"not an address: {one_line(str(cause))}")
        if isinstance(cause, PoolProxyError | requests.exceptions.ProxyError):
            return Unsent(f"no connection through the proxy: {_last_part(cause)}")
        timed_out = ConnectTimeoutError | ReadTimeoutError | requests.Timeout | TimeoutError
        if isinstance(cause, timed_out) and not isinstance(cause, NewConnectionError):
            return Unsent(f"no connection to {host} within {self._seconds:g} s")
        return Unsent(f"no connection to {host}: {_last_part(cause)}")

    def _lost(self, cause: BaseException, host: str) -> Lost:
        timed_out = isinstance(cause, ReadTimeoutError | requests.ReadTimeout) or any(
            isinstance(part, TimeoutError) for part in cause.args
        )
        if timed_out:
            return Lost(f"no answer from {host} within {self._seconds:g} s", timed_out=True)
        return Lost(f"the connection to {host} broke before the answer was in: {_last_part(cause)}")


def _root(error: BaseException) -> BaseException:
    """The urllib3 error within a requests error, the reason within "max retries"."""
    while True:
        inner = getattr(error, "reason", None) or (error.args[0] if error.args else None)
        if isinstance(error, ProtocolError) or not isinstance(inner, HTTPError):
            return error
        error = inner


def _last_part(error: BaseException) -> str:
    """The words of an error that say what happened, without the names of Python's classes."""
    if isinstance(error, ProtocolError | PoolProxyError):
        error = next((part for part in error.args[1:] if isinstance(part, Exception)), error)
    return one_line(str(error).rsplit(": ", 1)[-1])
