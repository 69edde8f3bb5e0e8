"""Calls side by side, their results in order."""

from __future__ import annotations

import queue
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future
from functools import partial
from itertools import islice
from typing import Any, TypeVar

Argument = TypeVar("Argument")
Result = TypeVar("Result")


class Prefetcher:
    """Threads that make calls ahead of whoever reads their results.

    They are daemons, unlike an executor's: a process that is told to end does not wait for answers.
    """

    def __init__(self, threads: int) -> None:
        """Start no thread yet; at most `threads` of them as calls come in."""
        self._most = threads
        self._started = 0
        self._free = threading.Semaphore(0)
        self._calls: queue.SimpleQueue[tuple[Future[Any], Callable[[], Any]]] = queue.SimpleQueue()

    def submit(self, call: Callable[[], Result]) -> Future[Result]:
        """Have a call made as soon as a thread is free."""
        future: Future[Result] = Future()
        self._calls.put((future, call))
        if not self._free.acquire(blocking=False) and self._started < self._most:
            self._started += 1
            threading.Thread(target=self._work, name="ahead", daemon=True).start()
        return future

    def map(
        self, call: Callable[[Argument], Result], arguments: Iterable[Argument]
    ) -> Iterator[Result]:
        """Call with each argument, no more ahead than threads can be busy with.

        Args:
            call: made in any thread.
            arguments: taken one by one, as calls are needed.

        Returns:
            The results, in the order of the arguments; the first calls are on their way already.
            The first error ends it, and the calls that have not begun.
        """
        futures = (self.submit(partial(call, argument)) for argument in arguments)
        # More than there are threads: a slow call does not keep the others waiting at once.
        waiting = deque(islice(futures, 2 * self._most))
        return self._results(waiting, futures)

    @staticmethod
    def _results(
        waiting: deque[Future[Result]], futures: Iterator[Future[Result]]
    ) -> Iterator[Result]:
        try:
            while waiting:
                result = waiting.popleft().result()
                waiting.extend(islice(futures, 1))
                yield result
        finally:
            for future in waiting:
                future.cancel()

    def _work(self) -> None:
        while True:
            future, call = self._calls.get()
            if future.set_running_or_notify_cancel():
                try:
                    future.set_result(call())
                except BaseException as error:  # noqa: BLE001  (whoever waits gets it)
                    future.set_exception(error)
            self._free.release()
