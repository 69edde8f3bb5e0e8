"""SIGTERM ends a tap with 143 wherever it waits, and STATE fits the records that came out."""

from __future__ import annotations

import array
import fcntl
import gzip
import json
import os
import signal
import subprocess
import termios
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from singer_http.errors import Interrupted
from singer_sandbox import Sandbox
from tap_reisoftware.tap import TapReiSoftware
from tests.contacts import numbers
from tests.processes import SCRIPTS, terminate_elsewhere, wait_until
from tests.tapping import Tap, only


def test_it_ends_while_it_waits_for_the_rate_limit(sandbox: Sandbox, tmp_path: Path) -> None:
    tap = Tap("tap-autoreach", sandbox, tmp_path)
    sandbox.fill("autoreach", members=500)
    catalog = only(tap.discover(), "members")
    sandbox.log(clear=True)
    process = tap.start(catalog=catalog, rate_limit="1/60s", concurrency=1)
    tap.wait_for("rate_limit: 1/60s is used up")
    process.terminate()
    done = tap.finish(process)
    assert done.exit_code == 143, done.stderr
    assert "ERROR" not in done.stderr
    assert len(done.records("members")) in (0, 100)


def test_it_ends_while_discovery_waits_for_the_rate_limit(sandbox: Sandbox, tmp_path: Path) -> None:
    tap = Tap("tap-autoreach", sandbox, tmp_path)
    process = tap.start(rate_limit="1/60s")
    tap.wait_for("rate_limit: 1/60s is used up")
    process.terminate()
    done = tap.finish(process)
    assert done.exit_code == 143, done.stderr
    assert "ERROR" not in done.stderr


def test_it_ends_while_the_vendor_asks_for_a_pause(sandbox: Sandbox, tmp_path: Path) -> None:
    tap = Tap("tap-reisoftware", sandbox, tmp_path)
    sandbox.fill("rei", contacts=500)
    sandbox.fault(vendor="rei", path="contacts", status=429, retry_after=60, after=2, times=None)
    process = tap.start(catalog=only(tap.discover(), "contacts"))
    tap.wait_for("Trying again in 60")
    process.terminate()
    done = tap.finish(process)
    assert done.exit_code == 143, done.stderr
    assert "ERROR" not in done.stderr
    assert "contacts" in done.state["bookmarks"]


def test_it_ends_at_once_if_the_signal_interrupts_no_wait(sandbox: Sandbox, tmp_path: Path) -> None:
    """So does one that comes in the moment before a wait begins."""
    tap = Tap("tap-reisoftware", sandbox, tmp_path)
    sandbox.fill("rei", contacts=500)
    sandbox.fault(vendor="rei", path="contacts/$", hold="page", after=2, times=None)
    process = tap.start(catalog=only(tap.discover(), "contacts"))
    sandbox.wait_held("page")
    time.sleep(0.5)
    terminate_elsewhere(process)
    began = time.monotonic()
    done = tap.finish(process)
    assert done.exit_code == 143, done.stderr
    assert time.monotonic() - began < 10  # the vendor's answer is waited for longer


@contextmanager
def reader_behind(sandbox: Sandbox, tap: Tap, unbuffered: str) -> Iterator[subprocess.Popen[bytes]]:
    """A tap that waits for room in its pipe, with `catalog.json` of its contacts."""
    sandbox.fill("rei", contacts=1000)
    (tap.directory / "catalog.json").write_text(json.dumps(only(tap.discover(), "contacts")))
    (tap.directory / "config.json").write_text(json.dumps(tap.config))
    with subprocess.Popen(
        [SCRIPTS / "tap-reisoftware", "--config", "config.json", "--catalog", "catalog.json"],
        cwd=tap.directory,
        env={**os.environ, "PYTHONUNBUFFERED": unbuffered},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        assert process.stdout
        pipe = process.stdout.fileno()
        wait_until(lambda: unread(pipe) > 50_000)
        time.sleep(0.5)
        yield process


@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_a_signal_loses_nothing_while_the_reader_is_behind(
    sandbox: Sandbox, tmp_path: Path, unbuffered: str
) -> None:
    tap = Tap("tap-reisoftware", sandbox, tmp_path)
    with reader_behind(sandbox, tap, unbuffered) as process:
        process.terminate()
        time.sleep(0.5)
        out, err = process.communicate(timeout=60)
        assert process.returncode == 143, err.decode()
    messages = [json.loads(line) for line in out.splitlines()]
    assert messages[-1]["type"] == "STATE"
    came = numbers([m["record"] for m in messages if m["type"] == "RECORD"])
    assert came == list(range(1, len(came) + 1))
    catalog = json.loads((tmp_path / "catalog.json").read_text())
    rest = tap.read(catalog=catalog, state=messages[-1]["value"])
    assert {*came, *numbers(rest.records("contacts"))} == set(range(1, 1001))


def test_no_state_follows_a_record_that_a_second_signal_cut_off(
    sandbox: Sandbox, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Ctrl-C reaches a tap from the terminal and from Meltano, and impatient people press again."""
    settings = Tap("tap-reisoftware", sandbox, tmp_path).config
    tap = TapReiSoftware(config=settings)
    tap.load_state({"bookmarks": {"contacts": {"replication_key_value": "2026"}}})

    def twice() -> None:
        with tap.uninterrupted():
            tap.on_signal(signal.SIGINT)
            tap.on_signal(signal.SIGINT)

    with pytest.raises(Interrupted):
        twice()
    with pytest.raises(Interrupted):
        tap.on_signal(signal.SIGINT)
    assert capsys.readouterr().out == ""


def unread(pipe: int) -> int:
    """Bytes that wait in a pipe."""
    number = array.array("i", [0])
    fcntl.ioctl(pipe, termios.FIONREAD, number)
    return number[0]


@pytest.mark.parametrize("rows", [500, 10_500])
def test_state_is_never_ahead_of_the_batch_messages(
    sandbox: Sandbox, tmp_path: Path, rows: int
) -> None:
    tap = Tap("tap-reisoftware", sandbox, tmp_path)
    sandbox.fill("rei", contacts=rows)
    catalog = only(tap.discover(), "contacts")
    batch = {
        "encoding": {"format": "jsonl", "compression": "gzip"},
        "storage": {"root": f"file://{tmp_path}/batches"},
    }
    (tmp_path / "batches").mkdir()
    pages = rows // 100
    sandbox.fault(vendor="rei", path="contacts/$", hold="page", after=pages - 2, times=None)
    process = tap.start(catalog=catalog, batch_config=batch, concurrency=1)
    sandbox.wait_held("page")
    time.sleep(0.5)
    process.terminate()
    done = tap.finish(process)
    assert done.exit_code == 143, done.stderr
    sandbox.clear_faults()
    files = [
        Path(name.removeprefix("file://"))
        for message in done.messages
        if message["type"] == "BATCH"
        for name in message["manifest"]
    ]
    came = [
        json.loads(line)
        for file in files
        for line in gzip.decompress(file.read_bytes()).splitlines()
    ]
    states = [message["value"] for message in done.messages if message["type"] == "STATE"]
    rest = tap.read(catalog=catalog, state=states[-1] if states else None)
    read = set(numbers(came)) | set(numbers(rest.records("contacts")))
    assert read == set(range(1, rows + 1))
