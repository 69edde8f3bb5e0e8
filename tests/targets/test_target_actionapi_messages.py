"""target-actionapi's automations, calls and SMS: done once, or not at all."""

from __future__ import annotations

import datetime
import json
from pathlib import Path
from typing import Any

import pytest

from singer_sandbox import Sandbox
from tests.front_door import JSON, Plugin, adds_up, record, schema

SMS = schema("sms", ("id", "number", "text", "_sdc_deleted_at"))
CALLS = schema("calls", ("id", "number", "text"))
CONTACTS = schema("contacts", ("key", "Email", "Number", "Fname"), ("key",))
ENTRIES = schema("automations", ("id", "idContact", "Email", "Number", "idAuto"))
NUMBER = "+16193596440"


@pytest.fixture
def merlin(sandbox: Sandbox, tmp_path: Path) -> Plugin:
    sandbox.put_state("merlin", {"automations": [{"idAuto": 7}, {"idAuto": 8, "on": False}]})
    return Plugin("target-actionapi", sandbox, tmp_path, first_run=True)


def sms(id_: int | str, number: Any = NUMBER, text: Any = "Hello", **fields: Any) -> JSON:
    return record("sms", id=str(id_), number=number, text=text, **fields)


def entry(id_: str, **fields: Any) -> JSON:
    return record("automations", id=id_, **fields)


def texts(sandbox: Sandbox, kind: str = "sms") -> list[str]:
    return [message["text"] for message in sandbox.state("merlin")[kind]]


def entries(sandbox: Sandbox) -> list[tuple[int, int]]:
    found = sandbox.state("merlin")["automation_entries"]
    return [(e["idContact"], e["idAuto"]) for e in found]


def kinds(rejects: list[JSON]) -> list[str]:
    return [r["rejection"]["kind"] for r in rejects]


def reason(result: Any) -> str:
    return str(result.rejects[0]["rejection"]["reason"])


def hours(start: int, end: int) -> str:
    """Quiet hours from so many minutes before or after now, in UTC."""
    now = datetime.datetime.now(datetime.UTC)
    ends = (now + datetime.timedelta(minutes=m) for m in (start, end))
    return "{:%H:%M}-{:%H:%M} UTC".format(*ends)


# --- once -------------------------------------------------------------------------------------


def test_calls_and_sms_go_out_once(merlin: Plugin, sandbox: Sandbox) -> None:
    rows = [SMS, CALLS, sms(1), record("calls", id="1", number=NUMBER, text="Ring")]
    result = merlin.run(rows)
    assert result.counts("sms") == result.counts("calls") == {"received": 1, "created": 1}
    result = merlin.run(rows, first_run=False)
    assert result.counts("sms") == {"received": 1, "unchanged": 1}
    result = merlin.run(rows, full_resync=True)
    assert result.counts("sms") == {"received": 1, "unchanged": 1}
    assert (texts(sandbox), texts(sandbox, "calls")) == (["Hello"], ["Ring"])


def test_without_a_message_url_messages_go_to_api_url(merlin: Plugin, sandbox: Sandbox) -> None:
    merlin.run([SMS, sms(1)], message_url=None)
    assert texts(sandbox) == ["Hello"]
    assert sandbox.requests("merlin")[0]["path"].rstrip("/").endswith("/flex/API")


def test_every_form_of_a_success_is_understood(merlin: Plugin, sandbox: Sandbox) -> None:
    forms = [
        {"status": "success"}, {"Status": "OK"}, {"status": "success", "message": "Done"}, "OK",
        "success", True, 1, 4711, "4711", {"id": 5}, [{"status": "ok"}], "Sent.",
    ]  # fmt: skip
    for i, form in enumerate(forms):
        sandbox.fault(vendor="merlin", body=f"t{i}!", status=200, answer=json.dumps(form))
    result = merlin.run([SMS, *(sms(i, text=f"t{i}!") for i in range(len(forms)))])
    assert result.counts("sms") == {"received": 12, "created": 12}, result.rejects


@pytest.mark.parametrize("form", ["status", "error", "http"])
def test_a_no_in_any_structured_form_is_a_refusal_that_may_be_tried_again(
    merlin: Plugin, sandbox: Sandbox, form: str
) -> None:
    sandbox.options("merlin", error_form=form)
    result = merlin.run([ENTRIES, entry("1", idContact="99", idAuto="9")])
    assert kinds(result.rejects) == ["invalid"]  # there is no such contact
    sandbox.put_state("merlin", {"contacts": [{"idContact": 5}]})
    result = merlin.run([ENTRIES, entry("1", idContact="5", idAuto="8")])
    assert kinds(result.rejects) == ["refused"]
    assert "off or has no nodes" in reason(result)
    sandbox.put_state("merlin", {"automations": [{"idAuto": 8, "on": True}]})
    result = merlin.run([ENTRIES])
    assert entries(sandbox) == [(5, 8)]
    assert result.rejects == []


