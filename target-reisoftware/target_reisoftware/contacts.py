"""What REI Software takes: contacts, one at a time."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any

from typing_extensions import override

from singer_http.errors import Refused
from singer_http.exact_json import NotJSON, StrangeJSON, decode, encode_sorted, text_of
from singer_http.identity import fold_email
from singer_http.operations import (
    JSON,
    Effect,
    Operation,
    Outcome,
    OutcomeKind,
    Rejection,
    invalid,
)
from singer_http.sink import columns as f
from singer_http.sink.kinds import RecordSink, second_step
from target_reisoftware import values
from target_reisoftware.lookup import Api, contact_path, envelope, finder_of
from target_reisoftware.matching import Identity, may_be

TEXTS = (
    "firstName", "lastName", "name", "companyName", "email", "phone", "address1", "city", "state",
    "postalCode", "country", "website", "timezone", "source",
)  # fmt: skip


class Contacts(RecordSink):
    """Contacts, matched by email, then phone."""

    stream = "contacts"
    # The vendor's page, and companyName, which its example (cut off there) has in API v1.
    fields = (*TEXTS, "dateOfBirth", "dnd")
    read_only = (
        "id", "locationId", "contactName", "type", "assignedTo", "dateAdded", "dateUpdated",
        "lastActivity", "fingerprint", "emailLowerCase", "firstNameLowerCase", "lastNameLowerCase",
        "fullNameLowerCase",
    )  # fmt: skip
    identities = (("id",), ("email",), ("phone",))
    personal = ("email", "phone")
    emails = ("email",)
    phones = ("phone",)
    container = "customField"
    deterministic = True

    @cached_property
    def api(self) -> Api:
        """The vendor."""
        return Api(self.client, self.meter)

    @override
    def setup(self) -> None:
        self._taken = self.context.shared("taken contacts", dict[str, tuple[str, str]])
        self._doubtful = self.context.shared("doubtful contacts", set[str])
        """Keys of contacts that only the vendor itself is asked for."""
        self._finder = finder_of(self)

    # --- columns ------------------------------------------------------------------------------

    @override
    def extra_columns(self) -> Sequence[str]:
        return ("customField", "tags")

    @override
    def read_custom_fields(self) -> Sequence[f.CustomField]:
        return [custom_field(item) for item in self.api.custom_fields()]

    @override
    def converter(
        self, name: str, custom: f.CustomField | None, schema: Mapping[str, Any]
    ) -> f.Convert | None:
        if custom is not None:
            return values.custom(custom)
        found = super().converter(name, custom, schema)
        if name == "dateOfBirth" and found is not None:
            return values.calendar_date(name)
        if name == "dnd":
            return values.boolean(name)
        return values.text(name) if name in TEXTS and found is None else found

    @override
    def unpack(self, container: Any) -> JSON:
        """Custom fields as an object, or as contacts come with them: `[{"id", "value"}]`."""
        if isinstance(container, str):
            with contextlib.suppress(NotJSON, StrangeJSON, UnicodeEncodeError):
                container = decode(container.encode())
        if isinstance(container, list):
            if not all(isinstance(item, dict) and item.get("id") for item in container):
                raise invalid('customField: the list has items that are no {"id", "value"}')
            return {text_of(item["id"]): item.get("value") for item in container}
        return super().unpack(container)

    # --- a record -----------------------------------------------------------------------------

    @override
    def prepare(self, record: JSON, op: Operation) -> None:
        if named := f.identifier("id", record.get("id")):
            op.remote_id = named
        if op.delete:
            who = [column for column in self.columns.plain if column.name in self.personal]
            op.body = f.applier(who, send_nulls=False)(record)
            op.identities = identity_of(op).folded
            return
        super().prepare(record, op)
        op.identities = identity_of(op).folded
        custom = self.custom_values(record)
        if kept := {k: v for k, v in custom.items() if v is not None or self.send_nulls}:
            op.body["customField"] = kept
        if tags := values.tags("tags", record.get("tags")):
            op.body["tags"] = tags

    @override
    def can_find(self, op: Operation) -> bool:
        return bool(op.identities)

    @override
    def find(self, op: Operation) -> str | None:
        if op.key in self._taken:
            return self._find_taken(op)
        try:
            return self._finder.find(self.api, identity_of(op), look_up=op.key in self._doubtful)
        except Rejection:
            if op.delete:
                return None  # what was found is another contact
            raise

    @override
    def forget_lookup(self, op: Operation) -> None:
        self._doubtful.add(op.key)

    def _find_taken(self, op: Operation) -> str:
        """The contact that a create ran into, unless it is another one with the same phone."""
        contact, field = self._taken.pop(op.key)
        email = fold_email(op.body.get("email"))
        if field != "email" and not may_be(self.api.contact(contact), email):
            raise invalid(
                f"the phone is that of the contact {contact}, whose email is another one: give the "
                "id, or another phone"
            )
        return contact

    @override
    def precondition(self, op: Operation) -> Rejection | None:
        if op.remote_id is None and not op.identities:
            return invalid("a contact needs an email or a phone")
        return None

    @override
    def current(self, op: Operation) -> JSON | None:
        known = self.api.contact(op.remote_id or "")
        # Tags are added: those that it has are no change, and its others stay.
        had = set(known.get("tags") or ())
        return known | {"tags": [tag for tag in op.body.get("tags", ()) if tag in had] or None}

    # --- requests -----------------------------------------------------------------------------

    @override
    def send(self, ops: Sequence[Operation]) -> list[Outcome]:
        try:
            return super().send(ops)
        except Refused as error:
            contact, field = duplicate_of(error)
            if contact is None or ops[0].remote_id is not None:
                raise
            # It is there after all: found as this one, and then by the mode.
            self._taken[ops[0].key] = contact, field
            return [Outcome(OutcomeKind.GONE)]

    @override
    def create(self, op: Operation) -> str | None:
        answer = self.api.request("POST", "contacts/", body=op.payload, effect=Effect.CREATE)
        made = envelope(answer)
        if not made.get("id"):
            # Not an answer that is understood: the contact is looked up.
            raise Refused(200, "the answer to a create names no contact", answer)
        self._finder.note(made)
        return text_of(made["id"])

    @override
    def update(self, op: Operation) -> None:
        # Tags in an update would replace all that the contact has.
        body = {name: value for name, value in op.body.items() if name != "tags"}
        path = contact_path(op.remote_id or "")
        if not body.get("email") and not body.get("phone"):
            # The vendor asks for one of them, changed or not.
            known = self.api.contact(op.remote_id or "")
            name = "email" if known.get("email") else "phone"
            body = {name: known.get(name)} | body
        self._finder.note(envelope(self.api.request("PUT", path, body=encode_sorted(body))))
        if tags := op.body.get("tags"):
            with second_step("tags"):
                self.api.request(
                    "POST", contact_path(op.remote_id or "", "tags", ""), json={"tags": tags}
                )

    @override
    def delete(self, op: Operation) -> None:
        self.api.request("DELETE", contact_path(op.remote_id or ""))
        self._finder.note_deleted(op.remote_id or "")


def identity_of(op: Operation) -> Identity:
    """By what the vendor knows the contact of an operation."""
    return Identity(op.body.get("email") or "", op.body.get("phone") or "")


def duplicate_of(error: Refused) -> tuple[str | None, str]:
    """The contact that forbids a create, and the field in which they are the same."""
    meta = error.data.get("meta") if isinstance(error.data, dict) else None
    if not isinstance(meta, dict) or not meta.get("contactId"):
        return None, ""
    return text_of(meta["contactId"]), str(meta.get("matchingField") or "")


def custom_field(item: JSON) -> f.CustomField:
    """A custom field, known by its id, its key (`contact.x` or `x`) and its name."""
    key = str(item.get("fieldKey") or "")
    names = (text_of(item["id"]), key, key.removeprefix("contact."), str(item.get("name") or ""))
    return f.CustomField(
        id=names[0],
        names=tuple(filter(None, names)),
        type=str(item.get("dataType") or item.get("dateType") or ""),  # the page's misprint
        choices=tuple(str(choice) for choice in item.get("picklistOptions") or ()),
    )
