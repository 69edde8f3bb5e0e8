"""What is sent at most once is sent once, whatever the answer was and however the run ended."""

from __future__ import annotations

import json
from typing import Any

import pytest

from singer_sandbox import Sandbox
from tests.findings.inputs import (
    ANY,
    CALLS,
    ENTRIES,
    SMS,
    call,
    contacts,
    kill_in_flight,
    kinds,
    rows,
    sms,
    texts,
)
from tests.front_door import JSON, Plugin, adds_up, record, schema, state

REDIRECTS: list[JSON] = [
    {"status": 303, "headers": {"Location": "https://elsewhere.example.com/"}},
    {"status": 301, "headers": {"Location": "/merlin/flex/API/"}},
    {"status": 302},
    {"status": 307, "headers": {"Location": "/"}},
    {"status": 304},
]


@pytest.mark.parametrize("fault", REDIRECTS, ids=lambda fault: str(fault["status"]))
def test_a_redirect_after_the_work_leaves_one_uncertain_message(
    merlin: Plugin, sandbox: Sandbox, fault: JSON
) -> None:
    """P1"""
    sandbox.fault(vendor="merlin", body="SMS", when="after", **fault)
    result = merlin.run([SMS, sms("1"), state({"at": 1})])
    assert result.exit_code == 0, result.error
    assert kinds(result) == ["uncertain"]
    assert result.states == [{"at": 1}]
    merlin.run([SMS, sms("1")])
    assert texts(sandbox) == ["Hello"]


@pytest.mark.parametrize(
    ("messages", "body", "where"),
    [
        ([CALLS, call("1")], "CALL", "calls"),
        ([ENTRIES, record("automations", id="1", idContact=5, idAuto=7)], "idAuto", "entries"),
    ],
)
def test_a_redirect_leaves_one_uncertain_call_or_entry(
    merlin: Plugin, sandbox: Sandbox, messages: list[JSON], body: str, where: str
) -> None:
    """P1"""
    sandbox.fault(vendor="merlin", body=body, when="after", status=303)
    result = merlin.run(messages)
    assert (result.exit_code, kinds(result)) == (0, ["uncertain"]), result.error
    merlin.run(messages)
    table = "calls" if where == "calls" else "automation_entries"
    assert len(sandbox.state("merlin")[table]) == 1


@pytest.mark.parametrize("status", [302, 308])
def test_a_redirect_leaves_one_uncertain_workflow_entry(
    rei: Plugin, sandbox: Sandbox, status: int
) -> None:
    """P1"""
    sandbox.put_state("rei", {"contacts": [{"id": "ann", "email": "ann@example.com"}]})
    sandbox.fault(vendor="rei", path="workflow/", when="after", status=status)
    entry = rows("contact_workflows", {"key": "1", "contactId": "ann", "workflowId": "welcome"})
    result = rei.run(entry, first_run=True)
    assert (result.exit_code, kinds(result)) == (0, ["uncertain"]), result.error
    rei.run(entry)
    assert len(sandbox.state("rei")["workflow_entries"]) == 1


def test_a_redirected_create_is_looked_up_and_found(autoreach: Plugin, sandbox: Sandbox) -> None:
    """P1"""
    sandbox.fault(vendor="autoreach", method="POST", path="members", when="after", status=303)
    message = [schema("members", ("owner", "email"), ("owner",)), record("members", owner="a")]
    message[1]["record"]["email"] = "a@example.com"
    result = autoreach.run(message)
    assert (result.exit_code, result.rejects) == (0, []), result.error
    assert len(sandbox.state("autoreach")["members"]) == 1
    assert result.counts("members") == {"received": 1, "created": 1}


