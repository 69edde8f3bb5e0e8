"""Values in the form that the vendor asks for: text, dates, tags, custom fields by their type."""

from __future__ import annotations

import re
from collections.abc import Sequence
from decimal import Decimal
from typing import Any

from reisoftware_api.channels import STATES, as_v2
from reisoftware_api.shapes import day
from reisoftware_api.writing import VALUE_NAMES
from singer_http.exact_json import NotJSON, StrangeJSON, decode, text_of
from singer_http.operations import JSON, Operation, invalid
from singer_http.sink import columns as f
from singer_http.sink.fields import Forms, form, forms
from singer_http.sink.formats import parse_as_written, parse_date_time

MANY = frozenset({"MULTIPLE_OPTIONS", "CHECKBOX"})
ONE = frozenset({"SINGLE_OPTIONS", "RADIO"})
NUMBER = frozenset({"NUMERICAL", "MONETORY", "MONETARY", "FLOAT"})
TEXT = frozenset({"", "TEXT", "LARGE_TEXT", "PHONE", "EMAIL"})
_MILLISECONDS = re.compile(r"-?[0-9]{9,}")
"""Fewer digits are a date (20240501)."""


YES = frozenset({"true", "1", "yes", "y", "on", "t"})
NO = frozenset({"false", "0", "no", "n", "off", "f"})


def text(name: str) -> f.Convert:
    """A text field: numbers (a postal code, a phone) become text."""

    def convert(value: Any) -> str:
        found = f.as_text(value)
        if found is None:
            raise invalid(f"{name}: {f.shortened(value)} is not a text")
        return found

    return convert


def boolean(name: str) -> f.Convert:
    """True or false, also as text or as 0 and 1."""

    def convert(value: Any) -> bool:
        if isinstance(value, bool):
            return value
        word = (f.as_text(value) or "").strip().lower()
        if word not in YES | NO:
            raise invalid(f"{name}: {f.shortened(value)} is neither true nor false")
        return word in YES

    return convert


def channels(value: Any) -> JSON:
    """`dndSettings`: channel → `{"status": ...}`, also as JSON text, or with the status alone."""
    given = value
    if isinstance(given, str):
        try:
            given = decode(given.encode())
        except (NotJSON, StrangeJSON, UnicodeEncodeError):
            given = None
    if not isinstance(given, dict):
        raise invalid(f"dndSettings: {f.shortened(value)} is not an object")
    found: JSON = {}
    for name, setting in as_v2(given).items():
        if setting is None:
            continue
        stop = dict(setting) if isinstance(setting, dict) else {"status": setting}
        if stop.get("status") not in STATES:
            raise invalid(
                f"dndSettings: the status of {name} is {f.shortened(stop.get('status'))}; it is "
                f"one of {', '.join(STATES)}"
            )
        found[name] = {key: part for key, part in stop.items() if part is not None}
    return found


def calendar_date(name: str) -> f.Convert:
    """A day as `YYYY-MM-DD`; of a date-time its day as written, whatever the offset."""

    def convert(value: Any) -> str:
        moment = parse_as_written(value)
        if moment is None:
            raise invalid(f"{name}: {f.shortened(value)} is not a date (ISO 8601)")
        return moment.date().isoformat()

    return convert


def start_time(value: Any) -> str:
    """A moment with its offset, as `2021-06-23T03:30:00+00:00`."""
    moment = parse_date_time(value)
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


def missing_tags(op: Operation, contact: JSON) -> list[str]:
    """The tags of a record that a contact does not have; the vendor compares them without case."""
    has = contact.get("tags")
    known = {str(tag).lower() for tag in has} if isinstance(has, list) else set()
    return [tag for tag in op.body.get("tags", ()) if tag.lower() not in known]


def split(value: str) -> list[Any]:
    """A list out of text: JSON, or parts between commas."""
    if value.lstrip().startswith("["):
        try:
            found = decode(value.encode())
        except (NotJSON, StrangeJSON, UnicodeEncodeError):
            found = None
        if isinstance(found, list):
            return found
    return [part.strip() for part in value.split(",")]


