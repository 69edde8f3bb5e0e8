"""The report as text: the table of counts, and the last lines of a run."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

from singer_http.operations import JSON
from singer_http.redaction import redact

COLUMNS = (
    "received", "merged", "unchanged", "created", "updated", "upserted", "deleted", "rejected",
    "skipped", "suppressed", "removed", "requests", "retries",
)  # fmt: skip
DELIVERED = ("created", "updated", "upserted", "deleted")
REASONS = 5
"""Reasons that the last lines name, at most."""
WIDTH = 160
"""Characters of such a line, at most."""
INCOMPLETE = (
    "Input incomplete: no STATE was received after the last record, so the source may have ended "
    "early."
)


def total(report: JSON, *names: str) -> int:
    """The sum of these counts over all streams."""
    return sum(stream.get(name, 0) for stream in report["streams"].values() for name in names)


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
    """The counts as a plain table, for people; below it the fields that `overwrite` kept."""
    lines = cells(report)
    parts = [align(lines, words=[i == 0 for i in range(len(lines[0]))])]
    for name, stream in report["streams"].items():
        if kept := kept_fields(stream):
            fields = ", ".join(f"{field} {number:,}" for field, number in kept.items())
            parts.append(f"{name}: values at the vendor that overwrite kept: {fields}")
    return "\n".join(parts)


def kept_fields(stream: JSON) -> dict[str, int]:
    """Field -> records whose value at the vendor `overwrite` kept; of earlier runs' records too."""
    counts: Counter[str] = Counter(stream.get("kept"))
    counts.update((stream.get("retried") or {}).get("kept"))
    return dict(counts.most_common())


def _plain(cell: str) -> str:
    """A name as it may stand in a line: an account has any characters, for a terminal too."""
    shown = "".join(char if char.isprintable() else "\N{REPLACEMENT CHARACTER}" for char in cell)
    return shown if len(shown) <= WIDTH else f"{shown[: WIDTH - 1]}…"


def align(lines: Sequence[Sequence[str]], *, words: Sequence[bool]) -> str:
    """Lines of cells as columns of one width each.

    Args:
        lines: all of one length.
        words: for each column, whether it stands on the left; numbers stand on the right.
    """
    lines = [[_plain(cell) for cell in line] for line in lines]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "\n".join(
        "  ".join(
            cell.ljust(width) if left else cell.rjust(width)
            for cell, width, left in zip(line, widths, words, strict=True)
        ).rstrip()
        for line in lines
    )


def ended_early(report: JSON) -> bool:
    """Whether the source may have stopped early: not if it still goes on, or nothing was read."""
    outcome = report["outcome"]
    came = outcome == "ok" or (outcome != "running" and report["streams"])
    return bool(came) and not report["input_complete"]


def closing_lines(report: JSON, summary: JSON | None, *, page: Path | None = None) -> list[str]:
    """What a run says last: reasons, files, and what is wrong with the run as a whole.

    Args:
        report: as stored.
        summary: of the rejects (see `summarise`); `None` if they are not known.
        page: where the page is; `None` if it was not written.
    """
    lines = list(reasons(report, summary)) if summary else []
    if summary and summary["total"] and summary["path"] and not report["dry_run"]:
        lines.append(f"Rejects file: {summary['path']}")
    if page is not None:
        lines.append(f"Report page: {page}")
    if look := look_further(report, summary):
        lines.append(look)
    if ended_early(report):
        lines.append(INCOMPLETE)
    if report["outcome"] != "ok":
        lines.append(f"The run {report['outcome']}: {report['error'] or 'no reason was given'}")
    return [redact(line) for line in lines]


def look_further(report: JSON, summary: JSON | None) -> str:
    """The commands that show more; empty where there is nothing to look for.

    A dry run is not in the database.
    """
    if report["dry_run"] or (report["outcome"] == "ok" and not (summary and summary["total"])):
        return ""
    return (
        f"Look further: {report['plugin']} --report {report['run']} (this run), --explain TEXT "
        "(one record)"
    )


def reasons(report: JSON, summary: JSON) -> Iterator[str]:
    """The most frequent reasons of the rejects, with their counts."""
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
