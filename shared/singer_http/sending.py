"""Operations into requests: cut into batches, and a refused batch halved."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from singer_http.errors import Misdirected, NotFound, Refused, Uncertain
from singer_http.operations import Effect, Kind, Operation, Outcome, Reason

if TYPE_CHECKING:
    from singer_http.sinks import HTTPSink


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
        ready: operations whose handle is the record's id.
        under_way: records for which a call is under way: one at a time for each.
    """
    groups: dict[str | None, list[Operation]] = {}
    waiting: list[Operation] = []
    closed = set(under_way)
    for op in sorted(ready, key=lambda op: op.seq):
        group = groups.get(op.handle, [])
        if op.handle in closed or (group and (op.alone or group[0].alone)):
            closed.add(op.handle)
            waiting.append(op)
        else:
            groups.setdefault(op.handle, group).append(op)
    return list(groups.values()), waiting


def attempt(sink: HTTPSink, ops: Sequence[Operation]) -> list[Outcome]:
    """Send operations; a refused batch is halved until the bad rows stand alone. For a worker.

    Raises:
        StopRun: the run cannot go on.
    """
    try:
        return sink.send(ops)
    except NotFound as error:
        raise Misdirected(
            f"{sink.stream}: the vendor answered {error.status} ({error.reason}): check `api_url`."
        ) from None
    except Uncertain as error:
        if ops[0].effect is Effect.CREATE:
            return [Outcome(Kind.LOST)]
        return [
            Outcome.rejected(
                Reason.UNCERTAIN, error.reason, status=error.status, attempts=error.attempts
            )
        ]
    except Refused as error:
        if len(ops) == 1:
            return [Outcome.rejected(Reason.REFUSED, error.reason, status=error.status)]
    middle = len(ops) // 2
    return attempt(sink, ops[:middle]) + attempt(sink, ops[middle:])
