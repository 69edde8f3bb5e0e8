"""404, {} and ids that are gone: what counts as not there, and what belongs to a new record."""

from __future__ import annotations

from typing import Any

import pytest

from singer_sandbox import Sandbox
from tests.findings.inputs import DELETED, MIRROR, contacts, people, rows
from tests.front_door import JSON, Plugin, record, schema

GATEWAYS: list[JSON] = [
    {"html": 404},
    {"status": 404, "answer": ""},
    {"status": 404, "answer": {"message": "no Route matched with those values"}},
    {"status": 404, "answer": {"message": "Not found. Contact the administrator."}},
    {"html": 404, "answer": "<p>Contact page not found</p>"},
]
DELETES: list[tuple[str, str, JSON]] = [
    ("rei", "contacts", {"key": "a", "email": "a@example.com"}),
    ("autoreach", "people", {"id": "a", "email": "a@example.com"}),
    ("autoreach", "members", {"key": "a", "email": "a@example.com"}),
    ("merlin", "contacts", {"key": "a", "Email": "a@example.com", "Fname": "A"}),
]


def held(sandbox: Sandbox, name: str, stream: str) -> int:
    return sum("a@example.com" in str(row) for row in sandbox.state(name)[stream].values())


@pytest.mark.parametrize(("name", "stream", "row"), DELETES, ids=lambda v: str(v)[:9])
@pytest.mark.parametrize("fault", GATEWAYS, ids=["html", "empty", "json", "words", "page"])
def test_a_gateways_404_deletes_nothing(
    request: pytest.FixtureRequest,
    sandbox: Sandbox,
    name: str,
    stream: str,
    row: JSON,
    fault: JSON,
) -> None:
    """H19"""
    plugin: Plugin = request.getfixturevalue(name)
    keys = (next(iter(row)),)
    assert plugin.run(rows(stream, row, keys=keys)).exit_code == 0
    gone = rows(stream, {**row, "_sdc_deleted_at": DELETED}, keys=keys)
    path = "^(?!.*oauth)"
    sandbox.fault(vendor=name, path=path, times=None, **fault)
    result = plugin.run(gone, max_retries=1)
    assert result.exit_code == 1 or result.rejects
    assert not (result.report.get("streams", {}).get(stream) or {}).get("deleted")
    sandbox.clear_faults()
    healed = plugin.run(gone)
    assert (healed.exit_code, healed.rejects) == (0, []), healed.error
    assert held(sandbox, name, stream) == 0


@pytest.mark.parametrize("fault", GATEWAYS[:2], ids=["html", "empty"])
def test_a_gateways_404_removes_nothing_from_a_mirror(
    autoreach: Plugin, sandbox: Sandbox, fault: JSON
) -> None:
    """H19"""

    def extract(*numbers: int) -> list[Any]:
        columns = schema("people", {"id": {}, "email": {}, "n": {}})
        n = len(numbers)
        rows_ = [record("people", id=f"p{i}", email=f"p{i}@example.com", n=n) for i in numbers]
        return [columns, *rows_]

    autoreach.run(extract(1, 2, 3), **MIRROR)
    sandbox.fault(vendor="autoreach", method="DELETE", times=None, **fault)
    autoreach.run(extract(1, 2), **MIRROR, max_retries=1)
    sandbox.clear_faults()
    assert autoreach.run(extract(1, 2), **MIRROR).exit_code == 0
    assert set(people(sandbox)) == {"p1", "p2"}


def test_a_gateways_404_removes_no_tag(rei: Plugin, sandbox: Sandbox) -> None:
    """H19"""
    sandbox.put_state("rei", {"contacts": [{"id": "ann", "email": "ann@example.com"}]})
    row = {"key": "1", "contactId": "ann", "tag": "vip"}
    rei.run(rows("contact_tags", row))
    sandbox.fault(vendor="rei", times=None, html=404)
    gone = rows("contact_tags", {**row, "_sdc_deleted_at": DELETED})
    result = rei.run(gone, max_retries=1)
    assert result.exit_code == 1 or result.rejects
    sandbox.clear_faults()
    rei.run(gone)
    assert not contacts(sandbox)["ann"].get("tags")


