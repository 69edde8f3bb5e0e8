"""The sandbox's API v2 keeps tags, campaigns, workflows, and lists them as HighLevel does."""

from __future__ import annotations

from typing import Any

import pytest

from singer_sandbox import Sandbox
from tests.calling import rei
from tests.sandbox.conftest import Call

LOCATION = "C2QujeCh8ZnC7al2InWR"
WHO = "contact0000000000001"
CAMPAIGN, WORKFLOW = "Y2I9XM7aO1hncuSOlc9L", "78559bb3-b920-461e-b010-7b2a2816d2a9"


@pytest.fixture(autouse=True)
def seeded(sandbox: Sandbox) -> None:
    sandbox.seed()


def tags(sandbox: Sandbox, who: str = WHO) -> Any:
    return sandbox.state("rei")["contacts"][who]["tags"]


def test_tags_are_kept_in_lower_case_and_compared_without_case(sandbox: Sandbox, v2: Call) -> None:
    rei(sandbox, "POST", f"contacts/{WHO}/tags/", {"tags": ["Big"]})
    answer = v2("POST", f"/contacts/{WHO}/tags", {"tags": ["VIP", "OWNER", "big"]})
    assert answer.status_code == 201
    assert answer.json()["tags"] == ["owner", "Big", "vip"]
    assert answer.json()["tagsAdded"] == ["vip"]
    answer = v2("DELETE", f"/contacts/{WHO}/tags", {"tags": ["BIG", "none"]})
    assert (answer.status_code, answer.json()["tagsRemoved"]) == (200, ["Big"])
    assert tags(sandbox) == ["owner", "vip"]
    wrong: Any
    for wrong in ({"tags": []}, {"tags": "vip"}, {"tag": ["vip"]}, {}):
        assert v2("POST", f"/contacts/{WHO}/tags", wrong).status_code == 422
    assert v2("POST", "/contacts/nobody/tags", {"tags": ["vip"]}).status_code == 404


def test_many_contacts_are_tagged_at_once_with_an_answer_for_each(
    sandbox: Sandbox, v2: Call
) -> None:
    foreign, gone = "contactZZZZZZZZZZZZZ", "contact0000000000002"
    sandbox.account("rei", "second", api_key="pit-second")
    sandbox.put_state("rei", {"contacts": [{"id": foreign, "firstName": "F"}]}, "second")
    v2("DELETE", f"/contacts/{gone}")
    body = {"contacts": [WHO, gone, foreign, "?"], "tags": ["New"], "locationId": LOCATION}
    answer = v2("POST", "/contacts/bulk/tags/update/add", body)
    assert answer.status_code == 201
    told = answer.json()
    assert (told["succeded"], told["errorCount"]) == (False, 3)
    assert {row["contactId"]: row["message"] for row in told["responses"]} == {
        WHO: "Tags updated",
        gone: "contact is deleted",
        foreign: "contact does not belong to location",
        "?": "contact id is not a valid firebase id",
    }
    assert told["responses"][0]["tagsAdded"] == ["new"]
    all_tags = {"contacts": [WHO], "tags": [], "locationId": LOCATION, "removeAllTags": True}
    told = v2("POST", "/contacts/bulk/tags/update/remove", all_tags).json()
    assert told["responses"][0]["tagsRemoved"] == ["owner", "new"]
    assert tags(sandbox) == []


def test_a_bulk_has_a_largest_size_and_no_other_keys(sandbox: Sandbox, v2: Call) -> None:
    sandbox.options("rei", bulk_tags_max=2)
    body: dict[str, Any] = {"contacts": [WHO] * 3, "tags": ["new"], "locationId": LOCATION}
    refused = v2("POST", "/contacts/bulk/tags/update/add", body)
    assert refused.status_code == 422
    assert refused.json()["message"] == ["contacts must contain no more than 2 elements"]
    body["contacts"] = [WHO]
    for wrong in ({**body, "contactIds": [WHO]}, {**body, "removeAllTags": True}):
        assert v2("POST", "/contacts/bulk/tags/update/add", wrong).status_code == 422
    assert v2("POST", "/contacts/bulk/tags/update/replace", body).status_code == 422
    assert tags(sandbox) == ["owner"]


