"""Which contact a record is about: by its email, else by its phone."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from singer_http.exact_json import text_of
from singer_http.identity import fold_email, fold_phone
from singer_http.operations import JSON, Rejection, invalid


class Identity(NamedTuple):
    """By what the vendor tells one contact from another, as a record has it."""

    email: str = ""
    phone: str = ""

    @property
    def compared(self) -> Identity:
        """As the vendor compares them."""
        return Identity(fold_email(self.email), fold_phone(self.phone))

    @property
    def folded(self) -> tuple[str, ...]:
        """What there is of it, as the vendor compares it; the email is the one that is unique."""
        return tuple(filter(None, self.compared))


def own_identity(contact: JSON) -> Identity:
    """A contact's own email and phone, as they are compared."""
    return Identity(contact.get("email") or "", contact.get("phone") or "").compared


def match(found: Iterable[JSON], identity: Identity) -> str | None:
    """Which of the contacts that a lookup found is the one.

    Raises:
        Rejection: several have the email or phone, or it is that of a contact with another email.
    """
    email = fold_email(identity.email)
    others = list(found)
    same = [item for item in others if email and fold_email(item.get("email")) == email]
    if not same:
        same = others
        if foreign := [item for item in same if not may_be(item, email)]:
            raise another(foreign[0], identity)
    if len(same) > 1:
        what = "email" if fold_email(same[0].get("email")) == email and email else "phone"
        raise several(what, [str(item["id"]) for item in same])
    return text_of(same[0]["id"]) if same else None


def may_be(contact: JSON, email: str) -> bool:
    """Whether a contact with the same phone can be the one with this (folded) email."""
    own = fold_email(contact.get("email"))
    return not email or not own or own == email


def several(what: str, ids: Sequence[str]) -> Rejection:
    """Contacts with one email or phone: none of them is the one."""
    return invalid(f"several contacts have this {what} ({', '.join(ids[:5])}): give the id")


def another(contact: JSON, identity: Identity) -> Rejection:
    """A contact that has the phone, or the email beside its own, and is another one."""
    phone = fold_phone(contact.get("phone"))
    by_phone = bool(phone) and phone == fold_phone(identity.phone)
    if by_phone or not identity.email:
        return invalid(
            f"the phone is that of the contact {contact['id']}, whose email is another one: give "
            "the id, or another phone"
        )
    return invalid(
        f"the email is a further one of the contact {contact['id']}, whose first email is another "
        "one: give the id, or another email"
    )
