"""The times of an account's newest answers, in a file that its processes share.

The file is a ring of times and, for each process, the number of its requests in flight. A permit
costs a few reads at known places, however many requests a window allows. One ring serves windows of
any length, and processes with different limits.

Clocks. Within one boot of one machine, times come from a clock that all its processes share and
that cannot be set, so a step of the wall clock changes nothing. After a reboot, and between
machines that share `work_dir`, only the wall clock connects them. One thing cannot be promised
then: if the wall clock was set forward meanwhile, or the machines' clocks differ, by D seconds,
answers look D seconds older than they are, and a window can hold more than its limit. A clock that
was set back makes processes wait, at most for one window.
"""

from __future__ import annotations

import fcntl
import logging
import math
import os
import struct
import time
import weakref
from array import array
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from singer_http.errors import ConfigError

_log = logging.getLogger(__name__)

_SLACK: Final = 1.001  # clocks may be slewed by 500 ppm each, the vendor's too
_GRACE: Final = 1.0  # seconds that a dead process' last request may still be on its way
_POLL: Final = 0.05  # seconds between looks while other processes hold every permit

_SLOTS: Final = 64  # processes (limiters) of one account at once
_MAGIC: Final = b"singrl02"
_HEADER: Final = struct.Struct(f"=8s16sddddqq{_SLOTS}i")
_TIME: Final = struct.Struct("=d")


@dataclass(frozen=True)
class Clock:
    """How time passes."""

    boot: bytes
    """16 bytes: within which `steady` can be compared."""
    steady: Callable[[], float]
    """Seconds of a clock that cannot be set."""
    wall: Callable[[], float]
    """Seconds since 1970; it can be set."""


def _system_clock() -> Clock:
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().replace("-", "")
        return Clock(
            bytes.fromhex(boot), lambda: time.clock_gettime(time.CLOCK_BOOTTIME), time.time
        )
    except (OSError, ValueError, AttributeError):
        return Clock(os.urandom(16), time.monotonic, time.time)  # no two processes can compare


CLOCK: Final = _system_clock()


@dataclass
class _Header:
    now: float
    """The file's own time in seconds: it never falls, and does not step with the wall clock."""
    steady: float
    wall: float
    """The clocks when the file was last used."""
    lead: float
    """Wall clock less the file's time."""
    capacity: int
    answered: int
    in_flight: list[int]


