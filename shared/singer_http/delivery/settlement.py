"""The end of a record: counted, and written to the ledger or the rejects. Nothing else writes."""

from __future__ import annotations

import hashlib
import logging
from collections import Counter
from collections.abc import Iterable

from singer_http.delivery.item import CheckBatch, Item
from singer_http.delivery.overwrite import Overwrite, digest_beside_kept, restricts
from singer_http.errors import StopRun
from singer_http.operations import (
    DELETED,
    UNKNOWN,
    Effect,
    Outcome,
    OutcomeKind,
    Rejection,
    RejectionKind,
    Row,
)
from singer_http.plugin.validation import parse_share
from singer_http.report.counts import Counts, StreamReport
from singer_http.sink.base import MIRROR
from singer_http.sink.kinds import ReadableSink
from singer_http.store.arrivals import Arrivals
from singer_http.store.ledger import FORMER, Ledger
from singer_http.store.rejects import MAIN, NEWER, Rejects
from singer_http.store.rows import Delivered, without_rejection

WAITS = "waits until the uncertain record of its key is resolved"
SHARE_CHECKED_FROM = 20
"""Delivered and rejected records from which a share of rejects is checked."""


class Settlement:
    """Writes down the outcomes of the operations of one stream."""

    def __init__(
        self,
        ledger: Ledger,
        rejects: Rejects,
        arrivals: Arrivals,
        report: StreamReport,
        scope: int,
        limit: RejectLimit,
        logger: logging.Logger,
    ) -> None:
        """Settle under a scope of the ledger."""
        self._ledger = ledger
        self._rejects = rejects
        self._arrivals = arrivals
        self._scope = scope
        self._limit = limit
        self._logger = logger
        self.report = report
        self.overwrite = Overwrite(ledger, scope)
        """What was written last, field by field."""

    def counts(self, item: Item) -> Counts:
        """Where an operation is counted."""
        return self.report.retried if item.origin.retried else self.report.counts

    def settle(self, item: Item, outcome: Outcome) -> Item | None:
        """Write down a final outcome.

        Returns:
            An earlier copy of the record that must be sent instead.
        """
        reject = item.origin.reject
        if reject is not None and (reject.key != item.stored or reject.slot not in {MAIN, NEWER}):
            # What is rejected again is put into the place that it has now.
            self._rejects.drop(self._scope, reject.key, item.seq, slot=reject.slot)
        outstanding = self._rejects.any_in(self._scope)
        if outstanding:
            self._drop_corrected(item)
        if outcome.rejection is not None:
            return self._reject(item, outcome, outcome.rejection)
        kind = outcome.kind
        if outcome.released:
            self._release(item, postponed=outcome.postponed)
            return None
        if item.removal:
            self.report.counts.removed += 1
        else:
            self.counts(item).add(kind)
        if kind is OutcomeKind.SKIPPED and not outcome.nothing_to_send:
            if outcome.suppressed:
                self.counts(item).suppressed += 1
            if item.may_be_there or not outcome.nothing_was_done:
                self._keep_possible(item)
            self._skipped(item)
            return None
        if outstanding:
            self._drop_rejects(item)
        if kind is OutcomeKind.UNCHANGED:
            self._arrivals.add(self._scope, [item.stored])
            return None
        remote_id = outcome.remote_id if item.delete else outcome.remote_id or item.remote_id
        self._count_kept(item)
        self._acknowledge(item, remote_id, outcome)
        if not (item.origin.retried or item.removal or outcome.nothing_to_send):
            self._limit.delivered()
        return None

    def _acknowledge(self, item: Item, remote_id: str | None, outcome: Outcome) -> None:
        if remote_id and item.row is not None and not item.removal:
            self._keep_former(item, item.row, remote_id)
        hashed = self._ledger.hashed
        claims = () if item.delete else (*item.identities, *outcome.claims)
        partial = item.is_partial
        names = None if item.delete else self._ledger.names(item.names(remote_id))
        if item.delete and partial:
            names = b""  # those of before are added
        kept = item.judged is not None and item.judged.kept
        self._ledger.acknowledge(
            self._scope,
            Delivered(
                item.stored,
                digest_beside_kept(item) if kept else item.digest,
                item.source,
                remote_id,
                tuple(map(hashed, claims)),
                names,
                partial=partial,
                mapping=item.mapping,
                version=item.version,
                fields=self.overwrite.after(item, created=outcome.kind is OutcomeKind.CREATED),
                sent=not outcome.nothing_to_send,
            ),
        )
        if outcome.forgets is not None:
            self._ledger.forget_others(self._scope, item.stored, hashed(outcome.forgets))

    def _count_kept(self, item: Item) -> None:
        sink, judged = item.sink, item.judged
        if judged is None or not isinstance(sink, ReadableSink):
            return
        for one in judged.kept:
            label = sink.label(one.field)
            self.counts(item).keep(label)
            self.report.add_kept(label, item.remote_id, one.theirs, one.ours)

    def _keep_former(self, item: Item, row: Row, remote_id: str) -> None:
        """Keep what a key of a mirror wrote on its earlier contact: it is still to be removed.

        The ledger keeps it under a key of its own, which no extract contains.
        """
        sink, before = item.sink, row.remote_id
        moved = before is not None and before != remote_id
        if not (moved and sink.group_by_parent and sink.config["mode"] == MIRROR):
            return
        self._put_former(item, str(before))

    def _put_former(self, item: Item, remote_id: str) -> None:
        claims = self._ledger.claims_of(self._scope, [item.stored]).get(item.stored, set())
        key = f"{FORMER}{hashlib.blake2b(remote_id.encode(), digest_size=16).hexdigest()}"
        self._ledger.acknowledge(
            self._scope,
            Delivered(key, UNKNOWN, b"", remote_id, tuple(sorted(claims)), sent=False),
        )

    def _drop_rejects(self, item: Item) -> None:
        """Drop the key's rejects; with at most once, not those of other content."""
        slots = (MAIN, item.digest.hex()) if item.sink.at_most_once else (None,)
        for slot in slots:
            self._rejects.drop(self._scope, item.stored, item.seq, slot=slot)

    def _drop_corrected(self, item: Item) -> None:
        """What a corrected copy of a reject says of its record takes the place of that reject."""
        self._rejects.drop_corrected(self._scope, item.sink.stream, item.line, item.seq)

    def merge(self, item: Item) -> None:
        """A later copy of its key takes the place of a record."""
        self.counts(item).merged += 1
        self._drop_corrected(item)

    def _skipped(self, item: Item) -> None:
        """A setting forbids it: an older reject of the key has been replaced, unless uncertain."""
        for state in self._rejects.states(self._scope, [item.stored]).values():
            if state.kind != RejectionKind.UNCERTAIN:
                self._rejects.drop(self._scope, item.stored, item.seq, slot=MAIN)

    def refresh(self, row: Row, source: bytes, mapping: bytes | None, version: str | None) -> None:
        """Write the digest and the version of today's record to a ledger row that is current."""
        self._ledger.acknowledge(
            self._scope,
            Delivered(
                row.key, row.digest, source, row.remote_id, None,
                mapping=mapping, version=version, sent=False,
            ),
        )  # fmt: skip

    def wait_beside(self, item: Item) -> None:
        """Keep the newest record of a key until its uncertain one is resolved."""
        self.counts(item).add(OutcomeKind.SKIPPED)
        self._drop_corrected(item)
        self._put(item, Rejection(RejectionKind.HELD, WAITS), NEWER, None)

    def adopt(self, item: Item, digest: bytes, remote_id: str | None) -> None:
        """An unfinished create is found to have arrived, with other content than today's."""
        sent = item.origin.sent
        claims = sent.identities if sent else item.identities
        hashed = tuple(map(self._ledger.hashed, claims))
        fields = self.overwrite.of_body(item.sink, sent.body) if sent else None
        self._ledger.acknowledge(
            self._scope, Delivered(item.stored, digest, b"", remote_id, hashed, fields=fields)
        )

    def changed_by_others(self, row: Row) -> None:
        """Another key's record was merged into a key's record: the vendor's content is unknown."""
        self._ledger.mark_unknown(self._scope, row)

    def _release(self, item: Item, *, postponed: bool) -> None:
        """Give up a key whose record may belong to another key too; nothing is removed.

        Where versions are stored, its row stays, as deleted: a copy of the ledger (tap-deliveries)
        does not see that a row is missing, and would still count its version as delivered.

        Args:
            item: the delete.
            postponed: a rejected row may be the record. A mirror removes it once none is, so the
                ledger keeps it, under a key that does not stand in the way of that row.
        """
        key = item.key
        if postponed and item.removal and item.remote_id:
            self._put_former(item, item.remote_id)
            key = f"id {item.remote_id}" if key.startswith(FORMER) else key
            note = f"not removed yet, since a rejected row may be the same record: {key}"
        else:
            note = f"not removed, since another key refers to the same record: {key}"
        if item.mapping is not None or (item.row is not None and item.row.version is not None):
            given_up = Delivered(item.stored, DELETED, b"", None, (), sent=False)
            self._ledger.acknowledge(self._scope, given_up)
        elif not item.stored.startswith(FORMER):
            self._ledger.forget(self._scope, item.stored)
        self._rejects.drop(self._scope, item.stored, item.seq)
        self.report.notes.append(note)
        if not item.removal:
            self.counts(item).add(OutcomeKind.SKIPPED)

    def _reject(self, item: Item, outcome: Outcome, rejection: Rejection) -> Item | None:
        """Keep a record that was not delivered; see `settle`."""
        if item.may_be_there or not outcome.nothing_was_done:
            self._keep_possible(item)
        if item.removal:
            self.report.notes.append(f"not removed: {item.key}: {rejection.reason}")
            self._logger.warning(
                "%s: not removed: %s: %s", item.sink.stream, item.key, rejection.reason
            )
            return None
        if rejection.kind is RejectionKind.UNCERTAIN and not item.sink.at_most_once:
            # Another key with its identity must not be created beside it.
            hashed = self._ledger.hashed
            self._ledger.claim(self._scope, item.stored, [*map(hashed, item.identities)])
        self.counts(item).rejected += 1
        self._put(item, rejection, self._slot(item), outcome.remote_id)
        # One that was outstanding before says nothing about this run's mapping.
        counts = not (item.origin.retried or item.alone or rejection.kind is RejectionKind.HELD)
        if counts and item.check_batch is not None:
            self._limit.rejected(1)
        final = rejection.kind in (RejectionKind.UNCERTAIN, RejectionKind.HELD)
        return None if final else item.previous

    def _keep_possible(self, item: Item) -> None:
        """What may have been written counts as there: it is not unchanged; a mirror removes it."""
        sink = item.sink
        if item.row is not None:
            self._ledger.mark_unknown(self._scope, item.row, self.overwrite.perhaps(item))
        elif (
            (sink.config["mode"] == MIRROR or restricts(item))
            and item.effect is Effect.IDEMPOTENT
            and not (item.delete or sink.group_by_parent)
        ):
            fields = self.overwrite.perhaps(item)
            self._ledger.acknowledge(
                self._scope,
                Delivered(item.stored, UNKNOWN, b"", item.remote_id, None, fields=fields),
            )

    def _slot(self, item: Item) -> str:
        """A reject with other content is kept beside the record of its key that was sent.

        So is an invalid record beside an uncertain one: the uncertain one must stay known.
        """
        if item.beside_uncertain and not item.other_content:
            if not item.sink.at_most_once:
                return NEWER
            return hashlib.blake2b(item.line, digest_size=16).hexdigest()
        return item.digest.hex() if item.other_content else MAIN

    def _put(self, item: Item, rejection: Rejection, slot: str, remote_id: str | None) -> None:
        sink = item.sink
        nothing = item.delete or rejection.blocked or sink.at_most_once or sink.names_parent
        self._rejects.put(
            self._scope,
            key=item.stored,
            slot=slot,
            seq=item.seq,
            kind=rejection.kind,
            reason=rejection.reason,
            status=rejection.status,
            operation="delete" if item.delete else "upsert",
            attempts=rejection.attempts,
            route=item.route,
            remote_id=remote_id,
            digest=item.digest or UNKNOWN,
            resent=item.origin.resend,
            record=without_rejection(item.line),
            claims_on=() if nothing else map(self._ledger.hashed, item.identities or item.named),
        )


