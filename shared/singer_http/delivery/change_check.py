"""What ledger and rejects say of a record before anything is sent."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from typing import TYPE_CHECKING, NamedTuple

from singer_http.operations import (
    DELETED,
    JSON,
    Operation,
    Outcome,
    OutcomeKind,
    RejectionKind,
    Row,
    invalid,
)

if TYPE_CHECKING:
    from singer_http.delivery.intake import Intake
    from singer_http.delivery.settlement import Settlement
    from singer_http.store.tables import Scope
    from singer_http.target.run import Run

Came = tuple[str, bytes, JSON, bytes, bool, bool]
"""A record that came: its key (empty if it has none), digest of the record, the record, its line,
whether it is an earlier run's, and one that a person said did not arrive."""


class Known(NamedTuple):
    """What earlier runs left of some keys."""

    stored: dict[str, str]
    """Key -> the form in which it stands in the ledger."""
    rows: dict[str, Row]
    """Of the ledger, by stored key."""
    rejected: dict[str, str]
    """Key -> kind of its outstanding reject."""


OTHER_CONTENT = (
    "was sent before with other content, and is sent only once: give it a key of its own"
)


class Standing:
    """Compares the operations of one stream with what earlier ones left."""

    def __init__(self, run: Run, intake: Intake, settlement: Settlement, scope: Scope) -> None:
        """Look under a scope of the ledger."""
        self.run = run
        self.sink = sink = intake.sink
        self.settlement = settlement
        self.scope = scope
        self.ledger = run.ledger
        self.uncertain: str = run.config["uncertain"]
        self.full_resync: bool = run.config["full_resync"]
        self.personal = bool(set(sink.keys) & set(sink.personal))
        self.tells_unchanged = intake.digests.know_sources and not self.full_resync
        """A record that is as it was when it was delivered need not be looked at."""

    def stored_key(self, key: str) -> str:
        """The form in which a key stands in the ledger."""
        return self.ledger.stored_key(key, personal=self.personal)

    def known(self, keys: Iterable[str]) -> Known:
        """What earlier runs left of these keys."""
        stored = {key: self.stored_key(key) for key in keys}
        return Known(
            stored,
            self.ledger.rows(self.scope.id, list(stored.values())),
            self.run.rejects.known(self.sink.stream, list(stored)),
        )

    def sift(self, came: Sequence[Came], waiting: Collection[str]) -> tuple[list[Came], Known]:
        """Count what is as it was when it was delivered as unchanged; the rest has to be read.

        Args:
            came: nothing of it is on its way.
            waiting: keys of which another copy has been looked at.
        """
        keys = [one[0] for one in came if one[0]]
        known = self.known(keys)
        if not known.rows:
            return list(came), known
        apart = {*waiting, *known.rejected}
        if len(known.stored) < len(keys):
            apart.update(key for key, number in Counter(keys).items() if number > 1)
        rest = []
        mirror = self.run.mirror
        rows, stored = known.rows, known.stored
        for one in came:
            key, source = one[0], one[1]
            row = rows.get(stored[key]) if key else None
            if row is None or row.source != source or row.uncertain or not source or key in apart:
                rest.append(one)
            elif mirror is not None:
                mirror.saw(self.sink.stream, row.key)
        counts, unchanged = self.settlement.report.counts, len(came) - len(rest)
        counts.received += unchanged
        counts.unchanged += unchanged
        return rest, known

    def of(self, op: Operation, row: Row | None, rejected: str | None) -> Outcome | None:
        """A settled outcome, or `None` if the operation has to go out.

        Args:
            op: gets what the ledger knows: its row, its id at the vendor.
            row: the ledger's, of the operation's key.
            rejected: kind of the key's outstanding reject.
        """
        op.row = row
        if self.sink.skip(op):
            return Outcome(OutcomeKind.SKIPPED)
        if (row and row.uncertain) or rejected == RejectionKind.UNCERTAIN:
            doubt = self._of_uncertain(op, row)
            if doubt is not None or op.row is None:
                return doubt
        if row is None:
            return None
        same = row.digest == op.digest and self.sink.is_current(op)
        if same and (self.sink.at_most_once or op.delete or not self.full_resync):
            if op.source != row.source:
                self.settlement.acknowledge(row, op.source)
            return Outcome(OutcomeKind.UNCHANGED)
        if self.sink.at_most_once:
            return Outcome(OutcomeKind.REJECTED, rejection=invalid(OTHER_CONTENT))
        if row.digest == DELETED:
            op.row = None
        elif not op.id_from_record:
            op.remote_id = row.vendor_id
        return None

    def _of_uncertain(self, op: Operation, row: Row | None) -> Outcome | None:
        """What the setting `uncertain` makes of one that may have arrived in an earlier run."""
        if self.run.became_uncertain(self.sink.stream, op.stored):
            return Outcome(OutcomeKind.SKIPPED)
        if op.resend or self.uncertain == "resend":
            op.row = None
            return None
        if self.uncertain == "keep":
            return Outcome(OutcomeKind.SKIPPED)
        if row is None:
            identity = self.settlement.identity(op)
            self.ledger.acknowledge(self.scope.id, op.stored, op.digest, op.remote_id, identity)
            return Outcome(OutcomeKind.UNCHANGED)
        self.settlement.acknowledge(row, row.source)
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
