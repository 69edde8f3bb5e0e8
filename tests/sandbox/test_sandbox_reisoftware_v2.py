"""The sandbox lets calls of API v2 in, limits and refuses them as HighLevel does."""

from __future__ import annotations

from typing import Any

import pytest

from singer_sandbox import Sandbox, SandboxError
from tests.calling import call, rei
from tests.sandbox.conftest import Call

LOCATION = "C2QujeCh8ZnC7al2InWR"
WHO = "contact0000000000001"


def test_one_store_serves_both_apis(sandbox: Sandbox, v2: Call) -> None:
    sandbox.seed()
    custom = {"cfSaleDate0000000003": 1735732800000, "cfValue0000000000002": 5}
    body: dict[str, Any] = {"email": "one@example.com", "firstName": "One", "customField": custom}
    by_v1 = rei(sandbox, "POST", "contacts/", body).json()["contact"]
    read = v2("GET", f"/contacts/{by_v1['id']}").json()["contact"]
    assert (read["id"], read["email"], read["dateAdded"]) == (
        by_v1["id"],
        "one@example.com",
        by_v1["dateAdded"],
    )
    values = {item["id"]: item["value"] for item in read["customFields"]}
    assert values == {"cfSaleDate0000000003": "2025-01-01", "cfValue0000000000002": 5}

    date = [{"id": "cfSaleDate0000000003", "field_value": "2025-02-03T10:00:00Z"}]
    body = {"locationId": LOCATION, "phone": "+15551230000", "customFields": date}
    by_v2 = v2("POST", "/contacts/", body).json()["contact"]
    read = rei(sandbox, "GET", f"contacts/{by_v2['id']}").json()["contact"]
    assert read["phone"] == "+15551230000"
    assert read["customField"] == [{"id": "cfSaleDate0000000003", "value": 1738540800000}]


def test_each_api_has_credentials_of_its_own(sandbox: Sandbox, v2: Call) -> None:
    token = sandbox.settings("tap-reisoftware", api_version="v2")["api_key"]
    key = sandbox.settings("tap-reisoftware")["api_key"]
    pit = {"Authorization": f"Bearer {token}"}
    assert call(sandbox, "GET", "/rei/v1/tags", headers=pit).status_code == 401
    answers = {
        given: v2("GET", f"/contacts/{WHO}", headers={"Authorization": f"Bearer {given}"})
        for given in (key, "pit-unknown")
    }
    assert [answer.status_code for answer in answers.values()] == [401, 401]
    assert [answer.json()["message"] for answer in answers.values()] == [
        "Invalid JWT",
        "Invalid Private Integration token",
    ]


def test_the_version_header_is_asked_for(sandbox: Sandbox, v2: Call) -> None:
    sandbox.seed()

    def read(version: str) -> tuple[int, Any]:
        answer = v2("GET", f"/contacts/{WHO}", headers={"Version": version})
        return answer.status_code, answer.json().get("message")

    assert read("") == (401, "version header was not found.")
    assert read("2020-01-01") == (401, "version header is invalid")
    sandbox.options("rei", unknown_version_status=400)
    assert read("2020-01-01") == (400, "Invalid API version segment 2020-01-01")
    for version in ("2021-04-15", "2021-07-28", "2023-02-21", "v3"):
        assert read(version) == (200, None)


def test_a_token_opens_its_location_within_its_scopes(sandbox: Sandbox, v2: Call) -> None:
    sandbox.account("rei", "second", api_key="pit-second", scopes="contacts.readonly")
    sandbox.account("rei", "agency", api_key="pit-agency", user_type="Company")
    sandbox.put_state("rei", {"contacts": [{"id": WHO, "email": "a@example.com"}]})
    second = {"Authorization": "Bearer pit-second"}
    for answer in (
        v2("GET", f"/locations/{LOCATION}/tags", headers=second | {"Authorization": "Bearer x"}),
        v2("GET", "/locations/location-second/tags", headers=second),
        v2("GET", f"/contacts/{WHO}", headers={"Authorization": "Bearer pit-agency"}),
    ):
        assert answer.status_code == 401
    assert answer.json()["message"] == "Token's user type mismatch!"
    write = v2("POST", "/contacts/", {"locationId": "location-second"}, headers=second)
    assert write.json()["message"] == "The token is not authorized for this scope."
    for answer in (
        v2("GET", "/contacts/", params={"locationId": LOCATION}, headers=second),
        v2("POST", "/contacts/search", {"locationId": LOCATION, "pageLimit": 1}, headers=second),
        v2("GET", f"/contacts/{WHO}", headers=second),
    ):
        assert answer.status_code == 403
        assert answer.json()["message"] == "The token does not have access to this location."
    with pytest.raises(SandboxError, match="there are"):
        sandbox.account("rei", "third", api_key="pit-third", scopes="everything")


