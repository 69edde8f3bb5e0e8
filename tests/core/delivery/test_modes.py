"""The four modes, on members (which can be matched) and people (which cannot)."""

from __future__ import annotations

import pytest

from singer_sandbox import Sandbox
from tests.front_door import JSON, Plugin, adds_up, record, schema

MEMBERS = schema("members", ("owner", "email", "phone", "first_name", "list_id"), ("owner",))
COUNTED = schema(
    "people", {"id": {"type": "string"}, "email": {"type": "string"}, "n": {"type": "integer"}}
)


@pytest.fixture
def people(people: Plugin, ledger_url: str | None) -> Plugin:
    """With each kind of ledger."""
    people.config["ledger_url"] = ledger_url
    return people


@pytest.fixture(autouse=True)
def lists(sandbox: Sandbox) -> None:
    sandbox.put_state("autoreach", {"lists": [{"id": 1, "name": "A"}, {"id": 2, "name": "B"}]})


def member(owner: str, **fields: object) -> JSON:
    return record(
        "members", **{"owner": owner, "email": f"{owner}@example.com", "list_id": "1", **fields}
    )


def extract(numbers: range, count: int | None = None, **fields: object) -> list[JSON]:
    n = len(numbers) if count is None else count
    rows = [record("people", id=f"p{i}", email=f"p{i}@example.com", n=n, **fields) for i in numbers]
    return [COUNTED, *rows]


def members(sandbox: Sandbox) -> dict[str, JSON]:
    return {m["email"]: m for m in sandbox.state("autoreach")["members"].values()}


def existing(sandbox: Sandbox) -> None:
    there = {"id": 7, "email": "There@example.com", "first_name": "Before", "list_id": "1"}
    sandbox.put_state("autoreach", {"members": [there]})


def test_upsert_matches_what_is_there_and_creates_the_rest(
    people: Plugin, sandbox: Sandbox
) -> None:
    existing(sandbox)
    rows = [member("there", first_name="After"), member("new")]
    result = people.run([MEMBERS, *rows])
    assert result.exit_code == 0, result.stderr
    assert result.counts("members") == {"received": 2, "created": 1, "updated": 1}
    found = sandbox.state("autoreach")["members"]
    assert found["7"]["first_name"] == "After"
    assert len(found) == 2


def test_update_never_creates(people: Plugin, sandbox: Sandbox) -> None:
    existing(sandbox)
    result = people.run(
        [MEMBERS, member("there", first_name="After"), member("new")], mode="update"
    )
    assert result.counts("members") == {"received": 2, "updated": 1, "skipped": 1}
    assert len(members(sandbox)) == 1


def test_create_never_touches_what_exists(people: Plugin, sandbox: Sandbox) -> None:
    existing(sandbox)
    rows = [member("there", first_name="After"), member("new")]
    result = people.run([MEMBERS, *rows], mode="create")
    assert result.counts("members") == {"received": 2, "created": 1, "skipped": 1}
    assert sandbox.state("autoreach")["members"]["7"]["first_name"] == "Before"
    changed = people.run([MEMBERS, member("new", first_name="Changed")], mode="create")
    assert changed.counts("members") == {"received": 1, "skipped": 1}
    assert not members(sandbox)["new@example.com"].get("first_name")


def test_the_ledgers_id_is_used_when_the_email_changes(people: Plugin, sandbox: Sandbox) -> None:
    people.run([MEMBERS, member("a")])
    result = people.run([MEMBERS, member("a", email="new@example.com")])
    assert result.counts("members") == {"received": 1, "updated": 1}
    assert list(members(sandbox)) == ["new@example.com"]


def test_an_id_that_the_vendor_forgot_is_matched_anew(people: Plugin, sandbox: Sandbox) -> None:
    people.run([MEMBERS, member("a"), member("b")])
    for key in list(sandbox.state("autoreach")["members"]):
        sandbox.remove("autoreach", "members", key)
    skipped = people.run([MEMBERS, member("a", first_name="x")], mode="update")
    assert skipped.counts("members") == {"received": 1, "skipped": 1}
    result = people.run([MEMBERS, member("b", first_name="x")])
    assert result.counts("members") == {"received": 1, "created": 1}
    assert list(members(sandbox)) == ["b@example.com"]


def test_a_deleted_member_that_comes_back_is_created(people: Plugin, sandbox: Sandbox) -> None:
    people.run([MEMBERS, member("a")])
    people.run([MEMBERS, member("a", _sdc_deleted_at="2026-01-01")])
    assert members(sandbox) == {}
    assert people.run([MEMBERS, member("a")]).counts("members") == {"received": 1, "created": 1}


def test_one_email_in_two_lists_is_two_members(people: Plugin, sandbox: Sandbox) -> None:
    rows = [member("a", email="x@example.com"), member("b", email="X@example.com", list_id="2")]
    people.run([MEMBERS, *rows])
    assert len(sandbox.state("autoreach")["members"]) == 2


def test_two_keys_with_one_email_are_one_member_and_a_reject(
    people: Plugin, sandbox: Sandbox
) -> None:
    rows = [member("a", email="x@example.com"), member("b", email="X@Example.com")]
    for _ in range(2):
        result = people.run([MEMBERS, *rows])
        assert len(sandbox.state("autoreach")["members"]) == 1
        (reject,) = result.rejects
        assert reject["record"]["owner"] == "b"
        assert "key a" in reject["rejection"]["reason"]