class RejectLimit:
    """`max_rejects`: a wrong mapping stops the run early."""

    def __init__(self, spec: str) -> None:
        """Read the setting `max_rejects`."""
        self._spec = spec
        self._limit = parse_share(spec)
        self._delivered = 0
        self._rejected = 0

    def delivered(self) -> None:
        """A record of this run arrived."""
        self._delivered += 1

    def rejected(self, number: int) -> None:
        """Records of this run were rejected, and are in the rejects."""
        self._rejected += number

    def leave(self, items: Iterable[Item]) -> None:
        """Operations are settled: the invalid ones of their batch count with the last of them."""
        for batch, number in Counter([item.check_batch for item in items]).items():
            if batch is not None:
                batch.open -= number
                self.close(batch)

    def close(self, batch: CheckBatch) -> None:
        """The invalid records of a batch count once its others are settled.

        Raises:
            StopRun: more than `max_rejects`.
        """
        if not batch.open and batch.invalid:
            number, batch.invalid = batch.invalid, 0
            self.rejected(number)
            self.check()

    def check(self) -> None:
        """Compare the counts with the limit, once all that an answer said is written down.

        Raises:
            StopRun: more than `max_rejects` allows.
        """
        if not self._rejected:
            return
        total = self._delivered + self._rejected
        if self._limit.share is not None and total < SHARE_CHECKED_FROM:
            return
        if not self._limit.allows(self._rejected, total):
            raise StopRun(
                f"{self._rejected:,} of {total:,} records were rejected, more than max_rejects "
                f"({self._spec}) allows: check the reasons in the rejects file, then run again."
            )
