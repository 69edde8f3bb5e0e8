"""From a record to an operation: its key, its validity, what of it goes out."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import jsonschema_rs
import orjson

from singer_http.errors import ConfigError
from singer_http.fields import shortened
from singer_http.operations import DELETED, JSON, Operation, Rejection, invalid
from singer_http.rejects import text_key

if TYPE_CHECKING:
    from singer_http.sinks import HTTPSink


class Intake:
    """Makes the operations of one stream."""

    def __init__(
        self,
        sink: HTTPSink,
        schema: Mapping[str, Any],
        salt: bytes,
        source_salt: bytes | None = None,
        *,
        validate: bool = True,
    ) -> None:
        """Compile the schema.

        Args:
            sink: what the records are for.
            schema: the SCHEMA message's, after `stream_maps`.
            validate: whether records are held to the schema (the SDK's `validate_records`).
            salt: up to 64 bytes, of everything beside the body that changes what the vendor gets.
            source_salt: up to 64 bytes, of everything beside the record that decides what becomes
                of it; `None` if that cannot be told.

        Raises:
            ConfigError: the schema is not JSON Schema.
        """
        self.sink = sink
        # Copied for each record: that is faster than making one.
        self._digest = hashlib.blake2b(digest_size=16, key=salt)
        self._source = (
            hashlib.blake2b(digest_size=16, key=source_salt) if source_salt is not None else None
        )
        self._validate = validate
        # `_sdc_*` columns come with any stream, declared or not.
        tolerant = {
            **schema,
            "patternProperties": {"^_sdc_": {}, **schema.get("patternProperties", {})},
        }
        try:
            self._validator = jsonschema_rs.validator_for(tolerant, validate_formats=False)
        except (ValueError, jsonschema_rs.ValidationError) as error:
            raise ConfigError(
                f"The SCHEMA of {sink.stream} is not JSON Schema: {str(error).splitlines()[0]}"
            ) from None

    @property
    def tells_source(self) -> bool:
        """Whether a record that is the same as before makes the same operation."""
        return self._source is not None

    def source(self, record: JSON) -> bytes:
        """Digest of a record, whatever the order of its columns; empty if there is none."""
        if self._source is None:
            return b""
        try:
            text = orjson.dumps(record, option=orjson.OPT_SORT_KEYS)
        except (TypeError, ValueError):
            return b""
        digest = self._source.copy()
        digest.update(text)
        return digest.digest()

    def operation(
        self, record: JSON, line: bytes, seq: int, *, key: str = ""
    ) -> tuple[Operation, Rejection | None]:
        """The operation that a record asks for, and why it must not be carried out, if so."""
        delete = record.get("_sdc_deleted_at") is not None
        op = Operation(key=key, delete=delete, line=line, seq=seq)
        try:
            op.key = key or self.key_of(record)
            self._prepare(record, op)
        except Rejection as rejection:
            if not op.key:
                op.key = text_key(record)
            return op, rejection
        return op, None

    def key_of(self, record: JSON) -> str:
        """The canonical text of a record's key.

        Raises:
            Rejection: a key column is missing or null.
        """
        parts = []
        for column in self.sink.keys:
            value = record.get(column)
            if value is None or value == "":
                raise invalid(f"the key column {column!r} is missing, null or empty")
            parts.append(value if isinstance(value, str) else str(value))
        return parts[0] if len(parts) == 1 else orjson.dumps(parts).decode()

    def key_or_empty(self, record: JSON) -> str:
        """The canonical text of a record's key; empty if a key column is missing or null."""
        try:
            return self.key_of(record)
        except Rejection:
            return ""

    def _prepare(self, record: JSON, op: Operation) -> None:
        sink = self.sink
        if op.delete:
            if sink.no_delete:
                raise invalid(sink.no_delete)
        elif self._validate and not self._validator.is_valid(record):
            raise invalid(self._complaint(record))
        sink.prepare(record, op)
        suffix = sink.key_suffix(op)
        if suffix:
            op.key = f"{op.key}\n{suffix}"
        op.own_handle = op.handle is not None
        if op.handle in {".", ".."}:
            raise invalid(f"an id cannot be {op.handle!r}")
        try:
            op.payload = payload = orjson.dumps(op.body, option=orjson.OPT_SORT_KEYS)
        except (TypeError, ValueError) as error:
            raise invalid(f"cannot be sent as JSON: {error}") from None
        if op.delete:
            op.digest = DELETED
            return
        digest = self._digest.copy()
        digest.update(payload)
        if op.group is not None:
            digest.update(repr(op.group).encode())
        op.digest = digest.digest()

    def _complaint(self, record: JSON) -> str:
        """The first thing that is wrong with a record, by column."""
        for error in self._validator.iter_errors(record):
            path: Sequence[Any] = list(error.instance_path)
            value: Any = record
            for step in path:
                value = value[step]
            place = ".".join(str(step) for step in path)
            if error.kind.name == "type":
                return f"{place}: {shortened(value)} is not of the type that the SCHEMA declares"
            return f"{place + ': ' if place else ''}{shortened(error.message, 200)}"
        return "does not fit the SCHEMA"
