"""The page and the last lines, made from stored JSON: whatever a run did, nothing is clipped."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from singer_http.operations import OutcomeKind, RejectionKind
from singer_http.report import charts, glossary
from singer_http.report.page import render
from singer_http.report.rejects_summary import (
    DISTINCT,
    Rejected,
    general,
    plain_words,
    summarise,
)
from singer_http.report.table import closing_lines
from tests import browser, made_up

ROOT = Path(__file__).parents[3]


@pytest.mark.parametrize(("width", "dark"), [(1000, False), (500, False), (1000, True)])
def test_in_a_browser_nothing_is_clipped_or_faint(width: int, dark: bool, tmp_path: Path) -> None:
    pages = [render(*make()) for make in made_up.PAGES.values()]
    browser.looks_right(pages, tmp_path, width=width, dark=dark)


@pytest.mark.parametrize("name", made_up.PAGES)
def test_every_report_has_a_page_that_is_the_same_when_made_again(name: str) -> None:
    report, summary = made_up.PAGES[name]()
    kept = json.loads(json.dumps([report, summary]))
    assert render(*kept) == render(report, summary)
    assert report["run"] in render(report, summary)


def test_a_report_file_without_the_stored_extras_has_a_page_too() -> None:
    report, summary = made_up.usual()
    page = render(
        {k: v for k, v in report.items() if k not in {"timeline", "rate_limit", "sources"}}, summary
    )
    assert "1 min 30 s" in page
    assert "Requests over time" not in page


def test_what_is_stored_is_small() -> None:
    report, summary = made_up.crowded()
    assert len(json.dumps(report["timeline"])) < 2_000
    assert len(json.dumps(summary)) < 60_000


def test_what_was_under_way_when_the_run_ended_is_in_the_picture() -> None:
    picture = charts.flow({"received": 10, "created": 4}, "label")
    assert "6 not finished" in picture


def test_each_kind_of_reject_comes_with_what_to_do() -> None:
    page = render(*made_up.usual())
    for kind in RejectionKind:
        assert f'<span class="kind {kind}">{kind}</span>' in page.partition("What to do next")[2]
    assert "target-autoreach --config config.json --resolve people own_3 sent" in page
    assert "meltano invoke target-autoreach --input" in page
    assert "corrected.jsonl" in page


def test_the_glossary_has_all_words_and_the_document_has_the_same() -> None:
    final = {str(k) for k in OutcomeKind} - {"gone", "lost"}
    assert final <= set(glossary.OUTCOMES)
    assert set(charts.OUTCOMES) <= set(glossary.OUTCOMES)
    assert set(glossary.REJECTIONS) == {str(kind) for kind in RejectionKind}
    document = (ROOT / "docs" / "glossary.md").read_text("utf-8")
    rows = [
        *glossary.RUN_OUTCOMES.items(),
        *glossary.OUTCOMES.items(),
        *((kind, f"{words.meaning} | {words.next}") for kind, words in glossary.REJECTIONS.items()),
        *glossary.DIFFERENCES.items(),
    ]
    lines = [line for line in document.splitlines() if line.startswith("| `")]
    assert lines == [f"| `{name}` | {words} |" for name, words in rows]
    assert "glossary.md" in (ROOT / "docs" / "README.md").read_text("utf-8")


# --- the last lines -----------------------------------------------------------------------------


def test_the_last_lines_group_reasons_and_leave_the_rest_as_a_number() -> None:
    report, summary = made_up.stopped()
    lines = closing_lines(report, summary, page=Path("/srv/page.html"))
    assert lines[0] == "2,511 rejected records are outstanding:"
    assert len([line for line in lines if line.startswith("  ")]) == 5
    assert "Report page: /srv/page.html" in lines
    assert any("the source may have ended early" in line for line in lines)
    assert lines[-1].startswith("The run stopped: 2,511 of 5,000 records were rejected")


def test_the_last_lines_of_a_crowd_of_reasons_add_up() -> None:
    report, summary = made_up.crowded()
    lines = closing_lines(report, summary)
    numbers = [int(line.split()[0].replace(",", "")) for line in lines if line.startswith("  ")]
    assert sum(numbers) == 400
    assert lines[6].endswith("for other reasons")


def test_a_good_run_says_only_where_its_page_is() -> None:
    assert closing_lines(*made_up.clean(), page=Path("/p")) == ["Report page: /p"]


# --- the summary --------------------------------------------------------------------------------


def test_all_rejects_are_counted_however_many_reasons_there_are() -> None:
    number = DISTINCT + 500
    letters = "abcdefghijklmnopqrstuvwxyz"
    words = (f"{letters[i % 26]}{letters[i // 26 % 26]}{letters[i // 676]}" for i in range(number))
    summary = summarise(made_up.rejected(i, "refused", 400, f"no {w}") for i, w in enumerate(words))
    assert summary["total"] == number
    assert summary["kinds"] == {"refused": number}
    assert sum(group["count"] for group in summary["groups"]) + summary["not_shown"] == number


@pytest.mark.parametrize(
    "line",
    [
        b"no JSON",
        b"[]",
        b'{"type": "RECORD", "record": [1], "rejection": "x"}',
        b'{"type": "RECORD", "record": {"n": NaN}, "rejection": {"reason": "r"}}',
        b'{"type": "RECORD", "record": {"\\ud800": "\\udfff"}, "rejection": {"reason": "\\ud800"}}',
        b'{"type": "RECORD", "record": {"n": 1' + b"0" * 5000 + b"}}",
    ],
)
def test_a_strange_line_is_counted_and_shown(line: bytes) -> None:
    summary = summarise([Rejected(line, "people", "1", 1)])
    assert summary["total"] == 1
    json.dumps(summary).encode()
    render(made_up.usual()[0], summary).encode()


def test_a_key_that_looks_personal_is_not_shown_whoever_passes_it_on() -> None:
    for key in ("ann@example.com", "+15551234567", '["x", "ann@example.com"]'):
        found = summarise([Rejected(made_up.rejected(1, "invalid", None, "r").line, "people", key)])
        assert found["groups"][0]["examples"][0]["key"] is None


def test_numbers_in_a_record_are_exact_when_taken_out_of_a_reason() -> None:
    line = (
        b'{"type": "RECORD", "record": {"id": 9007199254740993.0},'
        b' "rejection": {"kind": "invalid", "reason": "9007199254740993.0 is not known"}}'
    )
    assert summarise([Rejected(line, "people")])["groups"][0]["reason"] == "… is not known"


@pytest.mark.parametrize(
    ("reason", "words"),
    [
        (
            "it broke: ('Connection aborted.', RemoteDisconnected('Remote end closed connection'))",
            "it broke: Connection aborted: Remote end closed connection",
        ),
        (
            "('Connection aborted.', ConnectionResetError(104, 'Connection reset by peer'))",
            "Connection aborted: Connection reset by peer",
        ),
        ("<urllib3.connection.HTTPSConnection object at 0x7f1>: refused", "refused"),
        (
            "IncompleteRead(12 bytes read, 3 more expected)",
            "IncompleteRead: 12 bytes read, 3 more expected",
        ),
        ("set keys (a list), or max_rejects (50%)", "set keys (a list), or max_rejects (50%)"),
        ("John Smith (Acme 'West') is a duplicate", "John Smith (Acme 'West') is a duplicate"),
    ],
)
def test_a_reason_is_put_into_plain_words(reason: str, words: str) -> None:
    assert plain_words(reason) == words


@pytest.mark.parametrize(
    ("reason", "words"),
    [
        (
            "the record with the key Ann Oakley has the same identity at the vendor",
            "the record with the key … has the same identity at the vendor",
        ),
        (
            "the vendor merged it: the record with the key own_7 is already kX7 at the vendor",
            "the vendor merged it: the record with the key … is already … at the vendor",
        ),
        (
            "the record with the key own 7 is already kX7 at the vendor, if it arrived",
            "the record with the key … is already … at the vendor, if it arrived",
        ),
    ],
)
def test_a_reason_names_no_other_record_so_that_all_such_are_one_group(
    reason: str, words: str
) -> None:
    assert general(reason, {}) == words


def test_a_time_of_day_stays_in_a_reason() -> None:
    reason = "due within quiet_hours (21:00-08:00 America/Chicago): kept for later"
    assert general(reason, {}) == reason
    assert general("call 555-123-4567 now", {}) == "call … now"
