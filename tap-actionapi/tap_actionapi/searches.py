"""The setting `searches`: what to search by."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable
from typing import Any

from singer_http.operations import JSON

NAMES = ("Fname", "Lname", "idContact")
ACCEPTED = (
    "a list of objects with Fname, Lname and/or idContact, like "
    '[{"Fname": "Juan", "Lname": "Pedro"}, {"idContact": 10}]'
)


def check(searches: Iterable[Any]) -> None:
    """Accept a list of searches.

    Raises:
        ValueError: it is empty, or one of them cannot be sent; the text says what is accepted.
    """
    problem: str | None = "at least one is needed"
    for number, search in enumerate(searches, 1):
        if problem := _problem(search):
            problem = f"number {number} {problem}"
            break
    if problem:
        message = f"{ACCEPTED}: {problem}"
        raise ValueError(message)


def action_of(search: JSON) -> JSON:
    """What is sent of a search: the members that are set, an id as a number."""
    found = {name: search[name] for name in NAMES if not _is_blank(search.get(name))}
    if "idContact" in found:
        found["idContact"] = int(found["idContact"])
    return found


def _problem(search: Any) -> str | None:
    if not isinstance(search, dict):
        return f"is not an object but {search!r:.40}"
    for name in search:
        if name not in NAMES:
            near = difflib.get_close_matches(name.lower(), [n.lower() for n in NAMES], n=1)
            meant = [n for n in NAMES if n.lower() in near]
            return f"has {name!r}" + (f"; did you mean {meant[0]!r}?" if meant else "")
    if all(_is_blank(search.get(name)) for name in NAMES):
        return "has none of them"
    for name in ("Fname", "Lname"):
        if not isinstance(search.get(name), str | None):
            return f"has a {name} that is not a text"
    number = search.get("idContact")
    if not _is_blank(number) and (
        isinstance(number, bool) or not re.fullmatch(r"\s*[1-9]\d*\s*", str(number))
    ):
        return "has an idContact that is not a number"
    return None


def _is_blank(value: Any) -> bool:
    return value is None or (isinstance(value, str) and not value.strip())
