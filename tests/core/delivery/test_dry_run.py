"""`dry_run`: how many would go out, and what would change, field by field; nothing is sent."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from singer_sandbox import Sandbox
from tests.front_door import JSON, Plugin, record, schema


def writes(sandbox: Sandbox, vendor: str) -> list[str]:
    """Requests that change something."""
    return [
        f"{entry['method']} {entry['path']}"
        for entry in sandbox.requests(vendor)
        if entry["method"] not in {"GET", "HEAD"} and "oauth" not in entry["path"]
    ]


def examples(report: JSON, stream: str, operation: str) -> list[Any]:
    """The examples of one kind."""
    shown = report["streams"][stream]["examples"]
    return [example for example in shown if example["operation"] == operation]


def test_updates_are_shown_as_old_and_new_where_the_vendor_can_be_read(
    sandbox: Sandbox, tmp_path: Path
) -> None:
    sandbox.put_state(
        "autoreach",
        {"members": [{"email": "ann@example.org", "first_name": "Ann", "list_id": "1"}]},
    )
    members = Plugin("target-autoreach", sandbox, tmp_path, dry_run=True)
    columns = ("email", "first_name", "list_id")
    result = members.run(
        [
            schema("members", columns, ("email",)),
            record("members", email="ann@example.org", first_name="Anna", list_id="1"),
            record("members", email="bob@example.org", first_name="Bob", list_id="1"),
        ]
    )
    assert result.exit_code == 0
    assert result.counts("members") == {"received": 2, "updated": 1, "created": 1}
    assert examples(result.report, "members", "updated") == [
        {
            "operation": "updated",
            "id": "1",
            "fields": {"first_name": {"old": "'Ann'", "new": "'Anna'"}},
        }
    ]
    (created,) = examples(result.report, "members", "created")
    assert created["fields"]["first_name"] == {"new": "'Bob'"}
    assert "would be updated: id 1, first_name: 'Ann' → 'Anna'" in result.stderr
    assert "bob@example.org" not in result.stderr
    assert writes(sandbox, "autoreach") == []


def test_contacts_of_rei_are_compared_with_what_is_there(sandbox: Sandbox, tmp_path: Path) -> None:
    sandbox.put_state(
        "rei",
        {
            "custom_fields": [{"id": "f1", "name": "City", "fieldKey": "contact.city2"}],
            "contacts": [
                {
                    "id": "c1", "email": "ann@example.org", "firstName": "Ann", "tags": ["old"],
                    "customField": {"f1": "Boston"},
                }
            ],
        },
    )  # fmt: skip
    contacts = Plugin("target-reisoftware", sandbox, tmp_path, dry_run=True)
    result = contacts.run(
        [
            schema("contacts", ("email", "firstName", "city2", "tags"), ("email",)),
            record("contacts", email="ann@example.org", firstName="Ann", city2="Chicago",
                   tags="old,vip"),
        ]
    )  # fmt: skip
    assert result.exit_code == 0, result.stderr
    (example,) = examples(result.report, "contacts", "updated")
    assert example["fields"]["customField.f1"] == {"old": "'Boston'", "new": "'Chicago'"}
    assert "firstName" not in example["fields"]
    assert "email" not in example["fields"]
    assert writes(sandbox, "rei") == []


def test_contacts_of_merlin_are_compared_with_what_search_finds(
    sandbox: Sandbox, tmp_path: Path
) -> None:
    sandbox.put_state(
        "merlin",
        {"contacts": [{"idContact": 5, "Fname": "Ann", "Email": "ann@example.org",
                       "Number": "13125550123", "Lname": "Oak"}]},
    )  # fmt: skip
    contacts = Plugin("target-actionapi", sandbox, tmp_path, dry_run=True)
    result = contacts.run(
        [
            schema("contacts", ("Email", "Fname", "Opportunitie"), ("Email",)),
            record("contacts", Email="ann@example.org", Fname="Ann", Opportunitie="new roof"),
        ]
    )
    assert result.exit_code == 0, result.stderr
    (example,) = examples(result.report, "contacts", "updated")
    assert set(example["fields"]) == {"Opportunitie"}
    assert example["fields"]["Opportunitie"]["new"] == "'new roof'"


def test_there_are_three_examples_of_each_kind(people: Plugin) -> None:
    columns = ("id", "first_name", "_sdc_deleted_at")
    result = people.run(
        [
            schema("people", columns),
            *(record("people", id=f"a{i}", first_name="x") for i in range(5)),
            *(record("people", id=f"b{i}", _sdc_deleted_at="2026-01-01") for i in range(5)),
        ],
        dry_run=True,
    )
    assert result.counts("people") == {"received": 10, "upserted": 5, "deleted": 5}
    assert len(examples(result.report, "people", "upserted")) == 3
    assert len(examples(result.report, "people", "deleted")) == 3
    assert writes(people.sandbox, "autoreach") == []


def test_a_mirror_shows_what_it_would_remove(people: Plugin) -> None:
    def rows(number: int) -> list[JSON]:
        return [
            schema("people", {"id": {"type": "string"}, "n": {"type": "integer"}}),
            *(record("people", id=f"p{i}", n=number) for i in range(number)),
        ]

    mirror = {"mode": "mirror", "mirror_count": "n"}
    people.run(rows(6), **mirror)
    sent = writes(people.sandbox, "autoreach")
    result = people.run(rows(4), dry_run=True, **mirror)
    assert result.counts("people") == {"received": 4, "unchanged": 4, "removed": 2}
    assert {e["id"] for e in examples(result.report, "people", "deleted")} == {"p4", "p5"}
    assert writes(people.sandbox, "autoreach") == sent
    assert len(people.sandbox.state("autoreach")["people"]) == 6


def test_the_page_shows_the_examples(people: Plugin) -> None:
    people.run(
        [schema("people", ("id", "email", "first_name")),
         record("people", id="1", email="ann@example.org", first_name="<b>Ann</b>")],
        dry_run=True,
    )  # fmt: skip
    html = people.path("report.html").read_text()
    assert "dry run: nothing was sent" in html
    assert "people: would be upserted" in html
    assert "&lt;b&gt;Ann&lt;/b&gt;" in html
    assert "<b>" not in html
    assert "ann@example.org" not in html
