"""The setting `overwrite`: what people edit in the CRM stays, and all else follows the source."""

from __future__ import annotations

from tests.core.overwrite.crm import EMPTY, KEEP, Crm
from tests.front_door import adds_up


def test_what_a_person_edited_is_kept_and_the_rest_follows_the_source(crm: Crm) -> None:
    _, first, _, _ = crm.columns
    crm.run(crm.row("1", "ann@example.com", "Ann", "Smith", "red"), **KEEP)
    crm.edit(0, **{first: "Anna", "color": "green"})
    result = crm.run(crm.row("1", "ann@example.com", "Ann", "Smyth", "blue"), **KEEP)
    assert crm.values() == [("ann@example.com", "Anna", "Smyth", "green")]
    label = result.report["streams"][crm.stream]["kept"]
    assert sorted(label.values()) == [1, 1]
    assert first in label
    assert crm.counts(result)["updated"] == 1
    assert adds_up(result.report)


def test_a_record_of_which_nothing_is_left_to_send_is_skipped_and_not_read_again(crm: Crm) -> None:
    _, first, _, _ = crm.columns
    crm.run(crm.row("1", "ann@example.com", "Ann", "Smith", "red"), **KEEP)
    crm.edit(0, **{first: "Annabella Anna"})
    changed = crm.row("1", "ann@example.com", "Anne", "Smith", "red")
    result = crm.run(changed, **KEEP)
    assert crm.counts(result) == {
        "received": 1,
        "skipped": 1,
        "kept": {first: 1},
        "kept_examples": [{"field": first, "id": crm.ids()[0], "vendor": "Anna…na", "source": "…"}],
    }
    before = len(crm.sandbox.requests(crm.vendor))
    result = crm.run(changed, **KEEP)
    assert crm.counts(result) == {"received": 1, "unchanged": 1}
    assert crm.reads(before) == 0


def test_what_was_kept_is_sent_once_the_setting_allows_it(crm: Crm) -> None:
    _, first, _, _ = crm.columns
    crm.run(crm.row("1", "ann@example.com", "Ann", "Smith", "red"), **KEEP)
    crm.edit(0, **{first: "Anna"})
    changed = crm.row("1", "ann@example.com", "Anne", "Smith", "red")
    crm.run(changed, **KEEP)
    result = crm.run(changed)
    assert crm.counts(result) == {"received": 1, "updated": 1}
    assert crm.values()[0][1] == "Anne"
    result = crm.run(changed, **KEEP)
    assert crm.counts(result) == {"received": 1, "unchanged": 1}


def test_a_value_to_which_the_source_comes_too_is_no_edit_any_more(crm: Crm) -> None:
    _, first, _, _ = crm.columns
    crm.run(crm.row("1", "ann@example.com", "Ann", "Smith", "red"), **KEEP)
    crm.edit(0, **{first: "Anna"})
    crm.run(crm.row("1", "ann@example.com", "Anne", "Smith", "red"), **KEEP)
    crm.run(crm.row("1", "ann@example.com", "Anna", "Smith", "red"), **KEEP)
    result = crm.run(crm.row("1", "ann@example.com", "Annie", "Smith", "red"), **KEEP)
    assert crm.values()[0][1] == "Annie"
    assert crm.counts(result) == {"received": 1, "updated": 1}


def test_what_the_vendor_has_none_of_is_written(crm: Crm) -> None:
    _, first, last, _ = crm.columns
    crm.run(crm.row("1", "ann@example.com", "Ann", "Smith"), overwrite=EMPTY)
    crm.edit(0, **{first: ""})
    changed = crm.row("1", "ann@example.com", "Anne", "Smyth", "red")
    result = crm.run(changed, overwrite=EMPTY)
    assert crm.values() == [("ann@example.com", "Anne", "Smith", "red")]
    assert result.report["streams"][crm.stream]["kept"] == {last: 1}


def test_on_first_sight_of_a_record_what_it_has_is_taken_for_edited(crm: Crm) -> None:
    label = "color" if crm.vendor == "merlin" else "Color"
    crm.run(crm.row("0", "ann@example.com", "Ann", "Smith", "red"), sync="other")
    _, _, last, _ = crm.columns
    crm.edit(0, **{last: "smith"})
    row = crm.row("1", "Ann@Example.com", "Ann", "smith", "blue")
    result = crm.run(row, **KEEP)
    assert crm.values() == [("ann@example.com", "Ann", "smith", "red")]
    assert result.report["streams"][crm.stream]["kept"] == {label: 1}


def test_without_a_policy_no_record_is_read(crm: Crm) -> None:
    crm.run(*(crm.row(str(n), f"ann{n}@example.com", "Ann", str(n)) for n in range(3)))
    before = len(crm.sandbox.requests(crm.vendor))
    crm.run(*(crm.row(str(n), f"ann{n}@example.com", "Anne", str(n)) for n in range(3)))
    assert crm.reads(before) == 0
    before = len(crm.sandbox.requests(crm.vendor))
    crm.run(*(crm.row(str(n), f"ann{n}@example.com", "Anna", str(n)) for n in range(3)), **KEEP)
    assert crm.reads(before) == crm.reads_of_three


