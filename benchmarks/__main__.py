"""`python -m benchmarks`: run the sections, write RESULTS.md. See README.md."""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

from benchmarks import environments, sections
from benchmarks.contestants import Stage
from benchmarks.report import Report
from singer_sandbox import Sandbox


def main() -> int:
    parser = argparse.ArgumentParser("benchmarks", description=__doc__)
    names = list(sections.ALL)
    parser.add_argument("--quick", action="store_true", help="small: to see that all of it works")
    parser.add_argument("--records", type=int, help="rows of reading and writing (200000)")
    parser.add_argument("--rounds", type=int, help="5")
    parser.add_argument("--only", nargs="+", choices=names, default=names, metavar="SECTION")
    parser.add_argument("--results", type=Path, default=Path(__file__).with_name("RESULTS.md"))
    given = parser.parse_args()
    size = sections.QUICK if given.quick else sections.FULL
    size = size.with_(records=given.records, rounds=given.rounds)
    report = Report(size, missing=environments.install())
    with Sandbox() as sandbox, tempfile.TemporaryDirectory(prefix="bench-") as folder:
        stage = Stage(sandbox, Path(folder))
        for name in given.only:
            sections.ALL[name](stage, size, report)
    given.results.write_text(report.text())
    print(f"\n{report.verdicts()}\n\nwritten to {given.results}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