@pytest.mark.parametrize(
    "answer",
    [
        json.dumps("Message sent, no errors"),
        json.dumps({"status": "sent", "error": "No error"}),
        json.dumps({"status": "queued", "message": "no failure"}),
        json.dumps({"error": None, "message": "Accepted without error"}),
        "[" * 900 + "]" * 900,
        '{"a":' * 900 + "1" + "}" * 900,
        "<html><body>OK</body></html>",
        "",
    ],
    ids=["text", "error", "failure", "null", "lists", "objects", "html", "empty"],
)
def test_a_2xx_that_is_no_clear_no_is_never_sent_again(
    merlin: Plugin, sandbox: Sandbox, answer: str
) -> None:
    """H8"""
    sandbox.fault(vendor="merlin", body="SMS", when="after", status=200, answer=answer)
    result = merlin.run([SMS, sms("1")])
    assert result.exit_code == 0, result.error
    assert set(kinds(result)) <= {"uncertain"}
    merlin.run([SMS, sms("1")])
    assert texts(sandbox) == ["Hello"]


@pytest.mark.parametrize("status", [400, 422])
@pytest.mark.parametrize("max_rejects", ["0", "1"])
def test_a_refused_message_stays_refused_though_the_run_stops(
    merlin: Plugin, sandbox: Sandbox, status: int, max_rejects: str
) -> None:
    """H4"""
    answer = {"status": "error", "message": "Number is not valid"}
    sandbox.fault(vendor="merlin", body="SMS", status=status, answer=answer, times=2)
    messages = [SMS, sms("1", "one"), sms("2", "two")]
    stopped = merlin.run(messages, max_rejects=max_rejects)
    assert stopped.exit_code == 1
    assert set(kinds(stopped)) == {"refused"}
    sandbox.clear_faults()
    result = merlin.run(messages)
    assert (result.exit_code, result.rejects) == (0, []), result.error
    assert sorted(texts(sandbox)) == ["one", "two"]


def test_what_a_person_said_of_uncertain_ones_holds_once(merlin: Plugin, sandbox: Sandbox) -> None:
    """H5"""
    messages = [SMS, *(sms(str(i), f"t{i}") for i in range(10))]
    sandbox.fault(vendor="merlin", body="SMS", drop=True, times=10)
    assert kinds(merlin.run(messages)) == ["uncertain"] * 10
    fault = {"vendor": "merlin", "body": "SMS", "after": 7}
    kill_in_flight(merlin, messages, "after", fault=fault, uncertain="resend")
    for decision in ("resend", "keep"):
        result = merlin.run(messages, uncertain=decision)
        assert result.exit_code == 0, result.error
        assert len(texts(sandbox)) == len(set(texts(sandbox)))
        assert set(texts(sandbox)) == {f"t{i}" for i in range(10)}
    assert kinds(result) == ["uncertain"]  # the one in flight: whether it arrived is not known


@pytest.mark.parametrize("gap", [1, 30])
def test_the_first_of_two_messages_under_one_key_goes_and_the_other_is_rejected(
    merlin: Plugin, sandbox: Sandbox, gap: int
) -> None:
    """H21"""
    between = [sms(f"x{i}", f"x{i}") for i in range(gap - 1)]
    result = merlin.run([SMS, sms("1", "first"), *between, sms("1", "second")])
    assert result.exit_code == 0, result.error
    assert "first" in texts(sandbox)
    assert "second" not in texts(sandbox)
    (reject,) = result.rejects
    assert (reject["rejection"]["kind"], reject["record"]["text"]) == ("invalid", "second")
    assert adds_up(result.report)


def test_the_same_message_twice_under_one_key_is_one(merlin: Plugin, sandbox: Sandbox) -> None:
    """H21"""
    result = merlin.run([CALLS, call("1"), call("1")])
    assert (texts(sandbox, "calls"), result.rejects) == (["Ring"], [])


