"""target-autoreach reads the members that it matches against, while others change them."""

from __future__ import annotations

from typing import Any

import pytest

from singer_sandbox import Sandbox
from tests.front_door import Plugin, record, schema


def run_while(people: Plugin, gone: list[int], added: dict[str, Any] | None) -> list[str]:
    """Deliver the member of row 101 while page 1 is answered; the emails at the vendor then."""
    sandbox = people.sandbox
    sandbox.fault(vendor="autoreach", path="members", method="GET", hold="page", after=2)
    process = people.start(
        [schema("members", ["id", "email"], ["email"]), record("members", email=EMAIL)]
    )
    sandbox.wait_held("page")
    for number in gone:
        sandbox.remove("autoreach", "members", str(number))
    if added:
        sandbox.put_state("autoreach", {"members": [added]})
    sandbox.clear_faults()
    sandbox.release("page")
    done = people.finish(process)
    assert done.exit_code == 0, done.stderr
    rows = sandbox.state("autoreach")["members"]
    return [row["email"] for row in (rows.values() if isinstance(rows, dict) else rows)]


EMAIL = "p100@example.com"


@pytest.mark.parametrize("added", [None, {"id": 900, "email": "new@example.com"}], ids=str)
def test_a_member_that_moves_to_an_earlier_page_is_not_created_again(
    sandbox: Sandbox, people: Plugin, added: dict[str, Any] | None
) -> None:
    sandbox.put_state(
        "autoreach", {"members": [{"email": f"p{number}@example.com"} for number in range(300)]}
    )
    assert run_while(people, [5], added).count(EMAIL) == 1


def test_a_delete_that_brings_only_its_own_key_deletes_what_was_delivered(
    people: Plugin, sandbox: Sandbox
) -> None:
    columns = schema("people", ("row", "id", "email", "_sdc_deleted_at"), ("row",))
    people.run([columns, record("people", row="r1", id="p1"), record("people", row="r2", id="p2")])
    gone = [record("people", row=row, _sdc_deleted_at="2026-01-01") for row in ("r1", "never")]
    result = people.run([columns, *gone])
    assert result.counts("people") == {"received": 2, "deleted": 2}
    assert list(sandbox.state("autoreach")["people"]) == ["p2"]
    deletes = [r["path"] for r in sandbox.requests("autoreach") if r["method"] == "DELETE"]
    assert [path.rpartition("/")[2] for path in deletes] == ["p1"]
