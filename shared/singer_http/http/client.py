"""One HTTP session per plugin: where it may go, how long it waits, what it tries again."""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any, Protocol
from urllib.parse import urlsplit

import backoff
import orjson
from requests import PreparedRequest
from requests.structures import CaseInsensitiveDict
from typing_extensions import override

from singer_http.errors import (
    Action,
    BadCredentials,
    Cancelled,
    NotFound,
    Refused,
    RequestRejected,
    RetryLater,
    SingerHTTPError,
    Uncertain,
    VendorDown,
    action_of,
    one_line,
    reason_of,
)
from singer_http.http.transport import Answer, Lost, Transport, Unsent
from singer_http.http.urls import query, require_safe_url
from singer_http.operations import Effect

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from contextlib import AbstractContextManager

    from requests.auth import AuthBase

logger = logging.getLogger(__name__)

LONGEST_BACKOFF = 60.0
"""Seconds: what exponential back-off grows to where the vendor names no time."""


class Meter(Protocol):
    """Counts requests, and among them those that were tries after the first."""

    requests: int
    retries: int


class Permits(Protocol):
    """A rate limit (`limits.Limiter`)."""

    def permit(self) -> AbstractContextManager[None]:
        """Wait for a permit, and hold it until the answer is in."""

    def stop(self) -> None:
        """Let those who wait for a permit go, with StopRun."""


@dataclass(slots=True)
class Response:
    """An answer with a 2xx status."""

    status: int
    headers: Mapping[str, str]
    """Names without regard to case."""
    data: Any
    """Parsed JSON; None for an empty body; the text where the body is no JSON."""


@dataclass(slots=True)
class _Failure:
    """A try that may be followed by another."""

    status: int | None
    reason: str
    nothing_done: bool
    """The vendor certainly did not carry it out."""
    asked: float | None = None
    """Seconds that the vendor asks to wait."""

    @override
    def __str__(self) -> str:
        return f"HTTP {self.status}: {self.reason}" if self.status else self.reason


