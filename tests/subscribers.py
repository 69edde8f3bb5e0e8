"""Kasplo's contacts, as the tests of its target send them and find them."""

from __future__ import annotations

from typing import Any

from singer_sandbox import Sandbox
from tests.front_door import JSON, record, schema

COLUMNS = {
    "email": {"type": "string"},
    "first_name": {"type": ["string", "null"]},
    "list": {"type": ["string", "null"]},
    "tags": {"type": ["array", "string", "null"]},
    "City": {},
    "_sdc_deleted_at": {"type": ["string", "null"]},
}
SCHEMA = schema("contacts", COLUMNS, ("email",))
NEWS, OFFERS = "list-news", "list-offers"
SID, KEY = "sandbox-sid", "sandbox-kasplo-key"
ACCOUNT = {
    "lists": [
        {"name": "News", "list_id": NEWS},
        {"name": "Offers", "list_id": OFFERS},
        {"name": "Old", "list_id": "list-old", "status": 2},
    ],
    "tags": [
        {"name": "vip", "tag_id": "t1"},
        {"name": "lead", "tag_id": "t2"},
        {"name": "gone", "tag_id": "t3", "status": 2},
    ],
    "custom_fields": [{"name": "city", "custom_id": "c1"}],
}


def contact(email: str, **fields: Any) -> JSON:
    return record("contacts", email=email, **fields)


def many(number: int, **fields: Any) -> list[JSON]:
    return [contact(f"p{i}@example.com", **fields) for i in range(number)]


def contacts_at(sandbox: Sandbox) -> dict[str, JSON]:
    found: dict[str, JSON] = sandbox.state("kasplo")["contacts"]
    return found


def posts(sandbox: Sandbox) -> list[JSON]:
    return [r for r in sandbox.requests("kasplo") if r["method"] == "POST"]


def answered(sandbox: Sandbox, answer: JSON) -> None:
    sandbox.fault(vendor="kasplo", method="POST", status=202, answer=answer)


def reasons(rejects: list[JSON]) -> dict[str, tuple[str, str]]:
    """Email -> kind and reason."""
    return {
        r["record"]["email"]: (r["rejection"]["kind"], r["rejection"]["reason"]) for r in rejects
    }
