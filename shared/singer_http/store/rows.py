"""Rows of the database as values."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import orjson

from singer_http.exact_json import decode, encode
from singer_http.operations import Effect
from singer_http.store.tables import NAME

REJECTION = b'"rejection"'
"""In a RECORD line of an export of rejects."""


class Scope(NamedTuple):
    """Whose rows: one target stream of one pipeline into one account."""

    id: int
    source: str
    keys: tuple[str, ...]
    known: bool
    """Something was delivered or is outstanding, or a run that died was about to send something."""
    schema_message: bytes


class Standing(NamedTuple):
    """How much of a stream need not come again."""

    stream: str
    keys: int
    """Delivered or outstanding."""
    versions: int
    """Those of which a version stands."""


class Unfinished(NamedTuple):
    """A request of a run that died: it is unknown whether it was carried out."""

    id: int
    effect: Effect
    at: float
    """Epoch seconds at which it was about to leave."""
    route: str
    keys: list[str]
    """As they are stored, one for each record."""
    records: list[bytes]
    """RECORD lines, as they were read."""
    sent: bytes | None
    resent: bool


class Reject(NamedTuple):
    """An outstanding record."""

    id: int
    key: str
    slot: str
    run: str
    seq: int
    at: int
    kind: str
    reason: str
    status: int | None
    operation: str
    attempts: int
    route: str
    remote_id: str | None
    digest: bytes
    resent: bool
    record: bytes


class RejectState(NamedTuple):
    """What the check of a record needs to know of its key's outstanding reject."""

    kind: str
    digest: bytes
    """Of what was or would have been sent."""
    remote_id: str | None
    """The vendor's record that it went into, which is another key's."""


class ExportedLine(NamedTuple):
    """A line of the rejects file."""

    stream: str
    """The target stream; empty for a SCHEMA."""
    key: str | None
    """As it is stored; `None` where it is hashed, or there is none."""
    line: bytes


def parts_of(names: bytes | None) -> list[bytes]:
    """The hashes of a key's names, `NAME` bytes each."""
    found = names or b""
    return [found[at : at + NAME] for at in range(0, len(found), NAME)]


def beginning(claim: str) -> bytes:
    """A (hashed) claim as one of a key's names."""
    return bytes.fromhex(claim[1 : 1 + 2 * NAME])


@dataclass(slots=True)
class Delivered:
    """An acknowledgement to be written to the ledger."""

    key: str
    """As it is stored."""
    digest: bytes
    source: bytes
    remote_id: str | None
    claims: tuple[str, ...] | None
    """Hashed; None leaves those that the key has."""
    names: bytes | None = None
    """What a person may look the key up by, 8 bytes each; None leaves those that the key has."""
    partial: bool = False
    """It says nothing of the email or the phone: the key is known by its earlier ones too."""
    mapping: bytes | None = None
    """Digest of all that decides, beside the record, what is sent; see `Digests.mapping`."""
    version: str | None = None
    """The source's, of the setting version_column; None removes that of the key."""
    fields: bytes | None = None
    """Short hashes of the fields that were sent; None leaves those that the key has."""
    sent: bool = True
    """By this run; else the run that sent it is left as it is."""

    def follow(self, earlier: Delivered) -> None:
        """Take over what an earlier acknowledgement of the key says that this one does not."""
        self.sent = self.sent or earlier.sent
        if self.names is None:
            self.names, self.partial = earlier.names, earlier.partial
        elif self.partial:
            self.partial = earlier.partial or earlier.names is None
            self.add_names(earlier.names)
            for claim in earlier.claims or ():
                self.add_names(beginning(claim))
        self.claims = earlier.claims if self.claims is None else self.claims
        self.fields = earlier.fields if self.fields is None else self.fields

    def add_names(self, more: bytes | None) -> None:
        """Add those that the key does not have already."""
        self.names = b"".join(dict.fromkeys([*parts_of(self.names), *parts_of(more)]))


def with_rejection(line: bytes, rejection: dict[str, Any]) -> bytes:
    """A RECORD line with the member `rejection`; the rest stays as it is, to the byte."""
    body = line.rstrip()
    return body[:-1].rstrip() + b',"rejection":' + orjson.dumps(rejection) + b"}"


def without_rejection(line: bytes) -> bytes:
    """A RECORD line without a `rejection` that an export of rejects gave it, on one line."""
    line = line.strip()
    if REJECTION not in line:
        return line
    try:
        message = decode(line)
    except ValueError:
        return line
    if not isinstance(message, dict) or "rejection" not in message:
        return line
    message.pop("rejection")
    return encode(message)
