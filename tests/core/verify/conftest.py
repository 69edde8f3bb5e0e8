"""Each vendor whose records can be read back."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from singer_sandbox import Sandbox
from tests.core.verify.vendors import NAMES, Vendor, vendor


@pytest.fixture(params=NAMES)
def target(
    request: pytest.FixtureRequest, sandbox: Sandbox, tmp_path: Path, ledger_url: str | None
) -> Iterator[Vendor]:
    yield from vendor(request.param, sandbox, tmp_path, database_url=ledger_url)
