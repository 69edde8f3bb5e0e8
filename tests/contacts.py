"""REI Software's contacts, as the tests of its tap change them and count them."""

from __future__ import annotations

from typing import Any

import pytest

from singer_sandbox import Sandbox
from tests.front_door import JSON

CHANGED = 1_740_000_000_000
"""Epoch milliseconds (February 2025), after the sandbox's invented contacts were added."""


LIST = "contacts/(search)?$"
"""The path of a page of contacts, in both versions of the API."""

only_v1 = pytest.mark.parametrize("version", ["v1"], indirect=True)
only_v2 = pytest.mark.parametrize("version", ["v2"], indirect=True)


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
    lists = ("/v1/contacts", "/v2/contacts/search")
    return sum(request["template"] in lists for request in sandbox.requests("rei"))
