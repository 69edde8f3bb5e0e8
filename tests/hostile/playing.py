"""Playing scenarios: what a failure prints, and a second look where the machine was slow."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor

from tests.hostile.checks import Broken
from tests.hostile.models.server import Server
from tests.hostile.runner import Runner
from tests.hostile.scenario import Scenario

SLOW = 0.15
"""Seconds that a thread overslept: an answer may then have been late without being meant to."""
TRIES = 3


class Watch:
    """Notes how long this process was kept waiting."""

    def __init__(self) -> None:
        self.worst = 0.0
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)
        self._thread.start()

    def _look(self) -> None:
        while not self._ended.is_set():
            began = time.monotonic()
            self._ended.wait(0.02)
            self.worst = max(self.worst, time.monotonic() - began - 0.02)

    def end(self) -> float:
        """Stop; the worst delay in seconds."""
        self._ended.set()
        self._thread.join()
        return self.worst


def play(seed: int, runner: Runner, server: Server) -> Scenario:
    """Play one scenario.

    Raises:
        Broken: a promise does not hold; with the history, and the command that repeats it.
    """
    number = 1
    while True:
        scenario = Scenario(seed, runner, server)
        watch = Watch()
        try:
            scenario.play()
        except Broken as error:
            delay = watch.end()
            if delay > SLOW and number < TRIES:
                number += 1
                continue
            history = "\n".join(scenario.history)
            text = (
                f"{str(error).partition('] ')[2]}\n\n{history}\n\nThis machine kept the server "
                f"waiting for at most {delay:.2f} s.\nTo repeat it: "
                f".venv/bin/python -m tests.hostile {seed}"
            )
            raise Broken(error.promise, text) from None
        watch.end()
        return scenario


def play_all(
    seeds: Iterable[int], jobs: int, runner: Runner, server: Server
) -> Iterator[tuple[int, Scenario | Broken]]:
    """Play scenarios side by side, since most of their time is spent in waiting.

    Yields:
        Each seed with what became of it, in the order of the seeds.
    """

    def one(seed: int) -> tuple[int, Scenario | Broken]:
        try:
            return seed, play(seed, runner, server)
        except Broken as error:
            return seed, error

    with ThreadPoolExecutor(jobs) as pool:
        yield from pool.map(one, seeds)
