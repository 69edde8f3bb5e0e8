"""The report as a page: one file that loads nothing, with every value escaped or masked."""

from __future__ import annotations

import html
import os
import shlex
import tempfile
from importlib.resources import files
from pathlib import Path
from string import Template
from typing import TYPE_CHECKING, Any

from singer_http.http.rate_limit import parse_limits
from singer_http.operations import RejectionKind
from singer_http.report import charts as pictures
from singer_http.report.rejects_summary import Group, Summary, summarise

if TYPE_CHECKING:
    from collections.abc import Iterable

    from singer_http.report.counts import Report

WHY: dict[str, str] = {
    RejectionKind.INVALID: "found before sending",
    RejectionKind.REFUSED: "the vendor said no",
    RejectionKind.UNCERTAIN: "may have arrived",
    RejectionKind.HELD: "kept back for a later run",
}


def text(value: Any) -> str:
    """A value as HTML that shows it, whatever it holds."""
    # Characters that turn the direction of a line, or that no font has, would hide what is there.
    visible = "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in str(value))
    return html.escape(visible)


def write(
    path: Path, report: Report, rejects_path: Path, lines: Iterable[bytes], rate_limit: str
) -> None:
    """Write the page beside itself and rename it; readable by its owner only."""
    page = render(report, summarise(rejects_path, lines), rate_limit)
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(page)
    Path(name).replace(path)


def render(report: Report, summary: Summary, rate_limit: str) -> str:
    """The whole page."""
    template = files("singer_http.report").joinpath("page.html").read_text("utf-8")
    name = report.plugin if report.sync == "default" else f"{report.plugin} ({report.sync})"
    parts = [
        _head(report, name),
        _streams(report),
        _examples(report),
        _rate(report, rate_limit),
        _rejects(summary, would="would be " if report.dry_run else ""),
        _again(report, summary),
    ]
    return Template(template).substitute(
        title=text(f"{name}, {report.started_at}"), body="\n".join(filter(None, parts))
    )


def _head(report: Report, name: str) -> str:
    outcome = {"ok": "ok", "stopped": "stopped", "failed": "failed"}[report.outcome]
    badge = f'<span class="badge {outcome}">{outcome}</span>'
    if report.dry_run:
        badge += ' <span class="badge dry">dry run: nothing was sent</span>'
    error = f'<p class="error">{text(report.error)}</p>' if report.error else ""
    return (
        f"<h1>{text(name)} {badge}</h1>"
        f'<p class="soft">Version {text(report.version)} · began {text(report.started_at)} · took '
        f"{pictures.duration(report.timeline.seconds)}</p>{error}"
    )


def _streams(report: Report) -> str:
    parts = ["<h2>What came, and what became of it</h2>"]
    for name, stream in report.streams.items():
        parts.append(f"<h3>{text(name)}</h3>")
        counts = stream.counts
        if counts.received or not stream.retried.received:
            parts.append(pictures.flow(counts, text(f"Outcomes of {name}")))
        if stream.retried.received:
            parts.append('<p class="soft">Sent again, from earlier runs:</p>')
            parts.append(pictures.flow(stream.retried, text(f"Earlier records of {name}")))
        if counts.removed:
            would = "would be " if report.dry_run else ""
            parts.append(f"<p>{counts.removed:,} {would}removed by the mirror.</p>")
        if stream.filtered:
            parts.append(f'<p class="soft">{stream.filtered:,} left out by stream_maps.</p>')
        parts += [f"<p>{text(note)}</p>" for note in stream.notes]
    parts.append(f'<div class="scroll">{_table(report)}</div>')
    return "\n".join(parts)


def _table(report: Report) -> str:
    head, *rows = report.cells()
    return (
        "<table><thead>"
        + _row("th", map(text, head))
        + "</thead><tbody>"
        + "".join(_row("td", map(text, row)) for row in rows)
        + "</tbody></table>"
    )


def _row(tag: str, cells: Iterable[str]) -> str:
    return "<tr>" + "".join(f"<{tag}>{cell}</{tag}>" for cell in cells) + "</tr>"


