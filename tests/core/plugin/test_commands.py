"""The commands beside the SDK's: one at a time, and none of them reads records."""

from __future__ import annotations

import itertools
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from target_autoreach.target import TargetAutoReach
from tests.front_door import Plugin

COMMANDS = {
    "--check": (),
    "--history": (),
    "--report": ("2026",),
    "--explain": ("k1",),
    "--standing": (),
    "--resolve": ("people", "k1", "sent"),
    "--verify": (),
}


@pytest.mark.parametrize(("one", "other"), [(a, b) for a, b in itertools.combinations(COMMANDS, 2)])
def test_two_commands_are_refused_and_neither_is_carried_out(
    people: Plugin, one: str, other: str
) -> None:
    result = people.run([], one, *COMMANDS[one], other, *COMMANDS[other])
    assert result.exit_code == 1
    assert result.error == f"{one} and {other} are commands of their own: give one of them."
    assert result.stdout == ""
    assert not people.work_dir.exists()


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_reads_no_records(people: Plugin, tmp_path: Path, command: str) -> None:
    file = tmp_path / "records.jsonl"
    file.write_text("")
    result = people.run([], "--input", str(file), command, *COMMANDS[command])
    assert result.exit_code == 1
    assert result.error == f"{command} reads no records: leave --input out."
    assert not people.work_dir.exists()


def test_repair_goes_with_verify_only(people: Plugin) -> None:
    result = people.run([], "--check", "--repair")
    assert result.error == "--check and --repair are commands of their own: give one of them."
    result = people.run([], "--verify", "--repair", "--history")
    assert result.error == "--verify and --history are commands of their own: give one of them."


def test_a_program_may_run_a_plugin_in_a_thread() -> None:
    """Only the main thread of a process may handle its signals."""
    with ThreadPoolExecutor(1) as pool:
        ended = pool.submit(TargetAutoReach.cli, ["--version"]).exception()
    assert isinstance(ended, SystemExit)
    assert ended.code == 0
