"""Invented data of REI Software: a small location, and contacts in bulk."""

from __future__ import annotations

import random

from singer_sandbox.account import Account, Row
from singer_sandbox.people import EPOCH, person, seeded


def seed(account: Account) -> None:
    """Custom fields, tags, campaigns, a workflow, 60 contacts with appointments."""

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
    fill(account, 60)
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


def fill(account: Account, count: int, same_ms: int = 1) -> None:
    """So many contacts, `same_ms` of them in each millisecond."""
    rng, same = seeded(), max(1, same_ms)
    account.merge({"contacts": [_contact(index, rng, same) for index in range(1, count + 1)]})


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
