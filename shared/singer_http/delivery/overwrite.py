"""Which fields of an update are sent: the setting `overwrite`, judged just before the request.

A value is compared three ways: what this sync wrote last (the ledger has a short hash of each
field), what the vendor has now (the record is read), what the source has now. The record is read
in the worker, and the update follows as the next request: an edit is seen up to that moment.
"""

from __future__ import annotations

import copy
import hashlib
import time
from collections.abc import Mapping, Sequence

from typing_extensions import TypeIs

from singer_http.delivery.item import Item, Judged, Kept
from singer_http.errors import NotFound, Refused, SingerHTTPError
from singer_http.exact_json import encode_sorted
from singer_http.http.guards import guarded
from singer_http.operations import (
    JSON,
    Operation,
    Outcome,
    OutcomeKind,
    invalid,
)
from singer_http.plugin.validation import ALWAYS
from singer_http.sink.base import HTTPSink
from singer_http.sink.fields import NONE, FieldHashes, Forms, Written, is_other
from singer_http.sink.kinds import ReadableSink, gone
from singer_http.sink.preview import hidden
from singer_http.store.ledger import Ledger

UNREADABLE = (
    "the vendor's record cannot be read, so it is unknown what was edited there (setting "
    "overwrite): nothing was sent"
)


FRESH_FOR = 30.0
"""Seconds after which an update that has not left, or is tried again, is judged anew, once: the
vendor may ask for long pauses, and people edit meanwhile."""


class _Outdated(Exception):
    """What was read of the record is too old."""


class Overwrite:
    """What this sync wrote last, field by field, of one stream. On the main thread."""

    def __init__(self, ledger: Ledger, scope: int) -> None:
        """Look under a scope of the ledger."""
        self._ledger = ledger
        self._scope = scope
        self._hashes = FieldHashes(ledger.name)

    def load(self, items: Sequence[Item]) -> None:
        """Before operations of one stream leave: get what was written last of their records."""
        if not is_readable(items[0].sink):
            return
        rows = self._ledger.fields(self._scope, [item.stored for item in items])
        for item in items:
            item.judged = None
            remote_id, packed = rows.get(item.stored, (None, None))
            # Of a record that was made or resolved without its id, the id is not known. What was
            # deleted (then the item has no row) is another record.
            known = (item.remote_id, None) if item.row is not None else (item.remote_id,)
            own = [packed] if packed and remote_id in known else []
            # What a run that died was about to write may be there too.
            own += item.about_to_write
            item.written = Written(self._hashes, self._hashes.joined(*own) if own else None)

    def about_to_write(self, item: Item) -> bytes | None:
        """What an update may leave at the vendor; `None` for anything else."""
        if item.delete or item.remote_id is None:
            return None
        own = self.of_body(item.sink, item.body)
        # If this run dies too, its entry has taken the place of the earlier one.
        return own and self._hashes.joined(own, *item.about_to_write)

    def recovered(self, keys: Sequence[str], sent: bytes) -> dict[str, bytes]:
        """What a run that died may have written beside what was: (stored) key -> hashes.

        Args:
            keys: of records that the ledger has.
            sent: what the update may have left at the vendor.
        """
        before = self._ledger.fields(self._scope, keys)  # not of what was deleted
        own = {key: packed for key, (_, packed) in before.items() if packed}
        return {key: self._hashes.joined(own.get(key, b""), sent) for key in keys}

    def after(self, item: Item, *, created: bool) -> bytes | None:
        """What the ledger keeps of an operation that was carried out; `None`: what it has."""
        sink = item.sink
        if item.delete or not is_readable(sink):
            return None
        kept = {one.field for one in item.judged.kept} if item.judged else set()
        forms = {name: own for name, own in sink.own_forms(item.body).items() if name not in kept}
        before = item.written.packed if item.written is not None and not created else None
        packed, stored = self._hashes.pack(forms, before), self._as_stored(item)
        return packed if stored is None else self._hashes.joined(packed, stored)

    def _as_stored(self, item: Item) -> bytes | None:
        """What the answer to a write shows of it: a vendor may store a value in a form of its own.

        What was not sent may have been edited since it was read: what the answer shows of it is
        not this sync's.
        """
        sink, sent = item.sink, item.judged.op if item.judged else item
        if sent.shown is None or not is_readable(sink):
            return None
        shown = sink.shown_forms(sent.shown, sink.sent_forms(sent.body))
        return self._hashes.pack({n: own[:1] for n, own in shown.items() if own != NONE})

    def of_body(self, sink: HTTPSink, body: JSON, before: bytes | None = None) -> bytes | None:
        """What the ledger keeps of a body that is written; `None` if it cannot be read back."""
        return self._hashes.pack(sink.own_forms(body), before) if is_readable(sink) else None

    def arrived(self, item: Item, key: str, remote_id: str | None) -> bytes | None:
        """What the ledger keeps of an operation of which a person says that it arrived.

        Args:
            item: the operation.
            key: as it is stored.
            remote_id: of the vendor's record, if it is known.
        """
        known, before = self._ledger.fields(self._scope, [key]).get(key, (None, None))
        # Fields that it leaves out are as they were.
        return self.of_body(item.sink, item.body, before if known == remote_id else None)

    def perhaps(self, item: Item) -> bytes | None:
        """What the ledger keeps of an update that may have been carried out, or not."""
        before = item.written.packed if item.written is not None else None
        own = (before, self.about_to_write(item), self._as_stored(item))
        found = [packed for packed in own if packed]
        return self._hashes.joined(*found) if found else None


