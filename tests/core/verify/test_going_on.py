"""A comparison that is interrupted goes on, whatever became of the disk."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from singer_sandbox import Sandbox
from tests.core.verify.vendors import NAMES, Vendor, vendor
from tests.front_door import Result

MANY = 120
"""Two pages of a list, and two rounds of what is asked for one by one."""


@pytest.fixture(params=NAMES)
def target(
    request: pytest.FixtureRequest, sandbox: Sandbox, tmp_path: Path, ledger_url: str | None
) -> Iterator[Vendor]:
    yield from vendor(request.param, sandbox, tmp_path, database_url=ledger_url, sync="nightly")


def reads(target: Vendor) -> int:
    """How often the vendor was asked for a list, or for one record."""
    templates = ("members", "contacts", "search", "contacts/{contact}", "SEARCH")
    return sum(r["template"].endswith(templates) for r in target.sandbox.requests(target.name))


def interrupted(target: Vendor, after: int) -> Result:
    """A comparison that gets a SIGTERM while a request is in flight."""
    path = {"rei": "/contacts", "autoreach": "/members", "merlin": "/flex"}[target.name]
    target.sandbox.fault(vendor=target.name, path=path, hold="read", after=after, times=None)
    process = target.plugin.start([], "--verify")
    target.sandbox.wait_held("read")
    process.send_signal(signal.SIGTERM)
    result = target.plugin.finish(process)
    target.sandbox.clear_faults()
    target.sandbox.release("read")
    return result


def test_after_a_signal_it_goes_on(target: Vendor) -> None:
    target.deliver(*range(1, MANY + 1))
    target.sandbox.log(clear=True)
    target.verify()
    whole = reads(target)
    result = interrupted(target, whole - 1)
    assert result.exit_code == 143
    target.sandbox.log(clear=True)
    result = target.verify()
    assert result.exit_code == 0
    assert f"{MANY}" in result.stdout
    assert reads(target) < whole
    target.sandbox.log(clear=True)
    target.verify()
    assert reads(target) == whole, "once it has ended, the next one begins anew"
