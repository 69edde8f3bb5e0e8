"""What goes wrong between a client and a vendor, as a plan that a scenario's seed decides."""

from __future__ import annotations

import random
from dataclasses import dataclass

from typing_extensions import override

TIMEOUT = 0.5
"""Seconds: the targets' `timeout`."""
LOOKUP_WAIT = 1.6
"""Seconds: the targets' `lookup_wait`. Late work and a lagging index together stay below it."""
MOST_LAG = 0.4
"""Seconds that a lookup lags behind, at most."""

READ, CREATE, WRITE, MESSAGE = "read", "create", "write", "message"
"""Labels of requests: by what a second one would do."""

BEFORE_KINDS = (
    "drop", "status", "status", "throttle", "redirect", "html", "not_found_page", "refuse",
    "refuse_echo", "unauthorized",
)  # fmt: skip
AFTER_KINDS = (
    "drop", "drop", "status", "status", "redirect", "html", "cut", "truncated", "empty",
    "nothing", "late", "late", "drip", "very_late",
)  # fmt: skip
"""Kinds that stand twice are the more frequent ones in the field."""


@dataclass
class Fault:
    """One thing that goes wrong."""

    kind: str
    """drop: the connection ends. status: 500, 502 or 503. throttle: 429. redirect: 3xx.
    html: 200 with a page. not_found_page: a gateway's 404. refuse: the vendor says no, in its own
    words (refuse_echo: with the request's credentials in them). unauthorized: 401.
    cut: fewer bytes than announced. truncated: half of the JSON. empty: no body. nothing: `{}`.
    late: the answer comes after the timeout; a create or a message is carried out late, too.
    very_late: a create is carried out when `lookup_wait` is over. drip: a byte now and then."""
    when: str
    """before: nothing is done. after: the work is done."""
    label: str
    """Which requests it hits; any: all but the token's."""
    nth: int
    """The first of those requests that it hits, from 1, counted in each step."""
    times: int
    """How many in a row."""
    status: int = 500
    seen: int = 0
    hits: int = 0

    def strikes(self, label: str) -> bool:
        """Whether it hits this request; counts it."""
        if self.label not in (label, "any"):
            return False
        self.seen += 1
        if self.nth <= self.seen < self.nth + self.times:
            self.hits += 1
            return True
        return False

    @override
    def __str__(self) -> str:
        what = f"{self.kind} {self.status}" if self.kind in ("status", "redirect") else self.kind
        until = f"-{self.nth + self.times - 1}" if self.times > 1 else ""
        return f"{what} {self.when} {self.label} #{self.nth}{until} (hit {self.hits})"


@dataclass
class Signal:
    """A signal for the running target."""

    signum: int
    nth: int
    """At which write (create, write or message) of the step, from 1; 0: by the clock."""
    when: str
    """before or after the work of that request."""
    after: float = 0.0
    """Seconds from the start, where `nth` is 0."""
    sent: bool = False

    @override
    def __str__(self) -> str:
        where = f"{self.when} write #{self.nth}" if self.nth else f"after {self.after:.2f} s"
        return f"signal {self.signum} {where}{'' if self.sent else ' (not reached)'}"


def make_faults(rng: random.Random, labels: list[str]) -> list[Fault]:
    """Up to three faults of one step, for a vendor with these kinds of requests."""
    number = rng.choice([0, 1, 1, 1, 2, 2, 3])
    return [make_fault(rng, labels) for _ in range(number)]


def make_fault(rng: random.Random, labels: list[str]) -> Fault:
    """One fault."""
    when = rng.choice(["before", "after", "after"])
    kind = rng.choice(BEFORE_KINDS if when == "before" else AFTER_KINDS)
    label = rng.choice([*labels, "any"])
    if kind == "very_late":
        label = CREATE if CREATE in labels else MESSAGE if MESSAGE in labels else WRITE
    times = 1 if kind in ("late", "very_late", "drip") else rng.choice([1, 1, 1, 2, 4, 30])
    statuses = (301, 302, 303, 307) if kind == "redirect" else (500, 502, 503, 504)
    return Fault(kind, when, label, rng.choice([1, 1, 2, 2, 3, 4, 5]), times, rng.choice(statuses))


def make_signal(rng: random.Random) -> Signal | None:
    """Perhaps a signal."""
    if rng.random() < 0.55:
        return None
    signum = rng.choice([9, 9, 15])
    if rng.random() < 0.2:
        return Signal(signum, 0, "", rng.uniform(0.05, 0.7))
    return Signal(signum, rng.randint(1, 6), rng.choice(["before", "after"]))
