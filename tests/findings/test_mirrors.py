"""A mirror removes what the source no longer has, and nothing that another row stands for."""

from __future__ import annotations

from typing import Any

import pytest

from singer_sandbox import Sandbox
from tests.findings.inputs import DELETED, MIRROR, contacts, people, rows, settled
from tests.front_door import JSON, Plugin, Result, record, schema

COUNTED = schema("people", {"id": {}, "email": {}, "first_name": {}, "n": {}})


@pytest.fixture
def rei(rei: Plugin, sandbox: Sandbox) -> Plugin:
    sandbox.put_state(
        "rei",
        {
            "contacts": [
                {"id": "ann", "email": "ann@example.com"},
                {"id": "bob", "email": "bob@example.com"},
                {"id": "cat", "email": "cat@example.com"},
            ]
        },
    )
    return rei


def mirror(plugin: Plugin, stream: str, *records: JSON, keys: Any = ("key",), **config: Any) -> Any:
    counted = [{**row, "n": len(records)} for row in records]
    result: Result = plugin.run(rows(stream, *counted, keys=keys), **{**MIRROR, **config})
    settled(plugin.sandbox)
    return result


def extract(*numbers: int, count: Any = None) -> list[Any]:
    n = len(numbers) if count is None else count
    return [
        COUNTED,
        *(record("people", id=f"p{i}", email=f"p{i}@example.com", n=n) for i in numbers),
    ]


def tags(sandbox: Sandbox, contact: str) -> list[str]:
    return list(contacts(sandbox)[contact].get("tags") or [])


def test_a_tag_stays_though_the_email_of_its_row_changes(rei: Plugin, sandbox: Sandbox) -> None:
    """H12: the same contact under a new email, with the default keys."""
    names = ("email", "tag")
    mirror(rei, "contact_tags", {"email": "ann@example.com", "tag": "vip"}, keys=names)
    sandbox.put_state("rei", {"contacts": [{"id": "ann", "email": "ann2@example.com"}]})
    for _ in range(2):
        row = {"email": "ann2@example.com", "tag": "vip"}
        assert mirror(rei, "contact_tags", row, keys=names).exit_code == 0
        assert tags(sandbox, "ann") == ["vip"]


def test_a_tag_that_two_rows_share_stays_when_one_of_them_goes(
    rei: Plugin, sandbox: Sandbox
) -> None:
    """H12"""
    one = {"key": "1", "contactId": "ann", "tags": ["vip", "owner"]}
    other = {"key": "2", "contactId": "ann", "tags": ["vip"]}
    mirror(rei, "contact_tags", one, other)
    mirror(rei, "contact_tags", other)
    assert tags(sandbox, "ann") == ["vip"]
    mirror(rei, "contact_tags", {**other, "contactId": "bob"})
    assert tags(sandbox, "bob") == ["vip"]


@pytest.mark.parametrize("spelling", ["email", "phone", "contactId"])
def test_a_tag_stays_though_its_contact_is_named_in_another_way(
    rei: Plugin, sandbox: Sandbox, spelling: str
) -> None:
    """H12"""
    sandbox.put_state("rei", {"contacts": [{"id": "ann", "phone": "+16193596440"}]})
    names = {"email": "ann@example.com", "phone": "(619) 359-6440", "contactId": "ann"}
    first = {"key": "1", "email": "ANN@example.com", "tag": "vip"}
    mirror(rei, "contact_tags", first)
    mirror(rei, "contact_tags", {"key": "2", spelling: names[spelling], "tag": "vip"})
    assert tags(sandbox, "ann") == ["vip"]


def test_a_campaign_stays_though_the_key_of_its_row_changes(rei: Plugin, sandbox: Sandbox) -> None:
    """H12"""
    row = {"contactId": "ann", "campaignId": "spring"}
    mirror(rei, "contact_campaigns", {"key": "1", **row})
    mirror(rei, "contact_campaigns", {"key": "2", **row})
    assert sandbox.state("rei")["contact_campaigns"] == {"ann": ["spring"]}