def test_an_answer_that_is_neither_yes_nor_no_is_never_sent_again(
    merlin: Plugin, sandbox: Sandbox
) -> None:
    answers: list[Any] = [
        "Hm", {"foo": "bar"}, [], {}, {"status": "pending"}, "", None, "Message sent, no errors",
        {"status": "sent", "error": "No error"},
    ]  # fmt: skip
    for i, value in enumerate(answers):
        given = {"status": 200, "answer": json.dumps(value), "when": "after"}
        sandbox.fault(vendor="merlin", body=f"t{i}!", **given)
    rows = [SMS, *(sms(i, text=f"t{i}!") for i in range(len(answers)))]
    result = merlin.run(rows)
    assert kinds(result.rejects) == ["uncertain"] * 9
    assert all("not understood" in r["rejection"]["reason"] for r in result.rejects)
    assert any("foo: bar" in r["rejection"]["reason"] for r in result.rejects)
    merlin.run(rows)
    assert sorted(texts(sandbox)) == [f"t{i}!" for i in range(9)]


@pytest.mark.parametrize(
    "answer",
    ["", "{}", "[]", "[{}]", "null", '{"message": ""}', '{"id": 5}', '"OK"', '{"status": "sent"}'],
)
def test_a_4xx_that_says_nothing_or_says_yes_is_never_sent_again(
    merlin: Plugin, sandbox: Sandbox, answer: str
) -> None:
    sandbox.fault(vendor="merlin", body="SMS", when="after", status=400, answer=answer, times=None)
    rows = [SMS, sms(1)]
    assert kinds(merlin.run(rows).rejects) == ["uncertain"]
    merlin.run(rows)
    assert kinds(merlin.run([SMS]).rejects) == ["uncertain"]
    assert texts(sandbox) == ["Hello"]


@pytest.mark.parametrize(
    "answer", ['{"message": "Number is not valid"}', '"Number is not valid"', '{"success": false}']
)
def test_a_4xx_that_says_no_is_sent_again_by_the_next_run(
    merlin: Plugin, sandbox: Sandbox, answer: str
) -> None:
    sandbox.fault(vendor="merlin", body="SMS", status=400, answer=answer)
    assert kinds(merlin.run([SMS, sms(1)]).rejects) == ["refused"]
    assert merlin.run([SMS]).rejects == []
    assert texts(sandbox) == ["Hello"]


def test_after_a_lost_answer_nobody_is_texted_again(merlin: Plugin, sandbox: Sandbox) -> None:
    faults: list[JSON] = [{"drop": True}, {"status": 500}, {"status": 503}, {"cut": True}]
    names = [f"{when}{i}" for i in range(4) for when in ("before", "after")]
    for name in names:
        when, number = name[:-1], int(name[-1])
        sandbox.fault(vendor="merlin", body=name, when=when, **faults[number])
    rows = [SMS, *(sms(name, text=name) for name in names)]
    result = merlin.run(rows)
    assert result.exit_code == 0, result.stderr
    assert kinds(result.rejects) == ["uncertain"] * 8
    result = merlin.run(rows)
    assert result.counts("sms") == {"received": 8, "skipped": 8}
    result = merlin.run([SMS])
    assert len(sandbox.requests("merlin")) == 8
    assert sorted(texts(sandbox)) == ["after0", "after1", "after2", "after3"]
    assert kinds(result.rejects) == ["uncertain"] * 8


def test_cut_json_after_a_text_is_uncertain(merlin: Plugin, sandbox: Sandbox) -> None:
    sandbox.fault(vendor="merlin", body="SMS", cut_json=True)
    result = merlin.run([SMS, sms(1)])
    assert kinds(result.rejects) == ["uncertain"]


def test_a_person_can_have_an_uncertain_one_sent_or_dropped(
    merlin: Plugin, sandbox: Sandbox
) -> None:
    sandbox.fault(vendor="merlin", body="SMS", when="before", drop=True, times=2)
    merlin.run([SMS, sms(1, text="one"), sms(2, text="two")])
    result = merlin.run([SMS], uncertain="resend")
    assert sorted(texts(sandbox)) == ["one", "two"]
    assert result.rejects == []
    sandbox.fault(vendor="merlin", body="SMS", when="after", drop=True)
    merlin.run([SMS, sms(3, text="three")])
    result = merlin.run([SMS], uncertain="drop")
    assert result.rejects == []
    merlin.run([SMS, sms(3, text="three")])
    assert sorted(texts(sandbox)) == ["one", "three", "two"]


