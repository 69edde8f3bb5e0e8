"""Calls in several threads, their results in order."""

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
    """Threads that make calls before their results are needed.

    The threads are daemons, unlike an executor's: a process that ends does not wait for answers.
    """

    def __init__(self, threads: int) -> None:
        """Start no thread yet; at most `threads` of them as calls come in."""
        self._max_threads = threads
        self._started = 0
        self._idle = threading.Semaphore(0)
        self._calls: queue.SimpleQueue[tuple[Future[Any], Callable[[], Any]]] = queue.SimpleQueue()

    def submit(self, call: Callable[[], Result]) -> Future[Result]:
        """Make a call as soon as a thread is idle."""
        future: Future[Result] = Future()
        self._calls.put((future, call))
        if not self._idle.acquire(blocking=False) and self._started < self._max_threads:
            self._started += 1
            threading.Thread(target=self._work, name="prefetch", daemon=True).start()
        return future

    def map(
        self, call: Callable[[Argument], Result], arguments: Iterable[Argument]
    ) -> Iterator[Result]:
        """Call with each argument; at most twice as many calls as threads run ahead.

        Args:
            call: made in any thread.
            arguments: read one by one, as calls are made.

        Returns:
            The results, in the order of the arguments; the first calls start at once. The first
            error ends the iterator and cancels the calls that have not started.
        """
        futures = (self.submit(partial(call, argument)) for argument in arguments)
        # More calls than threads: a slow call does not leave the other threads idle.
        waiting = deque(islice(futures, 2 * self._max_threads))
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
                except BaseException as error:  # noqa: BLE001  (raised again where the result is read)
                    future.set_exception(error)
            self._idle.release()
