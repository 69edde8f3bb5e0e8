"""REI Software's contacts, as the tests of its tap change them and count them."""

from __future__ import annotations

from typing import Any

from singer_sandbox import Sandbox
from tests.front_door import JSON

CHANGED = 1_740_000_000_000
"""Epoch milliseconds (February 2025), after the sandbox's invented contacts were added."""


def contact(number: int) -> str:
    return f"contact{number:013d}"


def numbers(records: list[JSON]) -> list[int]:
    return [int(record["id"].removeprefix("contact")) for record in records]


def change(sandbox: Sandbox, *which: int, at: int = CHANGED, **fields: Any) -> None:
    """Change contacts behind the tap's back."""
    rows = [
        {"id": contact(number), "dateUpdated": at + place, "city": "Elsewhere", **fields}
        for place, number in enumerate(which)
    ]
    sandbox.put_state("rei", {"contacts": rows})


def pages(sandbox: Sandbox) -> int:
    """How often the list of contacts was asked for."""
    return sum(request["template"] == "/v1/contacts" for request in sandbox.requests("rei"))