def test_an_email_that_moves_to_another_key_is_followed(people: Plugin, sandbox: Sandbox) -> None:
    people.run([MEMBERS, member("a", email="x@example.com")])
    rows = [member("a", email="y@example.com"), member("b", email="x@example.com")]
    result = people.run([MEMBERS, *rows])
    assert result.counts("members") == {"received": 2, "updated": 1, "created": 1}
    assert set(members(sandbox)) == {"x@example.com", "y@example.com"}


def test_people_refuse_modes_that_need_matching(people: Plugin) -> None:
    result = people.run(extract(range(1)), mode="create")
    assert result.exit_code == 1
    assert "mode create" in result.error
    assert "upsert" in result.error


# --- mirror -------------------------------------------------------------------------------------

MIRROR = {"mode": "mirror", "mirror_count": "n"}


def test_a_mirror_removes_what_the_source_no_longer_has(people: Plugin, sandbox: Sandbox) -> None:
    sandbox.put_state("autoreach", {"people": [{"id": "other", "email": "other@example.com"}]})
    people.run(extract(range(20)), **MIRROR)
    result = people.run(extract(range(3, 20)), **MIRROR)
    assert result.exit_code == 0, result.stderr
    left = sandbox.state("autoreach")["people"]
    assert set(left) == {"other", *(f"p{i}" for i in range(3, 20))}
    assert result.counts("people") == {"received": 17, "unchanged": 17, "removed": 3}
    assert adds_up(result.report)
    again = people.run(extract(range(3, 20)), **MIRROR)
    assert again.counts("people") == {"received": 17, "unchanged": 17}


@pytest.mark.parametrize("said", [21, 16])
def test_an_extract_that_is_not_whole_removes_nothing(
    people: Plugin, sandbox: Sandbox, said: int
) -> None:
    people.run(extract(range(20)), **MIRROR)
    result = people.run(extract(range(17), said), **MIRROR)
    assert result.exit_code == 0, result.stderr
    assert len(sandbox.state("autoreach")["people"]) == 20
    assert "removed nothing" in result.stderr


def test_an_empty_extract_removes_nothing(people: Plugin, sandbox: Sandbox) -> None:
    people.run(extract(range(5)), **MIRROR)
    people.run([COUNTED], **MIRROR)
    assert len(sandbox.state("autoreach")["people"]) == 5


def test_a_rejected_row_is_present(people: Plugin, sandbox: Sandbox) -> None:
    people.run(extract(range(20)), **MIRROR)
    rows = extract(range(20))
    rows[3]["record"]["email"] = "nonsense"
    rows[4]["record"]["email"] = 5
    result = people.run(rows, **MIRROR)
    assert len(result.rejects) == 2
    assert len(sandbox.state("autoreach")["people"]) == 20


def test_a_row_without_its_key_removes_nothing(people: Plugin, sandbox: Sandbox) -> None:
    people.run(extract(range(20)), **MIRROR)
    rows = extract(range(20))
    rows[3]["record"]["id"] = None
    people.run(rows, **MIRROR)
    assert len(sandbox.state("autoreach")["people"]) == 20


def test_rows_are_counted_before_stream_maps(people: Plugin, sandbox: Sandbox) -> None:
    people.run(extract(range(20)), **MIRROR)
    maps = {"people": {"__filter__": "record['id'] != 'p3'"}}
    result = people.run(extract(range(20)), stream_maps=maps, **MIRROR)
    assert result.report["streams"]["people"]["removed"] == 1
    assert "p3" not in sandbox.state("autoreach")["people"]


def test_a_mirror_that_would_remove_too_much_stops_first(people: Plugin, sandbox: Sandbox) -> None:
    people.run(extract(range(100)), **MIRROR)
    result = people.run(extract(range(80)), **MIRROR)
    assert result.exit_code == 1
    assert "max_deletes" in result.error
    assert len(sandbox.state("autoreach")["people"]) == 100
    assert people.run(extract(range(80)), max_deletes="20", **MIRROR).exit_code == 0
    assert len(sandbox.state("autoreach")["people"]) == 80


def test_a_mirror_takes_the_end_of_input_on_trust_if_told_so(
    people: Plugin, sandbox: Sandbox
) -> None:
    config = {"mode": "mirror", "mirror_count": "trust"}
    people.run(extract(range(20)), **config)
    people.run(extract(range(16)), **config)
    assert len(sandbox.state("autoreach")["people"]) == 16


@pytest.mark.parametrize(
    ("config", "words"),
    [
        ({"mode": "mirror"}, "mirror_count"),
        ({**MIRROR, "ledger_url": "none"}, "ledger_url"),
    ],
)
def test_a_mirror_that_cannot_be_is_refused(people: Plugin, config: JSON, words: str) -> None:
    result = people.run(extract(range(1)), **config)
    assert result.exit_code == 1
    assert words in result.error


def test_a_dry_run_says_what_a_mirror_would_remove(people: Plugin, sandbox: Sandbox) -> None:
    people.run(extract(range(20)), **MIRROR)
    result = people.run(extract(range(18)), dry_run=True, **MIRROR)
    assert result.report["streams"]["people"]["removed"] == 2
    assert len(sandbox.state("autoreach")["people"]) == 20