def is_readable(sink: HTTPSink) -> TypeIs[ReadableSink]:
    """Whether records can be read back."""
    # The attribute first: asking an abstract class costs a microsecond for each record.
    return sink.readable and isinstance(sink, ReadableSink)


def restricts(item: Item, remote_id: str | None = None) -> bool:
    """Whether the vendor's record must be read before an operation is sent.

    Args:
        item: the operation.
        remote_id: of the record that it would update, where that is not known yet.
    """
    sink = item.sink
    if item.delete or not (remote_id or item.remote_id) or not is_readable(sink):
        return False
    policies = sink.policies
    return policies.restrict and any(
        policies.of(name) != ALWAYS for name in sink.sent_forms(item.body)
    )


def send(sink: HTTPSink, items: Sequence[Item]) -> list[Outcome]:
    """Send operations that go together; of an update what `overwrite` allows. In a worker.

    Raises:
        Refused: see `HTTPSink.send`; or the vendor's record cannot be read.
        StopRun: the run cannot go on.
    """
    if len(items) != 1:
        return sink.send(items)
    (item,) = items
    judged = judge(sink, item)
    if isinstance(judged, Outcome):
        return [judged]
    if item.judged is None:
        return sink.send([judged])
    read_at = time.monotonic()

    def guard() -> None:
        if time.monotonic() - read_at > FRESH_FOR:
            raise _Outdated

    try:
        with guarded(guard):
            return sink.send([judged])
    except _Outdated:
        return _send_anew(sink, item)


def _send_anew(sink: HTTPSink, item: Item) -> list[Outcome]:
    """Judge an update again; a try before may have been carried out."""
    try:
        judged = judge(sink, item)
        outcomes = [judged] if isinstance(judged, Outcome) else sink.send([judged])
    except SingerHTTPError as error:
        error.nothing_was_done = False
        raise
    for outcome in outcomes:
        outcome.nothing_was_done = False
    return outcomes


def would_send(sink: HTTPSink, items: Sequence[Item]) -> list[Outcome]:
    """What `send` would say to one update, in a dry run."""
    (item,) = items
    judged = judge(sink, item)
    return [judged] if isinstance(judged, Outcome) else would_be(item)


def would_be(item: Item) -> list[Outcome]:
    """What an operation would have become that a dry run does not send."""
    # Dependent streams need an id: a real run would have one.
    return [Outcome(item.expect, item.remote_id or "new")]


def judge(sink: HTTPSink, item: Item) -> Operation | Outcome:
    """What of an operation is sent; its outcome, if nothing is. May read the vendor's record.

    Raises:
        Refused: the vendor's record cannot be read.
        StopRun: the run cannot go on.
    """
    if not is_readable(sink) or not restricts(item):
        return item
    item.judged = None
    try:
        known = sink.current(item)
    except NotFound as error:
        return gone(item, error)
    except SingerHTTPError as error:
        error.nothing_was_done = True  # reading changes nothing
        if isinstance(error, Refused):
            error.reason = f"{error.reason} (the vendor's record cannot be read: overwrite)"
        raise
    if known is None:
        return Outcome(OutcomeKind.REJECTED, rejection=invalid(UNREADABLE))
    left_out, kept = _compare(sink, item, known)
    op = copy.copy(item)
    op.known, op.body = known, sink.without(item.body, left_out)
    op.payload = encode_sorted(op.body)
    item.judged = Judged(op, kept)
    if left_out and not sink.has_work(op):
        return Outcome(OutcomeKind.SKIPPED, item.remote_id, nothing_to_send=True)
    return op


def _compare(sink: ReadableSink, item: Item, known: JSON) -> tuple[set[str], list[Kept]]:
    """The fields that are not sent; and those of them whose value at the vendor is kept."""
    ours = sink.sent_forms(item.body)
    theirs = sink.shown_forms(known, ours)
    left_out = {name for name in ours if not _may_send(sink, item, known, name, ours, theirs)}
    kept = [n for n in ours if n in left_out and is_other(ours[n], theirs.get(n, NONE))]
    # Masked whatever the field is: a report is kept for months, and its values are of persons.
    before, now = (sink.fields_of(record) if kept else {} for record in (known, item.body))
    return left_out, [Kept(name, hidden(before.get(name)), hidden(now[name])) for name in kept]


def _may_send(
    sink: ReadableSink,
    item: Item,
    known: JSON,
    name: str,
    ours: Mapping[str, Forms],
    theirs: Mapping[str, Forms],
) -> bool:
    if sink.policies.of(name) == ALWAYS:
        return True
    old = theirs.get(name, NONE)
    if sink.hides(name, known) or not is_other(ours[name], old):
        return False
    written = item.written
    unset = sink.shown_if_unset.get(name.partition(".")[0])
    if old[0] == unset and not (written is not None and written.has(name)):
        old = NONE
    own = written is not None and written.wrote(name, old)
    return sink.policies.may_send(name, is_empty=old == NONE, is_own=own)


def digest_beside_kept(item: Item) -> bytes:
    """Digest of a record of which `overwrite` kept something: another setting sends it again."""
    setting = encode_sorted(item.sink.config["overwrite"])
    return hashlib.blake2b(item.digest + setting, digest_size=16).digest()
