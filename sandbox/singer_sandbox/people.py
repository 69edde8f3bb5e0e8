"""Invented people. Nobody exists: addresses at example.com, numbers of the exchange 555."""

from __future__ import annotations

import random

from singer_sandbox.account import Row

FIRST = ("Ada", "Bruno", "Chloé", "Dmitri", "Elif", "Farah", "Günther", "Hana", "Ines", "João")
LAST = ("Abbott", "Brandt", "Castillo", "Dvořák", "Evans", "Fischer", "García", "Hughes", "Ito")
CITIES = (("Austin", "TX"), ("Mobile", "AL"), ("Reno", "NV"), ("Tampa", "FL"), ("Salem", "OR"))
EPOCH = 1_735_732_800
"""2025-01-01 12:00 UTC."""


def person(index: int, rng: random.Random) -> Row:
    """One invented person."""
    first, last = rng.choice(FIRST), rng.choice(LAST)
    return {
        "first": first,
        "last": last,
        "email": f"person{index}@example.com",
        "phone": f"+1555{index % 10_000_000:07d}",
        "place": rng.choice(CITIES),
    }


def seeded() -> random.Random:
    """The same choices every time."""
    return random.Random(20250101)  # noqa: S311 - to be repeated
