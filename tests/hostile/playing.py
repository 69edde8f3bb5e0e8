"""Playing one scenario: what a failure prints, and a second look where the machine was slow."""

from __future__ import annotations

import threading
import time

from tests.hostile.checks import Broken
from tests.hostile.model_server import Server
from tests.hostile.runner import Runner
from tests.hostile.scenario import Scenario

SLOW = 0.2
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
    for number in range(1, TRIES + 1):
        scenario = Scenario(seed, runner, server)
        watch = Watch()
        try:
            scenario.play()
        except Broken as error:
            delay = watch.end()
            if delay > SLOW and number < TRIES:
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
    raise AssertionError
