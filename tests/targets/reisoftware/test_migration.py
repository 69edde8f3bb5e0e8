"""From API v1 to v2 with one ledger: nothing is sent again."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from singer_sandbox import Sandbox
from tests.front_door import JSON, Plugin, record, schema
from tests.targets.reisoftware.test_contacts import contacts, held, sent
from tests.targets.reisoftware.test_links import directory, entries, rows
from tests.targets.reisoftware.test_values import FIELDS
from tests.targets.reisoftware.versions import asked

PEOPLE = contacts(
    {
        "key": "1",
        "email": "Ann@example.com",
        "firstName": "Ann",
        "phone": "(555) 123-4567",
        "tags": ["VIP", "seller"],
        "Sale date": "2024-05-01",
        "customField": {"f1": "P-1"},
        "dnd": True,
    },
    {"key": "2", "email": "bob@example.com", "address1": "1 Main St", "customField": []},
)
LINKS: dict[str, list[JSON]] = {
    "contact_tags": rows(
        "contact_tags",
        {"key": "1", "email": "ann@example.com", "tags": "buyer, Seller"},
        {"key": "2", "contactId": "bob", "tag": "buyer"},
    ),
    "contact_campaigns": rows(
        "contact_campaigns",
        {"key": "1", "email": "ann@example.com", "campaignId": "spring"},
        {"key": "2", "contactId": "bob", "campaignId": "winter"},
    ),
    "contact_workflows": rows(
        "contact_workflows",
        {"key": "1", "email": "ann@example.com", "workflowId": "welcome"},
        {"key": "2", "contactId": "bob", "workflowId": "welcome"},
    ),
}


@pytest.fixture
def v1(sandbox: Sandbox, tmp_path: Path, ledger_url: str | None) -> Plugin:
    more = {"database_url": ledger_url} if ledger_url else {}
    settings = sandbox.settings("target-reisoftware", "v1")
    return Plugin("target-reisoftware", sandbox, tmp_path, **settings, first_run=True, **more)


def migrated(v1: Plugin, **more: Any) -> Plugin:
    """The same target with three settings changed, and no word that this is a first run."""
    settings = {**v1.config, **v1.sandbox.settings("target-reisoftware", "v2"), **more}
    del settings["first_run"]
    v1.sandbox.log(clear=True)
    return Plugin("target-reisoftware", v1.sandbox, v1.directory, **settings)


def test_contacts_stay_unchanged(v1: Plugin, sandbox: Sandbox) -> None:
    sandbox.put_state("rei", {"custom_fields": FIELDS})
    assert v1.run(PEOPLE).counts("contacts")["created"] == 2
    before = held(sandbox)
    v2 = migrated(v1)
    dry = v2.run(PEOPLE, dry_run=True)
    assert dry.counts("contacts") == {"received": 2, "unchanged": 2}, dry.stderr
    result = v2.run(PEOPLE)
    assert result.counts("contacts") == {"received": 2, "unchanged": 2}, result.stderr
    assert "is taken over" in result.stderr
    assert sent(sandbox) == []
    assert not [line for line in asked(sandbox) if "search" in line]
    assert held(sandbox) == before
    again = v2.run(PEOPLE)
    assert again.counts("contacts") == {"received": 2, "unchanged": 2}
    assert "is taken over" not in again.stderr


@pytest.mark.parametrize("stream", LINKS)
def test_what_belongs_to_contacts_stays_unchanged(
    v1: Plugin, sandbox: Sandbox, stream: str
) -> None:
    directory(sandbox)
    assert v1.run(LINKS[stream]).rejects == []
    v2 = migrated(v1)
    result = v2.run(LINKS[stream])
    assert result.exit_code == 0, result.stderr
    assert result.counts(stream) == {"received": 2, "unchanged": 2}, result.stderr
    assert sent(sandbox) == []
    assert len(entries(sandbox)) == (2 if stream == "contact_workflows" else 0)


def test_a_changed_contact_is_updated_under_its_id(v1: Plugin, sandbox: Sandbox) -> None:
    sandbox.put_state("rei", {"custom_fields": FIELDS})
    v1.run(PEOPLE)
    changed = [PEOPLE[0], {**PEOPLE[1], "record": {**PEOPLE[1]["record"], "firstName": "Anna"}}]
    result = migrated(v1).run([*changed, PEOPLE[2]])
    assert result.counts("contacts") == {"received": 2, "unchanged": 1, "updated": 1}
    assert {person.get("firstName") for person in held(sandbox)} == {"Anna", None}


def test_another_location_stops_before_anything_is_sent(v1: Plugin, sandbox: Sandbox) -> None:
    v1.run(contacts({"key": "1", "email": "ann@example.com"}))
    sandbox.reset()
    v2 = migrated(v1)
    result = v2.run(contacts({"key": "1", "email": "ann@example.com"}))
    assert result.exit_code == 1, result.stderr
    assert "written through an earlier API" in result.error
    assert "account" in result.error
    assert sent(sandbox) == []
    assert v2.run(contacts({"key": "1", "email": "b@example.com"}), account="new").exit_code == 0


def test_rejects_are_taken_over_too(v1: Plugin, sandbox: Sandbox) -> None:
    some = [
        schema("contacts", ("key", "email", "phone"), ("key",)),
        record("contacts", key="1", email="ann@example.com", phone=None),
        record("contacts", key="2", email=None, phone="nobody's"),
    ]
    assert len(v1.run(some, phone_region="US").rejects) == 1
    result = migrated(v1).run(some[:2], phone_region="US")
    assert result.counts("contacts")["unchanged"] == 1
    assert [reject["record"]["key"] for reject in result.rejects] == ["2"]


def test_an_account_with_a_name_keeps_its_ledger(v1: Plugin, sandbox: Sandbox) -> None:
    some = contacts({"key": "1", "email": "ann@example.com"})
    v1.run(some, account="dallas")
    result = migrated(v1, account="dallas").run(some)
    assert result.counts("contacts") == {"received": 1, "unchanged": 1}, result.stderr
