"""Invented data of Merlin: a small account."""

from __future__ import annotations

from singer_sandbox.account import Account


def seed(account: Account) -> None:
    """Three automations, of which one can be entered, and three contacts."""
    account.merge(
        {
            "automations": [
                {"idAuto": 10, "name": "Welcome", "on": True, "nodes": 4},
                {"idAuto": 11, "name": "Birthday", "on": False, "nodes": 2},
                {"idAuto": 12, "name": "Empty", "on": True, "nodes": 0},
            ],
            "contacts": [
                {
                    "idContact": number,
                    "Number": f"+1619359644{number}",
                    "Email": f"{first.lower()}@example.com",
                    "Fname": first,
                    "Lname": last,
                    "Custom": {"1": "Reno"},
                }
                for number, first, last in (
                    (1, "Juan", "Pedro"),
                    (2, "Juana", "Pedro"),
                    (3, "Marisol", "Vega"),
                )
            ],
        }
    )
