"""What ledger and rejects say of a record before anything is sent."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from singer_http.operations import DELETED, Kind, Operation, Outcome, Reason, Row, invalid

if TYPE_CHECKING:
    from singer_http.ledger_schema import Scope
    from singer_http.run import Run
    from singer_http.settlement import Settlement
    from singer_http.sinks import HTTPSink

OTHER_CONTENT = (
    "was sent before with other content, and is sent only once: give it a key of its own"
)


class Standing:
    """Compares the operations of one stream with what earlier ones left."""

    def __init__(self, run: Run, sink: HTTPSink, settlement: Settlement, scope: Scope) -> None:
        """Look under a scope of the ledger."""
        self.run = run
        self.sink = sink
        self.settlement = settlement
        self.scope = scope
        self.ledger = run.ledger
        self.uncertain: str = run.config["uncertain"]
        self.full_resync: bool = run.config["full_resync"]

    def of(self, op: Operation, row: Row | None, rejected: str | None) -> Outcome | None:
        """A settled outcome, or `None` if the operation has to go out.

        Args:
            op: gets what the ledger knows: its row, its id at the vendor.
            row: the ledger's, of the operation's key.
            rejected: kind of the key's outstanding reject.
        """
        op.row = row
        if self.sink.skip(op):
            return Outcome(Kind.SKIPPED)
        if (row and row.uncertain) or rejected == Reason.UNCERTAIN:
            doubt = self._of_uncertain(op, row)
            if doubt is not None or op.row is None:
                return doubt
        if row is None:
            return None
        same = row.digest == op.digest and self.sink.stands(op)
        if same and (self.sink.once or op.delete or not self.full_resync):
            return Outcome(Kind.UNCHANGED)
        if self.sink.once:
            return Outcome(Kind.REJECTED, rejection=invalid(OTHER_CONTENT))
        if row.digest == DELETED:
            op.row = None
        elif not op.own_handle:
            op.handle = row.vendor_id
        return None

    def _of_uncertain(self, op: Operation, row: Row | None) -> Outcome | None:
        """What the setting `uncertain` makes of one that may have arrived in an earlier run."""
        if self.run.became_uncertain(self.sink.stream, op.stored):
            return Outcome(Kind.SKIPPED)
        if op.resend or self.uncertain == "resend":
            op.row = None
            return None
        if self.uncertain == "keep":
            return Outcome(Kind.SKIPPED)
        if row is None:
            identity = self.settlement.identity(op)
            self.settlement.acknowledge(op.stored, op.digest, op.handle, identity)
            return Outcome(Kind.UNCHANGED)
        self.settlement.acknowledge(row.key, row.digest, row.handle, row.identity)
        return None

    def set_lanes(self, ops: Sequence[Operation]) -> None:
        """What each operation holds; and which of them may collide with another key."""
        hashed = self.ledger.hashed
        firsts: dict[str, list[Operation]] = {}
        for op in ops:
            if not op.identities:
                op.lanes = (op.key,)
                continue
            identities = [hashed(identity) for identity in op.identities]
            firsts.setdefault(identities[0], []).append(op)
            if op.row and op.row.identity:
                identities.append(op.row.identity)
            op.lanes = (op.key, *(f"\n{identity}" for identity in identities))
            self.run.remember_name(op)
        if firsts:
            for identity, key in self.ledger.owners(self.scope.id, list(firsts)).items():
                for op in firsts[identity]:
                    op.contested = op.contested or key != op.stored
