"""The life of a record: taken, checked against the ledger, marked as pending, sent, settled.

    take ─> came ─check─> waiting ─start─> (find) ─decide─> ready ───send───> settle
            last copy     lanes free     asks the        ledger: pending   ledger:
            of a key wins                vendor          then a worker     acknowledged

All of it runs on the main thread except `find` and `send` of the sink, which workers carry out.
An operation holds its lanes (its key, its vendor identities) from start to settlement: no two that
share one are in flight at once, and they go in the order in which they came.
"""

from __future__ import annotations

import functools
import time
from collections import Counter, deque
from collections.abc import Collection, Iterable, Sequence
from typing import TYPE_CHECKING

from singer_http.delivery.change_check import Came, Known, Standing
from singer_http.delivery.matching import Matching
from singer_http.delivery.outbox import COMMIT_AT, Outbox
from singer_http.delivery.settlement import Settlement
from singer_http.errors import StopRun
from singer_http.operations import (
    DELETED,
    JSON,
    Effect,
    Operation,
    Outcome,
    OutcomeKind,
    Rejection,
    RejectionKind,
    Row,
    Window,
)
from singer_http.store.rejects import text_key

if TYPE_CHECKING:
    from singer_http.delivery.intake import Intake
    from singer_http.delivery.workers import Task
    from singer_http.store.tables import Scope
    from singer_http.target.run import Run

FIRST = 5
"""Rows of a stream that are out at first: a wrong mapping costs a handful, not a batch."""
GROWTH = 4
"""How much more may be out after each request that went well."""
BUFFER_BYTES = 16 * 1024 * 1024
"""Records held back for a full window, at most."""
MOMENT = 0.0005
"""Seconds in which the workers may send undisturbed what they were handed: two threads that both
want the interpreter cost more than they do."""


