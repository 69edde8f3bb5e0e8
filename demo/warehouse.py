"""The warehouse of the demo: 5,000 invented property owners, with the mess of real life.

Nobody in it exists: addresses end in example.com, numbers begin with +1555.
"""

from __future__ import annotations

import random
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg
from psycopg.conninfo import conninfo_to_dict

Row = dict[str, Any]

HERE = Path(__file__).parent

OWNERS = 5_000
MEMBERS = 800
KNOWN = 10
"""Owners whom the sandbox's account has as members from the start (`person1@example.com`, ...)."""

SEED = 20260131
NOON = datetime(2026, 1, 31, 12, tzinfo=UTC)

FIRST = (
    "Ada", "Björn", "Chloé", "Dmitri", "Elif", "François", "Günther", "Hana", "Inês", "João",
    "Katarzyna", "Lê", "María José", "Nils", "Oluwaseun", "Þóra", "Quynh", "Renée", "Siobhán",
    "Wei", "Zoë",
)  # fmt: skip
LAST = (
    "Abbott", "Brandt", "Castillo", "Dvořák", "Evans", "Fischer", "García", "Hughes", "Ito",
    "Jørgensen", "Kowalczyk", "Lindström", "Müller", "Nguyễn", "O'Brien", "Peña", "Śliwa", "Wu",
)  # fmt: skip
PLACES = (("Austin", "TX"), ("Mobile", "AL"), ("Reno", "NV"), ("Tampa", "FL"), ("Cañon City", "CO"))
STREETS = ("Oak St", "Maple Ave", "N 3rd St", "Peachtree Rd", "Calle Ocho", "Hwy 6")
NOTES = (
    None,
    "",
    "call back in spring 🌷",
    "sold the truck",
    "wants a fair price 🤝",
    "ask for Sam",
)
PHONES = (
    "+1555{:07d}", "555{:07d}", "1-555-{a:03d}-{b:04d}", "(555) {a:03d}-{b:04d}",
    "555.{a:03d}.{b:04d}", " 555 {a:03d} {b:04d} ", "(555){a:03d}-{b:04d} x7",
)  # fmt: skip

STOPPED = 12
"""Owners on the do-not-call list: half of them by email, the others by phone."""
STOP = f"""
    with reachable as (
        select *, row_number() over (order by owner_id) as number
        from warehouse.chosen
        where email like '%@%' and phone ~ '^[ +(]*[0-9]' and absentee
    )
    insert into warehouse.do_not_contact
    select owner_id, case when number % 2 = 0 then ' ' || upper(email) end,
        case when number % 2 = 1 then regexp_replace(phone, '[ ().-]', '', 'g') end
    from reachable where number <= {STOPPED}
"""


def owners(seed: int = SEED, count: int = OWNERS) -> list[Row]:
    """Return the rows of the table, in the order of `updated_at`; the same for the same seed."""
    rng = random.Random(seed)
    rows = [_owner(number, rng) for number in range(1, count + 1)]
    for row in rng.sample(rows, count * MEMBERS // OWNERS):
        row["list_id"] = rng.randint(1, 3)
    for row in rng.sample(rows, count // 50):  # the same person owns a second house
        row["email"] = rng.choice(rows)["email"]
    for number, row in enumerate(rng.sample(rows, KNOWN), 1):  # members of AutoReach already
        row |= {"email": f"person{number}@example.com", "list_id": number % 3 + 1}
    _spoil(rng.sample(rows, count // 100), rng)
    for row in rng.sample(rows, count // 125):  # a correction, a minute after the row itself
        later = row["updated_at"] + timedelta(minutes=1)
        rows.append({**row, "phone": _phone(rng), "updated_at": later})
    return sorted(rows, key=lambda row: (row["updated_at"], row["owner_id"]))


def _owner(number: int, rng: random.Random) -> Row:
    first, last, place = rng.choice(FIRST), rng.choice(LAST), rng.choice(PLACES)
    email = rng.choice((f"owner{number}@example.com",) * 8 + (f"Owner{number}@Example.COM", None))
    return {
        "owner_id": f"own_{number:05d}",
        "first_name": rng.choice((first,) * 9 + (first.upper(), f"{first} 🏡", None)),
        "last_name": rng.choice((last,) * 15 + (f"  {last} ", None)),
        "email": email,
        "phone": rng.choice((_phone(rng),) * 9 + (None,)),
        "property_address": f"{rng.randint(1, 9999)} {rng.choice(STREETS)}",
        "city": place[0],
        "state": place[1],
        "parcel_id": f"P-{number:06d}",
        "estimated_value": rng.choice((None, *(round(rng.uniform(4e4, 2e6), 2),) * 9)),
        "equity_percent": round(rng.uniform(-20, 100), 2),
        "absentee": rng.choice((True, False, None)),
        "last_sale_date": rng.choice((None, date(1950, 1, 1) + timedelta(rng.randrange(27_000)))),
        "last_contacted_at": rng.choice((None, NOON - timedelta(seconds=rng.randrange(10**8)))),
        "list_id": None,
        "notes": rng.choice(NOTES),
        "updated_at": NOON - timedelta(days=30) + timedelta(seconds=rng.randrange(2 * 10**6)),
        "deleted_at": None,
    }


def _phone(rng: random.Random) -> str:
    number = rng.randrange(10_000_000)
    return rng.choice(PHONES).format(number, a=number // 10_000, b=number % 10_000)


def _spoil(rows: list[Row], rng: random.Random) -> None:
    """Write what AutoReach, or its target, does not take."""
    for row in rows:
        column, value = rng.choice(
            (
                ("email", "n/a"),
                ("email", f"{row['owner_id']} at example dot com"),
                ("phone", "ask neighbour"),
                ("first_name", "Estate of " + "the late " * 40),
            )
        )
        row[column] = value


def variables(url: str) -> dict[str, str]:
    """The URL as PostgreSQL's own variables, which dbt's profile reads."""
    names = {"host": "PGHOST", "port": "PGPORT", "user": "PGUSER", "password": "PGPASSWORD"}
    given = conninfo_to_dict(url)
    return {
        "PGDATABASE": str(given["dbname"]),
        **{name: str(given[part]) for part, name in names.items() if part in given},
    }


def load(url: str, rows: list[Row]) -> None:
    """Make the schemas in an empty database, and copy the rows into the table."""
    with psycopg.connect(url) as connection:
        connection.execute((HERE / "warehouse.sql").read_bytes())
        columns = ", ".join(rows[0])
        with connection.cursor().copy(f"copy warehouse.owners ({columns}) from stdin") as copy:
            for row in rows:
                copy.write_row(list(row.values()))


def change(url: str) -> int:
    """Make the changes of the second day; return how many rows they touched."""
    statements = (HERE / "second_day.sql").read_text().split(";")
    with psycopg.connect(url) as connection:
        return sum(connection.execute(statement.encode()).rowcount for statement in statements)


def stop(url: str) -> int:
    """Put owners on the do-not-call list; return how many."""
    with psycopg.connect(url) as connection:
        return connection.execute(STOP.encode()).rowcount
