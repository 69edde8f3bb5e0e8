"""target-actionapi's contacts: matched, made, edited and trashed by an API that tells little."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from singer_sandbox import Sandbox
from tests.front_door import JSON, Plugin, adds_up, record, schema

COLUMNS = ("key", "Number", "Email", "Fname", "Lname", "city", "idContact", "_sdc_deleted_at")
SCHEMA = schema("contacts", COLUMNS, ("key",))
KEY = "sandbox-merlin-key"
GONE = {"_sdc_deleted_at": "2026-01-01T00:00:00Z"}


@pytest.fixture
def merlin(sandbox: Sandbox, tmp_path: Path) -> Plugin:
    return Plugin("target-actionapi", sandbox, tmp_path, unknown_fields="warn")


def contact(key: str, **fields: Any) -> JSON:
    given = {"Email": f"{key}@example.com", "Fname": "Juan", "Lname": key, **fields}
    return record("contacts", key=key, **{n: v for n, v in given.items() if v is not None})


def contacts_at(sandbox: Sandbox) -> list[JSON]:
    return list(sandbox.state("merlin")["contacts"].values())


def labels(sandbox: Sandbox) -> list[str]:
    """The types of the calls, in order."""
    return [r["template"].rsplit(" ", 1)[1] for r in sandbox.requests("merlin")]


def kinds(rejects: list[JSON]) -> list[str]:
    return [r["rejection"]["kind"] for r in rejects]


FORMS = ("int", "digits", "object_idContact", "object_id", "object_ID", "list")


@pytest.mark.parametrize("form", FORMS)
def test_every_form_of_an_id_is_understood(merlin: Plugin, sandbox: Sandbox, form: str) -> None:
    sandbox.options("merlin", new_form=form)
    result = merlin.run([SCHEMA, contact("a"), contact("b", Fname=None, Lname=None)])
    assert result.counts("contacts") == {"received": 2, "created": 2}, result.stderr
    result = merlin.run([SCHEMA, contact("a", Lname="x"), contact("b", Fname="Ana", Lname=None)])
    assert result.counts("contacts") == {"received": 2, "updated": 2}
    assert sorted(c["Fname"] for c in contacts_at(sandbox)) == ["Ana", "Juan"]
    assert labels(sandbox).count("SEARCH") == 1  # the ledger knows the ids


@pytest.mark.parametrize("form", ["object", "Status", "message", "text", "success", "true", "one"])
def test_every_form_of_a_status_is_understood(merlin: Plugin, sandbox: Sandbox, form: str) -> None:
    sandbox.options("merlin", status_form=form)
    merlin.run([SCHEMA, contact("a")])
    result = merlin.run([SCHEMA, contact("a", **GONE)])
    assert result.counts("contacts") == {"received": 1, "deleted": 1}, result.rejects
    assert contacts_at(sandbox) == []


@pytest.mark.parametrize("form", ["status", "error", "text", "http"])
def test_an_error_in_any_form_is_a_refusal_with_the_vendors_words(
    merlin: Plugin, sandbox: Sandbox, form: str
) -> None:
    sandbox.options("merlin", error_form=form)
    result = merlin.run([SCHEMA, contact("a", Number="12"), contact("b")])
    assert result.exit_code == 0, result.stderr
    assert result.counts("contacts") == {"received": 2, "created": 1, "rejected": 1}
    (reject,) = result.rejects
    assert reject["rejection"]["kind"] == "refused"
    assert "Number 12 is not valid" in reject["rejection"]["reason"]
    assert adds_up(result.report)


@pytest.mark.parametrize(
    "answer",
    [
        {"foo": "bar"}, "Hello", "", [], {}, 0, "0", False, [1, 2], {"status": "pending"},
        "<html>hm</html>",
        {"status": "success", "error": "quota is used up"}, {"id": None},
        {"status": 500, "message": "Done"},
    ],
)  # fmt: skip
def test_what_is_not_understood_is_a_refusal_and_never_a_success(
    merlin: Plugin, sandbox: Sandbox, answer: Any
) -> None:
    sandbox.fault(vendor="merlin", body="NEW", status=200, answer=json.dumps(answer))
    result = merlin.run([SCHEMA, contact("a")])
    assert result.counts("contacts") == {"received": 1, "rejected": 1}
    assert kinds(result.rejects) == ["refused"]
    assert result.rejects[0]["rejection"]["reason"]


def test_a_refusal_heals_in_the_next_run(merlin: Plugin, sandbox: Sandbox) -> None:
    sandbox.fault(vendor="merlin", body="NEW", status=200, answer={"what": "What?"})
    result = merlin.run([SCHEMA, contact("a")])
    assert "What?" in result.rejects[0]["rejection"]["reason"]
    result = merlin.run([SCHEMA])
    assert result.report["streams"]["contacts"]["retried"]["created"] == 1
    assert result.rejects == []


@pytest.mark.parametrize("status", ["401", "200"])
def test_a_wrong_key_stops_the_run(merlin: Plugin, sandbox: Sandbox, status: str) -> None:
    sandbox.options("merlin", auth_error=status)
    result = merlin.run([SCHEMA, contact("a"), contact("b")], api_key="wrong-key-0815")
    assert result.exit_code == 1
    assert "Invalid key" in result.error
    assert "api_key" in result.error
    assert result.rejects == []
    assert "wrong-key-0815" not in result.stderr + str(result.report)
    assert "Traceback" not in result.stderr


def test_a_wrong_address_stops_the_run_and_names_the_setting(
    merlin: Plugin, sandbox: Sandbox
) -> None:
    result = merlin.run([SCHEMA, contact("a")], api_url=f"{sandbox.url}/merlin/elsewhere/")
    assert result.exit_code == 1
    assert "api_url" in result.error


def test_the_key_stands_in_the_body_and_in_no_log(
    merlin: Plugin, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LOGLEVEL", "DEBUG")
    monkeypatch.setenv("TARGET_ACTIONAPI_LOGLEVEL", "DEBUG")
    echo = {"status": "error", "message": f'bad row [{{"key": "{KEY}"}}, ...]'}
    sandbox.fault(vendor="merlin", body="NEW", status=200, answer=echo)
    result = merlin.run([SCHEMA, contact("a"), contact("b")])
    assert KEY not in result.stderr
    assert "b@example.com" not in result.stderr
    assert "bad row" in result.rejects[0]["rejection"]["reason"]
    assert KEY not in str(result.rejects)
    assert contacts_at(sandbox)[0]["Email"] == "b@example.com"


def test_a_namesake_is_not_a_match(merlin: Plugin, sandbox: Sandbox) -> None:
    namesake = {"Fname": "Juan", "Lname": "a", "Email": "other@example.com"}
    sandbox.put_state("merlin", {"contacts": [namesake]})
    result = merlin.run([SCHEMA, contact("a")])
    assert result.counts("contacts") == {"received": 1, "created": 1}
    assert [c["Email"] for c in contacts_at(sandbox)] == ["other@example.com", "a@example.com"]


@pytest.mark.parametrize("form", ["list", "object_for_one"])
@pytest.mark.parametrize(
    "own", [{"Email": "A@Example.com "}, {"Email": "x@y.zz", "Number": "+1 (619) 359-6440"}]
)
def test_a_hit_with_the_records_own_email_or_number_is_edited(
    merlin: Plugin, sandbox: Sandbox, form: str, own: JSON
) -> None:
    sandbox.options("merlin", search_form=form)
    there = {"Fname": "JUAN", "Lname": "a", "Custom": {"1": "kept"}, **own}
    sandbox.put_state("merlin", {"contacts": [there]})
    result = merlin.run([SCHEMA, contact("a", Number="+16193596440")])
    assert result.counts("contacts") == {"received": 1, "updated": 1}
    (held,) = contacts_at(sandbox)
    assert held["Email"] == "a@example.com"
    assert held["Custom"] == {"1": "kept"}


def test_of_several_hits_the_lowest_id_counts_with_a_warning(
    merlin: Plugin, sandbox: Sandbox
) -> None:
    twin = {"Fname": "Juan", "Lname": "a", "Email": "a@example.com"}
    twins = [{**twin, "idContact": 12}, {**twin, "idContact": 9}]
    sandbox.put_state("merlin", {"contacts": twins})
    result = merlin.run([SCHEMA, contact("a", Number="+16193596440")])
    assert result.counts("contacts") == {"received": 1, "updated": 1}
    assert {c["idContact"]: c["Number"] for c in contacts_at(sandbox)} == {
        12: None,
        9: "+16193596440",
    }
    assert "9, 12" in result.stderr


@pytest.mark.parametrize("none", ["empty", "error", "null", "false"])
@pytest.mark.parametrize("error", ["status", "http", "text"])
def test_every_form_of_finding_nobody_leads_to_new(
    merlin: Plugin, sandbox: Sandbox, none: str, error: str
) -> None:
    sandbox.options("merlin", search_none=none, error_form=error)
    result = merlin.run([SCHEMA, contact("a")])
    assert result.counts("contacts") == {"received": 1, "created": 1}, result.rejects


def test_a_search_that_cannot_be_compared_is_refused_not_doubled(
    merlin: Plugin, sandbox: Sandbox
) -> None:
    sandbox.fault(vendor="merlin", body="SEARCH", status=200, answer=[{"idContact": 7}])
    result = merlin.run([SCHEMA, contact("a")])
    assert kinds(result.rejects) == ["refused"]
    assert contacts_at(sandbox) == []


def test_a_records_own_id_is_edited_and_trashed_without_asking(
    merlin: Plugin, sandbox: Sandbox
) -> None:
    sandbox.put_state("merlin", {"contacts": [{"idContact": 40, "Email": "old@example.com"}]})
    result = merlin.run([SCHEMA, contact("a", idContact="40")])
    assert result.counts("contacts") == {"received": 1, "updated": 1}
    assert contacts_at(sandbox)[0]["Email"] == "a@example.com"
    result = merlin.run([SCHEMA, record("contacts", key="a", idContact="40", **GONE)])
    assert result.counts("contacts") == {"received": 1, "deleted": 1}
    assert contacts_at(sandbox) == []
    assert labels(sandbox) == ["EDIT", "TRASH"]


def test_an_own_id_that_nobody_knows_is_refused(merlin: Plugin, sandbox: Sandbox) -> None:
    result = merlin.run([SCHEMA, contact("a", idContact="40")])
    assert kinds(result.rejects) == ["refused"]
    assert "not found" in result.rejects[0]["rejection"]["reason"]


@pytest.mark.parametrize("error", ["status", "error", "text", "http"])
def test_an_id_of_the_ledger_that_is_gone_is_matched_anew(
    merlin: Plugin, sandbox: Sandbox, error: str
) -> None:
    sandbox.options("merlin", error_form=error)
    merlin.run([SCHEMA, contact("a")])
    (held,) = contacts_at(sandbox)
    sandbox.remove("merlin", "contacts", held["idContact"])
    result = merlin.run([SCHEMA, contact("a", Number="+16193596440")])
    assert result.counts("contacts") == {"received": 1, "created": 1}, result.rejects
    assert len(contacts_at(sandbox)) == 1


@pytest.mark.parametrize("missing", ["error", "success"])
def test_trashing_what_is_gone_is_a_success(merlin: Plugin, sandbox: Sandbox, missing: str) -> None:
    sandbox.options("merlin", trash_missing=missing)
    merlin.run([SCHEMA, contact("a")])
    sandbox.remove("merlin", "contacts", contacts_at(sandbox)[0]["idContact"])
    result = merlin.run([SCHEMA, contact("a", **GONE)])
    assert result.counts("contacts") == {"received": 1, "deleted": 1}


def test_a_contact_found_and_then_not_known_does_not_go_round_in_circles(
    merlin: Plugin, sandbox: Sandbox
) -> None:
    merlin.run([SCHEMA, contact("a")])
    answer = {"status": "error", "message": "Contact 1 not found"}
    sandbox.fault(vendor="merlin", body="EDIT", status=200, answer=answer, times=None)
    result = merlin.run([SCHEMA, contact("a", Number="+16193596440")])
    assert kinds(result.rejects) == ["refused"]
    assert labels(sandbox).count("EDIT") == 1


# --- fields -----------------------------------------------------------------------------------


def test_flat_columns_become_custom_fields_by_the_setting(merlin: Plugin, sandbox: Sandbox) -> None:
    config = {"custom_fields": {"city": 12}}
    result = merlin.run([SCHEMA, contact("a", city="Tijuana")], **config)
    assert contacts_at(sandbox)[0]["Custom"] == {"12": "Tijuana"}, result.stderr
    result = merlin.run([SCHEMA, contact("a", city="Tijuana")], custom_fields={"city": "13"})
    assert result.counts("contacts") == {"received": 1, "updated": 1}
    assert contacts_at(sandbox)[0]["Custom"] == {"12": "Tijuana", "13": "Tijuana"}


def test_custom_goes_by_id_or_by_a_column_of_the_setting(merlin: Plugin, sandbox: Sandbox) -> None:
    columns = schema("contacts", {"key": {}, "Email": {}, "Custom": {"type": "object"}}, ("key",))
    row = record("contacts", key="a", Email="a@x.yz", Custom={"9": "nine", "city": "Tijuana"})
    merlin.run([columns, row], custom_fields={"city": "12"})
    assert contacts_at(sandbox)[0]["Custom"] == {"9": "nine", "12": "Tijuana"}


def test_an_unknown_column_is_left_out_with_a_warning(merlin: Plugin, sandbox: Sandbox) -> None:
    result = merlin.run([SCHEMA, contact("a", city="Tijuana")])
    assert "city" in result.stderr
    assert contacts_at(sandbox)[0]["Custom"] == {}


def test_numbers_are_brought_to_e164_by_phone_region(merlin: Plugin, sandbox: Sandbox) -> None:
    result = merlin.run(
        [SCHEMA, contact("a", Number="(619) 359-6440"), contact("b", Number="12")],
        phone_region="us",
    )
    assert contacts_at(sandbox)[0]["Number"] == "+16193596440"
    assert kinds(result.rejects) == ["invalid"]


# --- modes ------------------------------------------------------------------------------------


def test_update_never_makes_a_contact_and_create_never_touches_one(
    merlin: Plugin, sandbox: Sandbox
) -> None:
    there = {"Lname": "a", "Fname": "Juan", "Email": "a@example.com"}
    sandbox.put_state("merlin", {"contacts": [there]})
    rows = [SCHEMA, contact("a", Number="+16193596440"), contact("b")]
    result = merlin.run(rows, mode="create")
    assert result.counts("contacts") == {"received": 2, "created": 1, "skipped": 1}
    assert contacts_at(sandbox)[0]["Number"] is None
    result = merlin.run([*rows, contact("c")], mode="update", sync="second")
    assert result.counts("contacts") == {"received": 3, "updated": 2, "skipped": 1}
    assert len(contacts_at(sandbox)) == 2


def test_a_mirror_trashes_what_the_source_no_longer_has(merlin: Plugin, sandbox: Sandbox) -> None:
    config = {"mode": "mirror", "mirror_count": "trust"}
    merlin.run([SCHEMA, contact("a"), contact("b")], **config)
    result = merlin.run([SCHEMA, contact("a")], **config)
    assert result.counts("contacts") == {"received": 1, "unchanged": 1, "removed": 1}
    assert [c["Lname"] for c in contacts_at(sandbox)] == ["a"]


# --- lost answers -----------------------------------------------------------------------------


@pytest.mark.parametrize("fault", [{"drop": True}, {"status": 500}, {"cut": True}])
def test_a_new_contact_whose_answer_was_lost_is_looked_up_by_name(
    merlin: Plugin, sandbox: Sandbox, fault: JSON
) -> None:
    sandbox.fault(vendor="merlin", body="NEW", when="after", **fault)
    sandbox.fault(vendor="merlin", body="NEW", when="before", after=1, **fault)
    result = merlin.run([SCHEMA, contact("a"), contact("b"), contact("c")])
    assert result.counts("contacts") == {"received": 3, "created": 3}, result.rejects
    assert sorted(c["Lname"] for c in contacts_at(sandbox)) == ["a", "b", "c"]
    result = merlin.run([SCHEMA, contact("a"), contact("b"), contact("c")])
    assert result.counts("contacts") == {"received": 3, "unchanged": 3}


@pytest.mark.parametrize("form", ["object_idContact", "list"])
def test_json_that_breaks_off_counts_as_a_lost_answer(
    merlin: Plugin, sandbox: Sandbox, form: str
) -> None:
    sandbox.options("merlin", new_form=form)
    sandbox.fault(vendor="merlin", body="NEW", cut_json=True)
    result = merlin.run([SCHEMA, contact("a")])
    assert result.counts("contacts") == {"received": 1, "created": 1}
    assert len(contacts_at(sandbox)) == 1


def test_without_a_name_a_lost_answer_is_uncertain_until_a_person_decides(
    merlin: Plugin, sandbox: Sandbox
) -> None:
    row = contact("a", Fname=None, Lname=None)
    sandbox.fault(vendor="merlin", body="NEW", when="after", drop=True)
    result = merlin.run([SCHEMA, row])
    assert kinds(result.rejects) == ["uncertain"]
    result = merlin.run([SCHEMA, row])
    assert result.counts("contacts") == {"received": 1, "skipped": 1}
    assert len(result.rejects) == 1
    assert len(contacts_at(sandbox)) == 1
    result = merlin.run([SCHEMA], uncertain="drop")
    assert result.rejects == []
    result = merlin.run([SCHEMA, row])
    assert result.counts("contacts") == {"received": 1, "unchanged": 1}
    changed = contact("a", Fname=None, Lname=None, Number="+16193596440")
    result = merlin.run([SCHEMA, changed])
    assert "idContact" in result.rejects[0]["rejection"]["reason"]  # it is there, its id unknown
    assert len(contacts_at(sandbox)) == 1


def test_an_edit_is_sent_again_after_a_lost_answer(merlin: Plugin, sandbox: Sandbox) -> None:
    merlin.run([SCHEMA, contact("a")])
    sandbox.fault(vendor="merlin", body="EDIT", when="after", drop=True)
    sandbox.fault(vendor="merlin", body="EDIT", after=1, status=503)
    result = merlin.run([SCHEMA, contact("a", Number="+16193596440")])
    assert result.counts("contacts") == {"received": 1, "updated": 1}
    assert labels(sandbox).count("EDIT") == 3


def test_a_run_killed_in_the_middle_of_new_makes_no_second_contact(
    merlin: Plugin, sandbox: Sandbox
) -> None:
    sandbox.fault(vendor="merlin", body="NEW", when="after", hold="new", times=None)
    rows = [SCHEMA, *(contact(f"c{i}") for i in range(6)), contact("n", Fname=None, Lname=None)]
    process = merlin.start(rows, concurrency=8)
    sandbox.wait_held("new", 5)
    process.kill()
    process.communicate()
    sandbox.clear_faults()
    sandbox.release("new")
    result = merlin.run(rows)
    assert result.exit_code == 0, result.stderr
    names = sorted(c["Lname"] for c in contacts_at(sandbox) if c["Lname"])
    assert names == [f"c{i}" for i in range(6)]
    assert len(contacts_at(sandbox)) in (6, 7)
    assert sum(1 for c in contacts_at(sandbox) if not c["Lname"]) <= 1


def test_a_new_key_needs_to_be_told_whose_it_is(merlin: Plugin, sandbox: Sandbox) -> None:
    merlin.run([SCHEMA, contact("a")])
    old = next(iter(r for r in [merlin.report()]))
    assert old["outcome"] == "ok"
    sandbox.account("merlin", "default", key="renewed-key-1")
    result = merlin.run([SCHEMA, contact("a")], api_key="renewed-key-1")
    assert result.exit_code == 1
    assert "account" in result.error
    assert len(contacts_at(sandbox)) == 1
