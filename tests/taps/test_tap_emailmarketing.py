"""tap-emailmarketing through its front door: pages, envelopes, inactive tags."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from singer_sandbox import Sandbox
from tests.tapping import Tap

STREAMS = {"lists", "custom_fields", "tags"}


@pytest.fixture
def tap(sandbox: Sandbox, tmp_path: Path) -> Tap:
    return Tap("tap-emailmarketing", sandbox, tmp_path)


@pytest.mark.console_script
def test_all_streams_come_with_their_records(sandbox: Sandbox, tap: Tap) -> None:
    sandbox.seed()
    done = tap.read()
    assert done.streams == STREAMS
    state = sandbox.state("kasplo")
    for stream, key in (("lists", "list_id"), ("custom_fields", "custom_id"), ("tags", "tag_id")):
        assert {row[key]: row for row in done.records(stream)} == state[stream]
    assert {row["status"] for row in done.records("tags")} == {1, 2}


@pytest.mark.parametrize("number", [0, 1, 100, 101, 230])
@pytest.mark.parametrize("options", [{}, {"page_size_cap": 7}, {"page_size_max": 100}], ids=str)
def test_no_record_is_lost_whatever_the_page_size(
    sandbox: Sandbox, tap: Tap, number: int, options: dict[str, Any]
) -> None:
    rows = [{"name": f"t{i}", "status": 1 + i % 2} for i in range(number)]
    sandbox.put_state("kasplo", {"tags": rows})
    sandbox.options("kasplo", **options)
    names = [row["name"] for row in tap.read().records("tags")]
    assert len(names) == len(set(names)) == number


def test_the_sid_is_never_shown(sandbox: Sandbox, tap: Tap) -> None:
    sandbox.seed()
    wrong = tap.run(api_key="wrong-key-1")
    assert "Unauthorized access" in wrong.error
    assert "sid and api_key" in wrong.error
    for done in (wrong, tap.read()):
        assert "sandbox-sid" not in done.stderr + done.stdout


def test_a_missing_total_ends_at_an_empty_page(sandbox: Sandbox, tap: Tap) -> None:
    sandbox.put_state("kasplo", {"lists": [{"name": "one"}]})
    answer = {"data": [{"list_id": "a", "name": "one"}], "status": 200, "error": {}}
    sandbox.fault(vendor="kasplo", path="/list", status=200, answer=answer)
    assert tap.read().records("lists")[0]["list_id"] == "a"


def test_an_error_in_a_200_is_an_error(sandbox: Sandbox, tap: Tap) -> None:
    answer = {"data": [], "error": {"message": "Account is closed"}, "status": 400}
    sandbox.fault(vendor="kasplo", path="/list", status=200, answer=answer, times=None)
    assert "lists: Account is closed" in tap.run().error


def test_the_domain_has_to_be_an_address(tap: Tap) -> None:
    assert "api_url" in tap.run(api_url="app.kasplo.example").error
    assert "api_url is missing" in tap.run(api_url=None).error
