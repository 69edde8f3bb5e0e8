"""What may stand in a contact that is written. A key that is not named here is refused."""

from __future__ import annotations

import re
from datetime import datetime
from typing import Any, NamedTuple

from singer_sandbox.account import Row
from singer_sandbox.rei.account import e164
from singer_sandbox.rei.v2.call import Call
from singer_sandbox.rei.v2.custom_values import understood

EMAIL = re.compile(r"[^@\s]+@[^@\s]+\.[^@\s]+").fullmatch

NULLABLE = frozenset(
    {
        "firstName",
        "lastName",
        "name",
        "email",
        "phone",
        "address1",
        "city",
        "state",
        "website",
        "timezone",
        "dateOfBirth",
        "companyName",
    }
)
"""Fields that null empties; in an update these too:"""
NULLABLE_IN_UPDATE = NULLABLE | {"source", "assignedTo"}
TEXTS = (NULLABLE_IN_UPDATE - {"companyName"}) | {"postalCode", "country"}
OTHERS = frozenset({"dnd", "dndSettings", "inboundDndSettings", "tags", "customFields"})
CREATE = TEXTS | OTHERS | {"locationId", "gender", "companyName"}
UPSERT = CREATE | {"createNewIfDuplicateAllowed"}
UPDATE = TEXTS | OTHERS

CHANNELS = ("Call", "Email", "SMS", "WhatsApp", "GMB", "FB", "RCS")
CHANNELS_V3 = {
    "call": "Call",
    "email": "Email",
    "sms": "SMS",
    "whatsApp": "WhatsApp",
    "gmb": "GMB",
    "fb": "FB",
}
"""Version v3's names → the older ones, in which they are kept."""
DND_STATES = ("active", "inactive", "permanent")
BIRTHDAYS = ("%Y-%m-%d", "%Y/%m/%d", "%Y.%m.%d", "%Y_%m_%d",
             "%m-%d-%Y", "%m/%d/%Y", "%m.%d.%Y", "%m_%d_%Y")  # fmt: skip


class Written(NamedTuple):
    """What a body asks for: what is good of it, and what is refused."""

    fields: Row
    custom: Row
    problems: list[str]

    @property
    def identified(self) -> bool:
        """Whether it has what a new contact needs one of; `name` alone is not enough."""
        return any(self.fields.get(k) for k in ("email", "phone", "firstName", "lastName"))


def unknown_keys(body: Row, known: frozenset[str]) -> list[str]:
    """One text for each key that does not belong there."""
    return [f"property {key} should not exist" for key in body if key not in known]


def written(call: Call, known: frozenset[str]) -> Written:
    """The fields and custom values of a contact to be written, as they are kept."""
    body = call.body
    problems = unknown_keys(body, known)
    nullable = NULLABLE if "locationId" in known else NULLABLE_IN_UPDATE
    fields: Row = {}
    custom: Row = {}
    for key in body.keys() & known:
        value = body[key]
        if key == "customFields":
            custom, found = understood(call, value)
        elif value is None and key in nullable:
            fields[key], found = None, []
        else:
            fields[key], found = _kept(call, key, value)
        if found:
            fields.pop(key, None)
        problems += found
    if "locationId" in known and not body.get("locationId"):
        problems += ["locationId should not be empty", "locationId must be a string"]
    fields.pop("locationId", None)
    return Written(fields, custom, problems)


def moment(value: Any) -> bool:
    """Whether it is an ISO date-time with an offset."""
    try:
        return datetime.fromisoformat(str(value)).tzinfo is not None
    except ValueError:
        return False


def _kept(call: Call, key: str, value: Any) -> tuple[Any, list[str]]:
    """One field as it is kept, and what is wrong with it."""
    if key in ("dnd", "createNewIfDuplicateAllowed"):
        return value, [] if isinstance(value, bool) else [f"{key} must be a boolean value"]
    if key == "tags":
        if not isinstance(value, list):
            return value, ["tags must be an array"]
        if not all(isinstance(tag, str) for tag in value):
            return value, ["each value in tags must be a string"]
        return list(dict.fromkeys(tag.strip().lower() for tag in value)), []
    if key == "dndSettings":
        return _dnd(call, value)
    if key == "inboundDndSettings":
        setting = value.get("all") if isinstance(value, dict) else None
        good = isinstance(setting, dict) and setting.get("status") in ("active", "inactive")
        return value, [] if good else ["inboundDndSettings.all.status must be active or inactive"]
    if not isinstance(value, str):
        return value, [f"{key} must be a string"]
    if key == "email" and value:
        return value.strip(), [] if EMAIL(value.strip()) else ["email must be an email"]
    if key == "phone" and value:
        number = e164(value)
        return number, [] if number else ["phone must be a valid phone number"]
    if key == "dateOfBirth" and value:
        return _birthday(value)
    return value, []


def _dnd(call: Call, value: Any) -> tuple[Any, list[str]]:
    if not isinstance(value, dict):
        return value, ["dndSettings must be an object"]
    names = CHANNELS_V3 if call.version == "v3" else {name: name for name in CHANNELS}
    problems = [f"dndSettings.property {k} should not exist" for k in value if k not in names]
    for name, setting in value.items():
        status = setting.get("status") if isinstance(setting, dict) else None
        if name in names and status not in DND_STATES:
            states = ", ".join(DND_STATES)
            problems.append(f"dndSettings.{name}.status must be one of the following: {states}")
    return {names.get(name, name): setting for name, setting in value.items()}, problems


def _birthday(value: str) -> tuple[Any, list[str]]:
    """A birthday in one of the documented forms, as `YYYY-MM-DD`."""
    for form in BIRTHDAYS:
        try:
            return datetime.strptime(value, form).date().isoformat(), []  # noqa: DTZ007 - a day
        except ValueError:
            continue
    return value, ["dateOfBirth must be a valid date"]
