"""Random scenarios against models of the vendors: the promises hold, whatever happens.

`SOAK=3000` plays as many, `SEED=123` begins with that one; a failure prints how to repeat it.
"""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from tests.hostile.checks import Broken
from tests.hostile.models.server import Server
from tests.hostile.playing import play_all
from tests.hostile.runner import Runner

FIRST = int(os.environ.get("SEED", "1"))
NUMBER = int(os.environ.get("SOAK", "1" if "SEED" in os.environ else "100"))
TOGETHER = 5
"""Scenarios of one test, played side by side."""
GROUPS = [
    range(first, min(first + TOGETHER, FIRST + NUMBER))
    for first in range(FIRST, FIRST + NUMBER, TOGETHER)
]


@pytest.fixture(scope="session")
def hostile_runner() -> Iterator[Runner]:
    """One zygote for each process that runs tests."""
    with Runner() as runner:
        yield runner


@pytest.fixture(scope="session")
def hostile_server() -> Iterator[Server]:
    """One server for each process that runs tests."""
    server = Server()
    yield server
    server.shutdown()
    server.server_close()


@pytest.mark.parametrize("seeds", GROUPS, ids=lambda seeds: f"seeds{seeds[0]}-{seeds[-1]}")
def test_the_promises_hold_in_random_scenarios(
    seeds: range, hostile_runner: Runner, hostile_server: Server
) -> None:
    results = play_all(seeds, TOGETHER, hostile_runner, hostile_server)
    broken = [str(result) for _, result in results if isinstance(result, Broken)]
    assert not broken, "\n\n".join(broken)
