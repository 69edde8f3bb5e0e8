"""What REI Software takes: contacts, one at a time."""

from __future__ import annotations

import contextlib
from collections.abc import Container, Mapping, Sequence
from functools import cached_property
from typing import Any, ClassVar

from typing_extensions import override

from reisoftware_api.writing import NOT_IN_UPDATES, unknown_keys
from singer_http.errors import NotFound, Refused, SingerHTTPError
from singer_http.exact_json import NotJSON, StrangeJSON, decode, text_of
from singer_http.operations import (
    JSON,
    Effect,
    Operation,
    Outcome,
    OutcomeKind,
    Rejection,
    RejectionKind,
    invalid,
)
from singer_http.sink import columns as f
from singer_http.sink.base import CREATE
from singer_http.sink.fields import Forms, form
from singer_http.sink.kinds import ReadableSink, second_step
from singer_http.sink.reading import Reading
from target_reisoftware import values
from target_reisoftware.lookup import ReiClient, duplicate_of, envelope, finder_of, rei_client_of
from target_reisoftware.matching import Identity, another, may_be
from target_reisoftware.names import NAMES, PARTS, READ_ONLY, TEXTS, V2_NAMES
from target_reisoftware.reading import ContactReading


class Contacts(ReadableSink):
    """Contacts, matched by email, then phone."""

    stream = "contacts"
    # The vendor's page, and companyName, which its example (cut off there) has in API v1.
    fields = (*TEXTS, "dateOfBirth", "dnd")
    read_only = READ_ONLY
    identities = (("id",), ("email",), ("phone",))
    personal = ("email", "phone")
    emails = ("email",)
    phones = ("phone",)
    container = "customField"
    shown_if_unset: ClassVar[Mapping[str, str]] = {"dnd": "false", "dndSettings": "inactive"}
    parts = PARTS
    deterministic = True
    not_compared = NOT_IN_UPDATES
    texts = frozenset(TEXTS)

    @cached_property
    def vendor(self) -> ReiClient:
        """The vendor."""
        return rei_client_of(self)

    @override
    def setup(self) -> None:
        shared = self.context.shared
        self._taken = shared("taken contacts", dict[str, tuple[str, str]])
        self._doubtful = shared("doubtful contacts", set[str])
        """Keys of contacts that only the vendor itself is asked for."""
        self._refused_fields = shared("refused fields", set[str])
        """Fields that this account's updates do not take."""
        self._said = shared("fields warned about", set[str])
        self._finder = finder_of(self)

    # --- columns ------------------------------------------------------------------------------

    @override
    def writable(self) -> Sequence[str]:
        channels = ("dndSettings",) if self.vendor.api.version == "v2" else ()
        return (*self.fields, *channels)

    @property
    def _only_contact_name(self) -> bool:
        """The source knows no other name: else the vendor makes `contactName` from these."""
        return "contactName" in self.properties and NAMES.isdisjoint(self.properties)

    @override
    def extra_columns(self) -> Sequence[str]:
        named = ("contactName",) if self._only_contact_name else ()
        return ("customField", "tags", *V2_NAMES, *named)

    @override
    def resolve_columns(self) -> f.Columns:
        columns = super().resolve_columns()
        wanted = ["contactName"] if self._only_contact_name else []
        if "address" in self.properties and "address1" not in self.properties:
            wanted.append("address1")
        more = [f.Column(name, name, self.converter(name, None, {})) for name in wanted]
        return f.Columns((*columns.plain, *more), columns.custom, columns.unknown)

    @property
    @override
    def description(self) -> Any:
        columns, inner = super().description
        if inner is None and "customFields" in self.properties:
            inner = repr(self.account_fields().fields)
        return [columns, inner]

    @override
    def read_custom_fields(self) -> Sequence[f.CustomField]:
        return [values.custom_field(item) for item in self.vendor.custom_fields()]

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
        if name == "dndSettings":
            return values.channels
        is_text = name in TEXTS or name == "contactName"
        return values.text(name) if is_text and found is None else found

    @override
    def unpack(self, container: Any) -> JSON:
        """Custom fields as an object, or as contacts come with them: `[{"id", "value"}]`."""
        if isinstance(container, str):
            with contextlib.suppress(NotJSON, StrangeJSON, UnicodeEncodeError):
                container = decode(container.encode())
        if isinstance(container, list):
            if not all(isinstance(item, dict) and item.get("id") for item in container):
                raise invalid('customField: the list has items that are no {"id", "value"}')
            return values.custom_values(container)
        return super().unpack(container)

    # --- a record -----------------------------------------------------------------------------

    def _in_v1_names(self, record: JSON) -> JSON:
        renamed = {
            name: record[other]
            for other, name in V2_NAMES.items()
            if not f.is_null(record.get(other)) and f.is_null(record.get(name))
        }
        return record | renamed if renamed else record

    @override
    def prepare(self, record: JSON, op: Operation) -> None:
        if named := f.identifier("id", record.get("id")):
            op.remote_id = named
        if op.delete:
            who = [column for column in self.columns.plain if column.name in self.personal]
            op.body = f.applier(who, send_nulls=False)(record)
            op.identities = identity_of(op).folded
            return
        record = self._in_v1_names(record)
        super().prepare(record, op)
        if not op.body.get("dndSettings"):
            op.body.pop("dndSettings", None)  # no channel is named: there is nothing to write
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
            doubtful = op.key in self._doubtful
            return self._finder.find(self.vendor, identity_of(op), look_up=doubtful)
        except Rejection:
            if op.delete:
                return None  # what was found is another contact
            raise

    @override
    def forget_lookup(self, op: Operation) -> None:
        self._doubtful.add(op.key)

    def _find_taken(self, op: Operation) -> str | None:
        """The contact that a create ran into, unless it is another one with the same phone."""
        contact, field = self._taken.pop(op.key)
        identity = identity_of(op)
        # An email can be a further one of a contact in API v2.
        if field != "email" or self.vendor.api.one_match:
            try:
                known = self.vendor.contact(contact)
            except NotFound:  # it was deleted since
                return self.vendor.find(identity)
            if not may_be(known, identity.compared.email):
                raise another(known, identity)
        return contact

    @override
    def precondition(self, op: Operation) -> Rejection | None:
        if op.remote_id is None and not op.identities:
            return invalid("a contact needs an email or a phone")
        return None

    @override
    def current(self, op: Operation) -> JSON | None:
        known = self._listed(op) or self.vendor.contact(op.remote_id or "")
        # Tags are added: those that it has are no change, and its others stay.
        missing = values.missing_tags(op, known)
        had = [tag for tag in op.body.get("tags", ()) if tag not in missing]
        return known | {"tags": had or None}

    def _listed(self, op: Operation) -> JSON | None:
        """The contact as the account's list shows it, if that is read and shows all of it."""
        asks = self.policies.restrict and "dndSettings" not in op.body  # a list may leave it out
        row = self._finder.row(self.vendor, op.remote_id or "") if asks else None
        if row is None:
            return None
        shown = {V2_NAMES.get(name, name) for name in row}
        if values.tells_case(row):
            shown.add("name")
        return self.vendor.api.contact(row) if shown.issuperset(op.body) else None

    @override
    def reading(self) -> Reading:
        return ContactReading(self.vendor)

    @override
    def fields_of(self, record: JSON) -> dict[str, Any]:
        custom = record.get("customField")
        if isinstance(custom, list):
            record = record | {"customField": values.custom_values(custom)}
        found = super().fields_of(record)
        if "contactName" in record and "name" not in record:
            found["name"] = record["contactName"]  # what is written as `name` is read as this
        clears = self.vendor.api.clears
        return {
            name: value
            for name, value in found.items()
            if name not in self._refused_fields and (value is not None or clears(name))
        }

    @override
    def has_work(self, op: Operation) -> bool:
        return not NOT_IN_UPDATES.issuperset(op.body) or bool(
            values.missing_tags(op, op.known or {})
        )

    @override
    def stored_forms(self, field: str, value: Any, *, shown: bool) -> Forms:
        container, _, inner = field.partition(".")
        if container == "customField" and inner:
            return values.stored(self._kind_of(inner), value, shown=shown)
        if container == "dndSettings" and isinstance(value, dict):
            return (form(value.get("status")),)
        if field == "dateOfBirth":
            return (values.stored_day(value),)
        if field == "dnd":
            return (values.stored_flag(value),)
        return super().stored_forms(field, value, shown=shown)

    @override
    def own_forms(self, body: JSON) -> dict[str, Forms]:
        found = super().own_forms(body)
        return found | {"name": values.own_name(found["name"])} if "name" in found else found

    @override
    def shown_forms(self, record: JSON, names: Container[str] | None = None) -> dict[str, Forms]:
        found = super().shown_forms(record, names)
        if names is None or "name" in names:
            found["name"] = values.shown_name(record)
        return found

    # --- requests -----------------------------------------------------------------------------

    @override
    def send(self, ops: Sequence[Operation]) -> list[Outcome]:
        (op,) = ops
        try:
            return super().send(ops)
        except Refused as error:
            contact, field = duplicate_of(error)
            if op.remote_id is not None:
                if contact in (None, op.remote_id):
                    raise
                # Another contact has the email or phone.
                rejection = Rejection(
                    RejectionKind.REFUSED, error.reason, error.status, attempts=1, blocked=True
                )
                done = error.nothing_was_done
                return [Outcome(OutcomeKind.REJECTED, rejection=rejection, nothing_was_done=done)]
            if contact is None and error.status == 422 and self.vendor.api.refused_may_exist:
                contact = self._made_all_the_same(op)
                if contact is not None and self.config["mode"] == CREATE:
                    reason = f"{error.reason} (but the contact {contact} was made)"
                    made = Outcome.rejected(RejectionKind.REFUSED, reason, status=error.status)
                    made.nothing_was_done = False
                    return [made]
            if contact is None:
                raise
            # It is there after all: found as this one, and then by the mode.
            self._taken[op.key] = contact, field
            return [Outcome(OutcomeKind.GONE)]

    def _made_all_the_same(self, op: Operation) -> str | None:
        """The contact whose create was refused, if the vendor has made it."""
        try:
            return self.vendor.find(identity_of(op))
        except Rejection:
            return None
        except SingerHTTPError as error:
            error.nothing_was_done = False  # the create may have been carried out
            raise

    @override
    def create(self, op: Operation) -> str | None:
        body = self.vendor.api.create_body(op.body, self._kind_of)
        answer = self.vendor.request("POST", "contacts/", json=body, effect=Effect.CREATE)
        made = envelope(answer)
        if not made.get("id"):
            # Not an answer that is understood: the contact is looked up.
            raise Refused(200, "the answer to a create names no contact", answer)
        self._finder.note(made)
        op.shown = self.vendor.api.contact(made)
        self._compare(body, made)
        return text_of(made["id"])

    @override
    def update(self, op: Operation) -> None:
        api, contact = self.vendor.api, op.remote_id or ""
        body = api.update_body(op.body, self._kind_of)
        if api.update_needs_identity and not body.get("email") and not body.get("phone"):
            # The vendor asks for one of them, changed or not.
            known = op.known or self.vendor.contact(contact)
            name = "email" if known.get("email") else "phone"
            body = {name: known.get(name)} | body
        written = self._put(contact, body) if body or not op.body.get("tags") else None
        if written:
            op.shown = api.contact(written)
        if tags := values.missing_tags(op, written or op.known or {}):
            with contextlib.nullcontext() if written is None else second_step("tags"):
                path = api.contact_path(contact, *api.tags_end)
                self.vendor.request("POST", path, json={"tags": tags})

    def _put(self, contact: str, body: JSON) -> JSON:
        """Update the fields; the contact as the answer shows it.

        A field that a strict vendor does not take in an update is left out, in the whole run.
        """
        while True:
            sent = {name: v for name, v in body.items() if name not in self._refused_fields}
            path = self.vendor.api.contact_path(contact)
            try:
                written = envelope(self.vendor.request("PUT", path, json=sent))
            except Refused as error:
                names = unknown_keys(error.data) & sent.keys() & set(self.fields)
                if not names:
                    raise
                self._refused_fields |= names
                for name in sorted(names):
                    self._warn(name, "the vendor takes it with a new contact only")
                continue
            self._finder.note(written)
            self._compare(sent, written)
            return written

    @override
    def delete(self, op: Operation) -> None:
        self.vendor.request("DELETE", self.vendor.api.contact_path(op.remote_id or ""))
        self._finder.note_deleted(op.remote_id or "")

    # --- answers ------------------------------------------------------------------------------

    def _kind_of(self, custom_field: str) -> str:
        field = self.account_fields().find(custom_field)
        return field.type if field else ""

    def _compare(self, sent: JSON, contact: JSON) -> None:
        """Warn of custom fields that the vendor ignored: it does not say so."""
        for name in self.vendor.api.not_taken(sent, contact):
            field = self.account_fields().find(name)
            label = field.names[-1] if field else name
            self._warn(
                label,
                "the vendor did not take its value: check the field's type and the settings "
                "custom_value_name and nulls",
            )

    def _warn(self, field: str, what: str) -> None:
        if field not in self._said:
            self._said.add(field)
            self.logger.warning("%s: field %r: %s", self.stream, field, what)


def identity_of(op: Operation) -> Identity:
    """By what the vendor knows the contact of an operation."""
    return Identity(op.body.get("email") or "", op.body.get("phone") or "")