@pytest.mark.parametrize("name", ["rei", "autoreach"])
def test_what_is_not_there_is_deleted_with_success(
    request: pytest.FixtureRequest, sandbox: Sandbox, name: str
) -> None:
    """H19: the vendor's own 404."""
    plugin: Plugin = request.getfixturevalue(name)
    stream, row = {n: (s, r) for n, s, r in DELETES[:2]}[name]
    keys = (next(iter(row)),)
    plugin.run(rows(stream, row, keys=keys))
    for key in list(sandbox.state(name)[stream]):
        sandbox.remove(name, stream, key)
    result = plugin.run(rows(stream, {**row, "_sdc_deleted_at": DELETED}, keys=keys))
    assert (result.exit_code, result.rejects) == (0, []), result.error


@pytest.mark.parametrize("answer", [{}, {"data": {}}, "", {"contact": {}}], ids=str)
@pytest.mark.parametrize("name", ["rei", "autoreach", "merlin"])
def test_a_record_made_without_an_id_is_still_deleted(
    request: pytest.FixtureRequest, sandbox: Sandbox, name: str, answer: Any
) -> None:
    """H20: but for AutoReach's members, which nothing but a value finds; the reject says so."""
    plugin: Plugin = request.getfixturevalue(name)
    stream, row = {
        "rei": ("contacts", {"key": "a", "email": "a@example.com"}),
        "autoreach": ("members", {"key": "a", "email": "a@example.com"}),
        "merlin": ("contacts", {"key": "a", "Email": "a@example.com", "Fname": "A"}),
    }[name]
    made = {"rei": "contacts/$", "autoreach": "members", "merlin": "API"}[name]
    sandbox.fault(
        vendor=name, method="POST", path=made, status=200, answer=answer, when="after",
        **({"body": "NEW"} if name == "merlin" else {}),
    )  # fmt: skip
    plugin.run(rows(stream, row))
    assert held(sandbox, name, stream) == 1
    result = plugin.run(rows(stream, {"key": "a", "_sdc_deleted_at": DELETED, "email": None}))
    assert result.exit_code == 0, result.error
    if name == "autoreach":
        (reject,) = result.rejects
        assert "did not return its id" in reject["rejection"]["reason"]
    assert len(result.rejects) == held(sandbox, name, stream) == (name == "autoreach")


@pytest.mark.parametrize(
    ("stream", "row", "where"),
    [
        ("contact_tags", {"tag": "vip"}, "tags"),
        ("contact_campaigns", {"campaignId": "spring"}, "campaigns"),
    ],
)
@pytest.mark.parametrize("mode", ["upsert", "mirror"])
def test_what_belongs_to_a_contact_comes_with_a_contact_that_was_made_anew(
    rei: Plugin, sandbox: Sandbox, stream: str, row: JSON, where: str, mode: str
) -> None:
    """H22"""
    both = [
        *rows("contacts", {"key": "1", "email": "ann@example.com", "n": 1}),
        *rows(stream, {"key": "1", "email": "ann@example.com", **row, "n": 1}),
    ]
    config = MIRROR if mode == "mirror" else {}
    assert rei.run(both, **config).exit_code == 0
    (old,) = contacts(sandbox)
    sandbox.remove("rei", "contacts", old)
    changed = [*rows("contacts", {"key": "1", "email": "ann@example.com", "n": 1, "city": "Bonn"})]
    result = rei.run([*changed, *both[2:]], **config)
    assert (result.exit_code, result.rejects) == (0, []), result.error
    (new,) = contacts(sandbox)
    assert new != old
    if where == "tags":
        assert contacts(sandbox)[new].get("tags") == ["vip"]
    else:
        assert sandbox.state("rei")["contact_campaigns"].get(new) == ["spring"]


def test_tags_are_not_half_sent(rei: Plugin, sandbox: Sandbox) -> None:
    """R10: an update is a PUT and then a POST of tags; the second one is refused."""
    first = {"key": "1", "email": "ann@example.com", "firstName": "Old"}
    rei.run(rows("contacts", first))
    sandbox.fault(vendor="rei", method="POST", path="/tags", status=422, answer={"msg": "Locked."})
    changed = {**first, "firstName": "New", "tags": ["vip"]}
    result = rei.run(rows("contacts", changed))
    (reject,) = result.rejects
    (ann,) = contacts(sandbox).values()
    half = ann["firstName"] == "New"
    assert ("tags" in reject["rejection"]["reason"]) is half
    healed = rei.run(rows("contacts", first))
    assert (healed.exit_code, healed.rejects) == (0, []), healed.error
    (ann,) = contacts(sandbox).values()
    assert ann["firstName"] == "Old"