@pytest.mark.parametrize("resolution", ["sent", "unsent", "drop"])
def test_an_uncertain_message_is_resolved_by_its_key(
    merlin: Plugin, sandbox: Sandbox, resolution: str
) -> None:
    sandbox.fault(vendor="merlin", body="SMS", drop=True, when="after")
    merlin.run([SMS, sms("1", "one"), sms("2", "two")])
    done = merlin.finish(merlin.start([], "--resolve", "sms", "1", resolution))
    assert done.exit_code == 0, done.stderr
    result = merlin.run([SMS, sms("1", "one"), sms("2", "two")])
    assert result.exit_code == 0, result.error
    assert result.rejects == []
    assert texts(sandbox).count("one") == (2 if resolution == "unsent" else 1)
    unknown = merlin.finish(merlin.start([], "--resolve", "sms", "99", "sent"))
    assert unknown.exit_code == 1
    assert "99" in unknown.stderr


def newer(key: str, first_name: str) -> list[Any]:
    row = {"key": key, "email": f"{key}@example.com", "firstName": first_name}
    return rows("contacts", row)


@pytest.mark.parametrize("resolution", ["unsent", "sent"])
def test_the_newest_copy_of_an_uncertain_contact_goes_once_it_is_resolved(
    rei: Plugin, sandbox: Sandbox, resolution: str
) -> None:
    """H18"""
    sandbox.options("rei", create_makes_duplicates=True)
    # An answer that comes too late, to work that is done at once or in ten minutes.
    arrived = {"delay": 3, "when": "after"} if resolution == "sent" else {"late": 600}
    sandbox.fault(vendor="rei", method="POST", path="contacts/$", **arrived)
    none = {"msg": "Contact not found."}
    sandbox.fault(vendor="rei", path="lookup", status=404, answer=none, times=None)
    first = rei.run(newer("ann", "Old"), timeout=1, max_retries=1)
    assert kinds(first) == ["uncertain"], first.stderr
    sandbox.clear_faults()
    result = rei.run([*newer("ann", "New"), state({"at": 2})])
    assert result.counts("contacts") == {"received": 1, "skipped": 1}
    done = rei.finish(rei.start([], "--resolve", "contacts", "ann", resolution))
    assert done.exit_code == 0, done.stderr
    assert rei.run([newer("bob", "B")[0]]).exit_code == 0
    held = [c["firstName"] for c in contacts(sandbox).values()]
    assert "New" in held


def test_a_sequence_of_uncertain_and_newer_members_ends_with_the_newest(
    autoreach: Plugin, sandbox: Sandbox
) -> None:
    """H18"""
    columns = schema("members", {"owner": ANY, "email": ANY, "first_name": ANY}, ("owner",))

    def row(name: str) -> JSON:
        return record("members", owner="a", email="a@example.com", first_name=name)

    sandbox.fault(vendor="autoreach", method="POST", path="members", late=600)
    first = autoreach.run([columns, row("v1")], timeout=1, max_retries=0)
    assert kinds(first) == ["uncertain"], first.stderr
    autoreach.run([columns, row("v2")])
    result = autoreach.run([columns], uncertain="resend")
    assert result.exit_code == 0, result.error
    assert {m["first_name"] for m in sandbox.state("autoreach")["members"].values()} == {"v2"}


@pytest.mark.parametrize("between", [[], [SMS], [sms("2", "Bye"), SMS]])
def test_a_message_does_not_go_twice_because_its_keys_change_within_the_input(
    merlin: Plugin, sandbox: Sandbox, between: list[JSON]
) -> None:
    other = {**SMS, "key_properties": ["id", "number"]}
    result = merlin.run([SMS, sms("1"), *between, other, sms("1"), SMS, sms("1")])
    assert result.exit_code == 1
    assert "known by id until now, not by id, number" in result.error
    result = merlin.run([SMS, sms("1"), state({"at": 1})])
    assert result.exit_code == 0, result.error
    assert texts(sandbox).count("Hello") == 1


def test_keys_that_change_before_the_first_record_are_taken(
    merlin: Plugin, sandbox: Sandbox
) -> None:
    other = {**SMS, "key_properties": ["id", "number"]}
    result = merlin.run([other, SMS, sms("1"), SMS, sms("1")])
    assert result.exit_code == 0, result.error
    assert texts(sandbox) == ["Hello"]
