"""tap-reisoftware through its front door: all streams, the double cursor, from both ends too."""

from __future__ import annotations

import time

import pytest

from singer_sandbox import Sandbox
from tests.contacts import LIST, change, contact, numbers, only_v1, pages
from tests.front_door import JSON
from tests.tapping import Tap

STREAMS = {"appointments", "campaigns", "contacts", "custom_fields", "tags", "workflows"}


@pytest.mark.console_script
def test_all_streams_come_with_their_records(sandbox: Sandbox, rei: Tap) -> None:
    sandbox.seed()
    done = rei.read()
    assert done.streams == STREAMS
    state = sandbox.state("rei")
    for stream in STREAMS:
        assert {row["id"] for row in done.records(stream)} == set(state[stream])
    assert len(done.records("contacts")) == 60


def test_test_mode_reads_one_of_each(sandbox: Sandbox, rei: Tap) -> None:
    sandbox.seed()
    done = rei.read("--test")
    assert {stream: len(done.records(stream)) for stream in STREAMS} == dict.fromkeys(STREAMS, 1)


@only_v1
def test_a_wrong_key_is_one_line(rei: Tap) -> None:
    error = rei.run(api_key="some-other-key").error
    assert "HTTP 401: Api key is invalid." in error
    assert "api_key" in error


def test_discovery_needs_no_key(rei: Tap) -> None:
    catalog = rei.discover(api_key=None)
    assert {entry["stream"] for entry in catalog["streams"]} == STREAMS


def test_custom_fields_of_all_three_types_come_typed(
    sandbox: Sandbox, rei: Tap, contacts: JSON, version: str
) -> None:
    sandbox.seed()
    done = rei.read(catalog=contacts)
    record = next(row for row in done.records("contacts") if row["id"] == contact(2))
    values = {item["id"]: item["value"] for item in record["customField"]}
    assert values["cfParcelId0000000001"] == "P-00001"
    # v2 gives the day only.
    assert values["cfSaleDate0000000003"] == {"v1": 1735646400000, "v2": 1735603200000}[version]
    assert values["cfInterests000000004"] == ["sell", "rent"]
    kinds = done.properties("contacts")["customField"]["items"]["properties"]["value"]["type"]
    assert {"string", "number", "array"} <= set(kinds)


