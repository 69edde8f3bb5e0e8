"""From API v1 to v2 with one ledger: nothing is sent again."""

from __future__ import annotations

import time
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


# --- other syncs, other processes, runs that died, contacts that are gone ---

ANN = contacts({"key": "1", "email": "ann@example.com"})


def opt_out(email: str) -> list[JSON]:
    return [
        schema("suppressions", ("id", "email", "phone")),
        record("suppressions", id=email, email=email, phone=None),
    ]


def entry(key: str, email: str) -> list[JSON]:
    return rows("contact_workflows", {"key": key, "email": email, "workflowId": "welcome"})


def test_a_run_by_v1_that_is_under_way_keeps_its_ledger(v1: Plugin, sandbox: Sandbox) -> None:
    v1.run(ANN)
    two = contacts({"key": "1", "email": "ann@example.com"}, {"key": "2", "email": "b@example.com"})
    sandbox.fault(vendor="rei", method="POST", path="contacts/$", hold="create")
    under_way = v1.start(two)
    try:
        sandbox.wait_held("create")
        result = migrated(v1).run(two)
        assert result.exit_code == 1, result.stderr
        assert "is under way" in result.error
        dry = migrated(v1).run(two, dry_run=True)
        assert dry.exit_code == 0, dry.stderr
    finally:
        sandbox.release("create")
        under_way.communicate(timeout=60)
    assert under_way.returncode == 0
    assert migrated(v1).run(two).counts("contacts")["unchanged"] == 2
    assert len(held(sandbox)) == 2


def test_whom_another_sync_suppressed_by_v1_is_not_reached(v1: Plugin, sandbox: Sandbox) -> None:
    directory(sandbox)
    v1.run(entry("1", "ann@example.com"))
    assert v1.run(opt_out("bob@example.com"), sync="opt-outs").exit_code == 0
    both = [*entry("1", "ann@example.com"), *entry("2", "bob@example.com")[1:]]
    v2 = migrated(v1)
    for dry_run in (True, False, True, False):
        result = v2.run(both, dry_run=dry_run)
        assert result.counts("contact_workflows") == {
            "received": 2, "unchanged": 1, "skipped": 1, "suppressed": 1,
        }, result.stderr  # fmt: skip
    check = v2.start(None, "--check")
    assert "1 entries (stream suppressions: 1)" in str(check.communicate(timeout=60))
    # And the reverse: who is suppressed by v2 is not reached by a sync that is still at v1.
    v2.run(opt_out("ann@example.com"))
    late = v1.run(entry("3", "ann@example.com"), sync="late")
    assert late.counts("contact_workflows")["suppressed"] == 1, late.stderr
    assert len(entries(sandbox)) == 1


def test_the_newest_contacts_may_be_gone(v1: Plugin, sandbox: Sandbox) -> None:
    some = contacts(*({"key": str(n), "email": f"{n}@example.com"} for n in range(12)))
    v1.run(some[:2])
    time.sleep(1.1)
    v1.run(some)
    # All but the first are later by a second at least: the ledger has whole seconds.
    for contact_id in list(sandbox.state("rei")["contacts"])[1:]:
        sandbox.remove("rei", "contacts", contact_id)
    result = migrated(v1).run(some)
    assert result.exit_code == 0, result.stderr
    assert result.counts("contacts")["unchanged"] == 12, result.stderr


def test_where_nothing_can_be_read_the_account_can_be_named(v1: Plugin, sandbox: Sandbox) -> None:
    nobody = contacts({"key": "1", "firstName": "Ann"})
    assert len(v1.run(nobody).rejects) == 1
    stopped = migrated(v1).run(nobody)
    assert stopped.exit_code == 1
    account = stopped.error.partition("set account to ")[2].partition(";")[0]
    result = migrated(v1).run(nobody, account=account)
    assert result.exit_code == 0, (stopped.error, result.error)
    assert "is taken over: the setting account says so" in result.stderr


def test_where_all_contacts_are_gone_a_name_does_not_help(v1: Plugin, sandbox: Sandbox) -> None:
    v1.run(ANN, account="dallas")
    (contact_id,) = sandbox.state("rei")["contacts"]
    sandbox.remove("rei", "contacts", contact_id)
    stopped = migrated(v1).run(ANN, account="dallas")
    assert stopped.exit_code == 1
    assert "set account to a new name" in stopped.error
    assert "set account to dallas" not in stopped.error
    assert sent(sandbox) == []


