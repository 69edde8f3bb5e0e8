"""Columns of a flat table -> the vendor's fields: resolved once, applied to each record."""

from __future__ import annotations

import datetime
import re
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, NamedTuple

from singer_http.errors import ConfigError
from singer_http.exact_json import number_text, text_of
from singer_http.identity import e164, without_extension
from singer_http.operations import JSON, invalid
from singer_http.sink.formats import naive_utc

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


Member = tuple[str, CustomField | None, Any]
"""Of an object with custom fields: name, field (`None` if unknown), value (`None` for empty)."""


class CustomFields:
    """The account's custom fields, found by id, key or name (case and punctuation aside)."""

    def __init__(self, fields: Iterable[CustomField] = ()) -> None:
        self.fields = tuple(fields)
        self._ids = {field.id: field for field in self.fields}
        self._exact: dict[str, set[CustomField]] = {}
        self._folded: dict[str, set[CustomField]] = {}
        for field in self.fields:
            for name in field.names:
                self._exact.setdefault(name, set()).add(field)
                if folded := fold(name):
                    self._folded.setdefault(folded, set()).add(field)

    def find(self, name: str) -> CustomField | None:
        """The field of that name.

        Raises:
            ConfigError: several fields have that name once case and punctuation are left aside.
        """
        if name in self._ids:
            return self._ids[name]
        found = self._exact.get(name) or self._folded.get(fold(name), set())
        if len(found) > 1:
            ids = ", ".join(sorted(f"{field.names[-1]} ({field.id})" for field in found))
            raise ConfigError(
                f"The column {name!r} fits several custom fields: {ids}. Rename it to an id, in "
                "the source or with `stream_maps`."
            )
        return next(iter(found), None)


def fold(name: str) -> str:
    """A name without case, punctuation, symbols and spaces, in Unicode NFC.

    Empty for a name that has nothing else (`%`, an emoji): it is found by its exact name only.
    """
    text = unicodedata.normalize("NFC", unicodedata.normalize("NFC", name).casefold())
    kept: list[str] = []
    before = False
    for character in text:
        kind = unicodedata.category(character)[0]
        # A mark (an accent, a vowel sign) belongs to the letter before it, if there is one.
        before = kind in "LN" or (kind == "M" and before and character not in _VARIATIONS)
        if before:
            kept.append(character)
    return "".join(kept)


_VARIATIONS = frozenset(map(chr, range(0xFE00, 0xFE10)))
"""Choose between the text and the picture of a character."""


class Column(NamedTuple):
    """A column that is sent."""

    name: str
    field: str
    convert: Convert | None = None
    custom: CustomField | None = None


@dataclass(frozen=True, slots=True)
class Columns:
    """What each column of a stream is for the vendor."""

    plain: tuple[Column, ...]
    """Vendor fields."""
    custom: tuple[Column, ...]
    """Custom fields that have a column of their own."""
    unknown: tuple[str, ...]
    """Columns that the vendor does not know."""


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


def is_null(value: Any) -> bool:
    """Null, or a text of blanks only: the source has no value."""
    return value is None or (isinstance(value, str) and not value.strip())


def applier(columns: Sequence[Column], *, send_nulls: bool) -> Callable[[JSON], JSON]:
    """A function from a record to the vendor's fields; a null is left out unless nulls are sent.

    Empty text counts as null. The function raises a `Rejection` if a value cannot be converted;
    its reason names the column.
    """
    as_is = [(column.name, column.field) for column in columns if column.convert is None]
    converted = [(c.name, c.field, c.convert) for c in columns if c.convert is not None]

    def apply(record: JSON) -> JSON:
        get = record.get
        body: JSON = {}
        # `is_null`, without a call for each value of each record.
        for name, field in as_is:
            if (value := get(name)) is not None and (type(value) is not str or value.strip()):
                body[field] = value
        for name, field, convert in converted:
            if (value := get(name)) is not None and (type(value) is not str or value.strip()):
                body[field] = convert(value)
        if send_nulls:
            body |= {c.field: None for c in columns if c.name in record and is_null(get(c.name))}
        return body

    return apply


