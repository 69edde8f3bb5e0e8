"""What a leg of the demo runs with: Meltano, the sandbox, and where things are."""

from __future__ import annotations

import contextlib
import shutil
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from demo import show
from demo.meltano import Meltano
from singer_sandbox.client import Sandbox

HOLDS = {
    "autoreach": ("AutoReach", ("people", "members")),
    "rei": ("REI Software", ("contacts", "campaign_entries", "workflow_entries")),
    "kasplo": ("Kasplo", ("contacts",)),
    "merlin": ("Merlin", ("contacts", "automation_entries", "calls", "sms")),
}
"""Vendor in the sandbox → its name, and the kinds of its records that are shown."""


@dataclass
class Stage:
    """Services that are running.

    Args:
        meltano: runs a command.
        sandbox: plays the vendors.
        url: of the warehouse.
        work_dir: where the plugins keep their reports and rejects.
        duck: the DuckDB file.
        kept: the folder for a copy of each run's report, which a later run would replace.
    """

    meltano: Meltano
    sandbox: Sandbox
    url: str
    work_dir: Path
    duck: Path
    kept: Path
    pages: list[Path] = field(default_factory=list)

    def step(self, job: str, vendor: str) -> None:
        """Run a job, and show meanwhile what the vendor holds."""
        print(f"  $ meltano run {job}", flush=True)
        with self._ticker(vendor) as tick:
            seconds = self.meltano("run", job, tick=tick)
        print(f"    {seconds:.0f} s, all well")

    def keep(self, name: str, title: str) -> Path:
        """Copy the report and the page of a plugin's last run; where the report is."""
        self.kept.mkdir(exist_ok=True)
        number = len(self.pages) + 1
        report, page = (self.kept / f"{number}-{title}.{kind}" for kind in ("json", "html"))
        shutil.copy(self.work_dir / f"{name}.report.json", report)
        shutil.copy(self.work_dir / f"{name}.report.html", page)
        self.pages.append(page)
        return report

    def report(self, name: str) -> None:
        """Show the report of a plugin's last run, and why it did not deliver what it did not."""
        show.report(self.keep(name, name))
        show.reasons(self.work_dir / f"{name}.rejects.jsonl")

    def holds(self, vendor: str) -> str:
        """What a vendor has, in words."""
        title, tables = HOLDS[vendor]
        sizes = self.sandbox.sizes(vendor)["sizes"]
        *first, last = (f"{sizes[table]:,} {table.replace('_', ' ')}" for table in tables)
        return f"{title} holds {', '.join(first)}{' and ' if first else ''}{last}"

    @contextlib.contextmanager
    def _ticker(self, vendor: str) -> Iterator[Callable[[], None]]:
        if not sys.stdout.isatty():
            yield lambda: None
            return

        def tick() -> None:
            with contextlib.suppress(OSError):  # Ctrl-C may reach the sandbox first
                print(f"\r    {self.holds(vendor)}", end="", flush=True)

        yield tick
        print("\r\033[K", end="")
