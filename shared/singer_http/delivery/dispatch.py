"""Sends the operations of one target stream: located, decided, sent, settled.

An operation holds its conflict keys while it is in flight; one that shares a key waits. So a key is
never in flight twice at once, and the last record wins.
"""

from __future__ import annotations

import functools
import time
from collections import deque
from collections.abc import Callable, Collection, Iterable, Sequence
from itertools import chain
from typing import TypeVar

from singer_http.delivery.attempt import attempt, item_guard
from singer_http.delivery.change_check import Decision, Verdict
from singer_http.delivery.item import Item
from singer_http.delivery.matching import Matching
from singer_http.delivery.outbox import COMMIT_AT, Outbox
from singer_http.delivery.overwrite import restricts, would_be, would_send
from singer_http.delivery.parts import Parts
from singer_http.delivery.workers import Task
from singer_http.errors import StopRun
from singer_http.operations import Effect, Outcome, OutcomeKind, Rejection, RejectionKind
from singer_http.sink.base import HTTPSink

T = TypeVar("T")
FIRST = 5
"""Rows of a stream in flight at first: a wrong mapping is not refused for a whole batch."""
RAMP_FACTOR = 4
"""Factor by which the limit grows after each request without a rejection."""
WORKER_HEAD_START = 0.0005
"""Seconds in which the main thread waits for the workers to send: two threads that compete for the
interpreter lock are slower than one."""