def test_too_many_requests_and_no_connection_are_tried_again(
    merlin: Plugin, sandbox: Sandbox
) -> None:
    sandbox.fault(vendor="merlin", body="SMS", status=429, retry_after=0, times=3)
    result = merlin.run([SMS, sms(1)])
    assert result.counts("sms") == {"received": 1, "created": 1}
    assert texts(sandbox) == ["Hello"]
    result = merlin.run([SMS, sms(2)], message_url="http://127.0.0.1:1/", max_retries=1)
    assert result.exit_code == 1
    result = merlin.run([SMS, sms(2)])
    assert result.counts("sms") == {"received": 1, "created": 1}
    assert texts(sandbox) == ["Hello", "Hello"]


def test_a_key_with_other_content_and_a_delete_are_rejected(
    merlin: Plugin, sandbox: Sandbox
) -> None:
    merlin.run([SMS, sms(1)])
    deleted = sms(2, _sdc_deleted_at="2026-01-01T00:00:00Z")
    result = merlin.run([SMS, sms(1, text="Other"), deleted])
    assert kinds(result.rejects) == ["invalid", "invalid"]
    reasons = {r["rejection"]["reason"] for r in result.rejects}
    assert any("other content" in text for text in reasons)
    assert any("nothing to undo" in text for text in reasons)
    assert texts(sandbox) == ["Hello"]


@pytest.mark.parametrize("when", ["before", "after"])
def test_nobody_is_texted_twice_when_a_run_is_killed(
    merlin: Plugin, sandbox: Sandbox, when: str
) -> None:
    sandbox.fault(vendor="merlin", body="SMS", after=3, when=when, hold="sms", times=None)
    rows = [SMS, *(sms(i, text=f"t{i}") for i in range(12))]
    process = merlin.start(rows, concurrency=3)
    sandbox.wait_held("sms", 3)
    process.kill()
    process.communicate()
    sandbox.clear_faults()
    sandbox.release("sms")
    result = merlin.run(rows, first_run=False)
    assert result.exit_code == 0, result.stderr
    sent = texts(sandbox)
    assert len(set(sent)) == len(sent)
    doubtful = [r["record"]["text"] for r in result.rejects]
    assert set(kinds(result.rejects)) == {"uncertain"}
    assert len(doubtful) <= 3  # no more than were in flight
    assert set(sent) | set(doubtful) == {f"t{i}" for i in range(12)}
    assert adds_up(result.report)


@pytest.mark.parametrize(
    "step", ["before_pending", "after_pending", "after_answer", "before_acknowledged"]
)
def test_a_run_that_dies_at_any_step_texts_nobody_twice_and_loses_nobody(
    merlin: Plugin, sandbox: Sandbox, step: str
) -> None:
    rows = [SMS, *(sms(i, text=f"t{i}") for i in range(5))]
    assert merlin.dying(step, 2).run(rows).exit_code == -9
    result = merlin.run(rows)
    sent, doubtful = texts(sandbox), [r["record"]["text"] for r in result.rejects]
    assert len(set(sent)) == len(sent)
    assert set(sent) | set(doubtful) == {f"t{i}" for i in range(5)}


# --- checks before sending --------------------------------------------------------------------


def test_a_number_that_cannot_be_is_rejected_before_sending(
    merlin: Plugin, sandbox: Sandbox
) -> None:
    numbers = [
        "6193596440", "+1619359", "+161935964401234", "abc", "", None, "+1800FLOWERS", "+",
        "+99912345",
    ]  # fmt: skip
    result = merlin.run([SMS, *(sms(i, number=number) for i, number in enumerate(numbers))])
    assert kinds(result.rejects) == ["invalid"] * 9
    assert all(r["rejection"]["reason"].startswith("number") for r in result.rejects)
    assert sandbox.requests("merlin") == []


def test_a_number_goes_out_in_e164(merlin: Plugin, sandbox: Sandbox) -> None:
    rows = [SMS, sms(1, number="+1 (619) 359-6440"), sms(2, number="619 359 6440")]
    merlin.run(rows, phone_region="US")
    assert {m["number"] for m in sandbox.state("merlin")["sms"]} == {NUMBER}


