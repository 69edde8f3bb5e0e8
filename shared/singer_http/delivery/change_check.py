"""What ledger and rejects say of a record before anything is sent. Decides; writes nothing.

Pending means unknown: what a run that died left is recovered before a stream's first record is
checked. Uncertain means unknown too: nothing is unchanged against it, and nothing newer is sent.
"""

from __future__ import annotations

import enum
from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from singer_http.delivery.intake import Intake
from singer_http.delivery.item import Item, Origin
from singer_http.delivery.overwrite import digest_beside_kept, restricts
from singer_http.operations import (
    DELETED,
    JSON,
    UNKNOWN,
    Outcome,
    OutcomeKind,
    Rejection,
    RejectionKind,
    Row,
    invalid,
)
from singer_http.store.ledger import Ledger
from singer_http.store.rejects import Rejects
from singer_http.store.rows import RejectState

OTHER_CONTENT = (
    "a record with this key and other content was sent before, and it is sent at most once: give "
    "it a key of its own"
)


@dataclass(slots=True)
class BufferedRecord:
    """A record of the input, until its batch is checked."""

    intake: Intake
    key: str
    """Of its columns; empty if it has none."""
    full_key: str
    """With what the plugin adds; empty if that fails."""
    source: bytes
    """Digest of the record."""
    record: JSON
    line: bytes
    origin: Origin
    stored: str = ""
    """The key as it is stored, once it was compared."""
    version: str | None = None
    """Of the source's row."""


class Known(NamedTuple):
    """What ledger and rejects hold for some keys."""

    stored: dict[str, str]
    """Key -> its form in the database."""
    rows: dict[str, Row]
    """Of the ledger, by stored key."""
    rejects: dict[str, RejectState]
    """Outstanding, by stored key."""


class Verdict(enum.Enum):
    """What has to happen with a record."""

    SEND = "is sent"
    SETTLE = "needs no request"
    WAIT = "skipped, and kept beside the uncertain record of its key"


class Decision(NamedTuple):
    """What has to happen with a record."""

    verdict: Verdict
    outcome: Outcome | None = None
    """Of `SETTLE` and `WAIT`."""
    refresh: bool = False
    """The ledger's digest, mapping or version of the record is another: it is written again."""


SEND = Decision(Verdict.SEND)


def settle(outcome: Outcome) -> Decision:
    """The record needs no request."""
    return Decision(Verdict.SETTLE, outcome)


def reject(rejection: Rejection) -> Decision:
    """The record is rejected without a request."""
    return settle(Outcome(OutcomeKind.REJECTED, rejection=rejection))


