"""A delete that comes as a record is as careful as a mirror's removal.

The source gives a record another key, and the row with the new key is rejected: the delete of the
old key would take away the record that the rejected row stands for.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from singer_sandbox import Sandbox
from tests.core.rules.runs import Ran, Runs
from tests.core.rules.sinks import DELETED_AT
from tests.core.rules.test_mirrors import EMAILS, VENDORS, contacts, vendor_row
from tests.core.standing.view import states
from tests.front_door import JSON, record, schema

PHONES = {"merlin": "Number", "rei": "phone", "autoreach": "phone"}
WRONG = ("phone", "type")


class Planned:
    """A stream that gets the rows that differ, and the deletes of what is gone."""

    def __init__(self, vendor: str, sandbox: Sandbox, directory: Path) -> None:
        sandbox.reset()
        sandbox.put_state("autoreach", {"lists": [{"id": 1, "name": "A"}]})
        target, self.stream = VENDORS[vendor]
        self.vendor, self.sandbox = vendor, sandbox
        self.runs = Runs(target, sandbox, directory, version_column="v", phone_region="US")

    def row(self, key: str, email: str, wrong: str = "") -> JSON:
        row = vendor_row({"k": key, "email": email, "wrong": None}, self.vendor)
        more: JSON = {"size": "x"} if wrong == "type" else {}
        if wrong == "phone":
            more = {PHONES[self.vendor]: "1"}
        return {**row, "v": "1", **more}

    def gone(self, key: str) -> JSON:
        return {"k": key, "_sdc_deleted_at": DELETED_AT}

    def run(self, *rows: JSON, **config: Any) -> Ran:
        names = [*self.row("", ""), *PHONES.values(), "_sdc_deleted_at"]
        columns: JSON = {name: {} for name in names} | {"size": {"type": "integer"}}
        messages = [record(self.stream, **row) for row in rows]
        ran = self.runs.run([schema(self.stream, columns, ("k",)), *messages], **config)
        assert ran.error == ""
        return ran

    @property
    def contacts(self) -> list[str]:
        return contacts(self.sandbox, self.vendor)


@pytest.fixture(params=PHONES)
def planned(request: pytest.FixtureRequest, sandbox: Sandbox, tmp_path: Path) -> Planned:
    return Planned(request.param, sandbox, tmp_path)


@pytest.mark.parametrize("wrong", WRONG)
def test_the_record_that_a_rejected_row_names_stays(planned: Planned, wrong: str) -> None:
    planned.run(planned.row("a", EMAILS[0]))
    for _ in range(2):
        ran = planned.run(planned.row("c", EMAILS[0], wrong), planned.gone("a"))
        assert planned.contacts == EMAILS[:1]
        assert ran.kinds("k") == {"c": "invalid", "a": "held"}
    before = planned.sandbox.state(planned.vendor)
    ran = planned.run(planned.row("c", EMAILS[0]), planned.gone("a"))
    assert ran.rejects == []
    assert planned.contacts == EMAILS[:1]
    table = "members" if planned.vendor == "autoreach" else "contacts"
    assert set(planned.sandbox.state(planned.vendor)[table]) == set(before[table])
    assert states(planned.runs.plugin, planned.stream) == {"a": "deleted", "c": "delivered"}


@pytest.mark.parametrize("wrong", WRONG)
def test_so_does_one_that_a_row_of_an_earlier_run_names(planned: Planned, wrong: str) -> None:
    planned.run(planned.row("a", EMAILS[0]), planned.row("b", EMAILS[1]))
    planned.run(planned.row("c", EMAILS[0], wrong))
    ran = planned.run(planned.gone("a"), planned.gone("b"))
    assert ran.kinds("k") == {"c": "invalid", "a": "held"}
    assert planned.contacts == EMAILS[:1]


@pytest.mark.parametrize("planned", ["rei", "autoreach"], indirect=True)
def test_it_stays_where_repair_marked_the_record_of_the_rejected_row_as_gone(
    planned: Planned,
) -> None:
    planned.run(planned.row("a", EMAILS[0]), planned.row("c", EMAILS[1]))
    planned.run(planned.row("c", EMAILS[0], "type"))
    table = "members" if planned.vendor == "autoreach" else "contacts"
    (gone,) = (
        id_
        for id_, one in planned.sandbox.state(planned.vendor)[table].items()
        if one["email"] == EMAILS[1]
    )
    planned.sandbox.remove(planned.vendor, table, gone)
    assert "1 marked" in planned.runs.plugin.run([], "--verify", "--repair").stdout
    ran = planned.run(planned.gone("a"), retry_rejects=False)
    assert ran.kinds("k") == {"c": "invalid", "a": "held"}
    assert planned.contacts == EMAILS[:1]


def test_it_is_deleted_once_no_rejected_row_names_it(planned: Planned) -> None:
    planned.run(planned.row("a", EMAILS[0]))
    planned.run(planned.row("c", EMAILS[0], "type"), planned.gone("a"))
    planned.runs.resolve(planned.stream, "c", "drop")
    ran = planned.run()
    assert ran.rejects == []
    assert planned.contacts == []


def test_a_row_that_is_rejected_for_another_email_no_longer_names_the_first(
    planned: Planned,
) -> None:
    planned.run(planned.row("a", EMAILS[0]))
    planned.run(planned.row("c", EMAILS[0], "type"))
    planned.run(planned.row("c", EMAILS[1], "type"))
    planned.run(planned.gone("a"))
    assert planned.contacts == []
