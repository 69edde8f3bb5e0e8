"""Whether a contact is there already: by the account's own rule about duplicates."""

from __future__ import annotations

from singer_sandbox.rei.account import Contact
from singer_sandbox.rei.v2.access import location_in_query
from singer_sandbox.rei.v2.call import Answer, Call
from singer_sandbox.rei.v2.errors import refusal
from singer_sandbox.rei.v2.shapes import alone

NEITHER = "Pass at least one of number, email query parameter"
ANY_ACCOUNT = ("email", "phone")
"""What decides, in this order, where duplicates are allowed."""


def duplicates_allowed(call: Call) -> bool:
    """The account's setting: v1's creates obey it too."""
    return bool(call.options["create_makes_duplicates"])


def rule(call: Call) -> tuple[str, ...]:
    """The fields that decide, the first one first."""
    if duplicates_allowed(call):
        return ANY_ACCOUNT
    return tuple(call.options["match_fields"].split(","))


def matches(call: Call, field: str, value: str, lag: float = 0) -> list[Contact]:
    """Contacts with this email or phone; an additional email counts where nothing lags."""
    if not value.strip():
        return []
    if field == "phone":
        return call.account.found("", value, lag)
    others = [] if lag else call.account.by_additional_email(value)
    return call.account.found(value, "", lag) or others


def first_match(
    call: Call, email: str, phone: str, lag: float = 0
) -> tuple[Contact, str] | tuple[None, str]:
    """The contact that the rule finds, and by which field."""
    given = {"email": email, "phone": phone}
    for field in rule(call):
        if hits := matches(call, field, given[field], lag):
            return hits[0], field
    return None, ""


def forbid_duplicate(call: Call, email: str, phone: str, own: Contact | None = None) -> None:
    """400 where another contact stands for this email or phone, and duplicates are forbidden."""
    if duplicates_allowed(call):
        return
    for field, value in (("email", email), ("phone", phone)):
        if field not in rule(call):
            continue
        for other in matches(call, field, value):
            if own is None or other.id != own.id:
                text = "This location does not allow duplicated contacts."
                meta = {"contactId": other.id, "matchingField": field}
                raise refusal(400, text, meta=meta)


def search_duplicate(call: Call) -> Answer:
    """GET contacts/search/duplicate: one contact, or one of three forms of none."""
    location_in_query(call.request)
    params = call.request.params
    email, number = params.get("email", ""), params.get("number", "")
    if not email.strip() and not number.strip():
        raise refusal(400, NEITHER)
    # A plus that was not percent-encoded arrives as a space, and finds nobody.
    phone = "" if number.startswith(" ") else number
    found, _ = first_match(call, email, phone, call.options["lookup_lag"])
    if found is not None:
        # As recorded: the field is called contactId even where the email matched.
        return 200, {"contact": alone(call, found), "matchingField": "contactId"}
    form = call.options["duplicate_missing"]
    if form == "404":
        raise refusal(404, "Contact not found")
    return 200, {} if form == "empty" else {"contact": None}
