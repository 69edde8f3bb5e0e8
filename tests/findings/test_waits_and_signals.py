"""Guards at the last moment, waits that the vendor asks for, time limits, and signals."""

from __future__ import annotations

import datetime
import json
import os
import signal
import struct
import subprocess
import time
from pathlib import Path
from typing import Any

import psycopg
import pytest

from singer_sandbox import Sandbox
from tests.findings.inputs import (
    CALLS,
    PEOPLE,
    SMS,
    call,
    kinds,
    people,
    person,
    sms,
    start_patched,
    texts,
)
from tests.front_door import JSON, SCRIPTS, Plugin, Result, record, schema, state
from tests.processes import Forked, terminate_elsewhere, wait_read, wait_until
from tests.tapping import Tap


def hour_from(directory: Path, seconds: int) -> str:
    """Quiet hours that begin so many seconds from now: in a time zone of odd seconds."""
    begins = datetime.datetime.now(datetime.UTC) + datetime.timedelta(seconds=seconds)
    offset = 60 - begins.second
    zone = struct.pack(">4s16x6l", b"TZif", 0, 0, 0, 0, 1, 4) + struct.pack(
        ">lbb4s", offset, 0, 0, b"ODD"
    )
    (directory / "Odd").write_bytes(zone)
    local = begins + datetime.timedelta(seconds=offset)
    return f"{local:%H:%M}-{local + datetime.timedelta(hours=1):%H:%M} Odd"


@pytest.mark.slow
@pytest.mark.parametrize(("columns", "make", "kind"), [(SMS, sms, "sms"), (CALLS, call, "calls")])
def test_nothing_leaves_in_quiet_hours_that_began_during_the_wait(
    merlin: Plugin,
    sandbox: Sandbox,
    monkeypatch: pytest.MonkeyPatch,
    columns: JSON,
    make: Any,
    kind: str,
) -> None:
    """P6: the second one has its permit only when the hours have begun."""
    monkeypatch.setenv("PYTHONTZPATH", str(merlin.directory))
    messages = [columns, make("1", "one"), make("2", "two")]
    result = merlin.run(messages, quiet_hours=hour_from(merlin.directory, 6), rate_limit="1/9s")
    assert result.exit_code == 0, result.error
    assert texts(sandbox, kind) == ["one"]
    assert kinds(result) == ["held"]


def patches(sandbox: Sandbox) -> list[float]:
    return [r["at"] for r in sandbox.requests("autoreach") if r["method"] == "PATCH"]


@pytest.mark.parametrize(
    ("value", "seconds"), [("1, 2", 2), ("2,1", 2), ("1.5", 1.5), (" 2 ", 2), ("2; 2", 2)]
)
@pytest.mark.parametrize("status", [429, 503])
def test_the_longest_sensible_reading_of_retry_after_is_waited_for(
    autoreach: Plugin, sandbox: Sandbox, value: str, seconds: float, status: int
) -> None:
    """P16"""
    sandbox.fault(vendor="autoreach", method="PATCH", status=status, headers={"Retry-After": value})
    result = autoreach.run([PEOPLE, person("a")])
    assert result.exit_code == 0, result.error
    first, second = patches(sandbox)
    assert second - first >= seconds - 0.05


@pytest.mark.parametrize("expires_in", [5, 30, 59, "50", 61])
def test_a_short_lived_token_serves_more_than_one_request(
    autoreach: Plugin, sandbox: Sandbox, expires_in: Any
) -> None:
    """P17"""
    sandbox.options("autoreach", token_expires_in=expires_in)
    messages = [PEOPLE, *(person(f"p{i}") for i in range(8))]
    result = autoreach.run(messages, batch_size_rows=1)
    assert result.exit_code == 0, result.error
    assert len(people(sandbox)) == 8
    assert sandbox.state("autoreach")["counters"]["tokens_issued"] <= 2


