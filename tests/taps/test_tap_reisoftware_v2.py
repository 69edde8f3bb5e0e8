"""tap-reisoftware by API v2: the search to its end, and what its index and its rows do."""

from __future__ import annotations

import time
from typing import Any

import pytest

from singer_sandbox import Sandbox
from tap_reisoftware.reading import VendorClock
from tests.calling import rei_v2
from tests.contacts import LIST, change, contact, numbers, only_v2, pages
from tests.front_door import JSON
from tests.tapping import Tap, only

pytestmark = only_v2

MINUTES = 60_000


def now() -> int:
    return time.time_ns() // 1_000_000


def searches(sandbox: Sandbox) -> list[JSON]:
    """The bodies of the searches."""
    return [r["body"] for r in sandbox.requests("rei") if r["template"] == "/v2/contacts/search"]


def full(catalog: JSON) -> JSON:
    """The same catalog, without bookmarks."""
    for entry in catalog["streams"]:
        entry["replication_method"] = "FULL_TABLE"
    return catalog


def edit(sandbox: Sandbox, number: int, **fields: Any) -> None:
    """Change a contact by the API, so that the index lags behind it."""
    assert rei_v2(sandbox, "PUT", f"/contacts/{contact(number)}", fields).status_code == 200


@pytest.mark.parametrize("same_ms", [1, 300, 10_250])
def test_all_of_more_than_10000_contacts_are_read_once(
    sandbox: Sandbox, rei: Tap, contacts: JSON, same_ms: int
) -> None:
    sandbox.fill("rei", contacts=10_250, same_ms=same_ms)
    change(sandbox, *range(1, 10_250, 501))
    done = rei.read(catalog=contacts)
    assert sorted(numbers(done.records("contacts"))) == list(range(1, 10_251))
    assert pages(sandbox) == 104
    assert all("page" not in body for body in searches(sandbox))
    assert all("searchAfter" in body for body in searches(sandbox)[1:])


def test_a_page_that_is_shorter_than_asked_for_is_not_the_end(
    sandbox: Sandbox, rei: Tap, contacts: JSON
) -> None:
    sandbox.fill("rei", contacts=350)
    sandbox.options("rei", page_size_cap=30)
    done = rei.read(catalog=contacts)
    assert sorted(numbers(done.records("contacts"))) == list(range(1, 351))


def test_larger_pages_cost_fewer_requests(sandbox: Sandbox, rei: Tap, contacts: JSON) -> None:
    sandbox.fill("rei", contacts=1200)
    assert len(rei.read(catalog=contacts, page_size=500).records("contacts")) == 1200
    assert pages(sandbox) == 4


def test_a_page_size_that_the_vendor_refuses_is_named(
    sandbox: Sandbox, rei: Tap, contacts: JSON
) -> None:
    sandbox.options("rei", search_page_max=100)
    error = rei.run(catalog=contacts, page_size=101).error
    assert "pageLimit must not be greater than 100" in error
    assert "check page_size" in error


def test_a_bookmark_leaves_out_what_did_not_change(
    sandbox: Sandbox, rei: Tap, contacts: JSON
) -> None:
    sandbox.fill("rei", contacts=2000)
    first = rei.read(catalog=contacts)
    change(sandbox, 300, 5)
    sandbox.log(clear=True)
    done = rei.read(catalog=contacts, state=first.state)
    assert numbers(done.records("contacts")) == [2000, 300, 5]  # 2000: the bookmark itself
    (filters,) = searches(sandbox)[0]["filters"]
    bookmark = first.state["bookmarks"]["contacts"]["replication_key_value"]
    value = {"gte": bookmark}
    assert filters == {"field": "dateUpdated", "operator": "range", "value": value}


