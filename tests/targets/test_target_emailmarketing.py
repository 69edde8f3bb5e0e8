"""target-emailmarketing: contacts into lists, a hundred at a time, matched by email."""

from __future__ import annotations

from pathlib import Path

import pytest

from singer_sandbox import Sandbox
from tests.front_door import JSON, Plugin, adds_up, record, schema, state
from tests.subscribers import (
    KEY,
    NEWS,
    SCHEMA,
    SID,
    answered,
    contact,
    contacts_at,
    many,
    posts,
    reasons,
)

# --- delivery ---------------------------------------------------------------------------------


@pytest.mark.console_script
def test_contacts_are_accepted_a_hundred_at_a_time_and_state_follows(
    kasplo: Plugin, sandbox: Sandbox
) -> None:
    result = kasplo.run([SCHEMA, *many(250, first_name="Ann"), state({"at": 1})])
    assert result.exit_code == 0, result.stderr
    assert result.counts("contacts") == {"received": 250, "upserted": 250}
    assert result.states == [{"at": 1}]
    assert max(r["items"] for r in posts(sandbox)) <= 100
    held = contacts_at(sandbox)
    assert len(held) == 250
    assert held[f"{NEWS}/p7@example.com"]["first_name"] == "Ann"
    assert adds_up(result.report)


def test_a_second_run_sends_nothing(kasplo: Plugin, sandbox: Sandbox) -> None:
    kasplo.run([SCHEMA, *many(30)])
    sent = len(posts(sandbox))
    result = kasplo.run([SCHEMA, *many(30)])
    assert result.counts("contacts") == {"received": 30, "unchanged": 30}
    assert len(posts(sandbox)) == sent


@pytest.mark.parametrize(("order", "case"), [("as_sent", "lower"), ("reversed", "as_sent")])
def test_results_are_matched_by_email_and_never_by_position(
    kasplo: Plugin, sandbox: Sandbox, order: str, case: str
) -> None:
    sandbox.options("kasplo", answer_order=order, answer_email=case, accepted_status=200)
    rows = [contact(f"Good{i}@Example.com") for i in range(9)]
    bad = [contact("Bad One"), contact("bad.two")]
    result = kasplo.run([SCHEMA, *rows[:3], bad[0], *rows[3:8], bad[1], rows[8]])
    assert result.counts("contacts") == {"received": 11, "upserted": 9, "rejected": 2}
    assert reasons(result.rejects) == {
        "Bad One": ("refused", "Invalid email"),
        "bad.two": ("refused", "Invalid email"),
    }
    assert len(contacts_at(sandbox)) == 9
    assert kasplo.run([SCHEMA, *rows]).counts("contacts")["unchanged"] == 9


def test_the_same_email_in_valid_and_invalid_is_accepted(kasplo: Plugin, sandbox: Sandbox) -> None:
    twin = {"email": "A@example.com", "string": "Contact already exists in request, not unique"}
    data = {"valid_contacts": [{"email": "a@example.com"}], "invalid_contacts": [twin]}
    answered(sandbox, {"status": 202, "data": data})
    result = kasplo.run([SCHEMA, contact("a@example.com")])
    assert result.counts("contacts") == {"received": 1, "upserted": 1}


def test_the_reason_may_stand_under_several_names(kasplo: Plugin, sandbox: Sandbox) -> None:
    names = ("string", "reason", "message", "error")
    invalid = [{"email": f"{name}@example.com", name: f"Too odd: {name}"} for name in names]
    answered(sandbox, {"data": {"invalid_contacts": invalid}})
    result = kasplo.run([SCHEMA, *(contact(f"{name}@example.com") for name in names)])
    assert reasons(result.rejects) == {
        f"{name}@example.com": ("refused", f"Too odd: {name}") for name in names
    }


def test_a_contact_that_the_answer_does_not_mention_is_no_success(
    kasplo: Plugin, sandbox: Sandbox
) -> None:
    answered(sandbox, {"status": 202, "data": {"valid_contacts": [], "invalid_contacts": []}})
    result = kasplo.run([SCHEMA, contact("a@example.com")])
    assert "neither" in reasons(result.rejects)["a@example.com"][1]
    result = kasplo.run([SCHEMA, contact("a@example.com")])
    assert result.counts("contacts") == {"received": 1, "upserted": 1}
    assert result.rejects == []


@pytest.mark.parametrize("answer", [{}, {"status": 202}, {"status": 400, "message": "Quota"}])
def test_an_answer_of_another_shape_is_no_success(
    kasplo: Plugin, sandbox: Sandbox, answer: JSON
) -> None:
    sandbox.fault(vendor="kasplo", method="POST", status=200, answer=answer)
    result = kasplo.run([SCHEMA, contact("a@example.com")])
    assert reasons(result.rejects)["a@example.com"][0] == "refused"
    assert contacts_at(sandbox) == {}


