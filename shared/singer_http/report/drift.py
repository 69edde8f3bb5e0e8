"""What `--verify` found: a line for each difference, a page, and what the screen says."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path

from singer_http.files import atomic_write
from singer_http.operations import JSON
from singer_http.report.glossary import DIFFERENCES
from singer_http.report.markup import document, fact_list, header, prose, row, text, tiles
from singer_http.report.table import align

SHOWN = 50
"""Differences of each kind and stream on the page, at most."""
FIELDS = 200
"""Fields whose edits are counted one by one, at most."""
MASKED = "Values are masked: a letter is shown as a, a digit as 9."
COLUMNS = {"edited": "at the vendor now", "merged": "into"}
"""Kind of difference -> what a column of the page shows of it."""
DELIVERED = "What was delivered is known as a hash only, so it is not shown."


@dataclass(slots=True)
class StreamDrift:
    """What was found in one stream."""

    delivered: int = 0
    same: int = 0
    marked_before: int = 0
    """Marked by an earlier `--repair`; no run has sent them since."""
    skipped: dict[str, int] = field(default_factory=dict)
    """Why records cannot be compared -> number."""
    kinds: Counter[str] = field(default_factory=Counter)
    """Kind of difference -> records."""
    fields: Counter[str] = field(default_factory=Counter)
    """Field -> records in which it was edited."""
    examples: list[JSON] = field(default_factory=list)
    repaired: list[str] = field(default_factory=list)
    """What `--repair` says."""

    def take(self, difference: JSON) -> None:
        """Count a difference."""
        kind = difference["difference"]
        self.kinds[kind] += 1
        for name in difference.get("fields", ()):
            if name in self.fields or len(self.fields) < FIELDS:
                self.fields[name] += 1
        if self.kinds[kind] <= SHOWN:
            self.examples.append(difference)

    @property
    def differences(self) -> int:
        """Records that the vendor has not as they were delivered."""
        return sum(self.kinds.values())


@dataclass(slots=True)
class Drift:
    """What a comparison found."""

    facts: dict[str, str]
    """What it was about: name -> text."""
    plugin: str
    streams: dict[str, StreamDrift] = field(default_factory=dict)
    unreadable: dict[str, str] = field(default_factory=dict)
    """Stream -> why it cannot be read back."""
    error: str | None = None
    """What ended it before all was compared."""

    @property
    def differences(self) -> int:
        """Of all streams."""
        return sum(stream.differences for stream in self.streams.values())


def write_lines(path: Path, lines: Iterable[JSON]) -> None:
    """Write one JSON line for each difference, readable by its owner only; none: no file.

    Raises:
        OSError: it cannot be written.
    """
    found = (json.dumps(line).encode() + b"\n" for line in lines)
    first = next(found, None)
    if first is None:
        path.unlink(missing_ok=True)
        return
    atomic_write(path, chain([first], found))


# --- the screen ---------------------------------------------------------------------------------


def cells(drift: Drift) -> list[list[str]]:
    """A header, and a line for each stream."""
    head = ["stream", "delivered", "the same", *DIFFERENCES]
    marked = any(stream.marked_before for stream in drift.streams.values())
    skipped = any(stream.skipped for stream in drift.streams.values())
    head += ["marked before"] * marked + ["not compared"] * skipped
    rows = []
    for name, stream in drift.streams.items():
        numbers = [stream.delivered, stream.same, *(stream.kinds[kind] for kind in DIFFERENCES)]
        numbers += [stream.marked_before] * marked + [sum(stream.skipped.values())] * skipped
        rows.append([name, *(f"{number:,}" for number in numbers)])
    return [head, *rows]


def notes(name: str, stream: StreamDrift) -> Iterator[str]:
    """What there is to say of a stream besides its counts."""
    if stream.fields:
        fields = ", ".join(f"{field} ({n:,})" for field, n in stream.fields.most_common())
        yield f"{name}: edited fields: {fields}"
    for reason, number in sorted(stream.skipped.items()):
        yield f"{name}: {number:,} not compared: {reason}"
    if stream.marked_before:
        yield (
            f"{name}: {stream.marked_before:,} marked by an earlier --repair: no run has sent them "
            "since"
        )
    yield from (f"{name}: {line}" for line in stream.repaired)


def screen(drift: Drift, *, file: Path | None, page: Path | None) -> list[str]:
    """The lines that a person reads at the end."""
    lines = []
    if drift.error:
        lines.append(f"{drift.error}. The same command goes on where this one ended. Until then:")
    if drift.streams:
        table = cells(drift)
        lines.append(align(table, words=[i == 0 for i in range(len(table[0]))]))
    for name, stream in drift.streams.items():
        lines += notes(name, stream)
    lines += [f"{name}: not compared: {why}" for name, why in drift.unreadable.items()]
    if not drift.streams and not drift.unreadable:
        lines.append("This sync has delivered nothing into this account yet.")
    if file is not None:
        lines.append(f"Differences: {file}")
    if page is not None:
        lines.append(f"Page: {page}")
    return lines


# --- the page -----------------------------------------------------------------------------------


def write_page(path: Path, drift: Drift, file: Path | None) -> None:
    """Write the page, readable by its owner only.

    Raises:
        OSError: it cannot be written.
    """
    atomic_write(path, render(drift, file).encode())


def render(drift: Drift, file: Path | None) -> str:
    """The whole page.

    Args:
        drift: what was found.
        file: with one line for each difference; `None` if there is none.
    """
    parts = [
        _head(drift),
        fact_list(drift.facts),
        _tiles(drift),
        _table(drift),
        *(_stream(name, stream) for name, stream in drift.streams.items()),
        _next(drift, file),
        _words(),
    ]
    return document(f"{drift.plugin}: compared with the vendor", parts)


def _head(drift: Drift) -> str:
    number = drift.differences
    badges = []
    if drift.error:
        badges.append(("bad", "not finished"))
    if number:
        badges.append(("warn", f"{number:,} difference{'s' if number > 1 else ''}"))
    elif not drift.error:
        badges.append(("good", "no difference"))
    error = f'<p class="message bad">{text(drift.error)}</p>' if drift.error else ""
    return header(f"{drift.plugin}: delivered, and at the vendor now", badges) + error


def _tiles(drift: Drift) -> str:
    streams = drift.streams.values()
    numbers = [
        ("delivered", sum(stream.delivered for stream in streams), ""),
        ("the same", sum(stream.same for stream in streams), "good"),
    ]
    for kind in DIFFERENCES:
        number = sum(stream.kinds[kind] for stream in streams)
        numbers.append((kind, number, "warn" if number else ""))
    return tiles(numbers)


def _table(drift: Drift) -> str:
    head, *rows = cells(drift)
    parts = ["<h2>Streams</h2>"]
    if rows:
        body = "".join(row("td", map(text, line)) for line in rows)
        parts.append(
            f'<div class="scroll"><table><thead>{row("th", map(text, head))}</thead>'
            f"<tbody>{body}</tbody></table></div>"
        )
    for name, stream in drift.streams.items():
        parts += [f"<p>{prose(line)}</p>" for line in notes(name, stream)]
    for name, why in drift.unreadable.items():
        parts.append(f'<p class="soft">{text(name)}: not compared: {text(why)}</p>')
    return "\n".join(parts)


def _stream(name: str, stream: StreamDrift) -> str:
    if not stream.examples:
        return ""
    parts = [f'<h2>Differences in {text(name)}</h2><p class="soft">{MASKED} {DELIVERED}</p>']
    for kind in DIFFERENCES:
        examples = [one for one in stream.examples if one["difference"] == kind]
        if not examples:
            continue
        rows = "".join(
            row("td", map(text, [one["key"], one["id"] or "", _what(one), one["delivered_at"]]))
            for one in examples
        )
        head = row("th", ["key", "id at the vendor", COLUMNS.get(kind, ""), "delivered"])
        number = stream.kinds[kind]
        more = number - len(examples)
        rest = f'<p class="soft">and {more:,} more</p>' if more else ""
        parts.append(
            f'<details open><summary><span class="count">{number:,}</span> {kind}</summary>'
            f'<div class="scroll"><table class="words">{head}{rows}</table></div>{rest}</details>'
        )
    return "".join(parts)


def _what(difference: JSON) -> str:
    if "fields" in difference:
        return ", ".join(f"{name}: {value}" for name, value in difference["fields"].items())
    return str(difference.get("into") or "")


def _next(drift: Drift, file: Path | None) -> str:
    parts = []
    if file is not None:
        parts.append(f"<p>All differences, one in a line:</p><pre>{text(file)}</pre>")
    if drift.error:
        parts.append("<p>The same command goes on where this one ended.</p>")
    elif drift.differences and not any(stream.repaired for stream in drift.streams.values()):
        plugin = text(drift.plugin)
        parts.append(
            "<p>Mark these records, so that the next run that receives them sends them although "
            f"they have not changed:</p><pre>{plugin} --config config.json --verify --repair</pre>"
        )
    return "<h2>What to do next</h2>" + "".join(parts) if parts else ""


def _words() -> str:
    items = "".join(f"<dt>{kind}</dt><dd>{text(words)}</dd>" for kind, words in DIFFERENCES.items())
    return f'<details class="glossary"><summary>Words</summary><dl>{items}</dl></details>'
