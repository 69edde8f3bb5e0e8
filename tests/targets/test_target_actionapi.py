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


def answer(sandbox: Sandbox, body: str, value: Any, **fault: Any) -> None:
    """Have the calls whose body fits answered with this JSON."""
    given = {"status": 200, "times": None, **fault}
    sandbox.fault(vendor="merlin", body=body, answer=json.dumps(value), **given)


def test_every_form_of_an_id_is_understood(merlin: Plugin, sandbox: Sandbox) -> None:
    forms = [101, "102", {"idContact": 103}, {"id": 104}, {"ID": "105"}, [{"idContact": 106}]]
    sandbox.put_state("merlin", {"contacts": [{"idContact": 101 + i} for i in range(6)]})
    for i, form in enumerate(forms):
        answer(sandbox, f'NEW.*"c{i}@|c{i}@.*NEW', form)
    result = merlin.run([SCHEMA, *(contact(f"c{i}") for i in range(6))])
    assert result.counts("contacts") == {"received": 6, "created": 6}, result.rejects
    result = merlin.run([SCHEMA, *(contact(f"c{i}", Fname="Ana") for i in range(6))])
    assert result.counts("contacts") == {"received": 6, "updated": 6}
    emails = {c["idContact"]: c["Email"] for c in contacts_at(sandbox)}
    assert emails == {101 + i: f"c{i}@example.com" for i in range(6)}
    assert labels(sandbox).count("SEARCH") == 6  # the second run asked the ledger


def test_every_form_of_a_status_is_understood(merlin: Plugin, sandbox: Sandbox) -> None:
    forms = [
        {"status": "success"}, {"Status": "OK"}, {"status": "success", "message": "Done"}, "OK",
        "success", True, 1, {"status": True}, {"success": True}, ["ok"], {"status": 200}, {"id": 5},
    ]  # fmt: skip
    for i, form in enumerate(forms):
        answer(sandbox, f'"idContact":{101 + i}\\b', form)
    rows = [contact(f"c{i}", idContact=str(101 + i), **GONE) for i in range(len(forms))]
    result = merlin.run([SCHEMA, *rows])
    assert result.counts("contacts") == {"received": 12, "deleted": 12}, result.rejects
    assert labels(sandbox) == ["TRASH"] * 12


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


def test_what_is_not_understood_is_a_refusal_and_never_a_success(
    merlin: Plugin, sandbox: Sandbox
) -> None:
    answers = [
        {"foo": "bar"}, "Hello", "", [], {}, 0, "0", False, [1, 2], {"status": "pending"},
        "hm", {"status": "success", "error": "quota is used up"}, {"id": None},
        {"status": 500, "message": "Done"}, -1, None,
    ]  # fmt: skip
    for i, value in enumerate(answers):
        answer(sandbox, f'NEW.*"c{i}@|"c{i}@.*NEW', value)
    rows = [contact(f"c{i}") for i in range(len(answers))]
    result = merlin.run([SCHEMA, *rows], max_rejects="")
    assert result.counts("contacts") == {"received": 16, "rejected": 16}
    assert set(kinds(result.rejects)) == {"refused"}
    reasons = {r["record"]["key"]: r["rejection"]["reason"] for r in result.rejects}
    assert all(reasons.values())
    assert "foo: bar" in reasons["c0"]
    assert "Hello" in reasons["c1"]
    assert "quota is used up" in reasons["c11"]


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


@pytest.mark.console_script
def test_the_key_stands_in_the_body_and_in_no_log(
    merlin: Plugin, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LOGLEVEL", "DEBUG")
    monkeypatch.setenv("TARGET_ACTIONAPI_LOGLEVEL", "DEBUG")
    echo = {"status": "error", "message": f'bad row [{{"key": "{KEY}"}}, ...]'}
    sandbox.fault(vendor="merlin", body="NEW", status=200, answer=echo)
    result = merlin.run([SCHEMA, contact("a"), contact("b")], concurrency=1)
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


@pytest.mark.parametrize(
    "form", ["list", "object_for_one", "by_id_only", "data", "lower_case", "text_ID"]
)
@pytest.mark.parametrize(
    "own", [{"Email": "A@Example.com "}, {"Email": "x@example.com", "Number": "+1 (619) 359-6440"}]
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


def test_every_form_of_finding_nobody_leads_to_new(merlin: Plugin, sandbox: Sandbox) -> None:
    refusal = {"status": "error", "message": "not found"}
    forms: list[Any] = [
        [],
        {},
        None,
        False,
        "",
        refusal,
        {"error": "not found"},
        "Error: not found",
    ]
    for i, form in enumerate(forms):
        answer(sandbox, f'SEARCH.*"c{i}"|"c{i}".*SEARCH', form)
    answer(sandbox, 'SEARCH.*"c8"|"c8".*SEARCH', refusal, status=404)
    result = merlin.run([SCHEMA, *(contact(f"c{i}") for i in range(9))])
    assert result.counts("contacts") == {"received": 9, "created": 9}, result.rejects


@pytest.mark.parametrize(
    "found",
    [
        [{"idContact": 7}],
        [{"idContact": 7, "Fname": "Juan"}],
        {"data": [], "total": 1},
        {"error": "Table contacts not found"},
    ],
    ids=str,
)
def test_a_search_that_cannot_be_compared_is_refused_not_doubled(
    merlin: Plugin, sandbox: Sandbox, found: Any
) -> None:
    sandbox.fault(vendor="merlin", body="SEARCH", status=200, answer=found)
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


@pytest.mark.parametrize("error", ["status", "http"])
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
    result = merlin.run([SCHEMA, contact("a", city="Tijuana")], custom_fields={"city": 12})
    assert contacts_at(sandbox)[0]["Custom"] == {"12": "Tijuana"}, result.stderr
    result = merlin.run([SCHEMA, contact("a", city="Tijuana")], custom_fields={"city": "13"})
    assert result.counts("contacts") == {"received": 1, "updated": 1}
    assert contacts_at(sandbox)[0]["Custom"] == {"12": "Tijuana", "13": "Tijuana"}


def test_custom_goes_by_id_or_by_a_column_of_the_setting(merlin: Plugin, sandbox: Sandbox) -> None:
    columns = schema("contacts", {"key": {}, "Email": {}, "Custom": {"type": "object"}}, ("key",))
    row = record(
        "contacts", key="a", Email="a@example.com", Custom={"9": "nine", "city": "Tijuana"}
    )
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
