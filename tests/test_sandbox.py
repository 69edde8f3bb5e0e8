"""The sandbox behaves as the vendors do, and goes wrong exactly when it is told to."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from email.utils import parsedate_to_datetime
from typing import Any

import pytest
import requests

from singer_sandbox import Sandbox, SandboxError

REI = {"Authorization": "Bearer sandbox-rei-key"}
KASPLO = {"api-key": "sandbox-kasplo-key"}
TOKEN = {
    "client_id": "sandbox-client",
    "client_secret": "sandbox-secret",
    "audience": "https://www.autoreach.app/",
    "grant_type": "client_credentials",
}


def call(
    sandbox: Sandbox, method: str, path: str, body: Any = None, **more: Any
) -> requests.Response:
    return requests.request(method, sandbox.url + path, json=body, timeout=20, **more)


def token(sandbox: Sandbox, **other: str) -> requests.Response:
    return call(sandbox, "POST", "/autoreach/oauth/token", {**TOKEN, **other})


def bearer(sandbox: Sandbox) -> dict[str, str]:
    return {"Authorization": f"Bearer {token(sandbox).json()['access_token']}"}


def autoreach(sandbox: Sandbox, method: str, path: str, body: Any = None) -> requests.Response:
    return call(sandbox, method, f"/autoreach/api/v1/{path}", body, headers=bearer(sandbox))


def rei(
    sandbox: Sandbox, method: str, path: str, body: Any = None, **more: Any
) -> requests.Response:
    return call(sandbox, method, f"/rei/v1/{path}", body, headers=REI, **more)


def merlin(sandbox: Sandbox, action: Any, key: str = "sandbox-merlin-key") -> requests.Response:
    return call(sandbox, "POST", "/merlin/flex/API/", [{"key": key}, action])


def kasplo(sandbox: Sandbox, contacts: list[Any], **more: Any) -> requests.Response:
    body = {"data": contacts, "list_id": "l1", **more}
    return call(sandbox, "POST", "/kasplo/audience/v1/sandbox-sid/contact", body, headers=KASPLO)


# AutoReach


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


# REI Software


def test_contacts_are_listed_by_a_double_cursor(sandbox: Sandbox) -> None:
    sandbox.fill("rei", contacts=45, same_ms=15)
    seen: list[str] = []
    params: dict[str, Any] = {"limit": 10, "order": "asc"}
    for _ in range(9):
        answer = rei(sandbox, "GET", "contacts/", params=params).json()
        meta = answer["meta"]
        seen += [row["id"] for row in answer["contacts"]]
        params |= {k: meta[k] for k in ("startAfter", "startAfterId")}
        if meta["nextPage"] == "":
            break
    assert len(seen) == len(set(seen)) == meta["total"] == 45
    assert meta["startAfterId"] == seen[-1]
    assert meta["nextPageUrl"].startswith("http://rest.example.com/")
    half = {"limit": 10, "startAfter": meta["startAfter"]}
    first = rei(sandbox, "GET", "contacts/", params={"limit": 10}).json()["contacts"]
    assert rei(sandbox, "GET", "contacts/", params=half).json()["contacts"] == first
    assert (
        rei(sandbox, "GET", "contacts", params={"query": "person7@"}).json()["meta"]["total"] == 1
    )


def test_contacts_changed_last_come_first_by_date_updated(sandbox: Sandbox) -> None:
    sandbox.fill("rei", contacts=30)
    target = "contact0000000000005"
    rei(sandbox, "PUT", f"contacts/{target}", {"email": "person5@example.com", "city": "Reno"})
    query = {"sortBy": "date_updated"}
    assert rei(sandbox, "GET", "contacts/", params=query).json()["contacts"][0]["id"] == target
    sandbox.options("rei", date_updated_cursor="unsorted")
    assert rei(sandbox, "GET", "contacts/", params=query).json()["contacts"][0]["id"] != target


def test_create_matches_by_email_then_phone_unless_told_otherwise(sandbox: Sandbox) -> None:
    body = {"email": "A@example.com", "phone": "(555) 123-4567"}
    made = rei(sandbox, "POST", "contacts/", body).json()["contact"]
    assert made["phone"] == "+15551234567"
    again = rei(sandbox, "POST", "contacts/", {"email": "a@EXAMPLE.com"}).json()["contact"]
    assert again["id"] == made["id"]
    found = rei(sandbox, "GET", "contacts/lookup?phone=%2B15551234567").json()["contacts"]
    assert found[0]["id"] == made["id"]
    assert rei(sandbox, "GET", "contacts/lookup?phone=+15551234567").status_code == 404
    sandbox.options("rei", allow_duplicates_error=True)
    refused = rei(sandbox, "POST", "contacts/", {"phone": "+15551234567"})
    assert refused.json()["meta"] == {"contactId": made["id"], "matchingField": "phone"}
    sandbox.options("rei", create_makes_duplicates=True)
    rei(sandbox, "POST", "contacts/", {"email": "a@example.com"})
    assert len(sandbox.state("rei")["contacts"]) == 2


def test_nobody_found_has_four_forms(sandbox: Sandbox) -> None:
    forms: list[tuple[str, int, Any]] = [
        ("empty", 200, {"contacts": []}),
        ("absent", 200, {}),
        ("404", 404, {"msg": "Contact not found."}),
    ]
    for form, status, body in forms:
        sandbox.options("rei", lookup_missing=form)
        answer = rei(sandbox, "GET", "contacts/lookup?email=x@example.com")
        assert (answer.status_code, answer.json()) == (status, body)
    sandbox.options("rei", lookup_missing="422")
    answer = rei(sandbox, "GET", "contacts/lookup?email=x@example.com")
    assert (answer.status_code, set(answer.json())) == (422, {"email", "phone"})


def test_custom_values_are_written_as_an_object_and_read_as_an_array(sandbox: Sandbox) -> None:
    sandbox.seed()
    good: dict[str, Any] = {
        "cfParcelId0000000001": "P",
        "cfValue0000000000002": 5,
        "cfSaleDate0000000003": 1735732800000,
        "cfInterests000000004": ["sell", "buy"],
        "cfMotivation00000005": "low",
    }
    body = {"email": "n@example.com", "customField": good}
    made = rei(sandbox, "POST", "contacts/", body).json()["contact"]
    assert {item["id"]: item["value"] for item in made["customField"]} == good
    for key, value in {
        "cfParcelId0000000001": 5,
        "cfSaleDate0000000003": "2025-01-01",
        "cfInterests000000004": ["steal"],
        "cfMotivation00000005": "huge",
        "unknown": "x",
    }.items():
        bad = {"email": "n@example.com", "customField": {key: value}}
        answer = rei(sandbox, "PUT", f"contacts/{made['id']}", bad)
        assert answer.status_code == 422
        assert "message" in answer.json()[f"customField.{key}"]
    assert rei(sandbox, "POST", "contacts/", {**body, "customField": []}).status_code == 422


def test_tags_campaigns_and_workflows_of_a_contact(sandbox: Sandbox) -> None:
    sandbox.seed()
    who = "contact0000000000001"
    assert (
        rei(sandbox, "POST", f"contacts/{who}/tags/", {"tags": ["vip"]}).json()["tags"][-1] == "vip"
    )
    assert rei(sandbox, "DELETE", f"contacts/{who}/tags/", {"tags": ["owner"]}).json() == {
        "tags": ["vip"]
    }
    campaign, workflow = "Y2I9XM7aO1hncuSOlc9L", "78559bb3-b920-461e-b010-7b2a2816d2a9"
    assert rei(sandbox, "POST", f"contacts/{who}/campaigns/{campaign}").json() == ""
    assert sandbox.state("rei")["contact_campaigns"] == {who: [campaign]}
    rei(sandbox, "DELETE", f"contacts/{who}/campaigns/remove-all")
    assert sandbox.state("rei")["contact_campaigns"] == {}
    start = {"eventStartTime": "2021-06-23T03:30:00+01:00"}
    for _ in range(2):
        assert rei(sandbox, "POST", f"contacts/{who}/workflow/{workflow}", start).status_code == 200
    assert len(sandbox.state("rei")["workflow_entries"]) == 2
    assert rei(sandbox, "POST", f"contacts/nobody/workflow/{workflow}", start).status_code == 404
    assert rei(sandbox, "POST", f"contacts/{who}/workflow/nothing", start).status_code == 404
    assert rei(sandbox, "GET", f"contacts/{who}/appointments/").json()["appointments"]
    assert rei(sandbox, "GET", "contacts/contact0000000000002/appointments").json() == {}


# Kasplo


def test_kasplo_pages_filters_and_envelopes(sandbox: Sandbox) -> None:
    tags = [{"tag_id": f"t{n}", "name": f"tag {n}", "status": 1 + (n > 12)} for n in range(15)]
    sandbox.put_state("kasplo", {"tags": tags})
    base = "/kasplo/audience/v1/sandbox-sid"
    answer = call(sandbox, "GET", f"{base}/tag?page=2&pageSize=10", headers=KASPLO).json()
    assert (len(answer["data"]), answer["total"], answer["status"]) == (3, 13, True)
    assert call(sandbox, "GET", f"{base}/tag?status=2", headers=KASPLO).json()["total"] == 2
    assert call(sandbox, "GET", f"{base}/list", headers=KASPLO).json()["status"] == 200
    wrong = call(sandbox, "GET", "/kasplo/audience/v1/other/list", headers=KASPLO)
    assert wrong.status_code == 401
    assert "sandbox-sid" not in str(sandbox.requests())


def test_kasplo_names_the_reason_of_each_invalid_contact(sandbox: Sandbox) -> None:
    fields = [
        {"name": "age", "type": "numeric", "required": 1},
        {"name": "size", "type": "dropdown", "values": "s, m"},
    ]
    sandbox.put_state(
        "kasplo", {"lists": [{"list_id": "l1", "name": "L"}], "custom_fields": fields}
    )
    good = {"age": "25", "size": "m"}
    answer = kasplo(
        sandbox,
        [
            {"email": "a@example.com", "custom_fields": good},
            {"email": "A@example.com", "custom_fields": good},
            {"email": "b@example.com", "custom_fields": {"size": "m"}},
            {"email": "c@example.com", "custom_fields": {"age": "old"}},
            {"email": "d@example.com", "custom_fields": {"age": 1, "size": "xl"}},
            {"email": "e@example.com", "custom_fields": {"age": 1, "colour": "red"}},
            {"email": "nobody"},
        ],
    )
    data = answer.json()["data"]
    assert (answer.status_code, data["total_valid"], data["total_invalid"]) == (202, 1, 6)
    assert data["invalid_contacts"][0]["string"] == "Contact already exists in request, not unique"
    again = kasplo(sandbox, [{"email": "a@example.com"}]).json()["data"]
    assert again["invalid_contacts"][0]["string"] == "Contact already exists"
    kasplo(sandbox, [{"email": "a@example.com", "last_name": "Z"}], update_subscribers=True)
    assert sandbox.state("kasplo")["contacts"]["l1/a@example.com"]["last_name"] == "Z"
    assert kasplo(sandbox, [{"email": "a@example.com"}], tags=["no"]).status_code == 400
    assert kasplo(sandbox, [{"email": "a@example.com"}], list_id="no").status_code == 400
    assert kasplo(sandbox, [{"email": f"{n}@example.com"} for n in range(101)]).status_code == 400


# Merlin


def test_merlin_actions_in_all_their_forms(sandbox: Sandbox) -> None:
    forms = {
        "int": 1,
        "digits": "2",
        "object_idContact": {"idContact": 3},
        "object_id": {"id": 4},
        "object_ID": {"ID": "5"},
        "list": [{"idContact": 6}],
    }
    for form, expected in forms.items():
        sandbox.options("merlin", new_form=form)
        body = {"type": "NEW", "Email": "a@example.com", "Fname": "Ada", "Custom": {"9": "x"}}
        assert merlin(sandbox, body).json() == expected
    assert len(merlin(sandbox, {"type": "SEARCH", "Fname": "ADA"}).json()) == 6
    assert merlin(sandbox, {"type": "EDIT", "idContact": 1, "Lname": "L"}).status_code == 200
    sandbox.options("merlin", status_form="text", search_form="object_for_one")
    assert merlin(sandbox, {"type": "TRASH", "idContact": 2}).json() == "OK"
    assert merlin(sandbox, {"type": "SEARCH", "Lname": "l"}).json()["idContact"] == 1
    assert merlin(sandbox, {"type": "SEARCH", "Lname": "none"}).json() == []
    assert merlin(sandbox, {"type": "NEW", "Fname": "B"}).json()["status"] == "error"
    assert merlin(sandbox, {"type": "NEW", "Number": "555"}).json()["status"] == "error"
    assert merlin(sandbox, {"type": "SEARCH", "Lname": "l"}, key="no").status_code == 401


def test_merlin_lists_every_message_and_entry(sandbox: Sandbox) -> None:
    sandbox.seed()
    merlin(sandbox, {"type": "NEW", "Number": "+15551234567"})
    for _ in range(2):
        assert merlin(sandbox, {"idContact": 1, "idAuto": 10}).json() == {"status": "success"}
        merlin(sandbox, {"type": "SMS", "number": "+15551234567", "text": "hello"})
    merlin(sandbox, {"type": "CALL", "number": "+15551234567", "text": "hello"})
    for refused in ({"idContact": 1, "idAuto": 11}, {"idContact": 9, "idAuto": 10}):
        assert merlin(sandbox, refused).json()["status"] == "error"
    assert merlin(sandbox, {"type": "SMS", "number": "5551234567", "text": "x"}).status_code == 200
    state = sandbox.state("merlin")
    counts = [len(state[name]) for name in ("automation_entries", "sms", "calls")]
    assert counts == [2, 2, 1]
    wrong = [{"key": "sandbox-merlin-key"}, {"type": "NEW"}]
    assert "Unknown" in call(sandbox, "POST", "/merlin/flex/message/", wrong).json()["message"]


# Faults


def test_a_status_fault_strikes_as_often_as_told(sandbox: Sandbox) -> None:
    sandbox.fault(vendor="rei", path="lookup", status=429, after=1, times=2, retry_after=7)
    sandbox.fault(vendor="rei", method="POST", status=503, retry_after_date=100, answer={"busy": 1})
    codes = [rei(sandbox, "GET", "contacts/lookup?email=a@b.co").status_code for _ in range(4)]
    assert codes == [404, 429, 429, 404]
    answer = rei(sandbox, "POST", "contacts/", {"email": "a@example.com"})
    assert (answer.status_code, answer.json()) == (503, {"busy": 1})
    assert parsedate_to_datetime(answer.headers["Retry-After"]).timestamp() > time.time() + 90
    assert [fault["hits"] for fault in sandbox.faults()] == [2, 1]
    assert sandbox.state("rei")["contacts"] == {}


@pytest.mark.parametrize("fault", [{"drop": True}, {"status": 502}, {"cut": True}])
def test_work_is_done_though_the_answer_is_lost(sandbox: Sandbox, fault: dict[str, Any]) -> None:
    sandbox.fault(vendor="rei", method="POST", when="after", **fault)
    try:
        assert rei(sandbox, "POST", "contacts/", {"email": "a@example.com"}).status_code == 502
    except (requests.ConnectionError, requests.exceptions.ChunkedEncodingError):
        assert "status" not in fault
    assert len(sandbox.state("rei")["contacts"]) == 1
    assert rei(sandbox, "GET", "contacts/").status_code == 200


def test_nothing_is_done_when_the_connection_drops_before(sandbox: Sandbox) -> None:
    sandbox.fault(vendor="merlin", body='"SMS"', drop=True)
    with pytest.raises(requests.ConnectionError):
        merlin(sandbox, {"type": "SMS", "number": "+15551234567", "text": "hello"})
    assert sandbox.state("merlin")["sms"] == []
    assert sandbox.requests("merlin")[0]["status"] == 0


def test_an_answer_can_be_cut_off_in_its_json(sandbox: Sandbox) -> None:
    sandbox.fault(vendor="rei", cut_json=True)
    answer = rei(sandbox, "GET", "contacts/")
    assert answer.status_code == 200
    with pytest.raises(requests.JSONDecodeError):
        answer.json()


def test_a_held_request_waits_until_it_is_released(sandbox: Sandbox) -> None:
    sandbox.fault(vendor="merlin", hold="gate", when="after", times=None)
    action = {"type": "SMS", "number": "+15551234567", "text": "hello"}
    threads = [threading.Thread(target=merlin, args=(sandbox, action)) for _ in range(2)]
    for thread in threads:
        thread.start()
    sandbox.wait_held("gate", 2)
    assert len(sandbox.state("merlin")["sms"]) == 2
    assert all(thread.is_alive() for thread in threads)
    assert sandbox.release("gate") == 2
    for thread in threads:
        thread.join(10)
    counts = sandbox.counts()
    assert counts["max_in_flight"]["merlin"] == 2
    assert counts["max_same_identity_writes"]["merlin"] == {
        "count": 2,
        "identity": "SMS:+15551234567",
    }
    assert counts["counts"][0]["template"] == "/flex/API SMS"


def test_a_reset_breaks_off_what_is_held(sandbox: Sandbox) -> None:
    sandbox.fault(vendor="merlin", hold="gate")
    errors: list[Exception] = []

    def send() -> None:
        try:
            merlin(sandbox, {"type": "NEW", "Number": "+15551234567"})
        except requests.ConnectionError as error:
            errors.append(error)

    thread = threading.Thread(target=send)
    thread.start()
    sandbox.wait_held("gate")
    sandbox.reset()
    thread.join(10)
    assert errors
    assert sandbox.state("merlin")["contacts"] == {}
    assert sandbox.requests() == []


def test_latency_holds_up_nobody_else(sandbox: Sandbox) -> None:
    sandbox.options("rei", latency_ms=200)
    threads = [threading.Thread(target=rei, args=(sandbox, "GET", "tags")) for _ in range(8)]
    begin = time.monotonic()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert 0.2 <= time.monotonic() - begin < 1
    assert sandbox.counts()["max_in_flight"]["rei"] > 1


def test_a_rate_limit_refuses_what_is_beyond_it(sandbox: Sandbox) -> None:
    sandbox.options("rei", rate_limit=[5, 10])
    answers = [rei(sandbox, "GET", "tags") for _ in range(7)]
    assert [answer.status_code for answer in answers] == [200] * 5 + [429] * 2
    assert 1 <= int(answers[-1].headers["Retry-After"]) <= 10
    assert sandbox.rates("rei", 10)["max"] == 7
    assert sandbox.state("rei")["counters"]["rate_limited"] == 2


# Control


def test_accounts_have_credentials_and_state_of_their_own(sandbox: Sandbox) -> None:
    sandbox.account("rei", "second", api_key="second-key")
    headers = {"Authorization": "Bearer second-key"}
    call(sandbox, "POST", "/rei/v1/contacts/", {"email": "a@example.com"}, headers=headers)
    assert sandbox.state("rei")["contacts"] == {}
    assert len(sandbox.state("rei", "second")["contacts"]) == 1
    sandbox.account("rei", "second", api_key="third-key", replace=True)
    assert call(sandbox, "GET", "/rei/v1/tags", headers=headers).status_code == 401


def test_secrets_and_big_bodies_stay_out_of_the_log(sandbox: Sandbox) -> None:
    headers = bearer(sandbox)
    merlin(sandbox, {"type": "SMS", "number": "+15551234567", "text": "x" * 70_000})
    merlin(sandbox, {"type": "SEARCH", "Fname": "A"})
    call(sandbox, "GET", "/autoreach/api/v1/lists", headers=headers)
    log = sandbox.requests()
    text = str(log)
    assert headers["Authorization"].removeprefix("Bearer ") not in text
    assert "sandbox-secret" not in text
    assert "sandbox-merlin-key" not in text
    assert log[1]["body"]["omitted_bytes"] > 70_000
    assert log[2]["body"] == [{"key": "***"}, {"type": "SEARCH", "Fname": "A"}]
    assert log[3]["authorization"] == "Bearer ***"
    assert log[3]["user_agent"].startswith("python-requests")


def test_a_control_call_that_makes_no_sense_says_what_would(sandbox: Sandbox) -> None:
    with pytest.raises(SandboxError, match="there are"):
        sandbox.options("rei", no_such=1)
    with pytest.raises(SandboxError, match="one of"):
        sandbox.options("rei", lookup_missing="x")
    with pytest.raises(SandboxError, match="exactly one"):
        sandbox.fault(vendor="rei")
    with pytest.raises(SandboxError, match="no vendor"):
        sandbox.state("nobody")


def test_the_start_page_needs_nothing_from_elsewhere(sandbox: Sandbox) -> None:
    page = requests.get(sandbox.url, timeout=10)
    assert "default-src 'none'" in page.headers["content-security-policy"]
    assert "innerHTML" not in page.text
    overview = sandbox.call("GET", "overview")
    assert set(overview["vendors"]) == {"autoreach", "rei", "kasplo", "merlin"}


def test_it_ends_at_once_when_told_even_with_requests_in_flight() -> None:
    lost: list[requests.RequestException] = []

    def send() -> None:
        try:
            merlin(sandbox, {})
        except requests.RequestException as error:
            lost.append(error)

    with Sandbox() as sandbox:
        sandbox.fault(hold="for ever")
        thread = threading.Thread(target=send)
        thread.start()
        sandbox.wait_held("for ever")
        begin = time.monotonic()
        assert sandbox.pid is not None
        os.kill(sandbox.pid, signal.SIGINT)
        thread.join(5)
        assert time.monotonic() - begin < 2
        assert lost


def test_only_loopback_is_served() -> None:
    command = [sys.executable, "-m", "singer_sandbox", "--host", "0.0.0.0"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=20)
    assert done.returncode == 1
    assert "loopback" in done.stderr


def test_a_taken_port_is_one_clear_line() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        command = [sys.executable, "-m", "singer_sandbox", "--port", port]
        done = subprocess.run(command, capture_output=True, text=True, timeout=20)
    assert (done.returncode, done.stderr.count("\n")) == (1, 1)
