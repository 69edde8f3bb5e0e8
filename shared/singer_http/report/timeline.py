"""When the requests of a run left: counts over time, in bounded memory."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

BUCKETS = 240
"""The most that are kept; with more, neighbours are folded into one of twice the width."""


@dataclass(slots=True)
class Bucket:
    """Requests that left in one stretch of time."""

    requests: int = 0
    retries: int = 0
    """Those among them that were tries after the first."""


class Timeline:
    """Counts requests by the second, and more coarsely the longer a run takes. Any thread may."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        """Begin now."""
        self.width = 1
        """Seconds of one bucket."""
        self.buckets: list[Bucket] = []
        self._clock = clock
        self._began = clock()
        self._lock = threading.Lock()

    @property
    def seconds(self) -> float:
        """Since the beginning."""
        return self._clock() - self._began

    def note(self, first: bool) -> None:
        """A request leaves now: the first try, or a further one."""
        with self._lock:
            place = int(self.seconds / self.width)
            while place >= BUCKETS:
                self._fold()
                place //= 2
            while len(self.buckets) <= place:
                self.buckets.append(Bucket())
            self.buckets[place].requests += 1
            self.buckets[place].retries += not first

    def _fold(self) -> None:
        self.width *= 2
        pairs = zip(self.buckets[::2], [*self.buckets[1::2], Bucket()], strict=False)
        self.buckets = [
            Bucket(one.requests + other.requests, one.retries + other.retries)
            for one, other in pairs
        ]

    def within(self, seconds: float) -> list[float]:
        """For each bucket, the requests of the window of that length that ends with it.

        A window shorter than a bucket gets the bucket's average.
        """
        if seconds < self.width:
            return [bucket.requests * seconds / self.width for bucket in self.buckets]
        length = round(seconds / self.width)
        found, total = [], 0
        for place, bucket in enumerate(self.buckets):
            total += bucket.requests
            if place >= length:
                total -= self.buckets[place - length].requests
            found.append(float(total))
        return found

    def rate(self, seconds: int = 5) -> float:
        """Requests per second, lately."""
        with self._lock:
            now = int(self.seconds / self.width)
            length = max(1, seconds // self.width)
            recent = self.buckets[max(0, now - length) : now]
            return sum(bucket.requests for bucket in recent) / (length * self.width)
