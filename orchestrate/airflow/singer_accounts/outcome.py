"""What the reports of a run say about what to do next."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

COUNTS = (
    "records",
    "received",
    "unchanged",
    "created",
    "updated",
    "upserted",
    "deleted",
    "rejected",
    "skipped",
    "requests",
    "retries",
)
"""What of a stream's counts a task shows: the first is of a tap, the others are of a target."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """The reports of one try, of all plugins of ours in its job."""

    reports: Sequence[Mapping[str, Any]]

    @classmethod
    def read(cls, work_dir: Path) -> Outcome:
        """Read what the try left in its folder, which no other try writes to."""
        return cls(
            [json.loads(p.read_text("utf-8")) for p in sorted(work_dir.glob("*.report.json"))]
        )

    @property
    def error(self) -> str:
        """The lines that say why a plugin stopped."""
        return "; ".join(str(report["error"]) for report in self.reports if report.get("error"))

    @property
    def needs_person(self) -> bool:
        """A retry would end in the same way: credentials, thresholds, configuration."""
        return any(report.get("needs_person") for report in self.reports)

    @property
    def retry_at(self) -> datetime | None:
        """When the vendor takes requests again, if it said so."""
        times = [report["retry_at"] for report in self.reports if report.get("retry_at")]
        return max(map(datetime.fromisoformat, times), default=None)

    def undeclared(self, plugins: Sequence[str], account: str) -> str | None:
        """A setting that a plugin of ours did not get, since `meltano.yml` does not declare it.

        Args:
            plugins: of ours in the job. A report has the name of a plugin itself, which its name
                in the project may only begin like: `target-actionapi--sms`.
            account: its name.
        """
        for kind in ("tap-", "target-"):
            ours = any(plugin.startswith(kind) for plugin in plugins)
            if ours and not any(report["plugin"].startswith(kind) for report in self.reports):
                return "work_dir"
        if any(report["account"] != account for report in self.reports):
            return "account"
        return None

    def counts(self) -> dict[str, dict[str, int]]:
        """Stream -> its counts, without those that are 0."""
        found: dict[str, dict[str, int]] = {}
        for report in self.reports:
            for stream, counts in report["streams"].items():
                own = found.setdefault(stream, {})
                for name in COUNTS:
                    if counts.get(name):
                        own[name] = own.get(name, 0) + int(counts[name])
        return found
