"""One HTTP client per plugin: allowed addresses, time limits, retries."""

from __future__ import annotations

import logging
import threading
import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Protocol
from urllib.parse import urlsplit

import backoff
from requests import PreparedRequest
from requests.structures import CaseInsensitiveDict
from typing_extensions import override

from singer_http import exact_json
from singer_http.errors import (
    Action,
    BadCredentials,
    Cancelled,
    NotFound,
    Refused,
    RequestRejected,
    RetryLater,
    SingerHTTPError,
    StopRun,
    Uncertain,
    VendorDown,
    action_of,
    one_line,
    reason_of,
)
from singer_http.http.clock import CLOCK
from singer_http.http.guards import check_guard
from singer_http.http.pauses import asked_pause
from singer_http.http.rate_limit import READY_WITHIN, Permits
from singer_http.http.transport import Answer, Lost, Transport, Unsent
from singer_http.http.urls import query, require_safe_url
from singer_http.operations import Effect

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from requests.auth import AuthBase

logger = logging.getLogger(__name__)

FIRST_BACKOFF, LONGEST_BACKOFF = 0.5, 60.0
"""Seconds: where exponential back-off begins and ends, where the vendor names no time."""

GATEWAY_TIMEOUTS = (504, 524)
"""Statuses of a gateway that stopped waiting: the vendor behind it may still be working."""


class Meter(Protocol):
    """Counts requests, and among them those that were tries after the first."""

    requests: int
    retries: int


@dataclass(slots=True)
class Response:
    """An answer with a 2xx status."""

    status: int
    headers: Mapping[str, str]
    """Names without regard to case."""
    data: Any
    """Parsed JSON; None for an empty body; the text where the body is no JSON."""
    earlier_maybe_done: bool
    """An earlier try of the request may have been carried out, whatever this answer says."""


@dataclass(slots=True)
class _Failure:
    """A try that may be followed by another."""

    status: int | None
    reason: str
    nothing_done: bool = False
    """The vendor certainly did not carry it out."""
    still_running: bool = False
    """The vendor may still be carrying it out."""
    asked: float | None = None
    """Seconds that the vendor asks to wait."""

    @override
    def __str__(self) -> str:
        return f"HTTP {self.status}: {self.reason}" if self.status else self.reason


@dataclass(slots=True)
class _Call:
    """One request, and what its tries have come to."""

    method: str
    url: str
    content: bytes | None
    headers: Mapping[str, str] | None
    effect: Effect
    meter: Meter | None
    understood: Callable[[Any], bool] | None
    tries: int = 0
    retries: int = 0
    renewed: bool = False
    maybe_done: bool = False
    """A try left, and nothing proves that the vendor did not carry it out."""


