"""One contact: read, made, changed, made or changed, deleted."""

from __future__ import annotations

from singer_sandbox.account import Row
from singer_sandbox.rei.account import Contact, new_id
from singer_sandbox.rei.v2.bodies import CREATE, UPDATE, UPSERT, Written, written
from singer_sandbox.rei.v2.call import Answer, Call
from singer_sandbox.rei.v2.errors import refusal
from singer_sandbox.rei.v2.matching import (
    NEITHER,
    duplicates_allowed,
    first_match,
    forbid_duplicate,
    rule,
)
from singer_sandbox.rei.v2.shapes import alone, made

UNIDENTIFIED = "Contacts without email, phone, firstName and lastName are not allowed."


def get(call: Call, contact: str) -> Answer:
    """GET contacts/{id}: right at once, where a search lags."""
    return 200, {"contact": alone(call, call.contact(contact))}


def create(call: Call) -> Answer:
    """POST contacts: refuses a duplicate, or makes one; never an update."""
    given = written(call, CREATE)
    if given.problems:
        if call.options["refused_create_is_kept"] and given.identified:
            _forbid_duplicate(call, given)
            _make(call, given)
        raise _refused(call, given)
    if not given.identified:
        raise refusal(422, UNIDENTIFIED)
    _forbid_duplicate(call, given)
    return call.options["create_status"], {"contact": made(call, _make(call, given))}


def update(call: Call, contact: str) -> Answer:
    """PUT contacts/{id}: changes what is sent; `tags` replaces all tags."""
    found = call.contact(contact)
    known = UPDATE | {"companyName"} if call.options["put_company_name"] else UPDATE
    given = written(call, known)
    if given.problems:
        raise _refused(call, given)
    _forbid_duplicate(call, given, found)
    _change(call, found, given)
    call.account.counters["contacts_updated"] += 1
    return 200, {"contact": alone(call, found)}


def upsert(call: Call) -> Answer:
    """POST contacts/upsert: what it cannot take it drops without a word."""
    given = written(call, UPSERT)
    email, phone = call.body.get("email") or "", call.body.get("phone") or ""
    if not email and not phone:
        raise refusal(400, NEITHER)
    if given.problems:
        raise _refused(call, given)
    fields = given.fields
    always_new = fields.pop("createNewIfDuplicateAllowed", False) and duplicates_allowed(call)
    found, field = (None, "") if always_new else first_match(call, email, phone)
    if found is None:
        return 200, {"new": True, "contact": alone(call, _make(call, given))}
    # The gender is taken with a new contact only.
    fields.pop("gender", None)
    _drop_conflict(call, fields, found, field)
    _promote_email(fields, found)
    _change(call, found, given)
    call.account.counters["contacts_upserted"] += 1
    return 200, {"new": False, "contact": alone(call, found)}


def delete(call: Call, contact: str) -> Answer:
    """DELETE contacts/{id}"""
    found = call.contact(contact)
    call.note(found)
    call.account.delete(found)
    call.account.counters["contacts_deleted"] += 1
    return 200, {}


def _refused(call: Call, given: Written) -> Exception:
    call.account.counters["contacts_refused"] += 1
    return refusal(422, given.problems)


def _forbid_duplicate(call: Call, given: Written, own: Contact | None = None) -> None:
    fields = given.fields
    forbid_duplicate(call, fields.get("email") or "", fields.get("phone") or "", own)


def _make(call: Call, given: Written) -> Contact:
    """A new contact."""
    account = call.account
    contact = account.add(new_id(), account.now())
    call.note(contact, new=True)
    account.counters["contacts_created"] += 1
    account.entries["creations"].append({"id": contact.id, "email": given.fields.get("email")})
    account.write(contact, given.fields, given.custom, contact.added)
    account.learn_tags(given.fields.get("tags") or [])
    return contact


def _change(call: Call, contact: Contact, given: Written) -> None:
    """Change what is sent; an option says which changes leave dateUpdated as it is."""
    account = call.account
    call.note(contact)
    silent = {
        "nothing": not given.fields and not given.custom,
        "custom_fields": not given.fields,
        "dnd": not given.custom and given.fields.keys() <= {"dnd", "dndSettings"},
    }[call.options["date_updated_ignores"]]
    stamp = contact.updated if silent else account.now()
    account.write(contact, given.fields, given.custom, stamp)
    account.learn_tags(given.fields.get("tags") or [])


def _drop_conflict(call: Call, fields: Row, found: Contact, field: str) -> None:
    """Leave out the other field when it is another contact's: the vendor's issue 37."""
    if duplicates_allowed(call):
        return
    for other in rule(call):
        if other == field or not fields.get(other):
            continue
        holders = (
            call.account.by_email(fields[other])
            if other == "email"
            else call.account.by_phone(fields[other])
        )
        if any(holder.id != found.id for holder in holders):
            del fields[other]


def _promote_email(fields: Row, found: Contact) -> None:
    """The email sent becomes the first one; if it was an additional one, the old first is lost."""
    email = str(fields.get("email") or "").lower()
    others = found.fields.get("additionalEmails") or []
    if any(str(item["email"]).lower() == email for item in others):
        fields["additionalEmails"] = [i for i in others if str(i["email"]).lower() != email]
