"""Fixtures of the front-door suite: a sandbox, and plugins run as a user would run them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from singer_sandbox import Sandbox

from tests.front_door import Plugin


@pytest.fixture(scope="session")
def running_sandbox() -> Iterator[Sandbox]:
    """One sandbox for each process that runs tests."""
    with Sandbox() as sandbox:
        yield sandbox


@pytest.fixture
def sandbox(running_sandbox: Sandbox) -> Sandbox:
    """A sandbox without records, faults or history."""
    running_sandbox.reset()
    return running_sandbox


@pytest.fixture
def people(sandbox: Sandbox, tmp_path: Path) -> Plugin:
    """target-autoreach, pointed at the sandbox."""
    return Plugin("target-autoreach", sandbox, tmp_path)
