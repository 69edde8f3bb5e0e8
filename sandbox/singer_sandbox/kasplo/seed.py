"""Invented data of Kasplo: a small account."""

from __future__ import annotations

from singer_sandbox.account import Account


def seed(account: Account) -> None:
    """Lists, tags and custom fields, some of them no longer active."""
    account.merge(
        {
            "lists": [{"name": "owners"}, {"name": "newsletter"}, {"name": "old", "status": 2}],
            "tags": [
                {"name": "warehouse"},
                {"name": "new-contacts"},
                {"name": "autumn-2023", "status": 2},
            ],
            "custom_fields": [
                {"name": "city", "type": "string"},
                {"name": "age", "type": "numeric"},
                {"name": "absentee", "type": "boolean"},
                {"name": "last_sale", "type": "date"},
                {"name": "motivation", "type": "dropdown", "values": "low,medium,high"},
            ],
        }
    )
