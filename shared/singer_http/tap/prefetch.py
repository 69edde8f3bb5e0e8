"""Calls in several threads, their results in order."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future
from functools import partial
from itertools import islice
from typing import Any, TypeVar

from singer_http.threads import ThreadPool

Argument = TypeVar("Argument")
Result = TypeVar("Result")


class Prefetcher:
    """Threads that make calls before their results are needed."""

    def __init__(self, threads: int) -> None:
        """Start no thread yet; at most `threads` of them as calls come in."""
        self._pool = ThreadPool[tuple[Future[Any], Callable[[], Any]]](threads, _carry_out)

    def submit(self, call: Callable[[], Result]) -> Future[Result]:
        """Make a call as soon as a thread is idle."""
        future: Future[Result] = Future()
        self._pool.put((future, call))
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
        waiting = deque(islice(futures, 2 * self._pool.number))
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


def _carry_out(call: tuple[Future[Any], Callable[[], Any]]) -> None:
    future, function = call
    if future.set_running_or_notify_cancel():
        try:
            future.set_result(function())
        except BaseException as error:  # noqa: BLE001 - raised again where the result is read
            future.set_exception(error)
