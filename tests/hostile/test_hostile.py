"""Random scenarios against models of the vendors: the promises hold, whatever happens.

`SOAK=3000 python -m pytest tests/hostile` plays as many; a failure prints how to repeat it.
"""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from tests.hostile.model_server import Server
from tests.hostile.playing import play
from tests.hostile.runner import Runner

NUMBER = int(os.environ.get("SOAK", "100"))
FIRST = int(os.environ.get("SEED", "1"))
SEEDS = range(FIRST, FIRST + (1 if "SEED" in os.environ and "SOAK" not in os.environ else NUMBER))


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


@pytest.mark.parametrize("seed", SEEDS, ids=lambda seed: f"seed{seed}")
def test_the_promises_hold_in_a_random_scenario(
    seed: int, hostile_runner: Runner, hostile_server: Server
) -> None:
    play(seed, hostile_runner, hostile_server)
