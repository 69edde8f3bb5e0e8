"""From a record to an operation: its key, its validity, its body."""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

import orjson

from singer_http.delivery.digests import Digests
from singer_http.delivery.item import Item
from singer_http.errors import StopRun, one_line
from singer_http.exact_json import canonical, encode_sorted, text_of
from singer_http.identity import fold_email, fold_phone
from singer_http.operations import DELETED, JSON, Rejection, invalid
from singer_http.sink.base import HTTPSink
from singer_http.sink.columns import applier, shortened
from singer_http.sink.schemas import validator
from singer_http.sink.version import version_of

DELETED_AT = "_sdc_deleted_at"
LONGEST_ID = 500
"""Characters: a row of PostgreSQL's index of the vendor's ids has 2,704 bytes at most."""


class Intake:
    """Makes the operations of one mapping into one sink."""

    def __init__(
        self,
        sink: HTTPSink,
        schema: Mapping[str, Any],
        route: str,
        *,
        validate: bool = True,
        version_column: str | None = None,
    ) -> None:
        """Compile the schema.

        Args:
            sink: what the records are for.
            schema: the SCHEMA message's, after `stream_maps`.
            route: the name of the mapping, kept with what is pending or rejected.
            validate: whether records are held to the schema (the SDK's `validate_records`).
            version_column: of the source, before `stream_maps`; None: no versions are stored.

        Raises:
            ConfigError: the schema is not JSON Schema.
        """
        self.sink = sink
        self.route = route
        self.digests = Digests(sink, schema)
        self.version_column = version_column if self.digests.mapping else None
        self.mapping = self.digests.mapping if self.version_column else None
        """Stored with each delivery, if versions are."""
        self._column = sink.keys[0] if len(sink.keys) == 1 else None
        self.adds_to_keys = type(sink).key_suffix is not HTTPSink.key_suffix
        """The plugin adds to the keys that the columns make."""
        folded = {*sink.emails, *sink.phones}
        self._plain = self._column is not None and self._column not in folded
        self.personal_key = not set(sink.keys).isdisjoint(sink.personal)
        """A key column may hold an email or a number."""
        self._validator = validator(sink.stream, schema) if validate else None

    def item(self, record: JSON, line: bytes, seq: int, *, key: str = "") -> Item:
        """An operation that has only its key yet (empty: it has none)."""
        delete = is_delete(record)
        item = Item(self.sink, self.route, key=key, delete=delete, line=line, seq=seq)
        if not key:
            item.keyless = True
            item.key = text_key(record)
        return item

    def version_of(self, record: Any) -> str | None:
        """The version of a record of the source, before `stream_maps`."""
        return version_of(record, self.version_column) if self.version_column else None

    def prepare(self, record: JSON, item: Item) -> Rejection | None:
        """Make the operation that a record asks for; why it must not be carried out, if so.

        Raises:
            StopRun: the run cannot go on.
        """
        try:
            if item.keyless:
                self.key_of(record)  # says what is wrong with it
            self.complete_key(record, item)
            self._prepare(record, item)
        except Rejection as rejection:
            item.named = self._identities_of(record, item)
            return rejection
        except StopRun:
            raise
        except Exception as error:  # noqa: BLE001 - whatever is wrong with a record rejects it
            item.named = self._identities_of(record, item)
            return invalid(f"cannot be prepared: {type(error).__name__}: {one_line(str(error))}")
        return None

    def _identities_of(self, record: JSON, item: Item) -> tuple[str, ...]:
        """What an invalid record is known by at the vendor, if that much of it can be read."""
        if item.delete or item.identities:
            return item.identities
        sink, trial = self.sink, Item(self.sink, self.route, key="", delete=False, line=b"", seq=0)
        # Without the columns that are wrong, and without custom fields.
        readable = {column: record[column] for column in sink.keys if column in record}
        for column in sink.columns.plain:
            with contextlib.suppress(Exception):
                applier([column], send_nulls=False)(record)
                readable[column.name] = record.get(column.name)
        with contextlib.suppress(Exception):
            sink.prepare(readable, trial)
        return trial.identities

    def key_of(self, record: JSON) -> str:
        """The canonical text of a record's key: `7`, `7.0` and `7e0` are one.

        Raises:
            Rejection: a key column is missing or null, or its value cannot be a key.
        """
        if self._plain:
            value = record.get(self._column or "")
            if type(value) is str and value and value.isascii() and "\0" not in value:
                return value
        columns = self.sink.keys
        if self.sink.one_key_column_is_enough:
            given = [record.get(column) not in (None, "") for column in columns]
            if any(given) and not all(given):
                found = zip(columns, given, strict=True)
                parts = [self._part(c, record[c]) if there else "" for c, there in found]
                return orjson.dumps(parts).decode()
        parts = [self._part(column, record.get(column)) for column in columns]
        return parts[0] if len(parts) == 1 else orjson.dumps(parts).decode()

    def _part(self, column: str, value: Any) -> str:
        if value is None or value == "":
            raise invalid(f"the key column {column!r} is missing, null or empty")
        try:
            text = text_of(value)
            text.encode()
        except (TypeError, ValueError):
            raise invalid(f"the key column {column!r} cannot be a key") from None
        if "\0" in text:
            raise invalid(f"the key column {column!r} holds a NUL character")
        # Where the key is the vendor's identity itself, its spellings are one key.
        if column in self.sink.emails:
            return fold_email(text) or text
        if column in self.sink.phones:
            return fold_phone(text) or text
        return text

    def full_key(self, record: JSON, key: str) -> str:
        """A key with what is part of it whatever its columns are."""
        suffix = self.sink.key_suffix(record)
        return orjson.dumps([key, suffix]).decode() if suffix else key

    def complete_key(self, record: JSON, item: Item) -> None:
        """Add what is part of the key whatever its columns are."""
        if (full := self.full_key(record, item.key)) != item.key:
            item.label, item.key = item.key, full

    def _prepare(self, record: JSON, item: Item) -> None:
        sink = self.sink
        if item.delete:
            if sink.no_delete:
                raise invalid(sink.no_delete)
        elif self._validator is not None and not self._validator.is_valid(record):
            raise invalid(self._complaint(record))
        sink.prepare(record, item)
        if item.remote_id is not None:
            item.id_from_record = True
            if len(item.remote_id) > LONGEST_ID:
                raise invalid(f"an id of {len(item.remote_id):,} characters: {LONGEST_ID} at most")
            if item.remote_id in {".", ".."} or "\0" in item.remote_id:
                raise invalid(f"an id cannot be {item.remote_id!r}")
        try:
            item.payload = encode_sorted(item.body)
            if item.delete:
                item.digest = DELETED
            else:
                item.digest = self.digests.of_sent(canonical(item.body), item.group)
        except (TypeError, ValueError) as error:
            raise invalid(f"cannot be sent as JSON: {error}") from None

    def _complaint(self, record: JSON) -> str:
        """The first thing that is wrong with a record, by column."""
        validator: Any = self._validator
        for error in validator.iter_errors(record):
            path: Sequence[Any] = list(error.instance_path)
            value: Any = record
            for step in path:
                value = value[step]
            place = ".".join(str(step) for step in path)
            if error.kind.name == "type":
                return f"{place}: {shortened(value)} is not of the type that the SCHEMA declares"
            return f"{place + ': ' if place else ''}{shortened(error.message, 200)}"
        return "does not fit the SCHEMA"


def is_delete(record: JSON) -> bool:
    """Whether a record says that the source no longer has it: an empty text says nothing."""
    value = record.get(DELETED_AT)
    if isinstance(value, str):
        return bool(value.strip())
    return value is not None and value is not False


def text_key(record: Any) -> str:
    """The text of a record without a key, which identifies it."""
    try:
        text = canonical(record)
    except (TypeError, ValueError):
        text = repr(record).encode("utf-8", "backslashreplace")
    return "\n" + hashlib.blake2b(text, digest_size=16).hexdigest()
