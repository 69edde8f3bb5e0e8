"""What API v2 does otherwise than one would think, as far as writing meets it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from singer_sandbox import Sandbox
from tests.calling import rei_v2
from tests.front_door import JSON, Plugin, Result
from tests.targets.reisoftware.test_contacts import contacts, held, kinds, reasons, sent
from tests.targets.reisoftware.test_duplicates import hide
from tests.targets.reisoftware.test_links import campaign, campaign_rows, rows
from tests.targets.reisoftware.test_values import FIELDS, customs
from tests.targets.reisoftware.versions import asked, lookups, target

ANN: JSON = {"id": "c1", "email": "ann@example.com"}


@pytest.fixture
def rei(sandbox: Sandbox, tmp_path: Path) -> Iterator[Plugin]:
    sandbox.put_state("rei", {"custom_fields": FIELDS})
    yield from target("v2", sandbox, tmp_path)
    assert not [line for line in asked(sandbox) if "upsert" in line]


def bodies(rei: Plugin, method: str, path: str = "contacts") -> list[JSON]:
    """The bodies of the requests that change contacts."""
    return [
        request["body"]
        for request in rei.sandbox.requests("rei")
        if request["method"] == method and path in request["path"] and request["body"]
        and "search" not in request["path"]
    ]  # fmt: skip


def run(rei: Plugin, *records: JSON, **config: Any) -> Result:
    return rei.run(contacts(*({"key": str(n), **r} for n, r in enumerate(records))), **config)


# --- bodies ---------------------------------------------------------------------------------------


def test_custom_fields_go_as_a_list_with_ids_and_dates_as_days(rei: Plugin) -> None:
    row = {"email": "ann@example.com", "Sale date": "2024-05-01", "Interests": "sell, rent"}
    assert run(rei, row).exit_code == 0
    (body,) = bodies(rei, "POST")
    assert body["customFields"] == [
        {"id": "f2", "field_value": "2024-05-01"}, {"id": "f4", "field_value": ["sell", "rent"]},
    ]  # fmt: skip
    assert body["locationId"] == rei.config["location_id"]


@pytest.mark.parametrize("name", ["value", "field_value", "fieldValue"])
def test_custom_fields_are_taken_in_v2s_own_forms(rei: Plugin, name: str) -> None:
    row = {"email": "ann@example.com", "customFields": [{"id": "f1", name: "P-1"}]}
    result = run(rei, row)
    assert customs(rei) == [{"f1": "P-1"}]
    assert "left out" not in result.stderr


def test_an_update_has_neither_tags_nor_location_nor_what_the_record_lacks(rei: Plugin) -> None:
    rei.sandbox.put_state("rei", {"contacts": [{**ANN, "tags": ["old"]}]})
    run(rei, {"email": "ann@example.com", "city": "Bonn", "tags": ["new"]})
    assert bodies(rei, "PUT") == [{"email": "ann@example.com", "city": "Bonn"}]
    assert held(rei.sandbox)[0]["tags"] == ["old", "new"]


def test_tags_that_the_contact_has_in_any_case_are_not_sent(rei: Plugin) -> None:
    rei.sandbox.put_state("rei", {"contacts": [{**ANN, "tags": ["vip"]}]})
    run(rei, {"email": "ann@example.com", "tags": ["VIP"]})
    assert sent(rei.sandbox) == ["PUT contacts/c1"]
    assert held(rei.sandbox)[0]["tags"] == ["vip"]


def test_address_is_address1_and_a_contact_name_names_a_new_contact_only(rei: Plugin) -> None:
    rei.sandbox.put_state("rei", {"contacts": [{**ANN, "name": "Ann Lee"}]})
    result = run(
        rei,
        {"email": "ann@example.com", "address": "1 Main St", "contactName": "ann lee"},
        {"email": "bob@example.com", "address": "2 Main St", "contactName": "Bob Ray"},
    )
    assert "left out" not in result.stderr
    ann, bob = held(rei.sandbox)
    assert (ann["address1"], ann["name"]) == ("1 Main St", "Ann Lee")
    assert (bob["address1"], bob["name"]) == ("2 Main St", "Bob Ray")


def test_a_null_clears_what_null_can_clear_and_never_opens_do_not_disturb(rei: Plugin) -> None:
    full = {
        "city": "Bonn", "postalCode": "53111", "country": "DE", "source": "x", "dnd": True,
        "firstName": "Ann", "dateOfBirth": "1990-01-01", "companyName": "A",
    }  # fmt: skip
    rei.sandbox.options("rei", put_company_name=True)
    run(rei, {"email": "ann@example.com", **full})
    result = run(rei, {"email": "ann@example.com", **dict.fromkeys(full)}, nulls="send")
    assert result.counts("contacts") == {"received": 1, "updated": 1}
    (contact,) = held(rei.sandbox)
    assert [contact[name] for name in full if name != "dnd"] == [
        None, "", "", None, None, None, None,
    ]  # fmt: skip
    assert contact["dnd"] is True


def test_a_new_contact_has_no_nulls(rei: Plugin) -> None:
    row = {"email": "ann@example.com", "city": None, "country": None, "Parcel ID": None}
    assert run(rei, row, nulls="send").counts("contacts") == {"received": 1, "created": 1}


# --- what is refused, or ignored without a word ---------------------------------------------------


def test_a_company_that_updates_do_not_take_is_left_out_and_named_once(rei: Plugin) -> None:
    rei.sandbox.put_state("rei", {"contacts": [ANN, {"id": "c2", "email": "bob@example.com"}]})
    some = [{"email": f"{name}@example.com", "companyName": "A", "city": "Bonn"}
            for name in ("ann", "bob", "new")]  # fmt: skip
    result = run(rei, *some, concurrency=1)
    assert result.counts("contacts") == {"received": 3, "created": 1, "updated": 2}
    assert result.stderr.count("'companyName'") == 1
    assert [contact["city"] for contact in held(rei.sandbox)] == ["Bonn"] * 3
    assert held(rei.sandbox)[2]["companyName"] == "A"


def test_a_company_that_updates_do_take_is_sent(rei: Plugin) -> None:
    rei.sandbox.options("rei", put_company_name=True)
    rei.sandbox.put_state("rei", {"contacts": [ANN]})
    run(rei, {"email": "ann@example.com", "companyName": "A"})
    assert held(rei.sandbox)[0]["companyName"] == "A"


@pytest.mark.parametrize("known", [False, True])
def test_a_custom_value_that_the_account_ignores_is_warned_about_once(
    rei: Plugin, known: bool
) -> None:
    rei.sandbox.options("rei", custom_value_name="value")
    some = [{"email": f"{n}@example.com", "Parcel ID": f"P-{n}", "Value": 5} for n in range(3)]
    if known:
        old = [{"id": f"c{n}", "email": f"{n}@example.com", "customField": {"f1": "old"}}
               for n in range(3)]  # fmt: skip
        rei.sandbox.put_state("rei", {"contacts": old})
    result = run(rei, *some)
    assert result.stderr.count("'Parcel ID'") == result.stderr.count("'Value'") == 1
    assert "custom_value_name" in result.stderr
    again = run(rei, *some, full_resync=True, custom_value_name="value")
    assert "did not take" not in again.stderr
    assert customs(rei)[2] == {"f1": "P-2", "f3": 5}


def test_values_that_were_taken_are_not_warned_about_in_any_form(rei: Plugin) -> None:
    rei.sandbox.options("rei", date_values="epoch_ms")
    row = {
        "email": "ann@example.com", "Sale date": "2024-05-01T22:00:00Z", "Value": "12.50",
        "Interests": "rent, sell", "Motivation": "low", "Parcel ID": "0007",
    }  # fmt: skip
    assert "did not take" not in run(rei, row).stderr
    assert "did not take" not in run(rei, {**row, "Value": 13}).stderr
    assert "did not take" not in run(rei, {**row, "Parcel ID": None}, nulls="send").stderr


def test_a_value_that_null_does_not_clear_is_warned_about(rei: Plugin) -> None:
    rei.sandbox.options("rei", custom_value_clearing="empty_text")
    run(rei, {"email": "ann@example.com", "Parcel ID": "P-1"})
    result = run(rei, {"email": "ann@example.com", "Parcel ID": None}, nulls="send")
    assert "'Parcel ID'" in result.stderr


def test_a_contact_that_was_refused_and_made_all_the_same_is_not_made_twice(rei: Plugin) -> None:
    rei.sandbox.options("rei", refused_create_is_kept=True, create_makes_duplicates=True)
    row = {"email": "nonsense", "phone": "+15552010001", "city": "Bonn"}
    result = run(rei, row)
    assert kinds(result) == ["refused"]
    assert len(held(rei.sandbox)) == 1
    result = run(rei, {**row, "email": "ann@example.com"})
    assert result.counts("contacts") == {"received": 1, "updated": 1}
    (contact,) = held(rei.sandbox)
    assert (contact["email"], contact["city"]) == ("ann@example.com", "Bonn")


def test_mode_create_says_that_the_refused_contact_was_made(rei: Plugin) -> None:
    rei.sandbox.options("rei", refused_create_is_kept=True)
    result = run(rei, {"email": "nonsense", "phone": "+15552010001"}, mode="create")
    (contact,) = held(rei.sandbox)
    assert kinds(result) == ["refused"]
    assert contact["id"] in reasons(result)[0]


def test_success_false_is_a_refusal(rei: Plugin) -> None:
    rei.sandbox.put_state(
        "rei", {"contacts": [ANN], "campaigns": [{"id": "spring"}], "workflows": [{"id": "w"}]}
    )
    rei.sandbox.options("rei", success_flags="false")
    entry = rows("contact_workflows", {"key": "1", "contactId": "c1", "workflowId": "w"})
    update = contacts({"key": "1", "id": "c1", "city": "Bonn"}, key="id")
    result = rei.run([*update, *campaign_rows(campaign("c1", "spring")), *entry], first_run=True)
    assert kinds(result) == ["refused"] * 3
    assert "did not succeed" in reasons(result)[0]


@pytest.mark.parametrize("flags", ["succeded", "succeeded", "none"])
def test_success_is_taken_in_every_spelling(rei: Plugin, flags: str) -> None:
    rei.sandbox.put_state("rei", {"contacts": [ANN]})
    rei.sandbox.options("rei", success_flags=flags, create_status=200)
    result = run(rei, {"email": "ann@example.com", "city": "Bonn"}, {"email": "b@example.com"})
    assert result.counts("contacts") == {"received": 2, "updated": 1, "created": 1}


def test_a_contact_of_another_location_is_a_reject_and_not_the_end(rei: Plugin) -> None:
    rei.sandbox.account("rei", "other", api_key="pit-other")
    rei.sandbox.put_state(
        "rei", {"contacts": [{"id": "theirs", "email": "t@example.com"}]}, "other"
    )
    theirs: JSON = {"id": "theirs", "email": "t@example.com"}
    result = rei.run(contacts(theirs, {"id": None, "email": "a@example.com"}, key="email"))
    assert result.counts("contacts") == {"received": 2, "rejected": 1, "created": 1}
    assert "another location" in reasons(result)[0]


# --- who is who -----------------------------------------------------------------------------------


@pytest.mark.parametrize("matching", ["lookup", "list"])
@pytest.mark.parametrize("hidden", [False, True])
def test_a_further_email_of_a_contact_is_no_match(rei: Plugin, matching: str, hidden: bool) -> None:
    more = [{"email": "second@example.com"}]
    rei.sandbox.put_state("rei", {"contacts": [{**ANN, "additionalEmails": more}]})
    if hidden:
        hide(rei.sandbox, times=2)
    result = run(rei, {"email": "second@example.com", "city": "Bonn"}, matching=matching)
    assert kinds(result) == ["invalid"]
    assert "c1" in reasons(result)[0]
    assert held(rei.sandbox)[0]["email"] == "ann@example.com"
    assert "city" not in held(rei.sandbox)[0]


@pytest.mark.parametrize("matching", ["lookup", "list"])
@pytest.mark.parametrize("rule", ["email,phone", "phone,email"])
def test_the_email_comes_before_the_phone_whatever_the_accounts_rule_is(
    rei: Plugin, rule: str, matching: str
) -> None:
    rei.sandbox.options("rei", match_fields=rule, create_makes_duplicates=False)
    rei.sandbox.put_state("rei", {"contacts": [ANN, {"id": "c2", "phone": "+15552010002"}]})
    row = {"email": "ann@example.com", "phone": "+15552010002", "city": "Bonn"}
    result = run(rei, row, matching=matching)
    # The phone is another contact's, which the vendor refuses; neither is changed.
    assert kinds(result) == ["refused"]
    assert "duplicated" in reasons(result)[0]
    assert sent(rei.sandbox) == ["PUT contacts/c1"]


def test_a_contact_that_the_lagging_list_lacks_is_found_by_the_refused_create(
    rei: Plugin,
) -> None:
    rei.sandbox.options("rei", search_lag=60)
    body = {"locationId": rei.config["location_id"], "email": "ann@example.com"}
    rei_v2(rei.sandbox, "POST", "/contacts/", body)
    result = run(rei, {"email": "ann@example.com", "city": "Bonn"}, matching="list")
    assert result.counts("contacts") == {"received": 1, "updated": 1}
    assert held(rei.sandbox)[0]["city"] == "Bonn"
    assert lookups(rei.sandbox) == []


# --- limits ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("retry_after", [True, False])
def test_when_the_days_requests_are_used_up_the_run_names_the_time_to_come_back(
    rei: Plugin, retry_after: bool
) -> None:
    rei.sandbox.options("rei", daily_limit=6, retry_after=retry_after)
    rows = [{"email": f"{n}@example.com"} for n in range(9)]
    result = run(rei, *rows)
    assert result.exit_code == 1
    assert "run again after" in result.error
    rei.sandbox.options("rei", daily_limit=1000)
    assert run(rei, *rows).exit_code == 0
    assert len(held(rei.sandbox)) == 9


# --- bad input ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"location_id": None}, "location_id is missing"),
        ({"location_id": "elsewhere"}, "another location"),
        ({"api_key": "sandbox-rei-key"}, "api_version to v1"),
        ({"api_version": "v1"}, "api_version to v2"),
        ({"api_key": "pit-agency"}, "agency"),
        ({"api_key": "pit-reader"}, "contacts.write"),
        ({"api_key": "pit-unknown"}, "unknown"),
        ({"version_header": "1999-01-01"}, "version_header"),
    ],
)
def test_one_line_says_which_setting_is_wrong(rei: Plugin, settings: JSON, words: str) -> None:
    rei.sandbox.account("rei", "default", api_key="pit-agency", user_type="Company")
    scopes = "contacts.readonly locations/customFields.readonly"
    rei.sandbox.account("rei", "default", api_key="pit-reader", scopes=scopes)
    result = run(rei, {"email": "ann@example.com"}, **settings)
    assert result.exit_code == 1
    assert words in result.error
    assert "\n" not in result.error
    assert held(rei.sandbox) == []


def test_check_says_which_scope_is_missing(rei: Plugin) -> None:
    assert rei.finish(rei.start([], "--check")).exit_code == 0
    scopes = "contacts.write locations/customFields.readonly"
    rei.sandbox.account("rei", "default", api_key="pit-writer", scopes=scopes)
    result = rei.finish(rei.start([], "--check", api_key="pit-writer"))
    assert result.exit_code == 1
    assert "contacts.readonly" in result.stderr
