"""What REI Software refuses in a contact."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from singer_sandbox.account import Row
from singer_sandbox.rei.account import e164
from singer_sandbox.rei.base import Problems

EMAIL = re.compile(r"[^@\s]+@[^@\s]+\.[^@\s]+").fullmatch
TEXTS = (
    "firstName",
    "lastName",
    "name",
    "companyName",
    "address1",
    "city",
    "state",
    "postalCode",
    "country",
    "website",
    "timezone",
    "source",
    "dateOfBirth",
    "assignedTo",
    "type",
)
READ_ONLY = frozenset(
    {
        "id",
        "locationId",
        "contactName",
        "dateAdded",
        "dateUpdated",
        "emailLowerCase",
        "fullNameLowerCase",
        "fingerprint",
        "lastActivity",
    }
)


def contact_problems(body: Row, definitions: Mapping[str, Row], *, identified: bool) -> Problems:
    """What is wrong with a contact to be written; `identified` asks for email or phone."""
    problems: Problems = {}
    if identified and not body.get("email") and not body.get("phone"):
        problems["email"] = ("The email field is required without phone.", "required_without")
        problems["phone"] = ("The phone field is required without email.", "required_without")
    email, phone = body.get("email"), body.get("phone")
    if email and not (isinstance(email, str) and EMAIL(email)):
        problems["email"] = ("The email must be a valid email address.", "email")
    if phone and not (isinstance(phone, str) and e164(phone)):
        problems["phone"] = ("The phone must be a valid phone number.", "phone")
    for field in TEXTS:
        value = body.get(field)
        if value is not None and not isinstance(value, str):
            problems[field] = (f"The {field} must be a string.", "string")
    if body.get("dnd") is not None and not isinstance(body["dnd"], bool):
        problems["dnd"] = ("The dnd must be a boolean.", "boolean")
    tags = body.get("tags")
    if tags is not None and not is_texts(tags):
        problems["tags"] = ("The tags must be an array of strings.", "array")
    custom = body.get("customField")
    if custom is not None:
        problems |= custom_problems(custom, definitions)
    return problems


def custom_problems(custom: Any, definitions: Mapping[str, Row]) -> Problems:
    """What is wrong with custom values; they are written as an object by field id."""
    if not isinstance(custom, dict):
        return {"customField": ("The customField must be an object.", "object")}
    problems: Problems = {}
    for key, value in custom.items():
        definition = definitions.get(key)
        name = f"customField.{key}"
        if definition is None:
            problems[name] = (f"The custom field {key} does not exist.", "exists")
        elif value is not None:
            text = value_problem(value, definition)
            if text:
                problems[name] = (f"The {definition.get('name')} {text}.", "type")
    return problems


def value_problem(value: Any, definition: Row) -> str | None:
    """What is wrong with one custom value."""
    kind = str(definition.get("dataType", "TEXT")).upper()
    choices = definition.get("picklistOptions") or []
    if kind in ("MULTIPLE_OPTIONS", "CHECKBOX"):
        if not is_texts(value):
            return "must be an array of strings"
        wrong = [item for item in value if item not in choices]
        return f"has no option {wrong[0]!r}" if wrong else None
    if kind in ("SINGLE_OPTIONS", "RADIO"):
        if not isinstance(value, str):
            return "must be a string"
        return None if value in choices else f"has no option {value!r}"
    if kind == "DATE":
        good = isinstance(value, int) and not isinstance(value, bool)
        return None if good else "must be an integer of epoch milliseconds"
    if kind in ("NUMERICAL", "MONETORY", "FLOAT"):
        good = isinstance(value, (int, float)) and not isinstance(value, bool)
        return None if good else "must be a number"
    return None if isinstance(value, str) else "must be a string"


def is_texts(value: Any) -> bool:
    """Whether it is a list of strings."""
    return isinstance(value, list) and all(isinstance(item, str) for item in value)


def is_moment(value: Any) -> bool:
    """Whether it is an ISO date-time with an offset."""
    try:
        return datetime.fromisoformat(str(value)).tzinfo is not None
    except ValueError:
        return False
