"""The values that pass through a target: an operation goes in, an outcome comes out.

They are plain values: no client, no ledger, no vendor. A record's fate is data (an `Outcome`);
a broken run is an exception (see `errors.py`).
"""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import Any, NamedTuple

JSON = dict[str, Any]
"""A JSON object."""


class Effect(enum.StrEnum):
    """What a request does at the vendor, and so when it may be sent again."""

    IDEMPOTENT = "idempotent"
    """Sent twice, it does what it does once: sent again after a lost answer or a 5xx."""

    CREATE = "create"
    """Sent twice, it makes two: after a lost answer the vendor is asked first."""

    AT_MOST_ONCE = "at_most_once"
    """Cannot be undone or looked up (a message, a call): never sent again."""


class OutcomeKind(enum.StrEnum):
    """What became of a record. The value is its column in the report."""

    CREATED = "created"
    UPDATED = "updated"
    UPSERTED = "upserted"
    """Created or updated: the vendor does not tell which."""
    DELETED = "deleted"
    UNCHANGED = "unchanged"
    SKIPPED = "skipped"
    """A setting (`mode`, `overwrite`, `suppression`) or an uncertain record forbids it."""
    REJECTED = "rejected"
    GONE = "gone"
    """The vendor does not know the id, or knows the record by another. Not final: looked up."""
    LOST = "lost"
    """A create may have arrived. Not final: looked up before it is sent again."""


class RejectionKind(enum.StrEnum):
    """The kinds of rejection, as they stand in the rejects file."""

    INVALID = "invalid"
    """Found before sending."""
    REFUSED = "refused"
    """The vendor said no."""
    UNCERTAIN = "uncertain"
    """May have arrived; it is unknown."""
    HELD = "held"
    """Kept back for a later run; not counted by `max_rejects`."""


@dataclass(slots=True, eq=False)
class Rejection(Exception):
    """Why a record was not delivered; goes into the rejects as it stands."""

    kind: RejectionKind
    reason: str
    status: int | None = None
    attempts: int = 0
    remote_id: str | None = None
    """The vendor's id of the record that it names, if it is known: a mirror keeps that."""
    blocked: bool = False
    """An update that the vendor refuses because another record has its identity. A mirror does not
    keep that one, if its key has left the source: the update could never succeed."""


def invalid(reason: str, *, remote_id: str | None = None) -> Rejection:
    """A rejection of a record that must not be sent, for `raise`."""
    return Rejection(RejectionKind.INVALID, reason, remote_id=remote_id)


SAME = "="
"""What the ledger holds instead of a remote id that is equal to the key."""
DELETED = b"deleted"
"""Digest of a row whose last operation was a delete: a second delete has nothing to do."""
UNKNOWN = b""
"""Digest of a row whose state at the vendor is not known: nothing is unchanged against it."""


@dataclass(slots=True)
class Row:
    """What the ledger knows of one key: its last acknowledged delivery."""

    key: str
    """In the form in which it is stored."""
    digest: bytes
    """16 bytes of what was sent, or `DELETED`, or `UNKNOWN`."""
    source: bytes
    """16 bytes of the record that it was made from (see `HTTPSink.deterministic`), or empty."""
    stored_id: str | None
    at: int
    """Epoch seconds of the acknowledgement."""
    mapping: bytes | None = None
    """What made the request of the record (see `Digests.mapping`), if versions are stored."""
    version: str | None = None
    """The source's version of the record."""

    def is_of(self, mapping: bytes | None, version: str | None) -> bool:
        """Whether it has this mapping and version; true if versions are not stored."""
        return mapping is None or (mapping, version) == (self.mapping, self.version)

    @property
    def remote_id(self) -> str | None:
        """The vendor's id of the record, enough to update or delete it."""
        return self.key if self.stored_id == SAME else self.stored_id


class Person(NamedTuple):
    """Whom an operation reaches."""

    identities: tuple[str, ...]
    """Emails and phones, as they are compared (see `identity`)."""
    contact: tuple[str, str] | None = None
    """Stream and vendor's id of the contact that it names."""


class Operation:
    """What one record asks for at the vendor, as a plugin's sink sees it.

    What is not set has the default below: a record costs the few assignments that it needs.
    """

    payload: bytes = b""
    """`body` as JSON with sorted keys."""
    remote_id: str | None = None
    """The vendor's id, once known: from the record, the ledger or a match."""
    id_from_record: bool = False
    """The id is the record's own: it is never matched again."""
    identities: tuple[str, ...] = ()
    """Vendor identities as the vendor compares them; the first is the unique one."""
    reached: tuple[str, ...] = ()
    """Emails and phones of whom it reaches that are not in the body, as they are compared."""
    group: Any = None
    """Operations of one request share this (a list, a set of tags)."""
    effect: Effect = Effect.IDEMPOTENT
    row: Row | None = None
    """What the ledger knew of the key when the operation was checked."""
    known: JSON | None = None
    """The vendor's record, where it was read just before an update."""
    shown: JSON | None = None
    """The vendor's record, where the answer to a create or an update shows it."""

    def __init__(self, key: str = "", *, delete: bool = False) -> None:
        """Begin with what is known before the record is checked.

        Args:
            key: canonical text of the key columns' values.
            delete: the source no longer has it.
        """
        self.key = key
        self.delete = delete
        self.body: JSON = {}
        """The vendor's fields; empty for a delete that needs none."""


@dataclass(slots=True)
class Outcome:
    """What became of an operation."""

    kind: OutcomeKind
    remote_id: str | None = None
    """The vendor's id of what was written, kept in the ledger."""
    rejection: Rejection | None = None
    claims: tuple[str, ...] = ()
    """What the key now refers to at the vendor besides its id (a contact's tag)."""
    forgets: str | None = None
    """A claim: what other keys had with it is gone at the vendor, and leaves the ledger."""
    released: bool = False
    """Of a removal: another key refers to the record too. Only the ledger's row is removed."""
    postponed: bool = False
    """Of a released removal: the other key's row is rejected. Removed once no such row is left."""
    nothing_was_done: bool = True
    """Of a rejection: the vendor certainly has what it had before."""
    reason: str = ""
    """Of a lost create: what happened, as one line."""
    answered: bool = False
    """Of a lost create: the vendor answered, but the answer was not understood."""
    still_running: bool = False
    """Of a lost create: the vendor may still be working on the request."""
    suppressed: bool = False
    """Skipped, since the person must not be reached."""
    nothing_to_send: bool = False
    """Skipped, since `overwrite` leaves nothing of an update to be sent."""

    @classmethod
    def rejected(
        cls, kind: RejectionKind, reason: str, *, status: int | None = None, attempts: int = 1
    ) -> Outcome:
        """A rejection, with the vendor's status and the number of attempts."""
        return cls(OutcomeKind.REJECTED, rejection=Rejection(kind, reason, status, attempts))
