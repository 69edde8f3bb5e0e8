"""The `format` of a SCHEMA's properties, and dates and times in the forms that sources write."""

from __future__ import annotations

import contextlib
import datetime
import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import unquote


def properties_of(schema: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """The properties of a SCHEMA, each with its `format` where it is looked for.

    A `format` may stand under `anyOf`, `oneOf`, `allOf` or a local `$ref`. A boolean schema
    (`true`) becomes an empty object.
    """
    found = {}
    for name, declared in schema["properties"].items():
        own = dict(declared) if isinstance(declared, Mapping) else {}
        if format_ := format_of(own, schema):
            own["format"] = format_
        found[name] = own
    return found


def format_of(schema: Any, root: Any = None) -> str | None:
    """The `format` of a property schema, or of one of its alternatives.

    Args:
        schema: an object, or a boolean (which has none).
        root: the whole SCHEMA, in which a local `$ref` is looked up.
    """
    return _format_of(schema, root, frozenset())


def _format_of(schema: Any, root: Any, followed: frozenset[str]) -> str | None:
    if not isinstance(schema, Mapping):
        return None
    if isinstance(found := schema.get("format"), str) and found:
        return found
    reference = schema.get("$ref")
    if isinstance(reference, str) and reference not in followed:
        target = _resolved(reference, root)
        if found := _format_of(target, root, followed | {reference}):
            return found
    for alternatives in ("anyOf", "oneOf", "allOf"):
        inner = schema.get(alternatives)
        for schema_ in inner if isinstance(inner, list) else ():
            if found := _format_of(schema_, root, followed):
                return found
    return None


def _resolved(reference: str, root: Any) -> Any:
    """What a local reference (`#/definitions/x`, a JSON pointer) points to; `None` if nothing."""
    if not reference.startswith("#"):
        return None
    found = root
    for part in unquote(reference[1:]).split("/")[1:]:
        name = part.replace("~1", "/").replace("~0", "~")
        if isinstance(found, Mapping):
            found = found.get(name)
        elif isinstance(found, list) and name.isdecimal() and int(name) < len(found):
            found = found[int(name)]
        else:
            return None
    return found


def parse_date_time(value: Any) -> datetime.datetime | None:
    """A moment in UTC, `None` if the value is not one."""
    moment = naive_utc(value)
    return moment and moment.replace(tzinfo=datetime.UTC)


def parse_as_written(value: Any) -> datetime.datetime | None:
    """A date or a moment with the offset that it was written with, if any; `None` for neither."""
    if not isinstance(value, str):
        return None
    try:
        return datetime.datetime.fromisoformat(value)
    except ValueError:
        return _unusual(value)


_TIME_Z = len("2014-07-22T20:18:57")
"""Where the usual form has its Z."""
_UNUSUAL = re.compile(
    r"""\s* (?P<day> \d{4}-?\d\d-?\d\d )
    ([Tt\s] (?P<hour>\d\d) :? (?P<minute>\d\d) (:? (?P<second>\d\d) (?P<fraction>[.,]\d+)? )?
    \s* (?P<zone> [Zz] | [+-]\d\d(:?\d\d)? )? )? \s*""",
    re.VERBOSE,
)


def naive_utc(value: Any) -> datetime.datetime | None:
    """A date or a moment in UTC, without a zone (one that has none is UTC); `None` for neither."""
    if not isinstance(value, str):
        return None
    if value[_TIME_Z:] == "Z":
        with contextlib.suppress(ValueError):
            moment: datetime.datetime | None = datetime.datetime.fromisoformat(value[:_TIME_Z])
            if moment is not None and moment.tzinfo is None:
                return moment
    moment = parse_as_written(value)
    if moment is None or moment.tzinfo is None:
        return moment
    try:
        return moment.astimezone(datetime.UTC).replace(tzinfo=None)
    except OverflowError:
        return None


def _unusual(value: str) -> datetime.datetime | None:
    """Forms of ISO 8601 that Python does not read: a z, blanks, 24:00, a leap second."""
    found = _UNUSUAL.fullmatch(value)
    if found is None:
        return None
    hour, second = found["hour"] or "00", found["second"] or "00"
    days, seconds = int(hour == "24"), int(second == "60")
    if days and (found["minute"], second) != ("00", "00"):
        return None
    text = (
        f"{found['day'].replace('-', '')}T{'00' if days else hour}{found['minute'] or '00'}"
        f"{'59' if seconds else second}"
        f"{found['fraction'] or ''}{(found['zone'] or '').upper()}"
    )
    try:
        moment = datetime.datetime.fromisoformat(text)
        return moment + datetime.timedelta(days=days, seconds=seconds)
    except (ValueError, OverflowError):
        return None
