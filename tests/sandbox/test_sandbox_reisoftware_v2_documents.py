"""The comparison with the vendor's documents finds differences, and each exception is needed."""

from __future__ import annotations

import re
from typing import Any

import pytest
from typing_extensions import override

from singer_sandbox import Sandbox
from tests.calling import rei_v2
from tests.front_door import JSON
from tests.openapi import check_exchanges, document, needs_documents
from tests.openapi_exceptions import EXCEPTIONS, Known

pytestmark = needs_documents

LOCATION = "C2QujeCh8ZnC7al2InWR"
WHO = "contact0000000000001"
WORKFLOW = "78559bb3-b920-461e-b010-7b2a2816d2a9"


class Replayed(Sandbox):
    """A log as it might be."""

    def __init__(self, *entries: JSON) -> None:
        super().__init__()
        self.entries = entries

    @override
    def requests(self, vendor: str | None = None, limit: int | None = None) -> list[JSON]:
        return list(self.entries)


def logged(sandbox: Sandbox, method: str, path: str, body: Any = None) -> JSON:
    """The log's entry about one call."""
    rei_v2(sandbox, method, path, body)
    return sandbox.requests("rei")[-1]


def test_a_request_that_the_document_does_not_allow_is_found(sandbox: Sandbox) -> None:
    rei_v2(sandbox, "POST", "/contacts/", {"email": "a@example.com", "contactName": "A"})
    with pytest.raises(AssertionError, match=r"locationId(?s:.*)contactName"):
        check_exchanges(sandbox)
    assert check_exchanges(sandbox, allow_refused=True) == 1


def test_a_path_without_its_slash_is_found(sandbox: Sandbox) -> None:
    rei_v2(sandbox, "GET", "/workflows", params={"locationId": LOCATION})
    with pytest.raises(AssertionError, match="Path not found"):
        check_exchanges(sandbox, allow_refused=True)


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"status": 202}, "Unknown response http status"),
        ({"body": {"contact": {"id": 5}, "traceId": "x"}}, "contact.id: 5 is not of type"),
        ({"body": {"contact": {}}}, "no traceId"),
        ({"headers": {"content-type": "application/json"}}, "no headers"),
    ],
)
def test_an_answer_that_the_document_does_not_allow_is_found(
    sandbox: Sandbox, change: JSON, text: str
) -> None:
    sandbox.seed()
    entry = logged(sandbox, "GET", f"/contacts/{WHO}")
    assert check_exchanges(Replayed(entry)) == 1
    with pytest.raises(AssertionError, match=text):
        check_exchanges(Replayed({**entry, "answer": {**entry["answer"], **change}}))


def test_each_exception_is_one_that_the_sandbox_shows(sandbox: Sandbox) -> None:
    sandbox.seed()
    sandbox.account("rei", "second", api_key="pit-second")
    sandbox.options("rei", workflow_status=201, put_company_name=True)
    where = {"locationId": LOCATION}
    values = [{"id": "cfValue0000000000002", "field_value": 5}]

    def call(method: str, path: str, body: Any = None, **more: Any) -> None:
        rei_v2(sandbox, method, path, body, **more)

    born = {**where, "email": "n@example.com", "dateOfBirth": "1990-09-25"}
    call("POST", "/contacts/", {**born, "customFields": values})
    sandbox.options("rei", create_status=200)
    call("POST", "/contacts/", {**where, "email": "m@example.com"})
    call("POST", "/contacts/", {**where, "name": "M"})
    call("PUT", f"/contacts/{WHO}", {"companyName": "Ours"})
    call("POST", f"/contacts/{WHO}/workflow/{WORKFLOW}", {})
    call("DELETE", f"/contacts/{WHO}/workflow/{WORKFLOW}")
    bulk = {**where, "contacts": [WHO], "tags": ["new"]}
    call("POST", "/contacts/bulk/tags/update/add", bulk)
    unknown = {"Authorization": "Bearer pit-unknown"}
    call("POST", "/contacts/bulk/tags/update/add", bulk, headers=unknown)
    call("POST", "/contacts/search", {})
    call("GET", "/contacts/search/duplicate", params={"email": "x@example.com"})
    call("GET", f"/contacts/{WHO}", headers={"Version": "2023-02-21"})
    call("GET", "/contacts/", params=where, headers={"Version": "v3"})
    times = {"calendarId": "calendar000000000001", "startTime": 0, "endTime": 1}
    call("GET", "/calendars/events", params={**where, **times})
    call("GET", "/contacts/nobody")
    call("GET", f"/contacts/{WHO}", headers={"Authorization": "Bearer pit-second"})
    sandbox.options("rei", daily_limit=1)
    call("GET", f"/contacts/{WHO}")

    used: set[Known] = set()
    check_exchanges(sandbox, allow_refused=True, used=used)
    assert [known.source for known in EXCEPTIONS if known not in used] == []


LEFT_OUT = re.compile(
    r"\w+ /(oauth|opportunities)/.*|\w+ /contacts/{contactId}/notes.*"
    r"|(post|put|delete) /locations/.*|get /locations/{locationId}/\w+/.*"
)
"""Calls that the plugins do not need."""


@pytest.mark.parametrize("version", ["2021-07-28", "v3"])
def test_the_sandbox_has_every_call_that_the_plugins_need(sandbox: Sandbox, version: str) -> None:
    missing = []
    for path, calls in document(version)["paths"].items():
        address = path.replace("{locationId}", LOCATION)
        for method in calls:
            headers = {"Version": version}
            answer = rei_v2(sandbox, method.upper(), address, {}, headers=headers).json()
            cannot = str(answer.get("message")).startswith("Cannot")
            if cannot and not LEFT_OUT.fullmatch(f"{method} {path}"):
                missing.append(f"{method} {path}")
    assert missing == []


@pytest.mark.parametrize(
    ("method", "path", "schema"),
    [
        ("POST", "/contacts/", "CreateContactDto"),
        ("POST", "/contacts/upsert", "UpsertContactDto"),
        ("PUT", f"/contacts/{WHO}", "UpdateContactDto"),
        ("POST", "/contacts/bulk/tags/update/remove", "UpdateTagsDTO"),
        ("POST", f"/contacts/{WHO}/workflow/{WORKFLOW}", "CreateWorkflowDto"),
    ],
)
def test_bodies_may_hold_what_the_document_names_and_nothing_else(
    sandbox: Sandbox, method: str, path: str, schema: str
) -> None:
    sandbox.seed()
    named = set(document("2021-07-28")["components"]["schemas"][schema]["properties"])
    body: dict[str, Any] = dict.fromkeys(named | {"companyName", "other"}, 5)
    body |= {"email": "a@example.com"} | ({"locationId": LOCATION} if "locationId" in named else {})
    answer = rei_v2(sandbox, method, path, body)
    unknown = {t.split()[1] for t in answer.json()["message"] if t.startswith("property ")}
    assert unknown == body.keys() - named
