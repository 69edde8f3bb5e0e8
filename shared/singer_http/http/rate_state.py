"""What is known of an account's newest requests: the state behind a rate limit.

One state serves all processes of an account, windows of any length, and processes with different
limits. Its size does not depend on the number of requests: answers that are close together are
counted together, in buckets, and all of a bucket counts until its newest answer leaves the window.

A permit is in the state while its request is in flight. It has a deadline, by which the client's
time limits end the request; a permit that is there longer belongs to a process that died, and
counts as answered at the deadline.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import msgspec

from singer_http.http.clock import Clock

SLACK: Final = 1.001
"""Clocks may be slewed by 500 ppm each, the vendor's too."""
POLL: Final = 0.05
"""Seconds between looks while every permit is in flight."""
BUCKETS: Final = 64
"""In one window: the share of a window by which a permit may come back late."""


class Bucket(msgspec.Struct, array_like=True):
    """Answers that are close together."""

    start: float
    """When the oldest was counted; in seconds of the state, like all times here."""
    end: float
    count: int


class Permit(msgspec.Struct, array_like=True):
    """A request that is in flight, or about to leave."""

    number: int
    taken: float
    hold: float
    """Seconds after which the request is over, whatever happened."""


class _Machine(msgspec.Struct, array_like=True):
    """The machine's clocks when the state was last used."""

    boot: bytes
    steady: float
    wall: float
    lead: float
    """Wall clock less the state's time."""


class RateState(msgspec.Struct):
    """The newest answers of an account, and its permits.

    Set the time with `set_time` or `advance` before `take` or `give`.
    """

    now: float = 0.0
    windows: list[float] = []
    """The lengths in seconds that were asked for, ascending."""
    buckets: list[Bucket] = []
    """Oldest first."""
    permits: list[Permit] = []
    machine: _Machine | None = None
    """Where the time is a machine's, not a database server's."""

    def set_time(self, now: float) -> None:
        """Set the time to a server's clock. One that was set back makes nothing newer than now."""
        self.now = now
        for bucket in reversed(self.buckets):
            if bucket.end <= now:
                break
            bucket.start, bucket.end = min(bucket.start, now), now
        for permit in self.permits:
            permit.taken = min(permit.taken, now)

    def advance(self, clock: Clock) -> None:
        """Set the time by a machine's clocks; it never falls.

        Within one boot the clock counts that cannot be set, so a step of the wall clock changes
        nothing. After a reboot, and between machines that share the file, only the wall clock
        connects the times: if it was set forward meanwhile, or the machines' clocks differ, by D
        seconds, answers look D seconds older than they are. That cannot be noticed. A clock that
        was set back makes processes wait, at most for one window.
        """
        steady, wall = clock.steady(), clock.wall()
        then = self.machine
        if then is None:
            self.now, lead = wall, 0.0
        elif then.boot == clock.boot:
            passed = max(0.0, steady - then.steady)
            lead = then.lead + wall - then.wall - passed  # the wall clock may have been set
            self.now += passed
        else:
            lead = then.lead
            self.now = max(self.now, wall - lead)
        self.machine = _Machine(clock.boot, steady, wall, lead)

    def take(self, number: int, windows: Sequence[tuple[int, float]], hold: float) -> float:
        """Take a permit and return 0, or return the seconds after which to ask again.

        Args:
            number: of the permit, for `give`.
            windows: how many requests are allowed in how many seconds.
            hold: seconds after which the request is over, whatever happens to this process.
        """
        self._count_overdue()
        for _, seconds in windows:
            if seconds not in self.windows:
                self.windows = sorted([*self.windows, seconds])
        in_flight = len(self.permits)
        delay = max(self._delay(count - in_flight, seconds) for count, seconds in windows)
        if delay > 0:
            return delay
        self.permits.append(Permit(number, self.now, hold))
        return 0.0

    def shortest_wait(self, windows: Sequence[tuple[int, float]]) -> float:
        """The fewest seconds before a permit can be granted: as if nothing were in flight.

        Args:
            windows: as in `take`.
        """
        self._count_overdue()
        return max(self._delay(count, seconds) for count, seconds in windows)

    def give(self, number: int, *, used: bool) -> None:
        """Count a request as answered now, or forget the permit of one that was not sent."""
        self.permits = [permit for permit in self.permits if permit.number != number]
        if used and self.windows:  # none: somebody emptied the table meanwhile
            self._count(self.now)

    def _count_overdue(self) -> None:
        overdue = [permit for permit in self.permits if permit.taken + permit.hold <= self.now]
        if overdue:
            self.permits = [permit for permit in self.permits if permit not in overdue]
            for permit in sorted(overdue, key=lambda permit: permit.taken + permit.hold):
                self._count(permit.taken + permit.hold)

    def _delay(self, room: int, seconds: float) -> float:
        """Seconds until fewer than `room` answers are in the window."""
        if room <= 0:
            return POLL
        for bucket in reversed(self.buckets):
            room -= bucket.count
            if room <= 0:
                return max(0.0, bucket.end + seconds * SLACK - self.now)
        return 0.0

    def _count(self, when: float) -> None:
        if self.buckets:
            last = self.buckets[-1]
            when = max(when, last.end)
            if when - last.start <= self.windows[0] / BUCKETS:
                last.end, last.count = when, last.count + 1
                return
        self.buckets.append(Bucket(when, when, 1))
        self._compact()

    def _compact(self) -> None:
        """Forget what left the longest window; merge buckets that only longer windows count."""
        kept: list[Bucket] = []
        for bucket in self.buckets:
            age = self.now - bucket.end
            width = next((w for w in self.windows if w * SLACK > age), 0.0) / BUCKETS
            if not width:
                continue
            if kept and bucket.end - kept[-1].start <= width:
                kept[-1].end, kept[-1].count = bucket.end, kept[-1].count + bucket.count
            else:
                kept.append(bucket)
        self.buckets = kept
