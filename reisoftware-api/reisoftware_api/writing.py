"""What differs between the versions where contacts are found and written.

A record has one form for both versions, which is v1's: the ledger then sees no change when the
version changes. v2's bodies are made from it as they leave.
"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any, ClassVar, NamedTuple

from typing_extensions import override

from reisoftware_api.channels import as_v3
from singer_http.operations import JSON

KindOf = Callable[[str], str]
"""A custom field's id → its data type; empty if it is not known."""


class Call(NamedTuple):
    """A request that reads."""

    path: str
    params: Mapping[str, str]


class Writing(ABC):
    """What a version has to say about finding and writing contacts."""

    location: str

    one_match: ClassVar[bool] = False
    """A lookup gives one contact, by the account's own rule, not all of them."""
    update_needs_identity: ClassVar[bool] = False
    """An update needs the email or the phone, changed or not."""
    refused_may_exist: ClassVar[bool] = False
    """A contact whose create was refused with a 422 may have been made all the same."""
    bulk_tags: ClassVar[bool] = False
    """One request can change the tags of many contacts."""
    remove_all: ClassVar[str]
    """The last part of the path that removes a contact from all campaigns."""
    campaign_body: ClassVar[JSON | None] = None
    """What is sent to add a contact to a campaign."""
    tags_end: ClassVar[tuple[str, ...]]
    """The end of the path of a contact's tags."""

    @abstractmethod
    def lookup(self, email: str, phone: str) -> Call:
        """The request for the contact with an email, else with a phone; empty for none."""

    @abstractmethod
    def looked_up(self, data: Any) -> list[JSON] | None:
        """The contacts in a lookup's answer; None if it is not understood."""

    @abstractmethod
    def create_body(self, body: JSON, kind_of: KindOf) -> JSON:
        """The body of a create, from a record in v1's form."""

    @abstractmethod
    def update_body(self, body: JSON, kind_of: KindOf) -> JSON:
        """The body of an update, from a record in v1's form; never with tags, which would replace
        all that the contact has."""

    @abstractmethod
    def clears(self, name: str) -> bool:
        """Whether an update sends a null of a field, which clears it."""

    @abstractmethod
    def not_taken(self, sent: JSON, contact: JSON) -> list[str]:
        """Custom fields (ids) that were sent and that the answer shows otherwise.

        Args:
            sent: the body.
            contact: as the answer to the write shows it.
        """


NOT_IN_UPDATES = frozenset({"tags", "contactName"})
"""Tags would replace all that the contact has; `contactName` is read in lower case by v2."""


def named(body: JSON) -> JSON:
    """The body of a create, where a record has no name but `contactName`."""
    if "contactName" not in body:
        return body
    kept = dict(body)
    return {"name": kept.pop("contactName")} | kept


HARMLESS = frozenset({"contacts", "contact", "matchingField", "meta", "total", "count", "traceId"})
"""Members that may stand beside what a lookup found, or alone where it found none."""


class WritingV1(Writing):
    """Bodies are sent as they are."""

    update_needs_identity = True
    remove_all = "remove-all"
    tags_end = ("tags", "")

    @override
    def lookup(self, email: str, phone: str) -> Call:
        params = {"email": email, "phone": phone}
        return Call("contacts/lookup", {name: text for name, text in params.items() if text})

    @override
    def looked_up(self, data: Any) -> list[JSON] | None:
        if not isinstance(data, dict):
            return None
        found = data.get("contacts")
        if found is None:
            return [] if set(data) <= HARMLESS else None
        return found if isinstance(found, list) and all(map(_has_id, found)) else None

    @override
    def create_body(self, body: JSON, kind_of: KindOf) -> JSON:
        return named(body)

    @override
    def update_body(self, body: JSON, kind_of: KindOf) -> JSON:
        return {name: value for name, value in body.items() if name not in NOT_IN_UPDATES}

    @override
    def clears(self, name: str) -> bool:
        return True

    @override
    def not_taken(self, sent: JSON, contact: JSON) -> list[str]:
        return []


VALUE_NAMES = ("field_value", "value", "fieldValue")
"""What a custom value has been called; the first one is the document's."""
NULLABLE = frozenset(
    {"firstName", "lastName", "name", "email", "phone", "address1", "city", "state", "website",
     "timezone", "dateOfBirth", "companyName", "source"}
)  # fmt: skip
"""Fields that null clears in an update, by the document."""
TEXTS = frozenset({"postalCode", "country"})
"""Fields that only an empty text can clear."""
UNKNOWN_KEY = re.compile(r"property (\w+) should not exist\.?")


