"""Nobody who said stop is reached: files and the stream `suppressions`, in every target."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from singer_sandbox import Sandbox
from tests.front_door import JSON, Plugin, adds_up, record, schema, state

SUPPRESSIONS = schema("suppressions", ("id", "email", "phone", "_sdc_deleted_at"))
SMS = schema("sms", ("id", "number", "text"))
ENTRIES = schema("automations", ("id", "idContact", "Email", "idAuto"))
MERLIN = schema("contacts", ("key", "Email", "Number", "Fname", "Lname"), ("key",))
PEOPLE = schema("people", ("id", "email", "phone", "_sdc_deleted_at"))
ANN, BOB = "ann@example.com", "bob@example.com"
PHONE = "+16193596440"


def stop(id_: str, **fields: Any) -> JSON:
    return record("suppressions", id=id_, **fields)


@pytest.fixture
def merlin(sandbox: Sandbox, tmp_path: Path, ledger_url: str | None) -> Plugin:
    sandbox.put_state("merlin", {"automations": [{"idAuto": 7}]})
    more = {"database_url": ledger_url} if ledger_url else {}
    return Plugin("target-actionapi", sandbox, tmp_path, first_run=True, **more)


def people_at(sandbox: Sandbox) -> set[str]:
    return {person["email"] for person in sandbox.state("autoreach")["people"].values()}


def texts(sandbox: Sandbox) -> list[str]:
    return [message["text"] for message in sandbox.state("merlin")["sms"]]


def text(id_: str, number: str = PHONE, words: str = "Hello") -> JSON:
    return record("sms", id=id_, number=number, text=words)


@pytest.mark.parametrize("first", [True, False])
def test_suppressions_come_first_whatever_the_order(
    merlin: Plugin, sandbox: Sandbox, first: bool
) -> None:
    suppressed = [SUPPRESSIONS, stop("1", phone="(619) 359-6440")]
    messages = [SMS, text("a"), text("b", "+15551234567", "Other")]
    result = merlin.run([*suppressed, *messages] if first else [*messages, *suppressed])
    assert result.exit_code == 0, result.stderr
    assert texts(sandbox) == ["Other"]
    counts = result.counts("sms")
    assert (counts["skipped"], counts["suppressed"], counts["created"]) == (1, 1, 1)
    assert result.counts("suppressions")["upserted"] == 1
    assert adds_up(result.report)


@pytest.mark.parametrize("first", [True, False])
def test_people_wait_for_suppressions_that_come_after_them(
    people: Plugin, sandbox: Sandbox, first: bool
) -> None:
    rows = [PEOPLE, *(record("people", id=str(n), email=f"p{n}@example.com") for n in range(40))]
    suppressed = [SUPPRESSIONS, stop("1", email="P7@Example.com ")]
    result = people.run([*suppressed, *rows] if first else [*rows, *suppressed])
    assert result.exit_code == 0, result.stderr
    assert len(people_at(sandbox)) == 39
    assert "p7@example.com" not in people_at(sandbox)
    assert result.counts("people")["suppressed"] == 1


def test_they_hold_for_later_runs_and_other_syncs_until_they_are_lifted(
    merlin: Plugin, sandbox: Sandbox
) -> None:
    merlin.run([SUPPRESSIONS, stop("1", phone=PHONE)], sync="warehouse")
    assert merlin.run([SMS, text("a")]).counts("sms")["suppressed"] == 1
    assert texts(sandbox) == []
    lifted = stop("1", _sdc_deleted_at="2026-01-31T12:00:00Z")
    assert merlin.run([SUPPRESSIONS, lifted], sync="warehouse").exit_code == 0
    merlin.run([SMS, text("a")])
    assert texts(sandbox) == ["Hello"]


def test_one_identity_of_two_suppressions_is_lifted_with_the_second(
    merlin: Plugin, sandbox: Sandbox
) -> None:
    result = merlin.run([SUPPRESSIONS, stop("1", phone=PHONE), stop("2", phone="619-359-6440")])
    assert result.counts("suppressions")["upserted"] == 2
    gone = "2026-01-31T12:00:00Z"
    merlin.run([SUPPRESSIONS, stop("1", _sdc_deleted_at=gone), SMS, text("a")])
    assert texts(sandbox) == []
    merlin.run([SUPPRESSIONS, stop("2", _sdc_deleted_at=gone), SMS, text("a")])
    assert texts(sandbox) == ["Hello"]


def test_a_mirror_lifts_what_the_source_no_longer_has(people: Plugin, sandbox: Sandbox) -> None:
    both = schema("suppressions", ("id", "email", "rows"))
    rows = [record("suppressions", id=n, email=f"{n}@example.com", rows="2") for n in "ab"]
    settings: JSON = {"mode": "mirror", "mirror_count": "rows"}
    assert people.run([both, *rows, state(1)], **settings).exit_code == 0
    one = record("suppressions", id="a", email="a@example.com", rows="1")
    result = people.run([both, one, state(2)], **settings)
    assert result.counts("suppressions").get("removed") == 1, result.stderr
    named = [record("people", id=n, email=f"{n}@example.com") for n in "ab"]
    people.run([PEOPLE, *named])
    assert people_at(sandbox) == {"b@example.com"}


def test_a_contact_that_is_named_by_its_id_is_suppressed_by_its_email(
    merlin: Plugin, sandbox: Sandbox
) -> None:
    merlin.run([MERLIN, record("contacts", key="k", Email=ANN, Fname="Ann", Lname="A")])
    (contact,) = sandbox.state("merlin")["contacts"].values()
    entry = record("automations", id="1", idContact=str(contact["idContact"]), idAuto="7")
    result = merlin.run([SUPPRESSIONS, stop("1", email=ANN), ENTRIES, entry])
    assert result.counts("automations")["suppressed"] == 1, result.stderr
    assert sandbox.state("merlin")["automation_entries"] == []


def test_upserts_of_crm_contacts_and_deletes_still_go(
    merlin: Plugin, people: Plugin, sandbox: Sandbox
) -> None:
    suppressed = [SUPPRESSIONS, stop("1", email=ANN)]
    contact = record("contacts", key="k", Email=ANN, Fname="Ann", Lname="A")
    merlin.run([*suppressed, MERLIN, contact])
    assert len(sandbox.state("merlin")["contacts"]) == 1
    people.run([PEOPLE, record("people", id="1", email=ANN)])
    gone = record("people", id="1", email=ANN, _sdc_deleted_at="2026-01-31T12:00:00Z")
    assert people.run([*suppressed, PEOPLE, gone]).counts("people")["deleted"] == 1
    assert people_at(sandbox) == set()


def test_one_that_becomes_suppressed_while_it_waits_is_not_sent(
    merlin: Plugin, sandbox: Sandbox
) -> None:
    sandbox.fault(vendor="merlin", hold="first", times=1)
    process = merlin.start(
        [SMS, text("a", "+15551234567", "First"), text("b")], concurrency=1, rate_limit=""
    )
    sandbox.wait_held("first")
    assert merlin.run([SUPPRESSIONS, stop("1", phone=PHONE)], sync="other").exit_code == 0
    sandbox.release("first")
    result = merlin.finish(process)
    assert texts(sandbox) == ["First"]
    assert result.counts("sms")["suppressed"] == 1


def test_a_held_message_is_not_sent_once_its_number_is_suppressed(
    merlin: Plugin, sandbox: Sandbox
) -> None:
    merlin.run([SMS, text("a")], quiet_hours="00:00-23:59 UTC")
    result = merlin.run([SUPPRESSIONS, stop("1", phone=PHONE)])
    assert texts(sandbox) == []
    assert result.rejects == []
    assert result.report["streams"]["sms"]["retried"]["suppressed"] == 1


def test_an_uncertain_message_is_not_resent_before_suppressions_of_the_run_are_read(
    merlin: Plugin, sandbox: Sandbox
) -> None:
    sandbox.fault(vendor="merlin", body="SMS", times=1, drop=True, when="before")
    merlin.run([SMS, text("a")])
    result = merlin.run([SMS, SUPPRESSIONS, stop("1", phone=PHONE)], uncertain="resend")
    assert texts(sandbox) == []
    assert result.report["streams"]["sms"]["retried"]["suppressed"] == 1


def test_what_a_dead_run_left_waits_for_suppressions_that_keys_names(
    people: Plugin, sandbox: Sandbox
) -> None:
    people.dying("after_pending").run([PEOPLE, record("people", id="1", email=ANN)])
    others = [record("people", id=f"x{n}", email=f"p{n}@example.com") for n in range(1000)]
    messages = [PEOPLE, *others, SUPPRESSIONS, stop("1", email=ANN), state(1)]
    result = people.run(messages, keys={"people": ["id"], "suppressions": ["id"]})
    assert result.exit_code == 0, result.stderr
    assert ANN not in people_at(sandbox)
    assert len(people_at(sandbox)) == 1000
    assert len(result.states) == 1


def test_files_are_read_beside_the_stream(merlin: Plugin, sandbox: Sandbox, tmp_path: Path) -> None:
    (tmp_path / "dnc.csv").write_text("\ufeffName;Mobile\nAnn;(619) 359-6440\n")
    (tmp_path / "more.txt").write_text("5551234567\n")
    files = [str(tmp_path / "dnc.csv"), str(tmp_path / "more.txt")]
    rows = [SMS, text("a"), text("b", "+15551234567"), text("c", "+15559999999", "Third")]
    result = merlin.run(rows, suppression=files)
    assert texts(sandbox) == ["Third"]
    assert result.counts("sms")["suppressed"] == 2
    assert "2 entries" in result.stderr


def test_a_line_that_is_no_entry_stops_before_anything_is_sent(
    merlin: Plugin, sandbox: Sandbox, tmp_path: Path
) -> None:
    (tmp_path / "dnc.csv").write_text("ann@example.com\nnobody\n")
    result = merlin.run([SMS, text("a")], suppression=str(tmp_path / "dnc.csv"))
    assert result.exit_code == 1
    assert "dnc.csv, line 2" in result.error
    assert texts(sandbox) == []


def test_a_dry_run_says_how_many_it_would_stop(merlin: Plugin, sandbox: Sandbox) -> None:
    rows = [SUPPRESSIONS, stop("1", phone=PHONE), SMS, text("a"), text("b", "+15551234567")]
    result = merlin.run(rows, dry_run=True)
    assert result.exit_code == 0, result.stderr
    assert result.counts("sms")["suppressed"] == 1
    assert texts(sandbox) == []
    assert merlin.run([SMS, text("a")]).counts("sms")["created"] == 1


def test_a_record_with_neither_is_rejected_and_its_neighbours_count(
    merlin: Plugin, sandbox: Sandbox
) -> None:
    result = merlin.run([SUPPRESSIONS, stop("1", email=" "), stop("2", phone=PHONE)])
    (reject,) = result.rejects
    assert reject["rejection"]["kind"] == "invalid"
    assert "neither an email nor a phone" in reject["rejection"]["reason"]
    assert merlin.run([SMS, text("a")]).counts("sms")["suppressed"] == 1


def test_stream_maps_make_suppressions_of_another_stream(kasplo: Plugin, sandbox: Sandbox) -> None:
    contacts = schema("contacts", ("email", "first_name", "dnd"), ("email",))
    rows = [
        record("contacts", email=ANN, first_name="Ann", dnd="yes"),
        record("contacts", email=BOB, first_name="Bob", dnd=""),
    ]
    maps = {
        "suppressions": {"__source__": "contacts", "__filter__": "dnd", "email": "email"},
        "contacts": {},
    }
    result = kasplo.run([contacts, *rows], stream_maps=maps)
    assert result.exit_code == 0, result.stderr
    assert result.counts("contacts").get("suppressed") == 1, result.stderr
    there = {contact["email"] for contact in sandbox.state("kasplo")["contacts"].values()}
    assert there == {BOB}


def test_a_check_says_how_many_entries_there_are_and_from_where(
    merlin: Plugin, sandbox: Sandbox, tmp_path: Path
) -> None:
    (tmp_path / "dnc.csv").write_text("ann@example.com\n5551234567\n")
    merlin.run([SUPPRESSIONS, stop("1", phone=PHONE)])
    result = merlin.run([], "--check", suppression=str(tmp_path / "dnc.csv"))
    assert result.exit_code == 0, result.stderr
    assert "3 entries" in result.stderr
    assert "dnc.csv: 2, stream suppressions: 1" in result.stderr
    (tmp_path / "dnc.csv").write_text("nobody\n")
    result = merlin.run([], "--check", suppression=str(tmp_path / "dnc.csv"))
    assert result.exit_code == 1
    assert "dnc.csv, line 1" in result.stderr


def test_a_list_without_a_key_is_known_by_email_and_phone(
    merlin: Plugin, people: Plugin, sandbox: Sandbox
) -> None:
    rows = [
        schema("suppressions", ("email", "phone"), ()),
        record("suppressions", email=None, phone=PHONE),
        record("suppressions", email=ANN, phone=""),
        record("suppressions", email=BOB, phone="5551234567"),
    ]
    assert merlin.run(rows).counts("suppressions")["upserted"] == 3
    assert merlin.run(rows).counts("suppressions")["unchanged"] == 3
    numbers = [SMS, text("a"), text("b", "+15551234567"), text("c", "+15559999999", "Third")]
    assert merlin.run(numbers).counts("sms")["suppressed"] == 2
    assert texts(sandbox) == ["Third"]


def test_explain_tells_who_is_suppressed(merlin: Plugin, sandbox: Sandbox, tmp_path: Path) -> None:
    (tmp_path / "dnc.csv").write_text("bob@example.com\n")
    contact = record("contacts", key="k", Email=ANN, Number=PHONE, Fname="Ann", Lname="A")
    merlin.run([SUPPRESSIONS, stop("1", phone=PHONE), MERLIN, contact])
    for text in ("k", "Ann@Example.com", "(619) 359-6440"):
        said = merlin.run([], "--explain", text).stdout
        assert "Suppressed, by the stream suppressions" in said, said
    said = merlin.run([], "--explain", BOB, suppression=str(tmp_path / "dnc.csv")).stdout
    assert "Suppressed, by" in said
    assert "dnc.csv" in said
    assert "Not suppressed" in merlin.run([], "--explain", "cy@example.com").stdout
