"""The rate limit: never more than N requests in any window, as the vendor sees it.

The vendor counts a request when it arrives, which is some time between its leaving and its answer.
A permit therefore is held while the request is in flight and for the window's length after the
*answer*: two uses of one permit then arrive at least a window apart, on any network, and of N + 1
requests two share a permit.

What is in flight and what was answered is kept where all threads and processes of an account share
it, and outlives a run (`rate_state`, in the database: `store.rate_windows`). With I requests in
flight, a limit of N in W seconds lets the next one go when the (N - I)-th newest answer is W old.

A process that dies cannot give its permits back. So a request leaves soon after its permit was
granted (`READY_WITHIN`), or with another permit, and is over when the client's time limits say so
(`longest_hold`): a permit that is older counts as answered.
"""

from __future__ import annotations

import logging
import math
import re
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final, Protocol

from typing_extensions import override

from singer_http.errors import Cancelled, RetryLater, StopRun
from singer_http.http.clock import CLOCK

_log = logging.getLogger(__name__)

_UNITS: Final = {"s": 1, "sec": 1, "m": 60, "min": 60, "h": 3600, "hour": 3600, "d": 86400}
_UNITS["day"] = 86400
_LIMIT: Final = re.compile(r"(?P<count>\d+)\s*/\s*(?P<length>\d+(?:\.\d+)?)?\s*(?P<unit>[a-z]+)")

_SHORTEST_SLEEP: Final = 1.0  # seconds, then doubled: an answer may decide whether to wait on
_LONGEST_SLEEP: Final = 30.0  # seconds, so that what other processes give back is noticed
_NOTICE: Final = 10.0  # seconds of waiting that are worth a line in the log

PACING: Final = 60.0
"""Seconds that a run waits for its own limit whatever `max_wait` is: this paces its requests."""
_MARGIN: Final = 1.01  # a window is waited for a little longer than its length (`SLACK`)

READY_WITHIN: Final = 5.0
"""Seconds from a permit to the moment at which the request is handed to a connection."""
_GRACE: Final = 1.0  # seconds that a dead process' last request may still be on its way


def longest_hold(timeout: float) -> float:
    """Seconds from a permit to the end of its request, with the client's limit of time."""
    return READY_WITHIN + timeout + timeout + _GRACE  # connecting, then answering


@dataclass(frozen=True)
class Limit:
    """At most `count` requests in any window of `seconds`."""

    count: int
    seconds: float

    @override
    def __str__(self) -> str:
        """Say it as the setting does, in seconds: `100/10s`."""
        return f"{self.count}/{self.seconds:g}s"


def parse_limits(spec: str) -> tuple[Limit, ...]:
    """Read the setting `rate_limit`, e.g. `100/10s,200000/day`; empty is no limit.

    Units are `s`, `m` or `min`, `h` or `hour`, `d` or `day`, with a number before them where
    it is not 1.

    Raises:
        ValueError: the text is of another form; the message names the setting.
    """
    return tuple(_parse_limit(part.strip()) for part in spec.split(",") if spec.strip())


def _parse_limit(text: str) -> Limit:
    found = _LIMIT.fullmatch(text.lower())
    if found and found["unit"] in _UNITS:
        limit = Limit(int(found["count"]), float(found["length"] or 1) * _UNITS[found["unit"]])
        if limit.count and limit.seconds:
            return limit
    msg = (
        "rate_limit: a number, a slash and a time, such as '10/s' or '100/10s,200000/day' "
        f"(units s, min, hour, day), or nothing for no limit; not {text!r}"
    )
    raise ValueError(msg)


class Permits(Protocol):
    """What the client needs of a rate limit."""

    def acquire(self) -> float:
        """Wait for a permit; when it was granted, in seconds of `CLOCK.steady`.

        Raises:
            Cancelled: `stop` was called.
            RetryLater: the wait would be longer than a run may wait.
            StopRun: permits cannot be had.
        """

    def release(self, *, used: bool) -> None:
        """Give a permit back: once the answer is in, or unused where nothing was sent.

        Never raises: the answer that is in hand is worth more than the permit.
        """

    def stop(self) -> None:
        """Give out no more permits: `acquire` raises Cancelled, in waiting threads too."""


class Windows(Protocol):
    """What was sent, shared by all threads and processes of an account, in earlier runs too."""

    def take(self, windows: Sequence[tuple[int, float]]) -> float:
        """Take a permit and return 0, or return the seconds after which to ask again.

        Args:
            windows: how many requests are allowed in how many seconds.

        Raises:
            StopRun: it cannot be read or written.
        """

    def shortest_wait(self, windows: Sequence[tuple[int, float]]) -> float:
        """The fewest seconds before `take` can grant a permit. Errors as in `take`."""

    def give(self, *, used: bool) -> None:
        """Note that a request has been answered, or was not sent. Errors as in `take`."""


