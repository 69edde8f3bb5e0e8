"""A pool of threads that work on what they are given."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")


class ThreadPool(Generic[T]):
    """At most `number` threads; each takes one item at a time, in the order given.

    The threads are daemons, unlike an executor's: a process that ends does not wait for answers.
    """

    def __init__(self, number: int, work: Callable[[T], None]) -> None:
        """Start no thread yet; they start as items come in.

        Args:
            number: of threads, at most.
            work: called with an item, in a thread; raises nothing.
        """
        self.number = number
        self._work = work
        self._started = 0
        self._idle = threading.Semaphore(0)
        self._items: queue.SimpleQueue[T | None] = queue.SimpleQueue()

    def put(self, item: T) -> None:
        """Have an item worked on as soon as a thread is idle."""
        self._items.put(item)
        if not self._idle.acquire(blocking=False) and self._started < self.number:
            self._started += 1
            threading.Thread(target=self._run, name="singer-http", daemon=True).start()

    def withdraw(self) -> list[T]:
        """Take back the items that no thread has taken."""
        withdrawn: list[T] = []
        while True:
            try:
                item = self._items.get_nowait()
            except queue.Empty:
                return withdrawn
            if item is not None:
                withdrawn.append(item)

    def close(self) -> None:
        """Let the threads end once they are idle; nothing can be put after that."""
        for _ in range(self._started):
            self._items.put(None)

    def _run(self) -> None:
        while (item := self._items.get()) is not None:
            self._work(item)
            self._idle.release()
