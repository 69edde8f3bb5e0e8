"""The end of a record: counted, and taken in by the ledger or the rejects."""

from __future__ import annotations

from typing import TYPE_CHECKING

from singer_http.operations import Operation, Outcome, OutcomeKind, Rejection, RejectionKind, Row

if TYPE_CHECKING:
    from singer_http.report.counts import Counts
    from singer_http.sink.base import HTTPSink
    from singer_http.store.tables import Scope
    from singer_http.target.run import Run


class Settlement:
    """What becomes of the operations of one stream is written down here, and nowhere else."""

    def __init__(self, run: Run, sink: HTTPSink, source: str, scope: Scope) -> None:
        """Settle the records of `source` under a scope of the ledger."""
        self.run = run
        self.sink = sink
        self.source = source
        self.scope = scope
        self.ledger = run.ledger
        self.rejects = run.rejects
        self.report = run.report.stream(sink.stream)

    def counts(self, op: Operation) -> Counts:
        """Where an operation is counted."""
        return self.report.retried if op.retried else self.report.counts

    def identity(self, op: Operation) -> str | None:
        """The (hashed) identity at the vendor."""
        return self.ledger.hashed(op.identities[0]) if op.identities else None

    def settle(self, op: Operation, outcome: Outcome) -> Operation | None:
        """Write down a final outcome.

        Returns:
            An earlier copy of the record that has to go out after all.

        Raises:
            StopRun: more than `max_rejects`.
        """
        kind = outcome.kind
        if outcome.rejection is not None:
            return self.reject(op, outcome.rejection)
        if op.removal:
            self.report.counts.removed += 1
        else:
            self.counts(op).add(kind)
        if kind is OutcomeKind.SKIPPED:
            if not (op.row and op.row.uncertain):
                self.rejects.drop(self.sink.stream, op.key, op.seq, but=RejectionKind.UNCERTAIN)
            return None
        if self.rejects.outstanding:
            self.rejects.drop(self.sink.stream, op.key, op.seq)
        if kind is OutcomeKind.UNCHANGED:
            return None
        remote_id = outcome.remote_id if op.delete else outcome.remote_id or op.remote_id
        identity = None if op.delete or not op.identities else self.identity(op)
        if outcome.parent_id is not None:
            identity = self.ledger.hashed(outcome.parent_id)
        self.ledger.acknowledge(self.scope.id, op.stored, op.digest, remote_id, identity, op.source)
        if outcome.undoes is not None:
            self.ledger.forget_others(self.scope.id, op.stored, outcome.undoes)
        self.sink.on_delivered(op, None if op.delete else remote_id)
        if not op.retried and not op.removal:
            self.run.limits.delivered()
        return None

    def acknowledge(self, row: Row, source: bytes) -> None:
        """What a ledger row stands for is there, whatever record it was made from."""
        self.ledger.acknowledge(
            self.scope.id, row.key, row.digest, row.remote_id, row.identity, source
        )

    def reject(self, op: Operation, rejection: Rejection) -> Operation | None:
        """Keep a record that was not delivered; see `settle`."""
        stream = self.sink.stream
        if op.removal:
            self.report.notes.append(f"not removed: {op.key}: {rejection.reason}")
            self.run.logger.warning("%s: not removed: %s: %s", stream, op.key, rejection.reason)
            return None
        self.counts(op).rejected += 1
        self.rejects.put(
            source=self.source,
            stream=stream,
            key=op.key,
            seq=op.seq,
            line=op.line,
            operation="delete" if op.delete else "upsert",
            rejection=rejection,
        )
        if rejection.kind is RejectionKind.UNCERTAIN:
            self.ledger.mark_uncertain(self.scope.id, op.stored, op.digest, self.identity(op))
            self.run.note_uncertain(stream, op.stored)
        # One that is outstanding already says nothing about this run's mapping.
        if op.stored and not (op.retried or op.alone or rejection.kind is RejectionKind.HELD):
            self.run.limits.rejected(1)
        final = rejection.kind is RejectionKind.UNCERTAIN or rejection.kind is RejectionKind.HELD
        return None if final else op.previous