@pytest.mark.parametrize(("number", "same_ms"), [(0, 1), (1, 1), (100, 1), (101, 1), (450, 250)])
def test_no_contact_is_lost_or_doubled(
    sandbox: Sandbox, rei: Tap, contacts: JSON, version: str, number: int, same_ms: int
) -> None:
    sandbox.fill("rei", contacts=number, same_ms=same_ms)
    done = rei.read(catalog=contacts)
    assert sorted(numbers(done.records("contacts"))) == list(range(1, number + 1))
    # Of a search only an empty page tells that it ends.
    last = version == "v2" and number > 0
    assert pages(sandbox) == max(1, -(-number // 100)) + last


@only_v1
@pytest.mark.parametrize("quirk", ["ok", "unsorted", "stuck"])
def test_everything_is_read_whatever_the_cursor_does(
    sandbox: Sandbox, rei: Tap, contacts: JSON, quirk: str
) -> None:
    sandbox.fill("rei", contacts=350, same_ms=7)
    change(sandbox, 300, 20, 10, 40)
    sandbox.options("rei", date_updated_cursor=quirk)
    done = rei.read(catalog=contacts)
    assert set(numbers(done.records("contacts"))) == set(range(1, 351))
    assert done.stderr.count("It is not certain that the vendor sorts") == (quirk != "ok")


@only_v1
def test_the_next_page_url_is_never_followed(sandbox: Sandbox, rei: Tap, contacts: JSON) -> None:
    sandbox.fill("rei", contacts=250)
    done = rei.read(catalog=contacts)
    assert len(done.records("contacts")) == 250
    queries = [request["query"] for request in sandbox.requests("rei")]
    assert all("startAfterId" in query for query in queries[1:])
    assert all(request["authorization"] for request in sandbox.requests("rei"))


def test_a_full_table_can_be_asked_for(sandbox: Sandbox, rei: Tap, contacts: JSON) -> None:
    sandbox.fill("rei", contacts=150)
    state = rei.read(catalog=contacts).state
    for entry in contacts["streams"]:
        entry["replication_method"] = "FULL_TABLE"
    assert len(rei.read(catalog=contacts, state=state).records("contacts")) == 150


@only_v1
@pytest.mark.parametrize("same_ms", [1, 7, 900, 3000])
def test_a_long_list_is_read_from_both_ends(
    sandbox: Sandbox, rei: Tap, contacts: JSON, same_ms: int
) -> None:
    sandbox.fill("rei", contacts=3000, same_ms=same_ms)
    change(sandbox, *range(1, 3000, 17))
    sandbox.options("rei", latency_ms=20)
    done = rei.read(catalog=contacts)
    assert sorted(numbers(done.records("contacts"))) == list(range(1, 3001))
    assert "not certain" not in done.stderr
    assert sandbox.counts()["max_in_flight"]["rei"] in (2, 3)  # 3: they meet, two were on their way
    assert pages(sandbox) <= 34 or same_ms == 3000
    again = rei.read(catalog=contacts, state=done.state)
    assert len(again.records("contacts")) == 1


@only_v1
@pytest.mark.parametrize("quirk", ["unsorted", "stuck"])
def test_both_ends_are_not_trusted_blindly(
    sandbox: Sandbox, rei: Tap, contacts: JSON, quirk: str
) -> None:
    sandbox.fill("rei", contacts=3000)
    change(sandbox, 1500)
    sandbox.options("rei", date_updated_cursor=quirk)
    done = rei.read(catalog=contacts)
    assert set(numbers(done.records("contacts"))) == set(range(1, 3001))
    assert "not certain" in done.stderr


def test_what_changes_while_both_ends_are_read_is_not_missed(
    sandbox: Sandbox, rei: Tap, contacts: JSON
) -> None:
    sandbox.fill("rei", contacts=3000)
    sandbox.fault(vendor="rei", path=LIST, hold="page", after=9)
    process = rei.start(catalog=contacts)
    sandbox.wait_held("page")
    change(sandbox, 3, 1500, 2990, at=time.time_ns() // 1_000_000, city="Moved")
    sandbox.put_state("rei", {"contacts": [{"id": contact(3001), "email": "new@example.com"}]})
    sandbox.remove("rei", "contacts", contact(1400))
    sandbox.release("page")
    done = rei.finish(process)
    assert "not certain" not in done.stderr
    assert {*range(1, 3002)} - set(numbers(done.records("contacts"))) <= {1400}
    moved = numbers([row for row in done.records("contacts") if row["city"] == "Moved"])
    assert set(moved) == {3, 1500, 2990}


@only_v1
def test_an_interrupted_run_from_both_ends_goes_on(
    sandbox: Sandbox, rei: Tap, contacts: JSON
) -> None:
    sandbox.fill("rei", contacts=3000)
    change(sandbox, 1, 2)
    sandbox.fault(vendor="rei", path=LIST, hold="page", after=11, times=None)
    process = rei.start(catalog=contacts)
    sandbox.wait_held("page")  # the other walk may have a page in hand, and wait for this one
    process.terminate()
    done = rei.finish(process)
    sandbox.clear_faults()
    rest = rei.read(catalog=contacts, state=done.state)
    both = set(numbers(done.records("contacts"))) | set(numbers(rest.records("contacts")))
    assert both == set(range(1, 3001))
    assert len(rest.records("contacts")) < 2700


@pytest.mark.console_script
def test_an_interrupted_run_goes_on_where_it_was(
    sandbox: Sandbox, rei: Tap, contacts: JSON
) -> None:
    sandbox.fill("rei", contacts=1000)
    change(sandbox, *range(1, 11))
    sandbox.fault(vendor="rei", path=LIST, hold="page", after=6, times=None)
    process = rei.start(catalog=contacts)
    sandbox.wait_held("page")
    process.terminate()
    done = rei.finish(process)
    assert done.exit_code == 143
    read = set(numbers(done.records("contacts")))
    whole_pages, rest_of_a_page = divmod(len(read), 100)
    assert (whole_pages in range(4, 7), rest_of_a_page) == (True, 0)
    sandbox.clear_faults()
    sandbox.log(clear=True)
    rest = rei.read(catalog=contacts, state=done.state)
    assert read | set(numbers(rest.records("contacts"))) == set(range(1, 1001))
    assert len(rest.records("contacts")) <= 1001 - len(read)
    assert pages(sandbox) <= 12 - whole_pages
