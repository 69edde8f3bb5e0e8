"""The report as a page: one file that loads nothing, with every value escaped or masked.

A page is made from two JSON values alone, so that it can be made again from what is stored.
"""

from __future__ import annotations

import datetime
import shlex
from pathlib import Path

from singer_http.files import atomic_write
from singer_http.http.rate_limit import parse_limits
from singer_http.operations import JSON, RejectionKind
from singer_http.redaction import redact
from singer_http.report import charts, glossary
from singer_http.report.markup import document, fact_list, header, prose, row, text, tiles
from singer_http.report.table import DELIVERED, INCOMPLETE, cells, ended_early, kept_fields, total

OPEN = 3
"""Groups of rejects that are shown unfolded."""
MASKED = (
    "Values are masked: a letter is shown as a, a digit as 9. Keys are not masked, unless they are "
    "personal data. Line numbers are those of the rejects file, which holds the records unmasked."
)
NOT_KNOWN = "This run could not tell which records are outstanding."
CORRECTED = {RejectionKind.INVALID, RejectionKind.REFUSED}
"""Kinds that a person corrects."""


def write(path: Path, report: JSON, summary: JSON | None) -> None:
    """Write the page, readable by its owner only.

    Raises:
        OSError: it cannot be written.
    """
    atomic_write(path, render(report, summary).encode())


def render(report: JSON, summary: JSON | None) -> str:
    """The whole page.

    Args:
        report: as `Report.as_stored` gives it; the members that only it has may be missing.
        summary: of its rejects, as `summarise` gives it; `None` if they are not known.
    """
    parts = [
        _head(report, summary),
        _facts(report),
        _totals(report, summary),
        _streams(report),
        _examples(report),
        _rate(report),
        _rejects(report, summary),
        _next_steps(report, summary),
        _glossary(),
    ]
    return document(f"{_name(report)}, {report['started_at']}", parts)


def _name(report: JSON) -> str:
    sync = report["sync"]
    return report["plugin"] if sync == "default" else f"{report['plugin']} ({sync})"


# --- the run ------------------------------------------------------------------------------------


def _head(report: JSON, summary: JSON | None) -> str:
    outcome, rejects = report["outcome"], summary["total"] if summary else 0
    words = f"{rejects:,} reject{'s' if rejects != 1 else ''}"
    if outcome == "running":
        badges = [("dry", "under way")]
    elif outcome != "ok":
        badges = [("bad", outcome), *([("warn", words)] if rejects else [])]
    else:
        badges = [("warn", f"ok, with {words}")] if rejects else [("good", "ok")]
    if incomplete := ended_early(report):
        badges.append(("warn", "input may be incomplete"))
    if report["dry_run"]:
        badges.append(("dry", "dry run: nothing was sent"))
    if report.get("needs_person"):
        badges.append(("bad", "needs a person"))
    error = ""
    if report["error"]:
        error = f'<p class="message bad">{text(redact(report["error"]))}</p>'
    if incomplete:
        error += f'<p class="message warn">{text(INCOMPLETE)}</p>'
    if retry_at := report.get("retry_at"):
        error += f'<p class="message warn">A retry is useless before {text(retry_at)}.</p>'
    return header(_name(report), badges) + error


def _facts(report: JSON) -> str:
    sources = dict.fromkeys(
        source for found in report.get("sources", {}).values() for source in found
    )
    facts = {
        "Account": report["account"],
        "Sync": report["sync"],
        "Source stream" + ("s" if len(sources) > 1 else ""): ", ".join(sources) or "none came",
        "Mode": report["mode"],
        "Run": report["run"],
        "Started": report["started_at"],
        "Took": charts.duration(_seconds(report)),
        "Version": report["version"],
    }
    return fact_list(facts)


def _seconds(report: JSON) -> float:
    if timeline := report.get("timeline"):
        return float(timeline["seconds"])
    started, finished = (
        datetime.datetime.fromisoformat(report[name]) for name in ("started_at", "finished_at")
    )
    return (finished - started).total_seconds()


def _totals(report: JSON, summary: JSON | None) -> str:
    would = "would be " if report["dry_run"] else ""
    numbers: list[tuple[str, int, str]] = [
        ("received", total(report, "received"), ""),
        (f"{would}delivered", total(report, *DELIVERED), "good"),
        ("unchanged", total(report, "unchanged"), ""),
        ("rejected", rejected := total(report, "rejected"), "bad" if rejected else ""),
    ]
    if summary is not None:
        numbers.append(("outstanding", summary["total"], "warn" if summary["total"] else ""))
    return tiles(numbers)


# --- the streams --------------------------------------------------------------------------------


def _streams(report: JSON) -> str:
    parts = ["<h2>Outcomes of the records</h2>"]
    if not report["streams"]:
        return f"{parts[0]}<p>No stream was received.</p>"
    cards = [_stream(name, stream, report) for name, stream in report["streams"].items()]
    parts.append(f'<div class="cards">{"".join(cards)}</div>')
    parts.append(f'<div class="scroll">{_table(report)}</div>')
    return "\n".join(parts)