class ChangeCheck:
    """Compares the records of one stream with ledger and rejects."""

    def __init__(self, ledger: Ledger, rejects: Rejects, scope: int, *, full_resync: bool) -> None:
        """Look under a scope of the ledger."""
        self._ledger = ledger
        self._rejects = rejects
        self._scope = scope
        self._full_resync = full_resync

    def stored_key(self, intake: Intake, key: str) -> str:
        """The form of a key in the database."""
        return self._ledger.stored_key(key, personal=intake.personal_key)

    def known(self, stored: dict[str, str]) -> Known:
        """What ledger and rejects hold for these keys (key -> stored key)."""
        keys = list(stored.values())
        return Known(
            stored, self._ledger.rows(self._scope, keys), self._rejects.states(self._scope, keys)
        )

    def skip_unchanged(
        self, buffered: Sequence[BufferedRecord], waiting: Collection[str]
    ) -> tuple[list[BufferedRecord], list[tuple[BufferedRecord, Row]]]:
        """Separate the records that have not changed since their delivery from the rest.

        Args:
            buffered: nothing of it is in flight.
            waiting: keys of which another copy has been checked.

        Returns:
            The records that need a full check; the unchanged ones, each with its ledger row.
        """
        if self._full_resync or not any(one.source for one in buffered):
            return list(buffered), []
        stored = dict[str, str]()
        for one in buffered:
            if one.source:
                stored[one.full_key] = one.stored = self.stored_key(one.intake, one.full_key)
        known = self.known(stored)
        if not known.rows:
            return list(buffered), []
        copies = Counter(one.full_key for one in buffered)
        rest: list[BufferedRecord] = []
        unchanged: list[tuple[BufferedRecord, Row]] = []
        for one in buffered:
            place = stored.get(one.full_key) if one.source and one.full_key else None
            row = known.rows.get(place) if place else None
            if (
                row is None
                or row.source != one.source
                or row.key in known.rejects
                or one.origin.retried  # its reject must be dropped
                or copies[one.full_key] > 1
                or one.full_key in waiting
                or self._rejects.corrects(self._scope, one.line)
            ):
                rest.append(one)
            else:
                unchanged.append((one, row))
        return rest, unchanged

    def decide(self, item: Item, row: Row | None, state: RejectState | None) -> Decision:
        """Whether an operation must be sent.

        Args:
            item: gets what the ledger knows: its row, its id at the vendor.
            row: the ledger's, of the operation's key.
            state: the key's outstanding reject.
        """
        sink = item.sink
        item.row = row
        if sink.skip(item):
            return settle(Outcome(OutcomeKind.SKIPPED))
        uncertain = state is not None and state.kind == RejectionKind.UNCERTAIN
        if state is not None and uncertain and not item.origin.resend:
            return self._beside_uncertain(item, state)
        if item.origin.is_outdated(item.stored, row):
            return settle(Outcome(OutcomeKind.SKIPPED))
        if sink.at_most_once:
            return self._at_most_once(item, row)
        if row is None:
            if state is not None and state.remote_id and not item.id_from_record:
                item.remote_id, item.contested = state.remote_id, True
            return SEND
        current = row.digest == item.digest or self._is_beside_kept(item, row)
        same = current and row.digest != UNKNOWN and sink.is_current(item)
        if same and (item.delete or not self._full_resync):
            # What was outstanding is not any more: readers of the table's changes must see that.
            refresh = state is not None or item.is_stale(row)
            return Decision(Verdict.SETTLE, Outcome(OutcomeKind.UNCHANGED), refresh)
        if row.digest == DELETED:
            item.row = None
        elif not item.id_from_record:
            item.remote_id = row.remote_id
        return SEND

    @staticmethod
    def _is_beside_kept(item: Item, row: Row) -> bool:
        """Whether it was sent, but for what `overwrite` kept, and still would be."""
        return restricts(item, row.remote_id) and row.digest == digest_beside_kept(item)

    def _at_most_once(self, item: Item, row: Row | None) -> Decision:
        if row is None:
            return SEND
        if row.digest in (item.digest, UNKNOWN):
            refresh = item.source != row.source
            return Decision(Verdict.SETTLE, Outcome(OutcomeKind.UNCHANGED), refresh)
        item.other_content = True
        return reject(invalid(OTHER_CONTENT))

    def _beside_uncertain(self, item: Item, state: RejectState) -> Decision:
        at_most_once = item.sink.at_most_once
        if item.digest == state.digest or (at_most_once and state.digest == UNKNOWN):
            return settle(Outcome(OutcomeKind.SKIPPED))
        if at_most_once:
            item.other_content = True
            return reject(invalid(OTHER_CONTENT))
        return Decision(Verdict.WAIT, Outcome(OutcomeKind.SKIPPED))


def merge_copies(
    items: Iterable[Item],
) -> tuple[list[Item], list[Item], list[tuple[Item, Rejection]]]:
    """Of several copies of a key the last one is sent; of what is sent at most once, the first.

    Returns:
        What remains, in order; the copies that another one replaced; those that are rejected.
    """
    going: dict[str, Item] = {}
    merged: list[Item] = []
    rejected: list[tuple[Item, Rejection]] = []
    for item in items:
        earlier = going.get(item.key)
        if earlier is None:
            going[item.key] = item
        elif item.sink.at_most_once:
            if item.digest == earlier.digest:
                merged.append(item)
            else:
                item.other_content = True
                rejected.append((item, invalid(OTHER_CONTENT)))
        else:
            del going[item.key]
            item.previous = earlier
            merged.append(earlier)
            going[item.key] = item
    return list(going.values()), merged, rejected
