"""Kasplo's custom fields: what a value has to be, by the account's definitions."""

from __future__ import annotations

import re
from collections.abc import Callable
from decimal import Decimal
from typing import Any

from singer_http.exact_json import text_of
from singer_http.operations import JSON, invalid
from singer_http.sink.columns import Convert, CustomField, as_text, exact, shortened
from singer_http.sink.formats import parse_as_written

SEPARATORS = ("\n", "|", ";", ",")
"""What may stand between a dropdown's choices, which Kasplo does not document."""
Check = Callable[[CustomField, Any], Any]
TRUE, FALSE = frozenset({"true", "1", "yes"}), frozenset({"false", "0", "no"})


def field_of(item: JSON) -> CustomField:
    """A definition as the vendor gives it. In a request a field goes by its name."""
    name = text_of(item["name"])
    return CustomField(
        id=name,
        names=(text_of(item.get("custom_id") or name), name),
        type=str(item.get("type") or "string").lower(),
        choices=choices_of(item.get("values")),
        required=str(item.get("required")).lower() in ("1", "true"),
    )


def choices_of(values: Any) -> tuple[str, ...]:
    """A dropdown's choices, by the first separator that occurs."""
    if isinstance(values, list):
        return tuple(str(value).strip() for value in values)
    text = str(values or "")
    separator = next((s for s in SEPARATORS if s in text), "\n")
    return tuple(choice for part in text.split(separator) if (choice := part.strip()))


def converter(field: CustomField) -> Convert:
    """The check of a field's values: returns what goes out, or raises a `Rejection`."""
    check: Check = _CHECKS.get(field.type, _text)

    def convert(value: Any) -> Any:
        if isinstance(value, dict | list):
            raise invalid(f"{field.id}: {shortened(value)} is not a single value")
        return check(field, value)

    return convert


def _text(_field: CustomField, value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return as_text(value) or str(value)


def _boolean(field: CustomField, value: Any) -> bool:
    word = _text(field, value).strip().lower()
    if word not in TRUE | FALSE:
        raise invalid(f"{field.id}: {shortened(value)} is not true or false")
    return word in TRUE


def _numeric(field: CustomField, value: Any) -> int | Decimal | str:
    """A number as it came; text stays text."""
    if (found := exact(value)) is not None:
        return found
    if not isinstance(value, str) or not re.fullmatch(r"[+-]?[0-9]+(\.[0-9]+)?", value.strip()):
        raise invalid(f"{field.id}: {shortened(value)} is not a number")
    return value.strip()


def _date(field: CustomField, value: Any) -> str:
    text = _text(field, value).strip()
    if parse_as_written(text) is None:
        raise invalid(f"{field.id}: {shortened(value)} is not a date (2026-01-31)")
    return text


def _dropdown(field: CustomField, value: Any) -> str:
    text = _text(field, value).strip()
    # Split by any of the separators: what one of them would make of it is let through.
    rest = {part.strip() for choice in field.choices for part in re.split(r"[\n|;,]", choice)}
    if text not in field.choices and text not in rest:
        raise invalid(f"{field.id}: {shortened(value)} is none of {', '.join(field.choices)}")
    return text


_CHECKS: dict[str, Check] = {
    "boolean": _boolean,
    "numeric": _numeric,
    "date": _date,
    "dropdown": _dropdown,
}
