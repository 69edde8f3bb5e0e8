"""The outstanding rejects, grouped by reason; their values masked."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from singer_http.exact_json import decode
from singer_http.operations import JSON

READ = 20_000
"""Rejects that are looked at, at most."""
GROUPS = 40
EXAMPLES = 3
LENGTH = 60
"""Characters of a value that are shown, at most."""

_EMAIL = re.compile(r"[\w.+%-]+@[\w-]+(\.[\w-]+)+")
_DIGITS = re.compile(r"\+?\d[\d ().-]{3,}\d")
_ASCII_PUNCTUATION = re.compile(r"[ -/:-@\[-`{-~]")


@dataclass(slots=True)
class Group:
    """Rejects of one stream that have one reason, but for the values in it."""

    source: str
    kind: str
    status: int | None
    reason: str
    number: int = 0
    examples: list[tuple[int, dict[str, str]]] = field(default_factory=list)
    """Line in the rejects file, and the record's masked values by column."""


@dataclass(slots=True)
class Summary:
    """What the page says of the rejects."""

    path: Path
    total: int = 0
    unread: int = 0
    kinds: Counter[str] = field(default_factory=Counter)
    groups: list[Group] = field(default_factory=list)


def summarise(path: Path, lines: Iterable[bytes]) -> Summary:
    """Group what is outstanding; the largest group first."""
    summary = Summary(path)
    groups: dict[tuple[str, str, int | None, str], Group] = {}
    for number, line in enumerate(lines, 1):
        message = decode(line)
        if message["type"] == "SCHEMA":
            continue
        summary.total += 1
        if summary.total > READ:
            summary.unread += 1
            continue
        _add(groups, message, number)
        summary.kinds[(message.get("rejection") or {}).get("kind", "invalid")] += 1
    ordered = sorted(groups.values(), key=lambda group: -group.number)
    summary.groups = ordered[:GROUPS]
    summary.unread += sum(group.number for group in ordered[GROUPS:])
    return summary


def _add(groups: dict[Any, Group], message: JSON, line: int) -> None:
    record, rejection = message["record"], message.get("rejection") or {}
    kind, status = rejection.get("kind", "invalid"), rejection.get("status")
    reason = general(str(rejection.get("reason", "")), record)
    name = (message["stream"], kind, status, reason)
    group = groups.get(name)
    if group is None:
        group = groups[name] = Group(*name)
    group.number += 1
    if len(group.examples) < EXAMPLES:
        values = record if isinstance(record, dict) else {}
        group.examples.append((line, {column: shape(value) for column, value in values.items()}))


def general(reason: str, record: Any) -> str:
    """A reason without the values in it: the record's own, emails, numbers."""
    values = record.values() if isinstance(record, dict) else ()
    texts = {str(value) for value in values if isinstance(value, str | int | float)}
    # The longest first: a value that is part of another must not cut the other in two.
    for value in sorted((t for t in texts if len(t) >= 3), key=len, reverse=True):
        start = r"(?<!\w)" if value[0].isalnum() else ""
        end = r"(?!\w)" if value[-1].isalnum() else ""
        reason = re.sub(f"{start}{re.escape(value)}{end}", "…", reason, flags=re.IGNORECASE)
    return _DIGITS.sub("…", _EMAIL.sub("…", reason))


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
