"""Columns of a flat table -> the vendor's fields: resolved once, applied to each record."""

from __future__ import annotations

import datetime
import math
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, NamedTuple

from singer_http.errors import ConfigError
from singer_http.operations import JSON, invalid

Convert = Callable[[Any], Any]
"""A value of the source -> the vendor's form. Raises a `Rejection` if it has none."""


@dataclass(frozen=True, slots=True)
class CustomField:
    """A custom field of the account."""

    id: str
    """What stands in a request."""
    names: tuple[str, ...]
    """Everything it is known by: id, key, name."""
    type: str = ""
    choices: tuple[str, ...] = ()
    required: bool = False


class CustomFields:
    """The account's custom fields, found by id, key or name (case and punctuation aside)."""

    def __init__(self, fields: Iterable[CustomField] = ()) -> None:
        self.fields = tuple(fields)
        self._exact: dict[str, CustomField] = {}
        self._folded: dict[str, set[CustomField]] = {}
        for field in self.fields:
            for name in field.names:
                self._exact.setdefault(name, field)
                self._folded.setdefault(fold(name), set()).add(field)

    def find(self, name: str) -> CustomField | None:
        """The field of that name.

        Raises:
            ConfigError: several fields have that name once case and punctuation are left aside.
        """
        if name in self._exact:
            return self._exact[name]
        found = self._folded.get(fold(name), set())
        if len(found) > 1:
            ids = ", ".join(sorted(f"{field.names[-1]} ({field.id})" for field in found))
            raise ConfigError(
                f"The column {name!r} fits several custom fields: {ids}. Rename it to an id, in "
                "the source or with `stream_maps`."
            )
        return next(iter(found), None)


def fold(name: str) -> str:
    """A name without case and punctuation."""
    return re.sub(r"[\W_]+", "", name.casefold())


class Column(NamedTuple):
    """A column that goes out."""

    name: str
    field: str
    convert: Convert | None = None
    custom: CustomField | None = None


@dataclass(frozen=True, slots=True)
class Columns:
    """What becomes of a stream's columns."""

    plain: tuple[Column, ...]
    """Vendor fields."""
    custom: tuple[Column, ...]
    """Custom fields that have a column of their own."""
    unknown: tuple[str, ...]
    """Columns that are nothing the vendor knows."""


def resolve(
    properties: Mapping[str, Any],
    *,
    fields: Iterable[str],
    left_out: Iterable[str],
    keys: Iterable[str],
    custom_fields: Callable[[], CustomFields] | None,
    convert: Callable[[str, CustomField | None, Mapping[str, Any]], Convert | None],
) -> Columns:
    """Find out what each column is.

    Args:
        properties: the SCHEMA's properties.
        fields: the vendor's writable fields.
        left_out: columns that are never sent and never unknown (read-only fields).
        keys: columns that are never unknown.
        custom_fields: asks the vendor; called only if a column is not one of its fields.
        convert: field, custom field, property schema -> how a value of the column is converted.

    Raises:
        ConfigError: two columns are the same field.
    """
    vendor, ignored, known = set(fields), set(left_out), set(keys)
    plain, custom, unknown = [], [], []
    taken: dict[str, str] = {}
    for name, schema in properties.items():
        if name.startswith("_sdc_"):
            continue
        field: CustomField | None = None
        if name in vendor:
            plain.append(Column(name, name, convert(name, None, schema)))
        elif name in ignored:
            continue
        elif custom_fields is not None and (field := custom_fields().find(name)) is not None:
            if field.id in taken:
                raise ConfigError(
                    f"The columns {taken[field.id]!r} and {name!r} are both the custom field "
                    f"{field.names[-1]!r}: leave one out."
                )
            taken[field.id] = name
            custom.append(Column(name, field.id, convert(field.id, field, schema), field))
        elif name not in known:
            unknown.append(name)
    return Columns(tuple(plain), tuple(custom), tuple(unknown))


