"""One pipeline: a source, a place (account and sync), settings, runs and what they leave."""

from __future__ import annotations

import json
import os
import random
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from typing_extensions import override

from tests.hostile.faults import LOOKUP_WAIT, TIMEOUT
from tests.hostile.models.server import JSON
from tests.hostile.runner import Process, Runner
from tests.hostile.setups import Setup, once_key
from tests.hostile.source import Extract, Source

STREAMS = {
    "target-autoreach": [["people"], ["members"]],
    "target-reisoftware": [
        ["contacts"], ["contacts", "contact_tags"], ["contacts", "contact_campaigns"],
        ["contacts", "contact_tags", "contact_workflows"],
    ],
    "target-emailmarketing": [["contacts"]],
    "target-actionapi": [
        ["contacts"], ["contacts", "automations"], ["sms"], ["calls", "sms"], ["contacts", "sms"],
    ],
}  # fmt: skip
MODES = {
    "people": ["upsert", "upsert", "mirror"],
    "contacts": ["upsert", "upsert", "mirror", "update", "create"],
    "members": ["upsert", "upsert", "mirror", "update", "create"],
}
ONCE = ("contact_workflows", "automations", "calls", "sms")
WITHOUT = os.environ.get("WITHOUT", "").split(",")
"""Kinds that are left out, to look beyond a failure that is known: numeric, accounts, syncs."""
SECOND = "second-"
"""What a second mapping of one source puts before the text and the key."""


@dataclass
class Reject:
    """A line of the rejects file."""

    stream: str
    kind: str
    reason: str
    record: JSON
    target_stream: str
    key: str | None
    """As the ledger knows it; none where it is personal."""

    @override
    def __str__(self) -> str:
        row = {n: v for n, v in self.record.items() if v is not None and not n.startswith("_")}
        return f"{self.target_stream} {self.kind} {json.dumps(row)} ({self.reason[:70]})"


@dataclass
class Run:
    """A run that is under way."""

    pipeline: Pipeline
    process: Process
    extract: Extract
    config: JSON
    out: Path
    err: Path


@dataclass
class Result:
    """What a run left."""

    code: int
    hung: bool
    state: Any
    states: list[Any]
    stderr: str
    report: JSON | None

    @property
    def error(self) -> str:
        """The last line that reports an error."""
        lines = [line for line in self.stderr.splitlines() if "ERROR" in line]
        return lines[-1].rpartition(" | ")[2][:300] if lines else self.stderr[-200:]


