"""What reading costs: a request for each record that is updated, or the list where that is less."""

from __future__ import annotations

from pathlib import Path

import pytest

from singer_sandbox import Sandbox
from tests.core.overwrite.crm import KEEP, AutoReach, Crm
from tests.core.overwrite.crm import crm as made
from tests.front_door import JSON, Result


def lists(crm: Crm, since: int) -> int:
    """The pages of contacts that were read."""
    return sum(
        request["template"] in ("/v1/contacts", "/v2/contacts/search")
        and not (request["method"] == "POST" and request["template"] == "/v1/contacts")
        for request in crm.sandbox.requests(crm.vendor)[since:]
    )


@pytest.mark.parametrize("matching", ["auto", "lookup", "list"])
def test_the_list_is_read_where_that_costs_less(rei: Crm, matching: str) -> None:
    number = 40
    names = [f"p{n:02d}" for n in range(number)]
    rei.run(*(rei.row(n, f"{n}@example.com", "Ann", "Rome", "red") for n in names), **KEEP)
    edited = [one["email"] for one in rei.records()].index("p20@example.com")
    rei.edit(edited, firstName="Hannah", color="green")
    before = len(rei.sandbox.requests("rei"))
    rows = [rei.row(n, f"{n}@example.com", "Anne", "Rome", "blue") for n in names]
    result = rei.run(*rows, **KEEP, matching=matching)
    kept = result.report["streams"]["contacts"]["kept"]
    assert kept == {"firstName": 1, "Color": 1}
    values = {one[0]: one[1:] for one in rei.values()}
    assert values.pop("p20@example.com") == ("Hannah", "Rome", "green")
    assert set(values.values()) == {("Anne", "Rome", "blue")}
    reads, pages = rei.reads(before), lists(rei, before)
    if matching == "lookup":
        assert (reads, pages) == (number, 0)
    elif matching == "list":
        assert (reads, pages <= 3) == (0, True)
    else:
        assert reads < number / 2
        assert pages <= 4


def test_a_contact_that_is_written_twice_in_a_run_is_no_edit_the_second_time(rei: Crm) -> None:
    names = [f"p{n:02d}" for n in range(30)]
    rei.run(*(rei.row(n, f"{n}@example.com", "Ann", "Rome") for n in names), **KEEP)
    first = [rei.row(n, f"{n}@example.com", "Anne", "Rome") for n in names]
    second = [rei.row(n, f"{n}@example.com", "Anna", "Rome") for n in names]
    padding = [rei.row(names[0], f"{names[0]}@example.com", "Anne", "Rome")] * 600
    result = rei.run(*first, *padding, *second, **KEEP, matching="list")
    assert not result.report["streams"]["contacts"]["kept"]
    assert {one[1] for one in rei.values()} == {"Anna"}


def test_a_member_that_is_written_twice_in_a_run_is_no_edit_the_second_time(
    sandbox: Sandbox, tmp_path: Path
) -> None:
    crm = made(AutoReach, sandbox, tmp_path)
    crm.run(crm.row("1", "ann@example.com", "Ann", "Smith", "red"), **KEEP)
    rows = [crm.row("1", "ann@example.com", name, "Smith", name) for name in ("A", "B")]
    before = len(sandbox.requests("autoreach"))
    result = crm.run(*[rows[0]] * 1000, rows[1], **KEEP)
    assert not result.report["streams"]["members"]["kept"]
    assert crm.values() == [("ann@example.com", "B", "Smith", "B")]
    assert crm.reads(before) == crm.reads_of_three


def test_members_that_are_gone_do_not_cost_a_reading_each(sandbox: Sandbox, tmp_path: Path) -> None:
    crm = made(AutoReach, sandbox, tmp_path)
    rows = [crm.row(str(n), f"p{n}@example.com", "Ann") for n in range(30)]
    crm.run(*rows, **KEEP)
    for id_ in crm.ids()[:20]:
        sandbox.remove("autoreach", "members", id_)
    before = len(sandbox.requests("autoreach"))
    result = crm.run(*rows, **KEEP, full_resync=True, max_deletes="20")
    assert crm.counts(result) == {"received": 30, "created": 20, "skipped": 10}
    assert crm.reads(before) == 3, "the first, one for all that it lacks, one for all new ones"


