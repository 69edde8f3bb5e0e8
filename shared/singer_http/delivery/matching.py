"""Which record of the vendor's an operation is for, and whether it may be written."""

from __future__ import annotations

from typing import TYPE_CHECKING

from singer_http.errors import Refused, VendorDown
from singer_http.operations import (
    DELETED,
    Effect,
    Operation,
    Outcome,
    OutcomeKind,
    Rejection,
    RejectionKind,
    Row,
    invalid,
)

if TYPE_CHECKING:
    from singer_http.sink.base import HTTPSink
    from singer_http.store.tables import Scope
    from singer_http.target.run import Run


class Matching:
    """Judges the operations of one stream; each outcome that it returns is final."""

    def __init__(self, run: Run, sink: HTTPSink, scope: Scope) -> None:
        """Judge by a scope of the ledger."""
        self.run = run
        self.sink = sink
        self.scope = scope
        self.mode: str = run.config["mode"]
        self.max_retries: int = run.config["max_retries"]

    def conflict(self, op: Operation) -> Outcome | None:
        """Another key of this sync has the same vendor identity."""
        ledger = self.run.ledger
        owner = ledger.owner_of_identity(self.scope.id, ledger.hashed(op.identities[0]))
        return self._belongs(op, owner, "has the same identity at the vendor")

    def _belongs(self, op: Operation, owner: Row | None, why: str) -> Outcome | None:
        if owner is None or owner.key == op.stored or owner.digest == DELETED:
            return None
        name = self.run.name_of(owner.key)
        return Outcome(
            OutcomeKind.REJECTED, rejection=invalid(f"the record with the key {name} {why}")
        )

    def found(self, op: Operation, remote_id: str | None) -> Outcome | None:
        """The vendor said what it calls the record; `None` if it knows none."""
        op.remote_id = remote_id
        if remote_id is None:
            return None
        if remote_id == op.gone:
            reason = f"the vendor finds it as {remote_id}, and then does not know that id"
            return Outcome.rejected(RejectionKind.REFUSED, reason)
        if not self.sink.may_create:
            return None
        owner = self.run.ledger.owner_of_remote_id(self.scope.id, remote_id)
        return self._belongs(op, owner, f"is already {remote_id} at the vendor")

    def not_found(self, error: BaseException) -> Outcome:
        """The vendor could not be asked.

        Raises:
            BaseException: `error`, if it is not about this record.
        """
        if isinstance(error, Rejection):
            return Outcome(OutcomeKind.REJECTED, rejection=error)
        if isinstance(error, Refused):
            return Outcome.rejected(RejectionKind.REFUSED, error.reason, status=error.status)
        raise error

    def anew(self, op: Operation, kind: OutcomeKind) -> None:
        """Forget the id: the vendor does not know it, or a create may have arrived.

        Raises:
            VendorDown: too many creates of the record got no answer.
        """
        op.gone, op.remote_id = op.remote_id, None
        if kind is OutcomeKind.LOST:
            op.lost += 1
        if op.lost > self.max_retries:
            raise VendorDown(
                f"{self.sink.stream}: {op.lost} creates of one record got no answer: run again "
                "when the vendor is back, nothing is sent twice (`max_retries`)."
            )
        self.sink.forget_lookup(op)

    def decide(self, op: Operation) -> Outcome | None:
        """The one place where the mode is looked at, and the effect is settled."""
        sink, mode = self.sink, self.mode
        if op.lost and op.remote_id is not None:
            return Outcome(OutcomeKind.CREATED, op.remote_id)  # it arrived after all
        exists = op.remote_id is not None if sink.may_create else op.row is not None
        if (mode == "create" and exists) or (mode == "update" and not exists and not op.delete):
            return Outcome(OutcomeKind.SKIPPED)
        if op.delete and sink.has_lookup and op.remote_id is None:
            return Outcome(OutcomeKind.DELETED)
        if sink.at_most_once:
            self.run.admit(sink, self.scope)
        if rejection := sink.before_send(op):
            return Outcome(OutcomeKind.REJECTED, rejection=rejection)
        if op.delete:
            op.expect = OutcomeKind.DELETED
        elif sink.at_most_once:
            op.expect, op.effect = OutcomeKind.CREATED, Effect.AT_MOST_ONCE
        elif not sink.may_create:
            op.expect = OutcomeKind.UPSERTED
        elif op.remote_id:
            op.expect, op.effect = OutcomeKind.UPDATED, Effect.IDEMPOTENT
        else:
            op.expect, op.effect = OutcomeKind.CREATED, Effect.CREATE
        return None
