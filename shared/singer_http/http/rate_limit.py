"""The rate limit: never more than N requests in any window, as the vendor sees it.

The vendor counts a request when it arrives, which is some time between its leaving and its answer.
A permit therefore is held while the request is in flight and for the window's length after the
*answer*: two uses of one permit then arrive at least a window apart, on any network, and of N + 1
requests two share a permit.

The times of the newest answers are kept in one file per account in `work_dir` (`answer_times`),
which all threads and processes share and which outlives a run. With I requests in flight, a limit
of N in W seconds lets the next one go when the (N - I)-th newest answer is W old.
"""

from __future__ import annotations

import hashlib
import logging
import re
import threading
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from typing_extensions import override

from singer_http.errors import Cancelled, ConfigError
from singer_http.http.answer_times import CLOCK, AnswerTimes, Clock

__all__ = ["Limit", "Limiter", "parse_limits"]

_log = logging.getLogger(__name__)

_UNITS: Final = {"s": 1, "sec": 1, "m": 60, "min": 60, "h": 3600, "hour": 3600, "d": 86400}
_UNITS["day"] = 86400
_LIMIT: Final = re.compile(r"(?P<count>\d+)\s*/\s*(?P<length>\d+(?:\.\d+)?)?\s*(?P<unit>[a-z]+)")

_LONGEST_SLEEP: Final = 30.0  # seconds, so that what other processes give back is noticed
_NOTICE: Final = 10.0  # seconds of waiting that are worth a line in the log


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
    return tuple(_parse_limit(part.strip(), spec) for part in spec.split(",") if spec.strip())


def _parse_limit(text: str, spec: str) -> Limit:
    found = _LIMIT.fullmatch(text.lower())
    if found and found["unit"] in _UNITS:
        limit = Limit(int(found["count"]), float(found["length"] or 1) * _UNITS[found["unit"]])
        if limit.count and limit.seconds:
            return limit
    msg = (
        f"rate_limit: {text!r} in {spec!r} is no limit; write a number, a slash and a time, "
        "such as '10/s' or '100/10s,200000/day' (units s, min, hour, day), or nothing for no limit"
    )
    raise ValueError(msg)


class Limiter:
    """Gives out permits to send, as many as the vendor allows.

    Args:
        spec: the setting `rate_limit`, see `parse_limits`; empty lets everything through.
        account: whose limit this is; it stands hashed in the file's name.
        directory: where the file is that the processes of an account share (`work_dir`), made
            with mode 700 where it is not there.
        clock: how time passes.

    Raises:
        ValueError: `spec` cannot be read.
        ConfigError: the directory cannot be written.
    """

    def __init__(self, spec: str, account: str, directory: Path, *, clock: Clock = CLOCK) -> None:
        self.limits = parse_limits(spec)
        self._windows = [(limit.count, limit.seconds) for limit in self.limits]
        self._clock = clock
        self._turn = threading.Lock()  # one thread at a time watches the clock, the others queue
        self._changed = threading.Condition()
        self._stopped = False
        self._times = self._open(account, directory) if self.limits else None

    def _open(self, account: str, directory: Path) -> AnswerTimes:
        name = hashlib.sha256(account.encode()).hexdigest()[:16]
        try:
            directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            capacity = max(limit.count for limit in self.limits)
            return AnswerTimes(directory / f"rate-{name}.ring", capacity, self._clock)
        except OSError as error:
            msg = f"work_dir: cannot write the rate limit's file in {directory}: {error.strerror}"
            raise ConfigError(msg) from error

    def try_acquire(self) -> float:
        """Take a permit and return 0, or return the seconds after which to ask again."""
        return self._times.take(self._windows) if self._times else 0.0

    def acquire(self) -> None:
        """Wait for a permit to send one request.

        Raises:
            Cancelled: `stop` was called.
        """
        if self._times is None and not self._stopped:
            return
        noticed = False
        with self._turn, self._changed:
            while not self._stopped:
                delay = self.try_acquire()
                if not delay:
                    return
                if delay > _NOTICE and not noticed:
                    noticed = True
                    self._announce(delay)
                self._changed.wait(min(delay, _LONGEST_SLEEP))
        msg = "The run is being ended, while a request waited for rate_limit"
        raise Cancelled(msg)

    def release(self, *, used: bool) -> None:
        """Give a permit back: when the answer is in or lost, or unused if nothing was sent."""
        if self._times:
            with self._changed:
                self._times.give(used=used)
                self._changed.notify()

    def _announce(self, delay: float) -> None:
        until = datetime.fromtimestamp(time.time() + delay, UTC).strftime("%Y-%m-%d %H:%M:%SZ")
        spec = ", ".join(map(str, self.limits))
        _log.info("rate_limit: %s is used up, waiting until %s", spec, until)

    def stop(self) -> None:
        """Wake all who wait for a permit, and give out no more: `acquire` raises `Cancelled`."""
        with self._changed:
            self._stopped = True
            self._changed.notify_all()
