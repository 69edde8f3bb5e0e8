"""What a run leaves to look at: the page, and the line on a terminal."""

from __future__ import annotations

import json
import os
import pty
import re
import stat
import subprocess
import time
from html.parser import HTMLParser
from pathlib import Path

import pytest
from typing_extensions import override

from singer_http.report.timeline import BUCKETS, Timeline, in_windows
from singer_sandbox import Sandbox
from tests import browser
from tests.front_door import JSON, Plugin, record, schema, state

HOSTILE = "<script>alert(1)</script>"
COLUMNS = ("id", "email", "first_name", HOSTILE)


def mixed(number: int) -> list[JSON]:
    """People of whom every fifth is refused by the vendor."""
    return [
        schema("people", COLUMNS),
        *(
            record(
                "people",
                id=str(i),
                email="no-mail" if i % 5 == 0 else f"ann.oakley{i}@example.org",
                first_name=HOSTILE,
                **{HOSTILE: "x"},
            )
            for i in range(number)
        ),
    ]


class Reader(HTMLParser):
    """The tags of a page, and its text."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.addresses: list[str] = []
        self.words = ""
        self.feed(html)

    @override
    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.addresses += [v or "" for name, v in attrs if name in ("src", "href", "srcset")]

    @override
    def handle_data(self, data: str) -> None:
        self.words += data


def test_the_page_shows_what_became_of_the_records_and_why(people: Plugin) -> None:
    result = people.run([*mixed(40), record("people", id="1", email="new@example.org")])
    assert result.exit_code == 0
    path = people.path("report.html")
    page = Reader(path.read_text())
    assert {"svg", "table", "details"} <= page.tags
    assert "41received" in page.words
    assert "32 upserted" in page.words
    assert "1 merged" in page.words
    assert "8 rejected" in page.words
    assert "8 outstanding, by reason" in page.words
    assert f"--input {people.path('corrected.jsonl')}" in page.words
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_the_page_loads_nothing_runs_nothing_and_masks_values(people: Plugin) -> None:
    people.run(mixed(10), unknown_fields="send")
    html = people.path("report.html").read_text()
    page = Reader(html)
    assert "script" not in page.tags
    assert page.addresses == []
    assert HOSTILE in page.words
    assert "&lt;script&gt;" in html
    assert "no-mail" not in page.words
    assert "ann.oakley" not in page.words


def test_a_line_of_the_page_is_the_line_of_the_rejects_file(people: Plugin) -> None:
    people.run(mixed(10))
    words = Reader(people.path("report.html").read_text()).words
    lines = people.path("rejects.jsonl").read_text().splitlines()
    rejected = [n for n, line in enumerate(lines, 1) if '"RECORD"' in line]
    assert rejected
    assert all(f"line {number}" in words for number in rejected)


def test_values_are_taken_out_of_the_reasons(people: Plugin) -> None:
    moment = {"type": "string", "format": "date-time"}
    columns = {"id": {"type": "string"}, "previous_contact_date": moment}
    moments = (f"Ann on day {i}" for i in range(5))
    records = [record("people", id=m, previous_contact_date=m) for m in moments]
    people.run([schema("people", columns), *records])
    words = Reader(people.path("report.html").read_text()).words
    assert "Ann on day" not in words
    assert "previous_contact_date" in words
    # One group, whatever the values are.
    assert people.path("report.html").read_text().count('class="group"') == 1


def test_uncertain_rejects_come_with_what_to_do(people: Plugin, sandbox: Sandbox) -> None:
    sandbox.fault(vendor="merlin", path="message", when="after", drop=True)
    sms = Plugin("target-actionapi", sandbox, people.directory, first_run=True)
    message = record("sms", id="1", number="+13125550123", text="Hi")
    sms.run([schema("sms", ("id", "number", "text")), message])
    words = Reader(sms.path("report.html").read_text()).words
    assert "uncertain: resend" in words
    assert "uncertain: drop" in words
    assert "--resolve sms 1 sent" in words
    assert "3125550123" not in words


def test_a_stopped_run_says_why_on_its_page(people: Plugin) -> None:
    result = people.run(mixed(30), max_rejects="0")
    assert result.exit_code == 1
    words = Reader(people.path("report.html").read_text()).words
    assert "stopped" in words
    assert "max_rejects" in words


MEMBERS = {"run", "plugin", "version", "account", "sync", "mode", "started_at", "finished_at",
           "dry_run", "outcome", "error", "needs_person", "retry_at", "input_complete",
           "streams"}  # fmt: skip
COUNTS = {"received", "merged", "unchanged", "created", "updated", "upserted", "deleted",
          "rejected", "skipped", "removed", "requests", "retries", "seconds", "kept"}  # fmt: skip


def test_the_report_has_the_members_that_pipelines_read(people: Plugin) -> None:
    report = people.run(mixed(3), sync="nightly", account="client-7").report
    assert set(report) == MEMBERS
    assert set(report["streams"]["people"]) >= COUNTS
    assert report["streams"]["people"]["kept"] == {}
    assert (report["account"], report["sync"], report["mode"]) == ("client-7", "nightly", "upsert")


def test_run_ids_sort_by_time_and_never_repeat(people: Plugin) -> None:
    runs = [people.run(mixed(1)).report for _ in range(2)]
    first, second = (run["run"] for run in runs)
    assert re.fullmatch(r"\d{8}T\d{6}Z-[0-9a-f]{6}", first)
    assert first[:16] <= second[:16]
    assert first != second
    assert first.startswith(runs[0]["started_at"].replace("-", "").replace(":", ""))


@pytest.mark.parametrize(
    ("messages", "complete"),
    [
        ([*mixed(2), state(1)], True),
        ([*mixed(2), state(1), record("people", id="x", email="x@example.com")], False),
        (mixed(2), False),
        ([state(1)], True),
        ([], False),
    ],
    ids=["STATE last", "a record after it", "no STATE", "STATE only", "nothing"],
)
def test_an_input_that_ends_after_its_last_state_is_reported(
    people: Plugin, messages: list[JSON], complete: bool
) -> None:
    result = people.run(messages)
    assert result.report["input_complete"] is complete
    assert ("the source may have ended early" in result.stderr) is not complete


def test_the_last_lines_name_reasons_files_and_page(people: Plugin) -> None:
    result = people.run([*mixed(10), state(1)])
    table, _, last = result.stderr.partition("2 rejected records are outstanding:\n")
    assert "received" in table
    reason, *paths = last.splitlines()
    assert reason.startswith("  2  people, ")
    assert "no-mail" not in reason
    run = result.report["run"]
    assert paths == [
        f"Rejects file: {people.path('rejects.jsonl')}",
        f"Report page: {people.path('report.html')}",
        f"Look further: {people.name} --report {run} (this run), --explain TEXT (one record)",
    ]


def test_the_last_lines_of_a_stopped_run_say_why(people: Plugin) -> None:
    result = people.run(mixed(30), max_rejects="0")
    assert f"The run stopped: {result.report['error']}" in result.stderr


def test_the_page_says_whose_run_it_was(people: Plugin) -> None:
    report = people.run(mixed(3), sync="nightly", account="client-7").report
    words = Reader(people.path("report.html", "nightly").read_text()).words
    for value in ("client-7", "nightly", "upsert", report["run"], report["version"]):
        assert value in words


def test_the_page_names_the_source_stream(people: Plugin) -> None:
    messages = [
        schema("public-people", ("id", "email")),
        record("public-people", id="1", email="a@example.com"),
    ]
    people.run(messages)
    assert "public-people" in Reader(people.path("report.html").read_text()).words


def test_a_run_with_rejects_is_not_plain_green(people: Plugin) -> None:
    people.run([*mixed(5), state(1)])
    html = people.path("report.html").read_text()
    assert '<span class="badge warn">ok, with 1 reject</span>' in html
    assert "badge good" not in html


def test_keys_stand_in_the_clear_where_they_are_not_personal(people: Plugin) -> None:
    people.run([schema("people", ("id", "email")), record("people", id="own_77", email="no mail")])
    assert "key own_77" in Reader(people.path("report.html").read_text()).words


def test_personal_keys_are_masked(sandbox: Sandbox, tmp_path: Path) -> None:
    contacts = Plugin("target-reisoftware", sandbox, tmp_path)
    messages = [
        schema("contacts", ("email", "phone"), ("email",)),
        record("contacts", email="ann oakley"),
    ]
    contacts.run([*messages, record("contacts", email="+15551234567")])
    words = Reader(contacts.path("report.html").read_text()).words
    assert "key " not in words.partition("What to do next")[0].partition("A line is that")[2]
    assert "ann oakley" not in words
    assert "5551234567" not in words


def test_a_reason_is_not_python(people: Plugin, sandbox: Sandbox) -> None:
    sandbox.fault(vendor="merlin", path="message", when="after", drop=True)
    sms = Plugin("target-actionapi", sandbox, people.directory, first_run=True)
    message = record("sms", id="1", number="+13125550123", text="Hi")
    result = sms.run([schema("sms", ("id", "number", "text")), message])
    words = Reader(sms.path("report.html").read_text()).words
    last = result.stderr.partition("outstanding:")[2]
    assert result.rejects[0]["rejection"]["kind"] == "uncertain"
    for python in ("RemoteDisconnected(", "('Connection", "')"):
        assert python not in words
        assert python not in last


def test_nothing_is_left_behind_where_the_page_cannot_be_written(people: Plugin) -> None:
    people.work_dir.mkdir()
    (people.path("report.html") / "in the way").mkdir(parents=True)
    result = people.run(mixed(5))
    assert result.exit_code == 0
    assert "page could not be written" in result.stderr
    assert "Report page:" not in result.stderr
    assert not list(people.work_dir.glob(".target-autoreach.report*"))


def test_a_named_sync_has_a_page_of_its_own(people: Plugin) -> None:
    people.run(mixed(1), sync="nightly")
    assert people.path("report.html", "nightly").exists()
    assert not people.path("report.html").exists()


def test_a_browser_shows_the_page_and_asks_nobody(people: Plugin, tmp_path: Path) -> None:
    browser.find()
    people.run(mixed(60), rate_limit="40/2s")
    page = browser.look(people.path("report.html").as_uri(), tmp_path)
    assert page.asked == []
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page.dom
    assert "<script" not in page.dom
    assert page.picture.stat().st_size > 20_000


def test_the_proxy_would_notice_what_a_page_loads(tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    page.write_text('<img src="http://elsewhere.example/pixel.png">')
    assert any("elsewhere.example" in line for line in browser.look(page.as_uri(), tmp_path).asked)


def test_a_browser_shows_the_sandbox_as_records_come(people: Plugin, tmp_path: Path) -> None:
    browser.find()
    people.run(mixed(10))
    page = browser.look(people.sandbox.url, tmp_path)
    assert page.asked == []
    assert "people" in page.dom
    assert "PATCH" in page.dom
    assert HOSTILE not in page.dom
    assert "&lt;script&gt;alert(1)" in page.dom
    assert page.picture.stat().st_size > 20_000


def test_progress_shows_on_a_terminal_and_leaves_log_lines_whole(people: Plugin) -> None:
    out = on_terminal(people, mixed(60), rate_limit="20/s")
    assert "60 records" in out
    assert "(limit 20/s)" in out
    assert "rejected" in out
    assert "\x1b[Kstream  received" in out.replace("\r", "")


def test_nothing_of_progress_where_stderr_is_no_terminal(people: Plugin) -> None:
    result = people.run(mixed(60), rate_limit="20/s")
    assert "\x1b" not in result.stderr
    assert "\r" not in result.stderr


def test_the_timeline_stays_small_and_keeps_every_request() -> None:
    now = 0.0
    timeline = Timeline(clock=lambda: now)
    for second in range(10 * BUCKETS):
        now = float(second)
        timeline.note(second % 2 == 0)
    assert len(timeline.buckets) <= BUCKETS
    assert sum(bucket.requests for bucket in timeline.buckets) == 10 * BUCKETS
    assert sum(bucket.retries for bucket in timeline.buckets) == 5 * BUCKETS
    found = timeline.as_dict()
    assert max(in_windows(found["requests"], found["width"], found["width"])) == timeline.width


def on_terminal(plugin: Plugin, messages: list[JSON], **config: object) -> str:
    """Run with stderr on a terminal; what stands there."""
    settings, lines = plugin.directory / "config.json", plugin.directory / "input.jsonl"
    settings.write_text(json.dumps({**plugin.config, **config}))
    lines.write_text("".join(json.dumps(message) + "\n" for message in messages))
    mine, theirs = pty.openpty()
    process = subprocess.Popen(
        [*plugin.command, "--config", str(settings), "--input", str(lines)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=theirs,
        cwd=plugin.directory,
    )
    os.close(theirs)
    seen, end = b"", time.monotonic() + 60
    while time.monotonic() < end:
        try:
            data = os.read(mine, 65536)
        except OSError:  # the other end is closed
            break
        if not data:
            break
        seen += data
    process.wait(timeout=10)
    os.close(mine)
    assert process.returncode == 0, seen.decode()
    return seen.decode()