def test_a_new_token_can_end_the_old_ones_at_once_or_leave_them(sandbox: Sandbox, v2: Call) -> None:
    sandbox.seed()
    sandbox.account("rei", "default", api_key="pit-new")
    assert v2("GET", f"/contacts/{WHO}").status_code == 200
    sandbox.account("rei", "default", api_key="pit-newer", replace=True)
    assert v2("GET", f"/contacts/{WHO}").status_code == 401
    newer = {"Authorization": "Bearer pit-newer"}
    assert v2("GET", f"/contacts/{WHO}", headers=newer).status_code == 200
    assert rei(sandbox, "GET", f"contacts/{WHO}").status_code == 200


def test_every_answer_tells_both_limits(sandbox: Sandbox, v2: Call) -> None:
    sandbox.seed()
    sandbox.options("rei", rate_limit=[3, 60], daily_limit=10)
    answers = [v2("GET", f"/contacts/{who}") for who in (WHO, "nobody", WHO, WHO)]
    assert [answer.status_code for answer in answers] == [200, 404, 200, 429]
    names = ("max", "remaining", "interval-milliseconds", "limit-daily", "daily-remaining")
    told = [[int(answer.headers[f"x-ratelimit-{name}"]) for name in names] for answer in answers]
    assert told == [
        [3, 2, 60_000, 10, 9],
        [3, 1, 60_000, 10, 8],
        [3, 0, 60_000, 10, 7],
        [3, 0, 60_000, 10, 7],
    ]
    assert 0 < int(answers[0].headers["x-ratelimit-daily-reset"]) <= 86_400_000
    assert 0 < int(answers[-1].headers["retry-after"]) <= 60
    sandbox.options("rei", retry_after=False)
    assert "retry-after" not in v2("GET", f"/contacts/{WHO}").headers


def test_a_day_has_its_own_limit(sandbox: Sandbox, v2: Call) -> None:
    sandbox.seed()
    sandbox.options("rei", daily_limit=1)
    assert v2("GET", f"/contacts/{WHO}").status_code == 200
    refused = v2("GET", f"/contacts/{WHO}")
    assert (refused.status_code, refused.headers["x-ratelimit-daily-remaining"]) == (429, "0")
    assert int(refused.headers["retry-after"]) > 86_000
    assert rei(sandbox, "GET", f"contacts/{WHO}").status_code == 200


def test_a_wrong_path_is_told_apart_from_a_missing_record(sandbox: Sandbox, v2: Call) -> None:
    wrong = v2("GET", "/contact/nobody")
    assert (wrong.status_code, wrong.json()["message"]) == (404, "Cannot GET /contact/nobody")
    assert v2("PATCH", f"/contacts/{WHO}").json()["message"] == f"Cannot PATCH /contacts/{WHO}"
    missing = v2("GET", "/contacts/nobody")
    assert (missing.status_code, missing.json()["message"]) == (404, "Contact not found")


def test_a_fault_speaks_the_form_of_the_api_that_was_asked(sandbox: Sandbox, v2: Call) -> None:
    sandbox.fault(vendor="rei", status=500, times=2)
    by_v2 = v2("GET", f"/contacts/{WHO}")
    assert {"statusCode", "message", "traceId"} <= by_v2.json().keys()
    assert by_v2.headers["x-ratelimit-max"] == "100"
    assert rei(sandbox, "GET", "tags").json() == {"msg": "Refused on request."}


def test_the_log_keeps_what_v2_answered_and_not_what_a_fault_made_of_it(
    sandbox: Sandbox, v2: Call
) -> None:
    sandbox.seed()
    sandbox.fault(vendor="rei", status=502, when="after")
    assert v2("GET", f"/contacts/{WHO}").status_code == 502
    rei(sandbox, "GET", "tags")
    by_v2, by_v1 = sandbox.requests("rei")
    assert by_v2["answer"]["status"] == 200
    assert by_v2["answer"]["body"]["contact"]["id"] == WHO
    assert by_v2["headers"]["version"] == "2021-07-28"
    assert "answer" not in by_v1
    assert "pit-" not in str(by_v2)

    sandbox.fault(vendor="rei", status=502)
    v2("GET", f"/contacts/{WHO}")
    assert sandbox.requests("rei")[-1]["answer"] is None
