"""A time as the vendor writes it: ISO 8601, a date, or epoch milliseconds."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any


def milliseconds(value: Any) -> int | None:
    """Epoch milliseconds of a time as the vendor writes it (ISO, or a number), else None."""
    if isinstance(value, bool):
        return None
    if isinstance(value, int | Decimal):
        return int(value)
    try:
        moment = datetime.fromisoformat(value)
    except (TypeError, ValueError):
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return round(moment.timestamp() * 1000)


def iso(value: int) -> str:
    """A time in epoch milliseconds, as the vendor writes it."""
    moment = datetime.fromtimestamp(value / 1000, UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
