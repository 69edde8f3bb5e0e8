"""REI Software's contacts that are there already, unseen; and the tags of those that are there."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from singer_sandbox import Sandbox
from tests.front_door import Plugin
from tests.targets.reisoftware.test_contacts import contacts, held, kinds, reasons
from tests.targets.reisoftware.versions import LOOKUP, VERSIONS, target


@pytest.fixture(params=VERSIONS)
def rei(request: pytest.FixtureRequest, sandbox: Sandbox, tmp_path: Path) -> Iterator[Plugin]:
    yield from target(request.param, sandbox, tmp_path)


# --- duplicates forbidden -----------------------------------------------------------------------


def hide(sandbox: Sandbox, times: int = 1) -> None:
    """The vendor's search lags behind: a lookup does not show what is there."""
    sandbox.options("rei", allow_duplicates_error=True)
    sandbox.fault(vendor="rei", path=LOOKUP, times=times, status=200, answer={}, when="before")


def test_a_forbidden_duplicate_becomes_an_update(rei: Plugin) -> None:
    rei.sandbox.put_state(
        "rei", {"contacts": [{"id": "c1", "email": "a@example.com", "tags": ["old"]}]}
    )
    hide(rei.sandbox)
    result = rei.run(
        contacts({"key": "1", "email": "a@example.com", "city": "Bonn", "tags": "new"})
    )
    (contact,) = held(rei.sandbox)
    assert (contact["id"], contact["city"], contact["tags"]) == ("c1", "Bonn", ["old", "new"])
    assert result.counts("contacts") == {"received": 1, "updated": 1}


def test_mode_create_does_not_touch_a_forbidden_duplicate(rei: Plugin) -> None:
    rei.sandbox.put_state("rei", {"contacts": [{"id": "c1", "email": "a@example.com"}]})
    hide(rei.sandbox)
    result = rei.run(
        contacts({"key": "1", "email": "a@example.com", "city": "Bonn"}), mode="create"
    )
    assert "city" not in held(rei.sandbox)[0]
    assert result.counts("contacts") == {"received": 1, "skipped": 1}


def test_a_forbidden_duplicate_of_somebody_else_with_that_phone_is_rejected(rei: Plugin) -> None:
    twin = {"id": "c1", "email": "bob@example.com", "phone": "+18888888888"}
    rei.sandbox.put_state("rei", {"contacts": [twin]})
    hide(rei.sandbox)
    result = rei.run(contacts({"key": "1", "email": "a@example.com", "phone": "+18888888888"}))
    assert kinds(result) == ["invalid"]
    assert "c1" in reasons(result)[0]
    assert held(rei.sandbox)[0]["email"] == "bob@example.com"


def test_a_forbidden_duplicate_that_is_deleted_meanwhile_is_made_after_all(rei: Plugin) -> None:
    twin = {"id": "c1", "email": None, "phone": "+18888888888"}
    rei.sandbox.put_state("rei", {"contacts": [twin]})
    hide(rei.sandbox)
    rei.sandbox.fault(vendor="rei", method="GET", path="contacts/c1$", hold="look")
    process = rei.start(contacts({"key": "1", "email": "a@example.com", "phone": "+18888888888"}))
    rei.sandbox.wait_held("look")
    rei.sandbox.remove("rei", "contacts", "c1")
    rei.sandbox.release("look")
    assert rei.finish(process).counts("contacts") == {"received": 1, "created": 1}
    assert [contact["email"] for contact in held(rei.sandbox)] == ["a@example.com"]


# --- tags ---------------------------------------------------------------------------------------


def test_tags_are_added_and_never_removed(rei: Plugin) -> None:
    rei.sandbox.put_state(
        "rei", {"contacts": [{"id": "c1", "email": "a@example.com", "tags": ["old"]}]}
    )
    rei.run(contacts({"key": "1", "email": "a@example.com", "tags": ["one", "two"]}))
    rei.run(contacts({"key": "1", "email": "a@example.com", "tags": ["three"]}))
    assert held(rei.sandbox)[0]["tags"] == ["old", "one", "two", "three"]


def test_a_changed_contact_without_tags_keeps_those_that_it_has(rei: Plugin) -> None:
    rei.run(contacts({"key": "1", "email": "a@example.com", "tags": ["one"]}))
    rei.run(
        contacts({"key": "1", "email": "a@example.com", "tags": [], "city": "Bonn"}), nulls="send"
    )
    assert held(rei.sandbox)[0]["tags"] == ["one"]
    assert held(rei.sandbox)[0]["city"] == "Bonn"
