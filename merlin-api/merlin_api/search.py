"""SEARCH: the contacts in its answer. Merlin's page does not show its form."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any

from merlin_api.answers import (
    DEEPEST,
    ID_NAMES,
    LIST_NAMES,
    depth_of,
    folded,
    found_none,
    identifier,
    says_none,
    text_of,
)
from singer_http.errors import Refused
from singer_http.http.pages import stated_total
from singer_http.operations import JSON

ID = "idContact"
FIELDS = ("Number", "Email", "Fname", "Lname", "Custom", "Opportunitie")
"""What is known of a contact besides its id."""
_NAMES = {name.lower(): name for name in (ID, *FIELDS)}

Call = Callable[[JSON], tuple[Any, int]]
"""Carries out an action: the answer, which does not say no, and its HTTP status."""


def search(call: Call, names: JSON) -> list[JSON]:
    """The contacts that a search finds, each with its `idContact` as text.

    Members that Merlin's page names are spelled as there, others as they came.

    Args:
        call: carries out the action.
        names: `Fname`, `Lname`, `idContact`: what to search by.

    Raises:
        Refused: Merlin says no, or its answer is not understood.
        BadCredentials: see `action.carry_out`, as RequestRejected.
    """
    try:
        data, status = call({"type": "SEARCH", **names})
    except Refused as error:
        if error.status < 300 and (found := _one_contact(error.data)):
            return [found]
        if found_none(error):
            return []
        raise
    return contacts(data, status)


def contacts(data: Any, status: int) -> list[JSON]:
    """The contacts of an answer that does not say no; see `search`.

    Raises:
        Refused: it is not understood, or it states more contacts than it holds.
    """
    found = list(_contacts(data)) if depth_of(data) <= DEEPEST else [None]
    known = [contact for contact in found if contact is not None]
    if len(known) < len(found):
        text = text_of(data)
        if not known and says_none(data, text):
            return []
        if known:  # not shown: it holds people's data
            text = f"{len(found) - len(known)} of its {len(found)} items are no contacts"
        raise Refused(status, f"the answer to SEARCH was not understood: {text}", data)
    total = stated_total(folded(data).get("total")) if isinstance(data, dict) else None
    if total is not None and total > len(known):
        reason = f"the answer to SEARCH has {len(known)} contacts, and says that there are {total}"
        raise Refused(status, reason, data)
    return known


def _contacts(data: Any) -> Iterator[JSON | None]:
    """Contacts; None for what is no contact and not nothing either."""
    if data is None or data is False or data in ("", {}, []):
        return
    if isinstance(data, list):
        for item in data:
            yield from _contacts(item)
    elif not isinstance(data, dict):
        yield None
    elif identifier(data):
        yield _contact(data)
    else:
        members = folded(data)
        named = [members[name] for name in LIST_NAMES if name in members]
        # `{"result": "success", "contacts": [...]}`: a word for success is no list.
        lists = [value for value in named if not value or isinstance(value, dict | list)]
        if lists:
            yield from _contacts(lists)
        elif _is_keyed_by_id(data):
            for key, value in data.items():
                yield from _contacts(value if identifier(value) else {ID: key, **value})
        else:
            yield None


def _is_keyed_by_id(data: JSON) -> bool:
    """`{"7": {...}, "9": {...}}`"""
    return all(re.fullmatch(r"\d+", key) and isinstance(value, dict) for key, value in data.items())


def _contact(data: JSON) -> JSON | None:
    """A contact; None for an object of which nothing but the id is known."""
    members = {_NAMES.get(name.lower(), name): value for name, value in data.items()}
    if not any(name in members for name in FIELDS):
        return None
    if ID not in members:
        members = {n: value for n, value in members.items() if n.lower() not in ID_NAMES}
    return {**members, ID: identifier(data)}


def _one_contact(data: Any) -> JSON | None:
    """The one contact that an answer is, although a member `status` of it looks like an error."""
    one = data[0] if isinstance(data, list) and len(data) == 1 else data
    if not isinstance(one, dict) or not identifier(one):
        return None
    return None if {"error", "errors", "message"} & folded(one).keys() else _contact(one)
