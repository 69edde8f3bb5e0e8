"""Each CRM whose records can be read."""

from __future__ import annotations

from pathlib import Path

import pytest

from singer_sandbox import Sandbox
from tests.core.overwrite.crm import CRMS, Crm
from tests.core.overwrite.crm import crm as made


@pytest.fixture(params=CRMS, ids=lambda kind: str(kind.name))
def crm(request: pytest.FixtureRequest, sandbox: Sandbox, tmp_path: Path) -> Crm:
    return made(request.param, sandbox, tmp_path)
