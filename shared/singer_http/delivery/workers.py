"""Workers that carry out requests, and the queue of their results."""

from __future__ import annotations

import queue
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from singer_http.delivery.item import Entry
from singer_http.threads import ThreadPool


@dataclass(slots=True, eq=False)
class Task:
    """One call for a worker, and its result."""

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
        self._pool = ThreadPool(number, self._carry_out)
        self._results: queue.SimpleQueue[Task] = queue.SimpleQueue()

    def submit(
        self, call: Callable[[], Any], done: Callable[[Task], None], entry: Entry | None = None
    ) -> None:
        """Have a call carried out; `done` is called from `collect`."""
        self.outstanding += 1
        self._pool.put(Task(call, done, entry=entry))

    def _carry_out(self, task: Task) -> None:
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
        withdrawn = self._pool.withdraw()
        self.outstanding -= len(withdrawn)
        return withdrawn

    def close(self) -> None:
        """Let the threads end once they are idle."""
        self._pool.close()
