"""The sandbox behaves as Merlin CRM does."""

from __future__ import annotations

from singer_sandbox import Sandbox
from tests.calling import call, merlin


def test_merlin_actions_in_all_their_forms(sandbox: Sandbox) -> None:
    forms = {
        "int": 1,
        "digits": "2",
        "object_idContact": {"idContact": 3},
        "object_id": {"id": 4},
        "object_ID": {"ID": "5"},
        "list": [{"idContact": 6}],
    }
    for form, expected in forms.items():
        sandbox.options("merlin", new_form=form)
        body = {"type": "NEW", "Email": "a@example.com", "Fname": "Ada", "Custom": {"9": "x"}}
        assert merlin(sandbox, body).json() == expected
    assert len(merlin(sandbox, {"type": "SEARCH", "Fname": "ADA"}).json()) == 6
    assert merlin(sandbox, {"type": "EDIT", "idContact": 1, "Lname": "L"}).status_code == 200
    sandbox.options("merlin", status_form="text", search_form="object_for_one")
    assert merlin(sandbox, {"type": "TRASH", "idContact": 2}).json() == "OK"
    assert merlin(sandbox, {"type": "SEARCH", "Lname": "l"}).json()["idContact"] == 1
    assert merlin(sandbox, {"type": "SEARCH", "Lname": "none"}).json() == []
    assert merlin(sandbox, {"type": "NEW", "Fname": "B"}).json()["status"] == "error"
    assert merlin(sandbox, {"type": "NEW", "Number": "555"}).json()["status"] == "error"
    assert merlin(sandbox, {"type": "SEARCH", "Lname": "l"}, key="no").status_code == 401


def test_merlin_lists_every_message_and_entry(sandbox: Sandbox) -> None:
    sandbox.seed()
    merlin(sandbox, {"type": "NEW", "Number": "+15551234567"})
    for _ in range(2):
        assert merlin(sandbox, {"idContact": 1, "idAuto": 10}).json() == {"status": "success"}
        merlin(sandbox, {"type": "SMS", "number": "+15551234567", "text": "hello"})
    merlin(sandbox, {"type": "CALL", "number": "+15551234567", "text": "hello"})
    for refused in ({"idContact": 1, "idAuto": 11}, {"idContact": 9, "idAuto": 10}):
        assert merlin(sandbox, refused).json()["status"] == "error"
    assert merlin(sandbox, {"type": "SMS", "number": "5551234567", "text": "x"}).status_code == 200
    state = sandbox.state("merlin")
    counts = [len(state[name]) for name in ("automation_entries", "sms", "calls")]
    assert counts == [2, 2, 1]
    wrong = [{"key": "sandbox-merlin-key"}, {"type": "NEW"}]
    assert "Unknown" in call(sandbox, "POST", "/merlin/flex/message/", wrong).json()["message"]