class Pipeline:
    """One source into one account, under one sync."""

    def __init__(
        self,
        rng: random.Random,
        name: str,
        plugin: str,
        account: str,
        sync: str,
        setup: Setup,
        directory: Path,
    ) -> None:
        """Choose streams, mode, extraction and settings."""
        self.name, self.plugin, self.account, self.sync = name, plugin, account, sync
        self.setup, self.directory = setup, directory
        self.work_dir = directory / "work"
        self.streams = rng.choice(STREAMS[plugin])
        kasplo = plugin == "target-emailmarketing"
        modes = [["upsert"], MODES.get(self.streams[0], ["upsert"])][len(self.streams) == 1]
        if len(self.streams) > 1 and not set(self.streams) & {*ONCE}:
            modes = ["upsert", "mirror"]
        self.mode = rng.choice(["upsert", "upsert", "create"] if kasplo else modes)
        self.max_deletes = rng.choice([2, 5])
        self.nulls = rng.choice(["omit", "omit", "send"])
        extraction = rng.choice(["full", "table", "table", "log", "log"])
        self.twice = self.streams == ["sms"] and rng.random() < 0.4
        self.said_sent = False
        self.also = "members" if self.streams == ["people"] and rng.random() < 0.35 else None
        """A second stream that the people go to, by a second mapping of their source."""
        options = {
            "streams": self.streams,
            "extraction": "mirror" if self.mode == "mirror" else extraction,
            "numeric": rng.random() < 0.4 and not self.twice and "numeric" not in WITHOUT,
            "null_city": self.nulls == "send",
            "key_only": rng.random() < 0.25,
            "phone_only": not kasplo and rng.random() < 0.5,
            "stable_names": rng.random() < 0.7,
            "has_names": rng.random() < 0.85,
            "lists": kasplo and rng.random() < 0.5,
            "people_key": rng.choice(["id", "external_id"] if not kasplo else ["k", "email"]),
            "view_keys": self.mode == "mirror" and rng.random() < 0.5,
        }
        self.source = Source(rng, name, plugin, options)
        self.bookmark: JSON = {}
        self.existing: dict[str, str] = {}
        """Marker → id of what the vendor had before."""
        self.runs = 0
        self.fixed = {"custom_fields_format": "object"}

    @override
    def __str__(self) -> str:
        return f"{self.name}({self.account}/{self.sync})"

    def describe(self) -> str:
        """Its choices, in a line."""
        options = {n: v for n, v in self.source.options.items() if v not in (False, "")}
        return f"mode {self.mode} nulls {self.nulls} twice {self.twice} also {self.also} {options}"

    def add_existing(self, rng: random.Random) -> None:
        """Some people are at the vendor already."""
        stream = self.source.person_stream
        if stream in (None, "people") or not self.source.options["has_names"]:
            return
        if self.plugin == "target-actionapi" and not self.source.options["stable_names"]:
            return
        for person in self.source.people:
            if rng.random() < 0.3 and not person.contested:
                self.existing[person.marker] = self.setup.add_existing(self.account, person)

    # --- runs ---------------------------------------------------------------------------------

    def config(self, rng: random.Random, *, hostile: bool) -> JSON:
        """The settings of a run; some change from run to run, without a meaning."""
        config: JSON = {
            **self.setup.settings[self.account], "account": self.account, "sync": self.sync,
            "work_dir": str(self.work_dir), "mode": self.mode, "nulls": self.nulls,
            "rate_limit": "", "max_rejects": "", "timeout": TIMEOUT, "lookup_wait": LOOKUP_WAIT,
            "max_retries": rng.choice([1, 2, 3]) if hostile else 3,
            "concurrency": rng.choice([1, 2, 4, 6]), "first_run": True,
        }  # fmt: skip
        if rng.random() < 0.5:
            config["batch_size_rows"] = rng.choice([1, 2, 3])
        if rng.random() < 0.15:
            config["full_resync"] = True
        if self.plugin == "target-reisoftware":
            config["matching"] = rng.choice(["auto", "lookup", "list"])
        if self.mode == "mirror":
            config["mirror_count"] = "n"
            config["max_deletes"] = str(self.max_deletes) if hostile else "100%"
        if "sms" in self.streams and hostile:
            if rng.random() < 0.15:
                config["quiet_hours"] = "00:00-24:00 UTC"
            elif rng.random() < 0.1:
                config["max_messages"] = 2
        if self.also:
            key = self.source.options["people_key"]
            rest = {"id": None} if key == "id" else {}
            config["stream_maps"] = {
                "members": {"__source__": "people", "owner": key, "list_id": "'1'",
                            **rest, "__key_properties__": ["owner"]}}  # fmt: skip
        if self.twice:
            other = {"id": f"'{SECOND}' + id", "text": f"'{SECOND}' + text"}
            config["stream_maps"] = {"second-sms": {"__source__": "sms", **other}}
        return config

    def extract(self, *, stop_early: bool, swapped: bool) -> Extract:
        """What the source gives now."""
        return self.source.extract(self.bookmark, stop_early=stop_early, swapped=swapped)

    def start(self, runner: Runner, extract: Extract, config: JSON) -> Run:
        """Start the target on an extract."""
        self.runs += 1
        stem = self.directory / f"{self.name}{self.runs}"
        stem.with_suffix(".jsonl").write_text("".join(line + "\n" for line in extract.lines))
        stem.with_suffix(".json").write_text(json.dumps(config))
        out, err = stem.with_suffix(".out"), stem.with_suffix(".err")
        process = runner.start(
            [self.plugin, "--config", str(stem.with_suffix(".json"))],
            self.directory,
            {"HOSTILE_CHECKPOINT": "0.02", "HOSTILE_LONGEST_BACKOFF": "0.1"},
            stem.with_suffix(".jsonl"),
            out,
            err,
        )
        return Run(self, process, extract, config, out, err)

    def start_lines(self, runner: Runner, lines: list[str], config: JSON) -> Run:
        """Start the target on lines that are no extract."""
        return self.start(runner, Extract(lines, {}, [], complete=False), config)

    def command(self, runner: Runner, *args: str) -> tuple[int, str]:
        """Call the target with other options; exit code and what it printed."""
        run = self.start_command(runner, args)
        code = run.process.wait(30)
        return code, run.out.read_text() + run.err.read_text()

    def start_command(self, runner: Runner, args: tuple[str, ...]) -> Run:
        """Start a command of the target."""
        self.runs += 1
        stem = self.directory / f"{self.name}{self.runs}"
        config = self.config(random.Random(1), hostile=False)
        stem.with_suffix(".json").write_text(json.dumps(config))
        stem.with_suffix(".jsonl").touch()
        out, err = stem.with_suffix(".out"), stem.with_suffix(".err")
        argv = [self.plugin, "--config", str(stem.with_suffix(".json")), *args]
        process = runner.start(argv, self.directory, {}, stem.with_suffix(".jsonl"), out, err)
        return Run(self, process, Extract([], {}, [], complete=False), config, out, err)

    # --- what runs leave ------------------------------------------------------------------------

    def rejects_file(self) -> list[JSON]:
        """The messages of the rejects files that hold this pipeline's records."""
        found: list[JSON] = []
        for path in sorted(self.work_dir.glob("*.rejects.jsonl")):
            messages = [json.loads(line) for line in path.read_text().splitlines()]
            if path.name in self.own_rejects:
                found += messages
            elif any(self.owns(m["record"]) for m in messages if m["type"] == "RECORD"):
                found += [m for m in messages if m["type"] == "SCHEMA" or self.owns(m["record"])]
        return found

    @property
    def own_rejects(self) -> tuple[str, ...]:
        """The file that holds nothing but this pipeline's rejects, where a sync has a name."""
        named = self.sync != "default"
        return (f"{self.plugin}.{self.account}.{self.sync}.rejects.jsonl",) if named else ()

    def owns(self, record: Mapping[str, Any]) -> bool:
        """The record is one of this source: its marker, its key or its number says so."""
        low = self.name.lower()
        phone = f"+1555{ord(self.name[0]) % 10}"
        for value in record.values():
            text = str(value)
            if text.startswith((f"{self.name}p", f"{self.name}k", phone, f"nonsense {self.name}p")):
                return True
            if text.lower().startswith(f"{low}p") and "@" in text:
                return True
        return False

    def rejects(self) -> list[Reject]:
        """The outstanding rejects of this pipeline. Key-only deletes are taken by their place."""
        found = []
        for message in self.rejects_file():
            if message["type"] != "RECORD":
                continue
            rejection = message["rejection"]
            stream = rejection.get("target_stream") or message["stream"]
            found.append(
                Reject(message["stream"], rejection["kind"], rejection["reason"],
                       message["record"], stream.rpartition("-")[2], rejection.get("key"))
            )  # fmt: skip
        return found

    def uncertain(self) -> dict[tuple[str, str], bool]:
        """Stream and key of what is uncertain → whether it arrived, by the vendor's data."""
        found: dict[tuple[str, str], bool] = {}
        for reject in self.rejects():
            if reject.kind != "uncertain":
                continue
            key = reject.key or self.key_of(reject)
            if key is None:
                continue
            if reject.target_stream in ONCE:
                name = self.message_name(reject)
                sent = name in self.setup.messages(self.account, reject.target_stream)
            else:
                held = self.setup.held(self.account, reject.target_stream)
                marker = self.marker_of(reject)
                sent = any(item.marker == marker for item in held)
            found[reject.target_stream, key] = sent
        return found

    def key_of(self, reject: Reject) -> str | None:
        """The key as it stands in the source."""
        value = reject.record.get(self.source.key_column(reject.stream))
        if isinstance(value, float) and value.is_integer():
            value = int(value)
        return None if value is None else str(value)

    def message_name(self, reject: Reject) -> str:
        """How the vendor's log would name what a reject is about."""
        record = reject.record
        if "text" in record:
            # The mapping puts the same word before the text as before the key.
            second = SECOND if (reject.key or "").startswith(SECOND) else ""
            return second + str(record["text"]).split(" ")[0]
        return once_key(self.name, reject.target_stream, 0,
                        str(record.get("workflowId") or record.get("idAuto")))  # fmt: skip

    def marker_of(self, reject: Reject) -> str | None:
        """Whose record a reject is."""
        key = self.key_of(reject)
        for event in reversed(self.source.events):
            own = self.source.key_value(event.stream, event.key)
            if event.stream == reject.stream and str(own).removesuffix(".0") == key:
                return event.marker
        email = str(reject.record.get("email") or "").lower()
        for person in self.source.people:
            if person.email and person.email.lower() == email:
                return person.marker
        return None


def read_result(run: Run, limit: float) -> Result:
    """Wait for a run's end, and read what it left."""
    hung = False
    try:
        code = run.process.wait(limit)
    except subprocess.TimeoutExpired:
        hung = True
        run.process.send_signal(9)
        code = run.process.wait(limit)
    written = run.out.read_text().splitlines(keepends=True)
    states = [json.loads(line) for line in written if line.endswith("\n")]
    report = None
    for path in run.pipeline.work_dir.glob("*.report.json"):
        if path.stat().st_mtime >= run.out.stat().st_mtime - 60:
            found = json.loads(path.read_text())
            if found["sync"] == run.pipeline.sync and run.config["account"] == found.get(
                "account", run.config["account"]
            ):
                report = found
    text = run.err.read_text()
    return Result(code, hung, states[-1] if states else None, states, text, report)
