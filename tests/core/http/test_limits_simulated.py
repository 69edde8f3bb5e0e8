"""The rate limit with a clock that only exists here: whatever dies, and however it is set."""

from __future__ import annotations

import heapq
import itertools
import random
from collections import deque
from collections.abc import Callable, Sequence

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from singer_http.http.clock import Clock
from singer_http.http.rate_limit import Limiter
from singer_http.http.rate_state import RateState
from tests.core.http.test_limits import DAY, HOLD, FakeClock, busiest


class Memory:
    """What `RateWindows` does, without a database: thousands of looks cost nothing."""

    def __init__(self, state: RateState, clock: Clock | None, server: Callable[[], float]) -> None:
        self.state, self.clock, self.server = state, clock, server
        self.mine: deque[int] = deque()

    def set_time(self) -> None:
        if self.clock:
            self.state.advance(self.clock)
        else:
            self.state.set_time(self.server())

    def take(self, windows: Sequence[tuple[int, float]]) -> float:
        self.set_time()
        number = random.getrandbits(63)
        shortest = self.shortest_wait(windows)
        delay = self.state.take(number, windows, HOLD)
        assert delay or not shortest
        if not delay:
            self.mine.append(number)
        return delay

    def shortest_wait(self, windows: Sequence[tuple[int, float]]) -> float:
        return self.state.shortest_wait(windows)

    def give(self, *, used: bool) -> None:
        self.set_time()
        self.state.give(self.mine.popleft(), used=used)


class Simulation:
    """Processes that send as fast as they may, with a clock that only exists here."""

    def __init__(self, specs: list[str], *, server: bool = False) -> None:
        self.clock = FakeClock()
        self.specs, self.server, self.state = specs, server, RateState()
        self.limiters = [self.start(process) for process in range(len(specs))]
        self.arrivals: list[float] = []
        self.events: list[tuple[float, int, int, float | None]] = []
        self.numbers = itertools.count()

    def start(self, process: int) -> Limiter:
        clock = None if self.server else self.clock()
        windows = Memory(self.state, clock, lambda: self.clock.now + self.clock.offset)
        windows.set_time()  # one process at least looks between a step of the clock and a reboot
        return Limiter(self.specs[process], lambda: windows)

    def kill(self, process: int) -> None:
        """Let a process die with its requests in flight, and start it again."""
        self.events = [e for e in self.events if e[2] != process or e[3] is not None]
        heapq.heapify(self.events)
        self.limiters[process] = self.start(process)

    def reboot(self) -> None:
        """Let the machine lose power, and start all processes again."""
        self.clock.boots += 1
        for process in range(len(self.specs)):
            self.kill(process)

    def plan(self, at: float, process: int, latency: float | None) -> None:
        """Plan a request that takes `latency`, or the answer to one (None)."""
        heapq.heappush(self.events, (at, next(self.numbers), process, latency))

    def step(self) -> None:
        at, _, process, latency = heapq.heappop(self.events)
        self.clock.now = at
        if latency is None:
            self.limiters[process].release(used=True)
        elif delay := self.limiters[process].try_acquire():
            self.plan(at + delay, process, latency)
        else:
            self.arrivals.append(at + random.uniform(0, latency))
            self.plan(at + latency, process, None)

    def holds(self) -> bool:
        """Say whether no window that all processes know held more than the largest limit of it."""
        known = [{limit.seconds: limit.count for limit in one.limits} for one in self.limiters]
        return all(
            busiest(self.arrivals, seconds) <= max(counts[seconds] for counts in known)
            for seconds in set.intersection(*map(set, known))
        )


SPECS = st.sampled_from(["1/s", "3/s", "4/2s,7/10s", "5/10s", "2/s,9/h", "6/30s"])
BURST = st.floats(0, 0.4)
"""Answers that are counted together."""
REQUESTS = st.tuples(
    st.integers(0, 2), st.floats(0, 3) | BURST, st.floats(0, 0.9) | st.floats(0, 0.01)
)
STEPS = st.sampled_from([0.0, -0.5, -5.0, -9e5, 5.0, 90.0, 9e5])
TROUBLE = st.tuples(
    st.integers(0, 60), st.sampled_from(["kill", "reboot"]), st.integers(0, 2), STEPS
)


@settings(max_examples=150, deadline=None)
@given(
    specs=st.one_of(SPECS.map(lambda spec: [spec] * 3), st.lists(SPECS, min_size=3, max_size=3)),
    requests=st.lists(REQUESTS, min_size=1, max_size=60),
    trouble=st.lists(TROUBLE, max_size=4),
    server=st.booleans(),
    seed=st.integers(0, 1000),
)
def test_no_window_ever_holds_more_than_the_limit(
    specs: list[str],
    requests: list[tuple[int, float, float]],
    trouble: list[tuple[int, str, int, float]],
    server: bool,
    seed: int,
) -> None:
    """Whatever dies, and however the clock is set while the machine runs."""
    random.seed(seed)
    world = Simulation(specs, server=server)
    for process, after, latency in requests:
        world.plan(world.clock.now + after, process, latency)
    steps = 0
    while world.events:
        for at, what, process, offset in trouble:
            if at != steps:
                continue
            # Set forward while nothing runs, or at the database server: that cannot be noticed.
            world.clock.offset += min(offset, 0) if server or what == "reboot" else offset
            if what == "kill":
                world.kill(process)
            else:
                world.reboot()
        if world.events:
            world.step()
        steps += 1
        assert steps < 500_000, "waits for ever"
    assert world.holds()


def test_a_day_of_requests_is_a_small_state() -> None:
    state, sizes = RateState(), []
    for number in range(20_000):
        state.set_time(number * DAY / 18_000)
        assert state.take(number, [(100, 10.0), (200_000, float(DAY))], HOLD) == 0
        state.give(number, used=True)
        if number % 2_000 == 0:
            sizes.append(len(msgspec.msgpack.encode(state)))
    assert max(sizes) < 4000
    in_a_day = sum(bucket.count for bucket in state.buckets)
    assert 18_000 <= in_a_day <= 18_000 * 65 / 64 + 1


def test_long_windows_are_used_to_95_percent() -> None:
    world = Simulation(["100/10s,200000/day"])
    for _ in range(4):
        world.plan(world.clock.now, 0, 0.02)
    end = world.clock.now + 600
    while world.clock.now < end:
        answered = world.events[0][3] is None
        world.step()
        if answered:
            world.plan(world.clock.now, 0, 0.02)
    assert world.holds()
    assert len(world.arrivals) >= 0.95 * 100 * 60
