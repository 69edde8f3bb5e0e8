"""The sandbox's API v2 searches contacts as HighLevel does."""

from __future__ import annotations

import time
from typing import Any

import pytest

from singer_sandbox import Sandbox
from tests.calling import rei
from tests.sandbox.conftest import Call

LOCATION = "C2QujeCh8ZnC7al2InWR"
BY_CHANGE = [{"field": "dateUpdated", "direction": "asc"}]


def body(limit: int = 10, **more: Any) -> dict[str, Any]:
    return {"locationId": LOCATION, "pageLimit": limit, **more}


def ids(v2: Call, **more: Any) -> list[str]:
    answer = v2("POST", "/contacts/search", body(**more))
    assert answer.status_code == 200, answer.text
    return [row["id"] for row in answer.json()["contacts"]]


@pytest.mark.parametrize("direction", ["asc", "desc"])
def test_a_search_goes_on_after_the_last_row_until_a_page_is_empty(
    sandbox: Sandbox, v2: Call, direction: str
) -> None:
    sandbox.fill("rei", contacts=45, same_ms=15)
    sort = [{"field": "dateUpdated", "direction": direction}]
    seen: list[str] = []
    after: dict[str, Any] = {}
    while True:
        page = v2("POST", "/contacts/search", body(10, sort=sort, **after)).json()
        assert page["total"] == 45
        if not page["contacts"]:
            break
        seen += [row["id"] for row in page["contacts"]]
        after = {"searchAfter": page["contacts"][-1]["searchAfter"]}
    assert seen == sorted(seen, reverse=direction == "desc")
    assert len(seen) == 45
    assert after["searchAfter"] == [seen_ms(v2, seen[-1]), seen[-1]]


def seen_ms(v2: Call, contact: str) -> int:
    """The time of a contact's change, as its own row's cursor has it."""
    rows = v2("POST", "/contacts/search", body(100)).json()["contacts"]
    return next(int(row["searchAfter"][0]) for row in rows if row["id"] == contact)


def test_pages_reach_ten_thousand_rows(sandbox: Sandbox, v2: Call) -> None:
    sandbox.fill("rei", contacts=25)
    assert ids(v2, page=3, sort=BY_CHANGE) == [f"contact{n:013d}" for n in range(21, 26)]
    assert ids(v2, page=4) == []
    assert v2("POST", "/contacts/search", body(500, page=20)).status_code == 200
    assert v2("POST", "/contacts/search", body(500, page=21)).status_code == 400
    both = body(page=1, searchAfter=[1, "x"])
    assert v2("POST", "/contacts/search", both).status_code == 400


def test_newest_contacts_come_first_unless_a_sort_says_otherwise(
    sandbox: Sandbox, v2: Call
) -> None:
    names = [("a", "Zoe", "web"), ("b", "adam", "web"), ("c", "Bea", "ads"), ("d", None, "ads")]
    rows = [
        {"id": key, "firstName": name, "source": source, "dateAdded": at}
        for at, (key, name, source) in enumerate(names, 1_700_000_000_000)
    ]
    sandbox.put_state("rei", {"contacts": rows})
    assert ids(v2) == ["d", "c", "b", "a"]
    by_name = {"field": "firstNameLowerCase", "direction": "asc"}
    assert ids(v2, sort=[by_name]) == ["d", "b", "c", "a"]
    by_two = [{"field": "source", "direction": "desc"}, by_name]
    assert ids(v2, sort=by_two) == ["b", "a", "d", "c"]
    page = v2("POST", "/contacts/search", body(2, sort=by_two)).json()["contacts"]
    assert page[-1]["searchAfter"] == ["web", "zoe", "a"]
    assert ids(v2, sort=by_two, searchAfter=page[-1]["searchAfter"]) == ["d", "c"]


def test_a_range_of_times_has_both_kinds_of_ends(sandbox: Sandbox, v2: Call) -> None:
    moment = 1_740_000_000_000
    rows = [{"id": f"c{n}", "dateUpdated": moment + n, "dateAdded": moment} for n in range(5)]
    sandbox.put_state("rei", {"contacts": rows})

    def between(field: str = "dateUpdated", **value: Any) -> list[str]:
        limits = {k: f"2025-02-19T21:20:00.00{n}Z" for k, n in value.items()}
        filters = [{"field": field, "operator": "range", "value": limits}]
        return ids(v2, filters=filters, sort=BY_CHANGE)

    assert between(gte=1) == ["c1", "c2", "c3", "c4"]
    assert between(gt=1, lte=3) == ["c2", "c3"]
    assert between(gte=1, lt=3) == ["c1", "c2"]
    assert between("dateAdded", gt=0) == []
    assert len(between("dateAdded", gte=0)) == 5


def test_filters_have_operators_and_groups(sandbox: Sandbox, v2: Call) -> None:
    rows = [
        {"id": "a", "email": "A@example.com", "tags": ["vip"], "customField": {"cf": "x"}},
        {"id": "b", "city": "Reno", "tags": ["vip", "owner"]},
        {"id": "c", "city": "Renton", "phone": "+15550000001"},
    ]
    sandbox.put_state("rei", {"contacts": rows})

    def found(field: str, operator: str, value: Any = None) -> set[str]:
        item = {"field": field, "operator": operator, "value": value}
        return set(ids(v2, filters=[item]))

    assert found("email", "eq", "a@example.com") == {"a"}
    assert found("tags", "eq", ["owner", "other"]) == {"b"}
    assert found("tags", "not_eq", "vip") == {"c"}
    assert found("city", "contains", "ren") == {"b", "c"}
    assert found("city", "not_contains", "renton") == {"a", "b"}
    assert found("customFields.cf", "eq", "x") == {"a"}
    assert found("tags", "exists") == {"a", "b"}
    assert found("email", "not_exists") == {"b", "c"}
    assert found("phone", "eq", "+15550000001") == {"c"}
    sandbox.options("rei", search_by_phone="misses")
    assert found("phone", "eq", "+15550000001") == set()
    either = {
        "group": "OR",
        "filters": [
            {"field": "email", "operator": "exists"},
            {"field": "city", "operator": "eq", "value": "reno"},
        ],
    }
    assert set(ids(v2, filters=[either])) == {"a", "b"}
    assert ids(v2, query="renton") == []
    assert ids(v2, query="example.com") == ["a"]


