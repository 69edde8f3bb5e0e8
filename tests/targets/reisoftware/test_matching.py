"""Contacts that the ledger does not know: looked up, or found in the account's list."""

from __future__ import annotations

import logging
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from reisoftware_api.plugin import ReiAuth
from reisoftware_api.settings import VERSIONS as APIS
from singer_http.http.client import Client
from singer_http.report.counts import Counts
from singer_sandbox import Sandbox
from target_reisoftware.finder import FRESH_FOR, Finder
from target_reisoftware.lookup import ReiClient
from target_reisoftware.matching import Identity
from tests.front_door import JSON, Plugin
from tests.targets.reisoftware.test_contacts import contacts, held, reasons
from tests.targets.reisoftware.versions import VERSIONS, asked, is_v2, lookups, target


@pytest.fixture(params=VERSIONS)
def rei(request: pytest.FixtureRequest, sandbox: Sandbox, tmp_path: Path) -> Iterator[Plugin]:
    yield from target(request.param, sandbox, tmp_path)


def new(number: int) -> list[JSON]:
    return [{"key": str(n), "email": f"new{n}@example.com"} for n in range(number)]


def listings(sandbox: Sandbox) -> int:
    """How often the list of contacts was asked for."""
    return sum(line in ("GET contacts/", "POST contacts/search") for line in asked(sandbox))


# --- what it costs --------------------------------------------------------------------------------


def test_new_contacts_cost_one_request_each_once_the_list_has_been_read(rei: Plugin) -> None:
    rei.sandbox.fill("rei", contacts=950)
    result = rei.run(contacts(*new(400)))
    assert result.counts("contacts") == {"received": 400, "created": 400}
    # Ten lookups, and those that had begun; then the list seems as cheap.
    assert 10 <= len(lookups(rei.sandbox)) <= 14
    assert 10 <= listings(rei.sandbox) <= 12
    assert result.report["streams"]["contacts"]["requests"] <= 1.1 * 400
    assert "Reading the list of contacts (about 10 requests)" in result.stderr


def test_contacts_of_the_account_are_updated_without_a_lookup_each(rei: Plugin) -> None:
    rei.sandbox.fill("rei", contacts=500)
    rows = [
        {"key": str(n), "email": contact["email"], "city": "Bonn"}
        for n, contact in enumerate(held(rei.sandbox))
    ]
    result = rei.run(contacts(*rows))
    assert result.counts("contacts") == {"received": 500, "updated": 500}
    assert len(lookups(rei.sandbox)) <= 14
    assert {contact["city"] for contact in held(rei.sandbox)} == {"Bonn"}


def test_a_few_contacts_are_looked_up_and_the_list_is_not_asked_for(rei: Plugin) -> None:
    rei.sandbox.fill("rei", contacts=20)
    rei.run(contacts(*new(5)))
    assert (len(lookups(rei.sandbox)), listings(rei.sandbox)) == (5, 0)


def test_a_long_list_is_not_read_for_some_contacts(rei: Plugin) -> None:
    rei.sandbox.fill("rei", contacts=6000)
    rei.run(contacts(*new(40)))
    assert (len(lookups(rei.sandbox)), listings(rei.sandbox)) == (40, 1)


def test_matching_lookup_never_reads_the_list_and_matching_list_reads_it_first(
    rei: Plugin,
) -> None:
    rei.sandbox.fill("rei", contacts=30)
    rei.run(contacts(*new(40)), matching="lookup")
    assert (len(lookups(rei.sandbox)), listings(rei.sandbox)) == (40, 0)
    rei.sandbox.log(clear=True)
    again = [{**row, "key": f"again {row['key']}"} for row in new(2)]
    rei.run(contacts(*again), matching="list", sync="other")
    assert (len(lookups(rei.sandbox)), listings(rei.sandbox) > 0) == (0, True)


# --- the same rule --------------------------------------------------------------------------------


