"""Running a tap as Meltano does: settings, catalog and state in; messages out."""

from __future__ import annotations

import json
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from singer_sandbox import Sandbox
from tests import processes
from tests.front_door import JSON, LIMIT
from tests.processes import Process


@dataclass
class Tapped:
    """What a run of a tap left."""

    exit_code: int
    stdout: str
    stderr: str

    @property
    def messages(self) -> list[JSON]:
        """The messages, in their order."""
        return [json.loads(line) for line in self.stdout.splitlines()]

    def records(self, stream: str) -> list[JSON]:
        """The records of a stream, in their order."""
        return [
            message["record"]
            for message in self.messages
            if message["type"] == "RECORD" and message["stream"] == stream
        ]

    def properties(self, stream: str) -> JSON:
        """The properties that a stream's SCHEMA declares."""
        found: JSON = next(
            message["schema"]["properties"]
            for message in self.messages
            if message["type"] == "SCHEMA" and message["stream"] == stream
        )
        return found

    @property
    def state(self) -> JSON:
        """The last STATE."""
        states = [message["value"] for message in self.messages if message["type"] == "STATE"]
        found: JSON = states[-1]
        return found

    @property
    def streams(self) -> set[str]:
        """The streams that have a SCHEMA."""
        return {message["stream"] for message in self.messages if message["type"] == "SCHEMA"}

    @property
    def error(self) -> str:
        """The one line that says why it ended; there is no traceback."""
        assert "Traceback" not in self.stderr, self.stderr
        (line,) = [line for line in self.stderr.splitlines() if "| ERROR" in line]
        assert self.exit_code == 1
        return line.split(" | ", 3)[-1]


class Tap:
    """A tap with its settings and its files."""

    def __init__(self, name: str, sandbox: Sandbox, directory: Path, **config: Any) -> None:
        self.name = name
        self.sandbox = sandbox
        self.directory = directory
        self.config: JSON = {
            **sandbox.settings(name),
            "rate_limit": "",
            "work_dir": str(directory / "work"),
            **config,
        }

    def start(
        self,
        *args: str,
        state: JSON | None = None,
        catalog: JSON | None = None,
        **config: Any,
    ) -> Process:
        """Start it."""
        arguments = ["--config", self._file("config", {**self.config, **config}), *args]
        if state is not None:
            arguments += ["--state", self._file("state", state)]
        if catalog is not None:
            arguments += ["--catalog", self._file("catalog", catalog)]
        # Files: a pipe that nobody reads would hold the tap up.
        with (self.directory / "out").open("wb") as out, (self.directory / "err").open("wb") as err:
            return processes.start(self.name, arguments, stdout=out, stderr=err, cwd=self.directory)

    def finish(self, process: Process) -> Tapped:
        """Wait for its end."""
        try:
            process.wait(LIMIT)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            raise AssertionError(f"{self.name} hung:\n{self._text('err')[-2000:]}") from None
        return Tapped(process.wait(), self._text("out"), self._text("err"))

    def wait_for(self, words: str) -> None:
        """Wait until these words are on its stderr."""
        processes.wait_until(lambda: words in self._text("err"))

    def run(self, *args: str, **options: Any) -> Tapped:
        """Run it to its end."""
        return self.finish(self.start(*args, **options))

    def read(self, *args: str, **options: Any) -> Tapped:
        """Run it to its end, which is a good one."""
        done = self.run(*args, **options)
        assert done.exit_code == 0, done.stderr
        return done

    def discover(self, **config: Any) -> JSON:
        """The catalog."""
        catalog: JSON = json.loads(self.read("--discover", **config).stdout)
        return catalog

    def _text(self, name: str) -> str:
        return (self.directory / name).read_text()

    def _file(self, name: str, content: JSON) -> str:
        path = self.directory / f"{name}.json"
        path.write_text(json.dumps({k: v for k, v in content.items() if v is not None}))
        return str(path)


def only(catalog: JSON, *streams: str, without: tuple[str, ...] = ()) -> JSON:
    """A catalog in which only these streams are selected, and not these of their properties."""
    for entry in catalog["streams"]:
        for item in entry["metadata"]:
            crumb = item["breadcrumb"]
            if not crumb:
                item["metadata"]["selected"] = entry["tap_stream_id"] in streams
            elif crumb[-1] in without:
                item["metadata"]["selected"] = False
    return catalog