@pytest.mark.parametrize("shown", [0, 2])
def test_a_list_that_lacks_most_members_does_not_make_them_anew(
    sandbox: Sandbox, tmp_path: Path, shown: int
) -> None:
    """As that of another account, or one that is empty by mistake: all of them are still there."""
    crm = made(AutoReach, sandbox, tmp_path)
    rows = [crm.row(str(n), f"p{n}@example.com", "Ann") for n in range(20)]
    crm.run(*rows, **KEEP)
    short: JSON = {"data": crm.records()[:shown], "meta": {"total": shown}}
    read = {"vendor": "autoreach", "path": "/members$", "method": "GET"}
    sandbox.fault(**read, status=200, answer=short, times=None)
    result = crm.plugin.run([crm.schema, *rows], **KEEP, full_resync=True, concurrency=1)
    assert f"the list shows {shown} members, and lacks 6 that were delivered" in result.error
    assert result.report["needs_person"] is True
    assert len(crm.records()) <= 20 + 5
    sandbox.clear_faults()


def test_a_member_that_was_made_in_the_run_costs_no_reading(
    sandbox: Sandbox, tmp_path: Path
) -> None:
    crm = made(AutoReach, sandbox, tmp_path)
    crm.run(crm.row("0", "p0@example.com", "Ann"), **KEEP)
    row = crm.row("1", "p1@example.com", "Ann", "Smith", "red")
    later = crm.row("1", "p1@example.com", "Anne", "Smith", "blue")
    before = len(sandbox.requests("autoreach"))
    result = crm.run(*[row] * 1000, later, **KEEP)
    assert not result.report["streams"]["members"]["kept"]
    assert crm.values()[1] == ("p1@example.com", "Anne", "Smith", "blue")
    assert crm.reads(before) == 2, "a member that is not found is looked up twice"


def test_a_member_that_a_reading_missed_is_not_made_anew(sandbox: Sandbox, tmp_path: Path) -> None:
    crm = made(AutoReach, sandbox, tmp_path)
    rows = [crm.row(str(n), f"p{n}@example.com", "Ann") for n in range(1, 7)]
    crm.run(*rows, **KEEP, concurrency=1)
    crm.edit(2, last_name="Smith")
    third = crm.ids()[2]
    # After page 1 was answered, a row of it is deleted and one is added: row 3 moves to page 1.
    page = {"vendor": "autoreach", "path": "/members$", "method": "GET", "after": 1}
    sandbox.fault(**page, remove={"table": "members", "key": crm.ids()[0]})
    new = {"id": 900, "email": "new@example.com", "list_id": "1"}
    sandbox.fault(**page, put={"members": [new]})
    result = crm.run(crm.row("3", "p9@example.com", "Anne", "Miller"), **KEEP, page_size=2)
    assert crm.counts(result)["updated"] == 1
    assert len(crm.records()) == 6
    (updated,) = (one for one in crm.records() if str(one["id"]) == third)
    assert (updated["email"], updated["last_name"]) == ("p9@example.com", "Smith")


@pytest.mark.parametrize("form", ["object", "list", "flat"])
def test_an_edited_custom_field_is_kept_the_second_time_too(
    sandbox: Sandbox, tmp_path: Path, form: str
) -> None:
    crm = made(AutoReach, sandbox, tmp_path)
    sandbox.put_state("autoreach", {"custom_fields": [{"id": 10, "key": "size", "name": "Size"}]})
    sandbox.options("autoreach", custom_fields_format=form)

    def row(value: str) -> JSON:
        found = crm.row("1", "ann@example.com", "Ann", "Smith", value)
        found["record"]["size"] = value
        return found

    def deliver(*rows: JSON) -> Result:
        lines = [crm.schema_with("size"), *rows]
        return crm.plugin.run(lines, **KEEP, custom_fields_format=form)

    deliver(row("a"))
    crm.edit(0, color="green")
    deliver(*[row("b")] * 1000, row("c"))
    assert crm.records()[0]["custom_fields"] == {"color": "green", "size": "c"}
