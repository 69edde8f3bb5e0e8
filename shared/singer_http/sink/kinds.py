"""The kinds of sinks, by what a request does at the vendor.

HTTPSink
├── BatchSink       many records in a request (a bulk upsert)
├── RecordSink      one record at a time: find, create, update, delete
│   └── ReadableSink    whose records can be read back, and compared field by field
├── LinkSink        what belongs to a record that must exist: add, remove
└── AtMostOnceSink  what cannot be undone: perform
"""

from __future__ import annotations

import abc
import contextlib
import functools
from collections.abc import Collection, Container, Iterator, Mapping, Sequence
from typing import Any, ClassVar

from typing_extensions import override

from singer_http.errors import NotFound, Refused, SingerHTTPError
from singer_http.identity import dialled_phone, fold_email
from singer_http.operations import JSON, Operation, Outcome, OutcomeKind, RejectionKind
from singer_http.plugin.validation import EVERY_FIELD
from singer_http.sink import fields
from singer_http.sink.base import UPSERT, HTTPSink
from singer_http.sink.overwrite import Policies, refuse, resolve
from singer_http.sink.reading import Reading


class BatchSink(HTTPSink):
    """Many records in a request, which may be sent again."""

    @override
    def send(self, ops: Sequence[Operation]) -> list[Outcome]:
        """Deliver a batch, or remove one."""
        if ops[0].delete:
            return [self._remove(op) for op in ops]
        return self.deliver(ops)

    def _remove(self, op: Operation) -> Outcome:
        try:
            return self.remove(op)
        except NotFound:
            return Outcome(OutcomeKind.DELETED)

    @abc.abstractmethod
    def deliver(self, ops: Sequence[Operation]) -> list[Outcome]:
        """Send one request with all of them."""

    def remove(self, op: Operation) -> Outcome:
        """Delete one; NotFound is a success."""
        raise NotImplementedError


class RecordSink(HTTPSink):
    """One record at a time: found, then updated, or created."""

    may_create = True
    has_lookup = True

    @override
    def is_current(self, op: Operation) -> bool:
        """Not if the record names another one at the vendor than what was written."""
        named = None if op.delete or not op.id_from_record else op.remote_id
        return named is None or op.row is None or named == op.row.remote_id

    @override
    def send(self, ops: Sequence[Operation]) -> list[Outcome]:
        """Create, update or delete one record."""
        (op,) = ops
        if op.delete:
            with contextlib.suppress(NotFound):
                self.delete(op)
            return [Outcome(OutcomeKind.DELETED)]
        if op.remote_id is None:
            return [Outcome(OutcomeKind.CREATED, self.create(op))]
        try:
            self.update(op)
        except NotFound as error:
            return [gone(op, error)]
        return [Outcome(OutcomeKind.UPDATED, op.remote_id)]

    @abc.abstractmethod
    def create(self, op: Operation) -> str | None:
        """Create it; the vendor's id."""

    @abc.abstractmethod
    def update(self, op: Operation) -> None:
        """Update `op.remote_id`."""

    @abc.abstractmethod
    def delete(self, op: Operation) -> None:
        """Delete `op.remote_id`."""


def gone(op: Operation, error: NotFound) -> Outcome:
    """The outcome of an update of what the vendor does not have."""
    if not op.id_from_record:
        return Outcome(OutcomeKind.GONE)
    reason = (
        f"{error.reason} (the vendor has no record with the id that this one names, "
        f"{op.remote_id}: correct the id, or delete the row; one without an id is matched or "
        "created)"
    )
    return Outcome.rejected(RejectionKind.REFUSED, reason, status=error.status)


