"""What a dry run would send, field by field."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

from singer_http.errors import Refused
from singer_http.operations import JSON, Operation, Rejection
from singer_http.sink import columns as f
from singer_http.sink.base import HTTPSink
from singer_http.sink.fields import flat


class Change(NamedTuple):
    """One field; texts are cut short, personal ones masked."""

    field: str
    old: str | None
    """`None` where the vendor's value is not known."""
    new: str


class Example(NamedTuple):
    """One operation that a dry run did not carry out."""

    operation: str
    """`created`, `updated`, `upserted`, `deleted`."""
    id: str | None
    """The vendor's."""
    changes: list[Change]
    known: bool
    """The vendor's record could be read."""

    @property
    def text(self) -> str | None:
        """The changes as one line; `None` where only the new values are known."""
        if not self.known:
            return None
        words = [f"{name}: {old} → {new}" for name, old, new in self.changes]
        return ", ".join([f"id {self.id}", *(words or ["nothing that differs"])])

    def as_dict(self) -> JSON:
        """Its form in the report file."""
        fields = {
            name: ({"new": new} if old is None else {"old": old, "new": new})
            for name, old, new in self.changes
        }
        return {"operation": self.operation, "id": self.id, "fields": fields}


def example(sink: HTTPSink, op: Operation, operation: str) -> Example:
    """What an operation would change; asks the vendor for its record where that can be read."""
    # An id may be an email or a number: as an id it stays readable only where it is neither.
    remote_id = None if op.remote_id in op.identities else op.remote_id
    if op.delete:
        return Example(operation, remote_id, [], known=False)
    old = _current(sink, op)
    return Example(operation, remote_id, list(changes(sink, op.body, old)), known=old is not None)


def _current(sink: HTTPSink, op: Operation) -> JSON | None:
    if op.remote_id is None or op.known is not None:
        return op.known
    try:
        return sink.current(op)
    except (Refused, Rejection):
        return None


def changes(sink: HTTPSink, new: JSON, old: JSON | None) -> Iterator[Change]:
    """The fields that are sent; of a record that is known only those that differ."""
    before = None if old is None else dict(flat(old))
    for name, value in flat(new):
        # By the field's own name: a custom field stands below its container.
        personal = name in sink.personal
        if before is None:
            yield Change(name, None, _shown(value, personal=personal))
        elif not _same(before.get(name), value):
            yield Change(
                name, _shown(before.get(name), personal=personal), _shown(value, personal=personal)
            )


def _same(old: Any, new: Any) -> bool:
    if old == new or str(old) == str(new):
        return True
    return old in (None, "") and new in (None, "")


def _shown(value: Any, *, personal: bool) -> str:
    return hidden(value) if personal or value is None else f.shortened(value)


def hidden(value: Any) -> str:
    """A personal value for people: enough of it to recognise it."""
    return "nothing" if value in (None, "") else f.masked(value)
