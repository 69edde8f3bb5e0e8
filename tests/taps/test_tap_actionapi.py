"""tap-actionapi through its front door: every form of an answer, and no row lost in silence."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from singer_sandbox import Sandbox
from tests import processes
from tests.front_door import JSON, Plugin
from tests.tapping import Tap, Tapped

KEY = "sandbox-merlin-key"
ANN = {"Number": "+16193596440", "Email": "ann@example.com", "Fname": "Ann", "Lname": "Lee"}
BOB = {"Number": "+16193596441", "Email": "bob@example.com", "Fname": "Bob", "Lname": "Lee"}


@pytest.fixture
def tap(sandbox: Sandbox, tmp_path: Path) -> Tap:
    return Tap("tap-actionapi", sandbox, tmp_path, searches=[{"Lname": "Lee"}])


def answered(sandbox: Sandbox, tap: Tap, answer: Any, **fault: Any) -> Tapped:
    """A run whose one search has this answer."""
    given = {"status": 200, "times": None, **fault}
    sandbox.fault(vendor="merlin", answer=json.dumps(answer), **given)
    return tap.run()


def rows(done: Tapped) -> list[JSON]:
    assert done.exit_code == 0, done.stderr
    return done.records("contacts")


def actions(sandbox: Sandbox) -> list[JSON]:
    return [r["body"][1] for r in sandbox.requests("merlin")]


@pytest.mark.console_script
def test_contacts_come_as_they_are(sandbox: Sandbox, tap: Tap) -> None:
    ann = {"idContact": 7, **ANN, "Custom": {"12": "Reno"}}
    sandbox.put_state("merlin", {"contacts": [ann, {**BOB, "Lname": "Other"}]})
    done = tap.read()
    assert done.streams == {"contacts"}
    assert done.records("contacts") == [ann]
    (schema,) = [m for m in done.messages if m["type"] == "SCHEMA"]
    assert schema["key_properties"] == ["idContact"]
    assert set(schema["schema"]["properties"]) == {"Opportunitie", *ann}
    assert actions(sandbox) == [{"type": "SEARCH", "Lname": "Lee"}]


@pytest.mark.parametrize(
    "form",
    ["list", "object_for_one", "by_id", "by_id_only", "data", "lower_case", "text_ID"],
)
def test_every_form_is_one_row_for_each_contact(sandbox: Sandbox, tap: Tap, form: str) -> None:
    sandbox.options("merlin", search_form=form)
    held = [{"idContact": 7 + i, **who, "Custom": {"1": "x"}} for i, who in enumerate((ANN, BOB))]
    sandbox.put_state("merlin", {"contacts": held})
    assert rows(tap.run()) == held
    assert rows(tap.run(searches=[{"Fname": "Ann"}])) == held[:1]


@pytest.mark.parametrize(
    "answer",
    [
        {"contacts": [{"idContact": 7, **ANN}]},
        {"Status": "OK", "Contact": {"id": "7", **ANN}},
        {"result": "success", "data": [], "contacts": [{"ID": "7", **ANN}]},
        {"data": {"results": {"7": ANN}}, "total": 1},
        {"0": {"idContact": 7, **ANN}, "2": {"idContact": "7", **ANN}},
        [[{"idContact": 7, **ANN}], None],
        {"idContact": 7, **ANN, "Status": "0"},
        [{"IDCONTACT": " 7 ", **{name.upper(): value for name, value in ANN.items()}}],
    ],
    ids=str,
)
def test_other_forms_are_understood(sandbox: Sandbox, tap: Tap, answer: Any) -> None:
    (row,) = rows(answered(sandbox, tap, answer))
    assert row == {"idContact": 7, **ANN}


def test_values_have_one_form_whatever_the_answers_form(sandbox: Sandbox, tap: Tap) -> None:
    numbers = {"idContact": "7", "Number": 16193596440, "Fname": 7, "Custom": []}
    flags = [True, 1, "1", "TRUE", False, 0, "0", None, ""]
    answer = [{**numbers, "idContact": 7 + i, "Opportunitie": f} for i, f in enumerate(flags)]
    found = rows(answered(sandbox, tap, answer))
    assert {name: found[0][name] for name in numbers} == {
        "idContact": 7, "Number": "16193596440", "Fname": "7", "Custom": {}
    }  # fmt: skip
    assert [row["Opportunitie"] for row in found] == [True] * 4 + [False] * 3 + [None] * 2


def test_ids_of_any_size_are_exact(sandbox: Sandbox, tap: Tap) -> None:
    big = 2**70
    assert rows(answered(sandbox, tap, [{"idContact": big, **ANN}]))[0]["idContact"] == big


@pytest.mark.parametrize(
    ("answer", "status"),
    [
        ([], 200),
        ({}, 200),
        (None, 200),
        (False, 200),
        ("", 200),
        (0, 200),
        ({"data": []}, 200),
        ({"contacts": {}}, 200),
        ({"data": False}, 200),
        ({"status": False, "data": []}, 200),
        ({"status": "success", "message": "No contacts found"}, 200),
        ({"status": "error", "message": "not found"}, 200),
        ({"error": "Contact 7 not found"}, 200),
        ("Error: not found", 200),
        ("None found.", 200),
        ({"status": "not found"}, 200),
        ({"status": "error", "message": "Contact does not exist"}, 404),
        ({"status": "error", "message": "Unknown contact"}, 400),
    ],
    ids=str,
)
def test_a_search_that_finds_nothing_is_no_error(
    sandbox: Sandbox, tap: Tap, answer: Any, status: int
) -> None:
    assert rows(answered(sandbox, tap, answer, status=status)) == []


@pytest.mark.parametrize(
    "answer",
    [
        7,
        "7",
        [7, 8],
        True,
        "OK",
        {"status": "success"},
        {"idContact": 7},
        [{"idContact": 7, **ANN}, {"idContact": 8}],
        [{"idContact": 7, **ANN}, {**BOB}],
        [{"idContact": 7, **ANN}, "more"],
        {"0": ANN, "1": BOB},
        {"data": 5},
        {"data": [{"idContact": 7, **ANN}], "total": 2},
        {"data": [{"idContact": 7, **ANN}], "contacts": [5]},
        {"idContact": "x7", **ANN},
    ],
    ids=str,
)
def test_an_answer_that_is_not_understood_stops_the_run(
    sandbox: Sandbox, tap: Tap, answer: Any
) -> None:
    done = answered(sandbox, tap, answer)
    assert "contacts: search 1 of 1" in done.error
    assert "the answer to SEARCH" in done.error
    assert done.records("contacts") == []


@pytest.mark.parametrize(
    ("answer", "status"),
    [
        ({"status": "error", "message": "Quota exceeded"}, 200),
        ({"error": "Table contacts not found"}, 200),
        ("Error: no data received", 200),
        (-1, 200),
        ({"success": False}, 200),
        ({"status": "error", "data": [], "message": "Search failed"}, 200),
        ({"idContact": 7, "status": "error", "message": "Lname is invalid"}, 200),
        ({"message": "Lname is invalid"}, 400),
    ],
    ids=str,
)
def test_a_refusal_is_one_line(sandbox: Sandbox, tap: Tap, answer: Any, status: int) -> None:
    done = answered(sandbox, tap, answer, status=status)
    assert f"contacts: search 1 of 1 brought nothing that can be read: HTTP {status}" in done.error


def test_a_web_page_is_no_answer(sandbox: Sandbox, tap: Tap) -> None:
    sandbox.fault(vendor="merlin", html=200, answer="<html>Not found</html>", times=None)
    assert "the answer is a web page" in tap.run(max_retries=0).error


@pytest.mark.parametrize("auth_error", ["401", "200"])
def test_a_wrong_key_names_the_setting(sandbox: Sandbox, tap: Tap, auth_error: str) -> None:
    sandbox.options("merlin", auth_error=auth_error)
    done = tap.run(api_key="wrong-key-1")
    assert "check api_key" in done.error
    assert "wrong-key-1" not in done.stderr + done.stdout


def test_an_address_where_nobody_is_names_the_setting(sandbox: Sandbox, tap: Tap) -> None:
    done = tap.run(api_url=f"{sandbox.url}/merlin/elsewhere/")
    assert "check api_url" in done.error


def test_a_lost_answer_and_a_pause_are_waited_for(sandbox: Sandbox, tap: Tap) -> None:
    sandbox.put_state("merlin", {"contacts": [ANN]})
    sandbox.fault(vendor="merlin", drop=True)
    sandbox.fault(vendor="merlin", status=429, retry_after=0)
    sandbox.fault(vendor="merlin", status=503)
    assert [row["Email"] for row in rows(tap.run())] == ["ann@example.com"]


def test_a_contact_found_by_two_searches_is_one_row(sandbox: Sandbox, tap: Tap) -> None:
    sandbox.put_state("merlin", {"contacts": [ANN, BOB]})
    searches: list[JSON] = [
        {"Lname": "Lee"}, {"Fname": "ann"}, {"idContact": "2"}, {"Fname": "Nobody"}
    ]  # fmt: skip
    found = rows(tap.run(searches=searches))
    assert [row["idContact"] for row in found] == [1, 2]
    assert sorted(map(json.dumps, actions(sandbox))) == sorted(
        json.dumps({"type": "SEARCH", **search})
        for search in [*searches[:2], {"idContact": 2}, searches[3]]
    )


def test_one_search_that_fails_stops_the_run_and_is_named(sandbox: Sandbox, tap: Tap) -> None:
    sandbox.put_state("merlin", {"contacts": [ANN]})
    sandbox.fault(vendor="merlin", body="Bob", status=200, answer='"OK"', times=None)
    done = tap.run(searches=[{"Fname": "Ann"}, {"Fname": "Bob"}, {"Fname": "Cleo"}])
    assert "contacts: search 2 of 3" in done.error
    # What the searches before it found was written; no STATE says that the stream is complete.
    assert [row["Email"] for row in done.records("contacts")] == ["ann@example.com"]
    assert done.messages[-1]["type"] == "RECORD"


def test_many_searches_bring_each_contact_once(sandbox: Sandbox, tap: Tap) -> None:
    people = [{"Fname": f"f{i}", "Lname": f"l{i % 10}", "Email": f"p{i}@example.com"}
              for i in range(100)]  # fmt: skip
    sandbox.put_state("merlin", {"contacts": people})
    by_both = [{"Lname": f"l{i}"} for i in range(10)] + [{"Fname": f"f{i}"} for i in range(100)]
    found = [row["idContact"] for row in rows(tap.run(searches=by_both))]
    assert sorted(found) == list(range(1, 101))


def test_what_is_not_declared_is_left_out_and_reported_and_can_be_declared(
    sandbox: Sandbox, tap: Tap
) -> None:
    catalog = tap.discover()
    answer = json.dumps([{"idContact": 7, **ANN, "Stage": "won"}])
    sandbox.fault(vendor="merlin", answer=answer, status=200, times=None)
    done = tap.read()
    assert done.records("contacts") == [{"idContact": 7, **ANN}]
    assert "('Stage',) were present in the 'contacts' stream but not found" in done.stderr
    (stream,) = catalog["streams"]
    stream["schema"]["properties"]["Stage"] = {"type": ["string", "null"]}
    assert tap.read(catalog=catalog).records("contacts") == [
        {"idContact": 7, **ANN, "Stage": "won"}
    ]


def test_discovery_asks_nobody(sandbox: Sandbox, tap: Tap) -> None:
    (stream,) = tap.discover(searches=None, api_key=None)["streams"]
    assert stream["tap_stream_id"] == "contacts"
    assert stream["key_properties"] == ["idContact"]
    assert sandbox.requests("merlin") == []


@pytest.mark.parametrize(
    ("searches", "said"),
    [
        ([], "at least one is needed"),
        ([{}], "number 1 has none of them"),
        ([{"Fname": "Ann"}, {"Fname": " ", "Lname": None}], "number 2 has none of them"),
        ([{"fname": "Ann"}], "number 1 has 'fname'; did you mean 'Fname'?"),
        ([{"Lname": "Lee", "Email": "ann@example.com"}], "number 1 has 'Email'"),
        (["Ann"], "number 1 is not an object"),
        ([{"Fname": 7}], "number 1 has a Fname that is not a text"),
        ([{"idContact": "seven"}], "number 1 has an idContact that is not a number"),
        ([{"idContact": True}], "number 1 has an idContact that is not a number"),
        ([{"idContact": 0}], "number 1 has an idContact that is not a number"),
        ({"Fname": "Ann"}, "it takes a list"),
        ("Ann", "it takes a list"),
        (None, "searches is missing"),
    ],
    ids=str,
)
def test_searches_that_cannot_be_sent_are_refused_in_one_line(
    sandbox: Sandbox, tap: Tap, searches: Any, said: str
) -> None:
    error = tap.run(searches=searches).error
    assert "setting searches" in error
    assert said in error
    assert sandbox.requests("merlin") == []


def test_searches_come_from_the_environment_as_json(
    sandbox: Sandbox, tap: Tap, monkeypatch: pytest.MonkeyPatch
) -> None:
    sandbox.put_state("merlin", {"contacts": [{"idContact": 7, **ANN}]})
    searches = '[{"Fname": "Ann", "Lname": null}, {"idContact": "7"}]'
    monkeypatch.setenv("TAP_ACTIONAPI_SEARCHES", searches)
    assert [row["idContact"] for row in rows(tap.run("--config", "ENV", searches=None))] == [7]
    # And as text in the settings file, as Meltano writes a setting that is a variable.
    monkeypatch.delenv("TAP_ACTIONAPI_SEARCHES")
    assert [row["idContact"] for row in rows(tap.run(searches=searches))] == [7]


def test_about_names_the_settings(tmp_path: Path) -> None:
    shown = processes.start("tap-actionapi", ["--about", "--format", "json"], cwd=tmp_path)
    settings = json.loads(shown.communicate(timeout=60)[0])["settings"]
    assert {"api_key", "searches"} == set(settings["required"])
    default = settings["properties"]["api_url"]["default"]
    assert default == "https://ccenter.merlin.watch/flex/API/"


@pytest.mark.parametrize("form", ["list", "by_id_only", "lower_case"])
def test_what_it_reads_the_target_writes_without_a_change(
    sandbox: Sandbox, tap: Tap, tmp_path: Path, form: str
) -> None:
    sandbox.options("merlin", search_form=form)
    held = [
        {"idContact": 7, **ANN, "Custom": {"12": "Reno", "13": None}},
        {"idContact": 9, **BOB, "Number": None},
    ]
    sandbox.put_state("merlin", {"contacts": held})
    before = sandbox.state("merlin")["contacts"]
    lines = [line for line in tap.read().messages if line["type"] != "STATE"]
    target = Plugin("target-actionapi", sandbox, tmp_path, unknown_fields="error")
    sandbox.log(clear=True)
    first = target.run(lines)
    assert first.exit_code == 0, first.stderr
    assert first.counts("contacts") == {"received": 2, "updated": 2}, first.rejects
    assert {action["type"] for action in actions(sandbox)} == {"EDIT"}
    assert sandbox.state("merlin")["contacts"] == before
    again = target.run(lines)
    assert again.counts("contacts") == {"received": 2, "unchanged": 2}
