"""The values that pass through a target: an operation goes in, an outcome comes out.

They are plain values: no client, no ledger, no vendor. A record's fate is data (an `Outcome`);
a broken run is an exception (see `errors.py`).
"""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import Any

JSON = dict[str, Any]
"""A JSON object."""


class Effect(enum.StrEnum):
    """What a request does at the vendor, and so when it may be sent again."""

    IDEMPOTENT = "idempotent"
    """Sent twice, it does what it does once: sent again after a lost answer or a 5xx."""

    CREATE = "create"
    """Sent twice, it makes two: after a lost answer the vendor is asked first."""

    AT_MOST_ONCE = "at_most_once"
    """Cannot be taken back or looked up (a message, a call): never sent again."""


class OutcomeKind(enum.StrEnum):
    """What became of a record. The value is its column in the report."""

    CREATED = "created"
    UPDATED = "updated"
    UPSERTED = "upserted"
    """Created or updated: the vendor does not tell which."""
    DELETED = "deleted"
    UNCHANGED = "unchanged"
    SKIPPED = "skipped"
    """Forbidden by a setting (`mode`, `suppression`) or by an outstanding uncertain one."""
    REJECTED = "rejected"
    GONE = "gone"
    """The vendor does not know the id, or knows the record by another. Not final: matched anew."""
    LOST = "lost"
    """A create may have arrived. Not final: the vendor is asked before it is sent again."""


class RejectionKind(enum.StrEnum):
    """The kinds of rejection, as they stand in the rejects file."""

    INVALID = "invalid"
    """Found before sending."""
    REFUSED = "refused"
    """The vendor said no."""
    UNCERTAIN = "uncertain"
    """May have arrived; nobody can tell."""
    HELD = "held"
    """Kept back for a later run; not counted by `max_rejects`."""


@dataclass(slots=True)
class Rejection(Exception):
    """Why a record was not delivered; goes into the rejects file as it stands."""

    kind: RejectionKind
    reason: str
    status: int | None = None
    attempts: int = 0


def invalid(reason: str) -> Rejection:
    """A rejection of a record that must not be sent, for `raise`."""
    return Rejection(RejectionKind.INVALID, reason)


SAME = "="
"""A ledger row's remote_id that is its key."""


@dataclass(slots=True)
class Row:
    """What the ledger knows of one key: one delivery that was acknowledged, or is uncertain."""

    key: str
    digest: bytes
    """16 bytes: of what was sent, or `DELETED`."""
    source: bytes
    """16 bytes: of the record that it was made from (see `HTTPSink.deterministic`); else empty."""
    remote_id: str | None
    """What the vendor calls it, enough to update or delete it (an id)."""
    identity: str | None
    """Hash of the vendor identity (an email, a number)."""
    uncertain: bool
    at: int
    """Epoch seconds of the acknowledgement."""

    @property
    def vendor_id(self) -> str | None:
        """What the vendor calls it."""
        return self.key if self.remote_id == SAME else self.remote_id


DELETED = b"deleted"
"""Digest of a row whose last operation was a delete: a second delete has nothing to do."""


class Operation:
    """One record on its way: what is to be done at the vendor for one key.

    What is not set has the default below: a record costs the few assignments that it needs.
    """

    payload: bytes = b""
    """`body` as JSON with sorted keys."""
    digest: bytes = b""
    source: bytes = b""
    """Digest of the record that it was made from, if that decides all of it."""
    remote_id: str | None = None
    """The vendor's id, once known: from the record, the ledger or a match."""
    id_from_record: bool = False
    """The id is the record's own: it is never matched anew."""
    identities: tuple[str, ...] = ()
    """Vendor identities as the vendor compares them; the first is the unique one."""
    group: Any = None
    """Operations of one request share this (a list, a set of tags)."""
    effect: Effect = Effect.IDEMPOTENT
    row: Row | None = None
    """What the ledger knew of the key when the operation was checked."""
    previous: Operation | None = None
    """An earlier copy of the key that this one replaced; goes out if this one is rejected."""
    lanes: tuple[str, ...] = ()
    """Held while in flight: no two operations that share one are in flight at once."""
    alone: bool = False
    """Refused before: goes in a request of its own, so that it costs its neighbours nothing."""
    retried: bool = False
    """From an earlier run (rejected or left pending), sent again."""
    removal: bool = False
    """A mirror's removal, not a record of the source."""
    resend: bool = False
    """A person said that the uncertain one did not arrive."""
    contested: bool = False
    """Another key had the same identity, or was on its way with it: looked at again at start."""
    gone: str | None = None
    """The id that the vendor said it does not know."""
    lost: int = 0
    """How often a create's answer was lost in this run."""
    entry: Entry | None = None
    """The pending entry in the ledger that covers it."""
    window: Window | None = None
    stored: str = ""
    """The form in which the key stands in the ledger."""
    expect: OutcomeKind = OutcomeKind.UPSERTED
    """What it will have been when the vendor says yes."""

    def __init__(self, *, key: str = "", delete: bool, line: bytes, seq: int) -> None:
        """Begin with what is known before the record is looked at.

        Args:
            key: canonical text of the key columns' values.
            delete: the source no longer has it.
            line: the RECORD message as it came, before `stream_maps`.
            seq: order of arrival in this run, from 1.
        """
        self.key = key
        self.delete = delete
        self.line = line
        self.seq = seq
        self.body: JSON = {}
        """The vendor's fields; empty for a delete that needs none."""


@dataclass(slots=True, eq=False)
class Entry:
    """A pending entry of the ledger, and how many of its operations are not settled."""

    id: int
    open: int


@dataclass(slots=True, eq=False)
class Window:
    """Operations that were checked together: their invalid ones count when the rest is settled."""

    open: int = 0
    invalid: int = 0


@dataclass(slots=True)
class Outcome:
    """What became of an operation."""

    kind: OutcomeKind
    remote_id: str | None = None
    """The vendor's id of what was written, kept in the ledger."""
    rejection: Rejection | None = None
    parent_id: str | None = None
    """The vendor's id of what it hangs on; kept (hashed) as the ledger row's identity."""
    undoes: str | None = None
    """The vendor's id of a record: what other keys hung on it is gone; the ledger forgets it."""

    @classmethod
    def rejected(
        cls, kind: RejectionKind, reason: str, *, status: int | None = None, attempts: int = 1
    ) -> Outcome:
        """A rejection, with the vendor's status and the number of tries."""
        return cls(OutcomeKind.REJECTED, rejection=Rejection(kind, reason, status, attempts))
