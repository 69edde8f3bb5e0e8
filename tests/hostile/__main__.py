"""Play scenarios by their seeds: `python -m tests.hostile 123`, `python -m tests.hostile 1-3000 6`.

The second argument is how many are played side by side.
"""

from __future__ import annotations

import sys
import time
from collections import Counter

from tests.hostile.checks import Broken
from tests.hostile.models.server import Server
from tests.hostile.playing import play_all
from tests.hostile.runner import Runner


def main() -> int:
    """Play the seeds of the command line; 1 if a promise is broken."""
    first, _, last = sys.argv[1].partition("-")
    jobs = int(sys.argv[2]) if len(sys.argv) > 2 else 4
    seeds = range(int(first), int(last or first) + 1)
    kinds: Counter[str] = Counter()
    counts: Counter[str] = Counter()
    began = time.monotonic()
    with Runner() as runner:
        for seed, result in play_all(seeds, jobs, runner, Server()):
            if isinstance(result, Broken):
                kinds[result.promise] += 1
                print(result if len(seeds) == 1 else f"{seed} {str(result)[:400]}", flush=True)
                continue
            counts.update(result.counts)
            if len(seeds) == 1:
                print("\n".join(result.history))
    seconds = time.monotonic() - began
    broken = f"{sum(kinds.values())} broken {dict(kinds) or ''}"
    print(f"seeds {sys.argv[1]}: {len(seeds)} scenarios, {dict(counts)}, {seconds:.0f} s, {broken}")
    return int(bool(kinds))


if __name__ == "__main__":
    sys.exit(main())