def test_a_message_without_text_is_rejected(merlin: Plugin, sandbox: Sandbox) -> None:
    result = merlin.run([SMS, *(sms(i, text=text) for i, text in enumerate(["", "  ", None]))])
    assert kinds(result.rejects) == ["invalid"] * 3
    assert "text" in reason(result)


def test_messages_need_a_key(merlin: Plugin) -> None:
    keyless = schema("sms", ("number", "text"), ())
    result = merlin.run([keyless, record("sms", number=NUMBER, text="x")])
    assert result.exit_code == 1
    assert "keys" in result.error


@pytest.mark.parametrize("mode", ["update", "mirror"])
def test_messages_know_no_other_mode_than_upsert(merlin: Plugin, mode: str) -> None:
    result = merlin.run([SMS, sms(1)], mode=mode, mirror_count="trust")
    assert result.exit_code == 1
    assert "mode" in result.error


def test_messages_need_a_ledger(merlin: Plugin) -> None:
    result = merlin.run([SMS, sms(1)], ledger_url="none")
    assert result.exit_code == 1
    assert "ledger_url" in result.error


# --- automations ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "by", [{"Email": "ANN@example.com"}, {"Number": "+1 619 359 6440"}, {"idContact": "1"}]
)
def test_a_contact_of_the_ledger_enters_an_automation(
    merlin: Plugin, sandbox: Sandbox, by: JSON
) -> None:
    contact = record("contacts", key="a", Email="ann@example.com", Number=NUMBER)
    # The entry comes first: it waits for the contacts.
    result = merlin.run([ENTRIES, CONTACTS, entry("1", idAuto="7", **by), contact])
    assert result.counts("automations") == {"received": 1, "created": 1}, result.rejects
    assert entries(sandbox) == [(1, 7)]
    result = merlin.run([ENTRIES, entry("1", idAuto="7", **by), entry("2", idAuto="7", **by)])
    assert result.counts("automations") == {"received": 2, "unchanged": 1, "created": 1}
    assert entries(sandbox) == [(1, 7), (1, 7)]


def test_a_number_that_a_contact_no_longer_has_names_nobody(
    merlin: Plugin, sandbox: Sandbox
) -> None:
    for number in (NUMBER, "+16193596441"):
        merlin.run([CONTACTS, record("contacts", key="a", Email="ann@example.com", Number=number)])
    result = merlin.run([ENTRIES, entry("1", idAuto="7", Number=NUMBER)])
    assert kinds(result.rejects) == ["invalid"]
    result = merlin.run([ENTRIES, entry("2", idAuto="7", Number="+16193596441")])
    assert entries(sandbox) == [(1, 7)]


def test_an_unknown_contact_is_invalid_until_it_is_there(merlin: Plugin, sandbox: Sandbox) -> None:
    rows = [ENTRIES, entry("1", idAuto="7", Email="ann@example.com")]
    result = merlin.run(rows)
    assert kinds(result.rejects) == ["invalid"]
    assert "Email" in reason(result)
    result = merlin.run([CONTACTS, record("contacts", key="a", Email="ann@example.com")])
    assert result.rejects == []
    assert entries(sandbox) == [(1, 7)]


def test_an_entry_needs_a_contact_and_an_automation(merlin: Plugin) -> None:
    result = merlin.run([ENTRIES, entry("1", idAuto="7"), entry("2", idContact="1")])
    assert kinds(result.rejects) == ["invalid", "invalid"]


def test_an_entry_stays_unchanged_when_its_contact_was_made_anew(
    merlin: Plugin, sandbox: Sandbox
) -> None:
    rows = [
        CONTACTS, ENTRIES, record("contacts", key="a", Email="ann@example.com"),
        entry("1", idAuto="7", Email="ann@example.com"),
    ]  # fmt: skip
    merlin.run(rows)
    sandbox.remove("merlin", "contacts", 1)
    rows[2] = record("contacts", key="a", Email="ann@example.com", Fname="Ann")
    result = merlin.run(rows)
    assert result.counts("automations") == {"received": 1, "unchanged": 1}
    assert entries(sandbox) == [(1, 7)]


def test_a_contact_keyed_by_its_own_id_is_found_by_email(merlin: Plugin, sandbox: Sandbox) -> None:
    sandbox.put_state("merlin", {"contacts": [{"idContact": 5, "Email": "ann@example.com"}]})
    columns = schema("contacts", ("idContact", "Email"), ("idContact",))
    row = record("contacts", idContact="5", Email="ann@example.com")
    merlin.run([columns, ENTRIES, row, entry("1", idAuto="7", Email="ann@example.com")])
    assert entries(sandbox) == [(5, 7)]
