"""`--explain TEXT`: what is known of a record, found by what a person has at hand."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from singer_http.store import DATABASE_FILE
from singer_http.store.database import Database
from singer_sandbox import Sandbox
from tests.front_door import JSON, Plugin, Result, record, schema
from tests.people import SCHEMA, person

REFUSED = "no-mail"
CONTACTS = schema("contacts", ("owner_id", "email", "phone", "firstName"), ("owner_id",))


def ann(**fields: Any) -> JSON:
    own = {"owner_id": "7", "email": "ann@example.com", "phone": "+15550100001"}
    return record("contacts", **(own | fields))


@pytest.fixture
def autoreach(people: Plugin, ledger_url: str | None) -> Plugin:
    people.config["database_url"] = ledger_url
    return people


@pytest.fixture
def rei(sandbox: Sandbox, tmp_path: Path, ledger_url: str | None) -> Plugin:
    return Plugin("target-reisoftware", sandbox, tmp_path, database_url=ledger_url)


def explain(plugin: Plugin, text: str, **config: Any) -> Result:
    return plugin.run([], "--explain", text, **config)


def section(result: Result, stream: str) -> str:
    """What is said of a stream."""
    parts = re.split(r"^(?=\S)", result.stdout, flags=re.MULTILINE)
    return next((part for part in parts if part.startswith(f"{stream}\n")), "")


def run_of(result: Result) -> str:
    return str(result.report["run"])


@pytest.mark.parametrize(
    "text", ["p1", " p1 ", "P1@Example.com", " p1@example.com", "+1 (555) 010-0001", "5550100001"]
)
def test_a_record_is_found_by_key_email_and_phone_however_they_are_written(
    autoreach: Plugin, text: str
) -> None:
    done = autoreach.run([SCHEMA, person(1, phone="+15550100001"), person(2)])
    result = explain(autoreach, text)
    assert result.exit_code == 0, result.stderr
    found = section(result, "people")
    assert "key p1 " in found
    assert "key p2" not in found
    assert f"by run {run_of(done)}" in found
    assert "id at the vendor: p1" in found
    assert "nothing is outstanding" in found
    assert "never came: no run of this sync has had this stream" in section(result, "members")


@pytest.mark.parametrize("text", ["7", "7.0", "7e0"])
def test_a_number_is_found_however_it_is_written(autoreach: Plugin, text: str) -> None:
    messages = [schema("people", {"id": {"type": "number"}}), record("people", id=7)]
    assert autoreach.run(messages).exit_code == 0
    assert "key 7 (found by its key)" in section(explain(autoreach, text), "people")


def test_what_was_never_there_is_unknown(autoreach: Plugin, ledger_url: str | None) -> None:
    result = explain(autoreach, "p1")
    assert result.exit_code == 1
    assert ("is not there yet" in result.stdout) == (ledger_url is None)
    assert not list(autoreach.work_dir.glob("*.db*"))
    autoreach.run([SCHEMA, person(1)])
    result = explain(autoreach, "nobody@example.com")
    assert result.exit_code == 1
    assert re.search(
        r"'nobody@example.com' is unknown in .*people, members: it never came", result.stdout
    )


def test_a_record_is_found_by_its_id_at_the_vendor(rei: Plugin, sandbox: Sandbox) -> None:
    rei.run([CONTACTS, ann()])
    (vendor_id,) = sandbox.state("rei")["contacts"]
    found = section(explain(rei, vendor_id), "contacts")
    assert "key 7 (found by its id at the vendor)" in found
    assert f"id at the vendor: {vendor_id}" in found


def test_what_hangs_on_a_contact_is_found_by_the_contact(rei: Plugin, sandbox: Sandbox) -> None:
    tags = schema("contact_tags", ("email", "tag"), ("email", "tag"))
    rei.run([CONTACTS, ann(), tags, record("contact_tags", email="Ann@example.com", tag="vip")])
    (vendor_id,) = sandbox.state("rei")["contacts"]
    for text in ("ANN@example.com", vendor_id, "vip", '["ann@example.com","vip"]'):
        result = explain(rei, text)
        assert result.exit_code == 0, text
        assert "nothing is outstanding" in section(result, "contact_tags"), text
    assert "ann@example.com" not in explain(rei, "vip").stdout


def test_a_key_of_several_columns_is_found_as_the_rejects_file_shows_it(
    sandbox: Sandbox, tmp_path: Path, ledger_url: str | None
) -> None:
    merlin = Plugin("target-actionapi", sandbox, tmp_path, database_url=ledger_url, first_run=True)
    automations = schema("automations", ("owner_id", "idContact", "idAuto"), ("owner_id", "idAuto"))
    entry = record("automations", owner_id="7", idContact="404", idAuto="55")
    (reject,) = merlin.run([automations, entry]).rejects
    assert reject["rejection"]["key"] == '["7","55"]'
    for text in ('["7","55"]', "[7, 55.0]", "7"):
        found = section(explain(merlin, text), "automations")
        assert 'key ["7","55"]' in found, text
        assert "nothing was delivered" in found
        assert "outstanding: " in found


def test_kasplos_contact_is_found_by_email_in_each_list(kasplo: Plugin) -> None:
    columns = schema("contacts", ("owner_id", "email", "list"), ("owner_id",))
    kasplo.run([columns, record("contacts", owner_id="7", email="ann@example.com")])
    for text in ("Ann@example.com", "7"):
        assert "sent " in section(explain(kasplo, text), "contacts")


@pytest.mark.parametrize("batch", [1, 100])
def test_a_record_that_came_unchanged_names_the_run(autoreach: Plugin, batch: int) -> None:
    first = autoreach.run([SCHEMA, person(1), person(2)], batch_size_rows=batch)
    assert "has not come unchanged since" in section(explain(autoreach, "p1"), "people")
    second = autoreach.run([SCHEMA, person(1), person(2)], batch_size_rows=batch)
    third = autoreach.run([SCHEMA, person(1)], batch_size_rows=batch)
    for key, last in (("p1", third), ("p2", second)):
        found = section(explain(autoreach, key), "people")
        assert f"by run {run_of(first)}" in found
        assert f"came again unchanged, last in run {run_of(last)}, which began " in found
    changed = autoreach.run([SCHEMA, person(1, first_name="Ann")])
    found = section(explain(autoreach, "p1"), "people")
    assert f"sent {changed.report['started_at'][:10]}" in found
    assert f"by run {run_of(changed)}" in found
    assert "has not come unchanged since" in found


def test_a_deleted_record_is_said_to_be_deleted(autoreach: Plugin) -> None:
    deletion = schema("people", ("id", "_sdc_deleted_at"))
    autoreach.run([SCHEMA, person(1)])
    done = autoreach.run([deletion, record("people", id="p1", _sdc_deleted_at="2026-01-01")])
    found = section(explain(autoreach, "p1@example.com"), "people")
    assert "deleted at the vendor" in found
    assert f"by run {run_of(done)}" in found


def test_a_deleted_contact_is_found_by_the_email_and_phone_that_it_had(rei: Plugin) -> None:
    columns = schema("contacts", ("owner_id", "email", "phone", "_sdc_deleted_at"), ("owner_id",))
    gone = record("contacts", owner_id="7", _sdc_deleted_at="2026-01-31T12:00:00Z")
    rei.run([columns, ann()])
    rei.run([columns, gone])
    for text in ("ann@example.com", "(555) 010-0001"):
        assert "deleted at the vendor" in section(explain(rei, text), "contacts")


def test_a_refused_record_says_why_and_how_often(rei: Plugin) -> None:
    done = rei.run([CONTACTS, ann(email=REFUSED)])
    (reject,) = done.rejects
    for text in ("7", "(555) 010-0001"):
        found = section(explain(rei, text), "contacts")
        assert "nothing was delivered" in found
        assert f"{reject['rejection']['reason']}\n" in found
        assert f"upsert, 1 attempt, by run {run_of(done)}" in found


def test_a_record_without_a_key_is_found_by_what_it_has(autoreach: Plugin) -> None:
    (reject,) = autoreach.run([SCHEMA, record("people", id=None, email="Ann@example.com")]).rejects
    assert reject["rejection"]["kind"] == "invalid"
    found = section(explain(autoreach, "ann@example.com"), "people")
    assert "a record without a key (found by its column email)" in found
    assert "outstanding: invalid, found before sending: " in found


def test_an_uncertain_record_and_the_newer_one_of_its_key_are_told_apart(
    sandbox: Sandbox, rei: Plugin
) -> None:
    workflows = schema("contact_workflows", ("id", "contactId", "workflowId", "eventStartTime"))
    sandbox.put_state("rei", {"contacts": [{"id": "c1", "email": "c@example.com"}]})
    sandbox.put_state("rei", {"workflows": [{"id": "w1", "name": "W", "status": "published"}]})
    entry = record("contact_workflows", id="1", contactId="c1", workflowId="w1")
    sandbox.fault(vendor="rei", method="POST", path="/workflow/", drop=True)
    done = rei.run([workflows, entry], first_run=True)
    assert [r["rejection"]["kind"] for r in done.rejects] == ["uncertain"], done.stderr
    found = section(explain(rei, "1"), "contact_workflows")
    assert "outstanding: uncertain: it may have arrived: " in found
    assert "--resolve contact_workflows KEY sent|unsent|drop" in found


def test_a_run_that_was_killed_left_a_record_about_to_be_sent(autoreach: Plugin) -> None:
    autoreach.dying("after_pending").run([SCHEMA, person(1)])
    for text in ("p1", "P1@example.com"):
        result = explain(autoreach, text)
        assert result.exit_code == 0, result.stderr
        found = section(result, "people")
        assert "nothing was delivered" in found
        assert re.search(r"about to be sent since .* by run \S+, which is under way or", found)
    autoreach.run([SCHEMA])
    assert "about to be sent" not in explain(autoreach, "p1").stdout


def test_it_answers_while_a_run_is_under_way(autoreach: Plugin, sandbox: Sandbox) -> None:
    autoreach.run([SCHEMA, person(1)])
    sandbox.fault(vendor="autoreach", method="PATCH", hold="x")
    process = autoreach.start([SCHEMA, person(1, first_name="Ann"), person(2)])
    sandbox.wait_held("x")
    found = section(explain(autoreach, "p2"), "people")
    assert "about to be sent since" in found
    assert process.poll() is None
    sandbox.release("x")
    assert autoreach.finish(process).exit_code == 0
    assert "about to be sent" not in explain(autoreach, "p2").stdout


def test_another_sync_and_account_are_named_and_not_mixed_in(autoreach: Plugin) -> None:
    autoreach.run([SCHEMA, person(1)], sync="nightly")
    autoreach.run([SCHEMA, person(1)], account="other")
    autoreach.run([SCHEMA, person(2)])
    result = explain(autoreach, "p1@example.com")
    assert result.exit_code == 1
    assert re.search(r"is unknown in .*people, members", result.stdout)
    others = result.stdout.partition("Other syncs and accounts of this database")[2]
    assert "sync nightly: people" in others
    assert re.search(r"account other \S+, sync default: people", others)
    own = explain(autoreach, "p1", sync="nightly")
    assert own.exit_code == 0
    assert "sync nightly: p1" in own.stdout.splitlines()[0]


def test_a_record_that_two_keys_share_names_the_other_key(sandbox: Sandbox, rei: Plugin) -> None:
    tags = schema("contact_tags", ("id", "email", "tag"))
    rei.run(
        [
            CONTACTS,
            ann(),
            tags,
            record("contact_tags", id="t1", email="ann@example.com", tag="vip"),
            record("contact_tags", id="t2", email="ann@example.com", tag="vip"),
        ]
    )
    found = section(explain(rei, "t1"), "contact_tags")
    assert "the vendor's record is shared with 1 other key: t2" in found


def test_nothing_personal_is_shown_that_was_not_typed(rei: Plugin) -> None:
    rei.run([CONTACTS, ann()])
    rejected = rei.run([CONTACTS, ann(owner_id="8")])
    assert "7" in rejected.rejects[0]["rejection"]["reason"]
    columns = schema("contacts", ("email", "firstName"), ("email",))
    rei.run([columns, record("contacts", email="bea@example.com")], sync="second")
    for text in ("7", "8", "+15550100001"):
        assert "ann@example.com" not in explain(rei, text).stdout
    shown = explain(rei, "BEA@example.com", sync="second").stdout
    assert "key BEA@example.com (found by its key)" in shown
    assert "bea@example.com" not in shown


@pytest.mark.parametrize("text", ["", " "])
def test_an_empty_text_starts_no_run(autoreach: Plugin, sandbox: Sandbox, text: str) -> None:
    result = autoreach.run([SCHEMA, person(1)], "--explain", text)
    assert result.exit_code == 1
    assert "--explain needs a key, an email, a phone" in result.stdout
    assert sandbox.state("autoreach")["people"] == {}


def test_a_ledger_of_version_1_is_brought_up_to_date(
    autoreach: Plugin, ledger_url: str | None
) -> None:
    autoreach.run([SCHEMA, person(1), person(2)])
    database = Database(ledger_url or f"sqlite:///{autoreach.work_dir / DATABASE_FILE}")
    database.execute(sa.text("DROP VIEW singer_http_standing"))
    for column in ("run", "names", "mapping", "version", "fields"):
        database.execute(sa.text(f"ALTER TABLE singer_http_delivered DROP COLUMN {column}"))
    database.execute(sa.text("ALTER TABLE singer_http_scopes DROP COLUMN mapping"))
    database.execute(sa.text("UPDATE singer_http_meta SET value = '1' WHERE name = 'version'"))
    database.commit()
    database.close()
    assert "by --resolve or an old release" in section(explain(autoreach, "p1"), "people")
    again = autoreach.run([SCHEMA, person(1), person(2, first_name="Ann")])
    assert again.counts("people") == {"received": 2, "unchanged": 1, "upserted": 1}
    assert "key p2 (found by its email)" in explain(autoreach, "p2@example.com").stdout


def test_nothing_is_written(autoreach: Plugin) -> None:
    autoreach.run([SCHEMA, person(1), person(2, email=REFUSED)])
    report = autoreach.report()
    rejects = autoreach.rejects()
    result = explain(autoreach, "p1")
    assert (result.report, result.rejects) == (report, rejects)
    assert autoreach.run([], "--history").stdout.count(report["run"]) == 1


def test_the_text_of_a_record_in_unicode_is_found(autoreach: Plugin) -> None:
    autoreach.run([SCHEMA, record("people", id=None, email="j\u00fcrgen@example.com")])
    found = explain(autoreach, "J\u00dcRGEN@example.com").stdout
    assert "a record without a key (found by its column email)" in found