@pytest.mark.parametrize(
    ("given", "status", "text"),
    [
        ({"pageLimit": None}, 422, "pageLimit must be a number"),
        ({"pageLimit": 501}, 422, "pageLimit must not be greater than 500"),
        ({"locationId": None}, 422, "locationId should not be empty"),
        ({"order": "asc"}, 422, "property order should not exist"),
        ({"query": "x" * 76}, 422, "query must be shorter"),
        ({"sort": [{"field": "city", "direction": "asc"}]}, 400, "Invalid field city"),
        ({"sort": ["city"]}, 400, "Invalid field"),
        ({"filters": [{"field": "nothing", "operator": "exists"}]}, 400, "Invalid field nothing"),
        ({"filters": [{"field": "email", "operator": "gte"}]}, 422, "Invalid Operator"),
        ({"filters": [{"field": "email", "operator": "contains", "value": "@"}]}, 422, "Invalid"),
        ({"searchAfter": ["x"]}, 422, "searchAfter must be an array"),
    ],
)
def test_a_search_that_makes_no_sense_is_refused(
    v2: Call, given: dict[str, Any], status: int, text: str
) -> None:
    answer = v2("POST", "/contacts/search", {**body(), **given})
    assert answer.status_code == status
    assert text in str(answer.json()["message"])


def test_rows_have_a_form_of_their_own(sandbox: Sandbox, v2: Call) -> None:
    row = {
        "id": "a",
        "firstName": "Ann",
        "lastName": "Other",
        "address1": "1 Main St",
        "dateOfBirth": "1990-09-25",
    }
    sandbox.put_state("rei", {"contacts": [row]})
    (found,) = v2("POST", "/contacts/search", body()).json()["contacts"]
    assert found["contactName"] == "ann other"
    assert found["address"] == "1 Main St"
    assert "address1" not in found
    assert "lastActivity" not in found
    alone = v2("GET", "/contacts/a").json()["contact"]
    assert (alone["name"], alone["address1"]) == ("Ann Other", "1 Main St")
    sandbox.options("rei", search_date_of_birth="epoch_ms")
    (found,) = v2("POST", "/contacts/search", body()).json()["contacts"]
    assert found["dateOfBirth"] == 654220800000


def test_the_index_shows_the_old_row_then_none_then_the_new_one(sandbox: Sandbox, v2: Call) -> None:
    sandbox.put_state("rei", {"contacts": [{"id": "a", "city": "Old", "email": "a@example.com"}]})
    sandbox.options("rei", search_lag=1.5)
    v2("PUT", "/contacts/a", {"city": "New"})
    rei(sandbox, "POST", "contacts/", {"email": "fresh@example.com"})
    assert v2("GET", "/contacts/a").json()["contact"]["city"] == "New"
    steps: list[list[str | None]] = []
    totals: set[int] = set()
    ends = time.monotonic() + 10
    while time.monotonic() < ends:
        page = v2("POST", "/contacts/search", body(sort=[{"field": "email", "direction": "asc"}]))
        rows, total = page.json()["contacts"], page.json()["total"]
        totals.add(total)
        cities = [row["city"] for row in rows]
        if not steps or steps[-1] != cities:
            steps.append(cities)
        if len(rows) == 2:
            break
        time.sleep(0.05)
    assert steps[0] == ["Old"]
    assert [] in steps
    assert steps[-1] == ["New", None]
    assert totals == {2}


def test_a_deleted_contact_stays_in_the_index_for_a_while(sandbox: Sandbox, v2: Call) -> None:
    sandbox.put_state("rei", {"contacts": [{"id": "a", "email": "a@example.com"}]})
    sandbox.options("rei", search_lag=30)
    v2("DELETE", "/contacts/a")
    assert ids(v2) == ["a"]
    assert v2("GET", "/contacts/a").status_code == 404


def test_the_old_list_still_answers_with_a_double_cursor(sandbox: Sandbox, v2: Call) -> None:
    sandbox.fill("rei", contacts=25, same_ms=10)
    params: dict[str, Any] = {"locationId": LOCATION, "limit": 10}
    seen: list[str] = []
    for _ in range(3):
        page = v2("GET", "/contacts/", params=params).json()
        seen += [row["id"] for row in page["contacts"]]
        params |= {name: page["meta"][name] for name in ("startAfter", "startAfterId")}
    assert seen == [f"contact{n:013d}" for n in range(25, 0, -1)]
    assert page["meta"]["nextPage"] is None
    assert v2("GET", "/contacts/", params={**params, "limit": 101}).status_code == 422
    assert v2("GET", "/contacts/").status_code == 422
    sandbox.options("rei", contacts_list="gone")
    assert v2("GET", "/contacts/", params=params).json()["message"].startswith("Cannot GET")
