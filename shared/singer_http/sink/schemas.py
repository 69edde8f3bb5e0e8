"""SCHEMAs of JSON Schema draft 4 to 2020-12, brought to one form that all parts understand."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import jsonschema_rs

from singer_http.errors import ConfigError, StopRun

_OF_SCHEMAS = ("properties", "patternProperties", "definitions", "$defs", "dependentSchemas")
"""Members whose values are schemas by name."""
_BOUNDS = (("exclusiveMaximum", "maximum"), ("exclusiveMinimum", "minimum"))
DEEPEST = 100
"""Levels of a SCHEMA that are read."""


def normalised(schema: Any, depth: int = 0) -> Any:
    """The same SCHEMA: boolean schemas as objects, draft 4's boolean bounds as numbers."""
    if schema is True:
        return {}
    if schema is False:
        return {"not": {}}
    if not isinstance(schema, Mapping) or depth > DEEPEST:
        return schema
    out: dict[str, Any] = {}
    for name, value in schema.items():
        if name in _OF_SCHEMAS and isinstance(value, Mapping):
            out[name] = {k: normalised(v, depth + 1) for k, v in value.items()}
        elif name in {"items", "not", "contains", "propertyNames"} and not isinstance(value, list):
            out[name] = normalised(value, depth + 1)
        elif name in {"items", "anyOf", "allOf", "oneOf", "prefixItems"} and isinstance(
            value, list
        ):
            out[name] = [normalised(item, depth + 1) for item in value]
        else:
            out[name] = value
    for exclusive, bound in _BOUNDS:
        if out.get(exclusive) is True and bound in out:
            out[exclusive] = out.pop(bound)
        elif isinstance(out.get(exclusive), bool):
            del out[exclusive]
    return out


def of_message(message: Mapping[str, Any], number: int) -> tuple[str, dict[str, Any], list[str]]:
    """Source stream, normalised schema and key properties of a SCHEMA message.

    Raises:
        StopRun: it is not a SCHEMA message.
    """
    stream, schema = message.get("stream"), normalised(message.get("schema"))
    if not isinstance(stream, str) or not isinstance(schema, dict):
        raise StopRun(f"Line {number}: a SCHEMA message needs a stream and a schema.")
    if not isinstance(schema.get("properties"), dict):
        raise StopRun(f"Line {number}: the SCHEMA of {stream} needs properties.")
    keys = message.get("key_properties") or []
    if not isinstance(keys, list) or not all(isinstance(key, str) for key in keys):
        raise StopRun(f"Line {number}: key_properties of {stream} must be a list of names.")
    return stream, schema, keys


def validator(stream: str, schema: Mapping[str, Any]) -> Any:
    """A validator of a normalised SCHEMA; `_sdc_*` columns come with any stream.

    Raises:
        ConfigError: the schema is not JSON Schema.
    """
    tolerant = {
        **{name: value for name, value in schema.items() if name not in {"$schema", "id", "$id"}},
        "patternProperties": {"^_sdc_": {}, **schema.get("patternProperties", {})},
    }
    try:
        return jsonschema_rs.validator_for(
            tolerant, validate_formats=False, retriever=_nothing_from_elsewhere
        )
    except (ValueError, jsonschema_rs.ValidationError) as error:
        words = (str(error).splitlines() or ["?"])[0]
        raise ConfigError(
            f"The SCHEMA of {stream} is not JSON Schema: {words}. Correct it in the tap's catalog."
        ) from None


def _nothing_from_elsewhere(uri: str) -> Any:
    """A `$ref` to another document: nothing is fetched for it."""
    message = f"$ref to {uri}: only references within the SCHEMA are read"
    raise ValueError(message)
