"""The life of a record: taken, checked against the ledger, marked as pending, sent, settled.

    take ─> buffer ─check─> waiting ─start─> (find) ─decide─> ready ─dispatch─> settle
            last copy       lanes free     asks the        ledger: pending   ledger:
            of a key wins                  vendor          then a worker     acknowledged

All of it runs on the main thread except `find` and `send` of the sink, which workers carry out.
An operation holds its lanes (its key, its vendor identities) from start to settlement: no two that
share one are in flight at once, and they go in the order in which they came.
"""

from __future__ import annotations

import functools
import time
from collections import deque
from collections.abc import Sequence
from typing import TYPE_CHECKING

from singer_http.errors import Refused, StopRun, VendorDown
from singer_http.operations import (
    DELETED,
    JSON,
    Effect,
    Entry,
    Kind,
    Operation,
    Outcome,
    Reason,
    Rejection,
    Row,
    Window,
    invalid,
)
from singer_http.rejects import text_key
from singer_http.sending import attempt, batches, gathered
from singer_http.settlement import Settlement
from singer_http.standing import Standing

if TYPE_CHECKING:
    from singer_http.intake import Intake
    from singer_http.ledger_schema import Scope
    from singer_http.run import Run
    from singer_http.workers import Task

FIRST = 5
"""Rows of a stream that are out at first: a wrong mapping costs a handful, not a batch."""
GROWTH = 4
"""How much more may be out after each request that went well."""
BUFFER_BYTES = 16 * 1024 * 1024
"""Records held back for a full window, at most."""
COMMIT_AT = 64
"""Operations that are marked as pending in one commit, where each is a request of its own."""


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
        self.standing = Standing(run, sink, self.settlement, scope)
        self.report = self.settlement.report
        self.mode: str = run.config["mode"]
        self.personal = bool(set(sink.keys) & set(sink.personal))
        self.batch = min(sink.batch_limit, run.config.get("batch_size_rows") or sink.batch_limit)
        number = self.workers.number
        self.most = number if sink.once else max(2 * number * self.batch, 2 * COMMIT_AT)
        """Rows that may be out at once."""
        self.window_rows = max(number * self.batch, 500)
        self.allowance = min(FIRST, self.most)
        self.out = 0
        """Rows started and not settled."""
        self.finding = 0
        self.still_refused = self.healed = 0
        """Of the records that were refused before: while most still are, each goes alone."""
        self.buffer: dict[str, Operation] = {}
        self.buffer_bytes = 0
        self.invalid = 0
        """Records rejected before sending, since the last check."""
        self.waiting: deque[Operation] = deque()
        self.ready: list[Operation] = []
        self.busy: set[str] = set()
        self.gathering: set[str | None] = set()
        """Records for which a call is under way, where what hangs on one goes in one call."""
        self.began = time.monotonic()
        if sink.may_create or sink.once:
            self.ledger.require_durable()

    # --- take ---------------------------------------------------------------------------------

    def take(
        self, record: JSON, line: bytes, *, retried: bool = False, resend: bool = False
    ) -> None:
        """Take in a record; it is rejected, or waits for its window to fill.

        Args:
            record: after `stream_maps`.
            line: the RECORD message as it came.
            retried: it is an earlier run's.
            resend: a person said that it did not arrive.
        """
        op, rejection = self.intake.operation(record, line, self.run.next_seq())
        if retried:
            op.retried, op.resend = True, resend
        self.settlement.counts(op).received += 1
        if rejection is not None:
            self.reject(op, rejection)
        else:
            old = self.buffer.pop(op.key, None)
            if old is not None:
                self._merge(old, op)
            self.buffer[op.key] = op
            self.buffer_bytes += len(line)
        if len(self.buffer) + self.invalid >= self.window_rows or self.buffer_bytes >= BUFFER_BYTES:
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
        op.removal, op.own_handle = True, True
        op.stored, op.row = row.key, row
        op.handle = row.vendor_id
        self.sink.undo(op)
        op.lanes = (op.key,)
        op.expect = Kind.DELETED
        return op

    def reject(self, op: Operation, rejection: Rejection) -> None:
        """Reject a record before sending; it counts with the window that it came in."""
        if self.run.mirrors:
            self.run.saw(self, op)
        known = self.rejects.known(self.sink.stream, [op.key])
        self._settle(op, Outcome(Kind.REJECTED, rejection=rejection))
        if not (op.retried or known):
            self.invalid += 1

    def _merge(self, old: Operation, new: Operation) -> None:
        new.previous = old
        self.settlement.counts(old).merged += 1

    # --- check --------------------------------------------------------------------------------

    def check(self) -> None:
        """Look the buffered records up in the ledger; what has to be sent goes on."""
        window = Window(invalid=self.invalid)
        self.invalid = 0
        if self.buffer:
            self.workers.collect(wait=False)
            taken, self.buffer, self.buffer_bytes = self.buffer, {}, 0
            # What is on its way for one of these keys must be there before it can be compared.
            while not self.busy.isdisjoint(taken):
                self.advance(wait=True, flush=True)
            self._compare(taken, window)
        self._close(window)
        self.advance(wait=False)
        while len(self.waiting) > self.window_rows:
            self.advance(wait=True)

    def _compare(self, taken: dict[str, Operation], window: Window) -> None:
        ledger = self.ledger
        for key, op in taken.items():
            op.stored = ledger.stored_key(key, personal=self.personal)
        rows = ledger.rows(self.scope.id, [op.stored for op in taken.values()])
        rejected = self.rejects.known(self.sink.stream, list(taken))
        waiting = {op.key: op for op in self.waiting}
        going = []
        for key, op in taken.items():
            if self.run.mirrors:
                self.run.saw(self, op)
            op.window = window
            window.open += 1
            if key in waiting:
                # An earlier copy was checked and has not started: this one takes its place.
                self.waiting.remove(waiting[key])
                self._merge(waiting[key], op)
                self._leave_window(waiting[key])
            op.alone = rejected.get(key) == Reason.REFUSED
            outcome = self.standing.of(op, rows.get(op.stored), rejected.get(key))
            if outcome is None:
                self.sink.recall(op)
                going.append(op)
            else:
                self._settle(op, outcome)
                self._leave_window(op)
        self.standing.set_lanes(going)
        self.waiting.extend(going)

    def _close(self, window: Window) -> None:
        """The invalid records of a window count once its others are settled."""
        if not window.open and window.invalid:
            number, window.invalid = window.invalid, 0
            self.run.limits.rejected(number)

    def _leave_window(self, op: Operation) -> None:
        if op.window is not None:
            window, op.window = op.window, None
            window.open -= 1
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
        if self.ready and self._time_to_dispatch(flush=flush):
            self._dispatch()
        self.workers.collect(wait=wait and self.workers.outstanding > 0)

    def _send_admitted(self) -> None:
        """The run stops before an operation: those that were let out before it still go."""
        if self.ready:
            self._dispatch()
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
        if op.contested and op.identities and (rejection := self._conflict(op)):
            self._finish(op, Outcome(Kind.REJECTED, rejection=rejection))
        elif op.handle is not None or not sink.locates:
            self._decide(op)
        elif sink.can_find(op):
            self.finding += 1
            self.workers.submit(
                functools.partial(sink.find, op), functools.partial(self._found, op)
            )
        elif op.lost:
            reason = "the answer was lost, and there is nothing to look it up by"
            self._finish(op, Outcome.rejected(Reason.UNCERTAIN, reason, attempts=op.lost))
        else:
            self._decide(op)

    def _conflict(self, op: Operation) -> Rejection | None:
        """Another key of this sync that has the same vendor identity."""
        owner = self.ledger.owner_of_identity(self.scope.id, self.ledger.hashed(op.identities[0]))
        return self._belongs(op, owner, "has the same identity at the vendor")

    def _belongs(self, op: Operation, owner: Row | None, why: str) -> Rejection | None:
        if owner is None or owner.key == op.stored or owner.digest == DELETED:
            return None
        return invalid(f"the record with the key {self.run.name_of(owner.key)} {why}")

    def _found(self, op: Operation, task: Task) -> None:
        self.finding -= 1
        error = task.error
        if isinstance(error, Rejection):
            self._finish(op, Outcome(Kind.REJECTED, rejection=error))
            return
        if isinstance(error, Refused):
            self._finish(op, Outcome.rejected(Reason.REFUSED, error.reason, status=error.status))
            return
        if error is not None:
            raise error
        op.handle = task.result
        if op.handle is not None and op.handle == op.gone:
            reason = f"the vendor finds it as {op.handle}, and then does not know that id"
            self._finish(op, Outcome.rejected(Reason.REFUSED, reason))
            return
        if op.handle is not None and self.sink.may_create:
            owner = self.ledger.owner_of_handle(self.scope.id, op.handle)
            if rejection := self._belongs(op, owner, f"is already {op.handle} at the vendor"):
                self._finish(op, Outcome(Kind.REJECTED, rejection=rejection))
                return
        self._decide(op)

    def _decide(self, op: Operation) -> None:
        """The one place where the mode is looked at, and the effect is settled."""
        sink = self.sink
        exists = op.handle is not None if sink.may_create else op.row is not None
        if op.lost and op.handle is not None:
            self._finish(op, Outcome(Kind.CREATED, op.handle))  # it arrived after all
        elif (self.mode == "create" and exists) or (
            self.mode == "update" and not exists and not op.delete
        ):
            self._finish(op, Outcome(Kind.SKIPPED))
        elif op.delete and sink.locates and op.handle is None:
            self._finish(op, Outcome(Kind.DELETED))
        elif rejection := self.run.admit(self, op):
            self._finish(op, Outcome(Kind.REJECTED, rejection=rejection))
        else:
            op.expect, op.effect = self._expected(op)
            if self.run.dry_run:
                self.run.show(self, op)
                # Something for other streams to hang on, as there would be.
                self._finish(op, Outcome(op.expect, op.handle or "new"))
            else:
                self.ready.append(op)

    def _expected(self, op: Operation) -> tuple[Kind, Effect]:
        if op.delete:
            return Kind.DELETED, Effect.IDEMPOTENT
        if self.sink.once:
            return Kind.CREATED, Effect.ONCE
        if not self.sink.may_create:
            return Kind.UPSERTED, Effect.IDEMPOTENT
        return (Kind.UPDATED, Effect.IDEMPOTENT) if op.handle else (Kind.CREATED, Effect.CREATE)

    # --- send ---------------------------------------------------------------------------------

    def _time_to_dispatch(self, *, flush: bool) -> bool:
        if self.sink.gathers:
            return self.finding == 0
        if self.batch > 1:
            return flush or len(self.ready) >= self.batch or self.out >= self.allowance
        return self.workers.outstanding <= self.workers.number or len(self.ready) >= COMMIT_AT

    def _dispatch(self) -> None:
        """Mark what is ready as pending, in one commit, then hand it to the workers."""
        ready, self.ready = self.ready, []
        if self.sink.gathers:
            chunks, self.ready = gathered(ready, self.gathering)
            self.gathering.update(chunk[0].handle for chunk in chunks)
        else:
            isolate = self.still_refused >= self.healed
            chunks = list(batches(ready, self.batch, isolate=isolate))
        if not chunks:
            return
        ids = self.ledger.mark_pending(
            self.scope.id,
            ((chunk[0].effect, b"\n".join([op.line for op in chunk])) for chunk in chunks),
        )
        for chunk, id_ in zip(chunks, ids, strict=True):
            entry = Entry(id_, len(chunk))
            for op in chunk:
                self._leave_entry(op)
                op.entry = entry
            self.workers.submit(
                functools.partial(attempt, self.sink, chunk),
                functools.partial(self._answered, chunk),
                entry=entry,
            )

    # --- settle -------------------------------------------------------------------------------

    def _answered(self, ops: Sequence[Operation], task: Task) -> None:
        if task.error is not None:
            if ops[0].effect is not Effect.IDEMPOTENT:
                # The run stops, and this one was not carried out: else it would be `Uncertain`.
                for op in ops:
                    self._leave_entry(op)
            raise task.error
        well = True
        if self.sink.gathers:
            self.gathering.discard(ops[0].handle)
        for op, outcome in zip(ops, task.result, strict=True):
            if outcome.kind is Kind.LOST or outcome.kind is Kind.GONE:
                self._match_anew(op, outcome.kind)
            else:
                well = well and outcome.kind is not Kind.REJECTED
                self._finish(op, outcome)
        if well:
            self.allowance = min(self.most, self.allowance * GROWTH)

    def _match_anew(self, op: Operation, kind: Kind) -> None:
        """Ask the vendor for it: the id is gone or another, or a create may have arrived."""
        op.gone, op.handle = op.handle, None
        if kind is Kind.LOST:
            op.lost += 1
            self.report.counts.retries += 1
        if op.lost > self.run.config["max_retries"]:
            raise VendorDown(
                f"{self.sink.stream}: {op.lost} creates of one record got no answer: run again "
                "when the vendor is back, nothing is sent twice (`max_retries`)."
            )
        self.sink.refresh(op)
        self._locate(op)

    def _finish(self, op: Operation, outcome: Outcome) -> None:
        """An operation that had started is through: its lanes are free."""
        self.busy.difference_update(op.lanes)
        self.out -= 1
        if op.alone:
            self.still_refused += outcome.kind is Kind.REJECTED
            self.healed += outcome.kind is not Kind.REJECTED
        self._settle(op, outcome)
        self._leave_entry(op)
        self._leave_window(op)

    def _leave_entry(self, op: Operation) -> None:
        if op.entry is not None:
            entry, op.entry = op.entry, None
            entry.open -= 1
            if not entry.open:
                self.ledger.settle(entry.id)

    def _settle(self, op: Operation, outcome: Outcome) -> None:
        earlier = self.settlement.settle(op, outcome)
        if earlier is not None:
            self._fall_back(op, earlier)

    def _fall_back(self, op: Operation, earlier: Operation) -> None:
        """An earlier copy goes out after all, as it would have, had it come in an earlier batch."""
        self.settlement.counts(earlier).merged -= 1
        earlier.stored, earlier.contested = op.stored, True
        outcome = self.standing.of(earlier, op.row, None)
        if outcome is not None:
            self._settle(earlier, outcome)
        else:
            self.sink.recall(earlier)
            self.standing.set_lanes([earlier])
            self.waiting.appendleft(earlier)
