"""Which record of the vendor an operation is for, and whether it may be written."""

from __future__ import annotations

import time
from typing import Any

from singer_http.delivery.item import Item, LostCreate
from singer_http.delivery.ownership import Ownership
from singer_http.errors import Refused, StopRun, VendorDown, one_line
from singer_http.operations import (
    Effect,
    Operation,
    Outcome,
    OutcomeKind,
    Rejection,
    RejectionKind,
    invalid,
)
from singer_http.sink.base import UPSERT, HTTPSink

FIRST_PAUSE = 0.5
"""Seconds before a lost create is looked up; each further pause is twice as long."""
MOST_GONE = 3
"""Ids of one record that the vendor may say it does not know, before the record is rejected."""


class Matching:
    """Judges the operations of one stream; each outcome that it returns is final."""

    def __init__(self, ownership: Ownership, config: Any, sink: type[HTTPSink]) -> None:
        """Judge by the settings `mode`, `max_retries`, `lookup_wait`."""
        self._ownership = ownership
        # `mode` says what may be done to the vendor's records: others are taken in whatever it is.
        self._mode: str = UPSERT if sink.sends_nothing else config["mode"]
        self._max_retries: int = config["max_retries"]
        self._wait: float = config["lookup_wait"]

    def conflict(self, item: Item) -> Outcome | None:
        """Another key of this sync is the same record at the vendor."""
        return _rejected(self._ownership.conflict(item))

    def look_up(self, item: Item) -> str | None:
        """Ask the vendor for the record's id; for an unfinished create's by what was sent."""
        sent = item.origin.sent
        if sent is None or item.lost is None or item.lost.times > 1:
            return item.sink.find(item)
        probe = Operation(item.key)
        probe.body, probe.identities = sent.body, sent.identities
        return item.sink.find(probe)

    def found(self, item: Item, remote_id: str | None) -> Outcome | None:
        """Take the id that a lookup found; `None` if the vendor has no such record."""
        item.remote_id = remote_id
        if remote_id is None:
            return self._made_without_id(item)
        if item.gone and remote_id in item.gone:
            reason = f"the vendor finds it as {remote_id}, and then does not know that id"
            return Outcome.rejected(RejectionKind.REFUSED, reason)
        if not item.sink.may_create:
            return None
        return _rejected(self._ownership.owner_of_id(item, remote_id))

    def _made_without_id(self, item: Item) -> Outcome | None:
        """A record that was created before, without an id in the answer, is not found.

        With other identities than at its creation, it would be created twice.
        """
        row = item.row
        if row is None or row.remote_id is not None or item.delete or item.lost or item.gone:
            return None
        if not item.sink.may_create or self._ownership.keeps_an_identity(item):
            return None
        reason = "it was made before, and the vendor did not return its id: give the record its id"
        return Outcome(OutcomeKind.REJECTED, rejection=invalid(reason))

    def not_found(self, item: Item, error: BaseException) -> Outcome:
        """The vendor could not be asked.

        Raises:
            BaseException: `error`, if it is not about this record.
        """
        if isinstance(error, StopRun) or not isinstance(error, Exception):
            raise error
        if isinstance(error, Rejection):
            return self.failed(item, error)
        if item.lost is not None:
            return self.failed(item, invalid(one_line(str(error))))
        if isinstance(error, Refused):
            return Outcome.rejected(RejectionKind.REFUSED, error.reason, status=error.status)
        reason = f"cannot be looked up: {type(error).__name__}: {one_line(str(error))}"
        return Outcome(OutcomeKind.REJECTED, rejection=invalid(reason))

    def failed(self, item: Item, rejection: Rejection) -> Outcome:
        """The plugin failed on the record before its request left (again)."""
        if item.lost is None:
            return Outcome(OutcomeKind.REJECTED, rejection=rejection)
        reason = f"the answer was lost, and it cannot be looked up: {rejection.reason}"
        return self._uncertain(item, reason)

    # --- a lost create ------------------------------------------------------------------------

    def lost(self, item: Item, outcome: Outcome) -> Outcome | None:
        """A create may have arrived: the vendor gets time before it is asked, at `item.due`.

        Returns:
            An outcome if nothing can look it up.

        Raises:
            VendorDown: too many creates of the record got no answer.
        """
        if item.lost is None:
            item.lost = LostCreate()
        else:
            item.lost.times += 1
        lost = item.lost
        lost.asked, lost.since = 0, time.monotonic()
        lost.still_running = lost.still_running or outcome.still_running
        lost.answered, lost.reason = outcome.answered, outcome.reason
        if lost.times > self._max_retries + 1:
            raise VendorDown(
                f"{item.sink.stream}: {lost.times} creates of one record got no answer: run again "
                "when the vendor is back, nothing is created twice (`max_retries`)."
            )
        item.remote_id = None
        item.due = lost.since + min(FIRST_PAUSE, self._wait)
        item.sink.forget_lookup(item)
        return None if item.sink.can_find(item) else self.lost_without_lookup(item)

    def unfinished(self, item: Item, age: float) -> None:
        """A run that died was about to create it, `age` seconds ago."""
        item.lost = LostCreate(since=time.monotonic() - age)
        pause = FIRST_PAUSE
        while pause < self._wait and item.lost.since + pause < time.monotonic():
            pause = 2 * pause + FIRST_PAUSE
            item.lost.asked += 1
        item.due = item.lost.since + min(pause, self._wait)
        item.sink.forget_lookup(item)

    def ask_again(self, item: Item) -> bool:
        """Whether a lost create that was not found is looked up again, at `item.due`."""
        lost = item.lost
        if lost is None or item.remote_id is not None:
            return False
        last = lost.since + self._wait
        if lost.asked_at >= last:
            return False
        lost.asked += 1
        pause = FIRST_PAUSE * (2.0 ** (min(lost.asked, 30) + 1) - 1)
        item.due = max(time.monotonic(), min(last, lost.since + pause))
        item.sink.forget_lookup(item)
        return True

    def not_there(self, item: Item) -> Outcome | None:
        """A lost create was not found; `None` if it may be sent again."""
        lost = item.lost
        if lost is not None and lost.still_running:
            return self._uncertain(item, f"{lost.reason}; not found since, but it may still arrive")
        if lost is not None and lost.answered:
            outcome = Outcome.rejected(RejectionKind.REFUSED, lost.reason, attempts=lost.times)
            outcome.nothing_was_done = False
            return outcome
        return None

    def lost_without_lookup(self, item: Item) -> Outcome | None:
        """A lost create that nothing can look up; `None` if it is none."""
        if item.lost is None:
            return None
        reason = item.lost.reason or "the run ended before the answer came"
        return self._uncertain(item, f"{reason}; there is nothing to look it up by")

    @staticmethod
    def _uncertain(item: Item, reason: str) -> Outcome:
        attempts = item.lost.times if item.lost else 1
        outcome = Outcome.rejected(RejectionKind.UNCERTAIN, reason, attempts=attempts)
        outcome.nothing_was_done = False
        return outcome

    def gone(self, item: Item) -> Outcome | None:
        """The vendor does not know the id: look it up again; an outcome after several tries."""
        item.gone = item.gone or set()
        item.gone.add(item.remote_id or f"create {len(item.gone)}")
        if len(item.gone) > MOST_GONE:
            reason = "the vendor says that it exists, and then does not know the id that it names"
            return Outcome.rejected(RejectionKind.REFUSED, reason)
        item.remote_id = None
        item.sink.forget_lookup(item)
        return None

    # --- the decision -------------------------------------------------------------------------

    def decide(self, item: Item) -> Outcome | None:
        """The one place where the mode is read, and the effect is decided."""
        sink, mode = item.sink, self._mode
        if item.lost is not None and item.remote_id is not None:
            return Outcome(OutcomeKind.CREATED, item.remote_id)  # it has arrived
        exists = item.remote_id is not None if sink.may_create else item.row is not None
        if (mode == "create" and exists) or (mode == "update" and not exists and not item.delete):
            return Outcome(OutcomeKind.SKIPPED)
        if item.delete and sink.has_lookup and item.remote_id is None:
            return self._nothing_to_delete(item)
        if item.delete:
            item.expect = OutcomeKind.DELETED
        elif sink.at_most_once:
            item.expect, item.effect = OutcomeKind.CREATED, Effect.AT_MOST_ONCE
        elif not sink.may_create:
            item.expect = OutcomeKind.UPSERTED
        elif item.remote_id:
            item.expect, item.effect = OutcomeKind.UPDATED, Effect.IDEMPOTENT
        else:
            if not item.sink.can_find(item) and (found := self._made_without_id(item)):
                return found
            item.expect, item.effect = OutcomeKind.CREATED, Effect.CREATE
        return None

    @staticmethod
    def _nothing_to_delete(item: Item) -> Outcome:
        row = item.row
        if row is not None and row.remote_id is None and not item.sink.can_find(item):
            return Outcome(
                OutcomeKind.REJECTED,
                rejection=invalid(
                    "the vendor did not return its id, and the delete has no value to look it up "
                    "by: give the delete the id, the email or the phone"
                ),
            )
        return Outcome(OutcomeKind.DELETED)


def _rejected(rejection: Rejection | None) -> Outcome | None:
    return None if rejection is None else Outcome(OutcomeKind.REJECTED, rejection=rejection)
