"""Operations into requests: cut into batches, marked as pending, a refused batch halved."""

from __future__ import annotations

import functools
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any

from singer_http.errors import NotFound, Refused, RequestRejected, Uncertain
from singer_http.operations import Effect, Entry, Operation, Outcome, OutcomeKind, RejectionKind

if TYPE_CHECKING:
    from singer_http.delivery.workers import Task
    from singer_http.sink.base import HTTPSink
    from singer_http.store.tables import Scope
    from singer_http.target.run import Run

COMMIT_AT = 64
"""Operations that are marked as pending in one commit, where each is a request of its own."""

Answered = Callable[[Sequence[Operation], "Task"], None]
"""Called on the main thread with what was sent together, and what came of it."""


class Outbox:
    """What is ready to leave: marked as pending in one commit, then handed to the workers."""

    def __init__(self, run: Run, sink: HTTPSink, scope: Scope, answered: Answered) -> None:
        """Send through a sink, under a scope of the ledger."""
        self.sink = sink
        self.scope = scope
        self.ledger = run.ledger
        self.workers = run.workers
        self.batch = min(sink.batch_limit, run.config.get("batch_size_rows") or sink.batch_limit)
        self.ready: list[Operation] = []
        self._answered = answered
        self._still_refused = self._healed = 0
        """Of the records that were refused before: while most still are, each goes alone."""
        self._under_way: set[str | None] = set()
        """Records for which a call is under way, where what hangs on one goes in one call."""

    def due(self, *, flush: bool) -> bool:
        """Whether it is time to send.

        Args:
            flush: nothing more will come that a batch could wait for.
        """
        if self.batch > 1:
            return flush or len(self.ready) >= self.batch
        return self.workers.outstanding <= self.workers.number or len(self.ready) >= COMMIT_AT

    def send(self) -> None:
        """Mark what is ready as pending, and hand it over."""
        ready, self.ready = self.ready, []
        if self.sink.group_by_parent:
            chunks, self.ready = gathered(ready, self._under_way)
            self._under_way.update(chunk[0].remote_id for chunk in chunks)
        else:
            isolate = self._still_refused >= self._healed
            chunks = list(batches(ready, self.batch, isolate=isolate))
        if not chunks:
            return
        ids = self.ledger.mark_pending(
            self.scope.id,
            ((chunk[0].effect, b"\n".join([op.line for op in chunk])) for chunk in chunks),
        )
        for chunk, id_ in zip(chunks, ids, strict=True):
            self.leave_entries(chunk)
            entry = Entry(id_, len(chunk))
            for op in chunk:
                op.entry = entry
            self.workers.submit(
                functools.partial(attempt, self.sink, chunk),
                functools.partial(self._came_back, chunk),
                entry=entry,
            )

    def _came_back(self, ops: Sequence[Operation], task: Task) -> None:
        if self.sink.group_by_parent:
            self._under_way.discard(ops[0].remote_id)
        self._answered(ops, task)

    def leave_entries(self, ops: Iterable[Operation]) -> None:
        """Operations are through, or go again under another entry."""
        for entry, number in Counter([op.entry for op in ops]).items():
            if entry is not None:
                entry.open -= number
                if not entry.open:
                    self.ledger.settle(entry.id)

    def tried_alone(self, *, refused: bool) -> None:
        """Note what became of a record that was refused before."""
        self._still_refused += refused
        self._healed += not refused


def batches(ready: Iterable[Operation], size: int, *, isolate: bool) -> Iterable[list[Operation]]:
    """Operations that may share a request, at most `size` in each.

    Args:
        ready: in any order; no two share a lane.
        size: rows in one request.
        isolate: those that were refused before go alone.
    """
    groups: dict[Any, list[Operation]] = {}
    for op in ready:
        if (op.alone and isolate) or op.delete:
            yield [op]
        else:
            groups.setdefault(op.group, []).append(op)
    for group in groups.values():
        for start in range(0, len(group), size):
            yield group[start : start + size]


def gathered(
    ready: Iterable[Operation], under_way: set[str | None]
) -> tuple[list[list[Operation]], list[Operation]]:
    """Operations by the record that they hang on, in order; and those that have to wait.

    Args:
        ready: operations whose remote_id is the record's id.
        under_way: records for which a call is under way: one at a time for each.
    """
    groups: dict[str | None, list[Operation]] = {}
    waiting: list[Operation] = []
    closed = set(under_way)
    for op in sorted(ready, key=lambda op: op.seq):
        group = groups.get(op.remote_id, [])
        if op.remote_id in closed or (group and (op.alone or group[0].alone)):
            closed.add(op.remote_id)
            waiting.append(op)
        else:
            groups.setdefault(op.remote_id, group).append(op)
    return list(groups.values()), waiting


def attempt(sink: HTTPSink, ops: Sequence[Operation]) -> list[Outcome]:
    """Send operations; a refused batch is halved until the bad rows stand alone. For a worker.

    Raises:
        StopRun: the run cannot go on.
    """
    try:
        return sink.send(ops)
    except NotFound as error:
        raise RequestRejected(
            f"{sink.stream}: the vendor answered {error.status} ({error.reason}): check `api_url`."
        ) from None
    except Uncertain as error:
        if ops[0].effect is Effect.CREATE:
            return [Outcome(OutcomeKind.LOST)]
        return [
            Outcome.rejected(
                RejectionKind.UNCERTAIN, error.reason, status=error.status, attempts=error.attempts
            )
        ]
    except Refused as error:
        if len(ops) == 1:
            return [Outcome.rejected(RejectionKind.REFUSED, error.reason, status=error.status)]
    middle = len(ops) // 2
    return attempt(sink, ops[:middle]) + attempt(sink, ops[middle:])
