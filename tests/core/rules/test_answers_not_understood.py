"""A create that is answered in words that are not the vendor's: looked up before anything else."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from singer_sandbox import Sandbox
from tests.front_door import Plugin, record, schema

CONTACT = [
    schema("contacts", ["key", "email"], ["key"]),
    record("contacts", key="a", email="a@example.com"),
]


@pytest.fixture
def rei(sandbox: Sandbox, tmp_path: Path) -> Plugin:
    # A second create makes a second contact: nothing but the lookup prevents it.
    sandbox.options("rei", create_makes_duplicates=True)
    return Plugin("target-reisoftware", sandbox, tmp_path, concurrency=1)


def emails(sandbox: Sandbox) -> list[Any]:
    return [contact["email"] for contact in sandbox.state("rei")["contacts"].values()]


def test_one_that_did_not_arrive_is_refused_and_the_next_run_sends_it(
    rei: Plugin, sandbox: Sandbox
) -> None:
    sandbox.fault(vendor="rei", method="POST", path="contacts/$", html=400)
    result = rei.run(CONTACT)
    (rejected,) = result.rejects
    assert (rejected["rejection"]["kind"], rejected["rejection"]["status"]) == ("refused", None)
    assert "400" in rejected["rejection"]["reason"]
    assert emails(sandbox) == []
    asked = len(sandbox.requests("rei"))
    healed = rei.run(CONTACT)
    assert (healed.exit_code, healed.rejects) == (0, [])
    assert emails(sandbox) == ["a@example.com"]
    methods = [r["method"] for r in sandbox.requests("rei")[asked:] if "contacts" in r["path"]]
    assert methods == ["GET", "POST"], "looked up before it is sent again"


def test_one_that_arrived_is_found_and_made_once(rei: Plugin, sandbox: Sandbox) -> None:
    sandbox.fault(vendor="rei", method="POST", path="contacts/$", when="after", html=400)
    result = rei.run(CONTACT)
    assert (result.exit_code, result.rejects) == (0, [])
    assert emails(sandbox) == ["a@example.com"]


def test_a_redirected_create_that_is_not_found_is_uncertain(rei: Plugin, sandbox: Sandbox) -> None:
    sandbox.fault(vendor="rei", method="POST", path="contacts/$", status=303)
    result = rei.run(CONTACT)
    assert [r["rejection"]["kind"] for r in result.rejects] == ["uncertain"]
    rei.run(CONTACT)
    assert emails(sandbox) == []