class AnswerTimes:
    """When the newest requests were answered, and how many are in flight.

    Args:
        path: the file.
        capacity: how many answers to remember at least.
        clock: how time passes; read while the file is locked.
    """

    def __init__(self, path: Path, capacity: int, clock: Clock) -> None:
        """Open or make the file.

        Raises:
            OSError: it cannot be written.
            ConfigError: too many processes share it.
        """
        self._path, self._capacity, self._clock = path, capacity, clock
        self._fd = _open(path)
        weakref.finalize(self, os.close, self._fd)
        self._slot = self._take_slot()
        with self._locked() as header:  # what the slot's former owner left when it died
            self._count_as_answered(header, self._slot)

    def _take_slot(self) -> int:
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

    def take(self, windows: Sequence[tuple[int, float]]) -> float:
        """Take a permit and return 0, or return the seconds after which to ask again.

        `windows`: how many requests are allowed in how many seconds.
        """
        with self._locked() as header:
            delay = self._delay(header, windows)
            if delay > 0 and self._count_dead(header):
                delay = self._delay(header, windows)
            if delay <= 0:
                header.in_flight[self._slot] += 1
            return max(delay, 0.0)

    def give(self, *, used: bool) -> None:
        """Note that a request has been answered, or was not sent."""
        with self._locked() as header:
            header.in_flight[self._slot] = max(0, header.in_flight[self._slot] - 1)
            if used:
                self._append(header, header.now)

    def _delay(self, header: _Header, windows: Sequence[tuple[int, float]]) -> float:
        in_flight, delay = sum(header.in_flight), 0.0
        for count, seconds in windows:
            room = count - in_flight
            if room <= 0:
                delay = max(delay, _POLL)
            elif header.answered >= room:
                answer = self._at(header, header.answered - room)
                delay = max(delay, answer + seconds * _SLACK - header.now)
        return delay

    def _count_dead(self, header: _Header) -> bool:
        """Count what dead processes had in flight as answered; say whether there was any."""
        dead = False
        for slot, count in enumerate(header.in_flight):
            if count and slot != self._slot and (lock := self._lock(slot)) is not None:
                os.close(lock)
                self._count_as_answered(header, slot)
                dead = True
        return dead

    def _count_as_answered(self, header: _Header, slot: int) -> None:
        for _ in range(header.in_flight[slot]):
            self._append(header, header.now + _GRACE)
        header.in_flight[slot] = 0

    def _append(self, header: _Header, when: float) -> None:
        if header.answered:  # the newest may be a little ahead: a grace, or a clock set back
            when = max(when, self._at(header, header.answered - 1))
        os.pwrite(self._fd, _TIME.pack(when), self._place(header, header.answered))
        header.answered += 1

    def _at(self, header: _Header, number: int) -> float:
        raw = os.pread(self._fd, _TIME.size, self._place(header, number))
        return float(_TIME.unpack(raw)[0])

    @staticmethod
    def _place(header: _Header, number: int) -> int:
        return _HEADER.size + number % header.capacity * _TIME.size

    @contextmanager
    def _locked(self) -> Iterator[_Header]:
        fcntl.flock(self._fd, fcntl.LOCK_EX)
        try:
            header = self._read(os.pread(self._fd, _HEADER.size, 0))
            yield header
            packed = _HEADER.pack(
                _MAGIC,
                self._clock.boot,
                header.now,
                header.steady,
                header.wall,
                header.lead,
                header.capacity,
                header.answered,
                *header.in_flight,
            )
            os.pwrite(self._fd, packed, 0)
        finally:
            fcntl.flock(self._fd, fcntl.LOCK_UN)

    def _read(self, raw: bytes) -> _Header:
        """Return the header; rebuild the file where it is small or damaged."""
        steady, wall = self._clock.steady(), self._clock.wall()
        size = os.fstat(self._fd).st_size
        if len(raw) == _HEADER.size:
            magic, boot, now, then, wall_then, lead, capacity, answered, *in_flight = (
                _HEADER.unpack(raw)
            )
            numbers = (now, then, wall_then, lead)
            whole = magic == _MAGIC and size == _HEADER.size + capacity * _TIME.size
            if whole and answered >= 0 and min(in_flight) >= 0 and all(map(math.isfinite, numbers)):
                if boot == self._clock.boot:
                    passed = max(0.0, steady - then)
                    lead += wall - wall_then - passed  # the wall clock may have been set
                    now += passed
                else:
                    now = max(now, wall - lead)
                header = _Header(now, steady, wall, lead, capacity, answered, in_flight)
                ahead = answered and self._at(header, answered - 1) > now + 2 * _GRACE
                if capacity >= self._capacity and not ahead:
                    return header
                header.capacity = max(capacity, self._capacity)
                return self._rebuild(header)
        if size:
            _log.warning(
                "rate_limit: the file of earlier requests is damaged; keeping what it holds"
            )
        return self._rebuild(_Header(wall, steady, wall, 0.0, self._capacity, 0, [0] * _SLOTS))

    def _rebuild(self, header: _Header) -> _Header:
        """Write the file again for a capacity, with the newest of the times that are in it.

        A time ahead of the file's own (the file is damaged) counts as now.
        """
        times = array("d")
        size = max(0, os.fstat(self._fd).st_size - _HEADER.size)
        times.frombytes(os.pread(self._fd, size - size % _TIME.size, _HEADER.size))
        latest, capacity = header.now + _GRACE, header.capacity
        kept = sorted(min(t, latest) for t in times if math.isfinite(t) and t > 0)[-capacity:]
        ring = array("d", kept + [0.0] * (capacity - len(kept)))
        os.pwrite(self._fd, bytes(_HEADER.size), 0)  # a kill in between leaves a damaged file
        os.ftruncate(self._fd, _HEADER.size + capacity * _TIME.size)
        os.pwrite(self._fd, ring.tobytes(), _HEADER.size)
        header.answered = len(kept)
        return header


def _open(path: Path) -> int:
    return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
