"""The types of undocumented fields, inferred from a page of records."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Any

from genson import SchemaBuilder  # type: ignore[import-untyped]

JSONSchema = dict[str, Any]

ANYTHING = ["string", "number", "boolean", "object", "array", "null"]
"""The type of a field that was null in every record: nothing more is known of it."""


def merged(core: Mapping[str, Any], records: Iterable[Mapping[str, Any]]) -> JSONSchema:
    """A stream's schema: the declared properties and those that its records have.

    A declared property keeps only the types that were found, or gets them added where they are
    not declared. A property that is not declared is nullable.
    """
    builder = SchemaBuilder()
    builder.add_schema({"type": "object", "properties": {}})
    for record in records:
        builder.add_object(_with_floats(record))
    found = builder.to_schema().get("properties", {})
    properties = {
        name: _refined(definition, found.get(name))
        for name, definition in core["properties"].items()
    }
    properties |= {
        name: _open(definition) for name, definition in found.items() if name not in properties
    }
    return {**core, "properties": properties}


def _with_floats(value: Any) -> Any:
    """The same with a float for each Decimal, which genson does not know."""
    if isinstance(value, Mapping):
        return {name: _with_floats(item) for name, item in value.items()}
    if isinstance(value, list):
        return [_with_floats(item) for item in value]
    return 0.5 if isinstance(value, Decimal) else value


def _refined(declared: Mapping[str, Any], found: Mapping[str, Any] | None) -> JSONSchema:
    """A declared property, with what was found of it."""
    known = set(_types(found or {})) - {"null"}
    if not found or not known:
        return dict(declared)
    allowed = _types(declared)
    if not known <= set(allowed):
        types = [*allowed, *sorted(known - set(allowed))]
    else:
        types = [kind for kind in allowed if kind in known or kind == "null"]
    inner = {k: v for k, v in _open(found).items() if k not in ("type", "anyOf")}
    return {**declared, **inner, "type": types}


def _open(found: Mapping[str, Any]) -> JSONSchema:
    """A found schema that lets later records have null, and members that these lack."""
    types = _types(found)
    if set(types) <= {"null"}:
        return {"type": ANYTHING}
    schema: JSONSchema = {"type": [*(kind for kind in types if kind != "null"), "null"]}
    for part in found.get("anyOf", [found]):
        if "object" in _types(part):
            nested = part.get("properties", {})
            schema["properties"] = {name: _open(each) for name, each in nested.items()}
            schema["additionalProperties"] = True
        if "array" in _types(part):
            schema["items"] = _open(part["items"]) if part.get("items") else {}
    return schema


def _types(schema: Mapping[str, Any]) -> list[str]:
    """The JSON types that a schema allows."""
    if "anyOf" in schema:
        return sorted({kind for part in schema["anyOf"] for kind in _types(part)})
    kind = schema.get("type", [])
    return [kind] if isinstance(kind, str) else list(kind)