class Limiter:
    """Gives out permits to send, as many as the vendor allows.

    Args:
        spec: the setting `rate_limit`, see `parse_limits`; empty lets everything through.
        open_windows: opens what the processes of the account share; called for the first permit,
            never without a limit. May raise StopRun.
        max_wait: the longest wait in seconds, at least `PACING`; None for any.
        goes_on: whether the next run would go on after what this one did. While it would not, a run
            that has begun waits as long as it takes: stopping would have it all sent again.

    Raises:
        ValueError: `spec` cannot be read.
    """

    def __init__(
        self,
        spec: str,
        open_windows: Callable[[], Windows],
        max_wait: float | None = None,
        *,
        goes_on: Callable[[], bool] = lambda: True,
    ) -> None:
        self.limits = parse_limits(spec)
        self._max_wait = max_wait
        self._longest = math.inf if max_wait is None else max(max_wait, PACING) * _MARGIN
        self._goes_on = goes_on
        self._begun = False
        self._windows = [(limit.count, limit.seconds) for limit in self.limits]
        self._open_windows = open_windows
        self._shared: Windows | None = None
        self._turn = threading.Lock()  # one thread at a time watches the clock, the others queue
        self._changed = threading.Condition()
        self._stopped = False

    def try_acquire(self) -> float:
        """Take a permit and return 0, or return the seconds after which to ask again.

        Raises:
            StopRun: what the processes share cannot be read or written.
        """
        if not self.limits:
            return 0.0
        if self._shared is None:
            self._shared = self._open_windows()
        return self._shared.take(self._windows)

    def acquire(self) -> float:
        """Wait for a permit to send one request.

        Returns:
            When it was granted, in seconds of `CLOCK.steady`. The request is handed to a connection
            within `READY_WITHIN`, or the permit is given back unused.

        Raises:
            Cancelled: `stop` was called.
            RetryLater: the wait would be longer than `max_wait`.
            StopRun: as in `try_acquire`.
        """
        if not self.limits and not self._stopped:
            return CLOCK.steady()
        noticed, sleep = False, _SHORTEST_SLEEP
        with self._turn, self._changed:
            while not self._stopped:
                now = CLOCK.steady()
                delay = self.try_acquire()
                if not delay:
                    self._begun = True
                    return now
                longest = self._longest_wait()
                self._check_wait(delay, longest)
                # A longer one lasts only until the requests in flight have ended.
                if _NOTICE < delay <= longest and not noticed:
                    noticed = True
                    self._announce(delay)
                self._changed.wait(min(delay, sleep))
                sleep = min(2 * sleep, _LONGEST_SLEEP)
        msg = "The run is being ended, while a request waited for rate_limit"
        raise Cancelled(msg)

    def _longest_wait(self) -> float:
        return math.inf if self._begun and not self._goes_on() else self._longest

    def _check_wait(self, delay: float, longest: float) -> None:
        """Stop the run if its wait is certain to be too long: its slot and its lock serve others.

        Raises:
            RetryLater: it is.
        """
        if delay <= longest or not self._shared:
            return
        # Requests in flight may come back unused, and are over soon.
        delay = self._shared.shortest_wait(self._windows)
        if delay <= longest:
            return
        until = datetime.now(UTC) + timedelta(seconds=delay)
        message = (
            f"rate_limit: {self._spec} is used up for {delay:.0f} s, longer than max_wait "
            f"({self._max_wait:g} s): run again after {until:%Y-%m-%dT%H:%M:%SZ}, or raise max_wait"
        )
        raise RetryLater(message, until)

    def release(self, *, used: bool) -> None:
        """Give a permit back: when the answer is in or lost, or unused if nothing was sent.

        Where that fails, the permit counts as answered when its time is over: the answer that is in
        hand is worth more than the permit.
        """
        with self._changed:
            if self._shared:
                try:
                    self._shared.give(used=used)
                except StopRun as error:
                    _log.debug("A permit was not given back: %s", error)
            self._changed.notify()

    def _announce(self, delay: float) -> None:
        until = datetime.fromtimestamp(time.time() + delay, UTC).strftime("%Y-%m-%d %H:%M:%SZ")
        _log.info("rate_limit: %s is used up, waiting until %s", self._spec, until)

    @property
    def _spec(self) -> str:
        return ", ".join(map(str, self.limits))

    def stop(self) -> None:
        """Wake all who wait for a permit, and give out no more: `acquire` raises `Cancelled`."""
        with self._changed:
            self._stopped = True
            self._changed.notify_all()
