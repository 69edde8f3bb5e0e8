"""The rate limit as the vendor sees it: never more than allowed, and hardly less."""

from __future__ import annotations

import bisect
import heapq
import itertools
import json
import random
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from singer_http.errors import Cancelled, StopRun
from singer_http.http.clock import CLOCK, Clock
from singer_http.http.rate_limit import Limit, Limiter, parse_limits
from singer_http.http.rate_state import RateState
from singer_http.store.rate_windows import RateWindows

DAY = 86400
HOLD = 3.0
"""Seconds after which a request is over, here."""


def limiter_at(
    place: Path | str, spec: str, account: str = "someone", clock: Clock = CLOCK, hold: float = HOLD
) -> Limiter:
    """A limiter whose windows are in the default database of a folder, or in a database."""
    url = place if isinstance(place, str) else f"sqlite:///{place / 'x.db'}"
    return Limiter(spec, lambda: RateWindows(url, account, hold, clock=clock))


@contextmanager
def permit(limiter: Limiter) -> Iterator[None]:
    """Send one request."""
    limiter.acquire()
    yield
    limiter.release(used=True)


class FakeClock:
    """A machine whose time passes when a test says so."""

    def __init__(self) -> None:
        """Begin at some moment."""
        self.now, self.offset, self.boots = 1e9, 0.0, 0

    def __call__(self) -> Clock:
        """The clock as a process sees it that starts now."""
        boot = self.boots.to_bytes(16)
        return Clock(boot, lambda: self.now - 1e9 * self.boots, lambda: self.now + self.offset)


def busiest(arrivals: list[float], seconds: float) -> int:
    """Return how many requests the fullest window of that length holds."""
    arrivals = sorted(arrivals)
    return max(
        (bisect.bisect_left(arrivals, at + seconds) - k for k, at in enumerate(arrivals)), default=0
    )


# --- what the setting means


@pytest.mark.parametrize(
    ("spec", "limits"),
    [
        ("", ()),
        (" ", ()),
        ("10/s", (Limit(10, 1),)),
        ("100/10s,200000/day", (Limit(100, 10), Limit(200_000, DAY))),
        ("5/min, 6/m,7/h,8/hour,9/d", tuple(map(Limit, range(5, 10), (60, 60, 3600, 3600, DAY)))),
        ("3 / 0.5s", (Limit(3, 0.5),)),
    ],
)
def test_a_limit_is_read(spec: str, limits: tuple[Limit, ...]) -> None:
    assert parse_limits(spec) == limits


@pytest.mark.parametrize(
    "spec", ["ten/s", "10", "10/", "10/week", "0/s", "10/0s", "-1/s", "1/s;2/d"]
)
def test_what_is_no_limit_is_refused_with_the_settings_name(spec: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="rate_limit"):
        limiter_at(tmp_path, spec)


def test_no_limit_lets_everything_through(tmp_path: Path) -> None:
    limiter = limiter_at(tmp_path, "")
    for _ in range(1000):
        with permit(limiter):
            pass
    assert limiter.limits == ()
    assert list(tmp_path.iterdir()) == []


# --- never more than allowed: any number of processes, latencies, deaths and clocks set back


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
        delay = self.state.take(number, windows, HOLD)
        if not delay:
            self.mine.append(number)
        return delay

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


SPECS = st.sampled_from(["1/s", "3/s", "4/2s,7/10s", "5/10s", "2/s,9/h"])
REQUESTS = st.tuples(st.integers(0, 2), st.floats(0, 3), st.floats(0, 0.9))
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


# --- threads and processes, on the real clock

SENDER = """
import json, random, sys, threading, time
from pathlib import Path
from tests.core.http.test_limits import limiter_at

limiter = limiter_at(Path(sys.argv[2]), sys.argv[1])
end, arrivals = time.monotonic() + float(sys.argv[3]), []

def send():
    while time.monotonic() < end:
        limiter.acquire()
        try:
            there = random.uniform(0, 0.02)
            time.sleep(there)
            arrivals.append(time.monotonic())
            time.sleep(0.02 - there)
        finally:
            limiter.release(used=True)

threads = [threading.Thread(target=send) for _ in range(4)]
[thread.start() for thread in threads]
[thread.join() for thread in threads]
print(json.dumps(arrivals))
"""


def run_senders(processes: int, spec: str, folder: Path, seconds: float) -> list[float]:
    """Send from several processes with 20 ms of latency; return when the vendor saw what."""
    command = [sys.executable, "-c", SENDER, spec, str(folder), str(seconds)]
    running = [subprocess.Popen(command, stdout=subprocess.PIPE) for _ in range(processes)]
    return [at for one in running for at in json.loads(one.communicate()[0])]


def test_threads_and_processes_share_a_second(tmp_path: Path) -> None:
    arrivals = run_senders(2, "40/s", tmp_path, 3)
    assert busiest(arrivals, 1) <= 40
    assert len(arrivals) > 40  # the second window is used too


