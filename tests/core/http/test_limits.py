"""The rate limit as the vendor sees it: never more than allowed, and hardly less."""

from __future__ import annotations

import bisect
import heapq
import itertools
import json
import random
import stat
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from singer_http.errors import Cancelled, StopRun
from singer_http.http.answer_times import Clock
from singer_http.http.rate_limit import Limit, Limiter, parse_limits

DAY = 86400


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
        Limiter(spec, "someone", tmp_path)


def test_no_limit_lets_everything_through(tmp_path: Path) -> None:
    limiter = Limiter("", "someone", tmp_path / "work")
    for _ in range(1000):
        with permit(limiter):
            pass
    assert limiter.limits == ()
    assert not (tmp_path / "work").exists()


# --- never more than allowed: any number of processes, latencies, deaths and clocks set back


class Simulation:
    """Processes that send as fast as they may, with a clock that only exists here."""

    def __init__(self, specs: list[str], folder: Path) -> None:
        self.clock = FakeClock()
        self.specs, self.folder = specs, folder
        self.limiters = [self.start(process) for process in range(len(specs))]
        self.arrivals: list[float] = []
        self.events: list[tuple[float, int, int, float | None]] = []
        self.numbers = itertools.count()

    def start(self, process: int) -> Limiter:
        return Limiter(self.specs[process], "someone", self.folder, clock=self.clock())

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
    seed=st.integers(0, 1000),
)
def test_no_window_ever_holds_more_than_the_limit(
    specs: list[str],
    requests: list[tuple[int, float, float]],
    trouble: list[tuple[int, str, int, float]],
    seed: int,
) -> None:
    """Whatever dies, and however the clock is set while the machine runs."""
    random.seed(seed)
    with tempfile.TemporaryDirectory() as folder:
        world = Simulation(specs, Path(folder))
        for process, after, latency in requests:
            world.plan(world.clock.now + after, process, latency)
        steps = 0
        while world.events:
            for at, what, process, offset in trouble:
                if at == steps and what == "kill":
                    world.clock.offset += offset
                    world.kill(process)
                elif at == steps:
                    # Set forward while nothing runs: the one thing that cannot be noticed.
                    world.clock.offset += min(offset, 0)
                    world.reboot()
            if world.events:
                world.step()
            steps += 1
            assert steps < 200_000, "waits for ever"
        assert world.holds()


def test_long_windows_are_used_to_95_percent(tmp_path: Path) -> None:
    world = Simulation(["100/10s,200000/day"], tmp_path)
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
from singer_http.http.rate_limit import Limiter

limiter = Limiter(sys.argv[1], "someone", Path(sys.argv[2]))
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
        "import os, signal, sys, pathlib; from singer_http.http.rate_limit import Limiter\n"
        "limiter = Limiter('2/s', 'someone', pathlib.Path(sys.argv[1]))\n"
        "limiter.acquire(); limiter.acquire(); os.kill(os.getpid(), signal.SIGKILL)"
    )
    limiter = Limiter("2/s", "someone", tmp_path)
    subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=False, timeout=30)
    died = time.monotonic()
    with permit(limiter):
        assert time.monotonic() - died > 1


def use_up(limiter: Limiter) -> int:
    """Send as many requests as may leave at once, and return how many those are."""
    sent = 0
    while not limiter.try_acquire():
        sent += 1
    for _ in range(sent):
        limiter.release(used=True)
    return sent


def test_a_permit_that_was_not_used_counts_for_nothing(tmp_path: Path) -> None:
    limiter = Limiter("2/h", "someone", tmp_path)
    for _ in range(9):
        limiter.acquire()
        limiter.release(used=False)
    assert use_up(limiter) == 2


def test_a_window_outlives_a_run(tmp_path: Path) -> None:
    first = Limiter("3/day", "someone", tmp_path)
    for _ in range(3):
        with permit(first):
            pass
    del first
    assert use_up(Limiter("3/day", "someone", tmp_path)) == 0
    assert use_up(Limiter("3/day", "someone else", tmp_path)) == 3


def test_a_new_limit_counts_what_was_sent_under_the_old(tmp_path: Path) -> None:
    for spec, left in [("2/h", 2), ("5/h", 3), ("4/h,9/day", 0), ("9/day", 4)]:
        assert use_up(Limiter(spec, "someone", tmp_path)) == left


@pytest.mark.parametrize("step", [90.0, 30.0 * DAY, -90.0, -30.0 * DAY])
def test_a_clock_that_is_set_between_two_runs_changes_nothing(tmp_path: Path, step: float) -> None:
    clock = FakeClock()
    assert use_up(Limiter("5/60s", "someone", tmp_path, clock=clock())) == 5
    clock.offset = step
    limiter = Limiter("5/60s", "someone", tmp_path, clock=clock())
    assert use_up(limiter) == 0
    clock.now += 61
    assert use_up(limiter) == 5
    clock.boots += 1  # the step counts no more after a reboot either
    assert use_up(Limiter("5/60s", "someone", tmp_path, clock=clock())) == 0


def test_a_clock_set_back_by_a_reboot_holds_nobody_up_for_longer_than_the_window(
    tmp_path: Path,
) -> None:
    clock = FakeClock()
    assert use_up(Limiter("2/h", "someone", tmp_path, clock=clock())) == 2
    clock.offset, clock.boots = -30.0 * DAY, 1
    limiter = Limiter("2/h", "someone", tmp_path, clock=clock())
    assert use_up(limiter) == 0
    clock.now += 3650
    assert use_up(limiter) == 2


def test_a_window_outlives_a_reboot(tmp_path: Path) -> None:
    clock = FakeClock()
    assert use_up(Limiter("2/h", "someone", tmp_path, clock=clock())) == 2
    clock.now, clock.boots = clock.now + 1800, 1
    limiter = Limiter("2/h", "someone", tmp_path, clock=clock())
    assert use_up(limiter) == 0
    clock.now += 1900
    assert use_up(limiter) == 2


@pytest.mark.parametrize("damage", [b"", b"garbage", b"\xff" * 2000, None])
def test_a_damaged_file_stops_nobody(tmp_path: Path, damage: bytes | None) -> None:
    limiter = Limiter("5/h", "someone", tmp_path)
    with permit(limiter):
        (ring,) = tmp_path.glob("*.ring")
        whole = ring.read_bytes()
        ring.write_bytes(whole[:-5] if damage is None else damage)
    with permit(Limiter("5/h", "someone", tmp_path)):
        pass
    assert use_up(limiter) == 3


def test_stop_ends_the_wait_for_a_permit(tmp_path: Path) -> None:
    limiter = Limiter("1/day", "someone", tmp_path)
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


def test_the_file_is_its_owners_and_names_no_account(tmp_path: Path) -> None:
    limiter = Limiter("1/s", "someone", tmp_path / "work")
    files = list((tmp_path / "work").iterdir())
    assert limiter.limits
    assert stat.S_IMODE((tmp_path / "work").stat().st_mode) == 0o700
    assert {stat.S_IMODE(file.stat().st_mode) for file in files} == {0o600}
    assert not any("someone" in file.name for file in files)


def test_a_folder_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(StopRun, match="work_dir"):
        Limiter("1/s", "someone", tmp_path / "file" / "work")
    assert [entry.name for entry in tmp_path.iterdir()] == ["file"]
