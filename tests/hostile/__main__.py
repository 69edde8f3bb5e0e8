"""Play scenarios by their seeds: `python -m tests.hostile 123`, `python -m tests.hostile 0-299`."""

from __future__ import annotations

import sys
import time
from collections import Counter

from tests.hostile.checks import Broken
from tests.hostile.model_server import Server
from tests.hostile.playing import play
from tests.hostile.runner import Runner


def main() -> int:
    """Play the seeds of the command line; 1 if a promise is broken."""
    first, _, last = sys.argv[1].partition("-")
    seeds = range(int(first), int(last or first) + 1)
    server = Server()
    kinds: Counter[str] = Counter()
    counts: Counter[str] = Counter()
    began = time.monotonic()
    with Runner() as runner:
        for seed in seeds:
            try:
                scenario = play(seed, runner, server)
            except Broken as error:
                kinds[error.promise] += 1
                print(error if len(seeds) == 1 else f"{seed} {str(error)[:400]}", flush=True)
            else:
                counts.update(scenario.counts)
                if len(seeds) == 1:
                    print("\n".join(scenario.history))
    seconds = time.monotonic() - began
    broken = f"{sum(kinds.values())} broken {dict(kinds)}"
    print(f"{len(seeds)} scenarios, {dict(counts)}, {seconds:.0f} s, {broken}")
    return int(bool(kinds))


if __name__ == "__main__":
    sys.exit(main())