class Dispatch:
    """Carries out the operations of one target stream."""

    def __init__(self, sink: type[HTTPSink], scope: int, parts: Parts) -> None:
        """Send under a scope of the ledger."""
        self.stream = sink.stream
        self.scope = scope
        self._parts = parts
        self._workers = workers = parts.workers
        self._settlement = parts.settlement
        self._ownership = parts.ownership
        self._matching = Matching(parts.ownership, parts.config, sink)
        self.batch = min(sink.batch_limit, parts.config.get("batch_size_rows") or sink.batch_limit)
        self._outbox = Outbox(
            parts.store,
            workers,
            scope,
            batch=self.batch,
            by_parent=sink.group_by_parent,
            overwrite=parts.settlement.overwrite,
            answered=self._answered,
        )
        self._by_parent = sink.group_by_parent
        number = workers.number
        most = max(2 * number * self.batch, 2 * COMMIT_AT)
        self.max_in_flight = number if sink.at_most_once else most
        self.check_rows = max(number * self.batch, 500)
        self._in_flight_limit = min(FIRST, self.max_in_flight)
        self._in_flight = 0
        """Operations started and not settled."""
        self._looking_up = 0
        self.waiting: deque[Item] = deque()
        """Operations that were checked and have not started."""
        self._postponed: list[Item] = []
        """Lost creates that wait for their lookup."""
        self._locked_keys: set[str] = set()
        self.started = False  # something may have been sent
        if sink.may_create or sink.at_most_once:
            parts.store.require_durable()

    # --- added --------------------------------------------------------------------------------

    def add(self, items: Sequence[Item]) -> None:
        """Add operations that must be sent."""
        waiting = (key for item in self.waiting for key in item.conflict_keys)
        self._ownership.set_conflict_keys(items, chain(self._locked_keys, waiting))
        self.waiting.extend(items)

    def remove(self, item: Item) -> None:
        """Carry out a mirror's removal."""
        self.waiting.append(item)
        self.advance(wait=len(self.waiting) > self.check_rows)

    def wait_for_keys(self, keys: Collection[str]) -> None:
        """Wait until nothing is in flight for these keys: only then can they be compared."""
        while not self._locked_keys.isdisjoint(keys):
            self.advance(wait=True, flush=True)

    def flush(self) -> None:
        """Send and settle everything that was added."""
        while self.waiting or self._in_flight:
            self.advance(wait=True, flush=True)

    def settle(self, item: Item, outcome: Outcome) -> None:
        """Write down a final outcome; an earlier copy may have to be sent instead."""
        earlier = self._settlement.settle(item, outcome)
        self._outbox.leave_entry(item)
        if earlier is not None:
            self._fall_back(item, earlier)

    def apply(self, item: Item, decision: Decision) -> None:
        """Write down a decision that needs no request."""
        if decision.verdict is Verdict.WAIT:
            self._settlement.wait_beside(item)
            return
        if decision.outcome is not None:
            self.settle(item, decision.outcome)
        if decision.refresh and item.row is not None:
            self._settlement.refresh(item.row, item.source, item.mapping, item.version)

    def decide_change(self, item: Item, decide: Callable[[], Decision]) -> Decision:
        """A decision; a plugin's hooks may fail on a record, which rejects it."""
        decision = item_guard(decide)
        if isinstance(decision, Decision) and decision.verdict is Verdict.SEND:
            failed = item_guard(functools.partial(item.sink.restore_id, item))
            decision = failed if isinstance(failed, Rejection) else decision
        if isinstance(decision, Decision):
            return decision
        return Decision(Verdict.SETTLE, Outcome(OutcomeKind.REJECTED, rejection=decision))

    # --- start --------------------------------------------------------------------------------

    def advance(self, *, wait: bool, flush: bool = False) -> None:
        """Start what may start, send what is ready, process the answers that arrived.

        Args:
            wait: for at least one answer, if any is due.
            flush: send batches that are not full.
        """
        self._parts.check_signal()
        try:
            self._start()
            self._resume_postponed()
        except StopRun:
            self._send_admitted()
            raise
        if self._outbox.ready and self._time_to_send(flush=flush):
            self._outbox.send()
            if self._workers.collect(wait=True, timeout=WORKER_HEAD_START):
                return  # there may be room for more
        self._collect(wait=wait)

    def _collect(self, *, wait: bool) -> None:
        """Take in answers; do not wait beyond the moment at which a lost create is due."""
        if not (wait and self._postponed):
            self._workers.collect(wait=wait)
            return
        pause = max(0.0, min(item.due for item in self._postponed) - time.monotonic())
        if self._workers.outstanding:
            self._workers.collect(wait=True, timeout=pause or 0.001)
        else:
            time.sleep(min(pause, 0.1))  # a signal is checked in between

    def _time_to_send(self, *, flush: bool) -> bool:
        if self._by_parent:
            return self._looking_up == 0
        return self._outbox.due(flush=flush or not self._has_room)

    def _send_admitted(self) -> None:
        """The run stops before an operation: those that were accepted before it are still sent."""
        if self._outbox.ready:
            self._outbox.send()
        while self._workers.outstanding:
            self._workers.collect(wait=True)

    def _start(self) -> None:
        blocked, held = set[str](), list[Item]()
        while self.waiting and self._has_room and len(held) < self.check_rows:
            self.started = True
            item = self.waiting.popleft()
            keys = item.conflict_keys
            if self._locked_keys.isdisjoint(keys) and blocked.isdisjoint(keys):
                self._locked_keys.update(keys)
                self._in_flight += 1
                self._locate(item)
            else:
                item.contested = True
                blocked.update(keys)
                held.append(item)
        self.waiting.extendleft(reversed(held))

    @property
    def _has_room(self) -> bool:
        """Whether one more may start; lost creates that only wait do not count."""
        postponed = len(self._postponed)
        room = self._in_flight - postponed < self._in_flight_limit
        return room and postponed < self.max_in_flight

    def _resume_postponed(self) -> None:
        """Look up lost creates, once nothing else is in flight.

        One reading of a list then serves all that were lost before it.
        """
        if not self._postponed or self._workers.outstanding or self._outbox.ready:
            return
        now = time.monotonic()
        due = [item for item in self._postponed if item.due <= now]
        if due:
            self._postponed = [item for item in self._postponed if item.due > now]
            for item in due:
                self._look_up(item)

    def _locate(self, item: Item) -> None:
        """Have the record's id looked up if it is not known, then decide."""
        step = self._guarded(item, functools.partial(self._next_step, item))
        if isinstance(step, Outcome):
            self._finish([item], [step])
        else:
            step(item)

    def _guarded(self, item: Item, call: Callable[[], T]) -> T | Outcome:
        """What a call returns; what its plugin raises becomes the operation's outcome."""
        found = item_guard(call)
        return self._matching.failed(item, found) if isinstance(found, Rejection) else found

    def _next_step(self, item: Item) -> Callable[[Item], None] | Outcome:
        matching, created_at = self._matching, item.origin.created_at
        if item.contested and not item.removal and (outcome := matching.conflict(item)):
            return outcome
        look_up: Callable[[Item], None] = self._look_up
        if created_at is not None and item.lost is None:
            # A run that died was about to create it: it is looked up by what was sent.
            matching.unfinished(item, max(0.0, time.time() - created_at))
            look_up = self._postponed.append
            if item.remote_id is not None:
                item.lost = None
        if item.remote_id is not None or not item.sink.has_lookup:
            return self._decide
        if item.sink.can_find(item):
            return look_up
        return matching.lost_without_lookup(item) or self._decide

    def _look_up(self, item: Item) -> None:
        self._looking_up += 1
        if item.lost is not None:
            item.lost.asked_at = time.monotonic()
        self._workers.submit(
            functools.partial(self._matching.look_up, item), functools.partial(self._found, item)
        )

    def _found(self, item: Item, task: Task) -> None:
        self._looking_up -= 1
        if task.error is not None:
            outcome: Outcome | None = self._matching.not_found(item, task.error)
        else:
            outcome = self._matching.found(item, task.result)
            if outcome is None and item.lost is not None:
                if item.remote_id is None:
                    again = self._guarded(item, functools.partial(self._matching.ask_again, item))
                    if again is True:
                        self._postponed.append(item)
                        return
                    outcome = again or self._matching.not_there(item)
                elif self._adopted(item, item.remote_id):
                    return
        if outcome is not None:
            self._finish([item], [outcome])
        else:
            self._decide(item)

    def _adopted(self, item: Item, remote_id: str) -> bool:
        """An unfinished create arrived, but the record has changed since: it is updated."""
        sent = item.origin.sent
        if sent is None or sent.digest == item.digest:
            return False
        self._settlement.adopt(item, sent.digest, remote_id)
        item.lost = None
        self._decide(item)
        return True

    def _decide(self, item: Item) -> None:
        outcome = self._guarded(item, functools.partial(self._judge, item))
        if outcome is not None:
            self._finish([item], [outcome])
        elif self._parts.config["dry_run"] and not item.sink.sends_nothing:
            self._rehearse(item)
        else:
            self._outbox.ready.append(item)

    def _rehearse(self, item: Item) -> None:
        """Show what a dry run would send; nothing leaves."""
        if restricts(item):
            self._settlement.overwrite.load([item])
            self._workers.submit(
                functools.partial(attempt, item.sink, [item], would_send),
                functools.partial(self._rehearsed, item),
            )
        else:
            self._parts.show(item)
            self._finish([item], would_be(item))

    def _rehearsed(self, item: Item, task: Task) -> None:
        if task.error is None and task.result[0].kind is item.expect:
            self._parts.show(item)
        self._answered([item], task)

    def _judge(self, item: Item) -> Outcome | None:
        """Why an operation is not sent, now that the record's id is known; `None` to send it."""
        if outcome := self._matching.decide(item):
            return outcome
        if rejection := item.sink.precondition(item):
            return Outcome(OutcomeKind.REJECTED, rejection=rejection)
        if item.sink.at_most_once:
            self._parts.before_first()
        return self._ownership.protects(item, self._parts.mirror) if item.delete else None

    # --- settle -------------------------------------------------------------------------------

    def _answered(self, items: Sequence[Item], task: Task) -> None:
        if task.error is not None:
            self._interrupted_request(items, task.error)
            raise task.error
        well = True
        settled, outcomes = [], []
        for item, outcome in zip(items, task.result, strict=True):
            kind = outcome.kind
            again: Outcome | None = outcome
            if kind is OutcomeKind.LOST:
                self._settlement.report.counts.retries += 1
                lost = functools.partial(self._matching.lost, item, outcome)
                again = self._guarded(item, lost)
                if again is None:
                    self._postponed.append(item)
            elif kind is OutcomeKind.GONE:
                again = self._guarded(item, functools.partial(self._matching.gone, item))
                if again is None:
                    self._locate(item)
            elif kind is OutcomeKind.CREATED and outcome.remote_id and item.sink.may_create:
                again = self._owned(item, outcome)
            if again is not None:
                well = well and again.kind is not OutcomeKind.REJECTED
                settled.append(item)
                outcomes.append(again)
        self._finish(settled, outcomes)
        if well:
            self._in_flight_limit = min(self.max_in_flight, self._in_flight_limit * RAMP_FACTOR)

    def _interrupted_request(self, items: Sequence[Item], error: BaseException) -> None:
        """The run stops at a request. Unless nothing was done, its records stay pending."""
        if getattr(error, "nothing_was_done", False):
            for item in items:
                if not item.may_be_there:
                    self._outbox.leave_entry(item)
        elif items[0].effect is Effect.AT_MOST_ONCE:
            for item in items:
                outcome = Outcome.rejected(RejectionKind.UNCERTAIN, str(error))
                outcome.nothing_was_done = False
                self.settle(item, outcome)

    def _owned(self, item: Item, outcome: Outcome) -> Outcome:
        """The vendor may have merged a create into a record that is another key's."""
        remote_id = outcome.remote_id or ""
        rejection = self._ownership.owner_of_id(item, remote_id)
        if rejection is None:
            return outcome
        for key in self._parts.store.ledger.owners_of_ids(self.scope, [remote_id])[remote_id]:
            if row := self._parts.store.ledger.row(self.scope, key):
                self._settlement.changed_by_others(row)
        rejection.reason = f"the vendor merged it: {rejection.reason}"
        rejection.kind = RejectionKind.REFUSED
        return Outcome(OutcomeKind.REJECTED, remote_id, rejection=rejection)

    def _finish(self, items: Sequence[Item], outcomes: Iterable[Outcome]) -> None:
        """Operations that had started are settled: their conflict keys are free."""
        self._locked_keys.difference_update(*[item.conflict_keys for item in items])
        self._in_flight -= len(items)
        for item, outcome in zip(items, outcomes, strict=True):
            if item.alone:
                self._outbox.tried_alone(refused=outcome.kind is OutcomeKind.REJECTED)
            if outcome.rejection is not None and self._parts.mirror is not None:
                known = item.row is not None or item.removal or item.origin.retried
                new = not (known or item.sink.group_by_parent)
                claims = self._ownership.hashed(item)
                self._parts.mirror.saw_rejected(item, claims, outcome.rejection, new=new)
            self.settle(item, outcome)
        self._parts.limit.leave(items)
        self._parts.limit.check()

    def _fall_back(self, item: Item, earlier: Item) -> None:
        """Send an earlier copy after all, as if it had been in an earlier batch."""
        self._settlement.counts(earlier).merged -= 1
        earlier.stored, earlier.contested = item.stored, True
        row = self._parts.store.ledger.row(self.scope, item.stored)
        decision = self.decide_change(
            earlier, functools.partial(self._parts.check.decide, earlier, row, None)
        )
        if decision.verdict is Verdict.SEND:
            self._ownership.set_conflict_keys([earlier], ())
            self.waiting.appendleft(earlier)
        else:
            self.apply(earlier, decision)
