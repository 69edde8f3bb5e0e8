"""AutoReach's people, as the tests of delivery send them and find them."""

from __future__ import annotations

from typing import Any

from singer_sandbox import Sandbox
from tests.front_door import JSON, record, schema

COLUMNS = ("id", "email", "first_name", "last_name", "phone")
SCHEMA = schema("people", COLUMNS)


def person(number: int, **fields: Any) -> JSON:
    fields = {"email": f"p{number}@example.com", "first_name": f"P{number}", **fields}
    return record("people", id=f"p{number}", **fields)


def people_at(sandbox: Sandbox) -> dict[str, JSON]:
    found: dict[str, JSON] = sandbox.state("autoreach")["people"]
    return found


def patches(sandbox: Sandbox) -> list[int]:
    """Rows in each PATCH that the vendor got."""
    return [r["items"] for r in sandbox.requests("autoreach") if r["method"] == "PATCH"]
