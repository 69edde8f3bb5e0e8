"""`--verify --repair`: the next run sends what differs, although the source has not changed."""

from __future__ import annotations

from pathlib import Path

import pytest

from singer_sandbox import Sandbox
from tests.core.verify.vendors import Vendor, vendor, with_list
from tests.front_door import JSON, record, schema


@with_list
def test_a_record_that_is_gone_is_created_anew_by_the_next_run(target: Vendor) -> None:
    target.deliver(1, 2, 3)
    before = target.at_vendor()
    target.remove(2)
    result = target.verify("--repair")
    assert result.exit_code == 1
    assert "1 marked" in result.stdout
    table = [line.split() for line in result.stdout.splitlines()]
    assert [target.stream, "3", "2", "0", "1", "0"] in table
    assert set(target.at_vendor()) == {1, 3}, "nothing is sent by --repair"
    assert target.deliver(1, 2, 3).counts(target.stream) == {
        "received": 3, "unchanged": 2, "created": 1,
    }  # fmt: skip
    after = target.at_vendor()
    assert after[2][target.first] == "Ann2"
    assert {number: after[number]["id"] for number in (1, 3)} == {
        number: before[number]["id"] for number in (1, 3)
    }
    assert target.verify().exit_code == 0
    assert target.deliver(1, 2, 3).counts(target.stream) == {"received": 3, "unchanged": 3}


@with_list
def test_a_record_that_is_gone_is_created_although_its_email_has_changed_since(
    target: Vendor,
) -> None:
    target.deliver(1)
    target.remove(1)
    target.verify("--repair")
    changed = target.rows(1)
    changed[1]["record"][target.email] = "p9@example.com"
    result = target.plugin.run(changed)
    assert result.counts(target.stream) == {"received": 1, "created": 1}, result.rejects


@with_list
def test_a_record_that_was_merged_is_matched_with_the_one_that_is_left(target: Vendor) -> None:
    target.deliver(1, 2)
    target.remove(2)
    other = {"id": "900", target.email: "p2@example.com", target.first: "Other"}
    target.sandbox.put_state(target.name, {target.stream: [other]})
    left = target.id_of(2)
    target.verify("--repair")
    result = target.deliver(1, 2)
    assert result.counts(target.stream) == {"received": 2, "unchanged": 1, "updated": 1}
    held = target.at_vendor()
    assert len(held) == 2
    assert held[2][target.first] == "Ann2"
    assert target.id_of(2) == left
    assert target.verify().exit_code == 0


@with_list
def test_what_was_marked_and_not_sent_yet_is_told_and_is_no_new_difference(target: Vendor) -> None:
    target.deliver(1, 2)
    target.remove(2)
    target.verify("--repair")
    result = target.verify("--repair")
    assert result.exit_code == 0
    assert "1 marked by an earlier --repair: no run has sent them since" in result.stdout
    assert target.drift() == []


def test_an_edited_record_stays_marked_until_it_was_sent(target: Vendor) -> None:
    target.deliver(1, 2)
    target.edit(2, **{target.first: "Hannah"})
    target.verify("--repair")
    for result in (target.verify("--repair"), target.verify("--repair")):
        assert result.exit_code == 0
        assert "1 marked by an earlier --repair: no run has sent them since" in result.stdout
        assert target.drift() == []
    explained = target.plugin.run([], "--explain", "k2").stdout
    assert f"other values were at the vendor in {target.first}" in explained
    assert target.deliver(1, 2).counts(target.stream)["updated"] == 1
    assert "marked" not in target.verify().stdout


@with_list
def test_explain_says_what_was_found_and_that_it_was_marked(target: Vendor) -> None:
    target.deliver(1)
    id_ = target.remove(1)
    target.verify()
    explained = target.plugin.run([], "--explain", "k1").stdout
    assert f": the vendor did not have it any more (id {id_})" in explained
    assert "marked" not in explained
    target.verify("--repair")
    explained = target.plugin.run([], "--explain", "k1").stdout
    assert "marked by --verify --repair" in explained
    assert "sent again when it comes next" in explained
    assert "deleted at the vendor" not in explained
    target.deliver(1)
    explained = target.plugin.run([], "--explain", "k1").stdout
    assert "sent since" in explained


def test_a_mirrors_deleted_records_are_not_revived(target: Vendor) -> None:
    config = {"mode": "mirror", "mirror_count": "trust"}
    target.plugin.run(target.rows(1, 2), **config)
    target.plugin.run(target.rows(1), **config)
    assert set(target.at_vendor()) == {1}
    result = target.verify("--repair", **config)
    assert result.exit_code == 0, result.stdout
    assert target.drift() == []
    assert target.plugin.run(target.rows(1), **config).counts(target.stream) == {
        "received": 1, "unchanged": 1,
    }  # fmt: skip


