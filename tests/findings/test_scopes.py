"""What is kept for later is only ever sent where it belongs: account, stream, route, ledger."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from singer_sandbox import Sandbox
from tests.findings.inputs import (
    CALLS,
    SMS,
    call,
    contacts,
    hours,
    kill_in_flight,
    kinds,
    members,
    outstanding,
    people,
    rows,
    sms,
    texts,
)
from tests.front_door import JSON, Plugin, record, schema

OTHER = {"api_key": "other-key", "account": "other"}


@pytest.fixture
def merlin(merlin: Plugin, sandbox: Sandbox) -> Plugin:
    """Beside a second account that shares `work_dir` and `sync`."""
    sandbox.account("merlin", "other", key="other-key")
    merlin.config["account"] = "first"
    return merlin


def other_texts(sandbox: Sandbox, kind: str = "sms") -> list[str]:
    return [message["text"] for message in sandbox.state("merlin", "other")[kind]]


@pytest.mark.parametrize(("columns", "make", "kind"), [(SMS, sms, "sms"), (CALLS, call, "calls")])
def test_a_held_message_goes_out_in_its_own_account_once(
    merlin: Plugin, sandbox: Sandbox, columns: JSON, make: Any, kind: str
) -> None:
    """P3"""
    assert merlin.run([columns, make("1", "first")], quiet_hours=hours(-60, 60)).exit_code == 0
    for _ in range(2):
        result = merlin.run([columns, make("2", "other")], **OTHER)
        assert result.exit_code == 0, result.error
        assert other_texts(sandbox, kind) == ["other"]
    for _ in range(2):
        assert merlin.run([columns]).exit_code == 0
    assert texts(sandbox, kind) == ["first"]
    assert other_texts(sandbox, kind) == ["other"]


def test_a_refused_contact_is_never_created_in_another_account(
    rei: Plugin, sandbox: Sandbox
) -> None:
    """P3"""
    sandbox.account("rei", "other", api_key="other-key")
    bad = rows("contacts", {"key": "1", "email": "a@example.com", "phone": "nonsense"})
    assert len(rei.run(bad, account="first").rejects or outstanding(rei)) == 1
    good = rows("contacts", {"key": "1", "email": "a@example.com", "phone": "(555) 123-4567"})
    rei.run([good[0]], stream_maps={"contacts": {"phone": "'+15551234567'"}}, **OTHER)
    assert contacts(sandbox, "other") == {}
    rei.run([good[0]], stream_maps={"contacts": {"phone": "'+15551234567'"}}, account="first")
    assert len(contacts(sandbox)) == 1


def test_accounts_have_files_of_their_own(merlin: Plugin) -> None:
    """P3"""
    held = {"quiet_hours": hours(-60, 60)}
    merlin.run([SMS, sms("1", "first")], **held)
    merlin.run([SMS, sms("1", "other"), sms("2", "another")], **held, **OTHER)
    names = {path.name for path in merlin.work_dir.glob("*.rejects.jsonl")}
    assert names == {
        "target-actionapi.first.rejects.jsonl",
        "target-actionapi.other.rejects.jsonl",
    }
    assert [r["record"]["text"] for r in outstanding(merlin, "first")] == ["first"]
    assert {r["record"]["text"] for r in outstanding(merlin, "other")} == {"other", "another"}


def test_one_account_resolves_nothing_of_another(merlin: Plugin, sandbox: Sandbox) -> None:
    """P3"""
    sandbox.fault(vendor="merlin", body="SMS", drop=True)
    merlin.run([SMS, sms("1", "first")])
    merlin.run([SMS], uncertain="resend", **OTHER)
    assert (texts(sandbox), other_texts(sandbox)) == ([], [])
    merlin.run([SMS], uncertain="resend")
    assert (texts(sandbox), other_texts(sandbox)) == (["first"], [])


# --- routes -------------------------------------------------------------------------------------

SOURCE = schema("people", ("id", "email", "owner", "list_id"))
BOTH = {
    "members": {
        "__source__": "people",
        "owner": "id",
        "id": None,
        "__key_properties__": ["owner"],
    },
    "people": {},
}


@pytest.mark.parametrize("order", [("members", "people"), ("people", "members")])
def test_a_rejected_member_is_delivered_to_members(
    autoreach: Plugin, sandbox: Sandbox, order: tuple[str, str]
) -> None:
    """P4: one source feeds two streams."""
    maps = {name: BOTH[name] for name in order}
    row = record("people", id="a", email="a@example.com", list_id="1")
    sandbox.fault(vendor="autoreach", method="POST", path="members", status=422)
    first = autoreach.run([SOURCE, row], stream_maps=maps)
    assert first.exit_code == 0, first.error
    (reject,) = first.rejects
    assert reject["rejection"]["target_stream"] == "members"
    assert reject["stream"] == "people"
    assert reject["record"].get("owner") is None
    result = autoreach.run([SOURCE], stream_maps=maps)
    assert (result.exit_code, result.rejects) == (0, []), result.error
    assert [m["email"] for m in members(sandbox)] == ["a@example.com"]
    assert list(people(sandbox)) == ["a"]


def test_a_record_that_both_streams_refuse_is_kept_for_both(
    autoreach: Plugin, sandbox: Sandbox
) -> None:
    """P4"""
    row = record("people", id="a", email="nonsense", list_id="1")
    first = autoreach.run([SOURCE, row], stream_maps=BOTH)
    assert {r["rejection"]["target_stream"] for r in first.rejects} == {"members", "people"}
    healed = record("people", id="a", email="a@example.com", list_id="1")
    result = autoreach.run([SOURCE, healed], stream_maps=BOTH)
    assert result.rejects == []
    assert (len(members(sandbox)), len(people(sandbox))) == (1, 1)


TWO_TEXTS = {
    "visits": "__NULL__",
    "sms": {"__source__": "visits", "text": "'Thank you, ' + name"},
    "again-sms": {"__source__": "visits", "id": "id + '-b'", "text": "'Bye'"},
}
VISITS = schema("visits", ("id", "number", "name", "text"))
VISIT = record("visits", id="1", number="+16193596440", name="Ann")


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("passed", [0, 1])
def test_two_messages_of_one_row_are_each_sent_once_though_the_run_dies(
    merlin: Plugin, sandbox: Sandbox, when: str, passed: int
) -> None:
    """H6: the first or the second one is in flight."""
    fault = {"vendor": "merlin", "body": "SMS", "after": passed}
    kill_in_flight(merlin, [VISITS, VISIT], when, fault=fault, stream_maps=TWO_TEXTS)
    for _ in range(2):
        result = merlin.run([VISITS, VISIT], stream_maps=TWO_TEXTS)
        assert result.exit_code == 0, result.error
    assert sorted(texts(sandbox)) == ["Bye", "Thank you, Ann"]
    assert [r["rejection"]["kind"] for r in outstanding(merlin)] == ["uncertain"]


@pytest.mark.parametrize("refused", ["Bye", "Thank"])
def test_a_reject_is_retried_with_the_mapping_that_made_it(
    merlin: Plugin, sandbox: Sandbox, refused: str
) -> None:
    """H6"""
    sandbox.fault(vendor="merlin", body=refused, status=400, answer={"error": "Not now"})
    merlin.run([VISITS, VISIT], stream_maps=TWO_TEXTS)
    assert len(texts(sandbox)) == 1
    for _ in range(2):
        assert merlin.run([VISITS], stream_maps=TWO_TEXTS).exit_code == 0
    assert sorted(texts(sandbox)) == ["Bye", "Thank you, Ann"]


# --- ledgers and sources ------------------------------------------------------------------------


def test_one_ledger_of_two_work_dirs_is_locked(
    merlin: Plugin, sandbox: Sandbox, tmp_path: Path
) -> None:
    """H7"""
    ledger = f"sqlite:///{tmp_path / 'shared.db'}"
    messages = [SMS, *(sms(str(i), f"t{i}") for i in range(6))]
    sandbox.fault(vendor="merlin", body="SMS", hold="x", when="after")
    process = merlin.start(messages, ledger_url=ledger, concurrency=2)
    sandbox.wait_held("x")
    second = Plugin(
        "target-actionapi", sandbox, tmp_path, account="first", first_run=True, ledger_url=ledger
    )
    second.work_dir = tmp_path / "elsewhere"
    refused = second.run(messages, work_dir=str(second.work_dir), sync="default")
    sandbox.release("x")
    assert merlin.finish(process).exit_code == 0
    assert sorted(texts(sandbox)) == [f"t{i}" for i in range(6)]
    assert refused.exit_code == 1
    assert "sync" in refused.error


@pytest.mark.parametrize("config", [{}, {"source": "visits"}, {"source": "orders"}])
def test_two_source_streams_into_one_sink_are_refused(
    autoreach: Plugin, sandbox: Sandbox, config: JSON
) -> None:
    """H28"""
    maps = {"visits": {"__alias__": "people"}, "orders": {"__alias__": "people"}}
    messages = [
        schema("visits", ("id", "email")),
        record("visits", id="1", email="visit@example.com"),
        schema("orders", ("id", "email")),
        record("orders", id="1", email="order@example.com"),
    ]
    autoreach.run(messages[:2], stream_maps=maps)
    result = autoreach.run(messages, stream_maps=maps, **config)
    assert result.exit_code == 1
    assert "visits" in result.error
    assert "orders" in result.error
    assert people(sandbox)["1"]["email"] == "visit@example.com"
    assert kinds(result) == []
