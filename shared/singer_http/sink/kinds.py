"""The kinds of sinks, by what a request does at the vendor.

HTTPSink
├── BatchSink       many records in a request (a bulk upsert)
├── RecordSink      one record at a time: find, create, update, delete
├── LinkSink        what belongs to a record that must exist: add, remove
└── AtMostOnceSink  what cannot be undone: perform
"""

from __future__ import annotations

import abc
import contextlib
from collections.abc import Iterator, Sequence

from typing_extensions import override

from singer_http.errors import NotFound, Refused, SingerHTTPError
from singer_http.operations import Operation, Outcome, OutcomeKind, RejectionKind
from singer_http.sink.base import UPSERT, HTTPSink


class BatchSink(HTTPSink):
    """Many records in a request, which may be sent again."""

    @override
    def send(self, ops: Sequence[Operation]) -> list[Outcome]:
        """Deliver a batch, or remove one."""
        if ops[0].delete:
            return [self._remove(op) for op in ops]
        return self.deliver(ops)

    def _remove(self, op: Operation) -> Outcome:
        try:
            return self.remove(op)
        except NotFound:
            return Outcome(OutcomeKind.DELETED)

    @abc.abstractmethod
    def deliver(self, ops: Sequence[Operation]) -> list[Outcome]:
        """Send one request with all of them."""

    def remove(self, op: Operation) -> Outcome:
        """Delete one; NotFound is a success."""
        raise NotImplementedError


class RecordSink(HTTPSink):
    """One record at a time: found, then updated, or created."""

    may_create = True
    has_lookup = True

    @override
    def is_current(self, op: Operation) -> bool:
        """Not if the record names another one at the vendor than what was written."""
        named = None if op.delete or not op.id_from_record else op.remote_id
        return named is None or op.row is None or named == op.row.remote_id

    @override
    def send(self, ops: Sequence[Operation]) -> list[Outcome]:
        """Create, update or delete one record."""
        (op,) = ops
        if op.delete:
            with contextlib.suppress(NotFound):
                self.delete(op)
            return [Outcome(OutcomeKind.DELETED)]
        if op.remote_id is None:
            return [Outcome(OutcomeKind.CREATED, self.create(op))]
        try:
            self.update(op)
        except NotFound as error:
            if op.id_from_record:
                return [Outcome.rejected(RejectionKind.REFUSED, error.reason, status=error.status)]
            return [Outcome(OutcomeKind.GONE)]
        return [Outcome(OutcomeKind.UPDATED, op.remote_id)]

    @abc.abstractmethod
    def create(self, op: Operation) -> str | None:
        """Create it; the vendor's id."""

    @abc.abstractmethod
    def update(self, op: Operation) -> None:
        """Update `op.remote_id`."""

    @abc.abstractmethod
    def delete(self, op: Operation) -> None:
        """Delete `op.remote_id`."""


class LinkSink(HTTPSink):
    """What belongs to a record that must exist; sent again, it changes nothing."""

    has_lookup = True
    names_parent = True
    group_by_parent = True


class AtMostOnceSink(HTTPSink):
    """What cannot be undone: sent at most once, and never again when in doubt."""

    modes = (UPSERT,)
    at_most_once = True
    names_parent = True
    no_delete = "what was sent cannot be undone: a delete has nothing to undo"
    examples = 100

    @override
    def send(self, ops: Sequence[Operation]) -> list[Outcome]:
        """Perform one."""
        (op,) = ops
        return [Outcome(OutcomeKind.CREATED, self.perform(op))]

    @abc.abstractmethod
    def perform(self, op: Operation) -> str | None:
        """Do it, with effect `AT_MOST_ONCE`; what the vendor calls it, if anything."""


@contextlib.contextmanager
def second_step(what: str) -> Iterator[None]:
    """A further request of one operation: if it fails, the operation has been half done.

    Args:
        what: the request writes, for the reason.
    """
    try:
        yield
    except SingerHTTPError as error:
        error.nothing_was_done = False
        if isinstance(error, Refused):
            error.reason = f"{what}: {error.reason} (the other fields were written)"
        raise