class Client:
    """Sends requests to one vendor, from any number of threads.

    Args:
        base_url: what paths are joined to; https, or http to this machine.
        auth: adds the credentials to each try.
        timeout: seconds for connecting, and seconds from sending to the answer's last byte.
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
        understood: Callable[[Any], bool] | None = None,
    ) -> Response:
        """Send a request, and again where its effect allows it, until there is an answer.

        Args:
            method: GET, POST, ...
            path_or_url: joined to the base URL, or a whole URL (from a setting, never from an
                answer). Segments that hold data are encoded by the caller (`urls.segment`).
            params: the query; None is left out, an empty text kept.
            json: the body as a value, or
            body: the body as encoded JSON. Never logged.
            effect: what the request does, and so when it may be sent again.
            meter: counts the tries.
            headers: added to the client's own.
            understood: whether an answer's data has a known form. An answer with a 2xx that it
                does not accept is no answer: treated as one that was lost.

        Returns:
            The answer with a 2xx status. Its numbers are int and Decimal.

        Raises:
            Refused: the vendor said no to what was sent; NotFound for 404 and 410.
            Uncertain: effect CREATE or AT_MOST_ONCE, and the answer was lost or a 5xx.
            StopRun: the run cannot go on (see `errors`); Cancelled after `stop`.
            Exception: what the guard of this thread raised (see `guards`).

            `nothing_was_done` of an error is True only if every try that left is proven not to
            have been carried out: 429, 425, a 4xx in the vendor's own words.
        """
        url = self._url(path_or_url, params)
        content = exact_json.encode(json) if json is not None else body
        call = _Call(method, url, content, headers, effect, meter, understood)
        try:
            while True:
                if (response := self._try(call)) is not None:
                    return response
        except SingerHTTPError as error:
            error.nothing_was_done = not call.maybe_done
            raise

    def _try(self, call: _Call) -> Response | None:
        """Send once. None: the pause before the next try is over."""
        call.tries += 1
        earlier = call.maybe_done
        request = self._prepare(call)
        try:
            answer = self._send(call, request)
        except (Unsent, Lost) as error:
            timed_out = isinstance(error, Lost) and error.timed_out
            failure = _Failure(None, str(error), isinstance(error, Unsent), timed_out)
        except StopRun:
            call.maybe_done = earlier  # it did not leave
            raise
        else:
            outcome = self._judge(call, request, answer, earlier)
            if not isinstance(outcome, _Failure):
                return outcome
            failure = outcome
        if failure.nothing_done:
            call.maybe_done = earlier
        elif call.effect is not Effect.IDEMPOTENT:
            running = failure.still_running
            raise Uncertain(failure.status, str(failure), call.tries, still_running=running)
        if failure.asked is not None and failure.asked > self.max_wait:
            raise self._retry_later(failure.asked)
        if call.retries >= self.max_retries:
            raise self._vendor_down(failure, call)
        self._wait(failure, call.retries)
        call.retries += 1
        return None

    def _judge(
        self, call: _Call, request: PreparedRequest, answer: Answer, earlier: bool
    ) -> Response | _Failure | None:
        """What an answer means. None: the credentials are new, so try again.

        `earlier`: whether a try before this one may have been carried out.
        """
        status, action = answer.status, action_of(answer.status)
        if action is Action.TAKE:
            if call.understood is None or call.understood(answer.data):
                return Response(status, answer.headers, answer.data, earlier)
            words = reason_of(answer.data) or "it gives no reason"
            return _Failure(status, f"the answer has no known form ({words})")
        if action in (Action.WAIT, Action.UNSURE):
            refused, running = action is Action.WAIT, status in GATEWAY_TIMEOUTS
            asked = asked_pause(answer, getattr(self.auth, "pause", None))  # see auth.Pausing
            return _Failure(status, reason_of(answer.data), refused, running, asked)
        if 400 <= status < 500 and answer.in_own_words:
            call.maybe_done = earlier
        if action is Action.RENEW and not call.renewed and self._renew(request):
            call.renewed = True
            if call.maybe_done and call.effect is not Effect.IDEMPOTENT:
                raise Uncertain(status, f"HTTP {status} with no words of the vendor", call.tries)
            return None
        raise self._refusal(action, request, answer)

    def stop(self) -> None:
        """Send nothing more: who waits gets Cancelled at once. Requests in flight go on."""
        self._stop.set()
        if self._limiter:
            self._limiter.stop()
        if stop := getattr(self.auth, "stop", None):  # see auth.Renewable
            stop()

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

    def _prepare(self, call: _Call) -> PreparedRequest:
        """A request, without what `requests` does to it at three times the cost."""
        request = PreparedRequest()
        request.method, request.url, request.body = call.method, call.url, call.content
        request.headers = own = CaseInsensitiveDict(self._headers)
        if call.content is not None:
            own["Content-Type"] = "application/json"
            own["Content-Length"] = str(len(call.content))
        if call.headers:
            own.update(call.headers)
        return request

    def _send(self, call: _Call, request: PreparedRequest) -> Answer:
        """One try."""
        while True:
            answer = self._send_in_time(call, request)
            if answer is not None:
                break
        if logger.isEnabledFor(logging.DEBUG):
            logger.debug("%s %s: %s", request.method, request.url, answer.status)
        return answer

    def _send_in_time(self, call: _Call, request: PreparedRequest) -> Answer | None:
        """One try, with a permit from before it leaves until its answer is in.

        None: nothing was sent, since so much time passed that the permit may have run out (the
        vendor asked for a pause, a token was requested, the machine was suspended).
        """
        left = False
        granted = self._limiter.acquire() if self._limiter else None
        try:
            self._wait_for_pause()
            if self.auth:
                self.auth(request)  # after the waits: a token can end during them
            if granted is not None and CLOCK.steady() - granted > READY_WITHIN:
                return None
            check_guard()
            self._count(call.meter, first=call.tries == 1)
            left = call.maybe_done = True
            return self._transport.send(request)
        finally:
            if self._limiter:
                self._limiter.release(used=left)

    def _count(self, meter: Meter | None, *, first: bool) -> None:
        if self.on_request:
            self.on_request(first)
        if meter:
            with self._lock:
                meter.requests += 1
                meter.retries += not first

    def _wait_for_pause(self) -> None:
        """Wait for the end of a pause that the vendor asked for, with whichever request."""
        while (left := self._resume_at - time.monotonic()) > 0:
            self._sleep(left)
        self._sleep(0)

    def _sleep(self, seconds: float) -> None:
        if self._stop.wait(seconds) if seconds > 0 else self._stop.is_set():
            message = "The run is being ended"
            raise Cancelled(message)

    def _wait(self, failure: _Failure, retries: int) -> None:
        """Wait before the next try: as long as the vendor asks, at least the back-off."""
        longest = min(FIRST_BACKOFF * 2.0 ** min(retries, 30), LONGEST_BACKOFF)
        seconds = max(failure.asked or 0.0, backoff.full_jitter(longest))
        if failure.asked is not None or failure.status == 429:
            with self._lock:
                self._resume_at = max(self._resume_at, time.monotonic() + seconds)
        log = logger.info if seconds >= 1 else logger.debug
        log("Trying again in %.1f s: %s", seconds, failure)
        self._sleep(seconds)

    def _renew(self, request: PreparedRequest) -> bool:
        renew = getattr(self.auth, "renew", None)  # see auth.Renewable
        return bool(renew and renew(request))

    def _refusal(self, action: Action, request: PreparedRequest, answer: Answer) -> SingerHTTPError:
        """The error for an answer after which nothing is tried again."""
        status, words = answer.status, reason_of(answer.data)
        explain = getattr(self.auth, "explain", None)  # see auth.Explaining
        error: SingerHTTPError | None = explain and explain(request, status, words, answer.data)
        if error is not None:
            return error
        if action in (Action.RENEW, Action.FORBIDDEN):
            setting = getattr(self.auth, "setting", "the credentials")
            return BadCredentials(f"HTTP {status}: {words or 'no reason given'}; check {setting}")
        if action is Action.REQUEST_REJECTED:
            if location := answer.headers.get("Location"):
                words = f"redirects are not followed (to {urlsplit(location).hostname or 'a path'})"
            what = one_line(f"{request.method} {urlsplit(str(request.url)).path}")
            return RequestRejected(f"{what}: HTTP {status}: {words}; check the address settings")
        kind = NotFound if action is Action.NOT_FOUND else Refused
        return kind(status, words or "no reason given", answer.data)

    def _retry_later(self, asked: float) -> RetryLater:
        until = datetime.now(UTC) + timedelta(seconds=asked)
        message = (
            f"The vendor asks for a pause of {asked:.0f} s, longer than max_wait "
            f"({self.max_wait:g} s): run again after {until:%Y-%m-%dT%H:%M:%SZ}, or raise it"
        )
        return RetryLater(message, until)

    def _vendor_down(self, failure: _Failure, call: _Call) -> VendorDown:
        host = urlsplit(call.url).hostname
        advice = "lower rate_limit" if failure.status == 429 else "try again later"
        return VendorDown(
            f"No usable answer from {host} in {call.tries} tries ({failure}): {advice}, "
            "or raise max_retries"
        )
