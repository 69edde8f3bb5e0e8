"""tap-reisoftware through its front door: the double cursor, what changed, appointments."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from singer_sandbox import Sandbox
from tests.front_door import JSON
from tests.tapping import Tap, only

STREAMS = {"appointments", "campaigns", "contacts", "custom_fields", "tags", "workflows"}
CHANGED = 1_740_000_000_000
"""Epoch milliseconds (February 2025), after the sandbox's invented contacts were added."""


@pytest.fixture
def tap(sandbox: Sandbox, tmp_path: Path) -> Tap:
    return Tap("tap-reisoftware", sandbox, tmp_path)


@pytest.fixture
def contacts(tap: Tap) -> JSON:
    """A catalog of contacts alone."""
    return only(tap.discover(), "contacts")


@pytest.fixture
def both(tap: Tap) -> JSON:
    """A catalog of contacts and their appointments."""
    return only(tap.discover(), "contacts", "appointments")


def contact(number: int) -> str:
    return f"contact{number:013d}"


def numbers(records: list[JSON]) -> list[int]:
    return [int(record["id"].removeprefix("contact")) for record in records]


def change(sandbox: Sandbox, *which: int, at: int = CHANGED, **fields: Any) -> None:
    """Change contacts behind the tap's back."""
    rows = [
        {"id": contact(number), "dateUpdated": at + place, "city": "Elsewhere", **fields}
        for place, number in enumerate(which)
    ]
    sandbox.put_state("rei", {"contacts": rows})


def pages(sandbox: Sandbox) -> int:
    """How often the list of contacts was asked for."""
    return sum(request["template"] == "/v1/contacts" for request in sandbox.requests("rei"))


def test_all_streams_come_with_their_records(sandbox: Sandbox, tap: Tap) -> None:
    sandbox.seed()
    done = tap.read()
    assert done.streams == STREAMS
    state = sandbox.state("rei")
    for stream in STREAMS:
        assert {row["id"] for row in done.records(stream)} == set(state[stream])
    assert len(done.records("contacts")) == 60


def test_custom_fields_of_all_three_types_come_typed(
    sandbox: Sandbox, tap: Tap, contacts: JSON
) -> None:
    sandbox.seed()
    done = tap.read(catalog=contacts)
    record = next(row for row in done.records("contacts") if row["id"] == contact(2))
    values = {item["id"]: item["value"] for item in record["customField"]}
    assert values["cfParcelId0000000001"] == "P-00001"
    assert values["cfSaleDate0000000003"] == 1735646400000
    assert values["cfInterests000000004"] == ["sell", "rent"]
    kinds = done.properties("contacts")["customField"]["items"]["properties"]["value"]["type"]
    assert {"string", "number", "array"} <= set(kinds)


