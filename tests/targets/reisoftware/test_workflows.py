"""REI Software's workflows: a contact enters once and only once."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from singer_sandbox import Sandbox
from tests.front_door import JSON, Plugin
from tests.targets.reisoftware.test_links import DELETED, directory, entries, rejection, rows
from tests.targets.reisoftware.versions import VERSIONS, target


@pytest.fixture(params=VERSIONS)
def rei(request: pytest.FixtureRequest, sandbox: Sandbox, tmp_path: Path) -> Iterator[Plugin]:
    directory(sandbox)
    yield from target(request.param, sandbox, tmp_path)


def entry(key: str, **row: Any) -> JSON:
    return {"key": key, "workflowId": "welcome", "eventStartTime": "2026-05-01 09:00:00", **row}


def test_a_contact_enters_a_workflow_once_and_only_once(rei: Plugin) -> None:
    some = rows(
        "contact_workflows", entry("1", email="ann@example.com"), entry("2", contactId="bob")
    )
    result = rei.run(some, first_run=True)
    assert result.exit_code == 0, result.stderr
    assert result.counts("contact_workflows") == {"received": 2, "created": 2}
    assert {one["contactId"] for one in entries(rei.sandbox)} == {"ann", "bob"}
    assert {one["eventStartTime"] for one in entries(rei.sandbox)} == {"2026-05-01T09:00:00+00:00"}
    again = rei.run(some, full_resync=True)
    assert again.counts("contact_workflows") == {"received": 2, "unchanged": 2}
    assert len(entries(rei.sandbox)) == 2


def test_the_first_run_of_workflows_has_to_be_called_so(rei: Plugin) -> None:
    result = rei.run(rows("contact_workflows", entry("1", email="ann@example.com")))
    assert result.exit_code == 1
    assert "first_run" in result.error
    assert entries(rei.sandbox) == []


@pytest.mark.parametrize("fault", [{"drop": True}, {"status": 500}])
@pytest.mark.parametrize("when", ["before", "after"])
def test_an_entry_whose_answer_was_lost_is_uncertain_and_never_sent_twice(
    rei: Plugin, fault: JSON, when: str
) -> None:
    rei.sandbox.fault(vendor="rei", method="POST", path="workflow", when=when, **fault)
    some = rows("contact_workflows", entry("1", email="ann@example.com"))
    result = rei.run(some, first_run=True)
    assert rejection(result)["kind"] == "uncertain"
    arrived = len(entries(rei.sandbox))
    again = rei.run(some, first_run=True)
    assert again.counts("contact_workflows") == {"received": 1, "skipped": 1}
    assert len(entries(rei.sandbox)) == arrived <= 1


@pytest.mark.parametrize(
    "fault", [{"html": 400}, {"status": 400, "answer": {}}, {"status": 404, "answer": {}}]
)
def test_an_entry_that_is_refused_without_a_reason_is_uncertain_and_never_sent_twice(
    rei: Plugin, fault: JSON
) -> None:
    rei.sandbox.fault(vendor="rei", method="POST", path="workflow", when="after", **fault)
    some = rows("contact_workflows", entry("1", email="ann@example.com"))
    assert rejection(rei.run(some, first_run=True))["kind"] == "uncertain"
    rei.run(some)
    assert len(entries(rei.sandbox)) == 1


def test_an_entry_after_a_429_is_sent_again(rei: Plugin) -> None:
    rei.sandbox.fault(vendor="rei", method="POST", path="workflow", status=429, retry_after=0)
    rei.run(rows("contact_workflows", entry("1", email="ann@example.com")), first_run=True)
    assert len(entries(rei.sandbox)) == 1


@pytest.mark.parametrize(
    ("row", "kind", "reason"),
    [
        ({"email": "who@example.com"}, "invalid", "no contact with this email"),
        ({"contactId": "who"}, "invalid", "no contact who"),
        ({"contactId": "ann", "workflowId": None}, "invalid", "workflowId"),
        ({"contactId": "ann", "workflowId": "nope"}, "refused", "Workflow not found"),
        ({"contactId": "ann", "eventStartTime": "soon"}, "invalid", "eventStartTime"),
        ({"contactId": "ann", "_sdc_deleted_at": DELETED}, "invalid", "undo"),
    ],
)
def test_an_entry_that_cannot_be_is_rejected(
    rei: Plugin, row: JSON, kind: str, reason: str
) -> None:
    result = rei.run(rows("contact_workflows", entry("1", **row)), first_run=True)
    assert result.exit_code == 0, result.stderr
    assert rejection(result)["kind"] == kind
    assert reason in rejection(result)["reason"]
    assert entries(rei.sandbox) == []


def test_workflows_are_for_upserts_only(rei: Plugin) -> None:
    result = rei.run(rows("contact_workflows", entry("1", contactId="ann")), mode="create")
    assert result.exit_code == 1
    assert "upsert" in result.error
