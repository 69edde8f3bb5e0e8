"""Invented data: a small account of each vendor to try things against, and much of it to measure.

Nobody here exists: the addresses are example.com's, the numbers have the exchange 555.
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from singer_sandbox.autoreach_account import vendor_time
from singer_sandbox.vendor import Account, ControlError, Row

if TYPE_CHECKING:
    from singer_sandbox.world import World

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


def seed(world: World) -> None:
    """Load the small accounts."""
    _seed_autoreach(world.autoreach.account(None))
    _seed_rei(world.rei.account(None))
    _seed_kasplo(world.kasplo.account(None))
    _seed_merlin(world.merlin.account(None))


def _seed_autoreach(account: Account) -> None:
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
    fill("autoreach", account, {"members": 60})


def _seed_rei(account: Account) -> None:
    def field(key: str, name: str, kind: str, *options: str) -> Row:
        row: Row = {
            "id": key,
            "name": name,
            "fieldKey": f"contact.{name.lower().replace(' ', '_')}",
        }
        row |= {"dataType": kind, "position": 50}
        return row | ({"picklistOptions": list(options)} if options else {})

    account.merge(
        {
            "custom_fields": [
                field("cfParcelId0000000001", "Parcel ID", "TEXT"),
                field("cfValue0000000000002", "Estimated value", "NUMERICAL"),
                field("cfSaleDate0000000003", "Last sale date", "DATE"),
                field(
                    "cfInterests000000004", "Interests", "MULTIPLE_OPTIONS", "sell", "rent", "buy"
                ),
                field(
                    "cfMotivation00000005", "Motivation", "SINGLE_OPTIONS", "low", "medium", "high"
                ),
                field("cfNotes0000000000006", "Notes", "LARGE_TEXT"),
            ],
            "tags": [
                {"id": f"tag{i:017d}", "name": name, "locationId": "C2QujeCh8ZnC7al2InWR"}
                for i, name in enumerate(("owner", "absentee", "vip"), 1)
            ],
            "campaigns": [
                {"id": "Y2I9XM7aO1hncuSOlc9L", "name": "Spring letters", "status": "published"},
                {"id": "Y2I9XM7aO1hncuSOlc9M", "name": "Winter letters", "status": "draft"},
            ],
            "workflows": [
                {
                    "id": "78559bb3-b920-461e-b010-7b2a2816d2a9",
                    "name": "Welcome call",
                    "status": "published",
                    "version": 3,
                    "createdAt": "2025-01-01T12:00:00.000Z",
                    "updatedAt": "2025-01-01T12:00:00.000Z",
                    "locationId": "C2QujeCh8ZnC7al2InWR",
                }
            ],
        }
    )
    fill("rei", account, {"contacts": 60})
    state = account.dump()
    account.merge(
        {
            "contacts": [
                {
                    "id": key,
                    "dateUpdated": row["dateUpdated"],
                    "customField": {
                        "cfParcelId0000000001": f"P-{index:05d}",
                        "cfValue0000000000002": 180_000 + index * 1000,
                        "cfSaleDate0000000003": (EPOCH - index * 86_400) * 1000,
                        "cfInterests000000004": ["sell", "rent"][: index % 2 + 1],
                        "cfMotivation00000005": ("low", "medium", "high")[index % 3],
                    },
                }
                for index, (key, row) in enumerate(state["contacts"].items())
                if index % 2
            ],
            "appointments": [
                {
                    "id": f"appointment{index:09d}",
                    "contactId": key,
                    "locationId": "C2QujeCh8ZnC7al2InWR",
                    "calendarId": "calendar000000000001",
                    "assignedUserId": "user0000000000000001",
                    "title": "Call about the house",
                    "notes": "",
                    "address": "",
                    "status": "booked",
                    "appoinmentStatus": "confirmed",
                    "appointmentStatus": "confirmed",
                    "startTime": f"2025-03-{index % 28 + 1:02d}T15:00:00+00:00",
                    "endTime": f"2025-03-{index % 28 + 1:02d}T15:30:00+00:00",
                    "createdAt": "2025-02-01T12:00:00.000Z",
                    "updatedAt": "2025-02-01T12:00:00.000Z",
                }
                for index, key in enumerate(state["contacts"])
                if index % 5 == 0
            ],
        }
    )


def _seed_kasplo(account: Account) -> None:
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


def _seed_merlin(account: Account) -> None:
    account.merge(
        {
            "automations": [
                {"idAuto": 10, "name": "Welcome", "on": True, "nodes": 4},
                {"idAuto": 11, "name": "Birthday", "on": False, "nodes": 2},
                {"idAuto": 12, "name": "Empty", "on": True, "nodes": 0},
            ]
        }
    )


def fill(vendor: str, account: Account, counts: Mapping[str, Any]) -> None:
    """Invented records in bulk: `{"members": n}` for autoreach, `{"contacts": n}` for rei.

    `same_ms` (rei) puts that many contacts into one millisecond.
    """
    what = {"autoreach": "members", "rei": "contacts"}.get(vendor)
    if (
        what is None
        or not set(counts) <= {what, "same_ms"}
        or not isinstance(counts.get(what), int)
    ):
        raise ControlError('fill takes {"members": n} for autoreach, {"contacts": n} for rei')
    rng = random.Random(20250101)  # noqa: S311 - the same every time
    count = int(counts[what])
    if vendor == "autoreach":
        account.merge({"members": [_member(index, rng) for index in range(1, count + 1)]})
    else:
        same = max(1, int(counts.get("same_ms", 1)))
        account.merge({"contacts": [_contact(index, rng, same) for index in range(1, count + 1)]})


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


def _contact(index: int, rng: random.Random, same: int) -> Row:
    who = person(index, rng)
    at = (EPOCH + index // same) * 1000 + 255
    return {
        "id": f"contact{index:013d}",
        "firstName": who["first"],
        "lastName": who["last"],
        "email": who["email"],
        "phone": who["phone"],
        "city": who["place"][0],
        "state": who["place"][1],
        "country": "US",
        "source": "sandbox",
        "tags": ["owner"],
        "dateAdded": at,
        "dateUpdated": at,
    }
