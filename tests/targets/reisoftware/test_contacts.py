"""REI Software's contacts: what comes in as Singer lines stands at the vendor, once."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from singer_sandbox import Sandbox
from tests.calling import rei as rei_v1
from tests.calling import rei_v2
from tests.front_door import JSON, Plugin, Result, adds_up, record, schema
from tests.targets.reisoftware.versions import (
    LOOKUP,
    LOOKUPS,
    READS,
    VERSIONS,
    asked,
    is_v2,
    lookups,
    target,
)

BASICS = ("id", "email", "phone", "firstName")


@pytest.fixture(params=VERSIONS)
def rei(request: pytest.FixtureRequest, sandbox: Sandbox, tmp_path: Path) -> Iterator[Plugin]:
    yield from target(request.param, sandbox, tmp_path)


def contacts(*rows: JSON, key: str = "key", **types: Any) -> list[JSON]:
    """A SCHEMA of the rows' columns, and the rows."""
    names = dict.fromkeys(name for row in rows for name in row)
    properties = {name: types.get(name, {}) for name in names}
    return [schema("contacts", properties, (key,)), *(record("contacts", **row) for row in rows)]


def held(sandbox: Sandbox) -> list[JSON]:
    return list(sandbox.state("rei")["contacts"].values())


def sent(sandbox: Sandbox, *methods: str) -> list[str]:
    """The requests that change something."""
    wanted = methods or ("POST", "PUT", "DELETE")
    return [line for line in asked(sandbox, *wanted) if line not in READS]


def reasons(result: Result) -> list[str]:
    return [message["rejection"]["reason"] for message in result.rejects]


def kinds(result: Result) -> list[str]:
    return [message["rejection"]["kind"] for message in result.rejects]


# --- matching -----------------------------------------------------------------------------------


@pytest.mark.console_script
def test_a_new_contact_is_made_with_two_requests(rei: Plugin) -> None:
    row = {
        "key": "1",
        "email": "Ann@example.com",
        "firstName": "Ann",
        "dnd": True,
        "tags": ["b", "a"],
    }
    rei.sandbox.options("rei", lookup_missing="empty")
    result = rei.run(contacts(row))
    assert result.exit_code == 0, result.stderr
    (contact,) = held(rei.sandbox)
    assert contact["email"] == "Ann@example.com"
    assert contact["firstName"] == "Ann"
    assert contact["dnd"] is True
    assert contact["tags"] == ["a", "b"]
    assert result.counts("contacts") == {"received": 1, "created": 1}
    fields, *others = asked(rei.sandbox)
    assert "ustom" in fields
    assert others == [LOOKUPS[is_v2(rei)], "POST contacts/"]
    assert adds_up(result.report)


@pytest.mark.parametrize("form", ["404", "empty", "absent", "422"])
def test_each_form_of_not_found_means_that_there_is_none(rei: Plugin, form: str) -> None:
    v2_form = {"absent": "empty", "422": "null"}.get(form, form)
    rei.sandbox.options("rei", lookup_missing=form, duplicate_missing=v2_form)
    rows = [{"key": "1", "email": "a@example.com"}, {"key": "2", "phone": "+4930123456"}]
    result = rei.run(contacts(*rows))
    assert result.counts("contacts") == {"received": 2, "created": 2}
    assert len(held(rei.sandbox)) == 2


def test_a_422_about_something_else_is_a_refusal(rei: Plugin) -> None:
    answer = {"location": {"message": "The location is locked.", "rule": "locked"}}
    rei.sandbox.fault(vendor="rei", path=LOOKUP, status=422, answer=answer)
    result = rei.run(contacts({"key": "1", "email": "a@example.com"}))
    assert kinds(result) == ["refused"]
    assert "The location is locked." in reasons(result)[0]
    assert held(rei.sandbox) == []


def test_a_contact_is_matched_by_email_whatever_its_case(rei: Plugin) -> None:
    rei.sandbox.put_state(
        "rei", {"contacts": [{"id": "c1", "email": "ANN@example.com", "city": "Bonn"}]}
    )
    result = rei.run(contacts({"key": "1", "email": "ann@Example.com", "firstName": "Ann"}))
    (contact,) = held(rei.sandbox)
    assert (contact["id"], contact["firstName"], contact["city"]) == ("c1", "Ann", "Bonn")
    assert result.counts("contacts") == {"received": 1, "updated": 1}