def test_what_was_marked_and_then_removed_by_a_mirror_waits_for_nothing(target: Vendor) -> None:
    config = {"mode": "mirror", "mirror_count": "trust", "max_deletes": ""}
    target.plugin.run(target.rows(1, 2), **config)
    target.edit(1, **{target.first: "Hannah"})
    assert "1 marked" in target.verify("--repair", **config).stdout
    target.plugin.run(target.rows(2), **config)
    assert set(target.at_vendor()) == {2}
    assert "marked before" not in target.verify(**config).stdout
    explained = target.plugin.run([], "--explain", "k1").stdout
    assert "deleted at the vendor" in explained
    assert "when it comes next" not in explained


@with_list
def test_mode_update_leaves_what_it_could_not_create(target: Vendor) -> None:
    target.deliver(1)
    target.remove(1)
    result = target.verify("--repair", mode="update")
    assert result.exit_code == 1
    assert "1 not marked: mode update never creates what is not there" in result.stdout


def test_messages_are_never_marked(sandbox: Sandbox, tmp_path: Path) -> None:
    for merlin in vendor("merlin", sandbox, tmp_path):
        messages = [
            schema("sms", ("id", "number", "text")),
            record("sms", id="m1", number="+15552010001", text="Hello"),
        ]
        merlin.plugin.run(messages, first_run=True)
        result = merlin.verify("--repair")
        assert result.exit_code == 0
        assert "sms: not compared: they are sent at most once" in result.stdout
        again = merlin.plugin.run(messages)
        assert again.counts("sms") == {"received": 1, "unchanged": 1}
        assert len(sandbox.state("merlin")["sms"]) == 1


@with_list
@pytest.mark.parametrize("policy", ["always", "if_unedited"])
def test_a_record_that_names_an_id_that_is_gone_is_rejected_with_what_to_do(
    target: Vendor, policy: str
) -> None:
    target.deliver(1)
    id_ = target.id_of(1)
    named = {"id": id_, target.email: "p1@example.com", target.first: "Annie"}
    lines = [schema(target.stream, tuple(named), ("id",)), record(target.stream, **named)]
    config: JSON = {"sync": "other", "overwrite": {"*": policy}}
    assert target.plugin.run(lines, **config).exit_code == 0
    target.remove(1)
    assert "1 marked" in target.plugin.run([], "--verify", "--repair", **config).stdout
    (reject,) = target.plugin.run(lines, **config).rejects
    assert reject["rejection"]["reason"].endswith(
        f"(the vendor has no record with the id that this one names, {id_}: correct the id, or "
        "delete the row; one without an id is matched or created)"
    )


# --- the limit ----------------------------------------------------------------------------------


@with_list
def test_where_most_records_are_gone_nothing_is_marked(target: Vendor) -> None:
    target.deliver(*range(1, 9))
    target.edit(8, **{target.first: "Hannah"})
    for number in range(1, 7):
        target.remove(number)
    result = target.verify("--repair")
    assert result.exit_code == 1
    assert result.error.endswith(
        f"{target.stream}: 6 of 8 records are gone or merged, more than max_deletes (10%) allows: "
        "nothing was marked. Check the account and api_url; raise max_deletes if they really were "
        "deleted."
    )
    assert f"{target.stream}: nothing was marked" in result.stdout
    assert "goes on" not in result.stdout + target.page()
    assert len(target.drift()) == 7
    assert not any(line["marked"] for line in target.drift())
    result = target.deliver(*range(1, 9))
    assert result.counts(target.stream) == {"received": 8, "unchanged": 8}


@with_list
def test_once_the_records_are_seen_again_there_is_no_difference(target: Vendor) -> None:
    target.deliver(*range(1, 9))
    rows = [target.at_vendor()[number] for number in range(1, 7)]
    for number in range(1, 7):
        target.remove(number)
    assert target.verify("--repair").exit_code == 1
    target.sandbox.put_state(target.name, {target.stream: rows})
    assert target.verify("--repair").exit_code == 0


@with_list
def test_a_higher_limit_lets_them_be_marked(target: Vendor) -> None:
    target.deliver(*range(1, 9))
    for number in range(1, 7):
        target.remove(number)
    assert target.verify("--repair", max_deletes="5").exit_code == 1
    result = target.verify("--repair", max_deletes="6")
    assert "6 marked" in result.stdout
    again = target.deliver(*range(1, 9))
    assert again.counts(target.stream) == {"received": 8, "unchanged": 2, "created": 6}


@with_list
def test_a_few_are_marked_whatever_their_share(target: Vendor) -> None:
    target.deliver(1, 2)
    target.remove(1)
    target.remove(2)
    assert "2 marked" in target.verify("--repair").stdout


def test_edited_fields_have_no_limit(target: Vendor) -> None:
    target.deliver(*range(1, 8))
    for number in range(1, 8):
        target.edit(number, **{target.first: "Hannah"})
    assert "7 marked" in target.verify("--repair", max_deletes="0").stdout


@with_list
def test_what_a_mode_does_not_create_does_not_count(target: Vendor) -> None:
    target.deliver(*range(1, 9))
    for number in range(1, 7):
        target.remove(number)
    result = target.verify("--repair", mode="update")
    assert "6 not marked: mode update never creates what is not there" in result.stdout
    assert "max_deletes" not in result.error
