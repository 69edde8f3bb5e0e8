"""What has to hold at the last moment: after every wait, before a request leaves.

The delivery sets a guard for the thread that sends; the client asks it once the rate limit's permit
is there. So no sink can send around its guards (quiet hours, `max_messages`, `suppression`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

Guard = Callable[[], None]
"""Raises what keeps the request back; nothing is sent then."""

_current: ContextVar[Guard | None] = ContextVar("guard", default=None)


@contextmanager
def guarded(guard: Guard) -> Iterator[None]:
    """Ask this guard before each request of this thread leaves, and then those set before."""
    outer = _current.get()

    def both() -> None:
        guard()
        if outer is not None:
            outer()

    token = _current.set(both)
    try:
        yield
    finally:
        _current.reset(token)


def check_guard() -> None:
    """Ask the guard of this thread, if it has one."""
    guard = _current.get()
    if guard is not None:
        guard()
