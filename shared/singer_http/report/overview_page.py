"""The overview as a page, in the look of a run's page: one file that loads nothing."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from singer_http.files import atomic_write
from singer_http.report.charts import duration
from singer_http.report.markup import document, fact_list, header, row, text, tiles
from singer_http.report.overview import CUT_OFF, OUTCOMES, LastRun, Overview, moment, reason_text

TOP = 20
"""Rows of the lists of the slowest and of those nearest to a limit."""
REASONS = 50


def write(path: Path, found: Overview) -> None:
    """Write the page, readable by its owner only.

    Raises:
        OSError: it cannot be written.
    """
    atomic_write(path, render(found).encode())


def render(found: Overview) -> str:
    """The whole page."""
    parts = [
        header("All accounts", _badges(found)),
        fact_list(
            {
                "Runs since": moment(found.since),
                "Made": moment(found.made_at),
                "Last runs": f"{len(found.last_runs):,}",
            }
        ),
        _totals(found),
        _bad("Need a person", [run for run in found.bad if run.needs_person]),
        _bad("Stopped or failed: a retry may help", [r for r in found.bad if not r.needs_person]),
        _cut_off(found),
        _reasons(found),
        _limits(found.last_runs),
        _slowest(found.last_runs),
        _all(found.last_runs),
        _absent(found),
    ]
    return document(f"All accounts, {moment(found.made_at)}", parts)


def _badges(found: Overview) -> list[tuple[str, str]]:
    badges = []
    if number := found.need_person:
        badges.append(("bad", f"{number:,} need{'s' if number == 1 else ''} a person"))
    if number := len(found.bad) - found.need_person:
        badges.append(("bad", f"{number:,} stopped or failed"))
    if number := found.outstanding:
        badges.append(("warn", f"{number:,} reject{'s' if number != 1 else ''}"))
    if not found.last_runs:
        badges.append(("warn", "no run"))
    return badges or [("good", "ok")]


def _totals(found: Overview) -> str:
    kinds = {"ok": "good", "stopped": "bad", "failed": "bad"}
    outcomes = found.outcomes
    numbers = [
        (outcome, number, kinds.get(outcome, "") if number else "")
        for outcome in OUTCOMES
        if (number := outcomes[outcome]) or outcome != "running"
    ]
    delivered = sum(run.delivered for run in found.last_runs)
    rejects = ("rejects", found.outstanding, "warn" if found.outstanding else "")
    return tiles([*numbers, ("delivered", delivered, ""), rejects])


def _bad(title: str, runs: Sequence[LastRun]) -> str:
    if not runs:
        return ""
    retry = any(run.retry_at for run in runs)
    head = ["account", "plugin", "sync", "outcome", "why", *(["not before"] if retry else [])]
    rows = (
        [run.account, run.plugin, run.sync, run.outcome, run.error]
        + ([run.retry_at or ""] if retry else [])
        for run in runs
    )
    return f"<h2>{title}: {len(runs):,}</h2>" + _table(head, rows, words=True)


def _cut_off(found: Overview) -> str:
    rows = ([run.account, run.plugin, run.sync, f"{run.received:,}"] for run in found.cut_off)
    head = ["account", "plugin", "sync", "received"]
    title = f"<h2>{CUT_OFF}: {len(found.cut_off):,}</h2>"
    return title + _table(head, rows) if found.cut_off else ""


def _reasons(found: Overview) -> str:
    if not found.reasons:
        return "<h2>Rejects</h2><p>Nothing is outstanding.</p>"
    rows = (
        [reason_text(reason), f"{count.accounts:,}", f"{count.rejects:,}"]
        for reason, count in found.reasons[:REASONS]
    )
    note = ""
    if rest := sum(count.rejects for _, count in found.reasons[REASONS:]):
        note = f"<p>{rest:,} more, for other reasons, are not shown here.</p>"
    return (
        f"<h2>Rejects: {found.outstanding:,} outstanding, by reason</h2>"
        + _table(["reason", "accounts", "rejects"], rows)
        + note
    )


def _limits(runs: Iterable[LastRun]) -> str:
    near = [(run, use) for run in runs if (use := run.nearest)]
    if not near:
        return ""
    near.sort(key=lambda pair: -pair[1].share)
    rows = (
        [
            *(run.account, run.plugin, run.sync, use.limit, f"{use.most:,.0f}"),
            f"{use.share:.0%}", f"{run.requests:,}", duration(run.seconds),
        ]
        for run, use in near[:TOP]
    )  # fmt: skip
    head = ["account", "plugin", "sync", "limit", "most in a window", "used", "requests", "took"]
    return (
        "<h2>Requests against each limit</h2>"
        '<p class="soft">Of each last run: the limit of which it used most. What other runs '
        "sent at the same time is not counted.</p>" + _table(head, rows)
    )


def _slowest(runs: Iterable[LastRun]) -> str:
    slow = sorted(runs, key=lambda run: -run.seconds)[:TOP]
    if not slow:
        return ""
    rows = (
        [
            *(run.account, run.plugin, run.sync, duration(run.seconds)),
            f"{run.received:,}", f"{run.requests:,}",
        ]
        for run in slow
    )  # fmt: skip
    head = ["account", "plugin", "sync", "took", "received", "requests"]
    return "<h2>The slowest</h2>" + _table(head, rows)


def _all(runs: Sequence[LastRun]) -> str:
    head = [
        "account", "plugin", "sync", "outcome", "started", "took", "received", "delivered",
        "unchanged", "rejected", "outstanding", "requests",
    ]  # fmt: skip
    rows = (
        [
            *(run.account, run.plugin, run.sync, run.outcome, run.started_at),
            duration(run.seconds),
            *(f"{n:,}" for n in (run.received, run.delivered, run.unchanged, run.rejected)),
            "" if run.outstanding is None else f"{run.outstanding:,}",
            f"{run.requests:,}",
        ]
        for run in runs
    )
    return _folded(f"All last runs: {len(runs):,}", _table(head, rows)) if runs else ""


def _absent(found: Overview) -> str:
    if not found.absent:
        return ""
    title = f"Delivered before, no run since {moment(found.since)}: {len(found.absent):,}"
    return _folded(title, _table(["account", "sync"], found.absent, words=True))


def _folded(title: str, content: str) -> str:
    return f"<details><summary>{text(title)}</summary>{content}</details>"


def _table(head: Sequence[str], rows: Iterable[Sequence[str]], *, words: bool = False) -> str:
    return (
        f'<div class="scroll"><table{" class=words" if words else ""}><thead>'
        + row("th", map(text, head))
        + "</thead><tbody>"
        + "".join(row("td", map(text, cells)) for cells in rows)
        + "</tbody></table></div>"
    )