@pytest.mark.parametrize("matching", ["lookup", "list"])
def test_the_rule_is_the_same_by_lookup_and_by_list(rei: Plugin, matching: str) -> None:
    rei.sandbox.put_state(
        "rei",
        {
            "contacts": [
                {"id": "c1", "email": "ANN@example.com"},
                {"id": "c2", "phone": "+15552010002"},
                {"id": "c3", "email": "cid@example.com", "phone": "+15552010003"},
                {"id": "c4", "email": "dan@example.com", "phone": "+15552010004"},
            ]
        },
    )
    rows: list[JSON] = [
        {"key": "1", "email": "ann@Example.com", "phone": "+15552010009"},
        {"key": "2", "email": "bob@example.com", "phone": "(555) 201-0002"},
        {"key": "3", "email": "new@example.com", "phone": "5552010003"},
        {"key": "4", "phone": "15552010004", "email": None},
        {"key": "5", "email": "eve@example.com", "phone": None},
    ]
    result = rei.run(contacts(*rows), matching=matching)
    counts = {"received": 5, "updated": 3, "created": 1, "rejected": 1}
    assert result.counts("contacts") == counts
    assert "c3" in reasons(result)[0]
    found = {contact["id"]: contact for contact in held(rei.sandbox)}
    assert found["c1"]["phone"] == "+15552010009"
    assert found["c2"]["email"] == "bob@example.com"
    assert found["c4"]["email"] == "dan@example.com"


@pytest.mark.parametrize("matching", ["lookup", "list"])
def test_tags_find_their_contact_by_lookup_or_list(rei: Plugin, matching: str) -> None:
    rei.sandbox.put_state("rei", {"contacts": [{"id": "ann", "email": "ann@example.com"}]})
    rows = [
        {"email": "Ann@example.com", "tag": "vip", "key": "1"},
        {"email": "who@example.com", "tag": "vip", "key": "2"},
    ]
    messages = contacts(*rows)
    for message in messages:
        message["stream"] = "contact_tags"
    result = rei.run(messages, matching=matching)
    assert result.counts("contact_tags") == {"received": 2, "upserted": 1, "rejected": 1}
    assert rei.sandbox.state("rei")["contacts"]["ann"]["tags"] == ["vip"]


# --- meanwhile ------------------------------------------------------------------------------------


def test_a_contact_that_appears_after_the_list_was_read_is_updated(rei: Plugin) -> None:
    rei.sandbox.options("rei", allow_duplicates_error=True)
    rei.sandbox.fault(vendor="rei", method="POST", path="contacts/?$", hold="create")
    row = {"key": "1", "email": "ann@example.com", "city": "Bonn"}
    process = rei.start(contacts(row), matching="list")
    rei.sandbox.wait_held("create")
    rei.sandbox.put_state("rei", {"contacts": [{"id": "c1", "email": "ann@example.com"}]})
    rei.sandbox.release("create")
    result = rei.finish(process)
    assert result.counts("contacts") == {"received": 1, "updated": 1}
    assert [(one["id"], one["city"]) for one in held(rei.sandbox)] == [("c1", "Bonn")]


def test_a_contact_that_vanishes_after_the_list_was_read_is_made_anew(rei: Plugin) -> None:
    rei.sandbox.put_state("rei", {"contacts": [{"id": "c1", "email": "ann@example.com"}]})
    rei.sandbox.fault(vendor="rei", method="PUT", hold="update")
    process = rei.start(contacts({"key": "1", "email": "ann@example.com"}), matching="list")
    rei.sandbox.wait_held("update")
    rei.sandbox.remove("rei", "contacts", "c1")
    rei.sandbox.release("update")
    result = rei.finish(process)
    assert result.counts("contacts") == {"received": 1, "created": 1}
    (contact,) = held(rei.sandbox)
    assert contact["id"] != "c1"
    assert len(lookups(rei.sandbox)) == 1


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_create_whose_answer_was_lost_is_looked_up_not_found_in_the_list(
    rei: Plugin, when: str
) -> None:
    rei.sandbox.options("rei", create_makes_duplicates=True, search_lag=60)
    rei.sandbox.fault(vendor="rei", method="POST", path="contacts/?$", when=when, drop=True)
    result = rei.run(contacts(*new(3)), matching="list")
    assert result.counts("contacts") == {"received": 3, "created": 3}
    assert len(held(rei.sandbox)) == 3
    assert lookups(rei.sandbox)