class WritingV2(Writing):
    """Strict bodies, with custom fields as a list."""

    one_match = True
    refused_may_exist = True
    bulk_tags = True
    remove_all = "removeAll"
    campaign_body: ClassVar[JSON | None] = {}
    tags_end = ("tags",)

    channels_of_v3: bool = False
    """`dndSettings` spell their channels as v3 does."""
    value_name: str = VALUE_NAMES[0]
    """What a custom value is called in a body."""

    @override
    def lookup(self, email: str, phone: str) -> Call:
        params = {"locationId": self.location, "email": email, "number": phone}
        return Call("contacts/search/duplicate", {k: text for k, text in params.items() if text})

    @override
    def looked_up(self, data: Any) -> list[JSON] | None:
        if not isinstance(data, dict):
            return None
        found = data.get("contact")
        if not found:
            return [] if set(data) <= HARMLESS else None
        return [found] if _has_id(found) else None

    @override
    def create_body(self, body: JSON, kind_of: KindOf) -> JSON:
        # Nothing has to be cleared in a new contact.
        kept = {name: value for name, value in named(body).items() if value is not None}
        return self._body(kept, kind_of) | {"locationId": self.location}

    @override
    def update_body(self, body: JSON, kind_of: KindOf) -> JSON:
        kept: JSON = {}
        for name, value in body.items():
            if value is None and name in TEXTS:
                kept[name] = ""
            elif name not in NOT_IN_UPDATES and (value is not None or name in NULLABLE):
                kept[name] = value
        return self._body(kept, kind_of)

    @override
    def clears(self, name: str) -> bool:
        return name in NULLABLE or name in TEXTS or "." in name

    def _body(self, body: JSON, kind_of: KindOf) -> JSON:
        if self.channels_of_v3 and "dndSettings" in body:
            body["dndSettings"] = as_v3(body["dndSettings"])
        custom = body.pop("customField", None)
        if custom:
            body["customFields"] = [
                {"id": key, self.value_name: _written(value, kind_of(key))}
                for key, value in custom.items()
            ]
        return body

    @override
    def not_taken(self, sent: JSON, contact: JSON) -> list[str]:
        shown = contact.get("customFields")
        if not isinstance(shown, list):
            return []
        has = {
            item.get("id"): _first(item, ("value", *VALUE_NAMES))
            for item in shown
            if isinstance(item, dict)
        }
        return [
            str(item["id"])
            for item in sent.get("customFields", ())
            if _compared(item[self.value_name]) != _compared(has.get(item["id"]))
        ]


def _has_id(item: Any) -> bool:
    return isinstance(item, dict) and bool(item.get("id"))


def _first(item: JSON, names: tuple[str, ...]) -> Any:
    return next((item[name] for name in names if name in item), None)


def _written(value: Any, kind: str) -> Any:
    """A custom value as v2 takes it: a date as a day, not in epoch milliseconds."""
    if kind.upper() == "DATE" and isinstance(value, int) and not isinstance(value, bool):
        return _day(value)
    return value


def _day(milliseconds: int) -> str:
    return datetime.fromtimestamp(milliseconds / 1000, UTC).date().isoformat()


def _compared(value: Any) -> Any:
    """A custom value without its form: 5 and "5.0", a day and its milliseconds, no order."""
    if value in (None, "", []):
        return ""
    if isinstance(value, list):
        return sorted(map(str, value))
    text = str(value)
    try:
        number = float(text)
    except ValueError:
        # A day of 1970 to 2286 that is shown in milliseconds has 9 to 13 digits.
        return text[:10] if re.match(r"\d{4}-\d\d-\d\d", text) else text
    if 1e8 <= abs(number) < 1e13 and number % 86_400_000 == 0:
        return _day(int(number))
    return number


def unknown_keys(data: Any) -> set[str]:
    """The keys of a body that a strict API refuses, if a refusal's body names nothing else."""
    said = data.get("message") if isinstance(data, dict) else None
    problems = said if isinstance(said, list) else [said]
    found = [UNKNOWN_KEY.fullmatch(str(problem).strip()) for problem in problems]
    return {match[1] for match in found if match} if all(found) else set()
