"""The work that all contestants do: invented records, the same every time."""

from __future__ import annotations

import json
import random
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

CITIES = (("Austin", "TX"), ("Mobile", "AL"), ("Reno", "NV"), ("Tampa", "FL"), ("Salem", "OR"))
NAMES = ("Ada", "Bruno", "Chloé", "Dmitri", "Elif", "Farah", "Günther", "Hana", "Ines", "João")

TEXT = {"type": ["string", "null"]}
PEOPLE = {
    "external_id": {"type": "string"},
    "email": TEXT,
    "first_name": TEXT,
    "last_name": TEXT,
    "phone": TEXT,
    "previous_contact_date": {"type": ["string", "null"], "format": "date-time"},
    "city": TEXT,
    "state": TEXT,
    "parcel_id": TEXT,
    "age": {"type": ["integer", "null"]},
    "score": {"type": ["number", "null"]},
    "owner": {"type": ["boolean", "null"]},
}
"""12 columns: the vendor's own fields, and six custom fields."""
CUSTOM_FIELDS = ("city", "state", "parcel_id", "age", "score", "owner")

CONTACTS = dict.fromkeys(
    (
        "email", "phone", "firstName", "lastName", "companyName", "address1", "city", "state",
        "postalCode", "country", "website", "source",
    ),
    TEXT,
)  # fmt: skip


def people(count: int) -> Iterator[dict[str, Any]]:
    rng = random.Random(7)
    for index in range(count):
        city, state = rng.choice(CITIES)
        yield {
            "external_id": f"P{index:08d}",
            "email": f"person{index}@example.com",
            "first_name": rng.choice(NAMES),
            "last_name": rng.choice(NAMES),
            "phone": f"+1555{index:07d}",
            "previous_contact_date": f"2025-0{index % 9 + 1}-1{index % 10}T12:00:00Z",
            "city": city,
            "state": state,
            "parcel_id": f"parcel-{index:08d}",
            "age": rng.randrange(18, 99),
            "score": rng.randrange(1, 1000) / 8,
            "owner": index % 2 == 0,
        }


def contacts(count: int) -> Iterator[dict[str, Any]]:
    rng = random.Random(7)
    for index in range(count):
        city, state = rng.choice(CITIES)
        yield {
            "email": f"contact{index}@example.com",
            "phone": f"+1555{index:07d}",
            "firstName": rng.choice(NAMES),
            "lastName": rng.choice(NAMES),
            "companyName": f"Company {index}",
            "address1": f"{index} Main Street",
            "city": city,
            "state": state,
            "postalCode": f"{index % 100000:05d}",
            "country": "US",
            "website": f"https://example.com/{index}",
            "source": "benchmark",
        }


def messages(path: Path, stream: str, count: int) -> Path:
    """A file of Singer messages; made once."""
    made = {"people": (people, PEOPLE, "external_id"), "contacts": (contacts, CONTACTS, "email")}
    rows, properties, key = made[stream]
    if path.exists():
        return path
    with path.open("w") as file:
        schema = {"type": "object", "properties": properties}
        first = {"type": "SCHEMA", "stream": stream, "schema": schema, "key_properties": [key]}
        file.write(json.dumps(first) + "\n")
        for record in rows(count):
            message = {"type": "RECORD", "stream": stream, "record": record}
            file.write(json.dumps(message, ensure_ascii=False, separators=(",", ":")) + "\n")
        file.write(json.dumps({"type": "STATE", "value": {"rows": count}}) + "\n")
    return path


def warehouse(path: Path, count: int) -> Path:
    """The same people as a table of a local database; made once."""
    if path.exists():
        return path
    with sqlite3.connect(path) as connection:
        connection.execute(f"create table people ({', '.join(PEOPLE)})")
        marks = ", ".join(f":{name}" for name in PEOPLE)
        connection.executemany(f"insert into people values ({marks})", people(count))
    connection.close()
    return path
