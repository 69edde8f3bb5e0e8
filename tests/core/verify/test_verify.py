"""`--verify`: what was delivered against what the vendor has now."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from singer_sandbox import Sandbox
from tests.core.verify.vendors import NAMES, WITH_LIST, Vendor, vendor


@pytest.fixture(params=NAMES)
def target(
    request: pytest.FixtureRequest, sandbox: Sandbox, tmp_path: Path, ledger_url: str | None
) -> Iterator[Vendor]:
    yield from vendor(request.param, sandbox, tmp_path, database_url=ledger_url)


with_list = pytest.mark.parametrize("target", WITH_LIST, indirect=True)


def test_what_the_vendor_has_as_it_was_delivered_is_no_difference(target: Vendor) -> None:
    target.deliver(1, 2, 3)
    result = target.verify()
    assert (result.exit_code, result.error) == (0, "")
    assert target.drift() == []
    assert "no difference" in target.page()


@with_list
def test_a_record_that_was_deleted_by_hand_is_gone(target: Vendor) -> None:
    target.deliver(1, 2, 3)
    id_ = target.remove(2)
    result = target.verify()
    assert result.exit_code == 1
    (line,) = target.drift()
    assert (line["key"], line["id"], line["difference"]) == ("k2", id_, "gone")
