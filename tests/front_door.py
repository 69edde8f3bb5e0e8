"""Running a plugin as a user does: settings and Singer lines in; exit code and files out."""

from __future__ import annotations

import copy
import json
import signal
import subprocess
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from singer_sandbox import Sandbox
from tests import processes
from tests.processes import Process

JSON = dict[str, Any]
SCRIPTS = processes.SCRIPTS
LIMIT = 60.0
"""Seconds that a plugin gets in a test."""

TEXT = {"type": ["string", "null"]}


def schema(
    stream: str, properties: Sequence[str] | Mapping[str, Any], keys: Sequence[str] = ("id",)
) -> JSON:
    """A SCHEMA message; properties given by name are text."""
    if not isinstance(properties, Mapping):
        properties = dict.fromkeys(properties, TEXT)
    return {
        "type": "SCHEMA",
        "stream": stream,
        "schema": {"type": "object", "properties": dict(properties)},
        "key_properties": list(keys),
    }


def record(stream: str, **fields: Any) -> JSON:
    """A RECORD message."""
    return {"type": "RECORD", "stream": stream, "record": fields}


def state(value: Any) -> JSON:
    """A STATE message."""
    return {"type": "STATE", "value": value}


@dataclass
class Result:
    """What a run left."""

    exit_code: int
    stdout: str
    stderr: str
    report: JSON
    rejects: list[JSON]
    """The RECORD lines of the rejects file."""

    @property
    def states(self) -> list[Any]:
        """The STATE values on stdout."""
        return [json.loads(line) for line in self.stdout.splitlines()]

    @property
    def error(self) -> str:
        """The last line on stderr that reports an error, without its prefix."""
        lines = [line for line in self.stderr.splitlines() if "| ERROR" in line]
        return lines[-1].rpartition(" | ")[2] if lines else ""

    def counts(self, stream: str) -> JSON:
        """A stream's counts that are not zero."""
        counts = self.report["streams"][stream]
        return {
            name: value
            for name, value in counts.items()
            if value and name not in {"seconds", "requests", "retries", "notes", "examples"}
        }


class Plugin:
    """A plugin with its settings and its work_dir."""

    started: ClassVar[list[Process]] = []
    """All processes of the test."""

    def __init__(self, name: str, sandbox: Sandbox, directory: Path, **config: Any) -> None:
        self.name = name
        self.sandbox = sandbox
        self.directory = directory
        self.work_dir = directory / "work"
        self.account: str | None = None
        """As it was set in the last run: it is part of the files' names."""
        self.dies_at: tuple[str, int] | None = None
        self.command = [str(processes.SCRIPTS / name)]
        """Another one runs in an interpreter of its own."""
        self.config: JSON = {
            **sandbox.settings(name),
            "rate_limit": "",
            "lookup_wait": 1,
            "work_dir": str(self.work_dir),
            **config,
        }

    def start(
        self, messages: Iterable[JSON | str] | Path | None, *args: str, **config: Any
    ) -> Process:
        """Start it; `messages` become its input, none leaves the input open."""
        settings = {**self.config, **config}
        self.account = settings.get("account")
        sync = settings.get("sync", "default")
        path = self.directory / f"config.{sync}.json"
        path.write_text(json.dumps({k: v for k, v in settings.items() if v is not None}))
        stdin: Any = subprocess.PIPE
        if isinstance(messages, Path):
            stdin = messages.open("rb")
        elif messages is not None:
            lines = self.directory / f"input.{sync}.jsonl"
            lines.write_text(
                "".join(m if isinstance(m, str) else json.dumps(m) + "\n" for m in messages)
            )
            stdin = lines.open("rb")
        process: Process
        if self.command != [str(processes.SCRIPTS / self.name)]:
            process = subprocess.Popen(
                [*self.command, "--config", str(path), *args],
                stdin=stdin,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                cwd=self.directory,
            )
        else:
            process = processes.start(
                self.name,
                ["--config", str(path), *args],
                stdin=stdin,
                cwd=self.directory,
                dies_at=self.dies_at,
            )
        if stdin != subprocess.PIPE:
            stdin.close()
        Plugin.started.append(process)
        return process

    def finish(self, process: Process, sync: str = "default") -> Result:
        """Wait for its end."""
        try:
            out, err = process.communicate(timeout=LIMIT)
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGKILL)
            out, err = process.communicate()
            raise AssertionError(f"{self.name} hung:\n{err.decode()[-2000:]}") from None
        return Result(
            process.wait(), out.decode(), err.decode(), self.report(sync), self.rejects(sync)
        )

    def run(
        self,
        messages: Iterable[JSON | str] | Path,
        *args: str,
        sync: str = "default",
        **config: Any,
    ) -> Result:
        """Run it to its end."""
        if sync != "default":
            config["sync"] = sync
        return self.finish(self.start(messages, *args, **config), sync)

    def dying(self, step: str, nth: int = 1) -> Plugin:
        """The same target, which kills itself at a step (see `dying.py`)."""
        twin = copy.copy(self)
        twin.dies_at = (step, nth)
        return twin

    def path(self, kind: str, sync: str = "default") -> Path:
        """One of its files in work_dir."""
        parts = [self.name, self.account or "", "" if sync == "default" else sync, kind]
        return self.work_dir / ".".join(filter(None, parts))

    def report(self, sync: str = "default") -> JSON:
        """The report, empty if there is none."""
        path = self.path("report.json", sync)
        found: JSON = json.loads(path.read_text()) if path.exists() else {}
        return found

    def rejects(self, sync: str = "default") -> list[JSON]:
        """The RECORD lines of the rejects file."""
        path = self.path("rejects.jsonl", sync)
        if not path.exists():
            return []
        messages = [json.loads(line) for line in path.read_text().splitlines()]
        return [message for message in messages if message["type"] == "RECORD"]


def adds_up(report: JSON) -> bool:
    """Every record of every stream is accounted for."""
    parts = (
        "merged", "unchanged", "created", "updated", "upserted", "deleted", "rejected", "skipped",
    )  # fmt: skip
    return all(
        counts["received"] == sum(counts[part] for part in parts)
        for stream in report["streams"].values()
        for counts in (stream, *([stream["retried"]] if "retried" in stream else []))
    )
