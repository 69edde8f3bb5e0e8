"""An operation with what only its delivery needs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import orjson
from typing_extensions import override

from singer_http.identity import dialled_phone, fold_email
from singer_http.operations import DELETED, JSON, Operation, OutcomeKind, Row
from singer_http.sink.base import HTTPSink
from singer_http.sink.fields import Written
from singer_http.store.rows import Reject


@dataclass(slots=True, eq=False)
class Entry:
    """A pending entry of the ledger, and how many of its operations are not settled."""

    id: int
    open: int


@dataclass(slots=True, eq=False)
class CheckBatch:
    """Operations that were checked together: their invalid ones count when the rest is settled."""

    open: int = 0
    invalid: int = 0


@dataclass(slots=True)
class Sent:
    """What a run that died was about to send for a create: it is looked up by that."""

    body: JSON
    identities: tuple[str, ...]
    digest: bytes


class Kept(NamedTuple):
    """A field whose value `overwrite` keeps at the vendor; the values as people may see them."""

    field: str
    theirs: str
    ours: str


class Judged(NamedTuple):
    """An update, as `overwrite` lets it be sent."""

    op: Operation
    """With what is sent, and the vendor's record as it was read."""
    kept: list[Kept]


@dataclass(slots=True)
class LostCreate:
    """A create whose answer was lost: the vendor is given time, then asked, and asked again."""

    times: int = 1
    """Creates of this record whose answers were lost."""
    since: float = 0.0
    """Monotonic seconds of the last one."""
    asked: int = 0
    """Lookups since then."""
    asked_at: float = 0.0
    """Monotonic seconds at which the last lookup began."""
    still_running: bool = False
    """The vendor may still be working on one of them."""
    answered: bool = False
    """The vendor answered the last one, but the answer was not understood."""
    reason: str = ""
    """What happened to the last one."""


@dataclass(slots=True)
class Origin:
    """The origin of a record that is not from this run's input."""

    retried: bool = True
    resend: bool = False
    """A person said that it did not arrive."""
    sent: Sent | None = None
    created_at: float | None = None
    """Epoch seconds at which an unfinished create was about to leave."""
    entry: Entry | None = None
    """The pending entry of the run that died."""
    about_to_write: bytes | None = None
    """Hashes of the fields that an update of that run may have written."""
    reject: Reject | None = None
    """The reject that is sent again; its key may have become another one since."""

    def is_outdated(self, stored: str, row: Row | None) -> bool:
        """Whether something newer was delivered under the (stored) key that the record has now."""
        reject = self.reject
        return (
            reject is not None and row is not None and reject.key != stored and row.at >= reject.at
        )


NEW = Origin(retried=False)
"""From this run's input."""


class Item(Operation):
    """One record during its delivery."""

    label: str = ""
    """The key as a person knows it, where a plugin made more of it."""
    stored: str = ""
    """The key as it is stored in the database."""
    keyless: bool = False
    """It has no key: `stored` is made from its text."""
    digest: bytes = b""
    """Of what is sent."""
    source: bytes = b""
    """Digest of the record that it was made from, if that decides all of it."""
    mapping: bytes | None = None
    """Of its intake, if versions are stored."""
    version: str | None = None
    """The source's version of the record."""
    previous: Item | None = None
    """An earlier copy of the key that this one replaced; sent if this one is rejected."""
    conflict_keys: tuple[str, ...] = ()
    """Held while in flight: no two operations that share one are in flight at once."""
    named: tuple[str, ...] = ()
    """Identities of a record that could not be prepared, as far as it can be read."""
    alone: bool = False
    """Refused before: sent in a request of its own, so that no other record is refused with it."""
    removal: bool = False
    """A mirror's removal, not a record of the source."""
    other_content: bool = False
    """Rejected beside the record of its key that was sent, or may have been."""
    beside_uncertain: bool = False
    """Rejected before sending, while an uncertain record of its key is outstanding."""
    contested: bool = False
    """Another key may be the same record at the vendor: checked again at the start."""
    gone: set[str] | None = None
    """Ids that the vendor said it does not know."""
    lost: LostCreate | None = None
    due: float = 0.0
    """Monotonic seconds before which it is not looked up again."""
    entry: Entry | None = None
    """The pending entry in the ledger that covers it."""
    check_batch: CheckBatch | None = None
    expect: OutcomeKind = OutcomeKind.UPSERTED
    """What it will have been when the vendor says yes."""
    written: Written | None = None
    """What this sync wrote last of the vendor's record, field by field, as it leaves."""
    judged: Judged | None = None
    """What the setting `overwrite` made of it."""
    origin: Origin = NEW

    @override
    def __init__(
        self, sink: HTTPSink, route: str, *, key: str, delete: bool, line: bytes, seq: int
    ) -> None:
        """Begin with what is known before the record is checked.

        Args:
            sink: what it is for.
            route: the name of the mapping that made it.
            key: canonical text of the key columns' values.
            delete: the source no longer has it.
            line: the RECORD message as it was read, before `stream_maps`.
            seq: order of arrival in this run, from 1.
        """
        super().__init__(key, delete=delete)
        self.sink = sink
        self.route = route
        self.line = line
        self.seq = seq

    def is_stale(self, row: Row) -> bool:
        """Whether the ledger's row of the same content has another source, mapping or version."""
        return self.source != row.source or not row.is_of(self.mapping, self.version)

    @property
    def about_to_write(self) -> list[bytes]:
        """What runs that died were about to write of it, or of the copies that it replaced."""
        found = []
        one: Item | None = self
        while one is not None:
            if one.origin.about_to_write:
                found.append(one.origin.about_to_write)
            one = one.previous
        return found

    @property
    def may_be_there(self) -> bool:
        """Whether a run that died may have updated a record of which the ledger has nothing."""
        return self.row is None and bool(self.about_to_write)

    @property
    def is_partial(self) -> bool:
        """Whether it says nothing of an email or a phone that an earlier record of its key had."""
        sink, row = self.sink, self.row
        if row is None or row.digest == DELETED or sink.sends_nothing:
            return False
        own = {*sink.emails, *sink.phones}.intersection(sink.fields)
        return bool(own) if self.delete else not own <= self.body.keys()

    def names(self, remote_id: str | None) -> list[str]:
        """What a person may look it up by, beside its key, its identities and its id.

        Emails and phones as they are compared, the parts of its key, its parent at the vendor.

        Args:
            remote_id: the vendor's id of what was written.
        """
        sink, body, label = self.sink, self.body, self.label
        names = [fold_email(value) for column in sink.emails if (value := body.get(column))]
        names += [dialled_phone(value) for column in sink.phones if (value := body.get(column))]
        if label:
            names.append(label)
        if len(sink.keys) > 1:
            names += orjson.loads(label or self.key)
        if sink.names_parent and remote_id:
            names.append(remote_id.partition("/")[0])
        known = (*self.identities, self.key, "")
        return [name for name in names if name not in known]
