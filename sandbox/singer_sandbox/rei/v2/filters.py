"""The filters of POST contacts/search: fields, operators, groups."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

from singer_sandbox.account import Row
from singer_sandbox.rei.account import Contact
from singer_sandbox.rei.v2.errors import invalid, refusal
from singer_sandbox.rei.v2.shapes import full_name

Test = Callable[[Contact], bool]
TIMES = ("dateAdded", "dateUpdated")
WRITTEN = frozenset(
    {
        "email",
        "phone",
        "firstName",
        "lastName",
        "companyName",
        "city",
        "state",
        "country",
        "postalCode",
        "website",
        "timezone",
        "source",
        "assignedTo",
        "tags",
        "dateOfBirth",
        "type",
    }
)
FIELDS: Mapping[str, Callable[[Contact], Any]] = {
    "id": lambda contact: contact.id,
    "dateAdded": lambda contact: contact.added,
    "dateUpdated": lambda contact: contact.updated,
    "dnd": lambda contact: bool(contact.fields.get("dnd")),
    "address": lambda contact: contact.fields.get("address1"),
    "businessName": lambda contact: contact.fields.get("companyName"),
    "contactName": lambda contact: full_name(contact) or None,
    "firstNameLowerCase": lambda contact: contact.fields.get("firstName"),
    "lastNameLowerCase": lambda contact: contact.fields.get("lastName"),
}
"""Fields that are not simply what was written; texts are compared without case."""
PLAIN = re.compile(r"[\w\s]*").fullmatch
RANGES = ("gt", "gte", "lt", "lte")


def reader(field: Any) -> Callable[[Contact], Any]:
    """What takes a field's value out of a contact; 400 for a field that there is not."""
    name = str(field)
    if name in FIELDS:
        return FIELDS[name]
    if name in WRITTEN:
        return lambda contact: contact.fields.get(name)
    kind, dot, key = name.partition(".")
    if kind == "customFields" and dot and key:
        return lambda contact: contact.custom.get(key)
    raise refusal(400, f"Invalid field {name}")


def all_of(filters: Any, *, phone_misses: bool) -> Test:
    """A test for a list of filters, all of which must hold."""
    tests = [_test(item, phone_misses) for item in _list(filters)]
    return lambda contact: all(test(contact) for test in tests)


def bounds(filters: Any, field: str) -> tuple[Row, list[Any]]:
    """The limits (ms) that filters at the top set to a time, and the filters that are left."""
    limits: Row = {}
    rest: list[Any] = []
    for item in _list(filters):
        mine = isinstance(item, dict) and item.get("field") == field
        if mine and item.get("operator") == "range" and not limits:
            limits = _limits(field, item.get("value"))
        else:
            rest.append(item)
    return limits, rest


def within(limits: Row, value: Any) -> bool:
    """Whether a value lies within limits."""
    if value is None:
        return False
    try:
        return (
            ("gt" not in limits or value > limits["gt"])
            and ("gte" not in limits or value >= limits["gte"])
            and ("lt" not in limits or value < limits["lt"])
            and ("lte" not in limits or value <= limits["lte"])
        )
    except TypeError:
        return False


def _list(filters: Any) -> list[Any]:
    if filters is None:
        return []
    if not isinstance(filters, list):
        raise invalid("filters must be an array")
    return filters


def _test(item: Any, phone_misses: bool) -> Test:
    if not isinstance(item, dict):
        raise invalid("each value in filters must be an object")
    if "group" in item:
        return _group(item, phone_misses)
    field, operator, value = item.get("field"), item.get("operator"), item.get("value")
    read = reader(field)
    if operator in ("exists", "not_exists"):
        wanted = operator == "exists"
        return lambda contact: (read(contact) not in (None, "", [])) == wanted
    if operator == "range":
        limits = _limits(str(field), value)
        return lambda contact: within(limits, read(contact))
    if operator in ("contains", "not_contains"):
        if not isinstance(value, str) or not PLAIN(value):
            raise refusal(422, f"Invalid value for {operator}: special characters")
        return _negated(operator, lambda contact: _contains(read(contact), value))
    if operator in ("eq", "not_eq"):
        # The vendor's issue 289: no hit for a phone that is there.
        miss = phone_misses and field == "phone"
        return _negated(operator, lambda contact: not miss and _equal(read(contact), value))
    raise refusal(422, "Invalid Operator")


def _group(item: Row, phone_misses: bool) -> Test:
    tests = [_test(inner, phone_misses) for inner in _list(item.get("filters"))]
    if item["group"] == "AND":
        return lambda contact: all(test(contact) for test in tests)
    if item["group"] == "OR":
        return lambda contact: any(test(contact) for test in tests)
    raise invalid("group must be one of the following values: AND, OR")


def _negated(operator: str, test: Test) -> Test:
    return (lambda contact: not test(contact)) if operator.startswith("not_") else test


def _folded(value: Any) -> Any:
    return value.lower() if isinstance(value, str) else value


def _equal(held: Any, wanted: Any) -> bool:
    """Of lists, on either side, one member is enough."""
    ours = held if isinstance(held, list) else [held]
    theirs = wanted if isinstance(wanted, list) else [wanted]
    return any(_folded(one) == _folded(other) for one in ours for other in theirs)


def _contains(held: Any, wanted: str) -> bool:
    texts = held if isinstance(held, list) else [held]
    return any(isinstance(text, str) and wanted.lower() in text.lower() for text in texts)


def _limits(field: str, value: Any) -> Row:
    """The limits of a range: epoch milliseconds for times, else as given."""
    if not isinstance(value, dict) or not value or not value.keys() <= set(RANGES):
        raise invalid(f"value of a range must be an object of {', '.join(RANGES)}")
    if field not in TIMES:
        return value
    return {name: _milliseconds(limit) for name, limit in value.items()}


def _milliseconds(value: Any) -> int:
    """Epoch milliseconds of an ISO text or a number."""
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return int(value)
    try:
        at = datetime.fromisoformat(str(value))
    except ValueError:
        raise invalid(f"value of a range must be a date: {value}") from None
    at = at if at.tzinfo else at.replace(tzinfo=UTC)
    return round(at.timestamp() * 1000)
