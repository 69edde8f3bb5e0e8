"""Makes a target kill itself (SIGKILL) at a step.

Steps: before_pending, after_pending, after_answer, before_acknowledged, after_acknowledged. The
steps in between (the request has left, the vendor has done the work) are the sandbox's to hold.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from typing import Any

from singer_http.delivery.delivery import Delivery
from singer_http.store.ledger import Ledger


def dies(
    method: Callable[..., Any], nth: int, counts: Callable[[Any], bool], *, before: bool
) -> Callable[..., Any]:
    """The method, which ends the process before or after its nth call that counts."""
    calls = 0

    def dying(owner: Any, *args: Any, **kwargs: Any) -> Any:
        nonlocal calls
        now = counts(owner)
        calls += now
        if now and before and calls == nth:
            os.kill(os.getpid(), signal.SIGKILL)
        result = method(owner, *args, **kwargs)
        if now and calls == nth:
            os.kill(os.getpid(), signal.SIGKILL)
        return result

    return dying


def always(_owner: Any) -> bool:
    return True


def acknowledges(ledger: Any) -> bool:
    """Whether there is something to acknowledge: it rides with the next pending commit."""
    return bool(ledger._acknowledged)


PLACES: dict[str, tuple[type, str, Callable[[Any], bool], bool]] = {
    "before_pending": (Ledger, "mark_pending", always, True),
    "after_pending": (Ledger, "mark_pending", always, False),
    "after_answer": (Delivery, "_answered", always, True),
    "before_acknowledged": (Ledger, "_commit", acknowledges, True),
    "after_acknowledged": (Ledger, "_commit", acknowledges, False),
}


def arm(step: str, nth: int) -> None:
    """Make this process kill itself at the nth time that it comes to the step."""
    owner, method, counts, before = PLACES[step]
    setattr(owner, method, dies(getattr(owner, method), nth, counts, before=before))