def test_a_dead_process_gives_its_permits_back(tmp_path: Path) -> None:
    code = (
        "import os, signal, sys, pathlib; from tests.core.http.test_limits import limiter_at\n"
        "limiter = limiter_at(pathlib.Path(sys.argv[1]), '2/s')\n"
        "limiter.acquire(); limiter.acquire(); os.kill(os.getpid(), signal.SIGKILL)"
    )
    limiter = limiter_at(tmp_path, "2/s")
    subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=False, timeout=30)
    died = time.monotonic()
    with permit(limiter):
        assert HOLD < time.monotonic() - died < HOLD + 2


def test_a_permit_that_comes_back_after_its_time_counts_twice_and_not_less(tmp_path: Path) -> None:
    clock = FakeClock()
    limiter = limiter_at(tmp_path, "3/h", clock=clock())
    limiter.acquire()
    clock.now += HOLD + 1  # the machine was suspended, say
    assert limiter.try_acquire() == 0  # this is in flight from now on,
    limiter.release(used=True)  # though it is the first one that was answered
    clock.now += HOLD - 1
    assert use_up(limiter) == 0


def use_up(limiter: Limiter) -> int:
    """Send as many requests as may leave at once, and return how many those are."""
    sent = 0
    while not limiter.try_acquire():
        sent += 1
    for _ in range(sent):
        limiter.release(used=True)
    return sent


def test_a_permit_that_was_not_used_counts_for_nothing(tmp_path: Path) -> None:
    limiter = limiter_at(tmp_path, "2/h")
    for _ in range(9):
        limiter.acquire()
        limiter.release(used=False)
    assert use_up(limiter) == 2


def test_a_window_outlives_a_run(tmp_path: Path) -> None:
    first = limiter_at(tmp_path, "3/day")
    for _ in range(3):
        with permit(first):
            pass
    del first
    assert use_up(limiter_at(tmp_path, "3/day")) == 0
    assert use_up(limiter_at(tmp_path, "3/day", "someone else")) == 3


def test_a_new_limit_counts_what_was_sent_under_the_old(tmp_path: Path) -> None:
    for spec, left in [("2/h", 2), ("5/h", 3), ("4/h,9/day", 0), ("9/day", 4)]:
        assert use_up(limiter_at(tmp_path, spec)) == left


@pytest.mark.parametrize("step", [90.0, 30.0 * DAY, -90.0, -30.0 * DAY])
def test_a_clock_that_is_set_between_two_runs_changes_nothing(tmp_path: Path, step: float) -> None:
    clock = FakeClock()
    assert use_up(limiter_at(tmp_path, "5/60s", clock=clock())) == 5
    clock.offset = step
    limiter = limiter_at(tmp_path, "5/60s", clock=clock())
    assert use_up(limiter) == 0
    clock.now += 61
    assert use_up(limiter) == 5
    clock.boots += 1  # the step counts no more after a reboot either
    assert use_up(limiter_at(tmp_path, "5/60s", clock=clock())) == 0


def test_a_clock_set_back_by_a_reboot_holds_nobody_up_for_longer_than_the_window(
    tmp_path: Path,
) -> None:
    clock = FakeClock()
    assert use_up(limiter_at(tmp_path, "2/h", clock=clock())) == 2
    clock.offset, clock.boots = -30.0 * DAY, 1
    limiter = limiter_at(tmp_path, "2/h", clock=clock())
    assert use_up(limiter) == 0
    clock.now += 3650
    assert use_up(limiter) == 2


def test_a_window_outlives_a_reboot(tmp_path: Path) -> None:
    clock = FakeClock()
    assert use_up(limiter_at(tmp_path, "2/h", clock=clock())) == 2
    clock.now, clock.boots = clock.now + 1800, 1
    limiter = limiter_at(tmp_path, "2/h", clock=clock())
    assert use_up(limiter) == 0
    clock.now += 1900
    assert use_up(limiter) == 2


def test_stop_ends_the_wait_for_a_permit(tmp_path: Path) -> None:
    limiter = limiter_at(tmp_path, "1/day")
    assert use_up(limiter) == 1
    ends: list[str] = []

    def wait() -> None:
        try:
            limiter.acquire()
        except Cancelled as error:
            ends.append(str(error))

    threads = [threading.Thread(target=wait) for _ in range(4)]
    for thread in threads:
        thread.start()
    limiter.stop()
    for thread in threads:
        thread.join(10)
    assert ends == ["The run is being ended, while a request waited for rate_limit"] * 4


def test_a_folder_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(StopRun, match=r"database_url.*work_dir"):
        limiter_at(tmp_path / "file" / "work", "1/s").acquire()
    assert [entry.name for entry in tmp_path.iterdir()] == ["file"]
