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

_DIGITS = re.compile(r"-?(0|[1-9][0-9]*)(\.[0-9]+)?")
"""A text that is a number. `01234` is none: its zero may be what was corrected."""
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

Forms = tuple[str, ...]
"""The forms of a value. What was sent and what is shown are one value if they share a form."""
NONE: Forms = ("",)
"""The forms of no value."""
_OF_NUMBER, _OF_DIGITS = "\0number ", "\0text "


def forms(value: Any, *, shown: bool, times: bool = True) -> Forms:
    """The forms of a value, its own one first.

    A text is no other text: "1.1" and "1.10" may be two parcels. But a vendor may show a number
    as a text, with zeros of its own, and a text of digits as a number.

    Args:
        value: of a field.
        shown: by the vendor; else it is sent.
        times: see `form`.
    """
    own = form(value, times=times)
    if isinstance(value, str):
        if not _DIGITS.fullmatch(own):
            return (own,)
        number = _form_of_number(Decimal(own)) if "." in own else own
        return own, (_OF_NUMBER if shown else _OF_DIGITS) + number
    if f.exact(value) is None:
        return (own,)
    return (_OF_NUMBER + own, _OF_DIGITS + own) if shown else (_OF_NUMBER + own,)


def is_other(sent: Forms, shown: Forms) -> bool:
    """Whether a vendor's value is another one than what is sent."""
    return set(sent).isdisjoint(shown)


def form(value: Any, *, times: bool = False) -> str:
    """A value without what vendors change in it: empty for none.

    Text is trimmed and in Unicode NFC; a number is its shortest text; a list has no order.

    Args:
        value: of a field.
        times: a text that is a time counts as one: in UTC and in whole seconds, midnight as its
            day. Not in a field of text, where people may care how it is written.
    """
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        text = value.strip()
        if not text.isascii():
            text = unicodedata.normalize("NFC", text)
        if times and _MOMENT.fullmatch(text) and (moment := naive_utc(text)):
            return form_of_time(moment)
        return text
    if isinstance(value, list):
        parts = sorted(filter(None, map(form, value)))
        return canonical(parts).decode() if parts else ""
    if isinstance(value, dict):
        members = {name: text for name, inner in value.items() if (text := form(inner))}
        return canonical(members).decode() if members else ""
    return _form_of_number(value)


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

FORM = b"\x02"
"""How values are brought into their form: raise it when `forms` changes. Hashes of another one are
not read: such a record counts as one whose fields this sync never wrote."""
_SIZE = 4
"""Bytes of a name, and of a value."""


class FieldHashes:
    """Packs what a sync wrote last, field by field, into `delivered.fields`; and compares with it.

    A byte that says how forms are made, then 8 bytes for each form of a value: a hash of the field,
    one of the form. A field that is there twice has one of these forms: a vendor may show a value
    in several, and an answer may have been lost.
    """

    def __init__(self, hashed: Callable[[str], bytes]) -> None:
        """Hash with a salt.

        Args:
            hashed: text -> 8 bytes (`Ledger.name`).
        """
        self._hashed = hashed
        self._names: dict[str, bytes] = {}

    def pack(self, written: Mapping[str, Forms], before: bytes | None = None) -> bytes:
        """What is written now takes the place of what was.

        Args:
            written: field -> forms of its value.
            before: what was packed before; its other fields stay.
        """
        names = {self._name(field) for field in written}
        kept = [entry for entry in _entries(before) if entry[:_SIZE] not in names]
        new = (self._entry(field, one) for field, forms in written.items() for one in forms)
        return b"".join((FORM, *kept, *new))

    @staticmethod
    def joined(*packed: bytes) -> bytes:
        """What may have been written beside what was: any of it is this sync's own."""
        entries = dict.fromkeys(entry for one in packed for entry in _entries(one))
        return b"".join((FORM, *entries))

    def has(self, packed: bytes | None, field: str) -> bool:
        """Whether this sync is known to have written a field."""
        name = self._name(field)
        return any(entry[:_SIZE] == name for entry in _entries(packed))

    def wrote(self, packed: bytes | None, field: str, shown: Forms) -> bool:
        """Whether a value is what this sync wrote last (false for a field that it never wrote)."""
        return not self._of(field, shown).isdisjoint(_entries(packed))

    def edited(self, packed: bytes, shown: Mapping[str, Forms]) -> list[str]:
        """The fields that this sync wrote, and that have another value now.

        Args:
            packed: what was written.
            shown: field -> forms of the vendor's value.
        """
        wrote: dict[bytes, set[bytes]] = {}
        for entry in _entries(packed):
            wrote.setdefault(entry[:_SIZE], set()).add(entry)
        return [
            field
            for field, forms in shown.items()
            if (own := wrote.get(self._name(field))) and own.isdisjoint(self._of(field, forms))
        ]

    def _of(self, field: str, forms: Forms) -> set[bytes]:
        return {self._entry(field, one) for one in forms}

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

    def wrote(self, field: str, shown: Forms) -> bool:
        """Whether a value is what this sync wrote last."""
        return self.hashes.wrote(self.packed, field, shown)


def is_read(packed: bytes | None) -> bool:
    """Whether hashes are of today's form."""
    return packed is not None and packed.startswith(FORM)


def _entries(packed: bytes | None) -> list[bytes]:
    if packed is None or not is_read(packed):
        return []
    size = 2 * _SIZE
    return [packed[start : start + size] for start in range(1, len(packed), size)]
