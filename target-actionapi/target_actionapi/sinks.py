"""What Merlin takes: contacts, entries into automations, calls and SMS."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

from typing_extensions import override

from merlin_api import answers
from merlin_api.action import carry_out
from merlin_api.search import search
from singer_http.errors import NotFound, Refused, StopRun
from singer_http.identity import fold_email, fold_phone
from singer_http.operations import (
    JSON,
    Effect,
    Operation,
    Outcome,
    Person,
    Rejection,
    RejectionKind,
    invalid,
)
from singer_http.sink import columns as f
from singer_http.sink.base import HTTPSink
from singer_http.sink.kinds import AtMostOnceSink, ReadableSink
from singer_http.sink.reading import Reading
from target_actionapi.guards import MessageGuards
from target_actionapi.reading import ContactReading, number


class MerlinSink(HTTPSink):
    """What all streams have in common: the call, and what its answer means."""

    address: ClassVar[str] = "api_url"
    """The setting with the address of the call; falls back to `api_url`."""

    def call(self, action: JSON, effect: Effect = Effect.IDEMPOTENT) -> tuple[Any, int]:
        """Carry out one action; the answer, which does not say no, and its status.

        Errors as in `carry_out`.
        """
        url = str(self.config.get(self.address) or self.config["api_url"])
        return carry_out(
            self.client, url, action, effect=effect, meter=self.meter, setting=self.address
        )


def misunderstood(data: Any, status: int) -> Refused:
    """The answer is neither a yes nor a no that is known."""
    return Refused(status, f"the answer was not understood: {answers.text_of(data)}", data)


class Contacts(MerlinSink, ReadableSink):
    """Contacts, matched by name and then by Email or Number."""

    stream = "contacts"
    fields = ("Number", "Email", "Fname", "Lname", "Opportunitie")
    read_only = ("idContact",)
    identities = (("idContact",), ("Email",), ("Number",))
    personal = ("Email", "Number", "Fname", "Lname")
    emails = ("Email",)
    phones = ("Number",)
    container = "Custom"
    deterministic = True
    texts = frozenset({"Fname", "Lname", "Opportunitie"})
    shows_all = False  # what SEARCH answers is not documented

    @override
    def read_custom_fields(self) -> Sequence[f.CustomField]:
        # Merlin lists no definitions: the user says which column is which field.
        return [
            f.CustomField(str(id_), (str(id_), column))
            for column, id_ in (self.config.get("custom_fields") or {}).items()
        ]

    @override
    def custom_values(self, record: JSON) -> JSON:
        values = self.custom_columns(record)
        if not f.is_null(inner := record.get("Custom")):
            for name, field, value in f.custom_members(self.unpack(inner), self.account_fields()):
                if value is not None or self.send_nulls:
                    values[field.id if field else name] = value
        return values

    @override
    def prepare(self, record: JSON, op: Operation) -> None:
        if named := f.identifier("idContact", record.get("idContact")):
            op.remote_id = named
        if op.delete:
            # Not sent: what to find it by, where the ledger does not know it.
            op.body = {
                name: record[name] for name in self.fields if not f.is_null(record.get(name))
            }
        else:
            super().prepare(record, op)
            if custom := self.custom_values(record):
                op.body["Custom"] = custom
        op.identities = identities_of(op.body, self.config.get("phone_region"))

    @override
    def can_find(self, op: Operation) -> bool:
        return bool(_names(op.body)) or _made_without_id(op)

    @override
    def find(self, op: Operation) -> str | None:
        found = self._search(op) if _names(op.body) else None
        if found is None and _made_without_id(op):
            raise invalid(
                "it was made before, Merlin did not tell its id, and SEARCH does not find it: give "
                "the record its idContact"
            )
        return found

    def search(self, names: JSON) -> list[JSON]:
        """The contacts with a name, as `merlin_api.search.search` gives them.

        Raises:
            Refused: the answer is not understood, or tells no Email and no Number to compare.
        """
        found = search(self.call, names)
        if found and not any("Email" in hit or "Number" in hit for hit in found):
            raise Refused(200, "the answer to SEARCH has no Email and no Number to compare", found)
        return found

    @override
    def current(self, op: Operation) -> JSON | None:
        for names in ({"idContact": number(op.remote_id)}, _names(op.body)):
            for hit in self.search(names) if names else ():
                if hit["idContact"] == op.remote_id:
                    return hit
        return None

    @override
    def reading(self) -> Reading:
        region = self.config.get("phone_region")
        return ContactReading(self.search, lambda contact: identities_of(contact, region))

    @override
    def fields_of(self, record: JSON) -> dict[str, Any]:
        """A contact that has no custom value shows none of its custom fields."""
        found = super().fields_of(record)
        if record.get("Custom") in (None, {}, []):
            found.pop("Custom", None)
        return found

    def _search(self, op: Operation) -> str | None:
        own = set(op.identities)
        ids = {
            str(hit["idContact"])
            for hit in self.search(_names(op.body))
            if own.intersection(identities_of(hit, self.config.get("phone_region")))
        }
        if len(ids) > 1:
            self.logger.warning(
                "contacts: %s are one person by name and Email or Number: the first is used",
                ", ".join(sorted(ids, key=int)),
            )
        return min(ids, key=int, default=None)

    @override
    def create(self, op: Operation) -> str | None:
        data, status = self.call({"type": "NEW", **op.body}, Effect.CREATE)
        made = answers.identifier(data)
        if made is None and not answers.says_yes(data):
            raise misunderstood(data, status)
        return made

    @override
    def update(self, op: Operation) -> None:
        self._act({"type": "EDIT", "idContact": number(op.remote_id), **op.body})

    @override
    def delete(self, op: Operation) -> None:
        self._act({"type": "TRASH", "idContact": number(op.remote_id)})

    def _act(self, action: JSON) -> None:
        data, status = self.call(action)
        if not answers.says_yes(data):
            raise misunderstood(data, status)


class MerlinOnce(MerlinSink, AtMostOnceSink):
    """What reaches a person. An answer that is no clear no may stand for one that was reached."""

    reaches_people = True

    def do(self, action: JSON) -> str | None:
        """Carry out an action once.

        Raises:
            Uncertain: the answer is neither a yes nor a clear no.
        """
        self.call(action, Effect.AT_MOST_ONCE)
        return None


class Automations(MerlinOnce):
    """Contacts into automations, which must be on and have nodes."""

    stream = "automations"
    depends_on = ("contacts",)
    address = "automation_url"
    fields = ("idContact", "Email", "Number", "idAuto")
    identities = (("idContact", "idAuto"), ("Email", "idAuto"), ("Number", "idAuto"))
    personal = ("Email", "Number")
    emails = ("Email",)
    phones = ("Number",)

    @override
    def prepare(self, record: JSON, op: Operation) -> None:
        super().prepare(record, op)
        automation = op.body.pop("idAuto", None)
        names = ("idContact", "Email", "Number")
        contact = next(({name: op.body[name]} for name in names if op.body.get(name)), None)
        if not automation:
            raise invalid("an entry needs idAuto")
        if contact is None:
            raise invalid("an entry needs idContact, or the Email or Number of a contact")
        if "idContact" in contact:
            op.remote_id = f.identifier("idContact", contact["idContact"])
        others = {n: v for n, v in op.body.items() if n not in self.fields}
        op.reached = identities_of(op.body, self.config.get("phone_region"))
        op.body = {**contact, "idAuto": number(automation), **others}

    @override
    def person(self, op: Operation) -> Person:
        named = super().person(op).identities
        return Person(named, (Contacts.stream, op.remote_id) if op.remote_id else None)

    @override
    def precondition(self, op: Operation) -> Rejection | None:
        if op.remote_id is None:
            op.remote_id = self._contact(op)
        if op.remote_id is not None:
            return None
        name = "Email" if op.body.get("Email") else "Number"
        return invalid(
            f"no contact with this {name} is in the ledger: this record is sent once the stream "
            "contacts has delivered the contact (or give its idContact)"
        )

    def _contact(self, op: Operation) -> str | None:
        (identity,) = identities_of(op.body, self.config.get("phone_region"))
        return self.context.ledger.find(Contacts.stream, identity)

    @override
    def send(self, ops: Sequence[Operation]) -> list[Outcome]:
        try:
            return super().send(ops)
        except NotFound as error:
            proven = error.nothing_was_done
            kind = RejectionKind.INVALID if proven else RejectionKind.UNCERTAIN
            return [Outcome.rejected(kind, error.reason, status=error.status)]

    @override
    def perform(self, op: Operation) -> str | None:
        action = {n: v for n, v in op.body.items() if n not in ("Email", "Number")}
        return self.do({**action, "idContact": number(op.remote_id)})


class Messages(MerlinOnce):
    """What calls and SMS have in common."""

    address = "message_url"
    fields = ("number", "text")
    identities = (("id",),)
    personal = ("number", "text")
    phones = ("number",)
    type: ClassVar[str]

    @override
    def setup(self) -> None:
        self._number = f.phone("number", self.config.get("phone_region"))

    @override
    def prepare(self, record: JSON, op: Operation) -> None:
        super().prepare(record, op)
        op.body["number"] = self._number(record.get("number"))
        text = record.get("text")
        if not isinstance(text, str) or not text.strip():
            raise invalid("text is missing or empty")

    @override
    def before_send(self, op: Operation) -> Rejection | None:
        guards = self.context.shared("message guards", self._new_guards)
        if guards.are_quiet():
            hours = self.config["quiet_hours"]
            return Rejection(
                RejectionKind.HELD, f"due within quiet_hours ({hours}): kept for later"
            )
        if not guards.admit(op):
            raise StopRun(
                f"{self.stream}: {guards.most:,} calls and SMS are all that max_messages allows in "
                "one run: the next one was not sent. Raise it if this number is intended; what was "
                "sent is not sent again."
            )
        return None

    def _new_guards(self) -> MessageGuards:
        return MessageGuards(self.config.get("quiet_hours") or "", self.config["max_messages"])

    @override
    def perform(self, op: Operation) -> str | None:
        return self.do({**op.body, "type": self.type})


class Calls(Messages):
    """Calls that read a text."""

    stream = "calls"
    type = "CALL"


class Sms(Messages):
    """Text messages."""

    stream = "sms"
    type = "SMS"


def identities_of(body: JSON, region: str | None = None) -> tuple[str, ...]:
    """Email and Number as they are compared."""
    return tuple(
        filter(None, (fold_email(body.get("Email")), fold_phone(body.get("Number"), region)))
    )


def _names(body: JSON) -> JSON:
    return {name: body[name] for name in ("Fname", "Lname") if not f.is_null(body.get(name))}


def _made_without_id(op: Operation) -> bool:
    return op.row is not None and op.row.remote_id is None
