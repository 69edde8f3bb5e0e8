"""When the requests of a run left: counts over time, in bounded memory."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from singer_http.operations import JSON

BUCKETS = 240
"""The most that are kept; with more, neighbours are folded into one of twice the width."""


@dataclass(slots=True)
class Bucket:
    """Requests that left in one stretch of time."""

    requests: int = 0
    retries: int = 0
    """Those among them that were further attempts."""


class Timeline:
    """Counts requests by the second, and more coarsely the longer a run takes. Thread-safe."""

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
        """A request leaves now: the first attempt, or a further one."""
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

    def as_dict(self) -> JSON:
        """As it is stored: at most `BUCKETS` numbers, each the requests of `width` seconds."""
        with self._lock:
            return {
                "seconds": round(self.seconds, 3),
                "width": self.width,
                "requests": [bucket.requests for bucket in self.buckets],
                "retries": sum(bucket.retries for bucket in self.buckets),
            }

    def rate(self, seconds: int = 5) -> float:
        """Requests per second, lately."""
        with self._lock:
            now = int(self.seconds / self.width)
            length = max(1, seconds // self.width)
            recent = self.buckets[max(0, now - length) : now]
            return sum(bucket.requests for bucket in recent) / (length * self.width)


def in_windows(requests: Sequence[int], width: float, seconds: float) -> list[float]:
    """For each bucket, the requests of the window of `seconds` that ends with it.

    A window shorter than a bucket gets the bucket's average.

    Args:
        requests: of each bucket.
        width: seconds of one bucket.
        seconds: length of the window.
    """
    if seconds < width:
        return [number * seconds / width for number in requests]
    length = round(seconds / width)
    found, total = [], 0
    for place, number in enumerate(requests):
        total += number
        if place >= length:
            total -= requests[place - length]
        found.append(float(total))
    return found
