"""Runs of a target in the test's own process: a run takes milliseconds, so there can be many.

The target, its client and the sandbox are the real ones; only the pauses between tries are short.
What has to die is run by the fork server (`Runs.plugin`), on the same database.
"""

from __future__ import annotations

import contextlib
import copy
import importlib
import io
import json
import os
import re
from collections.abc import Iterable
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, Phase, settings

from singer_http.errors import SingerHTTPError
from singer_http.target.target import HTTPTarget
from singer_sandbox import Sandbox
from tests.front_door import JSON, Plugin

FACTOR = int(os.environ.get("RULES", "1"))
"""How many times as many random examples as by default (environment variable RULES)."""


def examples(number: int) -> settings:
    """Settings of a property that is tried with so many examples."""
    return settings(
        max_examples=number * FACTOR,
        deadline=None,
        derandomize=bool(os.environ.get("CI")) and FACTOR == 1,
        database=None,
        report_multiple_bugs=False,
        phases=(Phase.generate,) if os.environ.get("NOSHRINK") else tuple(Phase),
        suppress_health_check=list(HealthCheck),
    )


@dataclass
class Ran:
    """What a run left."""

    error: str
    """Why it stopped; empty for exit code 0."""
    states: list[Any]
    report: JSON
    rejects: list[JSON]
    """The RECORD lines of the rejects file."""
    reject_lines: list[bytes]
    """The same lines as they stand there."""
    messages: str
    """What was printed on stderr."""

    def counts(self, stream: str) -> JSON:
        """A stream's counts that are not zero."""
        left_out = {"seconds", "requests", "retries", "notes", "examples"}
        counts = self.report["streams"][stream]
        return {name: value for name, value in counts.items() if value and name not in left_out}

    def kinds(self, key: str) -> dict[Any, str]:
        """Value of a key column -> kind of the rejection."""
        return {r["record"].get(key): r["rejection"]["kind"] for r in self.rejects}


def lines_of(messages: Iterable[JSON | bytes]) -> bytes:
    """Singer lines; a message in bytes stays as it is."""
    return b"".join(
        (m if isinstance(m, bytes) else json.dumps(m).encode()).rstrip(b"\n") + b"\n"
        for m in messages
    )


class Runs:
    """A target with its settings and its work_dir."""

    def __init__(self, name: str, sandbox: Sandbox, directory: Path, **config: Any) -> None:
        self.plugin = Plugin(
            name,
            sandbox,
            directory,
            **{"lookup_wait": 0.02, "max_rejects": "", "first_run": True, **config},
        )
        self.sandbox = sandbox
        entry = next(iter(metadata.entry_points(group="console_scripts", name=name)))
        self._target: type[HTTPTarget] = getattr(
            importlib.import_module(entry.module), entry.attr.partition(".")[0]
        )

    def target(self, **config: Any) -> HTTPTarget:
        """The target of one run."""
        given = copy.deepcopy({**self.plugin.config, **config})
        return self._target(config={k: v for k, v in given.items() if v is not None})

    def run(self, messages: Iterable[JSON | bytes], **config: Any) -> Ran:
        """Run it to its end.

        Raises:
            Exception: the run ended with something else than one clear line.
        """
        out, err = io.TextIOWrapper(io.BytesIO()), io.StringIO()
        error = ""
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            target = self.target(**config)
            try:
                target.deliver(io.BytesIO(lines_of(messages)))
            except SingerHTTPError as stopped:
                error = str(stopped) or type(stopped).__name__
        out.flush()
        written = out.buffer.getvalue()
        lines = self.reject_lines()
        return Ran(
            error,
            [json.loads(line) for line in written.splitlines()],
            self.plugin.report(),
            [json.loads(line) for line in lines],
            lines,
            err.getvalue(),
        )

    def reject_lines(self) -> list[bytes]:
        """The RECORD lines of the rejects file."""
        path = self.plugin.path("rejects.jsonl")
        if not path.exists():
            return []
        lines = path.read_bytes().splitlines()
        return [line for line in lines if json.loads(line)["type"] == "RECORD"]

    def run_and_die(self, step: str, messages: Iterable[JSON | str]) -> list[Any]:
        """Run it in a process that kills itself at a step (`dying.py`); the STATEs it wrote."""
        states = self.plugin.dying(step).run(messages).states
        while Plugin.started:
            Plugin.started.pop().wait()  # a property's many processes would keep their descriptors
        return states

    def resolve(self, stream: str, key: str, how: str) -> None:
        """Settle an uncertain record by a person's word."""
        from singer_http.target.resolve import resolve

        with contextlib.redirect_stderr(io.StringIO()):
            target = self.target()
            run = target.run
            assert resolve(run.session, run.router, type(target).sinks, (stream, key, how))
            run.close()


def fragment(line: bytes) -> bytes:
    """The record of a rejects line as it stands there, to the byte."""
    found = re.search(rb'"record":\s*(.*),"rejection":\{"kind"', line.strip(), re.DOTALL)
    assert found, line
    return found[1]
