"""Makes a target kill itself (SIGKILL) at a step.

Steps: before_pending, after_pending, after_answer, before_acknowledged, after_acknowledged. The
steps in between (the request has left, the vendor has done the work) are the sandbox's to hold.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from typing import Any

from singer_http.delivery.dispatch import Dispatch
from singer_http.store.store import Store

Counts = Callable[..., bool]
"""The arguments of a call, its owner first -> whether the call counts."""


def dies(
    method: Callable[..., Any], nth: int, counts: Counts, *, before: bool
) -> Callable[..., Any]:
    """The method, which ends the process before or after its nth call that counts."""
    calls = 0

    def dying(*args: Any, **kwargs: Any) -> Any:
        nonlocal calls
        now = counts(*args, **kwargs)
        calls += now
        if now and before and calls == nth:
            os.kill(os.getpid(), signal.SIGKILL)
        result = method(*args, **kwargs)
        if now and calls == nth:
            os.kill(os.getpid(), signal.SIGKILL)
        return result

    return dying


def always(*_args: Any) -> bool:
    return True


def marks_pending(_store: Any, also: Any = None) -> bool:
    """Whether a commit says that requests are about to leave."""
    return also is not None


def acknowledges(store: Any, _also: Any = None) -> bool:
    """Whether a commit acknowledges something."""
    return bool(store.ledger.holds_back)


PLACES: dict[str, tuple[type, str, Counts, bool]] = {
    "before_pending": (Store, "commit", marks_pending, True),
    "after_pending": (Store, "commit", marks_pending, False),
    "after_answer": (Dispatch, "_answered", always, True),
    "before_acknowledged": (Store, "commit", acknowledges, True),
    "after_acknowledged": (Store, "commit", acknowledges, False),
}


def arm(step: str, nth: int) -> None:
    """Make this process kill itself at the nth time that it comes to the step."""
    owner, method, counts, before = PLACES[step]
    setattr(owner, method, dies(getattr(owner, method), nth, counts, before=before))
