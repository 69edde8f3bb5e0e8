"""The sandbox's API v2 reads, makes, changes and deletes contacts as HighLevel does."""

from __future__ import annotations

from typing import Any

import pytest

from singer_sandbox import Sandbox
from tests.calling import rei
from tests.sandbox.conftest import Call

LOCATION = "C2QujeCh8ZnC7al2InWR"
OTHER = {"id": "contactAAAAAAAAAAAAA", "email": "a@example.com", "phone": "+15550000001"}
THIRD = {"id": "contactBBBBBBBBBBBBB", "email": "b@example.com", "phone": "+15550000002"}


def new(**fields: Any) -> dict[str, Any]:
    return {"locationId": LOCATION, **fields}


@pytest.fixture
def two(sandbox: Sandbox) -> None:
    """Two contacts and a few custom fields."""
    fields = [
        {"id": "text", "name": "Text", "dataType": "TEXT"},
        {"id": "day", "name": "Day", "dataType": "DATE"},
        {"id": "many", "name": "Many", "dataType": "CHECKBOX", "picklistOptions": ["a", "b"]},
        {"id": "number", "name": "Number", "dataType": "NUMERICAL"},
    ]
    sandbox.put_state("rei", {"contacts": [OTHER, THIRD], "custom_fields": fields})


def custom(sandbox: Sandbox) -> Any:
    return sandbox.state("rei")["contacts"][OTHER["id"]]["customField"]


def test_a_contact_is_made_once_and_a_duplicate_is_refused(
    sandbox: Sandbox, v2: Call, two: None
) -> None:
    body = new(
        email="n@example.com", phone="(555) 123-4567", tags=["VIP"], dateOfBirth="09/25/1990"
    )
    answer = v2("POST", "/contacts/", body)
    made = answer.json()["contact"]
    assert answer.status_code == 201
    assert (made["phone"], made["tags"], made["dateOfBirth"]) == (
        "+15551234567",
        ["vip"],
        "1990-09-25",
    )
    refused = v2("POST", "/contacts/", new(email="x@example.com", phone="+15551234567"))
    assert refused.status_code == 400
    assert refused.json()["message"] == "This location does not allow duplicated contacts."
    assert refused.json()["meta"] == {"contactId": made["id"], "matchingField": "phone"}
    sandbox.options("rei", create_makes_duplicates=True, create_status=200)
    assert v2("POST", "/contacts/", body).status_code == 200
    assert len(sandbox.state("rei")["creations"]) == 2


def test_a_contact_needs_more_than_a_name(v2: Call) -> None:
    refused = v2("POST", "/contacts/", new(name="Ann Other"))
    assert refused.status_code == 422
    assert refused.json()["message"].startswith("Contacts without email, phone, firstName")
    assert v2("POST", "/contacts/", new(firstName="Ann")).status_code == 201


def test_a_record_that_was_read_cannot_be_sent_back_whole(v2: Call, two: None) -> None:
    read = v2("GET", f"/contacts/{OTHER['id']}").json()["contact"]
    refused = v2("PUT", f"/contacts/{OTHER['id']}", read)
    assert refused.status_code == 422
    unknown = {text.split()[1] for text in refused.json()["message"] if "should not" in text}
    assert {"id", "locationId", "emailLowerCase", "dateUpdated", "additionalEmails"} <= unknown
    assert "email" not in unknown
    for body in ({"postalCode": None}, {"gender": "male"}, {"dnd": "yes"}, {"email": "no"}):
        assert v2("PUT", f"/contacts/{OTHER['id']}", body).status_code == 422
    status = {"dndSettings": {"Email": {"status": "sometimes"}}}
    assert v2("PUT", f"/contacts/{OTHER['id']}", status).status_code == 422


def test_an_update_changes_what_is_sent_and_replaces_tags(
    sandbox: Sandbox, v2: Call, two: None
) -> None:
    path = f"/contacts/{OTHER['id']}"
    v2("PUT", path, {"city": "Reno", "tags": ["one", "two"]})
    answer = v2("PUT", path, {"tags": ["Three"], "dnd": True, "lastName": None}).json()
    assert (answer["succeded"], answer["succeeded"]) == (True, True)
    contact = answer["contact"]
    assert (contact["city"], contact["tags"], contact["dnd"]) == ("Reno", ["three"], True)
    assert contact["email"] == "a@example.com"
    taken = v2("PUT", path, {"phone": THIRD["phone"]})
    assert taken.json()["meta"] == {"contactId": THIRD["id"], "matchingField": "phone"}
    assert v2("PUT", path, {"companyName": "Ours"}).status_code == 422
    sandbox.options("rei", put_company_name=True)
    assert v2("PUT", path, {"companyName": "Ours"}).json()["contact"]["companyName"] == "Ours"