def _examples(report: Report) -> str:
    parts = []
    for name, stream in report.streams.items():
        for example in stream.examples:
            fields = example["fields"]
            known = any("old" in change for change in fields.values())
            head = ["field", "now", "then"] if known else ["field", "value"]
            rows = "".join(
                _row(
                    "td",
                    [text(field), *(text(change[c]) for c in ("old", "new") if c in change)],
                )
                for field, change in fields.items()
            )
            title = f"{name}: would be {example['operation']}"
            if example["id"]:
                title += f" (id {example['id']})"
            table = f'<table class="words">{_row("th", head)}{rows}</table>' if rows else ""
            parts.append(f"<details open><summary>{text(title)}</summary>{table}</details>")
    return "<h2>Examples of what would go out</h2>" + "".join(parts) if parts else ""


def _rate(report: Report, rate_limit: str) -> str:
    if not report.timeline.buckets:
        return ""
    limits = parse_limits(rate_limit)
    shortest = min(limits, key=lambda limit: limit.seconds, default=None)
    title = "Requests over time"
    words = "No rate_limit is set."
    if shortest is not None:
        words = (
            f"rate_limit: {text(rate_limit)}. Each bar is the window of {shortest.seconds:g} s "
            "that ends there; the dashed line is the limit."
        )
    retries = sum(bucket.retries for bucket in report.timeline.buckets)
    if retries:
        words += f" {retries:,} of the requests were further tries."
    return f'<h2>{title}</h2>{pictures.rate(report.timeline, shortest)}<p class="soft">{words}</p>'


def _rejects(summary: Summary, *, would: str) -> str:
    if not summary.total:
        return f"<h2>Rejects</h2><p>Nothing {would or 'is '}outstanding.</p>"
    parts = [f"<h2>Rejects: {summary.total:,} {would}outstanding, by reason</h2>"]
    parts.append(
        '<p class="soft">Values are masked: a letter stands as a, a digit as 9. The line is that '
        "of the rejects file, which holds the records as they came.</p>"
    )
    parts += [_group(group) for group in summary.groups]
    if summary.unread:
        parts.append(f"<p>{summary.unread:,} more are not shown here.</p>")
    return "\n".join(parts)


def _group(group: Group) -> str:
    status = f", HTTP {group.status}" if group.status else ""
    kind = f"{group.kind}: {WHY.get(group.kind, '')}{status}"
    what = f"{text(group.source)}: {text(group.reason)}"
    number = f'<span class="count">{group.number:,}</span>'
    head = f'{number} {what} <span class="soft">({text(kind)})</span>'
    parts = [f"<details open><summary>{head}</summary>"]
    columns = list(dict.fromkeys(name for _, values in group.examples for name in values))
    rows = "".join(
        _row("td", [text(name), *(text(values.get(name, "")) for _, values in group.examples)])
        for name in columns
    )
    lines = _row("th", ["", *(f"line {line}" for line, _ in group.examples)])
    parts.append(f'<div class="scroll"><table class="words">{lines}{rows}</table></div>')
    return "".join(parts) + "</details>"


def _again(report: Report, summary: Summary) -> str:
    if not summary.total:
        return ""
    path = shlex.quote(str(summary.path))
    parts = ["<h2>Sending them again</h2>"]
    if report.dry_run:
        parts.append("<p>This was a dry run: the rejects file is as it was before.</p>")
    kinds = set(summary.kinds)
    if kinds - {RejectionKind.UNCERTAIN}:
        parts.append(
            "<p>Once the cause is mended, the next run sends them again by itself (setting "
            "<code>retry_rejects</code>), unless something newer came. To send them now:</p>"
            f"<pre>{text(report.plugin)} --config config.json --input {text(path)}</pre>"
            "<p>or, in a Meltano project:</p>"
            f"<pre>meltano invoke {text(report.plugin)} --input {text(path)}</pre>"
        )
    if RejectionKind.UNCERTAIN in kinds:
        parts.append(
            f"<p>{summary.kinds[RejectionKind.UNCERTAIN]:,} are uncertain: they may have arrived, so "
            "they are not sent again by themselves. Look at the vendor whether they are there; then run "
            "once with the setting <code>uncertain: resend</code> if they are not, or with "
            "<code>uncertain: drop</code> if they are.</p>"
        )
    return "\n".join(parts)