def test_a_token_is_renewed_before_its_end(sandbox: Sandbox, tmp_path: Path) -> None:
    """P17"""
    sandbox.options("autoreach", token_expires_in=2, page_size_max=1, latency_ms=300)
    sandbox.fill("autoreach", members=12)
    done = Tap("tap-autoreach", sandbox, tmp_path, concurrency=1, page_size=1).read()
    assert len(done.records("members")) == 12
    assert 2 <= sandbox.state("autoreach")["counters"]["tokens_issued"] <= 6
    assert all(r["status"] != 401 for r in sandbox.requests("autoreach"))


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
@pytest.mark.parametrize("limit", ["1/60s", "2/300s"])
def test_a_signal_ends_a_wait_for_the_rate_limit(
    autoreach: Plugin, sandbox: Sandbox, number: signal.Signals, code: int, limit: str
) -> None:
    """P19"""
    messages = [PEOPLE, *(person(f"p{i}") for i in range(5))]
    process = autoreach.start(messages, rate_limit=limit, batch_size_rows=1)
    wait_until(lambda: len(patches(sandbox)) == int(limit[0]))
    process.send_signal(number)
    result = autoreach.finish(process)
    assert result.exit_code == code, result.stderr
    assert result.report["outcome"] == "stopped"


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
@pytest.mark.parametrize("fault", [{"retry_after": 60}, {"reset": 60}], ids=str)
def test_a_signal_ends_a_wait_that_the_vendor_asked_for(
    autoreach: Plugin, sandbox: Sandbox, number: signal.Signals, code: int, fault: JSON
) -> None:
    """P19"""
    sandbox.fault(vendor="autoreach", method="PATCH", status=429, times=None, **fault)
    process = autoreach.start([PEOPLE, person("a")])
    wait_until(lambda: patches(sandbox))
    process.send_signal(number)
    result = autoreach.finish(process)
    assert result.exit_code == code, result.stderr
    assert result.report["outcome"] == "stopped"


def test_a_signal_ends_the_wait_for_input_that_it_does_not_interrupt(
    autoreach: Plugin, sandbox: Sandbox
) -> None:
    """P19: one that comes in the moment before a wait begins is such a signal."""
    process = autoreach.start(None)
    assert isinstance(process, Forked)
    assert process.stdin
    process.stdin.write(b"".join(json.dumps(m).encode() + b"\n" for m in (PEOPLE, person("a"))))
    wait_read(process.stdin)
    terminate_elsewhere(process)
    assert process.wait(20) == 143
    result = autoreach.finish(process)
    assert result.report["outcome"] == "stopped"


def test_a_signal_ends_the_wait_of_a_tap(sandbox: Sandbox, tmp_path: Path) -> None:
    """P19"""
    tap = Tap("tap-autoreach", sandbox, tmp_path, rate_limit="1/60s")
    process = tap.start()
    wait_until(lambda: sandbox.requests("autoreach"))
    process.send_signal(signal.SIGTERM)
    assert tap.finish(process).exit_code == 143


# --- a report however a run ends ----------------------------------------------------------------


def reported(plugin: Plugin, result: Result) -> None:
    assert result.report, result.stderr
    assert result.report["outcome"] in ("stopped", "failed")
    assert result.report["error"]


def test_there_is_a_report_though_the_ledger_went_away(
    autoreach: Plugin, sandbox: Sandbox, postgresql: str
) -> None:
    """P19"""
    database = postgresql.replace("/postgres?", "/goes_away?")
    with psycopg.connect(postgresql, autocommit=True) as connection:
        connection.execute("CREATE DATABASE goes_away")
    sandbox.fault(vendor="autoreach", method="PATCH", hold="x")
    process = autoreach.start([PEOPLE, person("a")], ledger_url=database)
    sandbox.wait_held("x")
    with psycopg.connect(postgresql, autocommit=True) as connection:
        connection.execute("DROP DATABASE goes_away WITH (FORCE)")
    sandbox.release("x")
    result = autoreach.finish(process)
    assert result.exit_code == 1
    assert "Traceback" not in result.stderr
    reported(autoreach, result)


def test_there_is_a_report_though_the_ledgers_file_is_damaged(
    autoreach: Plugin, sandbox: Sandbox
) -> None:
    """P19"""
    sandbox.fault(vendor="autoreach", method="PATCH", hold="x")
    process = autoreach.start([PEOPLE, person("a"), person("b")], batch_size_rows=1)
    sandbox.wait_held("x")
    for path in autoreach.work_dir.glob("*.db*"):
        path.write_bytes(b"no database at all" * 500)
    sandbox.release("x")
    result = autoreach.finish(process)
    assert result.exit_code == 1
    assert "Traceback" not in result.stderr
    reported(autoreach, result)


# --- the end of input ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("tail", "complete"),
    [
        ([state({"at": 1})], True),
        ([state({"at": 1}), person("late")], False),
        ([], False),
    ],
)
def test_records_after_the_last_state_make_the_input_incomplete(
    autoreach: Plugin, tail: list[JSON], complete: bool
) -> None:
    """P20"""
    result = autoreach.run([PEOPLE, *(person(f"p{i}") for i in range(3)), *tail])
    assert result.exit_code == 0
    assert result.report["input_complete"] is complete
    assert ("incomplete" in result.stderr.lower()) is not complete


