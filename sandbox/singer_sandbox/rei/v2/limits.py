"""API v2's two limits: so many calls in ten seconds, and so many a day."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from singer_sandbox.messages import Header, Reply
from singer_sandbox.rei.account import ReiAccount
from singer_sandbox.rei.v2.errors import error

BURST = (100, 10)
"""Calls and seconds: what the vendor documents. Held only where `rate_limit` is set."""
DAY_SECONDS = 86_400


def take_from_day(account: ReiAccount, options: Mapping[str, Any]) -> int | None:
    """Count a call; the seconds to wait when the day's calls are used up."""
    now = time.time()
    if account.day_began is None or now >= account.day_began + DAY_SECONDS:
        account.day_began, account.day_used = now, 0
    if account.day_used >= int(options["daily_limit"]):
        account.counters["daily_limited"] += 1
        return int(account.day_began + DAY_SECONDS - now) + 1
    account.day_used += 1
    return None


def too_many(wait: int, options: Mapping[str, Any]) -> Reply:
    """429, with the seconds to wait where the account says them."""
    answer = error(429, "Too Many Requests")
    if options["retry_after"]:
        answer.headers.append((b"retry-after", str(wait).encode()))
    return answer


def headers(account: ReiAccount | None, limit: Any, options: Mapping[str, Any]) -> list[Header]:
    """What every answer says of both limits; the day runs 24 hours from its first call."""
    most, seconds = (limit[0] if isinstance(limit[0], list) else limit) if limit else BURST
    day = int(options["daily_limit"])
    used, today, left = 0, 0, float(DAY_SECONDS)
    if account is not None:
        used, today = len(account.arrivals) if limit else 0, account.day_used
        if account.day_began is not None:
            left = max(0.0, account.day_began + DAY_SECONDS - time.time())
    values = {
        b"x-ratelimit-max": most,
        b"x-ratelimit-remaining": max(0, most - used),
        b"x-ratelimit-interval-milliseconds": int(seconds * 1000),
        b"x-ratelimit-limit-daily": day,
        b"x-ratelimit-daily-remaining": max(0, day - today),
        b"x-ratelimit-daily-reset": int(left * 1000),
    }
    return [(name, b"%d" % value) for name, value in values.items()]
