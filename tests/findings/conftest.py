"""Targets as the tests of the findings run them."""

from __future__ import annotations

from pathlib import Path

import pytest

from singer_sandbox import Sandbox
from tests.front_door import Plugin


@pytest.fixture
def merlin(sandbox: Sandbox, tmp_path: Path) -> Plugin:
    """target-actionapi, one request at a time."""
    sandbox.put_state("merlin", {"automations": [{"idAuto": 7}], "contacts": [{"idContact": 5}]})
    return Plugin(
        "target-actionapi", sandbox, tmp_path, first_run=True, concurrency=1, lookup_wait=1
    )


@pytest.fixture
def rei(sandbox: Sandbox, tmp_path: Path) -> Plugin:
    """target-reisoftware, one request at a time."""
    sandbox.put_state(
        "rei",
        {
            "campaigns": [{"id": "spring"}],
            "workflows": [{"id": "welcome"}],
            "custom_fields": [
                {"id": "f1", "name": "Parcel ID", "dataType": "TEXT"},
                {"id": "f2", "name": "Value", "dataType": "NUMERICAL"},
            ],
        },
    )
    return Plugin("target-reisoftware", sandbox, tmp_path, concurrency=1, lookup_wait=1)


@pytest.fixture
def autoreach(sandbox: Sandbox, tmp_path: Path) -> Plugin:
    """target-autoreach, one request at a time, with two lists at the vendor."""
    sandbox.put_state("autoreach", {"lists": [{"id": 1, "name": "A"}, {"id": 2, "name": "B"}]})
    return Plugin("target-autoreach", sandbox, tmp_path, concurrency=1, lookup_wait=1)
