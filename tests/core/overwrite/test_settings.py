"""Where the setting `overwrite` is refused, and with which words."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from singer_sandbox import Sandbox
from tests.core.overwrite.crm import KEEP, AutoReach, Crm, Merlin, ReiV1
from tests.core.overwrite.crm import crm as made
from tests.front_door import JSON, Plugin, record, schema

TAGS = [
    schema("contact_tags", ("email", "tag"), ("email", "tag")),
    record("contact_tags", email="ann@example.com", tag="vip"),
]


def test_a_policy_that_there_is_not_is_named_with_those_that_there_are(people: Plugin) -> None:
    result = people.run([], overwrite={"email": "never"})
    assert result.exit_code == 1
    assert result.error.endswith(
        "it takes for each field one of always, if_empty, if_unedited: 'email' has 'never'"
    )


def test_a_field_that_there_is_not_is_named_with_those_that_there_are(crm: Crm) -> None:
    result = crm.plugin.run([crm.schema], overwrite={"nonsense": "if_empty"})
    assert result.exit_code == 1
    assert f"overwrite names 'nonsense', which is no field of {crm.stream}" in result.error
    assert crm.columns[1] in result.error


def test_nothing_is_sent_where_a_field_is_misspelt(crm: Crm) -> None:
    lines = [crm.schema, crm.row("1", "ann@example.com", "Ann", "Smith")]
    result = crm.plugin.run(lines, overwrite={"frist_name": "if_unedited"})
    assert result.exit_code == 1
    assert crm.records() == []


@pytest.mark.parametrize("policy", ["if_unedited", "always"])
def test_check_crosses_a_misspelt_field_as_a_run_does(crm: Crm, policy: str) -> None:
    wrong = crm.plugin.run([], "--check", overwrite={"frist_name": policy})
    assert wrong.exit_code == 1
    (line,) = (line for line in wrong.stderr.splitlines() if f"overwrite, {crm.stream}:" in line)
    assert f"'frist_name', which is no field of {crm.stream}" in line
    assert crm.columns[1] in line
    assert crm.plugin.run([crm.schema], overwrite={"frist_name": policy}).exit_code == 1


def test_check_ticks_a_field_that_there_is(crm: Crm) -> None:
    for name in (crm.columns[1], "color"):
        right = crm.plugin.run([], "--check", overwrite={"*": "always", name: "if_unedited"})
        assert right.exit_code == 0, right.stderr
        assert f"overwrite, {crm.stream}: *: always, {name}: if_unedited" in right.stderr
    assert "overwrite" not in crm.plugin.run([], "--check").stderr


def test_an_unknown_column_that_is_sent_is_a_field(sandbox: Sandbox, tmp_path: Path) -> None:
    crm = made(AutoReach, sandbox, tmp_path)
    setting: JSON = {"overwrite": {"shoe_size": "if_unedited"}, "unknown_fields": "send"}
    checked = crm.plugin.run([], "--check", **setting)
    assert checked.exit_code == 0
    assert "a run with members stops unless that is a column of it: overwrite names" in (
        checked.stderr
    )
    row = crm.row("1", "ann@example.com", "Ann", "Smith")
    row["record"]["shoe_size"] = "44"
    lines = [crm.schema_with("shoe_size"), row]
    assert crm.plugin.run(lines, overwrite=setting["overwrite"]).exit_code == 1
    assert crm.plugin.run(lines, **setting).exit_code == 0


@pytest.mark.parametrize("name", ["color", "Color", "contact.color", "fieldcolor0000000001"])
def test_a_custom_field_is_found_as_columns_are(
    sandbox: Sandbox, tmp_path: Path, name: str
) -> None:
    crm = made(ReiV1, sandbox, tmp_path)
    setting = {name: "if_unedited"}
    crm.run(crm.row("1", "ann@example.com", "Ann", "Boston", "red"), overwrite=setting)
    crm.edit(0, color="green", city="Paris")
    crm.run(crm.row("1", "ann@example.com", "Ann", "Rome", "blue"), overwrite=setting)
    assert crm.values() == [("ann@example.com", "Ann", "Rome", "green")]


def test_contacts_of_kasplo_cannot_be_read(kasplo: Plugin) -> None:
    result = kasplo.run([], **KEEP)
    assert result.exit_code == 1
    assert "overwrite must be always here: contacts cannot be read back" in result.error
    assert kasplo.run([], overwrite={"*": "always", "email": "always"}).exit_code == 0


@pytest.mark.parametrize(
    "setting", [{"*": "if_empty"}, {"first_name": "if_unedited"}, {"frist_name": "if_unedited"}]
)
def test_people_of_autoreach_cannot_be_read(people: Plugin, setting: JSON) -> None:
    messages = [schema("people", ("id", "first_name")), record("people", id="1", first_name="A")]
    result = people.run(messages, overwrite=setting)
    assert result.exit_code == 1
    assert "overwrite must be always here: people cannot be read back" in result.error
    assert not people.sandbox.state("autoreach")["people"]
    checked = people.run([], "--check", overwrite={"*": "if_empty"})
    assert "a run with people stops: overwrite must be always here" in checked.stderr


def test_links_and_messages_overwrite_nothing_and_go_with_contacts(
    sandbox: Sandbox, tmp_path: Path
) -> None:
    crm = made(ReiV1, sandbox, tmp_path)
    alone = crm.plugin.run(TAGS, **KEEP)
    assert alone.exit_code == 1
    assert "overwrite must be always here: contact_tags cannot be read back" in alone.error
    both = crm.plugin.run([*TAGS, crm.schema, crm.row("1", "ann@example.com", "Ann")], **KEEP)
    assert both.exit_code == 0, both.stderr
    assert crm.records()[0]["tags"] == ["vip"]
    assert crm.plugin.run(TAGS, **KEEP).exit_code == 0  # the ledger knows the pipeline's contacts


def test_messages_alone_are_refused(sandbox: Sandbox, tmp_path: Path) -> None:
    crm = made(Merlin, sandbox, tmp_path)
    sms = [
        schema("sms", ("id", "number", "text")),
        record("sms", id="1", number="+15552010042", text="Hello"),
    ]
    alone = crm.plugin.run(sms, **KEEP, first_run=True)
    assert alone.exit_code == 1
    assert "overwrite must be always here: sms cannot be read back" in alone.error
    both = crm.plugin.run([crm.schema, *sms], **KEEP, first_run=True)
    assert both.exit_code == 0, both.stderr


@pytest.mark.parametrize(
    ("kind", "column"), [(ReiV1, "city"), (AutoReach, "last_name"), (Merlin, "Lname")]
)
def test_each_field_has_its_own_policy(
    sandbox: Sandbox, tmp_path: Path, kind: Any, column: str
) -> None:
    crm = made(kind, sandbox, tmp_path)
    setting = {"*": "if_unedited", column: "always"}
    crm.run(crm.row("1", "ann@example.com", "Ann", "Boston", "red"), overwrite=setting)
    crm.edit(0, **{crm.columns[1]: "Hannah", column: "Paris"})
    crm.run(crm.row("1", "ann@example.com", "Anne", "Rome", "red"), overwrite=setting)
    assert crm.values() == [("ann@example.com", "Hannah", "Rome", "red")]
