"""Numbered accounts: any number of them, each with its own credentials, state and limits."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from singer_sandbox import Sandbox
from singer_sandbox.client import SandboxError
from tests.calling import call
from tests.front_door import JSON, Plugin, record, schema, state

CONTACT: JSON = {"id": "1", "email": "ann@example.com"}
WAYS: dict[str, tuple[str, str, str, JSON]] = {
    # plugin → vendor, stream, table of the sandbox, a record
    "target-autoreach": ("autoreach", "people", "people", CONTACT),
    "target-reisoftware": ("rei", "contacts", "contacts", {"key": "1", **CONTACT, "id": None}),
    "target-emailmarketing": ("kasplo", "contacts", "contacts", {"email": "ann@example.com"}),
    "target-actionapi": ("merlin", "sms", "sms", {"number": "+12025550142", "text": "Hello"}),
}


@pytest.fixture(scope="module")
def many() -> Iterator[Sandbox]:
    with Sandbox(accounts=30) as sandbox:
        yield sandbox


@pytest.fixture
def sandbox(many: Sandbox) -> Sandbox:
    many.reset()
    return many


def deliver(plugin: str, sandbox: Sandbox, folder: Path, account: str, version: str = "v1") -> int:
    """Send one record into an account; the exit code."""
    _, stream, _, fields = WAYS[plugin]
    target = Plugin(plugin, sandbox, folder, account=account, first_run=True, list="News")
    target.config |= sandbox.settings(plugin, version, account)
    if plugin != "target-emailmarketing":
        del target.config["list"]
    key = next(iter(fields))
    result = target.run([schema(stream, list(fields), [key]), record(stream, **fields), state(1)])
    return result.exit_code


@pytest.mark.parametrize(
    ("plugin", "version"), [*((plugin, "v1") for plugin in WAYS), ("target-reisoftware", "v2")]
)
def test_each_plugin_delivers_into_the_account_of_its_settings_and_into_no_other(
    plugin: str, version: str, sandbox: Sandbox, tmp_path: Path
) -> None:
    vendor, _, table, _ = WAYS[plugin]
    if vendor == "kasplo":
        sandbox.put_state("kasplo", {"lists": [{"name": "News"}]}, account="account-007")
    assert deliver(plugin, sandbox, tmp_path, "account-007", version) == 0
    sizes = {name: found["sizes"][table] for name, found in sandbox.accounts(vendor).items()}
    assert len(sizes) == 31
    assert {name for name, size in sizes.items() if size} == {"account-007"}
    requests = {name for name, found in sandbox.accounts(vendor).items() if found["requests"]}
    assert requests == {"account-007"}


def search(sandbox: Sandbox, number: int) -> Any:
    body = [{"key": f"key-{number:03}"}, {"type": "SEARCH", "Fname": "Ann"}]
    return call(sandbox, "POST", "/merlin/flex/API/", body).status_code


def test_the_limits_of_each_account_are_its_own_and_what_broke_them_is_counted(
    sandbox: Sandbox,
) -> None:
    sandbox.options("merlin", rate_limit=[3, 60])
    assert [search(sandbox, 1) for _ in range(5)] == [200, 200, 200, 429, 429]
    assert [search(sandbox, 2) for _ in range(2)] == [200, 200]
    found = sandbox.accounts("merlin", window=60)
    assert found["account-001"]["counters"]["rate_limited"] == 2
    assert (found["account-001"]["requests"], found["account-001"]["max"]) == (5, 5)
    assert (found["account-002"]["requests"], found["account-002"]["max"]) == (2, 2)
    assert "rate_limited" not in found["account-002"]["counters"]
    assert found["account-003"]["requests"] == found["default"]["requests"] == 0


def test_a_reset_makes_them_anew_and_more_can_be_added(sandbox: Sandbox) -> None:
    assert search(sandbox, 30) == 200
    assert search(sandbox, 31) == 401
    assert sandbox.add_accounts(31)[-1] == "account-031"
    assert search(sandbox, 31) == 200
    sandbox.reset()
    assert search(sandbox, 31) == 401
    assert search(sandbox, 30) == 200
    with pytest.raises(SandboxError, match="count must be"):
        sandbox.add_accounts(-1)


def test_the_settings_of_accounts_with_other_names_are_not_known(sandbox: Sandbox) -> None:
    with pytest.raises(ValueError, match="account-001 and so on"):
        sandbox.settings("tap-autoreach", account="branch")


def test_thousands_of_accounts_cost_nothing_that_is_noticed() -> None:
    began = time.monotonic()
    with Sandbox(accounts=5_000) as sandbox:
        assert search(sandbox, 5_000) == 200
        assert time.monotonic() - began < 10
        page = sandbox.call("GET", "overview")
        assert page["accounts"]["merlin"] == 5_001
        shown = list(page["vendors"]["merlin"])
        assert shown[:2] == ["default", "account-5000"]
        assert len(shown) == 10
        began = time.monotonic()
        sandbox.reset()
        assert time.monotonic() - began < 2