def test_a_sync_of_opt_outs_is_taken_over_by_what_other_syncs_wrote(
    v1: Plugin, sandbox: Sandbox
) -> None:
    v1.run(ANN)
    assert v1.run(opt_out("bob@example.com"), sync="opt-outs").exit_code == 0
    v2 = migrated(v1)
    for dry_run in (True, False):
        first = v2.run(opt_out("bob@example.com"), sync="opt-outs", dry_run=dry_run)
        assert first.counts("suppressions") == {"received": 1, "unchanged": 1}, first.stderr
    assert sent(sandbox) == []


def test_a_new_sync_does_not_reach_whom_v1_suppressed(v1: Plugin, sandbox: Sandbox) -> None:
    directory(sandbox)
    v1.run(entry("1", "ann@example.com"))
    assert v1.run(opt_out("bob@example.com"), sync="opt-outs").exit_code == 0
    v2 = migrated(v1)
    for dry_run in (True, False):
        result = v2.run(entry("2", "bob@example.com"), sync="new", dry_run=dry_run, first_run=True)
        assert result.counts("contact_workflows").get("suppressed") == 1, result.stderr
    assert sent(sandbox) == []


@pytest.mark.parametrize("named", [None, "dallas"])
def test_what_a_dead_run_left_by_v1_is_finished_by_v2(
    v1: Plugin, sandbox: Sandbox, named: str | None
) -> None:
    directory(sandbox)
    more: dict[str, Any] = {"account": named} if named else {}
    work = rows(
        "contact_workflows",
        {"key": "1", "email": "ann@example.com", "workflowId": "welcome"},
        {"key": "2", "contactId": "bob", "workflowId": "welcome"},
    )
    assert v1.run(work[:2], **more).exit_code == 0
    sandbox.fault(vendor="rei", method="POST", path="workflow", when="after", hold="entry")
    running = v1.start(work, **more)
    sandbox.wait_held("entry")
    running.kill()
    running.communicate(timeout=60)
    sandbox.clear_faults()
    sandbox.release("entry")
    assert len(entries(sandbox)) == 2
    v2 = migrated(v1, **more)
    for _ in range(2):
        result = v2.run(work)
        assert result.exit_code == 0, result.stderr
        assert [one["rejection"]["kind"] for one in result.rejects] == ["uncertain"]
        assert sent(sandbox) == []
    assert len(entries(sandbox)) == 2


def test_a_create_that_a_dead_run_left_by_v1_is_looked_up_by_v2(
    v1: Plugin, sandbox: Sandbox
) -> None:
    v1.run(ANN)
    two = contacts({"key": "1", "email": "ann@example.com"}, {"key": "2", "email": "b@example.com"})
    sandbox.fault(vendor="rei", method="POST", path="contacts/$", when="after", hold="create")
    running = v1.start(two)
    sandbox.wait_held("create")
    running.kill()
    running.communicate(timeout=60)
    sandbox.clear_faults()
    sandbox.release("create")
    result = migrated(v1).run(two)
    assert result.exit_code == 0, result.stderr
    assert len(held(sandbox)) == 2


def test_syncs_of_one_account_are_taken_over_side_by_side(v1: Plugin, sandbox: Sandbox) -> None:
    names = ["one", "two", "three"]
    for name in names:
        v1.run(ANN, sync=name)
    v2 = migrated(v1)
    sandbox.fault(vendor="rei", method="GET", path="v2/contacts/", times=3, hold="first look")
    running = [v2.start(ANN, sync=name) for name in names]
    sandbox.wait_held("first look", 3)
    sandbox.release("first look")
    for process in running:
        _, said = process.communicate(timeout=60)
        assert process.returncode == 0, said
        assert "is taken over" in str(said)
    assert sent(sandbox) == []


@pytest.mark.parametrize("last", ["a", "b"])
def test_several_locations_share_a_database(v1: Plugin, sandbox: Sandbox, last: str) -> None:
    sandbox.account("rei", "b", api_key="key-b")
    sandbox.account("rei", "b", api_key="pit-b")
    bob = contacts({"key": "1", "email": "bob@example.com"})
    runs: dict[str, tuple[list[JSON], JSON, JSON]] = {
        "a": (ANN, {}, {}),
        "b": (bob, {"api_key": "key-b"}, {"api_key": "pit-b", "location_id": " location-b "}),
    }
    order = sorted(runs, key=lambda name: name == last)
    for name in order:
        v1.run(runs[name][0], account=name, **runs[name][1])
    for name in order:
        result = migrated(v1, **runs[name][2]).run(runs[name][0])
        assert result.counts("contacts") == {"received": 1, "unchanged": 1}, result.stderr