def test_records_that_are_not_sent_are_not_read(crm: Crm) -> None:
    rows = [crm.row(str(n), f"ann{n}@example.com", "Ann", str(n)) for n in range(3)]
    crm.run(*rows, **KEEP)
    before = len(crm.sandbox.requests(crm.vendor))
    result = crm.run(*rows, **KEEP)
    assert crm.counts(result) == {"received": 3, "unchanged": 3}
    assert crm.reads(before) == 0


def test_a_dry_run_counts_and_shows_what_it_would_keep(crm: Crm) -> None:
    _, first, last, _ = crm.columns
    crm.run(crm.row("1", "ann@example.com", "Ann", "Smith"), **KEEP)
    crm.edit(0, **{first: "Annabella Anna"})
    before = crm.records()
    changed = crm.row("1", "ann@example.com", "Anne", "Smyth")
    result = crm.run(changed, **KEEP, dry_run=True)
    assert crm.records() == before
    assert result.report["streams"][crm.stream]["kept"] == {first: 1}
    assert crm.counts(result)["updated"] == 1
    (example,) = result.report["streams"][crm.stream]["examples"]
    assert list(example["fields"]) == [last]
    result = crm.run(crm.row("1", "ann@example.com", "Anne", "Smith"), **KEEP, dry_run=True)
    assert crm.counts(result)["skipped"] == 1


def test_what_was_kept_is_in_the_table_and_on_the_page(crm: Crm) -> None:
    _, first, _, _ = crm.columns
    crm.run(crm.row("1", "ann@example.com", "Ann", "Smith"), **KEEP)
    crm.edit(0, **{first: "Annabella Anna"})
    result = crm.run(crm.row("1", "ann@example.com", "Anne", "Smith"), **KEEP)
    assert f"{crm.stream}: values at the vendor that overwrite kept: {first} 1" in result.stderr
    page = crm.plugin.path("report.html").read_text()
    assert f"<code>overwrite</code> kept: {first} (1)." in page
    assert "Anna…na" in page
    assert "Annabella" not in page + result.stderr


def test_a_full_resync_reads_again(crm: Crm) -> None:
    _, first, _, _ = crm.columns
    row = crm.row("1", "ann@example.com", "Ann", "Smith")
    crm.run(row, **KEEP)
    crm.edit(0, **{first: "Hannah"})
    assert crm.counts(crm.run(row, **KEEP)) == {"received": 1, "unchanged": 1}
    result = crm.run(row, **KEEP, full_resync=True)
    assert result.report["streams"][crm.stream]["kept"] == {first: 1}
    assert crm.values()[0][1] == "Hannah"


def test_clearing_is_a_write_too(crm: Crm) -> None:
    _, first, last, _ = crm.columns
    settings = {**KEEP, "nulls": "send"}
    crm.run(crm.row("1", "ann@example.com", "Ann", "Smith", "red"), **settings)
    crm.edit(0, **{first: "Hannah"})
    result = crm.run(crm.row("1", "ann@example.com", None, None, "red"), **settings)
    assert [value or None for value in crm.values()[0]] == [
        "ann@example.com",
        "Hannah",
        None,
        "red",
    ]
    assert result.report["streams"][crm.stream]["kept"] == {first: 1}
    assert last not in result.report["streams"][crm.stream]["kept"]


def test_a_delete_is_carried_out_whatever_was_edited(crm: Crm) -> None:
    _, first, _, _ = crm.columns
    crm.run(crm.row("1", "ann@example.com", "Ann", "Smith"), **KEEP)
    crm.edit(0, **{first: "Hannah"})
    gone = crm.row("1", "ann@example.com")
    gone["record"]["_sdc_deleted_at"] = "2026-01-01T00:00:00Z"
    assert crm.plugin.run([crm.schema_with("_sdc_deleted_at"), gone], **KEEP).exit_code == 0
    assert crm.records() == []


def test_mode_create_touches_and_reads_nothing_that_is_there(crm: Crm) -> None:
    crm.run(crm.row("1", "ann@example.com", "Ann", "Smith"), **KEEP)
    before = len(crm.sandbox.requests(crm.vendor))
    result = crm.run(crm.row("1", "ann@example.com", "Anne", "Smith"), **KEEP, mode="create")
    assert crm.counts(result) == {"received": 1, "skipped": 1}
    assert crm.reads(before) == 0


def test_what_another_sync_wrote_is_an_edit(crm: Crm) -> None:
    _, first, _, _ = crm.columns
    crm.run(crm.row("1", "ann@example.com", "Ann", "Smith"), **KEEP)
    other = crm.row("1", "ann@example.com", "Anna", "Smith")
    other["record"][crm.id] = crm.ids()[0]
    assert crm.plugin.run([crm.schema_with(crm.id), other], sync="other").exit_code == 0
    result = crm.run(crm.row("1", "ann@example.com", "Anne", "Smith"), **KEEP)
    assert crm.values()[0][1] == "Anna"
    assert result.report["streams"][crm.stream]["kept"] == {first: 1}
