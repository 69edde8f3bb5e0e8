"""The rate limit: never more than N requests in any window, as the vendor sees it.

The vendor counts a request when it arrives, which is some time between its leaving and its answer.
A permit therefore is held while the request is in flight and for the window's length after the
*answer*: two uses of one permit then arrive at least a window apart, on any network, and of N + 1
requests two share a permit.

What is kept is one file per account in `work_dir`, which all threads and processes share and which
outlives a run: a ring of the times of the newest answers, and how many requests each process has in
flight. With I in flight, a limit of N in W seconds lets the next one go when the (N - I)-th newest
answer is W old, so a permit costs a few reads at known places, whatever N is. One ring serves
every window, and processes with different limits: each looks at its own.
"""

from __future__ import annotations

import fcntl
import hashlib
import logging
import math
import os
import re
import struct
import threading
import time
import weakref
from array import array
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final

from typing_extensions import override

from singer_http.errors import Cancelled, ConfigError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = ["Limit", "Limiter", "parse_limits"]

_log = logging.getLogger(__name__)

_UNITS: Final = {"s": 1, "sec": 1, "m": 60, "min": 60, "h": 3600, "hour": 3600, "d": 86400}
_UNITS["day"] = 86400
_LIMIT: Final = re.compile(r"(?P<count>\d+)\s*/\s*(?P<length>\d+(?:\.\d+)?)?\s*(?P<unit>[a-z]+)")

_SLACK: Final = 1.001  # clocks may be slewed by 500 ppm each, the vendor's too
_GRACE: Final = 1.0  # seconds that a dead process' last request may still be on its way
_POLL: Final = 0.05  # seconds between looks while other processes hold every permit
_NAP: Final = 30.0  # longest sleep in seconds, so that a changed clock is noticed
_NOTICE: Final = 10.0  # seconds of waiting that are worth a line in the log

_SLOTS: Final = 64  # processes (limiters) of one account at once
_MAGIC: Final = b"singrl01"
_HEADER: Final = struct.Struct(f"=8sqq{_SLOTS}i")
_TIME: Final = struct.Struct("=d")


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


@dataclass
class _Head:
    now: float
    capacity: int
    answered: int
    flights: list[int]


class _Ring:
    """The file: when the newest requests were answered, and what is in flight by whom.

    `capacity` is how many answers to remember at least. The clock is read while the file is locked,
    so that times in it never fall.
    """

    def __init__(self, path: Path, capacity: int, clock: Callable[[], float]) -> None:
        self._path, self._capacity, self._clock = path, capacity, clock
        self._fd = _open(path)
        weakref.finalize(self, os.close, self._fd)
        self._slot = self._claim()
        with self._locked() as head:  # what the slot's former owner left when it died
            self._land(head, self._slot)

    def _claim(self) -> int:
        """Own a slot while this process lives: the system drops its lock, however it ends."""
        for slot in range(_SLOTS):
            if (lock := self._lock(slot)) is not None:
                weakref.finalize(self, os.close, lock)
                return slot
        msg = f"rate_limit: more than {_SLOTS} processes share one account and work_dir"
        raise ConfigError(msg)

    def _lock(self, slot: int) -> int | None:
        """Return the open file that holds a slot's lock, None where a living process has it."""
        lock = _open(self._path.with_suffix(f".{slot}"))
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(lock)
            return None
        return lock

    def take(self, limits: tuple[Limit, ...]) -> float:
        """Take a permit and return 0, or return the seconds after which to ask again."""
        with self._locked() as head:
            delay = self._delay(head, limits)
            if delay > 0 and self._bury(head):
                delay = self._delay(head, limits)
            if delay <= 0:
                head.flights[self._slot] += 1
            return max(delay, 0.0)

    def give(self, *, used: bool) -> None:
        """Note that a request has been answered, or was not sent."""
        with self._locked() as head:
            head.flights[self._slot] = max(0, head.flights[self._slot] - 1)
            if used:
                self._append(head, head.now)

    def _delay(self, head: _Head, limits: tuple[Limit, ...]) -> float:
        flying, delay = sum(head.flights), 0.0
        for limit in limits:
            room = limit.count - flying
            if room <= 0:
                delay = max(delay, _POLL)
            elif head.answered >= room:
                answer = self._at(head, head.answered - room)
                delay = max(delay, answer + limit.seconds * _SLACK - head.now)
        return delay

    def _bury(self, head: _Head) -> bool:
        """Count what dead processes had in flight as answered; say whether there was any."""
        dead = False
        for slot, count in enumerate(head.flights):
            if count and slot != self._slot and (lock := self._lock(slot)) is not None:
                os.close(lock)
                self._land(head, slot)
                dead = True
        return dead

    def _land(self, head: _Head, slot: int) -> None:
        for _ in range(head.flights[slot]):
            self._append(head, head.now + _GRACE)
        head.flights[slot] = 0

    def _append(self, head: _Head, when: float) -> None:
        if head.answered:  # the newest may be a little ahead: a grace, or a clock set back
            when = max(when, self._at(head, head.answered - 1))
        os.pwrite(self._fd, _TIME.pack(when), self._place(head, head.answered))
        head.answered += 1

    def _at(self, head: _Head, number: int) -> float:
        raw = os.pread(self._fd, _TIME.size, self._place(head, number))
        return float(_TIME.unpack(raw)[0])

    @staticmethod
    def _place(head: _Head, number: int) -> int:
        return _HEADER.size + number % head.capacity * _TIME.size

    @contextmanager
    def _locked(self) -> Iterator[_Head]:
        fcntl.flock(self._fd, fcntl.LOCK_EX)
        try:
            head = self._read(os.pread(self._fd, _HEADER.size, 0), self._clock())
            yield head
            header = _HEADER.pack(_MAGIC, head.capacity, head.answered, *head.flights)
            os.pwrite(self._fd, header, 0)
        finally:
            fcntl.flock(self._fd, fcntl.LOCK_UN)

    def _read(self, raw: bytes, now: float) -> _Head:
        """Return the header, of a file made anew where that is small, damaged or of the future."""
        size = os.fstat(self._fd).st_size
        if len(raw) == _HEADER.size:
            magic, capacity, answered, *flights = _HEADER.unpack(raw)
            whole = magic == _MAGIC and size == _HEADER.size + capacity * _TIME.size
            if whole and answered >= 0 and min(flights) >= 0:
                head = _Head(now, capacity, answered, flights)
                ahead = answered and self._at(head, answered - 1) > now + 2 * _GRACE
                if capacity >= self._capacity and not ahead:
                    return head
                return self._rebuild(now, max(capacity, self._capacity), flights)
        if size:
            _log.warning(
                "rate_limit: the file of earlier requests is damaged; keeping what it holds"
            )
        return self._rebuild(now, self._capacity, [0] * _SLOTS)

    def _rebuild(self, now: float, capacity: int, flights: list[int]) -> _Head:
        """Write the file anew for `capacity`, with the newest of the times that are in it.

        A time ahead of the clock (which was set back, or the file is damaged) counts as now.
        """
        times = array("d")
        size = max(0, os.fstat(self._fd).st_size - _HEADER.size)
        times.frombytes(os.pread(self._fd, size - size % _TIME.size, _HEADER.size))
        kept = sorted(min(t, now + _GRACE) for t in times if math.isfinite(t) and t > 0)[-capacity:]
        ring = array("d", kept + [0.0] * (capacity - len(kept)))
        os.pwrite(self._fd, bytes(_HEADER.size), 0)  # a kill in between leaves a damaged file
        os.ftruncate(self._fd, _HEADER.size + capacity * _TIME.size)
        os.pwrite(self._fd, ring.tobytes(), _HEADER.size)
        return _Head(now, capacity, len(kept), flights)