@pytest.mark.parametrize("vendor", ["rei", "autoreach", "merlin"])
def test_a_record_stays_though_its_key_changes_and_its_vendor_id_does_not(
    request: pytest.FixtureRequest, sandbox: Sandbox, vendor: str
) -> None:
    """H13"""
    plugin: Plugin = request.getfixturevalue(vendor)
    sandbox.put_state("autoreach", {"members": [{"id": 3, "email": "ann@example.com"}]})
    sandbox.put_state("merlin", {"contacts": [{"idContact": 3, "Email": "ann@example.com"}]})
    stream, row, table = {
        "rei": ("contacts", {"id": "ann", "email": "ann@example.com"}, "contacts"),
        "autoreach": ("members", {"id": "3", "email": "ann@example.com"}, "members"),
        "merlin": ("contacts", {"idContact": "3", "Email": "ann@example.com"}, "contacts"),
    }[vendor]
    before = set(sandbox.state(vendor)[table])
    mirror(plugin, stream, {"k": "1", **row}, keys=("k",))
    for _ in range(2):
        result = mirror(plugin, stream, {"k": "2", **row}, keys=("k",))
        assert result.exit_code == 0, result.error
        assert set(sandbox.state(vendor)[table]) == before


def test_two_keys_with_one_vendor_id_are_a_conflict(rei: Plugin, sandbox: Sandbox) -> None:
    """H13"""
    rows_ = rows(
        "contacts",
        {"k": "1", "id": "ann", "email": "ann@example.com"},
        {"k": "2", "id": "ann", "email": "other@example.com"},
        keys=("k",),
    )
    result = rei.run(rows_)
    assert result.exit_code == 0, result.error
    (reject,) = result.rejects
    assert reject["record"]["k"] == "2"
    assert "1" in reject["rejection"]["reason"]
    assert contacts(sandbox)["ann"]["email"] == "ann@example.com"


@pytest.mark.parametrize("spelling", ["ANN", "Ann"])
def test_a_contact_that_a_rejected_row_names_is_present(
    rei: Plugin, sandbox: Sandbox, spelling: str
) -> None:
    """H14: the key changes its case, the email stays."""
    mirror(rei, "contacts", {"key": "ann", "email": "ann@example.com", "firstName": "A"})
    before = set(contacts(sandbox))
    row = {"key": spelling, "email": "ann@example.com", "firstName": "A"}
    for _ in range(2):
        result = mirror(rei, "contacts", row, max_rejects="")
        assert result.exit_code == 0, result.error
        assert set(contacts(sandbox)) == before


def test_a_member_that_a_refused_row_of_a_new_key_names_is_present(
    autoreach: Plugin, sandbox: Sandbox
) -> None:
    """H14"""
    mirror(autoreach, "members", {"key": "1", "email": "ann@example.com", "list_id": "1"})
    sandbox.fault(vendor="autoreach", method="PUT", status=422, times=None)
    sandbox.fault(vendor="autoreach", method="POST", path="members", status=422, times=None)
    row = {"key": "2", "email": "ann@example.com", "list_id": "1", "first_name": "New"}
    mirror(autoreach, "members", row, max_rejects="")
    assert len(sandbox.state("autoreach")["members"]) == 1


@pytest.mark.parametrize("numbers", [(1, 2, 2), (1, 1, 1), (2, 1, 2)])
def test_a_row_that_comes_twice_does_not_make_an_extract_whole(
    autoreach: Plugin, sandbox: Sandbox, numbers: tuple[int, ...]
) -> None:
    """H15"""
    autoreach.run(extract(1, 2, 3), **MIRROR)
    result = autoreach.run(extract(*numbers), **MIRROR)
    assert result.exit_code == 0, result.error
    assert set(people(sandbox)) == {"p1", "p2", "p3"}


@pytest.mark.parametrize("count", ["2", "2.0", 2.0, "2.00"])
def test_the_count_of_rows_may_be_a_text(autoreach: Plugin, sandbox: Sandbox, count: Any) -> None:
    """R6"""
    autoreach.run(extract(1, 2, 3, count="3"), **MIRROR)
    autoreach.run(extract(1, 2, count=count), **MIRROR)
    assert set(people(sandbox)) == {"p1", "p2"}


def test_a_count_that_did_not_arrive_is_said_with_what_to_do(autoreach: Plugin) -> None:
    """R6"""
    autoreach.run(extract(1, 2), **MIRROR)
    columns = schema("people", ("id", "email"))
    result = autoreach.run([columns, record("people", id="p1", email="p1@example.com")], **MIRROR)
    assert "None" not in result.stderr
    assert "did not arrive" in result.stderr
    assert "--refresh-catalog" in result.stderr


