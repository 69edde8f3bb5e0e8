"""tap-reisoftware reads what changed since the last run, and what changes meanwhile."""

from __future__ import annotations

import time
from datetime import UTC, datetime

import pytest

from singer_sandbox import Sandbox
from tests.contacts import LIST, change, numbers, only_v1, pages
from tests.front_door import JSON
from tests.tapping import Tap


@only_v1
@pytest.mark.parametrize("quirk", ["ok", "unsorted", "stuck"])
def test_what_changed_is_found_whatever_the_cursor_does(
    sandbox: Sandbox, rei: Tap, contacts: JSON, quirk: str
) -> None:
    sandbox.fill("rei", contacts=350)
    first = rei.read(catalog=contacts)
    sandbox.options("rei", date_updated_cursor=quirk)
    change(sandbox, 300, 5)
    done = rei.read(catalog=contacts, state=first.state)
    assert set(numbers(done.records("contacts"))) == {300, 5, 350}  # 350: the bookmark itself
    again = rei.read(catalog=contacts, state=done.state)
    assert set(numbers(again.records("contacts"))) == {5}


def test_only_the_pages_that_changed_are_read(
    sandbox: Sandbox, rei: Tap, contacts: JSON, version: str
) -> None:
    sandbox.fill("rei", contacts=2000)
    first = rei.read(catalog=contacts)
    change(sandbox, *range(1, 151))
    sandbox.log(clear=True)
    done = rei.read(catalog=contacts, state=first.state)
    assert set(numbers(done.records("contacts"))) == {*range(1, 151), 2000}
    assert pages(sandbox) == 3  # two pages, and one to see what changed meanwhile
    sandbox.log(clear=True)
    again = rei.read(catalog=contacts, state=done.state)
    assert numbers(again.records("contacts")) == [150]
    assert pages(sandbox) == {"v1": 1, "v2": 2}[version]  # v2: an empty one tells the end


@only_v1
def test_one_changed_contact_proves_the_order_by_its_cursor(
    sandbox: Sandbox, rei: Tap, contacts: JSON
) -> None:
    sandbox.fill("rei", contacts=1000)
    first = rei.read(catalog=contacts)
    change(sandbox, 1000)  # first in both orders: only the cursor tells which one it is
    sandbox.log(clear=True)
    done = rei.read(catalog=contacts, state=first.state)
    assert numbers(done.records("contacts")) == [1000]
    assert pages(sandbox) == 2
    assert "not certain" not in done.stderr


@only_v1
def test_an_order_that_cannot_be_told_is_not_relied_on(
    sandbox: Sandbox, rei: Tap, contacts: JSON
) -> None:
    sandbox.fill("rei", contacts=350)
    first = rei.read(catalog=contacts)
    sandbox.options("rei", date_updated_cursor="unsorted")
    change(sandbox, 5)  # far down in the order that the vendor really keeps
    done = rei.read(catalog=contacts, state=first.state)
    assert set(numbers(done.records("contacts"))) == {5, 350}
    assert "not certain" in done.stderr


def test_a_start_date_leaves_older_contacts_out(sandbox: Sandbox, rei: Tap, contacts: JSON) -> None:
    sandbox.fill("rei", contacts=250)
    change(sandbox, 7, 8, 9)
    done = rei.read(catalog=contacts, start_date="2025-02-01T00:00:00Z")
    assert set(numbers(done.records("contacts"))) == {7, 8, 9}
    assert done.state["bookmarks"]["contacts"]["replication_key_value"].startswith("2025-02-19T")


def test_what_changes_during_the_read_is_not_missed(
    sandbox: Sandbox, rei: Tap, contacts: JSON
) -> None:
    sandbox.fill("rei", contacts=1000)
    sandbox.fault(vendor="rei", path=LIST, hold="page", after=3)
    process = rei.start(catalog=contacts)
    sandbox.wait_held("page")
    now = time.time_ns() // 1_000_000
    change(sandbox, 3, 900, at=now, city="Moved")
    sandbox.release("page")
    done = rei.finish(process)
    moved = numbers([row for row in done.records("contacts") if row["city"] == "Moved"])
    assert set(moved) == {3, 900}
    # Our clock is not the vendor's: the bookmark stays behind what may still come.
    bookmark = done.state["bookmarks"]["contacts"]["replication_key_value"]
    assert datetime.fromisoformat(bookmark) < datetime.fromtimestamp(now / 1000, UTC)
    assert {3, 900} <= set(
        numbers(rei.read(catalog=contacts, state=done.state).records("contacts"))
    )


def test_what_changes_while_the_changes_are_read_is_read_too(
    sandbox: Sandbox, rei: Tap, contacts: JSON
) -> None:
    sandbox.fill("rei", contacts=1000)
    first = rei.read(catalog=contacts)
    change(sandbox, *range(1, 251))
    sandbox.fault(vendor="rei", path=LIST, hold="page", after=2)
    process = rei.start(catalog=contacts, state=first.state)
    sandbox.wait_held("page")
    change(sandbox, 777, at=time.time_ns() // 1_000_000)
    sandbox.release("page")
    done = rei.finish(process)
    assert set(numbers(done.records("contacts"))) == {*range(1, 251), 777, 1000}