def test_campaigns_of_a_contact(sandbox: Sandbox, v2: Call) -> None:
    path = f"/contacts/{WHO}/campaigns"
    answer = v2("POST", f"{path}/{CAMPAIGN}", {})
    assert (answer.status_code, answer.json()["succeded"]) == (201, True)
    assert sandbox.state("rei")["contact_campaigns"] == {WHO: [CAMPAIGN]}
    assert v2("DELETE", f"{path}/{CAMPAIGN}").status_code == 200
    v2("POST", f"{path}/{CAMPAIGN}", {})
    older = v2("DELETE", f"{path}/remove-all")
    assert older.json()["message"] == f"Cannot DELETE {path}/remove-all"
    assert v2("DELETE", f"{path}/removeAll").status_code == 200
    assert v2("DELETE", f"{path}/remove-all", headers={"Version": "v3"}).status_code == 200
    assert sandbox.state("rei")["contact_campaigns"] == {}
    assert v2("POST", f"{path}/nothing", {}).status_code == 404


def test_workflows_of_a_contact(sandbox: Sandbox, v2: Call) -> None:
    path = f"/contacts/{WHO}/workflow/{WORKFLOW}"
    start = {"eventStartTime": "2021-06-23T03:30:00+01:00"}
    assert v2("POST", path, start).status_code == 200
    sandbox.options("rei", workflow_status=201)
    assert v2("POST", path, {}).status_code == 201
    assert v2("POST", path, {"eventStartTime": "2021-06-23"}).status_code == 422
    assert v2("DELETE", path).json()["succeded"] is True
    assert v2("DELETE", path, {}).status_code == 200
    state = sandbox.state("rei")
    assert [len(state[f"workflow_{name}"]) for name in ("entries", "removals")] == [2, 2]


def test_a_draft_of_a_workflow_says_yes_and_does_nothing(sandbox: Sandbox, v2: Call) -> None:
    sandbox.put_state("rei", {"workflows": [{"id": "draft", "name": "D", "status": "draft"}]})
    assert v2("POST", f"/contacts/{WHO}/workflow/draft", {}).status_code == 200
    assert sandbox.state("rei")["workflow_entries"] == []


def test_the_lists_of_a_location(sandbox: Sandbox, v2: Call) -> None:
    folder = {"id": "folder", "name": "Folder", "documentType": "folder"}
    deal = {"id": "deal", "name": "Deal", "dataType": "TEXT", "model": "opportunity"}
    sandbox.put_state("rei", {"custom_fields": [folder, deal]})
    fields = v2("GET", f"/locations/{LOCATION}/customFields", params={"model": "contact"}).json()
    assert {row["documentType"] for row in fields["customFields"]} == {"field", "folder"}
    assert {row["model"] for row in fields["customFields"]} == {"contact"}
    wrong = v2("GET", f"/locations/{LOCATION}/customFields", params={"model": "other"})
    assert wrong.status_code == 422
    names = [row["name"] for row in v2("GET", f"/locations/{LOCATION}/tags").json()["tags"]]
    assert names == ["owner", "absentee", "vip"]
    where = {"locationId": LOCATION}
    (workflow,) = v2("GET", "/workflows/", params=where).json()["workflows"]
    assert workflow["id"] == WORKFLOW
    published = v2("GET", "/campaigns/", params={**where, "status": "published"}).json()
    assert [row["id"] for row in published["campaigns"]] == [CAMPAIGN]
    assert v2("GET", "/workflows/").status_code == 422


def test_appointments_have_times_with_and_without_a_zone(sandbox: Sandbox, v2: Call) -> None:
    (event,) = v2("GET", f"/contacts/{WHO}/appointments").json()["events"]
    assert event["startTime"] == "2025-03-01 15:00:00"
    assert event["dateAdded"] == "2025-02-01T12:00:00.000Z"
    assert v2("GET", "/contacts/contact0000000000002/appointments").json()["events"] == []
    sandbox.options("rei", appointment_times="offset")
    (event,) = v2("GET", f"/contacts/{WHO}/appointments").json()["events"]
    assert event["startTime"] == "2025-03-01T15:00:00+00:00"
    params = {
        "locationId": LOCATION,
        "calendarId": "calendar000000000001",
        "startTime": 1740787200000,
        "endTime": 1740873600000,
    }
    events = v2("GET", "/calendars/events", params=params, headers={"Version": "2021-04-15"})
    assert [row["contactId"] for row in events.json()["events"]] == [WHO]
    del params["calendarId"]
    assert v2("GET", "/calendars/events", params=params).status_code == 422
