"""The fields of a record, compared as the vendor stores them, and the short hashes of them.

A field is known by the vendor's name for it. One within another has both names: a custom field is
`customField.<id>`, a channel `dndSettings.Email`.
"""

from __future__ import annotations

import datetime
import re
import unicodedata
from collections.abc import Callable, Collection, Iterator, Mapping
from decimal import Decimal
from typing import Any, NamedTuple

from singer_http.exact_json import canonical, text_of
from singer_http.operations import JSON
from singer_http.sink import columns as f
from singer_http.sink.formats import naive_utc

_FRACTION = re.compile(r"-?(0|[1-9][0-9]*)\.[0-9]+")
"""A text that is a number with decimals. `01234` is a text: its zero may be what was corrected."""
_MOMENT = re.compile(r"\d{4}-\d\d-\d\d([T ]\d\d:\d\d.*)?", re.DOTALL)


# --- names ------------------------------------------------------------------------------------


def flat(record: JSON) -> Iterator[tuple[str, Any]]:
    """Fields by name: those of an object, or of a list of key and value, below its own."""
    for name, value in record.items():
        if isinstance(value, dict):
            yield from ((f"{name}.{inner}", v) for inner, v in value.items())
        elif isinstance(value, list) and value and all(map(_is_pair, value)):
            yield from ((f"{name}.{_key(item)}", item["value"]) for item in value)
        else:
            yield name, value


def without(body: JSON, names: Collection[str]) -> JSON:
    """A body without these fields; an object or list that was emptied by that is left out."""
    kept: JSON = {}
    for name, value in body.items():
        if name in names:
            continue
        rest = value
        if isinstance(value, dict):
            rest = {inner: v for inner, v in value.items() if f"{name}.{inner}" not in names}
        elif isinstance(value, list) and value and all(map(_is_pair, value)):
            rest = [item for item in value if f"{name}.{_key(item)}" not in names]
        if rest or rest == value:
            kept[name] = rest
    return kept


def _is_pair(item: Any) -> bool:
    return isinstance(item, dict) and "value" in item and bool(_key(item))


def _key(item: JSON) -> Any:
    return item.get("key") or item.get("id")


# --- values -----------------------------------------------------------------------------------


def form(value: Any) -> str:
    """A value without what vendors change in it: empty for none.

    Text is trimmed and in Unicode NFC; a number is its shortest text (7, 7.0 and "7" are one), a
    time is in UTC and in whole seconds, midnight is its day; a list has no order.
    """
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return _form_of_text(value)
    if isinstance(value, list):
        parts = sorted(filter(None, map(form, value)))
        return canonical(parts).decode() if parts else ""
    if isinstance(value, dict):
        members = {name: text for name, inner in value.items() if (text := form(inner))}
        return canonical(members).decode() if members else ""
    return _form_of_number(value)


def _form_of_text(value: str) -> str:
    text = value.strip()
    if not text.isascii():
        text = unicodedata.normalize("NFC", text)
    if _FRACTION.fullmatch(text):
        return _form_of_number(Decimal(text))
    if _MOMENT.fullmatch(text) and (moment := naive_utc(text)):
        return form_of_time(moment)
    return text


def _form_of_number(value: Any) -> str:
    number = f.exact(value)
    if isinstance(number, Decimal):
        return format(number.normalize(), "f")
    return text_of(value if number is None else number)


def form_of_time(moment: datetime.datetime) -> str:
    """A moment in UTC in whole seconds; its day, if it is midnight."""
    if moment.time().replace(microsecond=0) == datetime.time():
        return moment.date().isoformat()
    return moment.isoformat(" ", "seconds")


# --- hashes -----------------------------------------------------------------------------------

FORM = b"\x01"
"""How values are brought into their form: raise it when `form` changes. Hashes of another form
are not read."""
_SIZE = 4
"""Bytes of a name, and of a value."""


class FieldHashes:
    """Packs what a sync wrote last, field by field, into `delivered.fields`; and compares with it.

    A byte for the form, then 8 bytes for each value: a hash of the field, one of its value. A field
    that is there twice has one of these values: an answer was lost.
    """

    def __init__(self, hashed: Callable[[str], bytes]) -> None:
        """Hash with a salt.

        Args:
            hashed: text -> 8 bytes (`Ledger.name`).
        """
        self._hashed = hashed
        self._names: dict[str, bytes] = {}

    def pack(self, forms: Mapping[str, str], before: bytes | None = None) -> bytes:
        """What is written now takes the place of what was.

        Args:
            forms: field -> its value, as the vendor stores it.
            before: what was packed before; its other fields stay.
        """
        names = {self._name(field) for field in forms}
        kept = [entry for entry in _entries(before) if entry[:_SIZE] not in names]
        return b"".join((FORM, *kept, *(self._entry(*item) for item in forms.items())))

    @staticmethod
    def joined(*packed: bytes) -> bytes:
        """What may have been written beside what was: any of it is this sync's own."""
        entries = dict.fromkeys(entry for one in packed for entry in _entries(one))
        return b"".join((FORM, *entries))

    def has(self, packed: bytes | None, field: str) -> bool:
        """Whether this sync is known to have written a field."""
        name = self._name(field)
        return any(entry[:_SIZE] == name for entry in _entries(packed))

    def wrote(self, packed: bytes | None, field: str, form: str) -> bool:
        """Whether a value is what this sync wrote last (false for a field that it never wrote)."""
        return self._entry(field, form) in _entries(packed)

    def edited(self, packed: bytes, forms: Mapping[str, str]) -> list[str]:
        """The fields that this sync wrote, and that have another value now.

        Args:
            packed: what was written.
            forms: field -> the vendor's value, as it stores it.
        """
        wrote: dict[bytes, set[bytes]] = {}
        for entry in _entries(packed):
            wrote.setdefault(entry[:_SIZE], set()).add(entry)
        return [
            field
            for field, form in forms.items()
            if (values := wrote.get(self._name(field))) and self._entry(field, form) not in values
        ]

    def _name(self, field: str) -> bytes:
        if field not in self._names:
            self._names[field] = self._hashed(f"field {field}")[:_SIZE]
        return self._names[field]

    def _entry(self, field: str, form: str) -> bytes:
        # With the field's name: equal values of two fields are not seen to be equal.
        return self._name(field) + self._hashed(f"{field}\0{form}")[:_SIZE]


class Written(NamedTuple):
    """What this sync wrote last of one record."""

    hashes: FieldHashes
    packed: bytes | None

    def has(self, field: str) -> bool:
        """Whether this sync wrote a field."""
        return self.hashes.has(self.packed, field)

    def wrote(self, field: str, form: str) -> bool:
        """Whether a value is what this sync wrote last."""
        return self.hashes.wrote(self.packed, field, form)


def _entries(packed: bytes | None) -> list[bytes]:
    if not packed or not packed.startswith(FORM):
        return []
    size = 2 * _SIZE
    return [packed[start : start + size] for start in range(1, len(packed), size)]
