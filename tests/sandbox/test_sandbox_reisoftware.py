"""The sandbox behaves as REI Software does."""

from __future__ import annotations

from typing import Any

from singer_sandbox import Sandbox
from tests.calling import rei


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
