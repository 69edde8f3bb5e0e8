"""The outstanding rejects, grouped by reason; their values masked."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any, NamedTuple

from singer_http.exact_json import NotJSON, StrangeJSON, decode
from singer_http.operations import JSON, RejectionKind
from singer_http.redaction import redact

DISTINCT = 2_000
"""Reasons that are told apart, at most; the memory is bounded. The others are only counted."""
GROUPS = 40
"""Reasons that are kept, the most frequent ones."""
EXAMPLES = 3
COLUMNS = 40
"""Columns of an example, at most."""
LENGTH = 60
"""Characters of a value that are shown, at most."""

_EMAIL = re.compile(r"[\w.+%-]+@[\w-]+(\.[\w-]+)+")
_DIGITS = re.compile(r"\+?\d[\d ().-]{3,}\d")
_ASCII_PUNCTUATION = re.compile(r"[ -/:-@\[-`{-~]")
_PERSONAL_KEY = re.compile(r"@|^\+\d|\s|^$")
"""A key that is no plain id: an email, a phone, a name in words."""
_OTHER_RECORD = re.compile(
    r"(the record with the key ).+?( has the same identity| is already )(?:\S+(?= at the vendor))?"
)
_OBJECT = re.compile(r"<[\w.]+ object at 0x[0-9a-f]+>:?\s*")
_EXCEPTION = re.compile(r"\b[A-Z]\w*[a-z]\w*\((?:[^()'\"]*,\s*)?(['\"])(.*?)\1[^()]*\)")
_UNQUOTED = re.compile(r"\b([A-Z]\w*(?:Error|Exception|Disconnected|Read|Timeout))\(([^()'\"]*)\)")
_PAIR = re.compile(r"\((['\"])(.*?)\1,\s*(.*?)\)$")


class Rejected(NamedTuple):
    """An outstanding record, as the summary needs it."""

    line: bytes
    """Its RECORD message, `rejection` included."""
    stream: str
    """The target stream."""
    key: str | None = None
    """The text of its key; `None` where there is none or a part of it is personal."""
    number: int | None = None
    """Its line in the rejects file."""


@dataclass(slots=True)
class _Group:
    count: int = 0
    examples: list[JSON] = field(default_factory=list)


def summarise(rejects: Iterable[Rejected], path: Path | str | None = None) -> JSON:
    """Group what is outstanding by stream, kind, status and reason, the largest group first.

    Args:
        rejects: read once, one after the other; a line that is not JSON is counted all the same.
        path: of the rejects file.

    Returns:
        JSON: `path`, `total`, `kinds` (kind -> number), `groups` (at most `GROUPS`; each with
        `stream`, `kind`, `status`, `reason`, `count`, `examples`), `not_shown` (records of other
        reasons). An example has `key`, `line` and masked `values` by column. All counts are exact.
    """
    kinds: Counter[str] = Counter()
    groups: dict[tuple[str, str, int | None, str], _Group] = {}
    total = 0
    for reject in rejects:
        total += 1
        record, rejection = _read(reject.line)
        kind, status = str(rejection.get("kind") or RejectionKind.INVALID), rejection.get("status")
        kinds[kind] += 1
        words = str(rejection.get("reason") or "no reason is given")
        reason = _writable(general(redact(words), record))
        name = (reject.stream, kind, status if isinstance(status, int) else None, reason)
        group = groups.get(name)
        if group is None:
            if len(groups) >= DISTINCT:
                continue
            group = groups[name] = _Group()
        group.count += 1
        if len(group.examples) < EXAMPLES:
            group.examples.append(_example(reject, record))
    shown = sorted(groups.items(), key=lambda item: -item[1].count)[:GROUPS]
    return {
        "path": None if path is None else str(path),
        "total": total,
        "kinds": dict(kinds),
        "groups": [
            {
                "stream": stream,
                "kind": kind,
                "status": status,
                "reason": reason,
                "count": group.count,
                "examples": group.examples,
            }
            for (stream, kind, status, reason), group in shown
        ],
        "not_shown": total - sum(group.count for _, group in shown),
    }


def _read(line: bytes) -> tuple[JSON, JSON]:
    """The record and its rejection; what is no object is empty."""
    try:
        message = decode(line)
    except StrangeJSON as error:
        message = error.value
    except NotJSON:
        return {}, {"reason": "the line cannot be read"}
    found = message if isinstance(message, dict) else {}
    record, rejection = found.get("record"), found.get("rejection")
    return (
        record if isinstance(record, dict) else {},
        rejection if isinstance(rejection, dict) else {},
    )


def _example(reject: Rejected, record: JSON) -> JSON:
    key = reject.key
    if key is not None and _PERSONAL_KEY.search(key):
        key = None
    shown = None if key is None else _writable(redact(key))
    values = {
        _writable(redact(column)): shown if shown and _same(value, key) else shape(value)
        for column, value in list(record.items())[:COLUMNS]
    }
    return {"key": shown, "line": reject.number, "values": values}


def _writable(text: str) -> str:
    """Without halves of surrogate pairs, which no file takes."""
    return text.encode("utf-8", "replace").decode()


def _same(value: Any, key: str | None) -> bool:
    return isinstance(value, str | int | Decimal) and str(value) == key


def general(reason: str, record: JSON) -> str:
    """A reason without the values in it, in plain words.

    They are the record's own, another record's key and id, emails and numbers.
    """
    reason = _OTHER_RECORD.sub(_other_record, plain_words(reason))
    low = reason.lower()
    texts = {str(v) for v in record.values() if isinstance(v, str | int | float | Decimal)}
    found = [text for text in texts if len(text) >= 3 and text.lower() in low]
    # The longest first: a value that is part of another must not cut the other in two.
    for value in sorted(found, key=len, reverse=True):
        start = r"(?<!\w)" if value[0].isalnum() else ""
        end = r"(?!\w)" if value[-1].isalnum() else ""
        reason = re.sub(f"{start}{re.escape(value)}{end}", "…", reason, flags=re.IGNORECASE)
    return _DIGITS.sub(_long_number, _EMAIL.sub("…", reason))


def _other_record(found: re.Match[str]) -> str:
    return f"{found[1]}…{found[2]}{'…' if found[2].endswith(' ') else ''}"


def _long_number(found: re.Match[str]) -> str:
    """A number that may be a phone or an id is taken out; a time of day stays."""
    return "…" if sum(map(str.isdecimal, found[0])) >= 5 else found[0]


def plain_words(reason: str) -> str:
    """A reason without the way in which Python writes an exception.

    `('Connection aborted.', RemoteDisconnected('Remote end closed'))` is
    `Connection aborted: Remote end closed`.
    """
    if "(" not in reason and "<" not in reason:
        return reason
    reason = _OBJECT.sub("", reason)
    reason = _UNQUOTED.sub(r"\1: \2", _EXCEPTION.sub(r"\2", reason))
    pair = _PAIR.search(reason)
    if pair:
        reason = f"{reason[: pair.start()]}{pair[2].rstrip('.')}: {pair[3]}"
    return reason


def shape(value: Any) -> str:
    """The form of a value, without the value: `Ann@example.com` is `Aaa@aaaaaaa.aaa`."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true or false"
    if isinstance(value, dict | list):
        count = len(value)
        return f"{'object' if isinstance(value, dict) else 'list'} of {count}"
    text = str(value)
    shown = "".join(map(_form, text[:LENGTH]))
    return shown if len(text) <= LENGTH else f"{shown}… ({len(text):,} characters)"


def _form(character: str) -> str:
    if character.isdecimal():
        return "9"
    if character.isalpha():
        return "A" if character.isupper() else "a"
    return character if _ASCII_PUNCTUATION.match(character) else "·"