def test_an_invalid_contact_after_a_lost_answer_may_have_been_updated(
    kasplo: Plugin, sandbox: Sandbox
) -> None:
    first, other = (contact("a@example.com", first_name=name) for name in ("Ann", "Other"))
    kasplo.run([SCHEMA, first])
    invalid = {"invalid_contacts": [{"email": "a@example.com", "string": "busy"}]}
    sandbox.fault(vendor="kasplo", method="POST", when="after", status=503)
    answer = {"data": {**invalid, "valid_contacts": []}}
    sandbox.fault(vendor="kasplo", method="POST", after=1, status=200, answer=answer)
    result = kasplo.run([SCHEMA, other])
    assert reasons(result.rejects) == {"a@example.com": ("refused", "busy")}
    kasplo.run([SCHEMA, first])
    assert contacts_at(sandbox)[f"{NEWS}/a@example.com"]["first_name"] == "Ann"


def test_a_lost_answer_is_sent_again_since_nothing_changes_by_it(
    kasplo: Plugin, sandbox: Sandbox
) -> None:
    faults: list[JSON] = [{"drop": True}, {"status": 502}, {"cut_json": True}]
    for i, fault in enumerate(faults):
        sandbox.fault(vendor="kasplo", method="POST", when="after", after=i, **fault)
    sandbox.fault(vendor="kasplo", method="POST", when="before", after=3, drop=True)
    result = kasplo.run([SCHEMA, *many(8)])
    assert result.counts("contacts") == {"received": 8, "upserted": 8}
    assert sandbox.state("kasplo")["counters"]["contacts_created"] == 8


def test_too_many_requests_are_waited_for(kasplo: Plugin, sandbox: Sandbox) -> None:
    sandbox.fault(vendor="kasplo", method="POST", status=429, retry_after=1)
    result = kasplo.run([SCHEMA, *many(3)])
    assert result.counts("contacts") == {"received": 3, "upserted": 3}


def test_a_killed_run_is_finished_by_the_next_one(kasplo: Plugin, sandbox: Sandbox) -> None:
    sandbox.fault(vendor="kasplo", method="POST", when="after", hold="post", times=None)
    process = kasplo.start([SCHEMA, *many(40)])
    sandbox.wait_held("post", 1)
    process.kill()
    process.communicate()
    sandbox.clear_faults()
    sandbox.release("post")
    result = kasplo.run([SCHEMA, *many(40)])
    assert result.exit_code == 0, result.stderr
    assert len(contacts_at(sandbox)) == 40
    assert sandbox.state("kasplo")["counters"]["contacts_created"] == 40


def test_two_keys_with_one_email_are_one_contact(kasplo: Plugin, sandbox: Sandbox) -> None:
    columns = schema("contacts", ("id", "email", "first_name"))
    rows = [
        record("contacts", id="1", email="Ann@example.com", first_name="1"),
        record("contacts", id="2", email="ann@EXAMPLE.com", first_name="2"),
    ]
    result = kasplo.run([columns, *rows])
    assert result.counts("contacts") == {"received": 2, "upserted": 1, "rejected": 1}
    assert "key 1 " in result.rejects[0]["rejection"]["reason"]
    assert sandbox.counts()["max_same_identity_writes"]["kasplo"]["count"] == 1
    assert len(contacts_at(sandbox)) == 1


# --- modes, deletes, suppression --------------------------------------------------------------


def test_create_never_touches_who_is_there(kasplo: Plugin, sandbox: Sandbox) -> None:
    there = {"email": "a@example.com", "list_id": NEWS, "first_name": "Old", "status": 2}
    sandbox.put_state("kasplo", {"contacts": [there]})
    rows = [
        SCHEMA,
        contact("A@example.com", first_name="New"),
        contact("b@example.com", first_name="New"),
    ]
    result = kasplo.run(rows, mode="create")
    assert result.counts("contacts") == {"received": 2, "upserted": 1, "skipped": 1}
    held = contacts_at(sandbox)[f"{NEWS}/a@example.com"]
    assert (held["first_name"], held["status"]) == ("Old", 2)
    assert result.rejects == []


def test_without_update_subscribers_who_is_there_is_refused(
    kasplo: Plugin, sandbox: Sandbox
) -> None:
    sandbox.put_state("kasplo", {"contacts": [{"email": "a@example.com", "list_id": NEWS}]})
    result = kasplo.run(
        [SCHEMA, contact("a@example.com", first_name="New")], update_subscribers=False
    )
    assert reasons(result.rejects) == {"a@example.com": ("refused", "Contact already exists")}


