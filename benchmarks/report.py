"""RESULTS.md: the figures as they came, and how they stand against what is wanted."""

from __future__ import annotations

import os
import platform
import statistics
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import psutil

from benchmarks.environments import versions
from benchmarks.measure import Results
from benchmarks.pipelines import DBT_PLAN, FULL, VIEW_PLAN, Runs
from benchmarks.requests import ACCOUNT, LIMIT, WINDOW, Row

if TYPE_CHECKING:
    from benchmarks.sections import Size


USED = 0.95
"""Share of a vendor's limit that has to be used."""


class Report:
    """Collects tables and verdicts."""

    def __init__(self, size: Size, missing: Mapping[str, str]) -> None:
        self._size = size
        self._missing = missing
        self._tables: list[str] = []
        self._verdicts: list[tuple[str, str, str, bool]] = []
        self._capacity: tuple[float, float] | None = None
        self._fastest = {"read": 0.0, "written": 0.0}
        self._began = datetime.now(UTC)
        self._load = os.getloadavg()[0]

    # --- what the sections say ------------------------------------------------------------------

    def verdict(self, what: str, figure: str, wanted: str, reached: bool) -> None:
        self._verdicts.append((what, figure, wanted, reached))

    def at_least(self, what: str, results: Results, ours: str, other: str, wanted: float) -> None:
        """Ours has to be so many times as fast as the other."""
        if ours not in results.samples or other not in results.samples:
            self.verdict(what, "not measured", f"{wanted:g}", False)
            return
        ratio = results.ratio(ours, other)
        self.verdict(what, f"{ratio:.2f}", f"{wanted:g} or more", ratio >= wanted)

    def server(self, reads: float, writes: float) -> None:
        self._capacity = reads, writes

    def table(self, results: Results, base: str) -> None:
        lines = [
            f"## {results.title}",
            "",
            f"{results.records:,} records, {_rounds(self._size.rounds)}. Seconds of whole",
            f"processes: median (least to most). Ratio: times as fast as {base}, the median of the",
            "rounds'.",
            "",
            "| | seconds | records/s | CPU s | peak MB | ratio |",
            "| --- | --- | --- | --- | --- | --- |",
        ]
        for name, samples in results.samples.items():
            walls = [sample.wall for sample in samples]
            wall = statistics.median(walls)
            ratio = f"{results.ratio(name, base):.2f}" if base in results.samples else ""
            lines.append(
                f"| {name} | {wall:.2f} ({min(walls):.2f} to {max(walls):.2f}) "
                f"| {results.records / wall:,.0f} | {results.median(name, 'cpu'):.2f} "
                f"| {results.median(name, 'rss'):.0f} | {ratio} |"
            )
            self._note_fastest(results, name, wall)
        lines += _failures(results)
        self._tables.append("\n".join(lines))

    def _note_fastest(self, results: Results, name: str, wall: float) -> None:
        if "bare" not in name and "nothing" not in name and " ms" not in results.title:
            kind = "read" if results.title.startswith("Reading") else "written"
            self._fastest[kind] = max(self._fastest[kind], results.records / wall)

    def rate(
        self, limit: str, who: str, used: float, most: int, number: int, wanted: float
    ) -> None:
        self.verdict(
            f"4. rate_limit {limit}, {who}",
            f"{used:.1%} used, at most {most} in any window",
            f"{wanted:.0%} or more, at most {number}",
            used >= wanted and most <= number,
        )

    def requests(self, rows: Sequence[Row]) -> None:
        lines = [
            "## Requests at REI Software under its limit",
            "",
            f"{rows[0].records:,} records each, into an account of {ACCOUNT:,} contacts. Limit:",
            f"{LIMIT} requests in {WINDOW:g} s. The custom fields are read once, which counts too.",
            "Used: how full the windows were once the first one was full.",
            "",
            "| | API | requests | least possible | per record | seconds | limit used |",
            "| --- | --- | --- | --- | --- | --- | --- |",
        ]
        for row in rows:
            lines.append(
                f"| {row.what} | {row.version} | {row.requests:,} | {row.least:,} "
                f"| {row.each:.3f} | {row.seconds:.0f} | {row.used:.1%} |"
            )
            if row.wanted is not None:
                what = f"7. {row.what}, {row.version}"
                reached = row.each <= row.wanted and row.used >= USED
                wanted = f"{row.wanted:g} or less, {USED:.0%} or more"
                figure = f"{row.each:.3f} requests each, {row.used:.1%} of the limit used"
                self.verdict(what, figure, wanted, reached)
        self._tables.append("\n".join(lines))

    def growth(self, results: Results, counts: Mapping[str, int]) -> None:
        names = list(results.samples)
        each = {name: results.median(name, "stream") / counts[name] * 1e6 for name in names}
        peak = {name: max(sample.rss for sample in results.samples[name]) for name in names}
        lines = [
            f"## {results.title}",
            "",
            "First runs. Time per row is from the stream's first message to its last answer, as",
            "the target's own report says: start-up is a matter of its own.",
            "",
            "| | seconds | µs per row | peak MB |",
            "| --- | --- | --- | --- |",
            *(f"| {n} | {results.wall(n):.2f} | {each[n]:.1f} | {peak[n]:.0f} |" for n in names),
            *_failures(results),
        ]
        self._tables.append("\n".join(lines))
        if len(names) < 2:
            return
        worst = max(each.values()) / min(each.values()) - 1
        self.verdict("5. Growth, time per row", f"{worst:.0%} apart", "15% or less", worst <= 0.15)
        low, high = min(peak.values()), max(peak.values())
        self.verdict(
            "5. Growth, peak memory",
            f"{high:.0f} MB, {high - peak[names[0]]:.0f} more than the smallest run",
            "under 120 MB, 20 or less",
            high < 120 and high - low <= 20,
        )

    def starts(self, results: Results, ours: Sequence[str]) -> None:
        lines = [
            f"## {results.title}",
            "",
            f"{_rounds(self._size.starts)}.",
            "",
            "| | median s | CPU s | times the empty one |",
            "| --- | --- | --- | --- |",
        ]
        worst = (0.0, "")
        for name in results.samples:
            kind = "target" if "target" in name else "tap"
            times = 1 / results.ratio(name, f"empty singer-sdk {kind}")
            if name in ours:
                worst = max(worst, (times, name))
            cpu = results.median(name, "cpu")
            lines.append(f"| {name} | {results.wall(name):.3f} | {cpu:.3f} | {times:.2f} |")
        lines += _failures(results)
        self._tables.append("\n".join(lines))
        what = f"6. Start-up, the slowest ({worst[1]})"
        self.verdict(what, f"{worst[0]:.2f} times", "1.3 or less", 0 < worst[0] <= 1.3)

    def pipelines(self, rows: int, rounds: int, runs: Runs) -> None:
        """Whole pipelines, each beside the full extract of the same kind of day."""
        lines = [
            "## Whole pipelines on PostgreSQL",
            "",
            f"{rows:,} rows of 12 columns, {_rounds(rounds)}. Ours are `meltano run`, the ledger",
            "in the same PostgreSQL. Seconds: median (least to most). Ratio: times as fast as the",
            "full extract, the median of the rounds'. CPU: of all processes, PostgreSQL's too.",
            "",
            "| changed | | seconds | CPU s | rows that travelled | ratio | tap MB | target MB |",
            "| --- | --- | --- | --- | --- | --- | --- | --- |",
            *_pipeline_rows(runs),
        ]
        self._tables.append("\n".join(lines))
        for name, wanted in ((DBT_PLAN, 5), (VIEW_PLAN, 10)):
            for changed in sorted({number for _, number in runs}):
                ratio = _times(runs, name, changed)
                what = f"8. {name}, {changed:,} of {rows:,} changed, times the full extract"
                self.verdict(what, f"{ratio:.1f}", f"{wanted} or more", ratio >= wanted)

    def plan_alone(self, rows: int, runs: Runs) -> None:
        """The plan of a table for which nobody waits for the full extract."""
        lines = [
            f"## The plan of {rows:,} rows",
            "",
            "| changed | | seconds | CPU s | rows that travelled | | tap MB | target MB |",
            "| --- | --- | --- | --- | --- | --- | --- | --- |",
            *_pipeline_rows(runs),
        ]
        self._tables.append("\n".join(lines))
        for (name, changed), found in runs.items():
            seconds = statistics.median(each.sample.wall for each in found)
            if changed:
                what = f"8. {name}, {changed:,} of {rows:,} changed"
                self.verdict(what, f"{seconds:.0f} s", "under 120 s", seconds < 120)

    # --- the page -------------------------------------------------------------------------------

    def verdicts(self) -> str:
        rows = [
            f"| {what} | {figure} | {wanted} | {'yes' if reached else 'NO'} |"
            for what, figure, wanted, reached in self._verdicts
        ]
        head = ["| target | measured | wanted | reached |", "| --- | --- | --- | --- |"]
        return "\n".join([*head, *rows])

    def text(self) -> str:
        parts = [
            "# Results",
            "Written by `make bench`; what it does and why stands in README.md.",
            self.verdicts(),
            self._server_text(),
            *self._tables,
            self._circumstances(),
        ]
        return "\n\n".join(part for part in parts if part) + "\n"

    def _server_text(self) -> str:
        if self._capacity is None:
            return ""
        lines = ["## The server", ""]
        pairs = zip(("read", "written"), self._capacity, strict=True)
        for kind, capacity in pairs:
            fastest = self._fastest[kind]
            line = f"Records {kind}: the sandbox's own CPU time allows {capacity:,.0f} a second"
            if fastest:
                times = capacity / fastest
                enough = "" if times >= 4 else " **The server is too slow for these figures.**"
                line += f", {times:.1f} times the fastest contestant's {fastest:,.0f}.{enough}"
            lines += [line, ""]
        return "\n".join(lines).rstrip()

    def _circumstances(self) -> str:
        memory = psutil.virtual_memory().total / 2**30
        lines = [
            "## Circumstances",
            "",
            f"- {self._began:%Y-%m-%d %H:%M} UTC, {(datetime.now(UTC) - self._began).seconds} s",
            f"- {_processor()}, {os.cpu_count()} cores, {memory:.0f} GB",
            f"- {platform.system()} {platform.release()}, Python {platform.python_version()}",
            f"- load average before the start: {self._load:.2f}",
            "- " + ", ".join(f"{name} {release}" for name, release in versions().items()),
            *(f"- {name}: left out: {why}" for name, why in self._missing.items()),
        ]
        return "\n".join(lines)