def format_of(schema: Mapping[str, Any]) -> str | None:
    """The `format` of a property schema, or of one of its alternatives."""
    if schema.get("format"):
        return str(schema["format"])
    for alternatives in ("anyOf", "oneOf"):
        for schema_ in schema.get(alternatives, ()):
            if found := format_of(schema_):
                return found
    return None


def applier(columns: Sequence[Column], *, send_nulls: bool) -> Callable[[JSON], JSON]:
    """A function from a record to the vendor's fields; a null is left out unless nulls are sent.

    The function raises a `Rejection` if a value cannot be converted; its reason names the column.
    """
    as_is = [(column.name, column.field) for column in columns if column.convert is None]
    converted = [(c.name, c.field, c.convert) for c in columns if c.convert is not None]

    def apply(record: JSON) -> JSON:
        get = record.get
        body = {field: value for name, field in as_is if (value := get(name)) is not None}
        for name, field, convert in converted:
            if (value := get(name)) is not None:
                body[field] = convert(value)
        if send_nulls:
            body |= {c.field: None for c in columns if c.name in record and get(c.name) is None}
        return body

    return apply


_TIME_Z = len("2014-07-22T20:18:57")
"""Where the usual form has its Z."""
_SPACE_BEFORE_ZONE = re.compile(r"\s+(?=[+-]\d{2}:?\d{2}$)")


# --- values -----------------------------------------------------------------------------------


def date_time(name: str, render: Callable[[datetime.datetime], Any] | None) -> Convert:
    """Check a date-time (ISO 8601; a naive one is UTC) and render it; `None` leaves the text.

    `render` gets it in UTC, and naive: that is rendered in half the time.
    """

    def convert(value: Any) -> Any:
        moment = _naive_utc(value)
        if moment is None:
            raise invalid(f"{name}: {shortened(value)} is not a date and time (ISO 8601)")
        return render(moment) if render else value

    return convert


def parse_date_time(value: Any) -> datetime.datetime | None:
    """A moment in UTC, `None` if the value is not one."""
    moment = _naive_utc(value)
    return moment and moment.replace(tzinfo=datetime.UTC)


def _naive_utc(value: Any) -> datetime.datetime | None:
    if not isinstance(value, str):
        return None
    parse = datetime.datetime.fromisoformat
    try:
        if value[_TIME_Z:] == "Z":
            moment = parse(value[:_TIME_Z])
            return moment if moment.tzinfo is None else None
        try:
            moment = parse(value)
        except ValueError:
            moment = parse(_SPACE_BEFORE_ZONE.sub("", value))
        if moment.tzinfo is not None:
            moment = moment.astimezone(datetime.UTC)
        return moment.replace(tzinfo=None)
    except (ValueError, OverflowError):
        return None


def phone(name: str, region: str) -> Convert:
    """Turn a phone number into E.164; a national one is of the region (ISO country)."""
    import phonenumbers  # noqa: PLC0415 - a tenth of a second, for those who ask for it

    def convert(value: Any) -> str:
        try:
            number = phonenumbers.parse(str(value), region.upper())
        except phonenumbers.NumberParseException:
            number = None
        if number is None or not phonenumbers.is_possible_number(number):
            raise invalid(f"{name}: {shortened(value)} is not a phone number ({region})")
        return str(phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164))

    return convert


def shortened(value: Any, length: int = 40) -> str:
    """A value as it may stand in a reason."""
    text = repr(value)
    return text if len(text) <= length else text[: length - 1] + "…"


def masked(value: Any) -> str:
    """A personal value as it may stand in a log: enough of it to know it again."""
    text = str(value)
    return f"{text[:4]}…{text[-2:]}" if len(text) > 8 else "…"


def number(text: str) -> Any:
    """A JSON number with a point or an exponent: 1.0 is 1, so that its form is no change.

    A `Decimal` where no float has the value: it cannot be sent as JSON, and is rejected then.
    """
    value = float(text)
    if value.is_integer():
        return int(value)
    return value if math.isfinite(value) else Decimal(text)
