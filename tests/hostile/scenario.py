"""A scenario: pipelines over changing sources, runs with faults and signals, then quiet."""

from __future__ import annotations

import json
import random
import shutil
import tempfile
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.hostile import changes
from tests.hostile.checks import Broken, check_end, check_run
from tests.hostile.faults import MESSAGE, MOST_LAG, WRITE, make_faults, make_signal
from tests.hostile.models.server import Server, World
from tests.hostile.pipeline import WITHOUT, Pipeline, Result, Run, read_result
from tests.hostile.runner import Runner
from tests.hostile.setups import LABELS, PLUGINS, Setup

LIMIT = 60.0
"""Seconds after which a run hangs."""
QUIET_RUNS = 5
"""Runs without faults after which everything has to be settled."""


@dataclass
class Scenario:
    """What one seed means."""

    seed: int
    runner: Runner
    server: Server
    history: list[str] = field(default_factory=list)
    counts: dict[str, int] = field(default_factory=dict)
    """Runs, faults that hit, signals that were sent."""

    def __post_init__(self) -> None:
        """Choose the vendor and the pipelines."""
        self.rng = rng = random.Random(self.seed)
        self.directory = Path(tempfile.mkdtemp(prefix="hostile"))
        name = f"s{self.seed}-{time.monotonic_ns()}"
        self.world = World(lag=rng.choice([0.0, 0.0, 0.2, MOST_LAG]))
        self.server.worlds[name] = self.world
        self.name = name
        plugin = rng.choice([*PLUGINS, "target-reisoftware", "target-actionapi"])
        self.setup = Setup(rng, plugin, self.world, self.server.url(name))
        places = [("one", "default")]
        if rng.random() < 0.35 and "accounts" not in WITHOUT:
            places.append(("two", "default"))
        if rng.random() < 0.35 and "syncs" not in WITHOUT:
            places.append(("one", "second"))
        self.pipelines = [
            Pipeline(rng, "ABC"[i], plugin, account, sync, self.setup, self.directory)
            for i, (account, sync) in enumerate(places)
        ]
        self.say(f"{plugin} lag {self.world.lag} forms {self.setup.forms}")

    def say(self, text: str) -> None:
        """Add to the history."""
        self.history.append(text)

    def count(self, name: str, number: int = 1) -> None:
        """Add to the counts."""
        self.counts[name] = self.counts.get(name, 0) + number

    # --- the course of it ---------------------------------------------------------------------

    def play(self) -> None:
        """Run it all.

        Raises:
            Broken: a promise does not hold.
        """
        try:
            self._start()
            for _ in range(self.rng.randint(1, 3)):
                self._hostile_step()
            self._quiet_phase()
            check_end(self.setup, self.pipelines)
        finally:
            self.world.quiet = True
            del self.server.worlds[self.name]
            shutil.rmtree(self.directory, ignore_errors=True)

    def _start(self) -> None:
        for pipeline in self.pipelines:
            self.say(f"{pipeline}: {pipeline.describe()}")
            for _ in range(self.rng.randint(2, 6)):
                self.say(f"  {changes.insert(pipeline.source)}")
            pipeline.add_existing(self.rng)

    def _hostile_step(self) -> None:
        rng = self.rng
        chosen = [rng.choice(self.pipelines)]
        if len(self.pipelines) > 1 and rng.random() < 0.4:
            chosen.append(rng.choice([p for p in self.pipelines if p is not chosen[0]]))
        for pipeline in chosen:
            made = changes.change(pipeline.source, rng.randint(0, 4))
            self.say(f"{pipeline}: {', '.join(made) or 'no change'}")
        if rng.random() < 0.15:
            self._delete_by_hand(chosen[0])
        streams = chosen[0].streams
        labels = [label for s in streams for label in LABELS.get(s, [MESSAGE])]
        if chosen[0].plugin == "target-emailmarketing":
            labels = [WRITE]
        faults = make_faults(rng, labels)
        signal = make_signal(rng)
        self.world.step(faults, signal)
        runs = [self._begin(pipeline, hostile=True) for pipeline in chosen]
        self.world.send_signal = runs[0].process.send_signal
        timer = None
        if signal and not signal.nth:
            timer = threading.Timer(signal.after, self._signal_now)
            timer.start()
        results = [self._finish(run) for run in runs]
        if timer:
            timer.cancel()
        self.world.send_signal = None
        self.say(f"  {'; '.join(map(str, [*faults, *([signal] if signal else [])]))}")
        self.count("faults", sum(fault.hits for fault in faults))
        self.count("signals", int(bool(signal and signal.sent)))
        for run, result in zip(runs, results, strict=True):
            self._check(run, result, signalled=bool(signal), together=len(runs) > 1)
        if rng.random() < 0.15:
            self._correct(chosen[0])
        if rng.random() < 0.3:
            self.world.wait_until_quiet()

    def _delete_by_hand(self, pipeline: Pipeline) -> None:
        """Somebody deletes a record at the vendor; then its row changes in the source."""
        stream = pipeline.source.person_stream
        if pipeline.mode not in ("upsert", "mirror") or stream in (None, "people"):
            return
        if pipeline.plugin == "target-emailmarketing":
            return
        held = {item.marker: item for item in self.setup.held(pipeline.account, stream or "")}
        people = [p for p in pipeline.source.live() if p.marker in held and not p.contested]
        if not people:
            return
        person = self.rng.choice(people)
        self.setup.remove(pipeline.account, held[person.marker].id)
        person.was_deleted = True
        words = changes.update(pipeline.source, person)
        self.say(f"{pipeline}: deleted by hand at the vendor, then {words}")

    def _signal_now(self) -> None:
        signal, send = self.world.signal, self.world.send_signal
        if signal and send:
            signal.sent = True
            send(signal.signum)

    def _begin(self, pipeline: Pipeline, *, hostile: bool) -> Run:
        rng = self.rng
        early = hostile and rng.random() < 0.12
        extract = pipeline.extract(stop_early=early, swapped=hostile and rng.random() < 0.3)
        config = pipeline.config(rng, hostile=hostile)
        self.count("runs")
        return pipeline.start(self.runner, extract, config)

    def _finish(self, run: Run) -> Result:
        result = read_result(run, LIMIT)
        self.world.ended_early += int(result.code != 0)
        pipeline = run.pipeline
        if result.state is not None:
            pipeline.bookmark = result.state
        marks = "" if run.extract.complete else " (source stopped early)"
        self.say(
            f"  run {pipeline} {dict(run.extract.records)}{marks} -> exit {result.code}, state "
            f"{result.state}, rejects {[str(r) for r in pipeline.rejects()]}"
            + (f", {result.error}" if result.code else "")
        )
        return result

    def _check(self, run: Run, result: Result, *, signalled: bool, together: bool) -> None:
        check_run(run, result, self.setup, signalled=signalled, together=together)

    def _correct(self, pipeline: Pipeline) -> None:
        """The user edits a copy of the rejects and sends it; the source is corrected, too."""
        messages = pipeline.rejects_file()
        corrected = changes.correct(pipeline.source)
        if not corrected:
            return
        lines = []
        for message in messages:
            record = message.get("record", {})
            if message["type"] == "RECORD" and not any(
                isinstance(value, str) and value in corrected for value in record.values()
            ):
                continue
            for name, value in record.items():
                if isinstance(value, str):
                    record[name] = corrected.get(value, value)
            lines.append(json.dumps(message))
        if not any('"RECORD"' in line for line in lines) or pipeline.mode == "mirror":
            return
        self.say(f"{pipeline}: corrected rejects {corrected}")
        self.world.step([], None)
        run = pipeline.start_lines(self.runner, lines, pipeline.config(self.rng, hostile=True))
        result = read_result(run, LIMIT)
        self.count("runs")
        self.say(f"  run {pipeline} of corrected rejects -> exit {result.code} {result.error}")

    # --- the end ------------------------------------------------------------------------------

    def _quiet_phase(self) -> None:
        """No faults any more: run, resolve what is uncertain, until nothing moves."""
        self.world.wait_until_quiet()
        time.sleep(self.world.lag)
        for pipeline in self.pipelines:
            manner = self.rng.choice(["leave", "setting", "command", "command"])
            self.say(f"quiet phase of {pipeline}, uncertain: {manner}")
            previous: Any = None
            for number in range(QUIET_RUNS):
                extra = self._resolve(pipeline, manner) if number else {}
                self.world.step([], None)
                run = self._begin(pipeline, hostile=False)
                if extra:
                    self.say(f"  {extra}")
                    run = self._restart(run, extra)
                result = self._finish(run)
                self._check(run, result, signalled=False, together=False)
                now = (result.code, self.world.writes, pipeline.rejects())
                if result.code == 0 and now == previous and not extra:
                    break
                previous = now
            if result.code != 0:
                raise Broken("heals", f"{pipeline} without faults: exit 1: {result.error}")

    def _restart(self, run: Run, extra: dict[str, str]) -> Run:
        run.process.send_signal(9)
        run.process.wait(LIMIT)
        return run.pipeline.start(self.runner, run.extract, {**run.config, **extra})

    def _resolve(self, pipeline: Pipeline, manner: str) -> dict[str, str]:
        """Say of uncertain records what the vendor's data says; the settings that do."""
        truth = pipeline.uncertain()
        if not truth or manner == "leave":
            return {}
        if manner == "setting":
            if len(set(truth.values())) > 1:
                return {}
            pipeline.said_sent = pipeline.said_sent or any(truth.values())
            return {"uncertain": "drop" if next(iter(truth.values())) else "resend"}
        for (stream, key), sent in truth.items():
            code, text = pipeline.command(
                self.runner, "--resolve", stream, key, "sent" if sent else "unsent"
            )
            pipeline.said_sent = pipeline.said_sent or sent
            self.say(f"  --resolve {stream} {key} {'sent' if sent else 'unsent'} -> {code}")
            if code == 2 and "No such option" in text:
                return {}
            if code != 0:
                raise Broken("resolve", f"--resolve {stream} {key}: exit {code}: {text[-300:]}")
        return {}