def _pipeline_rows(runs: Runs) -> list[str]:
    lines = []
    for (name, changed), found in sorted(runs.items(), key=lambda item: item[0][1]):
        walls = [each.sample.wall for each in found]
        peaks = [
            f"{max(each.peaks.get(process, 0) for each in found):.0f}"
            for process in ("tap-postgres", "target-autoreach")
        ]
        ratio = _times(runs, name, changed)
        ours = not name.startswith("drt")
        lines.append(
            f"| {changed:,} | {name} | {statistics.median(walls):.1f} ({min(walls):.1f} to "
            f"{max(walls):.1f}) | {statistics.median(each.sample.cpu for each in found):.1f} "
            f"| {found[-1].rows:,} | {f'{ratio:.1f}' if ratio else ''} "
            f"| {peaks[0] if ours else ''} | {peaks[1] if ours else ''} |"
        )
    return lines


def _times(runs: Runs, name: str, changed: int) -> float:
    """How many times as fast as the full extract of that round."""
    pairs = zip(runs.get((FULL, changed), []), runs.get((name, changed), []), strict=False)
    ratios = [full.sample.wall / each.sample.wall for full, each in pairs]
    return statistics.median(ratios) if ratios else 0.0


def _rounds(number: int) -> str:
    return f"{number} round" if number == 1 else f"{number} rounds"


def _failures(results: Results) -> list[str]:
    texts = [f"Left out: {name}: `{why.splitlines()[0]}`" for name, why in results.failures.items()]
    return ["", *texts] if texts else []


def _processor() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()