def custom_members(container: JSON, fields: CustomFields) -> Iterator[Member]:
    """The members of an object with custom fields: name, field (`None` if unknown), value.

    Raises:
        Rejection: two members are the same field, or one fits several.
    """
    taken: dict[str, str] = {}
    for name, value in container.items():
        try:
            field = fields.find(name)
        except ConfigError as error:
            raise invalid(str(error)) from None
        if field is not None:
            if field.id in taken:
                raise invalid(
                    f"{taken[field.id]!r} and {name!r} are both the custom field "
                    f"{field.names[-1]!r}"
                )
            taken[field.id] = name
        yield name, field, None if is_null(value) else value


# --- values -----------------------------------------------------------------------------------


def date_time(name: str, render: Callable[[datetime.datetime], Any] | None) -> Convert:
    """Check a date-time (ISO 8601; a naive one is UTC) and render it; `None` leaves the text.

    `render` gets it in UTC, and naive: that is rendered in half the time.
    """

    def convert(value: Any) -> Any:
        moment = naive_utc(value)
        if moment is None:
            raise invalid(f"{name}: {shortened(value)} is not a date and time (ISO 8601)")
        return render(moment) if render else value

    return convert


def exact(value: Any) -> int | Decimal | None:
    """A number of a record, as an exact one; `None` for anything else (true and false included)."""
    if isinstance(value, bool):
        return None
    if isinstance(value, float):  # a `stream_maps` expression calculates with them
        value = Decimal(repr(value))
    if isinstance(value, Decimal):
        if not value.is_finite():
            return None
        text = number_text(value)
        return int(text) if text.lstrip("-").isdecimal() else value
    return value if isinstance(value, int) else None


_NUMBER = re.compile(r"\s*[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]{1,4})?\s*")


def number_of(value: Any) -> int | Decimal | None:
    """A number, or the one that a text is; `None` for neither. All digits are kept."""
    if isinstance(value, str) and _NUMBER.fullmatch(value):
        return exact(Decimal(value.strip()))
    return exact(value)


def as_text(value: Any) -> str | None:
    """A text or a number as text (`7.0` as 7, `1.10` as it is); `None` for anything else."""
    if isinstance(value, str):
        return value
    found = exact(value)
    if isinstance(found, int):
        return text_of(found)
    if found is None:
        return None
    return format(found, "f") if "." in number_text(found) else number_text(found)


def identifier(name: str, value: Any) -> str | None:
    """An id of a record as text; `None` where the record has none.

    Raises:
        Rejection: it is neither a text nor a number.
    """
    if is_null(value):
        return None
    if isinstance(value, str):
        return value
    if exact(value) is None:
        raise invalid(f"{name}: {shortened(value)} is not an id")
    return text_of(exact(value))


def email(name: str) -> Convert:
    """An email without blanks around it."""

    def convert(value: Any) -> str:
        text = as_text(value)
        if text is None:
            raise invalid(f"{name}: {shortened(value)} is not a text")
        return text.strip()

    return convert


def phone(name: str, region: str | None, *, extension: bool = False) -> Convert:
    """Turn one phone number into E.164.

    Args:
        name: of the field, for the reason.
        region: ISO country of national numbers.
        extension: one behind the number is left out; else it makes the number invalid.
    """

    def convert(value: Any) -> str:
        if found := e164(without_extension(value) if extension else value, region):
            return found
        if region or str(value).strip().startswith("+"):
            where = f" ({region})" if region else ""
            raise invalid(f"{name}: {shortened(value)} is not a possible phone number{where}")
        raise invalid(
            f"{name}: {shortened(value)} is not in E.164 (+16193596440), and phone_region is not "
            "set"
        )

    return convert


def shortened(value: Any, length: int = 40) -> str:
    """A value, shortened for a reason."""
    text = str(value) if isinstance(value, Decimal) else repr(value)
    return text if len(text) <= length else text[: length - 1] + "…"


def masked(value: Any) -> str:
    """A personal value for a log: enough of it to recognise it."""
    text = str(value)
    return f"{text[:4]}…{text[-2:]}" if len(text) > 8 else "…"
