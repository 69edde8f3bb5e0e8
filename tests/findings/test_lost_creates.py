"""A create whose answer is lost makes one record, however late or lagging the vendor is."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

import pytest

from singer_sandbox import Sandbox
from tests.findings.inputs import MEMBERS, contacts, kinds, member, members, rows, sent
from tests.front_door import JSON, Plugin, record, schema


def contact(key: str, **fields: Any) -> list[Any]:
    return rows("contacts", {"key": key, "email": f"{key}@example.com", **fields})


def merlin_contact(key: str) -> list[Any]:
    row = {"key": key, "Email": f"{key}@example.com", "Fname": key, "Lname": "Lee"}
    return rows("contacts", row)


def held(sandbox: Sandbox, vendor: str) -> list[str]:
    table = "members" if vendor == "autoreach" else "contacts"
    found = sandbox.state(vendor)[table].values()
    return [row.get("email") or row.get("Email") for row in found if row.get("idContact") != 5]


CREATES: dict[str, tuple[JSON, list[Any]]] = {
    "rei": ({"method": "POST", "path": "contacts/$"}, contact("a")),
    "merlin": ({"body": "NEW"}, merlin_contact("a")),
    "autoreach": ({"method": "POST", "path": "members"}, [MEMBERS, member("a")]),
}


@dataclass
class Create:
    """A record that is new to a vendor."""

    vendor: str
    plugin: Plugin
    request: JSON
    """What a fault needs to hit the request that creates it."""
    messages: list[Any]


@pytest.fixture(params=CREATES)
def create(request: pytest.FixtureRequest, sandbox: Sandbox) -> Create:
    """One for each vendor that lets a record be created twice."""
    sandbox.options("rei", create_makes_duplicates=True)
    return Create(request.param, request.getfixturevalue(request.param), *CREATES[request.param])


@pytest.mark.parametrize(("late", "wait"), [(2.5, 4), (2.5, 1)])
def test_a_vendor_that_takes_longer_than_the_timeout_makes_one_record(
    sandbox: Sandbox, create: Create, late: float, wait: float
) -> None:
    """H9: within `lookup_wait` it is found, beyond it the record is uncertain."""
    sandbox.fault(vendor=create.vendor, late=late, times=None, **create.request)
    result = create.plugin.run(create.messages, timeout=1, max_retries=3, lookup_wait=wait)
    assert result.exit_code == 0, result.error
    assert kinds(result) == ([] if wait > late else ["uncertain"])
    time.sleep(max(0.0, late - wait))
    sandbox.clear_faults()
    create.plugin.run(create.messages)
    assert held(sandbox, create.vendor) == ["a@example.com"]


@pytest.mark.parametrize("fault", [{"drop": True}, {"status": 503}, {"cut": True}], ids=str)
def test_a_lookup_that_lags_behind_a_lost_answer_makes_no_second_record(
    sandbox: Sandbox, create: Create, fault: JSON
) -> None:
    """H9"""
    sandbox.options(create.vendor, lookup_lag=2)
    sandbox.fault(vendor=create.vendor, when="after", **create.request, **fault)
    result = create.plugin.run(create.messages, lookup_wait=5)
    assert (result.exit_code, result.rejects) == (0, []), result.error
    assert held(sandbox, create.vendor) == ["a@example.com"]


@pytest.mark.parametrize("fault", [{"drop": True}, {"status": 503}], ids=str)
def test_a_create_that_never_arrived_is_sent_again(
    sandbox: Sandbox, create: Create, fault: JSON
) -> None:
    """H9"""
    sandbox.fault(vendor=create.vendor, **create.request, **fault)
    result = create.plugin.run(create.messages)
    assert (result.exit_code, result.rejects) == (0, []), result.error
    assert held(sandbox, create.vendor) == ["a@example.com"]


def test_a_gateway_that_gives_up_before_the_vendor_makes_one_record(
    rei: Plugin, sandbox: Sandbox
) -> None:
    """H9"""
    sandbox.options("rei", create_makes_duplicates=True)
    sandbox.fault(vendor="rei", method="POST", path="contacts/$", html=504, late=1.5)
    result = rei.run(contact("a"), lookup_wait=4)
    assert result.exit_code == 0, result.error
    assert held(sandbox, "rei") == ["a@example.com"]


NO_ANSWERS: list[JSON] = [
    {"status": 200, "answer": {"message": "Please try later"}},
    {"status": 200, "answer": {"statusCode": 500}},
    {"status": 200, "answer": ""},
    {"status": 200, "answer": None},
    {"status": 200, "answer": []},
    {"status": 200, "answer": {"contacts": None, "error": "Internal"}},
    {"html": 200},
    {"html": 404},
    {"status": 422, "answer": {"email": {"message": "x"}, "other": {"message": "y"}}},
]


@pytest.mark.parametrize("fault", NO_ANSWERS, ids=str)
def test_a_lookup_that_is_not_answered_is_no_none(
    rei: Plugin, sandbox: Sandbox, fault: JSON
) -> None:
    """H10"""
    sandbox.put_state("rei", {"contacts": [{"id": "ann", "email": "a@example.com"}]})
    sandbox.options("rei", create_makes_duplicates=True)
    sandbox.fault(vendor="rei", path="lookup", times=None, **fault)
    result = rei.run(contact("a"), max_retries=1)
    assert list(contacts(sandbox)) == ["ann"]
    refused = fault.get("status") == 422
    assert (result.exit_code, kinds(result)) == ((0, ["refused"]) if refused else (1, []))
    sandbox.clear_faults()
    healed = rei.run(contact("a"))
    assert (healed.exit_code, healed.rejects) == (0, []), healed.error
    assert list(contacts(sandbox)) == ["ann"]


@pytest.mark.parametrize("fault", [{"status": 200, "answer": {"what": 1}}, {"html": 200}], ids=str)
def test_a_search_or_list_that_is_not_answered_creates_nothing(
    merlin: Plugin, autoreach: Plugin, sandbox: Sandbox, fault: JSON
) -> None:
    """H10"""
    there = {"idContact": 9, "Email": "a@example.com", "Fname": "a", "Lname": "Lee"}
    sandbox.put_state("merlin", {"contacts": [there]})
    sandbox.put_state("autoreach", {"members": [{"id": 1, "email": "a@example.com"}]})
    sandbox.fault(vendor="merlin", body="SEARCH", times=None, **fault)
    sandbox.fault(vendor="autoreach", method="GET", path="members", times=None, **fault)
    merlin.run(merlin_contact("a"), max_retries=1)
    autoreach.run([MEMBERS, member("a")], max_retries=1)
    assert held(sandbox, "merlin") == ["a@example.com"]
    assert held(sandbox, "autoreach") == ["a@example.com"]


@pytest.mark.parametrize("missing", [404, 400])
def test_a_duplicate_of_a_contact_that_is_not_there_is_given_up(
    rei: Plugin, sandbox: Sandbox, missing: int
) -> None:
    """H23"""
    text = "This location does not allow duplicated contacts."
    answer = {"message": text, "meta": {"contactId": "gone", "matchingField": "email"}}
    sandbox.options("rei", unknown_contact_status=missing)
    sandbox.fault(
        vendor="rei", method="POST", path="contacts/$", status=400, answer=answer, times=None
    )
    result = rei.run(contact("a"))
    assert result.exit_code == 0, result.error
    assert len(result.rejects) == 1
    assert len(sandbox.requests("rei")) < 25


def test_lost_creates_do_not_read_the_whole_list_each(autoreach: Plugin, sandbox: Sandbox) -> None:
    """R5: 1,000 members are 10 pages."""
    sandbox.fill("autoreach", members=1000)
    sandbox.fault(
        vendor="autoreach", method="POST", path="members", when="after", drop=True, times=6
    )
    columns = schema("members", ("owner", "email", "list_id"), ("owner",))
    new = [record("members", owner=f"n{i}", email=f"n{i}@example.com") for i in range(40)]
    result = autoreach.run([columns, *new], concurrency=4)
    assert (result.exit_code, result.rejects) == (0, []), result.error
    assert len(members(sandbox)) == 1040
    # Twice before the first create, to be sure that it is new; then once for all that were lost.
    assert len(sent(sandbox, "autoreach", "GET")) <= 3 * 11 + 2
