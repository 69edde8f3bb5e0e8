"""Invented data of AutoReach: a small account, and members in bulk."""

from __future__ import annotations

import random

from singer_sandbox.account import Account, Row
from singer_sandbox.autoreach.account import vendor_time
from singer_sandbox.people import EPOCH, person, seeded


def seed(account: Account) -> None:
    """Lists, custom fields, campaigns and 60 members."""
    fields = (
        ("parcel_id", "Parcel ID", "text"),
        ("property_address", "Property address", "text"),
        ("property_city", "Property city", "text"),
        ("property_state", "Property state", "text"),
        ("estimated_value", "Estimated value", "number"),
        ("equity_percent", "Equity percent", "number"),
        ("absentee_owner", "Absentee owner", "boolean"),
        ("last_sale_date", "Last sale date", "date"),
    )
    lists = ("Absentee owners", "Tax delinquent", "High equity")
    account.merge(
        {
            "custom_fields": [
                {"id": i, "key": key, "name": name, "type": kind}
                for i, (key, name, kind) in enumerate(fields, 1)
            ],
            "lists": [
                {
                    "id": i,
                    "name": name,
                    "description": f"{name}, refreshed weekly",
                    "updated_at": vendor_time(EPOCH),
                }
                for i, name in enumerate(lists, 1)
            ],
            "campaigns": [
                {"id": 1, "name": "Spring letters", "description": "Two letters and a call"},
                {"id": 2, "name": "Absentee calls", "description": "Calls in the evening"},
            ],
        }
    )
    fill(account, 60)


def fill(account: Account, count: int) -> None:
    """So many members."""
    rng = seeded()
    account.merge({"members": [_member(index, rng) for index in range(1, count + 1)]})


def _member(index: int, rng: random.Random) -> Row:
    who = person(index, rng)
    at = vendor_time(EPOCH + index)
    return {
        "email": who["email"],
        "phone": who["phone"],
        "first_name": who["first"],
        "last_name": who["last"],
        "list_id": index % 3 + 1,
        "custom_fields": {"parcel_id": f"P-{index:06d}", "property_city": who["place"][0]},
        "status": "active",
        "created_at": at,
        "updated_at": at,
        "city": who["place"][0],
        "state": who["place"][1],
    }