@pytest.mark.parametrize("step", ["after_pending", "after_answer"])
def test_a_create_that_a_dead_run_left_is_looked_up_although_the_list_lags(
    rei: Plugin, step: str
) -> None:
    rei.sandbox.options("rei", create_makes_duplicates=True, search_lag=60)
    rei.dying(step).run(contacts(*new(1)), matching="list")
    result = rei.run(contacts(*new(1)), matching="list")
    assert result.exit_code == 0, result.stderr
    assert len(held(rei.sandbox)) == 1
    assert lookups(rei.sandbox)


# --- a list that cannot be used -------------------------------------------------------------------


def test_where_the_list_is_cut_off_contacts_are_looked_up(rei: Plugin) -> None:
    rei.sandbox.fill("rei", contacts=250)
    path = "contacts/search$" if is_v2(rei) else "contacts/$"
    method = "POST" if is_v2(rei) else "GET"
    empty = {"contacts": [], "total": 250, "meta": {"total": 250, "nextPage": ""}}
    rei.sandbox.fault(
        vendor="rei", method=method, path=path, after=1, times=None, status=200, answer=empty
    )
    known = held(rei.sandbox)[-1]
    rows = [
        {"key": "1", "email": known["email"], "city": "Bonn"},
        {"key": "2", "email": "n@example.com"},
    ]
    result = rei.run(contacts(*rows), matching="list")
    assert result.counts("contacts") == {"received": 2, "updated": 1, "created": 1}
    assert "100 of 250 contacts were read" in result.stderr
    assert len(lookups(rei.sandbox)) == 2


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        ({"contacts": [], "total": 1, "meta": {"total": 1}}, "much longer than the vendor said"),
        ({"contacts": []}, "does not say how many"),
        ({"message": "no"}, "no list 'contacts'"),
    ],
)
def test_where_the_vendor_misstates_its_list_contacts_are_looked_up(
    rei: Plugin, answer: JSON, words: str
) -> None:
    rei.sandbox.fill("rei", contacts=500)
    method, path = ("POST", "contacts/search$") if is_v2(rei) else ("GET", "contacts/$")
    rei.sandbox.fault(vendor="rei", method=method, path=path, status=200, answer=answer)
    result = rei.run(contacts(*new(60)))
    assert result.counts("contacts") == {"received": 60, "created": 60}
    assert words in result.stderr
    assert len(lookups(rei.sandbox)) == 60


def test_a_signal_while_the_list_is_read_ends_the_run(rei: Plugin) -> None:
    rei.sandbox.fill("rei", contacts=3000)
    rei.sandbox.options("rei", latency_ms=200)
    process = rei.start(contacts(*new(20)), matching="list")
    while listings(rei.sandbox) < 3:
        time.sleep(0.05)
    process.send_signal(signal.SIGTERM)
    result = rei.finish(process)
    assert result.exit_code == 143
    assert listings(rei.sandbox) < 30
    rei.sandbox.options("rei", latency_ms=0)
    assert rei.run(contacts(*new(20))).counts("contacts")["created"] == 20


# --- the index, at moments that a run does not reach ----------------------------------------------


@pytest.fixture(params=VERSIONS)
def vendor(request: pytest.FixtureRequest, sandbox: Sandbox) -> Iterator[ReiClient]:
    settings = sandbox.settings("target-reisoftware", request.param)
    api = APIS[request.param](settings)
    auth = ReiAuth(settings["api_key"], api, settings["api_url"])
    client = Client(settings["api_url"], auth=auth, max_retries=0)
    yield ReiClient(client, api, Counts())
    client.close()


