"""The report as text: the table of counts, and the last lines of a run."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from singer_http.operations import JSON
from singer_http.redaction import redact

COLUMNS = (
    "received", "merged", "unchanged", "created", "updated", "upserted", "deleted", "rejected",
    "skipped", "suppressed", "removed", "requests", "retries",
)  # fmt: skip
REASONS = 5
"""Reasons that the last lines name, at most."""
WIDTH = 160
"""Characters of such a line, at most."""
INCOMPLETE = (
    "Input incomplete: no STATE was received after the last record, so the source may have ended "
    "early."
)


def cells(report: JSON) -> list[list[str]]:
    """A header and a line for each stream; columns that are 0 everywhere are left out."""
    streams = report["streams"]
    rows = list(streams.items())
    rows += [
        (f"{name} (retried)", stream["retried"])
        for name, stream in streams.items()
        if "retried" in stream
    ]
    columns = [
        column
        for column in COLUMNS
        if column == "received" or any(counts.get(column) for _, counts in rows)
    ]
    return [["stream", *columns]] + [
        [name, *(f"{counts.get(column, 0):,}" for column in columns)] for name, counts in rows
    ]


def table(report: JSON) -> str:
    """The counts as a plain table, for people."""
    lines = cells(report)
    widths = [max(len(line[i]) for line in lines) for i in range(len(lines[0]))]
    return "\n".join(
        "  ".join(
            cell.ljust(width) if i == 0 else cell.rjust(width)
            for i, (cell, width) in enumerate(zip(line, widths, strict=True))
        )
        for line in lines
    )


def closing_lines(report: JSON, summary: JSON, *, page: Path | None = None) -> list[str]:
    """What a run says last: reasons, files, and what is wrong with the run as a whole.

    Args:
        report: as stored.
        summary: of the rejects (see `summarise`).
        page: where the page is; `None` if it was not written.
    """
    lines = list(_reasons(report, summary))
    if summary["total"] and summary["path"] and not report["dry_run"]:
        lines.append(f"Rejects file: {summary['path']}")
    if page is not None:
        lines.append(f"Report page: {page}")
    if not report["input_complete"]:
        lines.append(INCOMPLETE)
    if report["outcome"] != "ok":
        lines.append(f"The run {report['outcome']}: {report['error'] or 'no reason was given'}")
    return [redact(line) for line in lines]


def _reasons(report: JSON, summary: JSON) -> Iterator[str]:
    total = summary["total"]
    if not total:
        return
    would = "would be" if report["dry_run"] else "is" if total == 1 else "are"
    yield f"{total:,} rejected record{'s' if total > 1 else ''} {would} outstanding:"
    groups = summary["groups"]
    width = len(f"{groups[0]['count']:,}") if groups else 0
    for group in groups[:REASONS]:
        status = f", HTTP {group['status']}" if group["status"] else ""
        text = f"{group['stream']}, {group['kind']}{status}: {group['reason']}"
        text = text if len(text) <= WIDTH else f"{text[: WIDTH - 1]}…"
        yield f"  {group['count']:>{width},}  {text}"
    rest = total - sum(group["count"] for group in groups[:REASONS])
    if rest:
        yield f"  {rest:>{width},}  for other reasons"
