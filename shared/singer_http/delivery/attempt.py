"""Calls of a sink: an error becomes the outcome of its record, and of no other."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import TypeVar

from singer_http.delivery.item import Item
from singer_http.delivery.overwrite import send
from singer_http.errors import (
    NotFound,
    Refused,
    RequestRejected,
    SingerHTTPError,
    StopRun,
    Uncertain,
    one_line,
)
from singer_http.http.guards import guarded
from singer_http.operations import (
    Effect,
    Outcome,
    OutcomeKind,
    Person,
    Rejection,
    RejectionKind,
)
from singer_http.sink.base import HTTPSink

T = TypeVar("T")


class Withheld(Exception):
    """The guard withholds some operations."""

    def __init__(self, outcomes: dict[int, Outcome]) -> None:
        """Keep the outcomes by place in the request."""
        super().__init__(f"{len(outcomes)} kept back")
        self.outcomes = outcomes


def attempt(
    sink: HTTPSink, items: Sequence[Item], carry_out: Callable[..., list[Outcome]] = send
) -> list[Outcome]:
    """Send operations that go together, in a worker; their outcomes in the same order.

    A refused batch is halved until each refused record is in a request of its own.

    Args:
        sink: of the operations.
        items: not empty.
        carry_out: sends them; given the sink and the operations.

    Raises:
        StopRun: the run cannot go on.
    """
    left = False

    def guard() -> None:
        nonlocal left
        _check_guards(sink, items, left=left)
        left = True

    try:
        with guarded(guard):
            outcomes = carry_out(sink, items)
        if len(outcomes) != len(items):
            message = f"{len(outcomes)} outcomes for {len(items)} operations"
            raise ValueError(message)
        return outcomes
    except Withheld as held:
        return _without(sink, items, held)
    except StopRun as error:
        # An error before the first request left proves that nothing was done.
        error.nothing_was_done = error.nothing_was_done or not left
        redirected = isinstance(error, RequestRejected) and not error.nothing_was_done
        if not redirected or items[0].effect is Effect.IDEMPOTENT:
            raise
        return [_failed(items[0], error, may_be_done=True)]
    except NotFound as error:
        raise _wrong_address(sink, error) from None
    except Rejection as rejection:
        done = left
        if len(items) == 1:
            return [Outcome(OutcomeKind.REJECTED, rejection=rejection, nothing_was_done=not done)]
    except Exception as error:  # noqa: BLE001 - whatever goes wrong with one record rejects it
        done = left and not getattr(error, "nothing_was_done", False)
        if len(items) == 1:
            return [_failed(items[0], error, may_be_done=done)]
    middle = len(items) // 2
    halves = (items[:middle], items[middle:])
    return [outcome for half in halves for outcome in _again(sink, half, may_be_done=done)]


def _again(sink: HTTPSink, items: Sequence[Item], *, may_be_done: bool) -> list[Outcome]:
    """Send what an earlier request that failed held, too."""
    try:
        outcomes = attempt(sink, items)
    except StopRun as error:
        error.nothing_was_done = error.nothing_was_done and not may_be_done
        raise
    for outcome in outcomes:
        outcome.nothing_was_done = outcome.nothing_was_done and not may_be_done
    return outcomes


def _check_guards(sink: HTTPSink, items: Sequence[Item], *, left: bool) -> None:
    # Only what is idempotent is tried again after a try that may have been carried out.
    nothing_was_done = not left or items[0].effect is not Effect.IDEMPOTENT
    kept: dict[int, Outcome] = {}
    for place, (item, suppressed) in enumerate(zip(items, suppressed_of(sink, items), strict=True)):
        if suppressed is not None:
            kept[place] = suppressed
            continue
        try:
            rejection = sink.before_send(item)
        except StopRun as error:
            error.nothing_was_done = nothing_was_done
            raise
        except Exception as error:  # noqa: BLE001 - a guard that fails lets nothing through
            reason = f"its guard failed: {type(error).__name__}: {one_line(str(error))}"
            rejection = Rejection(RejectionKind.INVALID, reason)
        if rejection is not None:
            kept[place] = Outcome(OutcomeKind.REJECTED, rejection=rejection)
    if kept:
        for outcome in kept.values():
            # No earlier try of the request may have been carried out.
            outcome.nothing_was_done = nothing_was_done
        raise Withheld(kept)


def suppressed_of(sink: HTTPSink, items: Sequence[Item]) -> list[Outcome | None]:
    """Of each operation: its outcome, if the person whom it reaches is suppressed.

    Raises:
        StopRun: the database cannot be read.
    """
    if not (sink.reaches_people and sink.context.suppressed.any()):
        return [None] * len(items)
    found = [
        item_guard(functools.partial(sink.person, item)) if not item.delete else Person(())
        for item in items
    ]
    hits = sink.context.suppressed.hits([p if isinstance(p, Person) else Person(()) for p in found])
    outcomes: list[Outcome | None] = []
    for person, hit in zip(found, hits, strict=True):
        if isinstance(person, Rejection):
            outcomes.append(Outcome(OutcomeKind.REJECTED, rejection=person))
        else:
            outcomes.append(Outcome(OutcomeKind.SKIPPED, suppressed=True) if hit else None)
    return outcomes


def _without(sink: HTTPSink, items: Sequence[Item], held: Withheld) -> list[Outcome]:
    """Send the operations that the guard lets through."""
    rest = [item for place, item in enumerate(items) if place not in held.outcomes]
    sent = iter(attempt(sink, rest) if rest else ())
    return [held.outcomes.get(place) or next(sent) for place in range(len(items))]


def _wrong_address(sink: HTTPSink, error: NotFound) -> RequestRejected:
    stop = RequestRejected(
        f"{sink.stream}: the vendor answered {error.status} ({error.reason}): check `api_url`."
    )
    stop.nothing_was_done = error.nothing_was_done
    return stop


def _failed(item: Item, error: Exception, *, may_be_done: bool) -> Outcome:
    """What an error means for one operation: its effect decides, not the error's class."""
    status = getattr(error, "status", None)
    attempts = getattr(error, "attempts", 1)
    if isinstance(error, Refused | Uncertain):
        reason = error.reason
    elif isinstance(error, SingerHTTPError):
        reason = one_line(str(error))
    else:
        reason = f"{type(error).__name__}: {one_line(str(error))}"
    if may_be_done and item.effect is Effect.CREATE:
        # Only a broken connection and a 5xx say that the vendor no longer works on the request.
        ended = isinstance(error, Uncertain) and not error.still_running
        answered = isinstance(error, Refused)
        return Outcome(
            OutcomeKind.LOST,
            reason=reason,
            answered=answered,
            still_running=not (ended or answered),
        )
    kind = RejectionKind.REFUSED
    if may_be_done and item.effect is Effect.AT_MOST_ONCE:
        kind = RejectionKind.UNCERTAIN
    outcome = Outcome.rejected(kind, reason, status=status, attempts=attempts)
    outcome.nothing_was_done = not may_be_done
    return outcome


def item_guard(call: Callable[[], T]) -> T | Rejection:
    """What a call returns; a `Rejection` if it fails on a record.

    Raises:
        StopRun: the run cannot go on.
    """
    try:
        return call()
    except Rejection as rejection:
        return rejection
    except StopRun:
        raise
    except Exception as error:  # noqa: BLE001 - whatever is wrong with one record rejects it
        reason = f"{type(error).__name__}: {one_line(str(error))}"
        return Rejection(RejectionKind.INVALID, reason)
