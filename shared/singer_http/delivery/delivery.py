"""One target stream of one run: its records from arrival until they are sent or settled.

check → start → look up → decide → send → settle. All of it on the main thread; workers call the
sink. The first half is here, the second in `dispatch`.
"""

from __future__ import annotations

import functools
import time
from collections.abc import Iterable, Sequence
from typing import Any

from singer_http.delivery.attempt import item_guard, suppressed_of
from singer_http.delivery.change_check import BufferedRecord, Verdict, merge_copies
from singer_http.delivery.dispatch import Dispatch
from singer_http.delivery.intake import Intake, is_delete, text_key
from singer_http.delivery.item import NEW, CheckBatch, Item, Origin
from singer_http.delivery.parts import Parts
from singer_http.operations import JSON, Outcome, OutcomeKind, Rejection, RejectionKind, Row
from singer_http.sink.base import HTTPSink

BUFFER_BYTES = 16 * 1024 * 1024
"""Records held back for a full check, at most."""


class Delivery:
    """Delivers the records of one target stream, from all of its mappings."""

    def __init__(self, sink: type[HTTPSink], scope: int, parts: Parts) -> None:
        """Deliver under a scope of the ledger."""
        self.sink_class = sink
        self.stream = sink.stream
        self.scope = scope
        self.dispatch = Dispatch(sink, scope, parts)
        self.report = parts.settlement.report
        self._parts = parts
        self._check = parts.check
        self._settlement = parts.settlement
        self._buffer: list[BufferedRecord] = []
        self._buffered_bytes = 0
        self._invalid = 0
        """Records rejected before sending, since the last check."""
        self._began = time.monotonic()

    # --- take ---------------------------------------------------------------------------------

    def take(
        self,
        intake: Intake,
        record: JSON,
        line: bytes,
        origin: Origin = NEW,
        version: str | None = None,
    ) -> None:
        """Take in a record; it waits until a batch is checked.

        Args:
            intake: of its mapping.
            record: after `stream_maps`.
            line: the RECORD message as it was read.
            origin: this run's input, or an earlier run.
            version: of the source's row.
        """
        try:
            key = intake.key_of(record)
        except Rejection:
            key = ""  # it is rejected when it is read
        full_key = key
        if key and intake.adds_to_keys:
            added = item_guard(functools.partial(intake.full_key, record, key))
            full_key = added if isinstance(added, str) else ""  # what fails is rejected when read
        source = intake.digests.of_source(record)
        if version is not None and is_delete(record):
            version = None
        self._buffer.append(
            BufferedRecord(intake, key, full_key, source, record, line, origin, version=version)
        )
        self._buffered_bytes += len(line)
        full = len(self._buffer) + self._invalid >= self.dispatch.check_rows
        if full or self._buffered_bytes >= BUFFER_BYTES:
            self.check()

    def take_invalid(
        self, intake: Intake, record: Any, line: bytes, rejection: Rejection, origin: Origin = NEW
    ) -> None:
        """Reject a record that cannot be mapped."""
        try:
            key = intake.key_of(record) if isinstance(record, dict) else ""
        except Rejection:
            key = ""
        item = Item(
            intake.sink, intake.route, key=key or text_key(record), delete=False, line=line,
            seq=self._parts.next_seq(),
        )  # fmt: skip
        item.keyless, item.origin, item.entry = not key, origin, origin.entry
        if key:
            item_guard(functools.partial(intake.complete_key, record, item))
        item.stored = self._check.stored_key(intake, item.key) if key else item.key
        self._settlement.counts(item).received += 1
        self.check()  # earlier records go first
        self._reject_unread(item, rejection)

    def _reject_unread(self, item: Item, rejection: Rejection) -> None:
        """Reject a record that could not be made an operation, unless it is suppressed anyway."""
        if item.body and not item.keyless and (suppressed := self._suppressed([item])[0]):
            self.dispatch.settle(item, suppressed)
            return
        self.dispatch.wait_for_keys([item.key])
        mirror = self._parts.mirror
        if mirror is not None and not item.origin.retried:
            mirror.saw(item)
            claims = self._parts.ownership.hashed(item)
            new = self._parts.store.ledger.row(self.scope, item.stored) is None
            mirror.saw_rejected(item, claims, rejection, new=new)
        self.reject(item, rejection)

    def reject(self, item: Item, rejection: Rejection) -> None:
        """Reject a record before sending; it counts with its batch."""
        known = self._parts.store.rejects.states(self.scope, [item.stored]).get(item.stored)
        uncertain = known is not None and known.kind == RejectionKind.UNCERTAIN
        item.beside_uncertain = uncertain and not item.origin.resend
        self.dispatch.settle(item, Outcome(OutcomeKind.REJECTED, rejection=rejection))
        if not (item.origin.retried or known):
            self._invalid += 1

    # --- check --------------------------------------------------------------------------------

    def flush(self) -> None:
        """Send and settle everything that was added."""
        self.check()
        self.dispatch.flush()
        self.report.counts.seconds = time.monotonic() - self._began

    def take_back(self) -> list[tuple[Intake, bytes]]:
        """The records of this run's input that wait for a check: they are not delivered now."""
        taken = [one for one in self._buffer if not one.origin.retried]
        self._buffer = [one for one in self._buffer if one.origin.retried]
        self._buffered_bytes = sum(len(one.line) for one in self._buffer)
        return [(one.intake, one.line) for one in taken]

    def check(self) -> None:
        """Compare the buffered records with the ledger; add those that must be sent."""
        batch = CheckBatch()
        dispatch = self.dispatch
        if self._buffer:
            self._parts.workers.collect(wait=False)
            buffered, self._buffer, self._buffered_bytes = self._buffer, [], 0
            dispatch.wait_for_keys({one.full_key for one in buffered})
            waiting = {item.key for item in dispatch.waiting}
            rest, unchanged = self._check.skip_unchanged(buffered, waiting)
            self._count_unchanged(unchanged)
            self._compare(self._read(rest), batch)
        batch.invalid += self._invalid
        self._invalid = 0
        self._parts.limit.close(batch)
        dispatch.advance(wait=False)
        while len(dispatch.waiting) > dispatch.check_rows:
            dispatch.advance(wait=True)

    def _count_unchanged(self, unchanged: Sequence[tuple[BufferedRecord, Row]]) -> None:
        mirror = self._parts.mirror
        if unchanged:
            self._parts.store.arrivals.add(self.scope, [row.key for _, row in unchanged])
        for one, row in unchanged:
            if not row.is_of(one.intake.mapping, one.version):
                self._settlement.refresh(row, row.source, one.intake.mapping, one.version)
            counts = self.report.retried if one.origin.retried else self.report.counts
            counts.received += 1
            counts.unchanged += 1
            if mirror is not None and not one.origin.retried:
                mirror.saw_key(self.stream, row.key)

    def _read(self, buffered: Iterable[BufferedRecord]) -> list[Item]:
        """The valid operations that are asked for, in order."""
        taken: list[Item] = []
        for one in buffered:
            item = one.intake.item(one.record, one.line, self._parts.next_seq(), key=one.key)
            item.origin, item.source, item.entry = one.origin, one.source, one.origin.entry
            item.mapping, item.version = one.intake.mapping, one.version
            self._settlement.counts(item).received += 1
            rejection = one.intake.prepare(one.record, item)
            if one.stored and item.key == one.full_key:
                item.stored = one.stored
            elif item.keyless:
                item.stored = item.key
            else:
                item.stored = self._check.stored_key(one.intake, item.key)
            if rejection is None:
                taken.append(item)
            else:
                self._reject_unread(item, rejection)
        # A plugin may add to the key that the record's columns have.
        self.dispatch.wait_for_keys({item.key for item in taken})
        return taken

    def _compare(self, items: list[Item], batch: CheckBatch) -> None:
        if self._parts.mirror is not None:
            for item in items:
                if not item.origin.retried:
                    self._parts.mirror.saw(item)
        going, merged, rejected = merge_copies(items)
        for item in merged:
            self._settlement.merge(item)
        for item, rejection in rejected:
            self.reject(item, rejection)
        known = self._check.known({item.key: item.stored for item in going})
        waiting = {item.key: item for item in self.dispatch.waiting}
        batch.open = len(going)
        send, settled = [], []
        for item in going:
            item.check_batch = batch
            if (earlier := waiting.get(item.key)) and self._keeps_earlier(item, earlier):
                settled.append(item)
                continue
            state = known.rejects.get(item.stored)
            item.alone = state is not None and state.kind == RejectionKind.REFUSED
            row = known.rows.get(item.stored)
            decision = self.dispatch.decide_change(
                item, functools.partial(self._check.decide, item, row, state)
            )
            if decision.verdict is Verdict.SEND:
                send.append(item)
            else:
                self.dispatch.apply(item, decision)
                settled.append(item)
        for item, outcome in zip(send, self._suppressed(send), strict=True):
            if outcome is not None:
                self.dispatch.settle(item, outcome)
                settled.append(item)
        self._parts.limit.leave(settled)
        if settled:
            left = set(map(id, settled))
            send = [item for item in send if id(item) not in left]
        self.dispatch.add(send)

    def _suppressed(self, items: Sequence[Item]) -> list[Outcome | None]:
        """Of each operation: its outcome, if whom it reaches is suppressed; asked for each sink."""
        reaches = self.sink_class.reaches_people
        if not (items and reaches and items[0].sink.context.suppressed.any()):
            return [None] * len(items)
        outcomes: dict[int, Outcome | None] = {}
        for sink in {id(item.sink): item.sink for item in items}.values():
            own = [item for item in items if item.sink is sink]
            outcomes |= zip(map(id, own), suppressed_of(sink, own), strict=True)
        return [outcomes[id(item)] for item in items]

    def _keeps_earlier(self, item: Item, earlier: Item) -> bool:
        """An earlier copy was checked and has not started: one of the two takes its place.

        Returns:
            Whether the earlier one stays, and this one is settled.
        """
        if item.sink.at_most_once:
            _, merged, rejected = merge_copies([earlier, item])
            for one in merged:
                self._settlement.merge(one)
            for _, rejection in rejected:
                self.reject(item, rejection)
            return True
        self.dispatch.waiting.remove(earlier)
        item.previous = earlier
        self._settlement.merge(earlier)
        self._parts.limit.leave([earlier])
        earlier.check_batch = None
        return False