class Clock:
    """Seconds, as a test says them."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def finder(matching: str = "list") -> tuple[Finder, Clock]:
    clock = Clock()
    return Finder(matching, logging.getLogger("finder"), clock), clock


def email(name: str) -> Identity:
    return Identity(f"{name}@example.com")


def test_what_others_change_is_seen_within_half_a_minute(
    vendor: ReiClient, sandbox: Sandbox
) -> None:
    sandbox.put_state(
        "rei",
        {
            "contacts": [
                {"id": "c1", "email": "a@example.com", "dateAdded": "2025-01-01T00:00:00Z"},
                {"id": "c2", "email": "b@example.com", "dateAdded": "2025-01-02T00:00:00Z"},
            ]
        },
    )
    known, clock = finder()
    assert known.find(vendor, email("a")) == "c1"
    sandbox.put_state(
        "rei",
        {
            "contacts": [
                {"id": "c1", "email": "x@example.com"},
                {"id": "c3", "email": "a@example.com"},
            ]
        },
    )
    clock.now += FRESH_FOR + 1
    assert known.find(vendor, email("a")) == "c3"
    assert known.find(vendor, email("x")) == "c1"
    assert known.find(vendor, email("b")) == "c2"
    assert lookups(sandbox) == []


def test_a_reading_of_changes_costs_one_or_two_requests(
    vendor: ReiClient, sandbox: Sandbox
) -> None:
    sandbox.fill("rei", contacts=500)
    known, clock = finder()
    known.find(vendor, email("a"))
    sandbox.log(clear=True)
    clock.now += FRESH_FOR + 1
    known.find(vendor, email("b"))
    known.find(vendor, email("c"))
    assert listings(sandbox) == 1


def test_one_that_lookups_and_list_find_differently_is_looked_up_when_asked_to(
    vendor: ReiClient, sandbox: Sandbox
) -> None:
    known, _ = finder()
    assert known.find(vendor, email("a")) is None
    sandbox.put_state("rei", {"contacts": [{"id": "c1", "email": "a@example.com"}]})
    assert known.find(vendor, email("a")) is None
    assert known.find(vendor, email("a"), look_up=True) == "c1"
    assert known.find_once(vendor, email("a")) is None
    known.forget(email("a"))
    assert known.find_once(vendor, email("a")) == "c1"


@pytest.mark.parametrize("order", ["unsorted", "stuck"])
def test_where_the_list_is_not_sorted_by_changes_a_hit_is_looked_up(
    vendor: ReiClient, sandbox: Sandbox, order: str
) -> None:
    sandbox.fill("rei", contacts=150)
    sandbox.options("rei", date_updated_cursor=order)
    rows = [{"id": f"n{n}", "email": f"n{n}@example.com"} for n in range(150)]
    known, clock = finder()
    assert known.find(vendor, email("a")) is None
    sandbox.put_state("rei", {"contacts": [*rows, {"id": "c9", "email": "a@example.com"}]})
    changed = {"id": "contact0000000000001", "email": "moved@example.com"}
    sandbox.put_state("rei", {"contacts": [changed]})
    clock.now += FRESH_FOR + 1
    assert known.find(vendor, email("a")) == "c9"
    assert known.find(vendor, email("person1")) is None
    assert bool(lookups(sandbox)) is (vendor.api.version == "v1")


def test_what_the_run_itself_writes_is_known_at_once(vendor: ReiClient, sandbox: Sandbox) -> None:
    sandbox.put_state("rei", {"contacts": [{"id": "c1", "email": "a@example.com"}]})
    known, _ = finder()
    assert known.find(vendor, email("a")) == "c1"
    known.note({"id": "c1", "email": "b@example.com", "dateUpdated": "2100-01-01T00:00:00Z"})
    assert known.find(vendor, email("a")) is None
    assert known.find(vendor, email("b")) == "c1"
    known.note_deleted("c1")
    assert known.find(vendor, email("b")) is None