def custom(field: f.CustomField) -> f.Convert:
    """How a custom field of this type takes its values."""
    name = field.names[-1]
    kind = field.type.upper()
    if kind in MANY:
        return lambda value: options(name, value, field.choices)
    if kind in ONE:
        return lambda value: option(name, value, field.choices)
    if kind == "DATE":
        return lambda value: epoch_ms(name, value)
    if kind in NUMBER:
        return lambda value: number(name, value)
    if kind not in TEXT:
        return lambda value: value  # a type that nobody has described: as it came
    plain = text(name)
    return lambda value: str(value).lower() if isinstance(value, bool) else plain(value)


def options(name: str, value: Any, choices: Sequence[str]) -> list[str]:
    """Several choices, from a list or from text with commas."""
    items = [value] if value in choices else split(value) if isinstance(value, str) else value
    if not isinstance(items, list):
        raise invalid(f"{name}: {f.shortened(value)} is neither a list nor a text")
    return [option(name, item, choices) for item in items if not f.is_null(item)]


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
    if isinstance(found := f.exact(value), int):
        return found
    if isinstance(value, str) and _MILLISECONDS.fullmatch(value):
        return int(value)
    moment = parse_date_time(value)
    if moment is None:
        raise invalid(
            f"{name}: {f.shortened(value)} is not a date (ISO 8601, or epoch milliseconds)"
        )
    return round(moment.timestamp() * 1000)


def number(name: str, value: Any) -> int | Decimal:
    """A number, or text that is one; all its digits are kept."""
    found = f.number_of(value)
    if found is None:
        raise invalid(f"{name}: {f.shortened(value)} is not a number")
    return found


def custom_field(item: JSON) -> f.CustomField:
    """A custom field, known by its id, its key (`contact.x` or `x`) and its name."""
    key = str(item.get("fieldKey") or "")
    names = (text_of(item["id"]), key, key.removeprefix("contact."), str(item.get("name") or ""))
    return f.CustomField(
        id=names[0],
        names=tuple(filter(None, names)),
        type=str(item.get("dataType") or item.get("dateType") or ""),  # the page's misprint
        choices=tuple(str(choice) for choice in item.get("picklistOptions") or ()),
    )


def custom_values(items: list[JSON]) -> JSON:
    """Field id -> value, of a list: `value`, or as API v2 takes it, `field_value`."""
    names = ("value", *VALUE_NAMES)
    return {
        text_of(item["id"]): next((item[name] for name in names if name in item), None)
        for item in items
        if isinstance(item, dict) and item.get("id")
    }


# --- as the vendor stores them ----------------------------------------------------------------


def stored(kind: str, value: Any, *, shown: bool) -> Forms:
    """The forms (see `ReadableSink.stored_forms`) of a custom value of this type."""
    kind = kind.upper()
    if kind == "DATE":
        return (stored_day(value),)
    if kind in MANY:
        return (form(split(value) if isinstance(value, str) else value),)
    if kind in NUMBER and (found := f.number_of(value)) is not None:
        return (form(found),)
    return forms(value, shown=shown, times=not kind or kind not in TEXT | ONE)


def stored_day(value: Any) -> str:
    """The form of a date, which comes as a day, a time or epoch milliseconds."""
    return form(day(value), times=True)[:10]


def stored_flag(value: Any) -> str:
    """The form of true or false; none is false."""
    return form(value.strip().lower() in YES if isinstance(value, str) else bool(value))


LOWER = "\0lower "


def own_name(name: Forms) -> Forms:
    """The forms in which a name may be shown: a search has it in lower case."""
    return (*name, LOWER + name[0].lower())


def shown_name(contact: JSON) -> Forms:
    """The forms of a contact's full name."""
    name = form(contact.get("name") or contact.get("contactName"))
    parts = form(" ".join(filter(None, (form(contact.get(n)) for n in ("firstName", "lastName")))))
    if name != name.lower():
        return (name,)
    if parts.lower() == name or not name:
        return (parts,)  # they tell the case
    return name, LOWER + name


def tells_case(contact: JSON) -> bool:
    """Whether a contact shows in which case its full name is written."""
    return len(shown_name(contact)) == 1