@pytest.mark.parametrize("incremental", [True, False])
def test_contacts_that_move_while_they_are_read_are_not_missed(
    sandbox: Sandbox, rei: Tap, contacts: JSON, incremental: bool
) -> None:
    sandbox.fill("rei", contacts=1000)
    sandbox.fault(vendor="rei", path=LIST, hold="page", after=4)
    process = rei.start(catalog=contacts if incremental else full(contacts))
    sandbox.wait_held("page")
    change(sandbox, 3, 500, 990, at=now(), city="Moved")
    sandbox.put_state("rei", {"contacts": [{"id": contact(1001), "email": "new@example.com"}]})
    sandbox.remove("rei", "contacts", contact(600))
    sandbox.release("page")
    done = rei.finish(process)
    assert set(numbers(done.records("contacts"))) == set(range(1, 1002)) - {600}
    last = {row["id"]: row for row in done.records("contacts")}
    assert {n for n in (3, 500, 990) if last[contact(n)]["city"] == "Moved"} == {3, 500, 990}


@pytest.mark.slow
def test_contacts_that_go_on_changing_do_not_keep_the_run_alive(
    sandbox: Sandbox, rei: Tap, contacts: JSON
) -> None:
    sandbox.fill("rei", contacts=250)
    # After each answer: contact 1 is the newest one.
    moved = {"contacts": [{"id": contact(1), "city": "Again"}]}
    sandbox.fault(vendor="rei", path=LIST, put=moved, times=None)
    sandbox.options("rei", latency_ms=100)  # else two changes share a millisecond
    done = rei.read(catalog=contacts, page_size=50)
    assert set(numbers(done.records("contacts"))) == set(range(1, 251))


def test_what_the_index_does_not_list_yet_is_read_by_the_next_run(
    sandbox: Sandbox, rei: Tap, contacts: JSON
) -> None:
    sandbox.fill("rei", contacts=250)
    sandbox.options("rei", search_lag=3)
    edit(sandbox, 7, city="Late")
    change(sandbox, 9, at=now() + 1)  # listed at once: a bookmark there would be after 7
    time.sleep(2.2)  # the old row of 7 is gone, the new one is not there yet
    first = rei.read(catalog=contacts)
    assert set(numbers(first.records("contacts"))) == set(range(1, 251)) - {7}
    sandbox.options("rei", search_lag=0)
    done = rei.read(catalog=contacts, state=first.state)
    assert numbers(done.records("contacts")) == [7, 9]


def test_the_bookmark_stays_behind_the_run(sandbox: Sandbox, rei: Tap, contacts: JSON) -> None:
    sandbox.fill("rei", contacts=10)
    change(sandbox, 1, at=now() - 20 * MINUTES)
    change(sandbox, 2, at=now() - 2 * MINUTES)
    change(sandbox, 3, at=now() - MINUTES)
    first = rei.read(catalog=contacts)
    again = rei.read(catalog=contacts, state=first.state)
    assert numbers(again.records("contacts")) == [2, 3]  # within the last five minutes
    assert first.state["bookmarks"]["contacts"]["replication_key"] == "dateUpdated"


def test_a_full_refresh_waits_for_what_the_index_does_not_list_yet(
    sandbox: Sandbox, rei: Tap, contacts: JSON
) -> None:
    sandbox.fill("rei", contacts=250)
    sandbox.options("rei", search_lag=3)
    edit(sandbox, 7, city="Late")
    time.sleep(2.2)
    done = rei.read(catalog=full(contacts))
    assert sorted(numbers(done.records("contacts"))) == list(range(1, 251))
    assert "counts" not in done.stderr


@pytest.mark.slow
def test_a_full_refresh_that_lists_fewer_than_the_vendor_counts_says_so(
    sandbox: Sandbox, rei: Tap, contacts: JSON
) -> None:
    sandbox.fill("rei", contacts=20)
    answer = {"contacts": [], "total": 22, "traceId": "x"}
    sandbox.fault(vendor="rei", path=LIST, body='"pageLimit":1[,}]', status=200, answer=answer,
                  times=None)  # fmt: skip
    done = rei.read(catalog=full(contacts))
    assert len(done.records("contacts")) == 20
    assert "The vendor counts 2 contacts more than it listed" in done.stderr