def test_a_contact_is_matched_by_phone_whose_plus_arrives(rei: Plugin) -> None:
    rei.sandbox.put_state("rei", {"contacts": [{"id": "c1", "phone": "+4930123456"}]})
    rei.run(contacts({"key": "1", "email": "new@example.com", "phone": "+49 30 123456"}))
    (contact,) = held(rei.sandbox)
    assert (contact["id"], contact["email"]) == ("c1", "new@example.com")
    query, *_ = [e["query"] for e in rei.sandbox.requests("rei") if re.search(LOOKUP, e["path"])]
    assert ("number=%2B49" if is_v2(rei) else "phone=%2B49") in query


def test_a_shared_phone_is_no_match_and_the_reason_names_the_contact(rei: Plugin) -> None:
    rei.sandbox.put_state(
        "rei", {"contacts": [{"id": "c1", "email": "bob@example.com", "phone": "+4930123456"}]}
    )
    result = rei.run(contacts({"key": "1", "email": "ann@example.com", "phone": "+4930123456"}))
    assert kinds(result) == ["invalid"]
    assert "c1" in reasons(result)[0]
    assert sent(rei.sandbox) == []


def test_a_record_without_an_email_is_matched_by_its_phone_alone(rei: Plugin) -> None:
    rei.sandbox.put_state(
        "rei", {"contacts": [{"id": "c1", "email": "bob@example.com", "phone": "+18888888888"}]}
    )
    result = rei.run(contacts({"key": "1", "phone": "(888) 888-8888", "city": "Bonn"}))
    (contact,) = held(rei.sandbox)
    assert (contact["id"], contact["city"]) == ("c1", "Bonn")
    assert result.counts("contacts") == {"received": 1, "updated": 1}


def test_several_contacts_with_one_email_are_not_guessed_among(rei: Plugin) -> None:
    twins = [{"id": "c1", "email": "a@example.com"}, {"id": "c2", "email": "A@example.com"}]
    rei.sandbox.put_state("rei", {"contacts": twins})
    # A lookup of API v2 names one of them, its list both.
    matching = "list" if is_v2(rei) else "lookup"
    result = rei.run(contacts({"key": "1", "email": "a@example.com"}), matching=matching)
    assert kinds(result) == ["invalid"]
    assert "c1, c2" in reasons(result)[0]


def test_an_id_is_updated_without_a_lookup(rei: Plugin) -> None:
    rei.sandbox.put_state("rei", {"contacts": [{"id": "c1", "email": "a@example.com"}]})
    result = rei.run(contacts({"id": "c1", "email": "a@example.com", "city": "Bonn"}, key="id"))
    assert result.counts("contacts") == {"received": 1, "updated": 1}
    assert asked(rei.sandbox) == ["PUT contacts/c1"]


def test_an_update_without_email_and_phone_gets_what_the_vendor_asks_for(rei: Plugin) -> None:
    rei.sandbox.put_state("rei", {"contacts": [{"id": "c1", "email": "a@example.com"}]})
    result = rei.run(contacts({"id": "c1", "city": "Bonn"}, key="id"))
    assert result.counts("contacts") == {"received": 1, "updated": 1}
    assert held(rei.sandbox)[0]["city"] == "Bonn"
    assert held(rei.sandbox)[0]["email"] == "a@example.com"


@pytest.mark.parametrize("status", [404, 400, 422])
def test_an_id_of_its_own_that_is_unknown_is_rejected(rei: Plugin, status: int) -> None:
    rei.sandbox.options("rei", unknown_contact_status=status)
    result = rei.run(contacts({"id": "nobody", "email": "a@example.com"}, key="id"))
    assert result.counts("contacts") == {"received": 1, "rejected": 1}
    assert held(rei.sandbox) == []


def test_a_contact_needs_an_email_or_a_phone_to_be_made(rei: Plugin) -> None:
    result = rei.run(contacts({"key": "1", "firstName": "Ann", "email": None}))
    assert kinds(result) == ["invalid"]
    assert sent(rei.sandbox) == []


