"""`--verify`: values that somebody changed at the vendor since they were delivered."""

from __future__ import annotations

import json

import pytest

from tests.core.verify.vendors import Vendor
from tests.front_door import JSON, record, schema


def test_an_edited_field_is_named_with_the_vendors_value_masked(target: Vendor) -> None:
    target.deliver(1, 2, 3)
    id_ = target.id_of(2)
    target.edit(2, **{target.first: "Hannah"})
    result = target.verify()
    assert result.exit_code == 1
    (line,) = target.drift()
    assert (line["stream"], line["key"], line["id"]) == (target.stream, "k2", id_)
    assert (line["difference"], line["fields"]) == ("edited", {target.first: "Aaaaaa"})
    assert line["run"] == target.plugin.report()["run"]
    assert f"edited fields: {target.first} (1)" in result.stdout
    for text in (result.stdout, result.stderr, target.page()):
        assert "Hannah" not in text
    assert "Aaaaaa" in target.page()


def test_a_field_that_this_sync_never_wrote_is_nobodys_edit(target: Vendor) -> None:
    target.deliver(1)
    other = {"rei": "city", "autoreach": "last_name", "merlin": "Lname"}[target.name]
    target.edit(1, **{other: "Reno"})
    assert target.verify().exit_code == 0


def test_a_value_that_was_cleared_is_an_edit(target: Vendor) -> None:
    target.deliver(1)
    target.edit(1, **{target.first: None})
    assert target.verify().exit_code == 1
    (line,) = target.drift()
    assert line["fields"] == {target.first: "null"}


@pytest.mark.parametrize("target", ["v2"], indirect=True)
@pytest.mark.parametrize(
    ("status", "shown", "found"),
    [("active", {}, "edited"), ("active", None, "edited"), ("inactive", {}, None)],
)
def test_a_channel_that_the_vendor_does_not_show_is_open(
    target: Vendor, status: str, shown: JSON | None, found: str | None
) -> None:
    target.deliver(1, 2, dndSettings=json.dumps({"Email": status}))
    assert target.verify().exit_code == 0
    target.edit(1, dndSettings=shown)
    target.verify()
    assert target.found() == ({"k1": found} if found else {})
    if found:
        (line,) = target.drift()
        assert line["fields"] == {"dndSettings.Email": "null"}


def test_an_edit_that_was_taken_back_is_none(target: Vendor) -> None:
    target.deliver(1)
    target.edit(1, **{target.first: "Hannah"})
    target.edit(1, **{target.first: "Ann1"})
    assert target.verify().exit_code == 0


def test_after_repair_the_next_run_sends_the_value_again(target: Vendor) -> None:
    target.deliver(1, 2)
    target.edit(2, **{target.first: "Hannah"})
    assert target.deliver(1, 2).counts(target.stream) == {"received": 2, "unchanged": 2}
    result = target.verify("--repair")
    assert result.exit_code == 1
    assert "1 marked" in result.stdout
    assert target.at_vendor()[2][target.first] == "Hannah"
    assert target.deliver(1, 2).counts(target.stream) == {
        "received": 2, "unchanged": 1, "updated": 1,
    }  # fmt: skip
    assert target.at_vendor()[2][target.first] == "Ann2"
    assert target.verify().exit_code == 0


def test_what_overwrite_keeps_is_kept_after_repair_too(target: Vendor) -> None:
    config: JSON = {"overwrite": {"*": "if_unedited"}}
    target.plugin.run(target.rows(1), **config)
    target.edit(1, **{target.first: "Hannah"})
    result = target.verify("--repair", **config)
    assert "a field that was edited is sent under `always` only" in result.stdout
    target.plugin.run(target.rows(1), **config)
    assert target.at_vendor()[1][target.first] == "Hannah"
    assert target.verify(**config).exit_code == 1


def test_what_was_marked_may_change_in_the_source_too(target: Vendor) -> None:
    target.deliver(1)
    target.edit(1, **{target.first: "Hannah"})
    target.verify("--repair")
    rows = target.rows(1)
    rows[1]["record"][target.first] = "Anna"
    target.plugin.run(rows)
    assert target.at_vendor()[1][target.first] == "Anna"


def test_mode_create_leaves_what_exists(target: Vendor) -> None:
    target.plugin.run(target.rows(1), mode="create")
    target.edit(1, **{target.first: "Hannah"})
    result = target.verify("--repair", mode="create")
    assert result.exit_code == 1
    assert "1 not marked: mode create never changes what exists" in result.stdout


@pytest.mark.parametrize("target", ["v1", "v2"], indirect=True)
def test_rejects_are_told_apart_since_the_next_run_sends_them_anyway(target: Vendor) -> None:
    target.deliver(1)
    target.edit(1, **{target.first: "Hannah"})
    wrong = [
        schema("contacts", ("key", "email", "dnd"), ("key",)),
        record("contacts", key="k1", email="p1@example.com", dnd="perhaps"),
    ]
    assert target.plugin.run(wrong).rejects
    result = target.verify("--repair")
    assert "1 of them are rejects: the next run sends them in any case" in result.stdout


def test_what_an_earlier_release_delivered_is_only_looked_for(target: Vendor) -> None:
    target.deliver(1, 2)
    target.forget_fields()
    target.edit(2, **{target.first: "Hannah"})
    result = target.verify()
    assert result.exit_code == 0
    assert "2 not compared: the ledger does not know their fields" in result.stdout
