"""Custom values in API v2: what is understood, what is ignored, how they are read."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Any

from singer_sandbox.account import Row
from singer_sandbox.rei.account import Contact
from singer_sandbox.rei.v2.call import Call

NAMES = ("field_value", "value", "fieldValue")
"""What a written value has been called."""
KEYS = frozenset({"id", "key", *NAMES})
LISTS = frozenset({"CHECKBOX", "MULTIPLE_OPTIONS"})
CHOICES = frozenset({"SINGLE_OPTIONS", "RADIO"})
NUMBERS = frozenset({"NUMERICAL", "MONETORY"})
TEXTS = frozenset({"TEXT", "LARGE_TEXT", "PHONE"})
CLEARED_BY = {"null": (None,), "empty_text": ("",), "both": (None, ""), "none": ()}


def shown(call: Call, contact: Contact) -> list[Row]:
    """The values of a contact: `[{id, value}]`, never the key or the name."""
    return [{"id": key, "value": _read(call, key, value)} for key, value in contact.custom.items()]


def understood(call: Call, given: Any) -> tuple[Row, list[str]]:
    """Field id → new value (None clears), and what is refused.

    Without a word are ignored: unknown ids, entries without an id, a value under another name than
    the account's, a way to clear that the account does not know.
    """
    if not isinstance(given, list):
        return {}, ["customFields must be an array"]
    values: Row = {}
    problems: list[str] = []
    for index, entry in enumerate(given):
        where = f"customFields.{index}"
        if not isinstance(entry, dict):
            problems.append(f"{where} must be an object")
            continue
        problems += [f"{where}.property {k} should not exist" for k in entry if k not in KEYS]
        definition = call.account.rows["custom_fields"].get(str(entry.get("id")))
        name = next((name for name in _names(call) if name in entry), None)
        if definition is None or name is None:
            continue
        value = entry[name]
        if value is None or value == "":
            if value in CLEARED_BY[call.options["custom_value_clearing"]]:
                values[definition["id"]] = None
            continue
        kind = str(definition.get("dataType", "TEXT")).upper()
        if kind == "DATE":
            day = milliseconds_of_day(value)
            if day is not None:
                values[definition["id"]] = day
        elif problem := _problem(value, kind, definition.get("picklistOptions") or []):
            if call.options["wrong_custom_value"] == "422":
                problems.append(f"{where}.{name} {problem}")
        else:
            values[definition["id"]] = value
    return values, problems


def milliseconds_of_day(value: Any) -> int | None:
    """Epoch milliseconds of a `YYYY-MM-DD`, whatever follows; None for anything else."""
    try:
        day = date.fromisoformat(value[:10])
    except (TypeError, ValueError):
        return None
    return int(datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp()) * 1000


def day_of_milliseconds(value: int) -> str:
    """The other way round."""
    return datetime.fromtimestamp(value / 1000, UTC).date().isoformat()


def _names(call: Call) -> tuple[str, ...]:
    """The names of a value that count: version v3 has one of its own beside the account's."""
    name = call.options["custom_value_name"]
    names = NAMES if name == "any" else (name,)
    return (*names, "fieldValue") if call.version == "v3" else names


def _read(call: Call, key: str, value: Any) -> Any:
    """A value as it is read: dates are kept as v1 writes them, in milliseconds."""
    definition = call.account.rows["custom_fields"].get(key, {})
    is_date = str(definition.get("dataType")).upper() == "DATE"
    if is_date and isinstance(value, int) and call.options["date_values"] == "date":
        return day_of_milliseconds(value)
    return value


def _problem(value: Any, kind: str, choices: list[str]) -> str | None:
    """What is wrong with a value of this type; a type that is not known takes anything."""
    if kind in LISTS:
        if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
            return "must be an array of strings"
        if any(item not in choices for item in value):
            return f"must be among the options: {', '.join(map(str, choices))}"
    elif kind in CHOICES:
        if value not in choices:
            return f"must be one of the following values: {', '.join(map(str, choices))}"
    elif kind in NUMBERS:
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            return "must be a number conforming to the specified constraints"
    elif kind in TEXTS and not isinstance(value, str):
        return "must be a string"
    return None
