"""Runs of whole processes, in rounds that interleave them, and what the figures say together."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

HIDDEN = ("PYTHONDONTWRITEBYTECODE", "PYTHONUNBUFFERED", "PYTHONPATH", "MELTANO_PROJECT_ROOT")
"""They would make a start slower or every write a system call, or lead elsewhere."""


@dataclass(frozen=True)
class Sample:
    """One run of one process, from its start to its end."""

    wall: float
    """Seconds."""
    cpu: float
    """Seconds of user and system time."""
    rss: float
    """MB at its peak."""
    stream: float = 0.0
    """Seconds from the stream's first message to its last answer, where its report says so."""


@dataclass(frozen=True)
class Command:
    """A process to run."""

    arguments: Sequence[str | Path]
    folder: Path
    """Its working directory; its output goes to a file there."""
    stdin: Path | None = None
    environment: Mapping[str, str] = field(default_factory=dict)

    @property
    def output(self) -> Path:
        return self.folder / "stdout"

    def start(self) -> tuple[subprocess.Popen[bytes], float]:
        environment = {name: value for name, value in os.environ.items() if name not in HIDDEN}
        environment |= {"HOME": str(self.folder), **self.environment}
        with (
            Path(self.stdin or os.devnull).open("rb") as given,
            self.output.open("wb") as output,
            (self.folder / "stderr").open("wb") as errors,
        ):
            began = time.perf_counter()
            process = subprocess.Popen(
                [str(each) for each in self.arguments],
                cwd=self.folder,
                stdin=given,
                stdout=output,
                stderr=errors,
                env=environment,
            )
        return process, began

    def end(self, process: subprocess.Popen[bytes], began: float) -> Sample:
        """Wait for the end.

        Raises:
            RuntimeError: it failed; with the end of what it said.
        """
        _, status, usage = os.wait4(process.pid, 0)
        wall = time.perf_counter() - began
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            said = (self.folder / "stderr").read_text("utf-8", "replace")[-2000:]
            name = Path(self.arguments[0]).name
            raise RuntimeError(f"{name} ended with {process.returncode}: {said}")
        # ru_maxrss is in kilobytes on Linux, in bytes on macOS.
        unit = 1e6 if sys.platform == "darwin" else 1e3
        return Sample(wall, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / unit)

    def run(self) -> Sample:
        return self.end(*self.start())


Case = Callable[[], Sample]
"""Prepares, runs, and checks that the work was done."""


@dataclass
class Results:
    """The samples of some contestants at one kind of work."""

    title: str
    records: int
    samples: dict[str, list[Sample]] = field(default_factory=dict)
    failures: dict[str, str] = field(default_factory=dict)

    def wall(self, name: str) -> float:
        """Median of the seconds."""
        return statistics.median(sample.wall for sample in self.samples[name])

    def median(self, name: str, of: str) -> float:
        return statistics.median(getattr(sample, of) for sample in self.samples[name])

    def ratio(self, name: str, other: str) -> float:
        """How many times as fast as the other: the median of the rounds' ratios.

        Within a round both had the same noise.
        """
        pairs = zip(self.samples[name], self.samples[other], strict=True)
        return statistics.median(theirs.wall / ours.wall for ours, theirs in pairs)

    def fastest(self, names: Sequence[str]) -> str:
        return min((name for name in names if name in self.samples), key=self.wall)


def interleave(title: str, records: int, cases: Mapping[str, Case], rounds: int) -> Results:
    """Run the cases one after the other, and so again; a case that fails is left out."""
    results = Results(title, records)
    print(f"\n{title}", flush=True)
    left = dict(cases)
    for number in range(rounds):
        for name in list(left):
            try:
                sample = left[name]()
            except Exception as error:  # noqa: BLE001 - the others go on
                results.failures[name] = str(error)
                results.samples.pop(name, None)
                del left[name]
                print(f"  {name}: {error}", flush=True)
                continue
            results.samples.setdefault(name, []).append(sample)
            print(
                f"  {number + 1}: {name:32}{sample.wall:8.2f} s {records / sample.wall:12,.0f}/s"
                f"{sample.cpu:8.2f} s CPU {sample.rss:7.0f} MB",
                flush=True,
            )
    return results
