"""How each contestant is run; every case checks that all of the work was done."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import requests

from benchmarks import work
from benchmarks.environments import OURS, PEERS, python
from benchmarks.measure import Case, Command, Sample
from singer_sandbox import Sandbox

BARE = Path(__file__).with_name("bare.py")
STRAIGHT = Path(__file__).with_name("straight.py")


class Stage:
    """The sandbox, a folder for files, and the cases that play on them."""

    def __init__(self, sandbox: Sandbox, folder: Path) -> None:
        self.sandbox = sandbox
        self.folder = folder

    # --- the vendor ---------------------------------------------------------------------------

    def empty(self, latency: float = 0) -> None:
        """Nothing in it, nothing logged; what is written is kept unread until it is counted."""
        self.sandbox.reset()
        self.sandbox.log(enabled=False, clear=True)
        self.sandbox.options("autoreach", people_store="lazy", latency_ms=latency)
        self.sandbox.options("rei", latency_ms=latency)
        fields = [{"key": name, "name": name} for name in work.CUSTOM_FIELDS]
        self.sandbox.put_state("autoreach", {"custom_fields": fields})

    def fill(self, members: int, latency: float = 0) -> None:
        """So many members to read, and every page made once before anybody is measured."""
        self.empty()
        self.sandbox.fill("autoreach", members=members)
        self.bare_members(1)()
        self.sandbox.options("autoreach", latency_ms=latency)

    @property
    def vendor(self) -> dict[str, str]:
        """Address, and a token for those that do not buy their own."""
        settings = self.sandbox.settings("tap-autoreach")
        session = requests.Session()
        session.trust_env = False
        bought = session.post(
            settings["auth_url"],
            json={
                "grant_type": "client_credentials",
                "client_id": settings["client_id"],
                "client_secret": settings["client_secret"],
                "audience": "https://www.autoreach.app/",
            },
            timeout=30,
        )
        return {"api_url": settings["api_url"], "token": bought.json()["access_token"]}

    def _fresh(self, name: str) -> Path:
        folder = self.folder / name
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        return folder

    def _json(self, path: Path, value: Any) -> Path:
        path.write_text(json.dumps(value))
        return path

    # --- reading ------------------------------------------------------------------------------

    def _read(self, command: Command, mark: bytes = b'"RECORD"') -> Sample:
        sample = command.run()
        with command.output.open("rb") as lines:
            came = sum(mark in line[:40] for line in lines)
        expected = self.sandbox.sizes("autoreach")["sizes"]["members"]
        if came != expected:
            raise RuntimeError(f"{came} of {expected} records came")
        return sample

    def tap(self, **settings: Any) -> Case:
        """Our tap, members selected."""
        return lambda: self._read(self.tap_command("tap", **settings))

    def tap_command(self, name: str, **settings: Any) -> Command:
        folder = self._fresh(name)
        given = self.sandbox.settings("tap-autoreach") | {"rate_limit": "", **settings}
        # Discovery has its own run and settings: it must not use up the limit of what is measured.
        plugin = OURS / "bin" / "tap-autoreach"
        unlimited = self._json(folder / "discover.json", given | {"rate_limit": ""})
        discover = Command([plugin, "--config", unlimited, "--discover"], folder)
        discover.run()
        catalog = json.loads(discover.output.read_bytes())
        for stream in catalog["streams"]:
            for entry in stream["metadata"]:
                if not entry["breadcrumb"]:
                    entry["metadata"]["selected"] = stream["tap_stream_id"] == "members"
        arguments = ["--config", self._json(folder / "config.json", given)]
        arguments += ["--catalog", self._json(folder / "catalog.json", catalog)]
        return Command([plugin, *arguments], folder)

    def plain_tap(self) -> Sample:
        folder = self._fresh("plain_tap")
        config = self._json(folder / "config.json", self.vendor)
        script = PEERS / "singer_sdk" / "tap.py"
        return self._read(Command([python("singer_sdk"), script, "--config", config], folder))

    def airbyte(self) -> Sample:
        folder = self._fresh("airbyte")
        config = self._json(folder / "config.json", self.vendor)
        stream = {"name": "members", "json_schema": {}, "supported_sync_modes": ["full_refresh"]}
        catalog = {
            "streams": [
                {
                    "stream": stream,
                    "sync_mode": "full_refresh",
                    "destination_sync_mode": "overwrite",
                }
            ]
        }
        program = python("airbyte_cdk").with_name("source-declarative-manifest")
        arguments = ["--manifest-path", PEERS / "airbyte_cdk" / "manifest.yaml"]
        arguments += ["--catalog", self._json(folder / "catalog.json", catalog)]
        return self._read(Command([program, "read", "--config", config, *arguments], folder))

    def dlt_source(self) -> Sample:
        folder = self._fresh("dlt_source")
        arguments = [python("dlt"), PEERS / "dlt" / "tap.py", *self.vendor.values()]
        return self._read(Command(arguments, folder, environment=QUIET))

    def bare_members(self, connections: int) -> Case:
        """The physical limit of reading."""
        return lambda: self._read(self.bare_command("members", connections))

    # --- writing ------------------------------------------------------------------------------

    def _write(self, command: Command, count: int) -> Sample:
        sample = command.run()
        there = self.sandbox.sizes("autoreach")["sizes"]["people"]
        if there != count:
            raise RuntimeError(f"{there} of {count} people are there")
        return sample

    def target(self, messages: Path, count: int, latency: float = 0, **settings: Any) -> Case:
        """Our target's first run, with a ledger that is empty."""

        def case() -> Sample:
            self.empty(latency)
            command = self.target_command("target-autoreach", messages, **settings)
            sample = self._write(command, count)
            people = self._report(command.folder, "target-autoreach")["people"]
            return replace(sample, stream=people["seconds"])

        return case

    def target_again(self, messages: Path, count: int, **settings: Any) -> Case:
        """The same input once more: nothing changed, nothing is sent."""

        def case() -> Sample:
            self.empty()
            again = self.target_command("target-autoreach", messages, fresh=False, **settings)
            sample = self._write(again, 0)
            self._check_report(again.folder, "target-autoreach", "people", unchanged=count)
            return sample

        return case

    def target_command(
        self, plugin: str, messages: Path, *, fresh: bool = True, **settings: Any
    ) -> Command:
        folder = self._fresh(plugin) if fresh else self.folder / plugin
        given = self.sandbox.settings(plugin) | {"rate_limit": "", **settings}
        config = self._json(folder / "config.json", given)
        return Command([OURS / "bin" / plugin, "--config", config], folder, stdin=messages)

    def _report(self, folder: Path, plugin: str) -> dict[str, Any]:
        report = json.loads((folder / ".singer-http" / f"{plugin}.report.json").read_bytes())
        return dict(report["streams"])

    def _check_report(self, folder: Path, plugin: str, stream: str, **expected: int) -> None:
        counts = self._report(folder, plugin)[stream]
        found = {name: counts[name] for name in expected}
        if found != expected:
            raise RuntimeError(f"{plugin} reports {found}, not {expected}")

    def plain_target(self, messages: Path, count: int) -> Case:
        return lambda: self._peer_target("singer_sdk", messages, count)

    def hotglue(self, messages: Path, count: int) -> Case:
        return lambda: self._peer_target("hotglue", messages, count)

    def _peer_target(self, peer: str, messages: Path, count: int) -> Sample:
        self.empty()
        # hotglue's keeps its state in a folder beside its own.
        folder = self._fresh(f"{peer}/target")
        (folder.parent / ".secrets").mkdir(exist_ok=True)
        config = self._json(folder / "config.json", self.vendor)
        script = PEERS / peer / "target.py"
        command = Command([python(peer), script, "--config", config], folder, stdin=messages)
        return self._write(command, count)

    def dlt_destination(self, messages: Path, count: int) -> Case:
        def case() -> Sample:
            self.empty()
            arguments = [python("dlt"), PEERS / "dlt" / "target.py", *self.vendor.values()]
            folder = self._fresh("dlt_destination")
            return self._write(Command(arguments, folder, messages, QUIET), count)

        return case

    def drt(self, warehouse: Path, count: int) -> Case:
        def case() -> Sample:
            self.empty()
            folder = self._fresh("drt")
            (folder / "drt_project.yml").write_text("name: benchmark\nprofile: warehouse\n")
            (folder / ".drt").mkdir()
            profile = f"warehouse:\n  type: sqlite\n  database: {warehouse}\n"
            (folder / ".drt" / "profiles.yml").write_text(profile)
            (folder / "syncs").mkdir()
            vendor = self.vendor
            sync = (PEERS / "drt" / "people.yml").read_text()
            (folder / "syncs" / "people.yml").write_text(
                sync.replace("{api_url}", vendor["api_url"])
            )
            environment = {**QUIET, "VENDOR_TOKEN": vendor["token"]}
            program = python("drt").with_name("drt")
            return self._write(Command([program, "run"], folder, None, environment), count)

        return case

    def bare_people(self, messages: Path, count: int, connections: int, latency: float = 0) -> Case:
        """The physical limit of writing batches."""

        def case() -> Sample:
            self.empty(latency)
            return self._write(self.bare_command("people", connections, messages), count)

        return case

    def straight_people(self, messages: Path, count: int) -> Case:
        """What bounds a target in Python: the library calls of ours, and nothing to decide."""

        def case() -> Sample:
            self.empty()
            folder = self._fresh("straight")
            arguments = [python("ours"), STRAIGHT, *self.vendor.values(), folder / "ledger.db"]
            return self._write(Command(arguments, folder, messages), count)

        return case

    # --- one at a time --------------------------------------------------------------------------

    def contacts(self, messages: Path, count: int, latency: float, **settings: Any) -> Case:
        """Our target for REI Software: a lookup and a POST for each contact."""

        def case() -> Sample:
            self.empty(latency)
            command = self.target_command("target-reisoftware", messages, **settings)
            return self._written_contacts(command, count)

        return case

    def bare_contacts(self, messages: Path, count: int, latency: float, connections: int) -> Case:
        """The physical limit of the same requests."""

        def case() -> Sample:
            self.empty(latency)
            command = self.bare_command("contacts", connections, messages)
            return self._written_contacts(command, count)

        return case

    def _written_contacts(self, command: Command, count: int) -> Sample:
        sample = command.run()
        there = self.sandbox.sizes("rei")["sizes"]["contacts"]
        if there != count:
            raise RuntimeError(f"{there} of {count} contacts are there")
        return sample

    def bare_command(self, what: str, connections: int, messages: Path | None = None) -> Command:
        """The bare loop."""
        rei = self.sandbox.settings("target-reisoftware")
        where = (
            (rei["api_url"], rei["api_key"]) if what == "contacts" else tuple(self.vendor.values())
        )
        arguments = [python("ours"), BARE, what, *where, str(connections)]
        return Command(arguments, self._fresh("bare"), messages)

    # --- start-up -------------------------------------------------------------------------------

    def about(self, *program: Path) -> Case:
        return Command([*program, "--about"], self._fresh("about")).run


QUIET = {"DO_NOT_TRACK": "1", "RUNTIME__DLTHUB_TELEMETRY": "false", "RUNTIME__LOG_LEVEL": "ERROR"}
"""No telemetry."""