class Delivery:
    """One stream of one run: its records from arrival to settlement."""

    def __init__(self, run: Run, intake: Intake, source: str, scope: Scope) -> None:
        """Deliver the records of `source` into the intake's sink, under a scope of the ledger."""
        sink = intake.sink
        self.run = run
        self.sink = sink
        self.intake = intake
        self.source = source
        self.scope = scope
        self.ledger = run.ledger
        self.rejects = run.rejects
        self.workers = run.workers
        self.settlement = Settlement(run, sink, source, scope)
        self.standing = Standing(run, intake, self.settlement, scope)
        self.matching = Matching(run, sink, scope)
        self.report = self.settlement.report
        self.outbox = Outbox(run, sink, scope, self._answered)
        number, batch = self.workers.number, self.outbox.batch
        self.most = number if sink.at_most_once else max(2 * number * batch, 2 * COMMIT_AT)
        """Rows that may be out at once."""
        self.window_rows = max(number * batch, 500)
        self.allowance = min(FIRST, self.most)
        self.out = 0
        """Rows started and not settled."""
        self.finding = 0
        self.came: list[Came] = []
        self.came_bytes = 0
        self.invalid = 0
        """Records rejected before sending, since the last check."""
        self.waiting: deque[Operation] = deque()
        self.busy: set[str] = set()
        self.began = time.monotonic()
        if sink.may_create or sink.at_most_once:
            self.ledger.require_durable()

    # --- take ---------------------------------------------------------------------------------

    def take(
        self, record: JSON, line: bytes, *, retried: bool = False, resend: bool = False
    ) -> None:
        """Take in a record; it waits for its window to fill.

        Args:
            record: after `stream_maps`.
            line: the RECORD message as it came.
            retried: it is an earlier run's.
            resend: a person said that it did not arrive.
        """
        intake = self.intake
        try:
            key = intake.key_of(record)
        except Rejection:
            key = ""  # it is rejected when it is read
        self.came.append((key, intake.digests.of_source(record), record, line, retried, resend))
        self.came_bytes += len(line)
        if len(self.came) + self.invalid >= self.window_rows or self.came_bytes >= BUFFER_BYTES:
            self.check()

    def take_invalid(self, record: JSON, line: bytes, rejection: Rejection) -> None:
        """Take in a record that cannot even be mapped."""
        op = Operation(key=text_key(record), delete=False, line=line, seq=self.run.next_seq())
        self.settlement.counts(op).received += 1
        self.reject(op, rejection)

    def remove(self, row: Row) -> None:
        """Remove what a ledger row stands for: the source no longer has it (`mirror`)."""
        self.waiting.append(self.removal(row))
        self.advance(wait=len(self.waiting) > self.window_rows)

    def removal(self, row: Row) -> Operation:
        """The operation that removes what a ledger row stands for."""
        op = Operation(key=row.key, delete=True, line=b"", seq=self.run.next_seq())
        op.digest = DELETED
        op.removal, op.id_from_record = True, True
        op.stored, op.row = row.key, row
        op.remote_id = row.vendor_id
        self.sink.prepare_removal(op)
        op.lanes = (op.key,)
        op.expect = OutcomeKind.DELETED
        return op

    def reject(self, op: Operation, rejection: Rejection) -> None:
        """Reject a record before sending; it counts with the window that it came in."""
        if self.run.mirrors:
            self.run.saw(self, op)
        known = self.rejects.known(self.sink.stream, [op.key])
        self._settle(op, Outcome(OutcomeKind.REJECTED, rejection=rejection))
        if not (op.retried or known):
            self.invalid += 1

    def _merge(self, old: Operation, new: Operation) -> None:
        new.previous = old
        self.settlement.counts(old).merged += 1

    # --- check --------------------------------------------------------------------------------

    def check(self) -> None:
        """Look at what came; what has to be sent goes on."""
        window = Window()
        if self.came:
            self.workers.collect(wait=False)
            came, self.came, self.came_bytes = self.came, [], 0
            if self.standing.tells_unchanged:
                self._see_through({one[0] for one in came})
                came, known = self.standing.sift(came, {op.key for op in self.waiting})
                taken = self._read(came)
            else:
                taken = self._read(came)
                self._see_through(taken)
                known = self.standing.known(taken)
            self._compare(taken, known, window)
        window.invalid += self.invalid
        self.invalid = 0
        self._close(window)
        self.advance(wait=False)
        while len(self.waiting) > self.window_rows:
            self.advance(wait=True)

    def _see_through(self, keys: Collection[str]) -> None:
        """What is on its way for these keys must be there before they can be compared."""
        while not self.busy.isdisjoint(keys):
            self.advance(wait=True, flush=True)

    def _read(self, came: Iterable[Came]) -> dict[str, Operation]:
        """The operations that are asked for, by key; the last copy of a key wins."""
        taken: dict[str, Operation] = {}
        for key, source, record, line, retried, resend in came:
            op, rejection = self.intake.operation(record, line, self.run.next_seq(), key=key)
            if retried:
                op.retried, op.resend = True, resend
            self.settlement.counts(op).received += 1
            if rejection is not None:
                self.reject(op, rejection)
                continue
            op.source = source
            if op.key in taken:
                self._merge(taken.pop(op.key), op)
            taken[op.key] = op
        return taken

    def _compare(self, taken: dict[str, Operation], known: Known, window: Window) -> None:
        waiting = {op.key: op for op in self.waiting}
        mirrors = self.run.mirrors
        window.open = len(taken)
        going, settled = [], []
        for key, op in taken.items():
            op.stored = stored = known.stored[key]
            if mirrors:
                self.run.saw(self, op)
            op.window = window
            if earlier := waiting.get(key):
                # An earlier copy was checked and has not started: this one takes its place.
                self.waiting.remove(earlier)
                self._merge(earlier, op)
                self._leave_windows([earlier])
                earlier.window = None
            rejected = known.rejected.get(key)
            if rejected == RejectionKind.REFUSED:
                op.alone = True
            outcome = self.standing.of(op, known.rows.get(stored), rejected)
            if outcome is None:
                self.sink.restore_id(op)
                going.append(op)
            else:
                self._settle(op, outcome)
                settled.append(op)
        self._leave_windows(settled)
        self.standing.set_lanes(going)
        self.waiting.extend(going)

    def _close(self, window: Window) -> None:
        """The invalid records of a window count once its others are settled."""
        if not window.open and window.invalid:
            number, window.invalid = window.invalid, 0
            self.run.limits.rejected(number)

    def _leave_windows(self, ops: Iterable[Operation]) -> None:
        for window, number in Counter([op.window for op in ops]).items():
            if window is not None:
                window.open -= number
                self._close(window)

    # --- start --------------------------------------------------------------------------------

    def drain(self) -> None:
        """See everything that was taken through to its settlement."""
        self.check()
        while self.waiting or self.out:
            self.advance(wait=True, flush=True)
        self.report.counts.seconds = time.monotonic() - self.began

    def advance(self, *, wait: bool, flush: bool = False) -> None:
        """Start what may start, send what is ready, take in what came back.

        Args:
            wait: for at least one answer, if any is due.
            flush: send batches that are not full.
        """
        self.run.check_signal()
        try:
            self._start()
        except StopRun:
            self._send_admitted()
            raise
        if self.outbox.ready and self._time_to_send(flush=flush):
            self.outbox.send()
            if self.workers.collect(wait=True, timeout=MOMENT):
                return  # there may be room for more
        self.workers.collect(wait=wait)

    def _time_to_send(self, *, flush: bool) -> bool:
        if self.sink.group_by_parent:
            return self.finding == 0
        return self.outbox.due(flush=flush or self.out >= self.allowance)

    def _send_admitted(self) -> None:
        """The run stops before an operation: those that were let out before it still go."""
        if self.outbox.ready:
            self.outbox.send()
        while self.workers.outstanding:
            self.workers.collect(wait=True)

    def _start(self) -> None:
        blocked: set[str] = set()
        held: list[Operation] = []
        while self.waiting and self.out < self.allowance and len(held) < self.window_rows:
            op = self.waiting.popleft()
            if self.busy.isdisjoint(op.lanes) and blocked.isdisjoint(op.lanes):
                self.busy.update(op.lanes)
                self.out += 1
                self._locate(op)
            else:
                op.contested = True
                blocked.update(op.lanes)
                held.append(op)
        self.waiting.extendleft(reversed(held))

    def _locate(self, op: Operation) -> None:
        """Have the record's id found if it is not known, then decide."""
        sink = self.sink
        if op.contested and op.identities and (outcome := self.matching.conflict(op)):
            self._finish([op], [outcome])
        elif op.remote_id is not None or not sink.has_lookup:
            self._decide(op)
        elif sink.can_find(op):
            self.finding += 1
            self.workers.submit(
                functools.partial(sink.find, op), functools.partial(self._found, op)
            )
        elif op.lost:
            reason = "the answer was lost, and there is nothing to look it up by"
            lost = Outcome.rejected(RejectionKind.UNCERTAIN, reason, attempts=op.lost)
            self._finish([op], [lost])
        else:
            self._decide(op)

    def _found(self, op: Operation, task: Task) -> None:
        self.finding -= 1
        if task.error is not None:
            outcome: Outcome | None = self.matching.not_found(task.error)
        else:
            outcome = self.matching.found(op, task.result)
        if outcome is not None:
            self._finish([op], [outcome])
        else:
            self._decide(op)

    def _decide(self, op: Operation) -> None:
        outcome = self.matching.decide(op)
        if outcome is not None:
            self._finish([op], [outcome])
        elif self.run.dry_run:
            self.run.show(self, op)
            # Something for other streams to hang on, as there would be.
            self._finish([op], [Outcome(op.expect, op.remote_id or "new")])
        else:
            self.outbox.ready.append(op)

    # --- settle -------------------------------------------------------------------------------

    def _answered(self, ops: Sequence[Operation], task: Task) -> None:
        if task.error is not None:
            if ops[0].effect is not Effect.IDEMPOTENT:
                # The run stops, and this one was not carried out: else it would be `Uncertain`.
                self.outbox.leave_entries(ops)
            raise task.error
        well = True
        through, outcomes = [], []
        for op, outcome in zip(ops, task.result, strict=True):
            kind = outcome.kind
            if kind is OutcomeKind.LOST or kind is OutcomeKind.GONE:
                self.report.counts.retries += kind is OutcomeKind.LOST
                self.matching.anew(op, kind)
                self._locate(op)
            else:
                well = well and kind is not OutcomeKind.REJECTED
                through.append(op)
                outcomes.append(outcome)
        self._finish(through, outcomes)
        if well:
            self.allowance = min(self.most, self.allowance * GROWTH)

    def _finish(self, ops: Sequence[Operation], outcomes: Iterable[Outcome]) -> None:
        """Operations that had started are through: their lanes are free."""
        self.busy.difference_update(*[op.lanes for op in ops])
        self.out -= len(ops)
        for op, outcome in zip(ops, outcomes, strict=True):
            if op.alone:
                self.outbox.tried_alone(refused=outcome.kind is OutcomeKind.REJECTED)
            self._settle(op, outcome)
        self.outbox.leave_entries(ops)
        self._leave_windows(ops)

    def _settle(self, op: Operation, outcome: Outcome) -> None:
        if (earlier := self.settlement.settle(op, outcome)) is not None:
            self._fall_back(op, earlier)

    def _fall_back(self, op: Operation, earlier: Operation) -> None:
        """An earlier copy goes out after all, as it would have, had it come in an earlier batch."""
        self.settlement.counts(earlier).merged -= 1
        earlier.stored, earlier.contested = op.stored, True
        outcome = self.standing.of(earlier, op.row, None)
        if outcome is not None:
            self._settle(earlier, outcome)
        else:
            self.sink.restore_id(earlier)
            self.standing.set_lanes([earlier])
            self.waiting.appendleft(earlier)
