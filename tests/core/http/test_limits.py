"""The rate limit as the vendor sees it: never more than allowed, and hardly less."""

from __future__ import annotations

import bisect
import json
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Timer

import pytest

from singer_http.errors import Cancelled, RetryLater, StopRun
from singer_http.http.clock import CLOCK, Clock
from singer_http.http.rate_limit import Limit, Limiter, parse_limits
from singer_http.store.rate_windows import RateWindows

DAY = 86400
HOLD = 3.0
"""Seconds after which a request is over, here."""


def limiter_at(url: str, spec: str, account: str = "someone", clock: Clock = CLOCK) -> Limiter:
    """A limiter whose windows are in a database."""
    return Limiter(spec, lambda: RateWindows(url, account, HOLD, clock=clock))


@pytest.fixture
def sqlite(tmp_path: Path) -> str:
    """The URL of a database that is not there yet."""
    return f"sqlite:///{tmp_path / 'x.db'}"


@pytest.fixture(params=["sqlite", "database"])
def url(request: pytest.FixtureRequest) -> str:
    """SQLite, then PostgreSQL."""
    return str(request.getfixturevalue(request.param))


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
def test_what_is_no_limit_is_refused_with_the_settings_name(spec: str, sqlite: str) -> None:
    with pytest.raises(ValueError, match="rate_limit"):
        limiter_at(sqlite, spec)


def test_no_limit_lets_everything_through(tmp_path: Path, sqlite: str) -> None:
    limiter = limiter_at(sqlite, "")
    for _ in range(1000):
        with permit(limiter):
            pass
    assert limiter.limits == ()
    assert list(tmp_path.iterdir()) == []


# --- threads and processes, on the real clock

SENDER = """
import json, random, sys, threading, time
from tests.core.http.test_limits import limiter_at

limiter = limiter_at(sys.argv[2], sys.argv[1])
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


def run_senders(processes: int, spec: str, url: str, seconds: float) -> list[float]:
    """Send from several processes with 20 ms of latency; return when the vendor saw what."""
    command = [sys.executable, "-c", SENDER, spec, url, str(seconds)]
    running = [subprocess.Popen(command, stdout=subprocess.PIPE) for _ in range(processes)]
    return [at for one in running for at in json.loads(one.communicate()[0])]


def test_threads_and_processes_share_a_second(url: str) -> None:
    arrivals = run_senders(2, "40/s", url, 3)
    assert busiest(arrivals, 1) <= 40
    assert len(arrivals) > 40  # the second window is used too


def test_a_dead_process_gives_its_permits_back(url: str) -> None:
    code = (
        "import os, signal, sys; from tests.core.http.test_limits import limiter_at\n"
        "limiter = limiter_at(sys.argv[1], '2/s')\n"
        "limiter.acquire(); limiter.acquire(); os.kill(os.getpid(), signal.SIGKILL)"
    )
    limiter = limiter_at(url, "2/s")
    subprocess.run([sys.executable, "-c", code, url], check=False, timeout=30)
    died = time.monotonic()
    with permit(limiter):
        assert HOLD < time.monotonic() - died < HOLD + 2


def test_a_permit_that_comes_back_after_its_time_counts_twice_and_not_less(sqlite: str) -> None:
    clock = FakeClock()
    limiter = limiter_at(sqlite, "3/h", clock=clock())
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


def test_a_permit_that_was_not_used_counts_for_nothing(url: str) -> None:
    limiter = limiter_at(url, "2/h")
    for _ in range(9):
        limiter.acquire()
        limiter.release(used=False)
    assert use_up(limiter) == 2


@pytest.mark.parametrize("used", [True, False])
def test_only_a_wait_that_is_certain_stops_a_run(
    url: str, used: bool, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    limiter = Limiter("2/h", lambda: RateWindows(url, "someone", 60), max_wait=300)
    with permit(limiter):
        pass
    limiter.acquire()  # in flight: whether it is sent is not known yet
    Timer(1.0, limiter.release, kwargs={"used": used}).start()
    if used:
        with pytest.raises(RetryLater, match="2/3600s is used up for 3"):
            limiter.acquire()
    else:
        limiter.acquire()
    assert "waiting until" not in caplog.text  # it would name a time that nobody waits for


@pytest.mark.parametrize(("spec", "max_wait"), [("1/min", 0), ("1/5min", 300)])
def test_a_window_of_a_minute_or_of_max_wait_is_waited_for(
    sqlite: str, spec: str, max_wait: float
) -> None:
    limiter = Limiter(spec, lambda: RateWindows(sqlite, "someone", 60), max_wait)
    with permit(limiter):
        pass
    Timer(0.5, limiter.stop).start()
    with pytest.raises(Cancelled):  # it waited
        limiter.acquire()


def test_a_window_outlives_a_run(url: str) -> None:
    first = limiter_at(url, "3/day")
    for _ in range(3):
        with permit(first):
            pass
    del first
    assert use_up(limiter_at(url, "3/day")) == 0
    assert use_up(limiter_at(url, "3/day", "someone else")) == 3


def test_a_new_limit_counts_what_was_sent_under_the_old(url: str) -> None:
    for spec, left in [("2/h", 2), ("5/h", 3), ("4/h,9/day", 0), ("9/day", 4)]:
        assert use_up(limiter_at(url, spec)) == left


@pytest.mark.parametrize("step", [90.0, 30.0 * DAY, -90.0, -30.0 * DAY])
def test_a_clock_that_is_set_between_two_runs_changes_nothing(sqlite: str, step: float) -> None:
    clock = FakeClock()
    assert use_up(limiter_at(sqlite, "5/60s", clock=clock())) == 5
    clock.offset = step
    limiter = limiter_at(sqlite, "5/60s", clock=clock())
    assert use_up(limiter) == 0
    clock.now += 61
    assert use_up(limiter) == 5
    clock.boots += 1  # the step counts no more after a reboot either
    assert use_up(limiter_at(sqlite, "5/60s", clock=clock())) == 0


def test_a_clock_set_back_by_a_reboot_holds_nobody_up_for_longer_than_the_window(
    sqlite: str,
) -> None:
    clock = FakeClock()
    assert use_up(limiter_at(sqlite, "2/h", clock=clock())) == 2
    clock.offset, clock.boots = -30.0 * DAY, 1
    limiter = limiter_at(sqlite, "2/h", clock=clock())
    assert use_up(limiter) == 0
    clock.now += 3650
    assert use_up(limiter) == 2


def test_a_window_outlives_a_reboot(sqlite: str) -> None:
    clock = FakeClock()
    assert use_up(limiter_at(sqlite, "2/h", clock=clock())) == 2
    clock.now, clock.boots = clock.now + 1800, 1
    limiter = limiter_at(sqlite, "2/h", clock=clock())
    assert use_up(limiter) == 0
    clock.now += 1900
    assert use_up(limiter) == 2


def test_stop_ends_the_wait_for_a_permit(url: str) -> None:
    limiter = limiter_at(url, "1/day")
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
        limiter_at(f"sqlite:///{tmp_path}/file/x.db", "1/s").acquire()
    assert [entry.name for entry in tmp_path.iterdir()] == ["file"]