def _stream(name: str, stream: JSON, report: JSON) -> str:
    sources = [source for source in report.get("sources", {}).get(name, ()) if source != name]
    origin = f' <span class="soft">from {text(", ".join(sources))}</span>' if sources else ""
    parts = [f"<h3>{text(name)}{origin}</h3>"]
    retried = stream.get("retried")
    if stream["received"] or not retried:
        parts.append(charts.flow(stream, text(f"Outcomes of {name}")))
    if retried:
        parts.append('<p class="soft">From earlier runs, sent again:</p>')
        parts.append(charts.flow(retried, text(f"Outcomes of earlier records of {name}")))
    if removed := stream.get("removed"):
        would = "would be " if report["dry_run"] else ""
        parts.append(f"<p>{removed:,} {would}removed by the mirror.</p>")
    if filtered := stream.get("filtered"):
        parts.append(f'<p class="soft">{filtered:,} left out by stream_maps.</p>')
    parts.append(_kept(stream, report))
    parts += [f"<p>{text(note)}</p>" for note in stream.get("notes", ())]
    return f'<section class="card">{"".join(parts)}</section>'


def _kept(stream: JSON, report: JSON) -> str:
    """The values at the vendor that `overwrite` kept, with examples."""
    kept = kept_fields(stream)
    if not kept:
        return ""
    fields = ", ".join(f"{field} ({number:,})" for field, number in kept.items())
    would = "would keep" if report["dry_run"] else "kept"
    rows = "".join(
        row("td", [text(example[name]) for name in ("id", "field", "vendor", "source")])
        for example in stream.get("kept_examples", ())
    )
    head = row("th", ["id", "field", "vendor", "source"])
    return (
        f"<p>Values at the vendor that <code>overwrite</code> {would}: {text(fields)}.</p>"
        "<details><summary>Examples, masked</summary>"
        f'<div class="scroll"><table class="words">{head}{rows}</table></div></details>'
    )


def _table(report: JSON) -> str:
    head, *rows = cells(report)
    return (
        "<table><thead>"
        + row("th", map(text, head))
        + "</thead><tbody>"
        + "".join(row("td", map(text, cell)) for cell in rows)
        + "</tbody></table>"
    )


def _examples(report: JSON) -> str:
    parts = []
    for name, stream in report["streams"].items():
        for example in stream.get("examples", ()):
            fields = example["fields"]
            known = any("old" in change for change in fields.values())
            head = ["field", "now", "then"] if known else ["field", "value"]
            rows = "".join(
                row(
                    "td",
                    [text(field), *(text(change[c]) for c in ("old", "new") if c in change)],
                )
                for field, change in fields.items()
            )
            title = f"{name}: would be {example['operation']}"
            if example["id"]:
                title += f" (id {example['id']})"
            table = f'<table class="words">{row("th", head)}{rows}</table>' if rows else ""
            content = f'<div class="scroll">{table}</div>'
            parts.append(f"<details open><summary>{text(title)}</summary>{content}</details>")
    return "<h2>Examples of what would be sent</h2>" + "".join(parts) if parts else ""


def _rate(report: JSON) -> str:
    timeline = report.get("timeline")
    if not timeline or not timeline["requests"]:
        return ""
    spec = report.get("rate_limit", "")
    limit = min(parse_limits(spec), key=lambda limit: limit.seconds, default=None)
    words = "No rate_limit is set."
    if limit is not None:
        words = (
            f"rate_limit: {text(spec)}. Each bar is the window of {limit.seconds:g} s "
            "that ends there; the dashed line is the limit."
        )
    if retries := timeline["retries"]:
        words += f" {retries:,} of the requests were retries."
    picture = charts.rate(timeline, limit)
    return (
        f'<h2>Requests over time</h2><section class="card">{picture}'
        f'<p class="soft">{words}</p></section>'
    )


# --- the rejects --------------------------------------------------------------------------------


def _rejects(report: JSON, summary: JSON | None) -> str:
    if summary is None:
        return f"<h2>Rejects</h2><p>{NOT_KNOWN}</p>"
    would = "would be " if report["dry_run"] else ""
    total = summary["total"]
    if not total:
        return f"<h2>Rejects</h2><p>Nothing {would or 'is '}outstanding.</p>"
    parts = [
        f"<h2>Rejects: {total:,} {would}outstanding, by reason</h2>",
        f'<p class="soft">As at the end of this run. {MASKED}</p>',
    ]
    parts += [_group(group, unfolded=i < OPEN) for i, group in enumerate(summary["groups"])]
    if rest := summary["not_shown"]:
        parts.append(f"<p>{rest:,} more, for other reasons, are not shown here.</p>")
    return "\n".join(parts)


