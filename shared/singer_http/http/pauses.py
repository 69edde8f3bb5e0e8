"""How long an answer asks to wait."""

from __future__ import annotations

import re
import time
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from singer_http.http.transport import Answer

LONGEST_SENSIBLE = 366 * 86400.0
"""Seconds: a longer pause is taken for nonsense."""

_FIRST_EPOCH = 1_000_000_000
"""From here on a number of seconds is a date."""

_DATE = re.compile(
    r"[a-z]{3,9},? +\d{1,2}[ -][a-z]{3}[ -]\d{2,4} +\d\d:\d\d:\d\d(?: +(?:gmt|utc|[+-]\d{4}))?"
    r"|[a-z]{3} +[a-z]{3} +\d{1,2} +\d\d:\d\d:\d\d +\d{4}"
    r"|\d{4}-\d\d-\d\d[t ]\d\d:\d\d:\d\d(?:\.\d+)?(?:z|[+-]\d\d:?\d\d)?",
    re.IGNORECASE,
)
_NUMBER = re.compile(
    r"\s*[\"']?(\d{1,15}(?:\.\d*)?)\s*(ms|s|secs?|seconds?|m|mins?|minutes?|h|hours?)?[\"']?\s*",
    re.IGNORECASE | re.ASCII,
)


def asked_pause(
    answer: Answer, own_way: Callable[[Mapping[str, str]], float | None] | None = None
) -> float | None:
    """Read how many seconds an answer asks to wait (at least 0); None if it does not ask.

    `Retry-After`, else `X-RateLimit-Reset` with a 429. Gateways add headers of their own, so one
    text can hold several values: the longest that makes sense counts, what makes none is ignored.
    A date is measured against the answer's own Date, so that a wrong clock here does not matter.

    Args:
        answer: of the vendor.
        own_way: reads headers of the vendor's own, asked with a 429 that has none of these.
    """
    names = ["Retry-After"]
    if answer.status == 429:
        names.append("X-RateLimit-Reset")
    now: float | None = None
    for name in names:
        text = answer.headers.get(name)
        if text is None:
            continue
        if now is None:
            now = _epoch(answer.headers.get("Date") or "") or time.time()
        if pauses := _pauses(text, now):
            return max(pauses)
    return own_way(answer.headers) if own_way and answer.status == 429 else None


def _pauses(text: str, now: float) -> list[float]:
    """All readings of a header that make sense, in seconds."""
    moments = [when for date in _DATE.findall(text) if (when := _epoch(date)) is not None]
    pauses = []
    for part in re.split("[,;]", _DATE.sub(",", text)):
        if not (found := _NUMBER.fullmatch(part)):
            continue
        value, unit = float(found[1]), (found[2] or "s").lower()
        if value >= _FIRST_EPOCH:
            moments.append(value)
        elif unit == "ms":
            pauses.append(value / 1000)
        else:
            pauses.append(value * {"s": 1, "m": 60, "h": 3600}[unit[0]])
    pauses += [max(0.0, moment - now) for moment in moments]
    return [pause for pause in pauses if pause <= LONGEST_SENSIBLE]


def _epoch(text: str) -> float | None:
    """Seconds since 1970 of a date in a header; None if it is none."""
    for read in (parsedate_to_datetime, datetime.fromisoformat):
        try:
            moment = read(text)
            return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
        except (TypeError, ValueError, OverflowError):
            continue
    return None