@pytest.mark.parametrize(("number", "same_ms"), [(0, 1), (1, 1), (100, 1), (101, 1), (450, 250)])
def test_no_contact_is_lost_or_doubled(
    sandbox: Sandbox, tap: Tap, contacts: JSON, number: int, same_ms: int
) -> None:
    sandbox.fill("rei", contacts=number, same_ms=same_ms)
    done = tap.read(catalog=contacts)
    assert sorted(numbers(done.records("contacts"))) == list(range(1, number + 1))
    assert pages(sandbox) == max(1, -(-number // 100))


@pytest.mark.parametrize("quirk", ["ok", "unsorted", "stuck"])
def test_everything_is_read_whatever_the_cursor_does(
    sandbox: Sandbox, tap: Tap, contacts: JSON, quirk: str
) -> None:
    sandbox.fill("rei", contacts=350, same_ms=7)
    change(sandbox, 300, 20, 10, 40)
    sandbox.options("rei", date_updated_cursor=quirk)
    done = tap.read(catalog=contacts)
    assert set(numbers(done.records("contacts"))) == set(range(1, 351))
    assert done.stderr.count("It is not certain that the vendor sorts") == (quirk != "ok")


@pytest.mark.parametrize("quirk", ["ok", "unsorted", "stuck"])
def test_what_changed_is_found_whatever_the_cursor_does(
    sandbox: Sandbox, tap: Tap, contacts: JSON, quirk: str
) -> None:
    sandbox.fill("rei", contacts=350)
    first = tap.read(catalog=contacts)
    sandbox.options("rei", date_updated_cursor=quirk)
    change(sandbox, 300, 5)
    done = tap.read(catalog=contacts, state=first.state)
    assert set(numbers(done.records("contacts"))) == {300, 5, 350}  # 350: the bookmark itself
    again = tap.read(catalog=contacts, state=done.state)
    assert set(numbers(again.records("contacts"))) == {5}


def test_only_the_pages_that_changed_are_read(sandbox: Sandbox, tap: Tap, contacts: JSON) -> None:
    sandbox.fill("rei", contacts=2000)
    first = tap.read(catalog=contacts)
    change(sandbox, *range(1, 151))
    sandbox.log(clear=True)
    done = tap.read(catalog=contacts, state=first.state)
    assert set(numbers(done.records("contacts"))) == {*range(1, 151), 2000}
    assert pages(sandbox) == 3  # two pages, and one to see what changed meanwhile
    sandbox.log(clear=True)
    again = tap.read(catalog=contacts, state=done.state)
    assert numbers(again.records("contacts")) == [150]
    assert pages(sandbox) == 1


def test_one_changed_contact_proves_the_order_by_its_cursor(
    sandbox: Sandbox, tap: Tap, contacts: JSON
) -> None:
    sandbox.fill("rei", contacts=1000)
    first = tap.read(catalog=contacts)
    change(sandbox, 1000)  # first in both orders: only the cursor tells which one it is
    sandbox.log(clear=True)
    done = tap.read(catalog=contacts, state=first.state)
    assert numbers(done.records("contacts")) == [1000]
    assert pages(sandbox) == 2
    assert "not certain" not in done.stderr


def test_an_order_that_cannot_be_told_is_not_relied_on(
    sandbox: Sandbox, tap: Tap, contacts: JSON
) -> None:
    sandbox.fill("rei", contacts=350)
    first = tap.read(catalog=contacts)
    sandbox.options("rei", date_updated_cursor="unsorted")
    change(sandbox, 5)  # far down in the order that the vendor really keeps
    done = tap.read(catalog=contacts, state=first.state)
    assert set(numbers(done.records("contacts"))) == {5, 350}
    assert "not certain" in done.stderr


def test_a_start_date_leaves_older_contacts_out(sandbox: Sandbox, tap: Tap, contacts: JSON) -> None:
    sandbox.fill("rei", contacts=250)
    change(sandbox, 7, 8, 9)
    done = tap.read(catalog=contacts, start_date="2025-02-01T00:00:00Z")
    assert set(numbers(done.records("contacts"))) == {7, 8, 9}
    assert done.state["bookmarks"]["contacts"]["replication_key_value"].startswith("2025-02-19T")


def test_what_changes_during_the_read_is_not_missed(
    sandbox: Sandbox, tap: Tap, contacts: JSON
) -> None:
    sandbox.fill("rei", contacts=1000)
    sandbox.fault(vendor="rei", path="contacts/$", hold="page", after=3)
    process = tap.start(catalog=contacts)
    sandbox.wait_held("page")
    now = time.time_ns() // 1_000_000
    change(sandbox, 3, 900, at=now, city="Moved")
    sandbox.release("page")
    done = tap.finish(process)
    moved = numbers([row for row in done.records("contacts") if row["city"] == "Moved"])
    assert set(moved) == {3, 900}
    # Our clock is not the vendor's: the bookmark stays behind what may still come.
    bookmark = done.state["bookmarks"]["contacts"]["replication_key_value"]
    assert datetime.fromisoformat(bookmark) < datetime.fromtimestamp(now / 1000, UTC)
    assert {3, 900} <= set(
        numbers(tap.read(catalog=contacts, state=done.state).records("contacts"))
    )


def test_what_changes_while_the_changes_are_read_is_read_too(
    sandbox: Sandbox, tap: Tap, contacts: JSON
) -> None:
    sandbox.fill("rei", contacts=1000)
    first = tap.read(catalog=contacts)
    change(sandbox, *range(1, 251))
    sandbox.fault(vendor="rei", path="contacts/$", hold="page", after=2)
    process = tap.start(catalog=contacts, state=first.state)
    sandbox.wait_held("page")
    change(sandbox, 777, at=time.time_ns() // 1_000_000)
    sandbox.release("page")
    done = tap.finish(process)
    assert set(numbers(done.records("contacts"))) == {*range(1, 251), 777, 1000}


@pytest.mark.parametrize("same_ms", [1, 7, 900, 3000])
def test_a_long_list_is_read_from_both_ends(
    sandbox: Sandbox, tap: Tap, contacts: JSON, same_ms: int
) -> None:
    sandbox.fill("rei", contacts=3000, same_ms=same_ms)
    change(sandbox, *range(1, 3000, 17))
    sandbox.options("rei", latency_ms=20)
    done = tap.read(catalog=contacts)
    assert sorted(numbers(done.records("contacts"))) == list(range(1, 3001))
    assert "not certain" not in done.stderr
    assert sandbox.counts()["max_in_flight"]["rei"] in (2, 3)  # 3: they meet, two were on their way
    assert pages(sandbox) <= 34 or same_ms == 3000
    again = tap.read(catalog=contacts, state=done.state)
    assert len(again.records("contacts")) == 1


@pytest.mark.parametrize("quirk", ["unsorted", "stuck"])
def test_both_ends_are_not_trusted_blindly(
    sandbox: Sandbox, tap: Tap, contacts: JSON, quirk: str
) -> None:
    sandbox.fill("rei", contacts=3000)
    change(sandbox, 1500)
    sandbox.options("rei", date_updated_cursor=quirk)
    done = tap.read(catalog=contacts)
    assert set(numbers(done.records("contacts"))) == set(range(1, 3001))
    assert "not certain" in done.stderr


def test_what_changes_while_both_ends_are_read_is_not_missed(
    sandbox: Sandbox, tap: Tap, contacts: JSON
) -> None:
    sandbox.fill("rei", contacts=3000)
    sandbox.fault(vendor="rei", path="contacts/$", hold="page", after=9)
    process = tap.start(catalog=contacts)
    sandbox.wait_held("page")
    change(sandbox, 3, 1500, 2990, at=time.time_ns() // 1_000_000, city="Moved")
    sandbox.put_state("rei", {"contacts": [{"id": contact(3001), "email": "new@example.com"}]})
    sandbox.remove("rei", "contacts", contact(1400))
    sandbox.release("page")
    done = tap.finish(process)
    assert "not certain" not in done.stderr
    assert {*range(1, 3002)} - set(numbers(done.records("contacts"))) <= {1400}
    moved = numbers([row for row in done.records("contacts") if row["city"] == "Moved"])
    assert set(moved) == {3, 1500, 2990}


def test_an_interrupted_run_from_both_ends_goes_on(
    sandbox: Sandbox, tap: Tap, contacts: JSON
) -> None:
    sandbox.fill("rei", contacts=3000)
    change(sandbox, 1, 2)
    sandbox.fault(vendor="rei", path="contacts/$", hold="page", after=11, times=None)
    process = tap.start(catalog=contacts)
    sandbox.wait_held("page")  # the other walk may have a page in hand, and wait for this one
    time.sleep(0.3)
    process.terminate()
    done = tap.finish(process)
    sandbox.clear_faults()
    rest = tap.read(catalog=contacts, state=done.state)
    both = set(numbers(done.records("contacts"))) | set(numbers(rest.records("contacts")))
    assert both == set(range(1, 3001))
    assert len(rest.records("contacts")) < 2700


def test_an_interrupted_run_goes_on_where_it_was(
    sandbox: Sandbox, tap: Tap, contacts: JSON
) -> None:
    sandbox.fill("rei", contacts=1000)
    change(sandbox, *range(1, 11))
    sandbox.fault(vendor="rei", path="contacts/$", hold="page", after=6, times=None)
    process = tap.start(catalog=contacts)
    sandbox.wait_held("page")
    time.sleep(0.3)
    process.terminate()
    done = tap.finish(process)
    assert done.exit_code == 143
    read = set(numbers(done.records("contacts")))
    assert len(read) == 600
    sandbox.clear_faults()
    sandbox.log(clear=True)
    rest = tap.read(catalog=contacts, state=done.state)
    assert read | set(numbers(rest.records("contacts"))) == set(range(1, 1001))
    assert len(rest.records("contacts")) <= 401
    assert pages(sandbox) <= 6


def test_the_next_page_url_is_never_followed(sandbox: Sandbox, tap: Tap, contacts: JSON) -> None:
    sandbox.fill("rei", contacts=250)
    done = tap.read(catalog=contacts)
    assert len(done.records("contacts")) == 250
    queries = [request["query"] for request in sandbox.requests("rei")]
    assert all("startAfterId" in query for query in queries[1:])
    assert all(request["authorization"] for request in sandbox.requests("rei"))


def test_a_full_table_can_be_asked_for(sandbox: Sandbox, tap: Tap, contacts: JSON) -> None:
    sandbox.fill("rei", contacts=150)
    state = tap.read(catalog=contacts).state
    for entry in contacts["streams"]:
        entry["replication_method"] = "FULL_TABLE"
    assert len(tap.read(catalog=contacts, state=state).records("contacts")) == 150


@pytest.mark.parametrize("form", ["empty-object-when-none", "appointments", "events"])
def test_appointments_come_in_every_envelope(
    sandbox: Sandbox, tap: Tap, both: JSON, form: str
) -> None:
    sandbox.seed()
    sandbox.options("rei", appointments_form=form)
    done = tap.read(catalog=both)
    held = sandbox.state("rei")["appointments"]
    assert {row["id"]: row for row in done.records("appointments")} == held
    assert done.state["bookmarks"]["appointments"] == {}


def test_appointments_are_read_without_contacts(sandbox: Sandbox, tap: Tap, both: JSON) -> None:
    sandbox.seed()
    done = tap.read(catalog=only(both, "appointments"))
    assert done.streams == {"appointments"}
    assert len(done.records("appointments")) == 12
    assert "replication_key_value" not in done.state["bookmarks"].get("contacts", {})


def test_appointments_of_all_contacts_are_read_in_every_run(
    sandbox: Sandbox, tap: Tap, both: JSON
) -> None:
    sandbox.seed()
    state = tap.read(catalog=both).state
    sandbox.put_state("rei", {"appointments": [{"id": "new", "contactId": contact(3)}]})
    done = tap.read(catalog=both, state=state)
    assert numbers(done.records("contacts")) == [60]
    assert len(done.records("appointments")) == 13


def test_appointments_of_changed_contacts_are_read_alone(
    sandbox: Sandbox, tap: Tap, both: JSON
) -> None:
    sandbox.seed()
    first = tap.read(catalog=both, appointments_of="changed")
    assert len(first.records("appointments")) == 12
    sandbox.put_state(
        "rei", {"appointments": [{"id": f"new{n}", "contactId": contact(n)} for n in (3, 4)]}
    )
    change(sandbox, 3)
    sandbox.log(clear=True)
    done = tap.read(catalog=both, state=first.state, appointments_of="changed")
    assert {row["id"] for row in done.records("appointments")} == {"new3"}
    asked = [r for r in sandbox.requests("rei") if "appointments" in r["template"]]
    assert len(asked) == 2  # contact 3, and the one at the bookmark


def test_appointments_are_asked_for_side_by_side(sandbox: Sandbox, tap: Tap, both: JSON) -> None:
    sandbox.fill("rei", contacts=100)
    sandbox.options("rei", latency_ms=30)
    tap.read(catalog=both, concurrency=8)
    assert sandbox.counts()["max_in_flight"]["rei"] == 8


@pytest.mark.parametrize("status", [404, 400, 422])
def test_a_contact_that_is_gone_has_no_appointments(
    sandbox: Sandbox, tap: Tap, both: JSON, status: int
) -> None:
    sandbox.seed()
    sandbox.options("rei", unknown_contact_status=status)
    sandbox.fault(vendor="rei", path="contacts/.*/appointments", hold="gone")
    process = tap.start(catalog=both, concurrency=1)
    sandbox.wait_held("gone")
    for number in range(1, 61):
        if number > 30:
            sandbox.remove("rei", "contacts", contact(number))
    sandbox.release("gone")
    done = tap.finish(process)
    assert done.exit_code == 0, done.stderr
    assert len(done.records("appointments")) == 6


def test_the_rate_limit_holds_for_appointments(sandbox: Sandbox, tap: Tap, both: JSON) -> None:
    sandbox.fill("rei", contacts=60)
    tap.read(catalog=both, rate_limit="20/1s", concurrency=8)
    assert sandbox.rates("rei", 1)["max"] <= 20


def test_stream_maps_leave_appointments_side_by_side(
    sandbox: Sandbox, tap: Tap, both: JSON
) -> None:
    sandbox.seed()
    maps = {"contacts": {"__alias__": "people", "external_id": "id", "__filter__": "id[-1] != '1'"}}
    done = tap.read(catalog=both, stream_maps=maps)
    assert len(done.records("people")) == 54
    # As in the SDK: what the map filters out has no children either.
    assert {row["contactId"][-1] for row in done.records("appointments")} == {"6"}
    assert sum(message["type"] == "SCHEMA" for message in done.messages) == 2


def test_batch_files_of_contacts_leave_appointments_as_records(
    sandbox: Sandbox, tap: Tap, both: JSON, tmp_path: Path
) -> None:
    sandbox.seed()
    (tmp_path / "files").mkdir()
    batch = {
        "encoding": {"format": "jsonl", "compression": "none"},
        "storage": {"root": f"file://{tmp_path}/files"},
    }
    done = tap.read(catalog=both, batch_config=batch)
    assert len(done.records("appointments")) == 12
    assert [m["stream"] for m in done.messages if m["type"] == "BATCH"] == ["contacts"]
    assert done.state["bookmarks"]["contacts"]["replication_key"] == "dateUpdated"


def test_test_mode_reads_one_of_each(sandbox: Sandbox, tap: Tap) -> None:
    sandbox.seed()
    done = tap.read("--test")
    assert {stream: len(done.records(stream)) for stream in STREAMS} == dict.fromkeys(STREAMS, 1)


def test_a_wrong_key_is_one_line(tap: Tap) -> None:
    error = tap.run(api_key="some-other-key").error
    assert "HTTP 401: Api key is invalid." in error
    assert "api_key" in error


def test_discovery_needs_no_key(tap: Tap) -> None:
    catalog = tap.discover(api_key=None)
    assert {entry["stream"] for entry in catalog["streams"]} == STREAMS