class Client:
    """Sends requests to one vendor, from any number of threads.

    Args:
        base_url: what paths are joined to; https, or http to this machine.
        auth: adds the credentials to each try.
        timeout: seconds to wait for a connection, and for an answer.
        max_retries: further tries of a request that may be tried again.
        max_wait: the longest pause in seconds that is waited for when the vendor names one.
        limiter: gives a permit for each try; None for no limit.
        concurrency: the most connections.
        user_agent: `<plugin>/<version>`.

    Raises:
        ValueError: `base_url` is not an address that credentials may go to.
    """

    def __init__(
        self,
        base_url: str,
        *,
        auth: AuthBase | None = None,
        timeout: float = 30.0,
        max_retries: int = 5,
        max_wait: float = 300,
        limiter: Permits | None = None,
        concurrency: int = 4,
        user_agent: str = "singer-http",
    ) -> None:
        """Connect to nothing yet."""
        self.base_url = require_safe_url(base_url).rstrip("/")
        self.auth = auth
        self.max_retries, self.max_wait = max_retries, max_wait
        self._limiter = limiter
        self._transport = Transport(timeout, concurrency)
        self._headers = {
            "User-Agent": user_agent,
            "Accept": "application/json",
            "Accept-Encoding": "gzip, deflate",
        }
        self.on_request: Callable[[bool], None] | None = None
        """Called before a try leaves, in its thread: is it the first of its request?"""
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._resume_at = 0.0  # monotonic seconds; until then no thread sends

    def request(
        self,
        method: str,
        path_or_url: str,
        *,
        params: Mapping[str, Any] | None = None,
        json: Any = None,
        body: bytes | None = None,
        effect: Effect = Effect.IDEMPOTENT,
        meter: Meter | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Response:
        """Send a request, and again where its effect allows it, until there is an answer.

        Args:
            method: GET, POST, ...
            path_or_url: joined to the base URL, or a whole URL (from a setting, never from an
                answer). Segments that hold data are encoded by the caller (`addresses.segment`).
            params: the query; None is left out, an empty text kept.
            json: the body as a value, or
            body: the body as encoded JSON. Never logged.
            effect: what the request does, and so when it may be sent again.
            meter: counts the tries.
            headers: added to the client's own.

        Returns:
            The answer with a 2xx status.

        Raises:
            Refused: the vendor said no to what was sent; NotFound for 404 and 410.
            Uncertain: effect CREATE or ONCE, and the answer was lost or a 5xx.
            StopRun: the run cannot go on (see `errors`); Cancelled after `stop`.
        """
        url = self._url(path_or_url, params)
        content = orjson.dumps(json) if json is not None else body
        waits = self._backoff()
        tries = retries = 0
        renewed = False
        while True:
            tries += 1
            request = self._prepare(method, url, content, headers)
            try:
                answer = self._send(request, meter, first=tries == 1)
            except (Unsent, Lost) as error:
                failure = _Failure(None, str(error), isinstance(error, Unsent))
            else:
                action = action_of(answer.status)
                if action is Action.TAKE:
                    return Response(answer.status, answer.headers, answer.data)
                if action is Action.RENEW and not renewed and self._renew(request):
                    renewed = True
                    continue
                if action not in (Action.WAIT, Action.UNSURE):
                    raise self._refusal(action, request, answer)
                failure = _Failure(
                    answer.status,
                    reason_of(answer.data),
                    action is Action.WAIT,
                    asked_pause(answer),
                )
            if effect is not Effect.IDEMPOTENT and not failure.nothing_done:
                raise Uncertain(failure.status, str(failure), tries)
            if failure.asked is not None and failure.asked > self.max_wait:
                raise self._come_back(failure.asked)
            if retries >= self.max_retries:
                raise self._vendor_down(failure, url, tries)
            retries += 1
            self._wait(failure, next(waits))

    def stop(self) -> None:
        """Send nothing more: who waits gets Cancelled at once. Requests in flight go on."""
        self._stop.set()
        if self._limiter:
            self._limiter.stop()

    def close(self) -> None:
        """Stop, and close the connections."""
        self.stop()
        self._transport.close()

    def _url(self, path_or_url: str, params: Mapping[str, Any] | None) -> str:
        url = path_or_url
        if "://" not in url:
            url = f"{self.base_url}/{url.lstrip('/')}" if url else self.base_url
        if params and (encoded := query(params)):
            url += ("&" if "?" in url else "?") + encoded
        return url

    def _prepare(
        self,
        method: str,
        url: str,
        content: bytes | None,
        headers: Mapping[str, str] | None,
    ) -> PreparedRequest:
        """A request, without what `requests` does to it at three times the cost."""
        request = PreparedRequest()
        request.method, request.url, request.body = method, url, content
        request.headers = own = CaseInsensitiveDict(self._headers)
        if content is not None:
            own["Content-Type"] = "application/json"
            own["Content-Length"] = str(len(content))
        if headers:
            own.update(headers)
        return self.auth(request) if self.auth else request

    def _send(self, request: PreparedRequest, meter: Meter | None, *, first: bool) -> Answer:
        """One try, with a permit from before it leaves until its answer is in."""
        with self._limiter.permit() if self._limiter else contextlib.nullcontext():
            self._hold()
            if self.on_request:
                self.on_request(first)
            if meter:
                with self._lock:
                    meter.requests += 1
                    meter.retries += not first
            answer = self._transport.send(request)
        if logger.isEnabledFor(logging.DEBUG):
            logger.debug("%s %s: %s", request.method, request.url, answer.status)
        return answer

    def _hold(self) -> None:
        """Wait for the end of a pause that the vendor asked for, with whichever request."""
        while (left := self._resume_at - time.monotonic()) > 0:
            self._sleep(left)
        if self._stop.is_set():
            self._sleep(0)

    def _sleep(self, seconds: float) -> None:
        if self._stop.wait(seconds):
            message = "The run is being ended"
            raise Cancelled(message)

    def _wait(self, failure: _Failure, backoff_seconds: float) -> None:
        """Wait before the next try: as long as the vendor asks, at least the back-off."""
        seconds = max(failure.asked or 0.0, backoff.full_jitter(backoff_seconds))
        if failure.asked is not None or failure.status == 429:
            with self._lock:
                self._resume_at = max(self._resume_at, time.monotonic() + seconds)
        log = logger.info if seconds >= 1 else logger.debug
        log("Trying again in %.1f s: %s", seconds, failure)
        self._sleep(seconds)

    def _renew(self, request: PreparedRequest) -> bool:
        renew = getattr(self.auth, "renew", None)  # see auth.Renewable
        return bool(renew and renew(request))

    def _backoff(self) -> Iterator[float]:
        waits = backoff.expo(base=2, factor=0.5, max_value=LONGEST_BACKOFF)
        next(waits)
        return waits

    def _refusal(self, action: Action, request: PreparedRequest, answer: Answer) -> SingerHTTPError:
        """The error for an answer after which nothing is tried again."""
        status, words = answer.status, reason_of(answer.data)
        if action in (Action.RENEW, Action.FORBIDDEN):
            setting = getattr(self.auth, "setting", "the credentials")
            return BadCredentials(f"HTTP {status}: {words or 'no reason given'}; look at {setting}")
        if action is Action.REQUEST_REJECTED:
            if location := answer.headers.get("Location"):
                words = f"redirects are not followed (to {urlsplit(location).hostname or 'a path'})"
            what = one_line(f"{request.method} {urlsplit(str(request.url)).path}")
            return RequestRejected(f"{what}: HTTP {status}: {words}; look at the address settings")
        kind = NotFound if action is Action.NOT_FOUND else Refused
        return kind(status, words or "no reason given", answer.data)

    def _come_back(self, asked: float) -> RetryLater:
        until = datetime.now(UTC) + timedelta(seconds=asked)
        message = (
            f"The vendor asks for a pause of {asked:.0f} s, longer than max_wait "
            f"({self.max_wait:g} s): run again after {until:%Y-%m-%dT%H:%M:%SZ}, or raise it"
        )
        return RetryLater(message, until)

    def _vendor_down(self, failure: _Failure, url: str, tries: int) -> VendorDown:
        host = urlsplit(url).hostname
        advice = "lower rate_limit" if failure.status == 429 else "try again later"
        return VendorDown(
            f"No usable answer from {host} in {tries} tries ({failure}): {advice}, "
            "or raise max_retries"
        )


def asked_pause(answer: Answer) -> float | None:
    """Seconds that an answer asks to wait (at least 0), None if it does not.

    `Retry-After` in seconds or as a date, `X-RateLimit-Reset` (epoch seconds) with a 429. Dates are
    measured against the answer's own Date, so that a wrong clock here does not matter.
    """
    now = _epoch(answer.headers.get("Date")) or time.time()
    asked = answer.headers.get("Retry-After")
    if asked is not None:
        seconds = _number(asked)
        if seconds is None and (when := _epoch(asked)) is not None:
            seconds = when - now
        if seconds is not None:
            return max(0.0, seconds)
    reset = _number(answer.headers.get("X-RateLimit-Reset"))
    if answer.status == 429 and reset is not None:
        return max(0.0, reset - now if reset > _EPOCH else reset)
    return None


_EPOCH = 1_000_000_000
"""Above this a number of seconds is a date."""


def _number(text: str | None) -> float | None:
    try:
        value = float(text or "")
    except ValueError:
        return None
    return value if 0 <= value < 1e11 else None


def _epoch(text: str | None) -> float | None:
    try:
        return parsedate_to_datetime(text or "").timestamp()
    except (TypeError, ValueError, OverflowError):
        return None
