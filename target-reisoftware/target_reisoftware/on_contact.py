"""What the sinks of tags, campaigns and workflows share: a record about a contact."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import ClassVar

from typing_extensions import override

from singer_http.errors import NotFound, Refused
from singer_http.identity import dialled_phone, fold_email
from singer_http.operations import (
    JSON,
    Effect,
    Operation,
    Outcome,
    OutcomeKind,
    Person,
    RejectionKind,
    invalid,
)
from singer_http.sink import columns as f
from singer_http.sink.base import HTTPSink
from target_reisoftware import values
from target_reisoftware.lookup import ReiClient, finder_of, is_missing, rei_client_of
from target_reisoftware.matching import Identity


class OnContact(HTTPSink):
    """A record about a contact: `contactId`, or `email` or `phone`.

    The body names the contact as the record does, so that the digest does not depend on how it was
    found; `op.remote_id` is the contact's id while it is sent. A ledger row's remote_id is that id
    and, after a slash, what was written, which is enough to take it back.
    """

    depends_on = ("contacts",)
    personal = ("email", "phone")
    columns_read: ClassVar[tuple[str, ...]] = ()
    """Columns beside the contact's."""

    @cached_property
    def vendor(self) -> ReiClient:
        """The vendor."""
        return rei_client_of(self)

    def path(self, contact: str, *rest: str) -> str:
        """The path of what belongs to a contact."""
        return self.vendor.api.contact_path(contact, *rest)

    @override
    def setup(self) -> None:
        region = self.config.get("phone_region")
        self._phone = f.phone("phone", region, extension=True) if region else values.text("phone")
        self._email = f.email("email")

    @override
    def extra_columns(self) -> Sequence[str]:
        return ("contactId", "email", "phone", *self.columns_read)

    @override
    def prepare(self, record: JSON, op: Operation) -> None:
        email, phone = record.get("email"), record.get("phone")
        if contact := f.identifier("contactId", record.get("contactId")):
            op.remote_id = contact
            op.body = {"contactId": op.remote_id}
            region = self.config.get("phone_region")
            op.reached = (fold_email(email), dialled_phone(phone, region))
            return
        if not f.is_null(email):
            op.body["email"] = fold_email(self._email(email))
        if not f.is_null(phone):
            op.body["phone"] = self._phone(phone)
        if not op.body and not op.delete:
            raise invalid("which contact it is about is missing: contactId, email or phone")

    @override
    def person(self, op: Operation) -> Person:
        contact = (op.remote_id or "").partition("/")[0]
        named = super().person(op).identities
        if not contact:
            return Person(named)
        # A contact that the ledger does not know was found at the vendor.
        found = finder_of(self).identity(contact).folded
        return Person((*named, *found), ("contacts", contact))

    @override
    def is_current(self, op: Operation) -> bool:
        """Not if the contact was made anew since."""
        if (
            self.at_most_once
            or op.delete
            or op.row is None
            or (contact := self._recorded(op)) is None
        ):
            return True
        return contact == (op.row.remote_id or "").partition("/")[0]

    @override
    def restore_id(self, op: Operation) -> None:
        """The contact, if the ledger knows it: from the contacts stream."""
        if op.id_from_record:
            return
        written, op.remote_id = op.remote_id, None
        if op.delete and not self._is_named(op):
            # A delete that brings only its key: the ledger knows what was written under it.
            if written is not None:
                op.remote_id = written
                self.prepare_removal(op)
            return
        op.remote_id = self._recorded(op)

    def _recorded(self, op: Operation) -> str | None:
        """The id of an operation's contact, if the contacts stream wrote it (main thread)."""
        folded = identity_of(op).folded
        found = (self.context.ledger.find("contacts", identity) for identity in folded)
        return next((contact for contact in found if contact is not None), None)

    def _is_named(self, op: Operation) -> bool:
        """Whether a delete says what it is about."""
        return bool(op.id_from_record or op.body.get("email") or op.body.get("phone"))

    @override
    def find(self, op: Operation) -> str | None:
        if not self._is_named(op):
            return None  # a delete of what was never written
        found = finder_of(self).find_once(self.vendor, identity_of(op))
        if found is None and not op.delete:
            raise invalid(f"there is no contact with this {_kinds(op)}")
        return found

    @override
    def forget_lookup(self, op: Operation) -> None:
        finder_of(self).forget(identity_of(op))

    def unknown(self, op: Operation) -> Outcome:
        """The vendor does not know the contact's id: it was found long ago, or is the record's."""
        if op.delete:
            return Outcome(OutcomeKind.DELETED)
        if op.id_from_record and op.body.get("contactId"):
            return Outcome.rejected(RejectionKind.INVALID, f"there is no contact {op.remote_id}")
        return Outcome(OutcomeKind.GONE)

    def contact_unknown(self, error: Refused, contact: str) -> bool:
        """Whether a refusal is about the contact, not about what is hung on it."""
        if is_missing(error, "contact"):
            return True
        if not isinstance(error, NotFound) or any(
            is_missing(error, thing) for thing in ("campaign", "workflow")
        ):
            return False
        try:
            self.vendor.contact(contact)
        except NotFound:
            return True
        except Refused:  # the answer shows no contact: that proves nothing
            return False
        return False


def identity_of(op: Operation) -> Identity:
    """By what an operation names its contact."""
    return Identity(op.body.get("email") or "", op.body.get("phone") or "")


def _kinds(op: Operation) -> str:
    return " or ".join(name for name in ("email", "phone") if op.body.get(name))


def refused(op: Operation, error: Refused) -> Outcome:
    """A rejection in the vendor's words; uncertain if these do not prove that nothing was done."""
    unsure = op.effect is Effect.AT_MOST_ONCE and not error.nothing_was_done
    kind = RejectionKind.UNCERTAIN if unsure else RejectionKind.REFUSED
    outcome = Outcome.rejected(kind, error.reason, status=error.status)
    outcome.nothing_was_done = error.nothing_was_done
    return outcome