@pytest.mark.parametrize("form", ["both", "succeded", "succeeded", "none", "false"])
def test_the_success_flag_has_many_forms(sandbox: Sandbox, v2: Call, two: None, form: str) -> None:
    sandbox.options("rei", success_flags=form)
    answer = v2("PUT", f"/contacts/{OTHER['id']}", {"city": "Reno"}).json()
    flags = {name: answer[name] for name in ("succeded", "succeeded") if name in answer}
    expected = {
        "both": {"succeded": True, "succeeded": True},
        "none": {},
        "false": {"succeded": False, "succeeded": False},
    }
    assert flags == expected.get(form, {form: True})
    city = sandbox.state("rei")["contacts"][OTHER["id"]].get("city")
    assert city == (None if form == "false" else "Reno")


def test_a_refused_create_may_have_made_the_contact(sandbox: Sandbox, v2: Call) -> None:
    wrong = new(email="n@example.com", city=5)
    assert v2("POST", "/contacts/", wrong).status_code == 422
    assert sandbox.state("rei")["contacts"] == {}
    sandbox.options("rei", refused_create_is_kept=True)
    assert v2("POST", "/contacts/", wrong).json()["message"] == ["city must be a string"]
    (kept,) = sandbox.state("rei")["contacts"].values()
    assert kept["email"] == "n@example.com"
    assert v2("POST", "/contacts/", wrong).json()["meta"]["contactId"] == kept["id"]


def test_upsert_drops_without_a_word_what_it_cannot_take(
    sandbox: Sandbox, v2: Call, two: None
) -> None:
    both = new(email=OTHER["email"], phone=THIRD["phone"], gender="male", city="Reno")
    answer = v2("POST", "/contacts/upsert", both).json()
    assert (answer["new"], answer["contact"]["id"]) == (False, OTHER["id"])
    held = sandbox.state("rei")["contacts"][OTHER["id"]]
    assert (held["city"], held["phone"]) == ("Reno", OTHER["phone"])
    assert "gender" not in held
    assert v2("POST", "/contacts/upsert", new(city="Reno")).status_code == 400
    sandbox.options("rei", match_fields="phone,email")
    assert v2("POST", "/contacts/upsert", both).json()["contact"]["id"] == THIRD["id"]
    fresh = v2("POST", "/contacts/upsert", new(email="n@example.com", gender="male")).json()
    assert fresh["new"] is True
    assert sandbox.state("rei")["contacts"][fresh["contact"]["id"]]["gender"] == "male"


def test_upsert_by_an_additional_email_loses_the_first_one(sandbox: Sandbox, v2: Call) -> None:
    emails = [{"email": "second@example.com"}, {"email": "third@example.com"}]
    sandbox.put_state("rei", {"contacts": [{**OTHER, "additionalEmails": emails}]})
    answer = v2("POST", "/contacts/upsert", new(email="Second@example.com")).json()["contact"]
    assert (answer["id"], answer["email"]) == (OTHER["id"], "Second@example.com")
    assert answer["additionalEmails"] == [{"email": "third@example.com"}]


def test_upsert_makes_duplicates_only_where_the_account_and_the_caller_want_them(
    sandbox: Sandbox, v2: Call, two: None
) -> None:
    wanted = new(email=OTHER["email"], createNewIfDuplicateAllowed=True)
    assert v2("POST", "/contacts/upsert", wanted).json()["new"] is False
    sandbox.options("rei", create_makes_duplicates=True)
    assert v2("POST", "/contacts/upsert", new(email=OTHER["email"])).json()["new"] is False
    assert v2("POST", "/contacts/upsert", wanted).json()["new"] is True


def test_a_duplicate_is_searched_by_the_accounts_rule(
    sandbox: Sandbox, v2: Call, two: None
) -> None:
    both: dict[str, str | None] = {
        "locationId": LOCATION,
        "email": OTHER["email"],
        "number": THIRD["phone"],
    }

    def found(**params: str | None) -> Any:
        answer = v2("GET", "/contacts/search/duplicate", params={**both, **params}).json()
        return answer["contact"] and answer["contact"]["id"]

    assert found() == OTHER["id"]
    sandbox.options("rei", match_fields="phone,email")
    assert found() == THIRD["id"]
    sandbox.options("rei", match_fields="phone")
    assert found(number=None) is None
    sandbox.options("rei", create_makes_duplicates=True)
    assert found() == OTHER["id"]
    plain = f"/contacts/search/duplicate?locationId={LOCATION}&number=+15550000001"
    assert v2("GET", plain).json()["contact"] is None
    neither = v2("GET", "/contacts/search/duplicate", params={"locationId": LOCATION})
    assert neither.status_code == 400


def test_a_search_for_a_duplicate_misses_in_three_forms(sandbox: Sandbox, v2: Call) -> None:
    params = {"locationId": LOCATION, "email": "nobody@example.com"}
    forms: list[tuple[str, int, Any]] = [
        ("null", 200, {"contact": None}),
        ("empty", 200, {}),
        ("404", 404, {"statusCode": 404, "message": "Contact not found", "error": "Not Found"}),
    ]
    for form, status, body in forms:
        sandbox.options("rei", duplicate_missing=form)
        answer = v2("GET", "/contacts/search/duplicate", params=params)
        told = answer.json()
        del told["traceId"]
        assert (answer.status_code, told) == (status, body)