class ReadableSink(RecordSink):
    """Records that can be read back: `current` is not None for one that exists.

    A record is compared field by field, each in the form in which the vendor stores it.
    """

    readable = True
    not_compared: ClassVar[frozenset[str]] = frozenset()
    """Fields of a body that an update never replaces: sent whatever `overwrite` says."""
    texts: ClassVar[frozenset[str]] = frozenset()
    """Fields of text: a time in one that is written in another way is another value."""
    parts: ClassVar[Mapping[str, Sequence[str]]] = {}
    """Field -> the fields that are within it, beside custom ones."""
    shows_all: ClassVar[bool] = True
    """A field that a record lacks when it is read is empty; else it cannot be read."""
    shown_if_unset: ClassVar[Mapping[str, str]] = {}
    """Field, or what fields are within -> the form of what the vendor shows where nobody wrote it:
    none, until this sync writes the field."""

    @override
    @abc.abstractmethod
    def current(self, op: Operation) -> JSON | None:
        """The record `op.remote_id` as the vendor has it, all its fields, in the form of a body.

        May be asked with an operation that has nothing but the id. Any thread may ask.

        Returns:
            None if it cannot be read, though it may exist.

        Raises:
            NotFound: the vendor does not know the id.
        """

    @abc.abstractmethod
    def reading(self) -> Reading:
        """How all records are read back."""

    @functools.cached_property
    def field_names(self) -> Sequence[str]:
        """The fields that a record may have, named as in `fields_of`."""
        own = self.writable()
        parts = (f"{name}.{part}" for name in own for part in self.parts.get(name, ()))
        custom = self.account_fields().fields if self.has_custom_fields else ()
        return (*own, *parts, *(f"{self.container}.{field.id}" for field in custom))

    @functools.cached_property
    def unset_forms(self) -> dict[str, fields.Forms]:
        """The forms of fields that a record lacks: name -> of what the vendor would show."""
        unset = self.shown_if_unset
        return {name: (unset.get(name.partition(".")[0], ""),) for name in self.field_names}

    @functools.cached_property
    def policies(self) -> Policies:
        """The setting `overwrite`.

        Raises:
            ConfigError: it names what is no field of the stream.
        """
        setting = self.config.get("overwrite") or {}
        named = setting.keys() - {EVERY_FIELD}
        columns = [column.field for column in self.columns.plain]
        return resolve(
            setting,
            self.stream,
            [*dict.fromkeys((*self.writable(), *columns))] if named else (),
            self.container,
            self.account_fields if self.has_custom_fields else None,
        )

    def label(self, name: str) -> str:
        """What people call a field: of a custom field its own name."""
        container, _, inner = name.partition(".")
        if not inner or container != self.container:
            return name
        custom = self.account_fields().find(inner)
        return custom.names[-1] if custom is not None else name

    def hides(self, name: str, record: JSON) -> bool:
        """Whether a record, as `current` gives it, does not show a field that it may have."""
        return not self.shows_all and name.partition(".")[0] not in record

    def has_work(self, op: Operation) -> bool:
        """Whether an update of which `overwrite` left something out has anything left to send."""
        return bool(op.body)

    def fields_of(self, record: JSON) -> dict[str, Any]:
        """The fields of a body, or of a record as `current` gives it: name -> value."""
        return dict(fields.flat(record))

    def without(self, body: JSON, names: Collection[str]) -> JSON:
        """A body without these fields, named as in `fields_of`."""
        return fields.without(body, names)

    def stored_forms(self, field: str, value: Any, *, shown: bool) -> fields.Forms:
        """The forms of a value of a field (see `fields.forms`)."""
        if field in self.emails:
            return (fold_email(value),)
        if field in self.phones:
            # Without the region too: it may be set, or be another one, since a value was written.
            numbers = (dialled_phone(value, self.config.get("phone_region")), dialled_phone(value))
            return tuple(filter(None, dict.fromkeys(numbers))) or (fields.form(value),)
        return fields.forms(value, shown=shown, times=field not in self.texts)

    def sent_forms(self, body: JSON) -> dict[str, fields.Forms]:
        """The fields of a body that are compared: name -> forms of its value."""
        return self._forms(body, None, shown=False)

    def own_forms(self, body: JSON) -> dict[str, fields.Forms]:
        """As `sent_forms`, with the other forms in which the vendor may show what was sent."""
        return self.sent_forms(body)

    def shown_forms(
        self, record: JSON, names: Container[str] | None = None
    ) -> dict[str, fields.Forms]:
        """The fields of a record that are compared: name -> forms of its value.

        Args:
            record: as `current` gives it.
            names: these fields only.
        """
        return self._forms(record, names, shown=True)

    def _forms(
        self, record: JSON, names: Container[str] | None, *, shown: bool
    ) -> dict[str, fields.Forms]:
        return {
            name: self.stored_forms(name, value, shown=shown)
            for name, value in self.fields_of(record).items()
            if name not in self.not_compared and (names is None or name in names)
        }


class LinkSink(HTTPSink):
    """What belongs to a record that must exist; sent again, it changes nothing."""

    has_lookup = True
    names_parent = True
    group_by_parent = True


class AtMostOnceSink(HTTPSink):
    """What cannot be undone: sent at most once, and never again when in doubt."""

    modes = (UPSERT,)
    at_most_once = True
    names_parent = True
    no_delete = "what was sent cannot be undone: a delete has nothing to undo"
    examples = 100

    @override
    def send(self, ops: Sequence[Operation]) -> list[Outcome]:
        """Perform one."""
        (op,) = ops
        return [Outcome(OutcomeKind.CREATED, self.perform(op))]

    @abc.abstractmethod
    def perform(self, op: Operation) -> str | None:
        """Do it, with effect `AT_MOST_ONCE`; what the vendor calls it, if anything."""


def check_overwrite(sink: HTTPSink) -> None:
    """Refuse a setting `overwrite` that cannot be kept. May ask the vendor for custom fields.

    Raises:
        ConfigError: it names no field, or the stream's records cannot be read.
    """
    if isinstance(sink, ReadableSink):
        sink.policies.of(EVERY_FIELD)  # finds the fields that the setting names
    elif isinstance(sink, BatchSink) and not sink.sends_nothing:
        hint = f"Give {sink.stream} a pipeline of its own (another sync, without overwrite)."
        refuse(sink.config.get("overwrite"), sink.stream, hint)


@contextlib.contextmanager
def second_step(what: str) -> Iterator[None]:
    """A further request of one operation: if it fails, the operation has been half done.

    Args:
        what: the request writes, for the reason.
    """
    try:
        yield
    except SingerHTTPError as error:
        error.nothing_was_done = False
        if isinstance(error, Refused):
            error.reason = f"{what}: {error.reason} (the other fields were written)"
        raise
