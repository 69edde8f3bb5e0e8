"""Fixtures of the taps' tests."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from singer_sandbox import Sandbox
from tests.front_door import JSON
from tests.openapi import check_exchanges, have_documents
from tests.tapping import Tap, only


@pytest.fixture(params=["v1", "v2"])
def version(request: pytest.FixtureRequest) -> str:
    """The version of REI Software's API; a test about one of them says which one."""
    found: str = request.param
    return found


@pytest.fixture
def rei(sandbox: Sandbox, tmp_path: Path, version: str) -> Iterator[Tap]:
    """tap-reisoftware, pointed at the sandbox; what it says to v2 fits the vendor's document."""
    settings = sandbox.settings("tap-reisoftware", api_version=version)
    yield Tap("tap-reisoftware", sandbox, tmp_path, **settings)
    if version == "v2" and have_documents:
        check_exchanges(sandbox, allow_refused=True)


@pytest.fixture
def contacts(rei: Tap) -> JSON:
    """A catalog of tap-reisoftware in which only contacts are selected."""
    return only(rei.discover(), "contacts")
