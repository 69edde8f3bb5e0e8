"""What one REI Software location holds, with the orders and indexes that its lists need."""

from __future__ import annotations

import copy
import random
import re
import string
import time
from bisect import bisect_left, insort
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, ClassVar

from typing_extensions import override

from singer_sandbox.account import Account, ControlError, Row
from singer_sandbox.settings import REI_LOCATION

LISTED = (
    "id",
    "locationId",
    "contactName",
    "firstName",
    "lastName",
    "companyName",
    "email",
    "phone",
    "dnd",
    "type",
    "source",
    "assignedTo",
    "city",
    "state",
    "postalCode",
    "address1",
    "dateAdded",
    "dateUpdated",
    "dateOfBirth",
    "tags",
    "country",
    "website",
    "timezone",
)
"""What a contact in a list always has, beside customField."""

LETTERS = string.ascii_letters + string.digits
NOT_PHONE = re.compile(r"[^\d\s()+./-]").search


def new_id() -> str:
    """An id as the vendor makes them."""
    return "".join(random.choices(LETTERS, k=20))  # noqa: S311 - not a secret


def iso(milliseconds: int) -> str:
    """Epoch milliseconds as `2020-10-29T09:31:30.255Z`."""
    seconds, rest = divmod(milliseconds, 1000)
    return f"{time.strftime('%Y-%m-%dT%H:%M:%S', time.gmtime(seconds))}.{rest:03d}Z"


def milliseconds(value: Any) -> int:
    """Epoch milliseconds out of a fixture's number or ISO text."""
    if isinstance(value, (int, float)):
        return int(value)
    try:
        moment = datetime.fromisoformat(str(value))
    except ValueError:
        raise ControlError(f"not a time: {value!r}") from None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return round(moment.timestamp() * 1000)


def e164(text: str) -> str | None:
    """A phone in the form that the vendor keeps, or None when it is none."""
    if NOT_PHONE(text):
        return None
    digits = re.sub(r"\D", "", text)
    if text.strip().startswith("+"):
        return f"+{digits}" if 7 <= len(digits) <= 15 else None
    if len(digits) == 10:
        return f"+1{digits}"
    if len(digits) == 11 and digits[0] == "1":
        return f"+{digits}"
    return None


class Contact:
    """A contact: what was written, custom values by field id, and two times in milliseconds."""

    __slots__ = ("added", "custom", "fields", "id", "updated")

    def __init__(self, contact_id: str, added: int) -> None:
        self.id = contact_id
        self.fields: Row = {}
        self.custom: dict[str, Any] = {}
        self.added = added
        self.updated = added

    def listed(self, location: str) -> Row:
        """The contact as a list shows it."""
        fields = self.fields
        row = dict.fromkeys(LISTED)
        row |= fields
        first, last = fields.get("firstName") or "", fields.get("lastName") or ""
        row["id"] = self.id
        row["locationId"] = location
        row["contactName"] = fields.get("name") or f"{first} {last}".strip() or None
        row.pop("name", None)
        row["dnd"] = bool(fields.get("dnd"))
        row["type"] = fields.get("type") or "lead"
        row["tags"] = fields.get("tags") or []
        row["dateAdded"] = iso(self.added)
        row["dateUpdated"] = iso(self.updated)
        row["customField"] = [{"id": key, "value": value} for key, value in self.custom.items()]
        return row

    def full(self, location: str) -> Row:
        """The contact as it is shown alone."""
        row = self.listed(location)
        email, name = row["email"], row["contactName"]
        row["emailLowerCase"] = email.lower() if email else None
        row["fullNameLowerCase"] = name.lower() if name else None
        row["fingerprint"] = f"sandbox-{self.id}"
        return row

    def mentions(self, wanted: str) -> bool:
        """What `query` searches: name, phone, email, tags, company name."""
        fields = self.fields
        names = ("name", "firstName", "lastName", "phone", "email", "companyName")
        texts = [str(fields[name]) for name in names if fields.get(name)]
        full = f"{fields.get('firstName') or ''} {fields.get('lastName') or ''}"
        return any(wanted in text.lower() for text in [*texts, full, *(fields.get("tags") or [])])

    def state(self) -> Row:
        """The contact as the control API shows it: custom values as an object by field id."""
        times = {"dateAdded": iso(self.added), "dateUpdated": iso(self.updated)}
        return {"id": self.id, **self.fields, "customField": dict(self.custom), **times}