def test_two_keys_with_one_email_are_one_contact_and_the_second_is_rejected(rei: Plugin) -> None:
    rows = [{"key": "1", "email": "a@example.com"}, {"key": "2", "email": "A@Example.com"}]
    result = rei.run(contacts(*rows))
    assert len(held(rei.sandbox)) == 1
    assert kinds(result) == ["invalid"]
    assert "1" in reasons(result)[0]


def test_the_second_run_sends_nothing(rei: Plugin) -> None:
    rows = [
        {"key": str(n), "email": f"{n}@example.com", "tags": "vip, me", "dnd": False}
        for n in range(30)
    ]
    rei.run(contacts(*rows))
    rei.sandbox.log(clear=True)
    result = rei.run(contacts(*rows))
    assert result.counts("contacts") == {"received": 30, "unchanged": 30}
    (only,) = asked(rei.sandbox)
    assert "ustom" in only


def test_a_changed_contact_goes_to_the_id_that_the_ledger_knows(rei: Plugin) -> None:
    rei.run(contacts({"key": "1", "email": "a@example.com"}))
    rei.sandbox.log(clear=True)
    rei.run(contacts({"key": "1", "email": "b@example.com"}))
    assert [contact["email"] for contact in held(rei.sandbox)] == ["b@example.com"]
    assert lookups(rei.sandbox) == []


@pytest.mark.parametrize("status", [404, 400, 422])
def test_an_id_that_the_vendor_forgot_is_matched_or_made_anew(rei: Plugin, status: int) -> None:
    rei.sandbox.options("rei", unknown_contact_status=status)
    rei.run(contacts({"key": "1", "email": "a@example.com"}))
    (old,) = held(rei.sandbox)
    rei.sandbox.remove("rei", "contacts", old["id"])
    result = rei.run(contacts({"key": "1", "email": "a@example.com", "city": "Bonn"}))
    (new,) = held(rei.sandbox)
    assert new["id"] != old["id"]
    assert result.counts("contacts") == {"received": 1, "created": 1}


# --- deletes, nulls, modes ----------------------------------------------------------------------


def test_a_delete_deletes_and_a_second_one_is_a_success(rei: Plugin) -> None:
    rei.run(contacts({"key": "1", "email": "a@example.com"}))
    gone = {"key": "1", "email": "a@example.com", "_sdc_deleted_at": "2026-01-01T00:00:00Z"}
    result = rei.run(contacts(gone))
    assert held(rei.sandbox) == []
    assert result.counts("contacts") == {"received": 1, "deleted": 1}
    unknown = {**gone, "key": "2", "email": "b@example.com"}
    assert rei.run(contacts(unknown)).counts("contacts") == {"received": 1, "deleted": 1}


def test_a_delete_does_not_take_somebody_else_with_the_same_phone(rei: Plugin) -> None:
    other = {"id": "c1", "email": "bob@example.com", "phone": "+18888888888"}
    rei.sandbox.put_state("rei", {"contacts": [other]})
    gone = {
        "key": "1",
        "email": "a@example.com",
        "phone": "8888888888",
        "_sdc_deleted_at": "2026-01-01",
    }
    result = rei.run(contacts(gone))
    assert result.counts("contacts") == {"received": 1, "deleted": 1}
    assert len(held(rei.sandbox)) == 1


def test_nulls_are_left_out_or_sent(rei: Plugin) -> None:
    row = {"key": "1", "email": "a@example.com", "city": "Bonn"}
    rei.run(contacts(row))
    rei.run(contacts({**row, "city": None}))
    assert held(rei.sandbox)[0]["city"] == "Bonn"
    rei.run(contacts({**row, "city": None}), nulls="send")
    assert held(rei.sandbox)[0]["city"] is None


def test_mode_update_never_makes_a_contact(rei: Plugin) -> None:
    rei.sandbox.put_state("rei", {"contacts": [{"id": "c1", "email": "a@example.com"}]})
    rows = [
        {"key": "1", "email": "a@example.com", "city": "Bonn"},
        {"key": "2", "email": "b@example.com"},
    ]
    result = rei.run(contacts(*rows), mode="update")
    assert result.counts("contacts") == {"received": 2, "updated": 1, "skipped": 1}
    assert len(held(rei.sandbox)) == 1


