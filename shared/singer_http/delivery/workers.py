"""Threads that carry out requests, and the queue on which their results come back."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from singer_http.delivery.item import Entry


@dataclass(slots=True, eq=False)
class Task:
    """One call for a worker, and what came of it."""

    call: Callable[[], Any]
    done: Callable[[Task], None]
    """Called with the task, on the main thread, once it has run."""
    result: Any = None
    error: BaseException | None = None
    entry: Entry | None = None
    """The pending entry that the call settles."""


class Workers:
    """At most `number` calls at once. All methods belong to the main thread."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.outstanding = 0
        """Tasks submitted whose results have not been collected."""
        self._tasks: queue.SimpleQueue[Task | None] = queue.SimpleQueue()
        self._results: queue.SimpleQueue[Task] = queue.SimpleQueue()
        self._threads: list[threading.Thread] = []

    def submit(
        self, call: Callable[[], Any], done: Callable[[Task], None], entry: Entry | None = None
    ) -> None:
        """Have a call carried out; `done` is called from `collect`."""
        if len(self._threads) < min(self.number, self.outstanding + 1):
            thread = threading.Thread(target=self._work, daemon=True, name="singer-http")
            thread.start()
            self._threads.append(thread)
        self.outstanding += 1
        self._tasks.put(Task(call, done, entry=entry))

    def _work(self) -> None:
        while (task := self._tasks.get()) is not None:
            try:
                task.result = task.call()
            except BaseException as error:  # noqa: BLE001 - handed to the main thread
                task.error = error
            self._results.put(task)

    def collect(self, *, wait: bool, timeout: float | None = None) -> bool:
        """Take in results: all that are there, or wait for at least one.

        Args:
            wait: for the first one.
            timeout: seconds to wait for it, at most.

        Returns:
            Whether there was any.
        """
        if not self.outstanding:
            return False
        any_ = False
        while self.outstanding:
            try:
                task = self._results.get(wait and not any_, timeout)
            except queue.Empty:
                break
            any_ = True
            self.outstanding -= 1
            task.done(task)
        return any_

    def withdraw(self) -> list[Task]:
        """Take back the tasks that no worker has begun."""
        withdrawn: list[Task] = []
        while True:
            try:
                task = self._tasks.get_nowait()
            except queue.Empty:
                return withdrawn
            if task is not None:
                self.outstanding -= 1
                withdrawn.append(task)

    def close(self) -> None:
        """Let the threads end once they are idle."""
        for _ in self._threads:
            self._tasks.put(None)
        self._threads.clear()