def test_an_id_that_another_key_owns_is_not_taken_over(rei: Plugin, sandbox: Sandbox) -> None:
    """H16: the vendor merged two contacts; the removal of one must not take the other's."""
    one = {"key": "1", "email": "dora@example.com"}
    mirror(rei, "contacts", one)
    (dora,) = [c for c in contacts(sandbox).values() if c["email"] == "dora@example.com"]
    answer = {"contact": {"id": dora["id"], "email": "dora@example.com"}}
    sandbox.fault(vendor="rei", method="POST", path="contacts/$", status=200, answer=answer)
    mirror(rei, "contacts", one, {"key": "2", "email": "eve@example.com"}, max_rejects="")
    mirror(rei, "contacts", one, max_rejects="")
    assert dora["id"] in contacts(sandbox)


def test_a_created_merlin_contact_with_an_owned_id_is_not_deleted_with_the_other(
    merlin: Plugin, sandbox: Sandbox
) -> None:
    """H16"""
    one = {"key": "1", "Email": "ann@example.com", "Fname": "Ann"}
    mirror(merlin, "contacts", one)
    held = sandbox.state("merlin")["contacts"]
    (owned,) = (int(key) for key, row in held.items() if row["Email"] == "ann@example.com")
    sandbox.fault(vendor="merlin", body="NEW", status=200, answer=owned)
    mirror(
        merlin,
        "contacts",
        one,
        {"key": "2", "Email": "b@example.com", "Fname": "Bo"},
        max_rejects="",
    )
    mirror(merlin, "contacts", one, max_rejects="")
    assert str(owned) in sandbox.state("merlin")["contacts"]


@pytest.mark.parametrize("most", ["0%", "0", "0.0%"])
def test_max_deletes_of_nothing_removes_nothing(
    autoreach: Plugin, sandbox: Sandbox, most: str
) -> None:
    """H17"""
    autoreach.run(extract(*range(8)), **MIRROR)
    result = autoreach.run(extract(*range(5)), **{**MIRROR, "max_deletes": most})
    assert result.exit_code == 1
    assert "max_deletes" in result.error
    assert len(people(sandbox)) == 8


def test_a_reject_of_a_removed_key_goes_with_it(autoreach: Plugin, sandbox: Sandbox) -> None:
    """H17"""
    autoreach.run(extract(1, 2, 3), **MIRROR)
    bad = extract(1, 2, 3)
    bad[3]["record"] |= {"email": "nonsense"}
    assert len(autoreach.run(bad, **MIRROR).rejects) == 1
    sandbox.remove("autoreach", "people", "p3")
    result = autoreach.run(extract(1, 2), **MIRROR)
    assert set(people(sandbox)) == {"p1", "p2"}
    assert result.rejects == []
    autoreach.run([COUNTED])
    assert set(people(sandbox)) == {"p1", "p2"}


@pytest.mark.parametrize(("value", "left"), [("", 1), (None, 1), (DELETED, 0)])
@pytest.mark.parametrize("vendor", ["autoreach", "rei"])
def test_an_empty_text_is_no_delete(
    request: pytest.FixtureRequest, sandbox: Sandbox, vendor: str, value: Any, left: int
) -> None:
    """H17"""
    plugin: Plugin = request.getfixturevalue(vendor)
    stream = "people" if vendor == "autoreach" else "contacts"
    row = {"id" if vendor == "autoreach" else "key": "x", "email": "x@example.com"}
    keys = (next(iter(row)),)
    for moment in (None, value):
        result = plugin.run(rows(stream, {**row, "_sdc_deleted_at": moment}, keys=keys))
        assert result.exit_code == 0, result.error
    found = [r for r in sandbox.state(vendor)[stream].values() if r["email"] == "x@example.com"]
    assert len(found) == left


def test_what_a_batch_may_have_written_before_it_was_refused_goes_with_its_row(
    autoreach: Plugin, sandbox: Sandbox
) -> None:
    """H17: the answer of the batch is lost; one by one, they are refused."""
    sandbox.fault(method="PATCH", when="after", html=200)
    refusal = {"errors": [{"detail": "no"}]}
    sandbox.fault(method="PATCH", after=1, status=422, answer=refusal, times=3)
    first = autoreach.run(extract(1, 2), **MIRROR, max_rejects="")
    assert set(people(sandbox)) == {"p1", "p2"}
    assert [r["rejection"]["kind"] for r in first.rejects] == ["refused"] * 2
    sandbox.clear_faults()
    autoreach.run(extract(1), **MIRROR)
    assert set(people(sandbox)) == {"p1"}