class ReiAccount(Account):
    """One location."""

    tables: ClassVar[Mapping[str, str]] = {
        "custom_fields": "id",
        "tags": "id",
        "campaigns": "id",
        "workflows": "id",
        "appointments": "id",
    }
    journals = ("workflow_entries", "workflow_removals", "campaign_entries", "creations")

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.location = REI_LOCATION if name == "default" else f"location-{name}"
        self.contacts: dict[str, Contact] = {}
        self.campaigns_of: dict[str, list[str]] = {}
        self.by_added: list[tuple[int, str]] = []
        self.by_updated: list[tuple[int, str]] = []
        self._by_email: dict[str, list[str]] = {}
        self._by_phone: dict[str, list[str]] = {}
        self._by_additional: dict[str, list[str]] = {}
        self.deleted: set[str] = set()
        """Ids of contacts that were there."""
        self.day_began: float | None = None
        """When the first call of API v2's day came (epoch seconds)."""
        self.day_used = 0
        self._clock = 0

    def now(self) -> int:
        """Wall clock in milliseconds that never goes back."""
        self._clock = max(self._clock, time.time_ns() // 1_000_000)
        return self._clock

    # Control

    @override
    def dump(self) -> dict[str, Any]:
        """Contacts by id; contact_campaigns: contact id → campaign ids."""
        contacts = {key: contact.state() for key, contact in self.contacts.items()}
        campaigns = {key: list(ids) for key, ids in self.campaigns_of.items() if ids}
        return {"contacts": contacts, "contact_campaigns": campaigns, **super().dump()}

    @override
    def sizes(self) -> dict[str, int]:
        """As `dump`."""
        return {"contacts": len(self.contacts), **super().sizes()}

    @override
    def newest(self, count: int) -> dict[str, list[Row]]:
        """The contacts changed last, first."""
        ids = [key for _, key in self.by_updated[: -count - 1 : -1]]
        return {"contacts": [self.contacts[key].state() for key in ids], **super().newest(count)}

    @override
    def merge(self, collections: Mapping[str, Any]) -> None:
        """Contacts too: with `dateAdded`, `dateUpdated` (ISO or ms), customField in either form."""
        given = dict(collections)
        contacts = given.pop("contacts", [])
        campaigns = given.pop("contact_campaigns", {})
        super().merge(given)
        for row in contacts.values() if isinstance(contacts, dict) else contacts:
            self.put_contact(dict(row))
        self.campaigns_of |= {key: list(ids) for key, ids in campaigns.items()}
        self.changed()

    def put_contact(self, row: Row) -> None:
        """Take one fixture in."""
        key = str(row.pop("id", None) or new_id())
        added, updated = row.pop("dateAdded", None), row.pop("dateUpdated", None)
        custom = row.pop("customField", None) or {}
        if isinstance(custom, list):
            custom = {item["id"]: item["value"] for item in custom}
        row.pop("locationId", None)
        contact = self.contacts.get(key)
        if contact is None:
            stamp = self.now() if added is None else milliseconds(added)
            contact = self.add(key, stamp)
        elif added is not None:
            self._unlist(contact)
            contact.added = milliseconds(added)
            self._list(contact)
        stamp = self.now() if updated is None else milliseconds(updated)
        if updated is None and added is not None:
            stamp = contact.added
        self.write(contact, row, custom, stamp)

    @override
    def put(self, table: str, row: Row) -> None:
        """Fixtures get ids as the vendor makes them."""
        row["id"] = row.get("id") or new_id()
        super().put(table, row)

    @override
    def remove(self, table: str, key: str) -> bool:
        """Contacts too."""
        if table != "contacts":
            return super().remove(table, key)
        contact = self.contacts.get(key)
        if contact is not None:
            self.delete(contact)
        return contact is not None

    # Contacts

    def add(self, key: str, stamp: int) -> Contact:
        """A new, empty contact."""
        contact = self.contacts[key] = Contact(key, stamp)
        self.deleted.discard(key)
        self._list(contact)
        return contact

    def write(self, contact: Contact, fields: Row, custom: Row, stamp: int) -> None:
        """Change fields and custom values; null clears a custom value."""
        self._unindex(contact)
        contact.fields.update(fields)
        for key, value in custom.items():
            if value is None:
                contact.custom.pop(key, None)
            else:
                contact.custom[key] = value
        self._index(contact)
        self.touch(contact, stamp)

    def touch(self, contact: Contact, stamp: int | None = None) -> None:
        """Set dateUpdated."""
        stamp = self.now() if stamp is None else stamp
        if stamp != contact.updated:
            self._take(self.by_updated, (contact.updated, contact.id))
            contact.updated = stamp
            insort(self.by_updated, (stamp, contact.id))
        self.changed()

    def delete(self, contact: Contact) -> None:
        """Take a contact out, with its appointments and campaigns."""
        self._unlist(contact)
        self._unindex(contact)
        del self.contacts[contact.id]
        self.deleted.add(contact.id)
        self.campaigns_of.pop(contact.id, None)
        appointments = self.rows["appointments"]
        for key in [k for k, row in appointments.items() if row.get("contactId") == contact.id]:
            del appointments[key]
        self.changed()

    def learn_tags(self, tags: Sequence[str]) -> None:
        """A tag that is new on a contact is new in the location."""
        rows = self.rows["tags"]
        if not tags or {row["name"] for row in rows.values()}.issuperset(tags):
            return
        names = {row["name"] for row in rows.values()}
        for tag in tags:
            if tag not in names:
                self.put("tags", {"name": tag, "locationId": self.location})

    def by_email(self, email: str) -> list[Contact]:
        """Contacts with this email, whatever its case."""
        return [self.contacts[key] for key in self._by_email.get(email.strip().lower(), ())]

    def by_phone(self, phone: str) -> list[Contact]:
        """Contacts with this phone."""
        return [self.contacts[key] for key in self._by_phone.get(e164(phone) or "", ())]

    def by_additional_email(self, email: str) -> list[Contact]:
        """Contacts that have this email beside their first one."""
        return [self.contacts[key] for key in self._by_additional.get(email.strip().lower(), ())]

    def found(self, email: str, phone: str, lag: float) -> list[Contact]:
        """What a lookup finds: by email, else by phone; as it was so many seconds ago."""
        if not lag:
            by_email = self.by_email(email) if email.strip() else []
            return by_email or (self.by_phone(phone) if phone else [])
        seen = self.as_of("contacts", self.contacts, lag).values()
        wanted = email.strip().lower()
        hits = [c for c in seen if wanted and str(c.fields.get("email") or "").lower() == wanted]
        number = e164(phone) if phone else None
        return hits or [c for c in seen if number and e164(str(c.fields.get("phone"))) == number]

    def note_contact(
        self, contact: Contact, options: Mapping[str, Any], *, new: bool = False
    ) -> None:
        """Remember a contact as it is before a write, where lookups or the search index lag."""
        lags = {"contacts": options["lookup_lag"], "search": options["search_lag"]}
        if any(lags.values()):
            before = None if new else copy.deepcopy(contact)
            for table, lag in lags.items():
                self.note(table, contact.id, before, lag)

    def _list(self, contact: Contact) -> None:
        insort(self.by_added, (contact.added, contact.id))
        insort(self.by_updated, (contact.updated, contact.id))

    def _unlist(self, contact: Contact) -> None:
        self._take(self.by_added, (contact.added, contact.id))
        self._take(self.by_updated, (contact.updated, contact.id))

    @staticmethod
    def _take(order: list[tuple[int, str]], entry: tuple[int, str]) -> None:
        index = bisect_left(order, entry)
        if index < len(order) and order[index] == entry:
            del order[index]

    def _keys(self, contact: Contact) -> Iterator[tuple[dict[str, list[str]], str]]:
        email, phone = contact.fields.get("email"), contact.fields.get("phone")
        if email:
            yield self._by_email, str(email).strip().lower()
        if phone:
            yield self._by_phone, e164(str(phone)) or ""
        for item in contact.fields.get("additionalEmails") or ():
            yield self._by_additional, str(item["email"]).strip().lower()

    def _index(self, contact: Contact) -> None:
        for index, key in self._keys(contact):
            index.setdefault(key, []).append(contact.id)

    def _unindex(self, contact: Contact) -> None:
        for index, key in self._keys(contact):
            ids = index.get(key, [])
            if contact.id in ids:
                ids.remove(contact.id)
            if not ids:
                index.pop(key, None)