def test_mode_create_never_touches_a_contact(rei: Plugin) -> None:
    rei.sandbox.put_state("rei", {"contacts": [{"id": "c1", "email": "a@example.com"}]})
    rows = [
        {"key": "1", "email": "a@example.com", "city": "Bonn"},
        {"key": "2", "email": "b@example.com"},
    ]
    result = rei.run(contacts(*rows), mode="create")
    assert result.counts("contacts") == {"received": 2, "created": 1, "skipped": 1}
    assert "city" not in rei.sandbox.state("rei")["contacts"]["c1"]


def test_a_mirror_removes_the_contact_that_the_source_no_longer_has(rei: Plugin) -> None:
    rei.sandbox.put_state("rei", {"contacts": [{"id": "c1", "email": "theirs@example.com"}]})
    rows = [{"key": str(n), "email": f"{n}@example.com"} for n in range(4)]
    mirror = {"mode": "mirror", "mirror_count": "n"}
    rei.run(contacts(*({**row, "n": 4} for row in rows)), **mirror)
    result = rei.run(contacts(*({**row, "n": 3} for row in rows[:3])), **mirror)
    assert result.counts("contacts") == {"received": 3, "unchanged": 3, "removed": 1}
    assert {contact["email"] for contact in held(rei.sandbox)} == {
        "theirs@example.com", "0@example.com", "1@example.com", "2@example.com",
    }  # fmt: skip


# --- what the tap reads -------------------------------------------------------------------------


def test_what_the_vendor_shows_is_written_back_unchanged_and_then_nothing_is_sent(
    rei: Plugin,
) -> None:
    rei.sandbox.seed()
    shown = listed(rei)
    before = rei.sandbox.state("rei")["contacts"]
    messages = contacts(*shown, key="id")
    result = rei.run(messages, concurrency=8)
    assert result.exit_code == 0, result.stderr
    assert result.counts("contacts") == {"received": 60, "updated": 60}
    assert "left out" not in result.stderr
    after = rei.sandbox.state("rei")["contacts"]
    assert [unstamped(row) for row in after.values()] == [unstamped(row) for row in before.values()]
    rei.sandbox.log(clear=True)
    assert rei.run(messages).counts("contacts") == {"received": 60, "unchanged": 60}
    assert sent(rei.sandbox) == []


def listed(rei: Plugin) -> list[JSON]:
    """All contacts as the vendor shows them."""
    call = rei_v2 if is_v2(rei) else rei_v1
    if is_v2(rei):
        body = {"locationId": rei.config["location_id"], "pageLimit": 100}
        answer = call(rei.sandbox, "POST", "/contacts/search", body)
    else:
        answer = call(rei.sandbox, "GET", "contacts/?limit=100")
    found: list[JSON] = answer.json()["contacts"]
    return found


def unstamped(row: JSON) -> str:
    kept = {
        name: value
        for name, value in row.items()
        if name not in {"dateUpdated", "dnd"} and value is not None
    }
    # A date of API v2 has no time of day.
    dates = {k: v // 86_400_000 for k, v in row["customField"].items() if "Date" in k}
    kept["customField"] = row["customField"] | dates
    return json.dumps(kept | {"dnd": bool(row.get("dnd"))}, sort_keys=True)


def test_the_rate_limit_is_the_vendors_by_default(rei: Plugin) -> None:
    about = rei.finish(rei.start([], "--about", "--format=json"))
    settings = json.loads(about.stdout)["settings"]["properties"]
    assert settings["rate_limit"]["default"] == "100/10s,200000/day"
    assert settings["api_key"]["secret"] is True


def test_a_dry_run_changes_nothing(rei: Plugin) -> None:
    result = rei.run(contacts({"key": "1", "email": "a@example.com"}), dry_run=True)
    assert result.exit_code == 0, result.stderr
    assert sent(rei.sandbox) == []
    assert result.counts("contacts") == {"received": 1, "created": 1}
