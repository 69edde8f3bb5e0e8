"""The sandbox behaves as AutoReach does."""

from __future__ import annotations

import time
from typing import Any

import pytest

from singer_sandbox import Sandbox
from tests.calling import autoreach, bearer, call, token


def test_a_token_is_given_for_the_right_credentials_only(sandbox: Sandbox) -> None:
    assert token(sandbox).json()["token_type"] == "Bearer"
    assert token(sandbox, client_secret="no").status_code == 401
    assert token(sandbox, client_secret="no").json()["error"] == "access_denied"
    assert token(sandbox, audience="https://www.autoreach.app").status_code == 403
    assert sandbox.state("autoreach")["counters"]["tokens_issued"] == 1


def test_tokens_end_when_told_and_when_their_time_is_up(sandbox: Sandbox) -> None:
    headers = bearer(sandbox)
    url = "/autoreach/api/v1/lists"
    assert call(sandbox, "GET", url, headers=headers).status_code == 200
    sandbox.expire_tokens()
    assert call(sandbox, "GET", url, headers=headers).status_code == 401
    sandbox.options("autoreach", token_lifetime=0.05)
    headers = bearer(sandbox)
    time.sleep(0.1)
    assert "errors" in call(sandbox, "GET", url, headers=headers).json()


def test_one_bad_person_refuses_all_of_them(sandbox: Sandbox) -> None:
    people: list[dict[str, Any]] = [{"external_id": str(n), "email": f"{n}@x"} for n in range(3)]
    assert autoreach(sandbox, "PATCH", "people", {"people": people}).status_code == 200
    for bad in (
        {"email": "none"},
        {"first_name": "x" * 256},
        {"phone": "call me"},
        {"previous_contact_date": "2024-02-30 00:00:00 +0000"},
        {"previous_contact_date": "2024-01-01"},
        {"custom_fields": {"nope": 1}},
        {"external_id": None},
    ):
        rows = [{**people[0], "last_name": "changed"}, {**people[1], **bad}]
        answer = autoreach(sandbox, "PATCH", "people", {"people": rows})
        assert answer.status_code == 422, bad
        assert "people[1]" in answer.json()["errors"][0]["detail"]
    assert "last_name" not in sandbox.state("autoreach")["people"]["0"]
    assert autoreach(sandbox, "PATCH", "people", {"people": people * 34}).status_code == 422


def test_whole_columns_are_judged_as_single_values_are(sandbox: Sandbox) -> None:
    sandbox.put_state("autoreach", {"custom_fields": [{"id": 1, "key": "a"}]})
    good = {
        "external_id": "1",
        "email": "a@x",
        "phone": "555-1234",
        "first_name": "A",
        "previous_contact_date": "2024-02-29 00:00:00 +0000",
        "custom_fields": {"a": 1},
    }
    changes: list[tuple[dict[str, Any], int]] = [
        ({}, 200),
        ({"previous_contact_date": "2023-02-29 00:00:00 +0000"}, 422),
        ({"previous_contact_date": "2023-12-31 00:00:00 +0000"}, 200),
        ({"previous_contact_date": None, "email": None}, 200),
        ({"email": "a@x\nb"}, 200),
        ({"email": 5}, 422),
        ({"phone": "x"}, 422),
        ({"custom_fields": {"b": 1}}, 422),
        ({"custom_fields": ["a"]}, 422),
        ({"first_name": "x" * 300}, 422),
        ({"external_id": ""}, 422),
    ]
    for change, status in changes:
        body = {"people": [good, {**good, "external_id": "2", **change}, good]}
        for _ in range(2):  # the second one takes the short way
            assert autoreach(sandbox, "PATCH", "people", body).status_code == status, change


@pytest.mark.parametrize(
    ("form", "person"),
    [
        ("object", {"custom_fields": {"parcel": "P1"}}),
        ("list", {"custom_fields": [{"key": "parcel", "value": "P1"}]}),
        ("flat", {"parcel": "P1"}),
    ],
)
def test_custom_fields_are_taken_in_the_form_that_is_set(
    sandbox: Sandbox, form: str, person: dict[str, Any]
) -> None:
    sandbox.put_state("autoreach", {"custom_fields": [{"id": 1, "key": "parcel", "type": "text"}]})
    sandbox.options("autoreach", custom_fields_format=form)
    body = {"people": [{"external_id": "e1", **person}]}
    assert autoreach(sandbox, "PATCH", "people", body).status_code == 200
    assert sandbox.state("autoreach")["people"]["e1"]["custom_fields"] == {"parcel": "P1"}


def test_people_are_found_by_id_and_external_id_and_deleted_without_a_body(
    sandbox: Sandbox,
) -> None:
    body = {"people": [{"external_id": "a/b c", "email": "a@x"}, {"id": "i", "email": "i@x"}]}
    autoreach(sandbox, "PATCH", "people", body)
    assert autoreach(sandbox, "PUT", "people/a%2Fb%20c", {"first_name": "A"}).status_code == 200
    answer = autoreach(sandbox, "DELETE", "people/a%2Fb%20c")
    assert (answer.status_code, answer.content) == (204, b"")
    assert autoreach(sandbox, "DELETE", "people/a%2Fb%20c").json()["errors"][0]["status"] == 404
    assert autoreach(sandbox, "GET", "people").status_code in (404, 405)
    assert list(sandbox.state("autoreach")["people"]) == ["i"]


def test_members_are_made_twice_when_posted_twice(sandbox: Sandbox) -> None:
    sandbox.put_state("autoreach", {"lists": [{"id": 7, "name": "L"}]})
    body = {"email": "a@x", "list_id": 7, "source": "kept"}
    first = autoreach(sandbox, "POST", "members", body)
    assert (first.status_code, first.json()["data"]["source"]) == (201, "kept")
    autoreach(sandbox, "POST", "members", body)
    assert len(sandbox.state("autoreach")["members"]) == 2
    assert autoreach(sandbox, "POST", "members", {"first_name": "A"}).status_code == 422
    assert autoreach(sandbox, "POST", "members", {"email": "a@x", "list_id": 8}).status_code == 422
    assert autoreach(sandbox, "PUT", "members/1", {"phone": "5"}).json()["data"]["phone"] == "5"
    assert autoreach(sandbox, "DELETE", "members/2").status_code == 204


def test_pages_are_paged_as_the_options_say(sandbox: Sandbox) -> None:
    sandbox.fill("autoreach", members=230)

    def page(query: str) -> tuple[int, int, int]:
        answer = autoreach(sandbox, "GET", f"members?{query}").json()
        first = answer["data"][0]["id"] if answer["data"] else 0
        return len(answer["data"]), first, answer["meta"]["total"]

    assert page("") == (25, 1, 230)
    assert page("page=3&per_page=500") == (30, 201, 230)
    sandbox.options("autoreach", page_param="p", page_size_param="n", page_size_cap=50)
    assert page("p=2&n=100&page=9") == (50, 51, 230)
    sandbox.options("autoreach", paging="ignored")
    assert page("p=2&n=100")[1] == 1
    sandbox.options("autoreach", paging="none")
    assert page("p=2&n=100") == (230, 1, 230)
    sandbox.options("autoreach", paging="offset_lies")
    assert page("p=9&n=100") == (0, 0, 237)


def test_people_kept_unread_show_when_looked_at(sandbox: Sandbox) -> None:
    sandbox.options("autoreach", people_store="lazy")
    for n in range(3):
        autoreach(sandbox, "PATCH", "people", {"people": [{"external_id": "e", "n": n}]})
    assert sandbox.state("autoreach")["people"]["e"]["n"] == 2
