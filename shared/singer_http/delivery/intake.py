"""From a record to an operation: its key, its validity, what of it goes out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import jsonschema_rs
import orjson

from singer_http.delivery.digests import Digests
from singer_http.errors import ConfigError
from singer_http.operations import DELETED, JSON, Operation, Rejection, invalid
from singer_http.sink.columns import shortened
from singer_http.store.rejects import text_key

if TYPE_CHECKING:
    from singer_http.sink.base import HTTPSink


class Intake:
    """Makes the operations of one stream."""

    def __init__(self, sink: HTTPSink, schema: Mapping[str, Any], *, validate: bool = True) -> None:
        """Compile the schema.

        Args:
            sink: what the records are for.
            schema: the SCHEMA message's, after `stream_maps`.
            validate: whether records are held to the schema (the SDK's `validate_records`).

        Raises:
            ConfigError: the schema is not JSON Schema.
        """
        self.sink = sink
        self.digests = Digests(sink, schema)
        self._column = sink.keys[0] if len(sink.keys) == 1 else None
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
        if self._column is not None:
            value = record.get(self._column)
            if type(value) is str and value:
                return value
        parts = []
        for column in self.sink.keys:
            value = record.get(column)
            if value is None or value == "":
                raise invalid(f"the key column {column!r} is missing, null or empty")
            parts.append(value if isinstance(value, str) else str(value))
        return parts[0] if len(parts) == 1 else orjson.dumps(parts).decode()

    def _prepare(self, record: JSON, op: Operation) -> None:
        sink = self.sink
        if op.delete:
            if sink.no_delete:
                raise invalid(sink.no_delete)
        elif self._validate and not self._validator.is_valid(record):
            raise invalid(self._complaint(record))
        sink.prepare(record, op)
        if suffix := sink.key_suffix(op):
            op.key = f"{op.key}\n{suffix}"
        if op.remote_id is not None:
            op.id_from_record = True
            if op.remote_id in {".", ".."}:
                raise invalid(f"an id cannot be {op.remote_id!r}")
        try:
            op.payload = payload = orjson.dumps(op.body, option=orjson.OPT_SORT_KEYS)
        except (TypeError, ValueError) as error:
            raise invalid(f"cannot be sent as JSON: {error}") from None
        if op.delete:
            op.digest = DELETED
            return
        op.digest = self.digests.of_sent(payload, op.group)

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