@pytest.mark.parametrize("mode", ["update", "mirror"])
def test_update_and_mirror_are_refused_at_configuration(
    kasplo: Plugin, sandbox: Sandbox, mode: str
) -> None:
    result = kasplo.run([], mode=mode, mirror_count="trust")
    assert result.exit_code == 1
    assert f"mode {mode}" in result.error
    assert "create" in result.error


def test_a_delete_is_rejected_with_the_reason(kasplo: Plugin, sandbox: Sandbox) -> None:
    result = kasplo.run([SCHEMA, contact("a@example.com", _sdc_deleted_at="2026-01-01T00:00:00Z")])
    kind, reason = reasons(result.rejects)["a@example.com"]
    assert kind == "invalid"
    assert "delete" in reason
    assert posts(sandbox) == []


def test_suppressed_emails_are_never_sent_whatever_their_case(
    kasplo: Plugin, sandbox: Sandbox, tmp_path: Path
) -> None:
    file = tmp_path / "suppressed.txt"
    file.write_text("\ufeffAnn@Example.com\n\n  BOB@example.com \n", "utf-8")
    rows = [
        SCHEMA,
        contact("ANN@example.com"),
        contact("bob@example.com"),
        contact("c@example.com"),
    ]
    result = kasplo.run(rows, suppression=str(file))
    assert result.counts("contacts") == {
        "received": 3,
        "skipped": 2,
        "suppressed": 2,
        "upserted": 1,
    }
    assert list(contacts_at(sandbox)) == [f"{NEWS}/c@example.com"]
    sandbox.put_state("kasplo", {"custom_fields": [{"name": "age", "required": 1}]})
    result = kasplo.run(rows[:2], suppression=str(file))
    assert result.counts("contacts") == {"received": 1, "skipped": 1, "suppressed": 1}
    assert result.rejects == []


def test_a_suppression_file_that_is_not_there_stops_the_run(
    kasplo: Plugin, sandbox: Sandbox
) -> None:
    result = kasplo.run([SCHEMA, *many(3)], suppression="nowhere.txt")
    assert result.exit_code == 1
    assert "suppression" in result.error
    assert posts(sandbox) == []


# --- settings and secrets ---------------------------------------------------------------------


def test_the_audience_part_of_the_address_may_be_given_or_left_out(
    kasplo: Plugin, sandbox: Sandbox
) -> None:
    result = kasplo.run(
        [SCHEMA, contact("a@example.com")], api_url=f"{sandbox.url}/kasplo/audience/v1/"
    )
    assert result.counts("contacts") == {"received": 1, "upserted": 1}
    result = kasplo.run([SCHEMA, contact("a@example.com")])
    assert result.counts("contacts") == {"received": 1, "unchanged": 1}


@pytest.mark.parametrize("wrong", [{"sid": "other-sid-4711"}, {"api_key": "other-key-4711"}])
def test_wrong_credentials_stop_the_run(kasplo: Plugin, wrong: JSON) -> None:
    result = kasplo.run([SCHEMA, contact("a@example.com")], **wrong)
    assert result.exit_code == 1
    assert "api_key" in result.error
    assert "4711" not in result.stderr


@pytest.mark.console_script
def test_no_log_line_shows_the_sid_or_the_key(
    kasplo: Plugin, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LOGLEVEL", "DEBUG")
    monkeypatch.setenv("TARGET_EMAILMARKETING_LOGLEVEL", "DEBUG")
    answer = {"message": f"no luck at /audience/v1/{SID}/contact with {KEY}"}
    sandbox.fault(vendor="kasplo", method="POST", status=405, answer=answer)
    result = kasplo.run([SCHEMA, contact("a@example.com")])
    assert result.exit_code == 1
    assert "no luck" in result.error
    result = kasplo.run([SCHEMA, contact("a@example.com")])
    assert "/contact" in result.stderr
    for path in kasplo.work_dir.rglob("*"):
        if path.is_file():
            assert SID.encode() not in path.read_bytes()
            assert KEY.encode() not in path.read_bytes()
    assert SID not in result.stderr
    assert KEY not in result.stderr


def test_a_dry_run_sends_nothing_and_shows_some_of_it(kasplo: Plugin, sandbox: Sandbox) -> None:
    result = kasplo.run([SCHEMA, *many(9), contact("x@example.com", list="Newz")], dry_run=True)
    counts = result.counts("contacts")
    assert (counts["received"], counts["upserted"], counts["rejected"]) == (10, 9, 1)
    assert posts(sandbox) == []
    assert "contacts: would be upserted" in result.stderr
    assert "p0@example.com" not in result.stderr
