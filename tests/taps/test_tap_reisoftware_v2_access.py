"""tap-reisoftware by API v2: what is wrong with the settings is one line that names the setting."""

from __future__ import annotations

from typing import Any

import pytest

from singer_sandbox import Sandbox
from tap_reisoftware.tap import TapReiSoftware
from tests.contacts import only_v1, only_v2
from tests.front_door import JSON
from tests.tapping import Tap, only

OTHER = "pit-other"
SCOPES = {
    "contacts": "contacts.readonly",
    "custom_fields": "locations/customFields.readonly",
    "tags": "locations/tags.readonly",
    "workflows": "workflows.readonly",
    "campaigns": "campaigns.readonly",
}


@only_v2
@pytest.mark.parametrize("location", [None, "", "  "])
def test_a_location_is_needed(sandbox: Sandbox, rei: Tap, location: Any) -> None:
    error = rei.run(location_id=location).error
    assert "setting location_id is missing: API v2 needs" in error
    assert sandbox.requests("rei") == []


@only_v1
def test_a_token_of_v2_is_not_sent_to_v1(sandbox: Sandbox, rei: Tap) -> None:
    error = rei.run(api_key="pit-0000").error
    assert "setting api_key is a private integration token" in error
    assert "set api_version to v2" in error
    assert "pit-0000" not in error
    assert sandbox.requests("rei") == []


@only_v2
def test_a_key_of_v1_is_named_when_v2_refuses_it(rei: Tap) -> None:
    error = rei.run(api_key="sandbox-rei-key").error
    assert "HTTP 401: Invalid JWT" in error
    assert "API v2 needs a private integration token (pit-...) in api_key" in error
    assert "set api_version to v1" in error


@only_v1
def test_settings_that_are_empty_are_not_set(sandbox: Sandbox, rei: Tap, contacts: JSON) -> None:
    sandbox.fill("rei", contacts=2)
    done = rei.read(catalog=contacts, api_version="", location_id="")
    assert len(done.records("contacts")) == 2


@only_v1
def test_the_address_of_v2_needs_that_version(rei: Tap) -> None:
    error = rei.run(api_url="https://services.leadconnectorhq.com").error
    assert "api_url is the address of API v2" in error


@only_v1
def test_another_address_of_v2_shows_itself(sandbox: Sandbox, rei: Tap) -> None:
    error = rei.run(api_url=f"{sandbox.url}/rei/v2").error
    assert "version header was not found." in error
    assert "set api_version to v2" in error


@only_v2
def test_the_address_of_v1_needs_that_version(sandbox: Sandbox, rei: Tap) -> None:
    error = rei.run(api_url=f"{sandbox.url}/rei/v1").error
    assert "api_url is an address of API v1" in error
    assert sandbox.requests("rei") == []


@pytest.mark.parametrize("given", [None, ""])
@pytest.mark.parametrize(
    ("version", "url"),
    [
        ("v1", "https://rest.reisoftware.com/v1"),
        ("v2", "https://services.leadconnectorhq.com"),
    ],
    indirect=["version"],
)
def test_the_address_goes_by_the_version(
    rei: Tap, version: str, url: str, given: str | None
) -> None:
    tap = TapReiSoftware(config={**rei.config, "api_url": given})
    assert tap.client.base_url == url
    assert (tap.account == "C2QujeCh8ZnC7al2InWR") == (version == "v2")


@only_v2
@pytest.mark.parametrize(
    ("words", "advice"),
    [
        ("Invalid Private Integration token", "copied wrong, rotated or deleted"),
        ("The token has expired", "the token in api_key has expired: make a new one"),
        ("Invalid JWT", "API v2 needs a private integration token (pit-...) in api_key"),
        ("Token's user type mismatch!", "the token in api_key is an agency's"),
        ("This authClass type is not allowed to access this scope.", "is an agency's"),
        (
            "The token is not authorized for this scope.",
            "POST /contacts/search needs the scope contacts.readonly",
        ),
        ("version header is invalid", "check version_header"),
        ("version header was not found.", "check version_header"),
    ],
)
def test_each_cause_of_a_401_has_its_own_line(
    sandbox: Sandbox, rei: Tap, contacts: JSON, words: str, advice: str
) -> None:
    answer = {"statusCode": 401, "message": words, "error": "Unauthorized", "traceId": "t-1"}
    sandbox.fault(vendor="rei", status=401, answer=answer, times=None)
    error = rei.run(catalog=contacts).error
    assert f"HTTP 401: {words}" in error
    assert advice in error
    assert "traceId t-1" in error
    assert len(sandbox.requests("rei")) == 1  # no try is worth another


@only_v2
@pytest.mark.parametrize(("stream", "scope"), SCOPES.items())
def test_a_missing_scope_is_named(sandbox: Sandbox, rei: Tap, stream: str, scope: str) -> None:
    scopes = " ".join(set(SCOPES.values()) - {scope})
    sandbox.account("rei", "default", api_key=OTHER, scopes=scopes)
    error = rei.run(catalog=only(rei.discover(), stream), api_key=OTHER).error
    assert f"needs the scope {scope}: add it to the private integration of api_key" in error


@only_v2
def test_an_agencys_token_is_named(sandbox: Sandbox, rei: Tap) -> None:
    sandbox.account("rei", "default", api_key=OTHER, user_type="Company")
    assert "the token in api_key is an agency's" in rei.run(api_key=OTHER).error


@only_v2
@pytest.mark.parametrize("stream", SCOPES)
def test_a_token_of_another_location_is_named(sandbox: Sandbox, rei: Tap, stream: str) -> None:
    sandbox.account("rei", "other", api_key=OTHER)
    error = rei.run(catalog=only(rei.discover(), stream), api_key=OTHER).error
    assert "HTTP 403: The token does not have access to this location." in error
    assert "the token in api_key belongs to another location than location_id names" in error


@only_v2
def test_a_firewalls_refusal_is_not_taken_for_the_vendors(sandbox: Sandbox, rei: Tap) -> None:
    sandbox.fault(vendor="rei", html=403, answer="<h1>Error 1010</h1>", times=None)
    error = rei.run().error
    assert "a firewall's" in error
    assert "api_key" not in error


@only_v2
@pytest.mark.parametrize("status", [401, 400])
def test_an_unknown_version_names_its_setting(sandbox: Sandbox, rei: Tap, status: int) -> None:
    sandbox.options("rei", unknown_version_status=status)
    error = rei.run(version_header="2035-01-01").error
    assert f"HTTP {status}" in error
    assert "check version_header" in error


@only_v2
def test_a_newer_version_can_be_asked_for(sandbox: Sandbox, rei: Tap, contacts: JSON) -> None:
    sandbox.seed()
    assert len(rei.read(catalog=contacts, version_header="v3").records("contacts")) == 60
    assert {r["headers"]["version"] for r in sandbox.requests("rei")} == {"v3"}


@only_v2
def test_a_path_that_is_not_there_is_no_missing_contact(sandbox: Sandbox, rei: Tap) -> None:
    answer = {"statusCode": 404, "message": "Cannot GET /contacts/x/appointments"}
    sandbox.seed()
    sandbox.fault(vendor="rei", path="appointments", status=404, answer=answer, times=None)
    error = rei.run().error
    assert "this is not the address of API v2: check api_url" in error


@only_v2
def test_a_used_up_day_says_when_to_come_back(sandbox: Sandbox, rei: Tap, contacts: JSON) -> None:
    sandbox.fill("rei", contacts=500)
    sandbox.options("rei", daily_limit=3)
    error = rei.run(catalog=contacts).error
    assert "longer than max_wait" in error
    assert "run again after" in error