def _group(group: JSON, *, unfolded: bool) -> str:
    status = f", HTTP {group['status']}" if group["status"] else ""
    head = (
        f'<span class="count">{group["count"]:,}</span> '
        f'<span class="kind {text(group["kind"])}">{text(group["kind"])}{status}</span> '
        f"{text(group['stream'])}: {text(group['reason'])}"
    )
    examples = group["examples"]
    columns = list(dict.fromkeys(name for example in examples for name in example["values"]))
    rows = "".join(
        row("td", [text(name), *(text(example["values"].get(name, "")) for example in examples)])
        for name in columns
    )
    heads = row("th", ["", *(text(_title(example)) for example in examples)])
    return (
        f'<details class="group"{" open" if unfolded else ""}><summary>{head}</summary>'
        f'<div class="scroll"><table class="words">{heads}{rows}</table></div></details>'
    )


def _title(example: JSON) -> str:
    key, line = example["key"], example["line"]
    words = [*([f"key {key}"] if key else []), *([f"line {line}"] if line else [])]
    return ", ".join(words) or "a record"


def _next_steps(report: JSON, summary: JSON | None) -> str:
    if not summary or not summary["total"]:
        return ""
    parts = ["<h2>What to do next</h2>"]
    if report["dry_run"]:
        parts.append("<p>This was a dry run: the rejects file is as it was before.</p>")
    kinds = [kind for kind in glossary.REJECTIONS if kind in summary["kinds"]]
    parts += [_next_step(kind, report, summary) for kind in kinds]
    if summary["path"] and set(summary["kinds"]) & CORRECTED:
        parts.append(_resend(report, summary["path"]))
    if not report["dry_run"]:
        parts.append(_explain(text(report["plugin"])))
    return "\n".join(parts)


def _next_step(kind: str, report: JSON, summary: JSON) -> str:
    how = _resolve(report, summary) if kind == RejectionKind.UNCERTAIN else ""
    return (
        f'<h3><span class="kind {kind}">{kind}</span> {summary["kinds"][kind]:,}</h3>'
        f"<p>{prose(glossary.REJECTIONS[kind].next)}</p>{how}"
    )


def _resend(report: JSON, rejects: str) -> str:
    plugin, path = report["plugin"], Path(rejects)
    copy = path.with_name(f"{path.name.removesuffix('.rejects.jsonl')}.corrected.jsonl")
    source, target = shlex.quote(str(path)), shlex.quote(str(copy))
    return (
        "<h3>Correct and resend now</h3>"
        "<p>Correct a copy of the rejects file, and send the copy:</p>"
        f"<pre>cp {text(source)} {text(target)}\n"
        f"{text(plugin)} --config config.json --input {text(target)}</pre>"
        f"<p>In a Meltano project:</p><pre>meltano invoke {text(plugin)} --input {text(target)}"
        "</pre>"
    )


def _resolve(report: JSON, summary: JSON) -> str:
    plugin = text(report["plugin"])
    stream, key = _uncertain_one(summary)
    command = f"--resolve {text(shlex.quote(stream))} {text(shlex.quote(key))}"
    others = "Replace KEY with the key of the record. " if key == "KEY" else ""
    return (
        "<p>One record: <code>sent</code> if it arrived, <code>unsent</code> if it did not, "
        f"<code>drop</code> to give it up. {others}</p>"
        f"<pre>{plugin} --config config.json {command} sent</pre>"
        f"<p>In a Meltano project:</p><pre>meltano invoke {plugin} {command} sent</pre>"
        "<p>All of them: one run with the setting <code>uncertain: resend</code> if none arrived, "
        "or with <code>uncertain: drop</code> if all did.</p>"
    )


def _explain(plugin: str) -> str:
    return (
        "<h3>Check one record</h3>"
        "<p>By its key, email, phone or the vendor's id: when and by which run it was sent, and "
        "what is outstanding.</p>"
        f"<pre>{plugin} --config config.json --explain TEXT</pre>"
        f"<p>In a Meltano project:</p><pre>meltano invoke {plugin} --explain TEXT</pre>"
    )


def _uncertain_one(summary: JSON) -> tuple[str, str]:
    """Stream and key of an uncertain record, as an example of the command."""
    stream = "STREAM"
    for group in summary["groups"]:
        if group["kind"] == RejectionKind.UNCERTAIN:
            stream = group["stream"]
            for example in group["examples"]:
                if example["key"]:
                    return stream, example["key"]
    return stream, "KEY"


# --- words --------------------------------------------------------------------------------------


def _glossary() -> str:
    meanings = {kind: words.meaning for kind, words in glossary.REJECTIONS.items()}
    parts = [
        f"<h3>{title}</h3><dl>"
        + "".join(f"<dt>{name}</dt><dd>{prose(words)}</dd>" for name, words in terms.items())
        + "</dl>"
        for title, terms in (
            ("The run", glossary.RUN_OUTCOMES),
            ("Records", glossary.OUTCOMES),
            ("Rejections", meanings),
        )
    ]
    return (
        '<h2>Glossary</h2><details class="glossary"><summary>What the words mean</summary>'
        f"{''.join(parts)}</details>"
    )
