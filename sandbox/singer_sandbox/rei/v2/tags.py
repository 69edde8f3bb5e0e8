"""Tags of a contact, and of many at once. They are kept in lower case."""

from __future__ import annotations

import re
from typing import Any

from singer_sandbox.account import Row
from singer_sandbox.rei.account import Contact
from singer_sandbox.rei.v2.bodies import unknown_keys
from singer_sandbox.rei.v2.call import Answer, Call
from singer_sandbox.rei.v2.errors import invalid

IS_ID = re.compile(r"[A-Za-z0-9]{20}").fullmatch
BULK_KEYS = frozenset({"contacts", "tags", "locationId", "removeAllTags"})


def add(call: Call, contact: str) -> Answer:
    """POST contacts/{id}/tags"""
    found = call.contact(contact)
    added = _add(call, found, _tags(call.body, frozenset({"tags"})))
    return 201, {"tags": found.fields["tags"], "tagsAdded": added}


def remove(call: Call, contact: str) -> Answer:
    """DELETE contacts/{id}/tags, with a body."""
    found = call.contact(contact)
    removed = _remove(call, found, _tags(call.body, frozenset({"tags"})))
    return 200, {"tags": found.fields["tags"], "tagsRemoved": removed}


def bulk(call: Call, kind: str) -> Answer:
    """POST contacts/bulk/tags/update/{add or remove}: an answer for each contact."""
    if kind not in ("add", "remove"):
        raise invalid("type must be one of the following values: add, remove")
    body = call.body
    tags = _tags(body, BULK_KEYS, empty=bool(body.get("removeAllTags")))
    contacts = body.get("contacts")
    most = int(call.options["bulk_tags_max"])
    if not _texts(contacts) or not contacts:
        raise invalid("contacts should not be empty", "contacts must be an array")
    if len(contacts) > most:
        raise invalid(f"contacts must contain no more than {most} elements")
    if not body.get("locationId"):
        raise invalid("locationId should not be empty", "locationId must be a string")
    if kind == "add" and body.get("removeAllTags"):
        raise invalid("removeAllTags is for remove only")
    everything = bool(body.get("removeAllTags"))
    responses = [_bulk_one(call, kind, key, None if everything else tags) for key in contacts]
    errors = sum(response["type"] == "error" for response in responses)
    # The document calls the entries of `responses` strings; its own example shows objects.
    return 201, {"succeded": errors == 0, "errorCount": errors, "responses": responses}


def _bulk_one(call: Call, kind: str, key: str, tags: list[str] | None) -> Row:
    """What came of one contact; tags of None are all that it has."""
    contact = call.account.contacts.get(key)
    if contact is None:
        if not IS_ID(key):
            text = "contact id is not a valid firebase id"
        elif call.elsewhere(key):
            text = "contact does not belong to location"
        else:
            text = "contact is deleted"
        return {"contactId": key, "message": text, "type": "error"}
    old = list(contact.fields.get("tags") or [])
    given = [tag.lower() for tag in old] if tags is None else tags
    added = _add(call, contact, given) if kind == "add" else []
    removed = _remove(call, contact, given) if kind == "remove" else []
    return {
        "contactId": key,
        "message": "Tags updated",
        "type": "success",
        "oldTags": old,
        "tagsAdded": added,
        "tagsRemoved": removed,
    }


def _tags(body: Row, known: frozenset[str], *, empty: bool = False) -> list[str]:
    """The tags of a body, in lower case."""
    problems = unknown_keys(body, known)
    tags = body.get("tags")
    if not isinstance(tags, list):
        problems.append("tags must be an array")
    elif not tags and not empty:
        problems.append("tags should not be empty")
    elif not _texts(tags):
        problems.append("each value in tags must be a string")
    if problems or not isinstance(tags, list):
        raise invalid(*problems)
    return list(dict.fromkeys(tag.strip().lower() for tag in tags))


def _texts(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(item, str) for item in value)


def _add(call: Call, contact: Contact, tags: list[str]) -> list[str]:
    """The tags that it did not have, whatever their case."""
    old = contact.fields.get("tags") or []
    have = {tag.lower() for tag in old}
    added = [tag for tag in tags if tag not in have]
    _write(call, contact, [*old, *added], "tags_added")
    call.account.learn_tags(added)
    return added


def _remove(call: Call, contact: Contact, tags: list[str]) -> list[str]:
    """The tags that it had, as they were written."""
    old = contact.fields.get("tags") or []
    gone = {tag.lower() for tag in tags}
    _write(call, contact, [tag for tag in old if tag.lower() not in gone], "tags_deleted")
    return [tag for tag in old if tag.lower() in gone]


def _write(call: Call, contact: Contact, tags: list[str], counter: str) -> None:
    call.note(contact)
    contact.fields["tags"] = tags
    call.account.touch(contact)
    call.account.counters[counter] += 1
