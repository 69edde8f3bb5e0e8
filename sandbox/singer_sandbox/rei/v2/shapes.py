"""Three forms of one contact: alone, just made, and as a row of a search."""

from __future__ import annotations

from typing import Any

from singer_sandbox.account import Row
from singer_sandbox.rei.account import Contact, iso
from singer_sandbox.rei.v2.bodies import CHANNELS_V3
from singer_sandbox.rei.v2.call import Call
from singer_sandbox.rei.v2.custom_values import milliseconds_of_day, shown

TEXTS = (
    "firstName",
    "lastName",
    "email",
    "phone",
    "timezone",
    "companyName",
    "source",
    "assignedTo",
    "city",
    "state",
    "country",
    "postalCode",
    "website",
    "dateOfBirth",
)
"""Texts that every form has, or null."""


def alone(call: Call, contact: Contact) -> Row:
    """As GET contacts/{id}, PUT and upsert show it."""
    fields = contact.fields
    name = full_name(contact)
    return {
        **_common(call, contact),
        "name": name or None,
        "address1": fields.get("address1"),
        "emailLowerCase": lower(fields.get("email")),
        "firstNameLowerCase": lower(fields.get("firstName")),
        "lastNameLowerCase": lower(fields.get("lastName")),
        "fullNameLowerCase": lower(name or None),
        "lastActivity": iso(contact.updated),
    }


def made(call: Call, contact: Contact) -> Row:
    """As the answer to a create shows it; version v3 shows it as `alone`."""
    row = alone(call, contact)
    if call.version == "v3":
        return row
    del row["name"], row["lastActivity"]
    return {**row, "deleted": False, "bounceEmail": False, "unsubscribeEmail": False}


def found(call: Call, contact: Contact, cursor: list[Any] | None = None) -> Row:
    """As a row of a search: names in lower case, `address`, an own cursor."""
    fields = contact.fields
    row = {
        **_common(call, contact),
        "contactName": full_name(contact).lower() or None,
        "firstNameLowerCase": lower(fields.get("firstName")),
        "lastNameLowerCase": lower(fields.get("lastName")),
        "address": fields.get("address1"),
        "businessName": fields.get("companyName"),
        "businessId": None,
        "followers": [],
        "validEmail": None,
        "phoneLabel": None,
        "additionalPhones": [],
    }
    if row["dateOfBirth"] and call.options["search_date_of_birth"] == "epoch_ms":
        row["dateOfBirth"] = milliseconds_of_day(row["dateOfBirth"])
    return row if cursor is None else {**row, "searchAfter": cursor}


def full_name(contact: Contact) -> str:
    """The name as it was written, else the first and the last one."""
    fields = contact.fields
    first, last = fields.get("firstName") or "", fields.get("lastName") or ""
    return str(fields.get("name") or f"{first} {last}".strip())


def lower(text: str | None) -> str | None:
    """Lower case of a text, if there is one."""
    return text.lower() if text else None


def _common(call: Call, contact: Contact) -> Row:
    fields = contact.fields
    dnd = fields.get("dndSettings") or {}
    if call.version == "v3":
        names = {old: new for new, old in CHANNELS_V3.items()}
        dnd = {names.get(name, name): setting for name, setting in dnd.items()}
    return {
        "id": contact.id,
        "locationId": call.account.location,
        **{name: fields.get(name) for name in TEXTS},
        "dnd": bool(fields.get("dnd")),
        "dndSettings": dnd,
        "type": fields.get("type") or "lead",
        "tags": fields.get("tags") or [],
        "dateAdded": iso(contact.added),
        "dateUpdated": iso(contact.updated),
        "customFields": shown(call, contact),
        "additionalEmails": fields.get("additionalEmails") or [],
    }
