"""Values in the form that the vendor asks for: text, dates, tags, custom fields by their type."""

from __future__ import annotations

import datetime
import json
import math
from collections.abc import Sequence
from typing import Any

from singer_http.operations import invalid
from singer_http.sink import columns as f

MANY = frozenset({"MULTIPLE_OPTIONS", "CHECKBOX"})
ONE = frozenset({"SINGLE_OPTIONS", "RADIO"})
NUMBER = frozenset({"NUMERICAL", "MONETORY", "MONETARY", "FLOAT"})
TEXT = frozenset({"", "TEXT", "LARGE_TEXT", "PHONE", "EMAIL"})


def text(name: str) -> f.Convert:
    """A text field: numbers (a postal code, a phone) become text."""

    def convert(value: Any) -> str:
        if isinstance(value, str):
            return value
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise invalid(f"{name}: {f.shortened(value)} is not a text")
        return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)

    return convert


def calendar_date(name: str) -> f.Convert:
    """A day as `YYYY-MM-DD`; of a date-time its day as written, whatever the offset."""

    def convert(value: Any) -> str:
        try:
            return datetime.datetime.fromisoformat(value).date().isoformat()
        except (TypeError, ValueError):
            raise invalid(f"{name}: {f.shortened(value)} is not a date (ISO 8601)") from None

    return convert


def start_time(value: Any) -> str:
    """A moment with its offset, as `2021-06-23T03:30:00+00:00`."""
    moment = f.parse_date_time(value)
    if moment is None:
        raise invalid(f"eventStartTime: {f.shortened(value)} is not a date and time (ISO 8601)")
    return moment.isoformat(timespec="milliseconds" if moment.microsecond else "seconds")


def tags(name: str, value: Any) -> list[str]:
    """Tags from a list, or from text with commas; sorted, each once."""
    if value is None:
        return []
    items = split(value) if isinstance(value, str) else value
    if not isinstance(items, list) or not all(isinstance(item, str) for item in items):
        raise invalid(f"{name}: {f.shortened(value)} is neither a list of texts nor a text")
    return sorted({item.strip() for item in items} - {""})


def split(value: str) -> list[Any]:
    """A list out of text: JSON, or parts between commas."""
    if value.lstrip().startswith("["):
        try:
            found = json.loads(value)
        except ValueError:
            found = None
        if isinstance(found, list):
            return found
    return [part.strip() for part in value.split(",")]


def custom(field: f.CustomField) -> f.Convert:
    """How a custom field of this type takes its values; an empty text counts as null."""
    name = field.names[-1]
    kind = field.type.upper()
    if kind in MANY:
        return lambda value: None if value == "" else options(name, value, field.choices)
    if kind in ONE:
        return lambda value: None if value == "" else option(name, value, field.choices)
    if kind == "DATE":
        return lambda value: None if value == "" else epoch_ms(name, value)
    if kind in NUMBER:
        return lambda value: None if value == "" else number(name, value)
    if kind not in TEXT:
        return lambda value: value  # a type that nobody has described: as it came
    plain = text(name)
    return lambda value: str(value).lower() if isinstance(value, bool) else plain(value)


def options(name: str, value: Any, choices: Sequence[str]) -> list[str]:
    """Several choices, from a list or from text with commas."""
    items = [value] if value in choices else split(value) if isinstance(value, str) else value
    if not isinstance(items, list):
        raise invalid(f"{name}: {f.shortened(value)} is neither a list nor a text")
    return [option(name, item, choices) for item in items if item != ""]


def option(name: str, value: Any, choices: Sequence[str]) -> str:
    """One of the field's choices."""
    item: str = text(name)(value)
    if choices and item not in choices:
        raise invalid(
            f"{name}: {f.shortened(item)} is none of its choices: {f.shortened(list(choices), 200)}"
        )
    return item


def epoch_ms(name: str, value: Any) -> int:
    """A moment as epoch milliseconds, from a date, a date-time, or the milliseconds themselves."""
    if isinstance(value, int | float) and not isinstance(value, bool) and float(value).is_integer():
        return int(value)
    if isinstance(value, str) and value.lstrip("-").isdecimal() and len(value) > 8:
        return int(value)
    moment = f.parse_date_time(value)
    if moment is None:
        raise invalid(
            f"{name}: {f.shortened(value)} is not a date (ISO 8601, or epoch milliseconds)"
        )
    return round(moment.timestamp() * 1000)


def number(name: str, value: Any) -> int | float:
    """A number, or text that is one."""
    found = value
    if isinstance(value, str):
        try:
            found = float(value)
        except ValueError:
            found = None
    if isinstance(found, bool) or not isinstance(found, int | float) or not math.isfinite(found):
        raise invalid(f"{name}: {f.shortened(value)} is not a number")
    return int(found) if float(found).is_integer() else found