@pytest.mark.parametrize(
    ("order", "problem"),
    [((1, 2), "the cursor leads to no further page"), ((2, 1), "not sorted by dateUpdated")],
)
def test_a_search_that_does_not_do_as_asked_ends_the_run(
    sandbox: Sandbox, rei: Tap, contacts: JSON, order: tuple[int, int], problem: str
) -> None:
    rows = [
        {"id": contact(n), "dateUpdated": f"2026-01-0{n}T00:00:00.000Z", "searchAfter": [n, "x"]}
        for n in order
    ]
    answer = {"contacts": rows, "total": 2, "traceId": "x"}
    sandbox.fault(vendor="rei", path=LIST, status=200, answer=answer, times=None)
    error = rei.run(catalog=contacts).error
    assert problem in error
    assert "check page_size and api_url" in error


def test_rows_without_a_cursor_of_their_own_are_read_on_by_date_and_id(
    sandbox: Sandbox, rei: Tap, contacts: JSON
) -> None:
    row = {"id": contact(1), "dateUpdated": 1_767_225_600_000}
    answer = {"contacts": [row], "total": 1, "traceId": "x"}
    sandbox.fault(vendor="rei", path=LIST, status=200, answer=answer)
    (record,) = rei.read(catalog=contacts).records("contacts")
    assert record["dateUpdated"] == "2026-01-01T00:00:00.000Z"
    assert searches(sandbox)[1]["searchAfter"] == [1_767_225_600_000, contact(1)]


@pytest.mark.parametrize("fault", [{"status": 503}, {"drop": True}, {"cut": True}])
def test_a_search_is_sent_again(
    sandbox: Sandbox, rei: Tap, contacts: JSON, fault: dict[str, Any]
) -> None:
    sandbox.fill("rei", contacts=250)
    sandbox.fault(vendor="rei", path=LIST, after=1, **fault)
    done = rei.read(catalog=contacts)
    assert sorted(numbers(done.records("contacts"))) == list(range(1, 251))


def test_too_many_requests_without_a_time_are_waited_for(
    sandbox: Sandbox, rei: Tap, contacts: JSON
) -> None:
    sandbox.fill("rei", contacts=500)
    sandbox.options("rei", rate_limit=[3, 1], retry_after=False)
    assert len(rei.read(catalog=contacts, max_retries=20).records("contacts")) == 500


def test_an_interrupted_run_resumes_at_its_bookmark(
    sandbox: Sandbox, rei: Tap, contacts: JSON
) -> None:
    sandbox.fill("rei", contacts=3000)
    sandbox.fault(vendor="rei", path=LIST, hold="page", after=11, times=None)
    process = rei.start(catalog=contacts)
    sandbox.wait_held("page")
    process.terminate()
    done = rei.finish(process)
    assert done.exit_code == 143
    sandbox.clear_faults()
    rest = rei.read(catalog=contacts, state=done.state)
    both = numbers(done.records("contacts")) + numbers(rest.records("contacts"))
    assert set(both) == set(range(1, 3001))
    assert len(both) == 3001  # the contact at the bookmark came twice


def test_appointments_of_changed_contacts_follow_their_own_bookmark(
    sandbox: Sandbox, rei: Tap
) -> None:
    both = only(rei.discover(), "contacts", "appointments")
    sandbox.seed()
    first = rei.read(catalog=both, appointments_of="changed")
    state = first.state
    del state["bookmarks"]["contacts"]["replication_key_value"]
    sandbox.log(clear=True)
    done = rei.read(catalog=both, state=state, appointments_of="changed")
    assert len(done.records("contacts")) == 60
    asked = [r for r in sandbox.requests("rei") if "appointments" in r["template"]]
    assert len(asked) == 1


@pytest.mark.parametrize(
    ("headers", "earliest", "latest"),
    [
        ({"Date": "Sat, 31 Jan 2026 12:00:00 GMT"}, 1_769_860_800_000, 1_769_860_801_000),
        ({}, None, None),
        ({"Date": "soon"}, None, None),
    ],
)
def test_the_vendors_clock_is_its_answers_or_ours_with_a_margin(
    version: str, headers: JSON, earliest: int | None, latest: int | None
) -> None:
    clock = VendorClock()
    clock.note(headers)
    clock.note({"Date": "Thu, 01 Jan 2026 00:00:00 GMT"})  # does not go back
    ours, margin = now(), 10 * MINUTES
    assert clock.started == pytest.approx(earliest or ours - margin, abs=5000)
    assert clock.now == pytest.approx(latest or ours + margin, abs=5000)