def test_a_deleted_contact_is_missing_in_three_forms(sandbox: Sandbox, v2: Call, two: None) -> None:
    path = f"/contacts/{OTHER['id']}"
    assert v2("DELETE", path).json()["succeeded"] is True
    for status in (404, 400, 422):
        sandbox.options("rei", unknown_contact_status=status)
        for method in ("GET", "PUT", "DELETE"):
            answer = v2(method, path, {} if method == "PUT" else None)
            assert answer.status_code == status
            assert "deleted" in str(answer.json()["message"])
    assert rei(sandbox, "GET", f"contacts/{THIRD['id']}").status_code == 200


def test_custom_values_are_taken_under_one_name_and_else_ignored(
    sandbox: Sandbox, v2: Call, two: None
) -> None:
    path = f"/contacts/{OTHER['id']}"

    def write(**entry: Any) -> Any:
        assert v2("PUT", path, {"customFields": [entry]}).status_code == 200
        return custom(sandbox)

    assert write(id="text", field_value="one") == {"text": "one"}
    assert write(id="text", value="two") == {"text": "one"}
    assert write(id="no such field", field_value="two") == {"text": "one"}
    assert write(id="number", field_value=5)["number"] == 5
    assert write(id="many", field_value=["a"])["many"] == ["a"]
    assert write(id="day", field_value="2025-01-02T23:30:00Z")["day"] == 1735776000000
    assert write(id="day", field_value="yesterday")["day"] == 1735776000000
    sandbox.options("rei", custom_value_name="value")
    assert write(id="text", value="two")["text"] == "two"
    assert write(id="text", field_value="three")["text"] == "two"
    sandbox.options("rei", custom_value_name="fieldValue", date_values="epoch_ms")
    assert write(id="text", fieldValue="three")["text"] == "three"
    read = v2("GET", path).json()["contact"]["customFields"]
    assert {"id": "day", "value": 1735776000000} in read
    unknown = v2("PUT", path, {"customFields": [{"id": "text", "field_values": "x"}]})
    assert unknown.json()["message"] == ["customFields.0.property field_values should not exist"]


def test_custom_values_are_cleared_by_null_or_an_empty_text(
    sandbox: Sandbox, v2: Call, two: None
) -> None:
    for form, cleared in (
        ("null", [None]),
        ("empty_text", [""]),
        ("both", [None, ""]),
        ("none", []),
    ):
        sandbox.options("rei", custom_value_clearing=form)
        for given in (None, ""):
            change: dict[str, Any] = {"customFields": [{"id": "text", "field_value": "one"}]}
            v2("PUT", f"/contacts/{OTHER['id']}", change)
            change = {"customFields": [{"id": "text", "field_value": given}]}
            assert v2("PUT", f"/contacts/{OTHER['id']}", change).status_code == 200
            assert custom(sandbox) == ({} if given in cleared else {"text": "one"})


def test_a_wrong_custom_value_is_refused_or_ignored(sandbox: Sandbox, v2: Call, two: None) -> None:
    for entry in ({"id": "many", "field_value": ["c"]}, {"id": "number", "field_value": "five"}):
        refused = v2("PUT", f"/contacts/{OTHER['id']}", {"customFields": [entry]})
        assert refused.status_code == 422
    sandbox.options("rei", wrong_custom_value="ignored")
    assert v2("PUT", f"/contacts/{OTHER['id']}", {"customFields": [entry]}).status_code == 200
    assert custom(sandbox) == {}


def test_some_changes_may_leave_the_date_of_change(sandbox: Sandbox, v2: Call, two: None) -> None:
    path = f"/contacts/{OTHER['id']}"
    values = {"customFields": [{"id": "text", "field_value": "one"}]}
    cases: tuple[tuple[str, Any], ...] = (("custom_fields", values), ("dnd", {"dnd": True}))
    for kind, change in cases:
        before = v2("GET", path).json()["contact"]["dateUpdated"]
        sandbox.options("rei", date_updated_ignores=kind)
        assert v2("PUT", path, change).json()["contact"]["dateUpdated"] == before
        sandbox.options("rei", date_updated_ignores="nothing")
        assert v2("PUT", path, change).json()["contact"]["dateUpdated"] > before


def test_version_v3_writes_some_names_in_another_way(sandbox: Sandbox, v2: Call, two: None) -> None:
    v3 = {"Version": "v3"}
    path = f"/contacts/{OTHER['id']}"
    change = {
        "dndSettings": {"sms": {"status": "active"}},
        "customFields": [{"id": "text", "fieldValue": "one"}],
    }
    answer = v2("PUT", path, change, headers=v3).json()["contact"]
    assert answer["dndSettings"] == {"sms": {"status": "active"}}
    older = v2("GET", path).json()["contact"]
    assert older["dndSettings"] == {"SMS": {"status": "active"}}
    assert custom(sandbox) == {"text": "one"}
