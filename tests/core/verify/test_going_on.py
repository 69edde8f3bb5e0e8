"""A comparison that is interrupted goes on, whatever became of the disk."""

from __future__ import annotations

import shutil
import signal
from pathlib import Path

from singer_sandbox import Sandbox
from tests.core.verify.vendors import Vendor, vendor
from tests.front_door import Result

MANY = 120
"""Two pages of a list, and two rounds of what is asked for one by one."""

PATHS = {"rei": "/contacts", "autoreach": "/members", "merlin": "/flex"}


def reads(target: Vendor) -> int:
    """How often the vendor was asked for a list, or for one record."""
    requests = target.sandbox.requests(target.name)
    return sum(PATHS[target.name] in request["path"] for request in requests)


def interrupted(target: Vendor, after: int) -> Result:
    """A comparison that gets a SIGTERM while a request is in flight."""
    path = PATHS[target.name]
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


def test_it_goes_on_without_the_disk_that_it_began_on(
    sandbox: Sandbox, tmp_path: Path, database: str
) -> None:
    for target in vendor("v1", sandbox, tmp_path, database_url=database):
        target.deliver(*range(1, MANY + 1))
        target.remove(3)
        assert interrupted(target, 2).exit_code == 143
        shutil.rmtree(target.plugin.work_dir)
        sandbox.log(clear=True)
        assert target.verify().exit_code == 1
        assert target.found() == {"k3": "gone"}
        assert reads(target) == 2, "the second page, and what was missing on the first one"


def test_what_a_run_delivered_in_between_is_compared_again(target: Vendor) -> None:
    target.deliver(*range(1, MANY + 1))
    interrupted(target, 2 if target.name != "merlin" else 100)
    changed = target.rows(1, 2)
    for message in changed[1:]:
        message["record"][target.first] = "Zoe"
    target.plugin.run(changed)
    target.edit(1, **{target.first: "Hannah"})
    result = target.verify()
    assert result.exit_code == 1
    assert target.found() == {"k1": "edited"}


def test_what_was_deleted_in_between_is_not_counted(target: Vendor) -> None:
    config = {"mode": "mirror", "mirror_count": "trust", "max_deletes": ""}
    target.plugin.run(target.rows(1, 2), **config)
    file = target.plugin.path("drift.jsonl")
    target.edit(1, **{target.first: "Hannah"})
    file.mkdir()
    assert "cannot be written" in target.verify(**config).error
    file.rmdir()
    target.plugin.run(target.rows(1), **config)
    table = [line.split() for line in target.verify(**config).stdout.splitlines()]
    assert [target.stream, "1", "0", "1", "0", "0"] in table


def test_what_was_marked_and_sent_in_between_is_compared_again(target: Vendor) -> None:
    target.deliver(1, 2)
    target.edit(1, **{target.first: "Hannah"})
    file = target.plugin.path("drift.jsonl")
    file.mkdir()
    assert "cannot be written" in target.verify("--repair").error
    file.rmdir()
    assert target.deliver(1, 2).counts(target.stream)["updated"] == 1
    assert target.verify().exit_code == 0
    target.edit(1, **{target.first: "Zoe"})
    assert "1 marked" in target.verify("--repair").stdout
    assert target.deliver(1, 2).counts(target.stream)["updated"] == 1


def test_what_was_found_until_then_is_told(target: Vendor) -> None:
    target.deliver(*range(1, MANY + 1))
    result = interrupted(target, 2)
    assert f"{MANY}" in result.stdout
    assert "a signal ended it. The same command goes on" in result.stdout
    assert "not finished" in target.page()
    assert "The same command goes on where this one ended" in target.page()


def test_what_a_killed_run_was_about_to_send_is_not_compared(target: Vendor) -> None:
    target.deliver(1, 2)
    changed = target.rows(1)
    changed[1]["record"][target.first] = "Zoe"
    target.plugin.dying("after_answer").run(changed)
    assert target.at_vendor()[1][target.first] == "Zoe"
    result = target.verify("--repair")
    assert result.exit_code == 0, result.stdout
    assert "1 not compared: a run that died was about to send them" in result.stdout
    target.plugin.run(changed)
    assert target.verify().exit_code == 0


def test_a_dry_run_compares_and_leaves_nothing(target: Vendor) -> None:
    target.deliver(1)
    target.edit(1, **{target.first: "Hannah"})
    result = target.verify(dry_run=True)
    assert result.exit_code == 1
    assert target.found() == {"k1": "edited"}
    assert "by --verify" not in target.plugin.run([], "--explain", "k1").stdout