def test_a_tap_that_dies_leaves_an_incomplete_input(
    autoreach: Plugin, sandbox: Sandbox, tmp_path: Path
) -> None:
    """P20: in a pipeline the target sees a clean end of input."""
    lines = [json.dumps(message) for message in (PEOPLE, *(person(f"p{i}") for i in range(281)))]
    source = tmp_path / "tap.sh"
    (tmp_path / "rows").write_text("\n".join(lines) + "\n")
    source.write_text(f"cat {tmp_path / 'rows'}; kill -9 $$\n")
    tap = subprocess.Popen(["/bin/sh", str(source)], stdout=subprocess.PIPE)
    config = tmp_path / "piped.json"
    config.write_text(json.dumps(autoreach.config))
    done = subprocess.run(
        [str(SCRIPTS / autoreach.name), "--config", str(config)],
        stdin=tap.stdout, capture_output=True, text=True, timeout=60, cwd=tmp_path,
    )  # fmt: skip
    tap.wait()
    assert done.returncode == 0, done.stderr
    assert len(people(sandbox)) == 281
    assert autoreach.report()["input_complete"] is False


# --- answers that never end ---------------------------------------------------------------------


@pytest.mark.parametrize("vendor", ["autoreach", "rei"])
def test_the_timeout_bounds_the_whole_answer(
    request: pytest.FixtureRequest, sandbox: Sandbox, vendor: str
) -> None:
    """H24"""
    plugin: Plugin = request.getfixturevalue(vendor)
    stream, method = ("people", "PATCH") if vendor == "autoreach" else ("contacts", "POST")
    columns = schema(stream, ("id" if vendor == "autoreach" else "key", "email"), ())
    columns["key_properties"] = [next(iter(columns["schema"]["properties"]))]
    row = record(stream, **{columns["key_properties"][0]: "a", "email": "a@example.com"})
    sandbox.fault(vendor=vendor, method=method, drip=0.3)
    begin = time.monotonic()
    result = plugin.run([columns, row], timeout=1)
    assert result.exit_code == 0, result.error
    assert time.monotonic() - begin < 15
    assert len(sandbox.state(vendor)[stream]) == 1


@pytest.mark.parametrize("name", ["tap-reisoftware", "tap-autoreach"])
def test_a_tap_gives_a_dripping_page_up(sandbox: Sandbox, tmp_path: Path, name: str) -> None:
    """H24"""
    vendor = "rei" if "rei" in name else "autoreach"
    sandbox.seed()
    sandbox.fault(vendor=vendor, method="GET", drip=0.1)
    begin = time.monotonic()
    assert Tap(name, sandbox, tmp_path, timeout=1).read().messages
    assert time.monotonic() - begin < 30


def test_a_signal_ends_a_run_whose_answer_drips(autoreach: Plugin, sandbox: Sandbox) -> None:
    """H24"""
    sandbox.fault(vendor="autoreach", method="PATCH", drip=0.5, times=None)
    process = autoreach.start([PEOPLE, person("a")], timeout=3, max_retries=0)
    wait_until(lambda: patches(sandbox))
    process.send_signal(signal.SIGTERM)
    begin = time.monotonic()
    result = autoreach.finish(process)
    assert time.monotonic() - begin < 10
    assert result.exit_code in (1, 143)
    assert result.report["outcome"] == "stopped"


# --- the clock ----------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("step", [90, -90])
def test_a_clock_that_steps_between_two_runs_lets_no_more_through(
    autoreach: Plugin, sandbox: Sandbox, step: int
) -> None:
    """H27: the second process believes that it is 90 s later (or earlier)."""
    code = f"import time; real = time.time; time.time = lambda: real() + {step}"
    limit: JSON = {"rate_limit": "4/15s", "batch_size_rows": 1}
    many = [PEOPLE, *(person(f"p{i}") for i in range(4))]
    assert autoreach.run(many, **limit).exit_code == 0
    more = [PEOPLE, *(person(f"q{i}") for i in range(4))]
    assert autoreach.finish(start_patched(autoreach, code, more, **limit)).exit_code == 0
    times = sorted(patches(sandbox))
    assert max(len([t for t in times if at <= t < at + 15]) for at in times) <= 4


def test_a_signal_ends_the_wait_for_a_batch_file(autoreach: Plugin) -> None:
    """Kind P19: a file that does not open, as on a disk that hangs."""
    pipe = autoreach.directory / "rows.jsonl"
    os.mkfifo(pipe)
    encoding = {"format": "jsonl"}
    batch = {"type": "BATCH", "stream": "people", "encoding": encoding, "manifest": [str(pipe)]}
    process = autoreach.start([PEOPLE, batch])
    wait_until(lambda: any(autoreach.work_dir.glob("*.db")))
    time.sleep(1)  # until it waits for the file
    try:
        process.send_signal(signal.SIGTERM)
        process.wait(timeout=20)
    finally:
        process.kill()
    result = autoreach.finish(process)
    assert result.exit_code == 143, result.stderr
    assert result.report["outcome"] == "stopped"