def _open(path: Path) -> int:
    return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)


class Limiter:
    """Gives out permits to send, as many as the vendor allows.

    Args:
        spec: the setting `rate_limit`, see `parse_limits`; empty lets everything through.
        account: whose limit this is; it stands hashed in the file's name.
        directory: where the file is that the processes of an account share (`work_dir`), made
            with mode 700 where it is not there.
        clock: returns seconds since 1970.

    Raises:
        ValueError: `spec` cannot be read.
        ConfigError: the directory cannot be written.
    """

    def __init__(
        self,
        spec: str,
        account: str,
        directory: Path,
        *,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.limits = parse_limits(spec)
        self._clock = clock
        self._turn = threading.Lock()  # one thread at a time watches the clock, the others queue
        self._changed = threading.Condition()
        self._stopped = False
        self._ring = self._make_ring(account, directory) if self.limits else None

    def _make_ring(self, account: str, directory: Path) -> _Ring:
        name = hashlib.sha256(account.encode()).hexdigest()[:16]
        try:
            directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            capacity = max(limit.count for limit in self.limits)
            return _Ring(directory / f"rate-{name}.ring", capacity, self._clock)
        except OSError as error:
            msg = f"work_dir: cannot write the rate limit's file in {directory}: {error.strerror}"
            raise ConfigError(msg) from error

    def acquire(self) -> None:
        """Wait for a permit to send one request.

        Raises:
            Cancelled: `stop` was called.
        """
        if self._ring is None and not self._stopped:
            return
        self._take()

    def release(self, *, used: bool) -> None:
        """Give a permit back: when the answer is in or lost, or unused if nothing was sent."""
        if self._ring:
            with self._changed:
                self._ring.give(used=used)
                self._changed.notify()

    def _take(self) -> None:
        noticed = False
        with self._turn, self._changed:
            while self._ring and not self._stopped:
                delay = self._ring.take(self.limits)
                if not delay:
                    return
                if delay > _NOTICE and not noticed:
                    noticed = True
                    self._announce(delay)
                self._changed.wait(min(delay, _NAP))
        msg = "stopped while waiting for rate_limit"
        raise Cancelled(msg)

    def _announce(self, delay: float) -> None:
        until = datetime.fromtimestamp(self._clock() + delay, UTC).strftime("%Y-%m-%d %H:%M:%SZ")
        spec = ", ".join(map(str, self.limits))
        _log.info("rate_limit: %s is used up, waiting until %s", spec, until)

    def stop(self) -> None:
        """Wake all who wait for a permit, and give out no more: `permit` raises `Cancelled`."""
        with self._changed:
            self._stopped = True
            self._changed.notify_all()
