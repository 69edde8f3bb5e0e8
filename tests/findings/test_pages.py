"""A list that changes while it is paged: nothing is missed in silence."""

from __future__ import annotations

from pathlib import Path

import pytest

from singer_sandbox import Sandbox
from tests.findings.inputs import MEMBERS, member, members
from tests.front_door import Plugin
from tests.tapping import Tap

GONE = {"table": "members", "key": 5}


@pytest.fixture
def tap(sandbox: Sandbox, tmp_path: Path) -> Tap:
    return Tap("tap-autoreach", sandbox, tmp_path, page_size=20, concurrency=1)


@pytest.mark.parametrize("after", [0, 1, 2, 3])
@pytest.mark.parametrize("total", ["present", "absent"])
@pytest.mark.parametrize("concurrency", [1, 4])
def test_a_row_deleted_while_a_tap_reads_hides_no_other(
    sandbox: Sandbox, tap: Tap, after: int, total: str, concurrency: int
) -> None:
    """P7"""
    sandbox.fill("autoreach", members=60)
    sandbox.options("autoreach", total=total)
    tap.config["concurrency"] = concurrency
    sandbox.fault(vendor="autoreach", method="GET", path="members", after=after, remove=GONE)
    done = tap.read()
    held = {row["id"] for row in members(sandbox)}
    assert len(held) == 59
    assert held <= {row["id"] for row in done.records("members")}


@pytest.mark.parametrize("table", ["lists", "custom_fields"])
def test_the_other_lists_of_the_vendor_hide_none_either(
    sandbox: Sandbox, tap: Tap, table: str
) -> None:
    """P7"""
    rows = [{"id": i, "name": f"n{i}", "key": f"k{i}"} for i in range(1, 61)]
    sandbox.put_state("autoreach", {table: rows})
    gone = {"table": table, "key": 5}
    sandbox.fault(vendor="autoreach", method="GET", path=f"/{table}", after=0, remove=gone)
    done = tap.read()
    held = {row["id"] for row in sandbox.state("autoreach")[table].values()}
    assert len(held) == 59
    assert held <= {row["id"] for row in done.records(table)}


def test_kasplos_numbered_pages_hide_none(sandbox: Sandbox, tmp_path: Path) -> None:
    """P7"""
    sandbox.put_state(
        "kasplo", {"lists": [{"name": f"l{i}", "list_id": f"l{i}"} for i in range(60)]}
    )
    gone = {"table": "lists", "key": "l3"}
    sandbox.fault(vendor="kasplo", path="/list", remove=gone)
    done = Tap("tap-emailmarketing", sandbox, tmp_path, page_size=20, concurrency=1).read()
    held = set(sandbox.state("kasplo")["lists"])
    assert len(held) == 59
    assert held <= {row["list_id"] for row in done.records("lists")}


@pytest.mark.parametrize("after", [0, 1])
@pytest.mark.parametrize("total", ["present", "absent"])
def test_a_member_deleted_while_the_list_is_matched_makes_no_second_one(
    autoreach: Plugin, sandbox: Sandbox, after: int, total: str
) -> None:
    """H11: the row that moved from page 2 to page 1 is the one that comes."""
    sandbox.fill("autoreach", members=60)
    sandbox.options("autoreach", total=total, page_size_cap=20)
    sandbox.fault(vendor="autoreach", method="GET", path="members", after=after, remove=GONE)
    email = f"person{20 * (after + 1) + 1}@example.com"
    result = autoreach.run([MEMBERS, member("x", email=email, list_id=None)], page_size=20)
    emails = [row["email"] for row in members(sandbox)]
    assert len(emails) == 59
    assert emails.count(email) == 1
    assert result.exit_code == 0, result.error
    assert result.counts("members")["updated"] == 1
