"""API v2's rows in the form of v1: one shape of records, whichever version they come by.

v1's names and types stay. What v2 has besides is added under v2's names.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from reisoftware_api import channels
from reisoftware_api.times import iso, milliseconds
from singer_http.operations import JSON

OTHER_NAMES = frozenset({"address", "customFields", "searchAfter"})
"""Of a contact in v2; v1 has address1 and customField, and no cursor in its rows."""

VALUE_NAMES = ("value", "fieldValue", "field_value")
"""Under which a custom value can stand; the first one was seen."""

DAY = re.compile(r"\d{4}-\d{2}-\d{2}([T ].*)?")
_NUMBER = re.compile(r"-?\d{9,}")


def contact(row: JSON) -> JSON:
    """A contact: a row of a search, or the contact of an answer about one."""
    found = {name: value for name, value in row.items() if name not in OTHER_NAMES}
    name = row.get("contactName") or row.get("name")
    found["contactName"] = name
    # A search has `address`, the contact alone `address1`.
    found["address1"] = row.get("address1") or row.get("address")
    found["emailLowerCase"] = row.get("emailLowerCase") or lower(row.get("email"))
    found["fullNameLowerCase"] = row.get("fullNameLowerCase") or lower(name)
    found["dateOfBirth"] = day(row.get("dateOfBirth"))
    found["dateAdded"] = moment(row.get("dateAdded"))
    found["dateUpdated"] = moment(row.get("dateUpdated"))
    found["lastActivity"] = milliseconds(row.get("lastActivity"))
    if isinstance(settings := row.get("dndSettings"), dict):
        found["dndSettings"] = channels.as_v2(settings)
    found["customField"] = custom_values(row.get("customFields") or row.get("customField"))
    return found


def custom_values(items: Any) -> list[JSON]:
    """Custom values as v1 reads them: `[{"id", "value"}]`."""
    if not isinstance(items, list):
        return []
    return [
        {
            "id": item["id"],
            "value": next((item[name] for name in VALUE_NAMES if item.get(name) is not None), None),
        }
        for item in items
        if isinstance(item, dict) and item.get("id")
    ]


def appointment(row: JSON) -> JSON:
    """An appointment. Its times may have no zone: then it is not known which one they are in."""
    found = {name: value for name, value in row.items() if name not in ("dateAdded", "dateUpdated")}
    found["createdAt"] = moment(row.get("createdAt") or row.get("dateAdded"))
    found["updatedAt"] = moment(row.get("updatedAt") or row.get("dateUpdated"))
    found["startTime"] = moment(row.get("startTime"))
    found["endTime"] = moment(row.get("endTime"))
    # v1 has both spellings.
    status = row.get("appointmentStatus") or row.get("appoinmentStatus")
    found["appointmentStatus"] = found["appoinmentStatus"] = status
    return found


def moment(value: Any) -> Any:
    """A time: a number (epoch ms) as ISO 8601, a text as it is."""
    at = _epoch(value)
    return value if at is None else iso(at)


def day(value: Any) -> Any:
    """A day: a number (epoch ms) as `YYYY-MM-DD`, a text as it is."""
    at = _epoch(value)
    return value if at is None else datetime.fromtimestamp(at / 1000, UTC).date().isoformat()


def lower(text: Any) -> str | None:
    """Lower case of a text, if there is one."""
    return text.lower() if isinstance(text, str) and text else None


def _epoch(value: Any) -> int | None:
    if isinstance(value, str):
        return int(value) if _NUMBER.fullmatch(value) else None
    if isinstance(value, int | Decimal) and not isinstance(value, bool):
        return int(value)
    return None
