"""What AutoReach refuses in a person or a member.

People come 100 at a time and benchmarks send them by the hundred thousand, so the checks that a
record needs are worked out once for each set of columns, not once for each record.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import date
from operator import itemgetter
from typing import Any, Literal

from singer_sandbox.account import Row

PEOPLE_LIMIT = 100
NAME_LIMIT = 255
DATE = re.compile(r"(\d{4})-(\d\d)-(\d\d) ([01]\d|2[0-3]):[0-5]\d:[0-5]\d \+0000").fullmatch
# Every day of the calendar but 29 February, which needs a look at the year.
_MOST_DAYS = (
    r"(?:(?:0[1-9]|1[0-2])-(?:0[1-9]|1\d|2[0-8])"
    r"|(?:0[13-9]|1[0-2])-(?:29|30)|(?:0[13578]|1[02])-31)"
)
_MOST_DATES = rf"(?!0000)\d{{4}}-{_MOST_DAYS} (?:[01]\d|2[0-3]):[0-5]\d:[0-5]\d \+0000"
MOST_DATES = re.compile(rf"{_MOST_DATES}(?:\n{_MOST_DATES})*").fullmatch
EMAILS = re.compile(r"[^\n]+@[^\n]+(?:\n[^\n]+@[^\n]+)*").fullmatch
LETTER = re.compile(r"[^\W\d_]").search
PLAIN = ("id", "external_id", "email", "phone", "first_name", "last_name")

Check = Callable[[Any], str | None]
Format = Literal["object", "list", "flat"]


def _email(value: Any) -> str | None:
    if value is None or (isinstance(value, str) and "@" in value[1:-1]):
        return None
    return "email is not an email address"


def _phone(value: Any) -> str | None:
    if value is None or (isinstance(value, str) and not LETTER(value)):
        return None
    return "phone is not a phone number"


def _name(value: Any) -> str | None:
    if value is None or (isinstance(value, str) and len(value) <= NAME_LIMIT):
        return None
    return f"name must be a text of {NAME_LIMIT} characters at most"


def _date(value: Any) -> str | None:
    if value is None:
        return None
    match = DATE(value) if isinstance(value, str) else None
    if match is not None:
        year, month, day = int(match[1]), int(match[2]), int(match[3])
        if 1 <= month <= 12 and 1 <= day <= 28 and year:
            return None
        try:
            date(year, month, day)
        except ValueError:
            return "is not a date of the calendar"
        return None
    return "must be like 2024-01-01 20:18:57 +0000"


class PersonChecker:
    """Checks people for one account's custom fields and one way of writing them."""

    def __init__(self, custom_keys: frozenset[str], custom_format: Format) -> None:
        self.custom_keys = custom_keys
        self.format = custom_format
        self._plans: dict[tuple[str, ...], list[tuple[str, Check]]] = {}

    def sort(self, people: list[Any]) -> tuple[list[Row], list[tuple[int, str]]]:
        """The good ones, and the problems of the others by position."""
        if self.all_good(people):
            return people, []
        problem = self.problem
        problems: list[tuple[int, str]] = []
        for index, person in enumerate(people):
            text = problem(person)
            if text is not None:
                problems.append((index, text))
        if not problems:
            return people, problems
        bad = {index for index, _ in problems}
        return [person for i, person in enumerate(people) if i not in bad], problems

    def all_good(self, people: list[Any]) -> bool:
        """Whether a look at whole columns finds nothing wrong; False leaves it open.

        One regular expression over a hundred values costs a tenth of a hundred.
        """
        try:
            shapes = set(map(tuple, people))
            columns = shapes.pop()
            plan = self._plans.get(columns)
            if shapes or plan is None or not isinstance(people[0], dict):
                return False
            key = "external_id" if "external_id" in columns else "id"
            if not all(map(itemgetter(key), people)):
                return False
            return all(
                self._column_good(check, [person[column] for person in people])
                for column, check in plan
            )
        except (TypeError, KeyError, AttributeError):  # a null, a number, no object at all
            return False

    def _column_good(self, check: Check, values: list[Any]) -> bool:
        if check is _name:
            "".join(values)  # raises unless all are texts
            return len(max(values, key=len)) <= NAME_LIMIT
        if check == self._custom:
            if self.format != "object" or set(map(type, values)) != {dict}:
                return False
            used: set[str] = set().union(*values)
            return used <= self.custom_keys
        text = "\n".join(values)
        if text.count("\n") != len(values) - 1:
            return False
        if check is _phone:
            return LETTER(text) is None
        if check is _email:
            return EMAILS(text) is not None
        return check is _date and MOST_DATES(text) is not None

    def problem(self, person: Any, *, keyed: bool = False) -> str | None:
        """What is wrong with a person; `keyed` when the key stands in the address."""
        if not isinstance(person, dict):
            return "a person must be an object"
        columns = tuple(person)
        plan = self._plans.get(columns)
        if plan is None:
            plan = self._plans[columns] = self._plan(columns)
        for column, check in plan:
            text = check(person[column])
            if text is not None:
                return f"{column}: {text}"
        if keyed or person.get("id") or person.get("external_id"):
            return None
        return "id or external_id is required"

    def _plan(self, columns: tuple[str, ...]) -> list[tuple[str, Check]]:
        checks: list[tuple[str, Check]] = []
        for column in columns:
            check = self._check(column)
            if check is not None:
                checks.append((column, check))
        return checks

    def _check(self, column: str) -> Check | None:
        if column == "email":
            return _email
        if column == "phone":
            return _phone
        if column in ("first_name", "last_name"):
            return _name
        if column == "custom_fields":
            return self._custom
        if column == "additionalProp1":
            return lambda _: "custom fields do not go into the additionalProp1 object"
        if column.endswith(("_date", "_at")) and column not in self.custom_keys:
            return _date
        return None

    def _custom(self, value: Any) -> str | None:
        if value is None:
            return None
        if self.format == "object" and isinstance(value, dict):
            unknown = value.keys() - self.custom_keys
            return f"unknown custom fields {sorted(unknown)}" if unknown else None
        if self.format == "list" and isinstance(value, list):
            for pair in value:
                if not isinstance(pair, dict) or pair.keys() != {"key", "value"}:
                    return "each custom field must have a key and a value"
                if pair["key"] not in self.custom_keys:
                    return f"unknown custom field {pair['key']!r}"
            return None
        return f"is not understood (sandbox option custom_fields_format is {self.format!r})"

    def stored(self, person: Row) -> Row:
        """The person as it is kept: custom fields as an object, however they were written."""
        if self.format == "object":
            return person
        if self.format == "list":
            pairs = person.get("custom_fields")
            if not pairs:
                return person
            return {**person, "custom_fields": {pair["key"]: pair["value"] for pair in pairs}}
        custom = {key: person[key] for key in person.keys() & self.custom_keys}
        plain = {key: value for key, value in person.items() if key not in custom}
        return {**plain, "custom_fields": custom} if custom else plain


def member_problem(
    body: Row, checker: PersonChecker, rows: Mapping[str, Mapping[str, Row]], *, new: bool
) -> str | None:
    """What is wrong with a member."""
    if new and not body.get("email") and not body.get("phone"):
        return "email or phone is required"
    list_id = body.get("list_id")
    if list_id is not None and str(list_id) not in rows["lists"]:
        return f"list_id: there is no list {list_id}"
    return checker.problem(body, keyed=True)
