"""Each CRM whose records can be read."""

from __future__ import annotations

from pathlib import Path

import pytest

from singer_sandbox import Sandbox
from tests.core.overwrite.crm import CRMS, Crm, Rei, ReiV1, ReiV2
from tests.core.overwrite.crm import crm as made


@pytest.fixture(params=CRMS, ids=lambda kind: str(kind.name))
def crm(request: pytest.FixtureRequest, sandbox: Sandbox, tmp_path: Path) -> Crm:
    kind: type[Crm] = request.param
    return made(kind, sandbox, tmp_path)


@pytest.fixture(params=[ReiV1, ReiV2], ids=["v1", "v2"])
def rei(request: pytest.FixtureRequest, sandbox: Sandbox, tmp_path: Path) -> Rei:
    kind: type[Rei] = request.param
    return made(kind, sandbox, tmp_path)
