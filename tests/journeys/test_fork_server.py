"""A run that is forked ends, and can be ended, as a run of the console script."""

from __future__ import annotations

import json
import os
import resource
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from singer_sandbox import Sandbox
from tests import processes
from tests.front_door import LIMIT, Plugin, record, schema, state

HERE = __name__
PEOPLE = [schema("people", ("id", "email")), record("people", id="a", email="a@example.com")]


def says() -> None:
    """Tell what a program finds when it starts, and end as a program may."""
    import atexit

    atexit.register(print, "at exit")
    told = {
        "argv": sys.argv[1:],
        "cwd": str(Path.cwd()),
        "stdin": sys.stdin.read(),
        "value": os.environ.get("VALUE"),
        "handlers": [signal.getsignal(s) is signal.SIG_DFL for s in (signal.SIGTERM, 17)],
        "interrupt": signal.getsignal(signal.SIGINT) is signal.default_int_handler,
        "leader": os.getsid(0) == os.getpid(),
        "open": len(list(Path("/dev/fd").iterdir())),
    }
    print(json.dumps(told))
    if sys.argv[1] == "raise":
        raise ValueError("on purpose")
    if sys.argv[1] == "text":
        sys.exit("on purpose")
    sys.exit(int(sys.argv[1]))


def run(tmp_path: Path, how: str) -> tuple[int, bytes, bytes]:
    process = processes.start(
        "says",
        [how],
        entry=f"{HERE}:says",
        cwd=tmp_path,
        stdin=subprocess.PIPE,
        env={**os.environ, "VALUE": "7"},
    )
    assert process.stdin
    process.stdin.write(b"typed")
    out, err = process.communicate(timeout=LIMIT)
    return process.wait(), out, err


def test_it_starts_as_any_process_does(tmp_path: Path) -> None:
    code, out, err = run(tmp_path, "0")
    assert (code, err) == (0, b"")
    told, at_exit = out.decode().splitlines()
    assert at_exit == "at exit"
    assert json.loads(told) == {
        "argv": ["0"],
        "cwd": str(tmp_path),
        "stdin": "typed",
        "value": "7",
        "handlers": [True, True],
        "interrupt": True,
        "leader": True,
        "open": 4,  # one of them is the listing's own
    }


@pytest.mark.parametrize(
    ("how", "code", "said"),
    [("3", 3, ""), ("raise", 1, "ValueError: on purpose"), ("text", 1, "on purpose")],
)
def test_it_ends_as_any_process_does(tmp_path: Path, how: str, code: int, said: str) -> None:
    ended, out, err = run(tmp_path, how)
    assert ended == code
    assert out.decode().endswith("at exit\n")
    assert err.decode().strip().endswith(said)


@pytest.mark.parametrize("signum", [signal.SIGKILL, signal.SIGTERM])
def test_a_signal_reaches_it_and_shows_in_its_code(
    people: Plugin, sandbox: Sandbox, signum: int
) -> None:
    sandbox.fault(vendor="autoreach", method="PATCH", hold="x")
    process = people.start(PEOPLE)
    sandbox.wait_held("x")
    assert process.poll() is None
    with pytest.raises(subprocess.TimeoutExpired):
        process.wait(0.01)
    process.send_signal(signum)
    sandbox.release("x")
    assert people.finish(process).exit_code == (-9 if signum == signal.SIGKILL else 143)
    process.kill()  # no error, and nobody else is hit


def test_nothing_of_one_run_is_in_the_next(people: Plugin, sandbox: Sandbox) -> None:
    people.run([*PEOPLE, state({"at": 1})], client_secret="wrong-secret-text")
    assert people.run([*PEOPLE, state({"at": 1})]).states == [{"at": 1}]
    assert len(sandbox.state("autoreach")["people"]) == 1


def test_it_is_waited_for_where_many_files_are_open(tmp_path: Path) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < 2000:
        pytest.skip("not so many may be open here")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, 2000), hard))
    opened = [os.open(os.devnull, os.O_RDONLY) for _ in range(1100)]
    try:
        assert run(tmp_path, "0")[0] == 0
    finally:
        for descriptor in opened:
            os.close(descriptor)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_runs_go_on_side_by_side(people: Plugin, sandbox: Sandbox) -> None:
    sandbox.fault(vendor="autoreach", method="PATCH", hold="x", times=2)
    both = [people.start(PEOPLE, sync=name) for name in ("one", "two")]
    sandbox.wait_held("x", count=2)
    sandbox.release("x")
    assert [people.finish(process).exit_code for process in both] == [0, 0]
