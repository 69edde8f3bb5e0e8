"""Fixtures of the taps' tests."""

from __future__ import annotations

from pathlib import Path

import pytest

from singer_sandbox import Sandbox
from tests.front_door import JSON
from tests.tapping import Tap, only


@pytest.fixture
def rei(sandbox: Sandbox, tmp_path: Path) -> Tap:
    """tap-reisoftware, pointed at the sandbox."""
    return Tap("tap-reisoftware", sandbox, tmp_path)


@pytest.fixture
def contacts(rei: Tap) -> JSON:
    """A catalog of tap-reisoftware in which only contacts are selected."""
    return only(rei.discover(), "contacts")
