"""Runs a target that kills itself (SIGKILL) at a step: `dying.py STEP NTH TARGET ARGS...`.

Steps: before_pending, after_pending, after_answer, before_acknowledged, after_acknowledged. The
steps in between (the request has left, the vendor has done the work) are the sandbox's to hold.
"""

from __future__ import annotations

import importlib
import os
import signal
import sys
from collections.abc import Callable
from typing import Any

from singer_http.delivery.delivery import Delivery
from singer_http.store.ledger import Ledger

TARGETS = {
    "target-autoreach": ("target_autoreach.target", "TargetAutoReach"),
    "target-reisoftware": ("target_reisoftware.target", "TargetReiSoftware"),
    "target-emailmarketing": ("target_emailmarketing.target", "TargetEmailMarketing"),
    "target-actionapi": ("target_actionapi.target", "TargetActionApi"),
}


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


def main() -> None:
    """Arm the step and run the target."""
    step, nth, name, *arguments = sys.argv[1:]
    owner, method, counts, before = PLACES[step]
    setattr(owner, method, dies(getattr(owner, method), int(nth), counts, before=before))
    module, target = TARGETS[name]
    sys.argv = [name, *arguments]
    getattr(importlib.import_module(module), target).cli()


if __name__ == "__main__":
    main()
