"""What is measured, section by section, and what is wanted of it."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import psutil

from benchmarks import requests as request_counts
from benchmarks import work
from benchmarks.contestants import Stage
from benchmarks.environments import OURS, PEERS, python
from benchmarks.measure import Case, interleave
from benchmarks.pipelines import Pipelines, plan_alone, side_by_side
from benchmarks.report import Report
from demo.postgres import database, postgres


@dataclass(frozen=True)
class Size:
    """How much of everything."""

    records: int
    rounds: int
    latencies: tuple[int, ...]
    """Milliseconds."""
    contacts: int
    linked: int
    """New contacts, updates and tags of `requests`."""
    growth: tuple[int, ...]
    starts: int
    limits: tuple[tuple[str, int], ...]
    """rate_limit, and how many windows to fill."""
    warehouse: tuple[int, int]
    """Rows of whole pipelines, and of the plan alone."""

    def with_(self, **given: int | None) -> Size:
        return replace(self, **{name: value for name, value in given.items() if value})


FULL = Size(
    records=200_000,
    rounds=5,
    latencies=(20, 100),
    contacts=5_000,
    linked=2_000,
    growth=(10_000, 100_000, 1_000_000),
    starts=15,
    limits=(("100/10s", 4), ("20/s", 12)),
    warehouse=(1_000_000, 10_000_000),
)
QUICK = Size(
    records=20_000,
    rounds=2,
    latencies=(20,),
    contacts=400,
    linked=300,
    growth=(10_000, 40_000),
    starts=3,
    limits=(("40/2s", 3), ("20/s", 4)),
    warehouse=(20_000, 50_000),
)

OURS_, PLAIN = "ours", "singer-sdk"
BARE, BARE_8 = "bare loop", "bare loop, 8 connections"


def server(stage: Stage, size: Size, report: Report) -> None:
    """How much the server could do if it did nothing else: its CPU time for each request."""
    process = psutil.Process(stage.sandbox.pid)

    def capacity(case: Case) -> float:
        before = sum(process.cpu_times()[:2])
        case()
        return size.records / (sum(process.cpu_times()[:2]) - before)

    stage.fill(size.records)
    reads = capacity(lambda: stage.bare_command("members", 8).run())
    messages = _people(stage, size.records)
    stage.empty()
    writes = capacity(lambda: stage.bare_command("people", 8, messages).run())
    report.server(reads, writes)


def reading(stage: Stage, size: Size, report: Report) -> None:
    stage.fill(size.records)
    cases: dict[str, Case] = {
        OURS_: stage.tap(),
        PLAIN: stage.plain_tap,
        "airbyte-cdk": stage.airbyte,
        "dlt rest_api": stage.dlt_source,
        BARE: stage.bare_members(1),
        BARE_8: stage.bare_members(8),
    }
    results = interleave("Reading members, 100 a page", size.records, cases, size.rounds)
    report.table(results, PLAIN)
    report.at_least("1. Reading, times a plain tap", results, OURS_, PLAIN, 3.5)


def reading_latency(stage: Stage, size: Size, report: Report) -> None:
    for latency in size.latencies:
        stage.fill(size.records, latency)
        cases = {
            "ours, concurrency 8": stage.tap(concurrency=8),
            BARE_8: stage.bare_members(8),
        }
        title = f"Reading members at {latency} ms a request"
        results = interleave(title, size.records, cases, size.rounds)
        report.table(results, BARE_8)
        name = f"1. Reading at {latency} ms, share of the bare loop"
        report.at_least(name, results, "ours, concurrency 8", BARE_8, 0.8)


def writing(stage: Stage, size: Size, report: Report) -> None:
    count = size.records
    messages = _people(stage, count)
    warehouse = work.warehouse(stage.folder / f"people-{count}.db", count)
    peers: dict[str, Case] = {
        PLAIN: stage.plain_target(messages, count),
        "hotglue-singer-sdk": stage.hotglue(messages, count),
        "dlt destination": stage.dlt_destination(messages, count),
        "drt-core": stage.drt(warehouse, count),
    }
    cases: dict[str, Case] = {
        OURS_: stage.target(messages, count),
        "ours, nothing changed": stage.target_again(messages, count),
        **peers,
        "straight loop": stage.straight_people(messages, count),
        BARE: stage.bare_people(messages, count, 1),
        BARE_8: stage.bare_people(messages, count, 8),
    }
    results = interleave("Writing people, 100 a request", count, cases, size.rounds)
    report.table(results, PLAIN)
    report.at_least("2. Writing, times a plain target", results, OURS_, PLAIN, 5)
    best = results.fastest(list(peers))
    report.at_least(f"2. Writing, times the fastest peer ({best})", results, OURS_, best, 2)
    name = "2. Nothing changed, times the first run"
    report.at_least(name, results, "ours, nothing changed", OURS_, 2)


def writing_latency(stage: Stage, size: Size, report: Report) -> None:
    count = size.records
    messages = _people(stage, count)
    for latency in size.latencies:
        cases = {
            "ours, concurrency 8": stage.target(messages, count, latency, concurrency=8),
            BARE_8: stage.bare_people(messages, count, 8, latency),
        }
        title = f"Writing people at {latency} ms a request"
        results = interleave(title, count, cases, size.rounds)
        report.table(results, BARE_8)
        name = f"2. Writing at {latency} ms, share of the bare loop"
        report.at_least(name, results, "ours, concurrency 8", BARE_8, 0.8)


def singles(stage: Stage, size: Size, report: Report) -> None:
    count, latency = size.contacts, 20
    messages = work.messages(stage.folder / f"contacts-{count}.jsonl", "contacts", count)
    cases = {
        "ours, concurrency 8": stage.contacts(messages, count, latency, concurrency=8),
        BARE_8: stage.bare_contacts(messages, count, latency, 8),
    }
    title = f"New REI contacts at {latency} ms, a lookup and a POST for each"
    results = interleave(title, count, cases, size.rounds)
    report.table(results, BARE_8)
    name = "3. Single writes, share of the bare loop"
    report.at_least(name, results, "ours, concurrency 8", BARE_8, 0.85)


def rate_limit(stage: Stage, size: Size, report: Report) -> None:
    for limit, windows in size.limits:
        number, seconds = _parsed(limit)
        wanted = 0.95 if seconds >= 10 else 0.9
        requests = number * windows
        for processes in (1, 2):
            rows = 100 * requests // processes
            messages = _people(stage, rows)
            stage.fill(rows, latency=20)
            shared = {
                "rate_limit": limit,
                "concurrency": 8,
                "work_dir": str(stage.folder / "shared" / f"{processes}-{number}"),
            }
            commands = [stage.tap_command("tap", **shared)]
            if processes == 2:
                commands.append(stage.target_command("target-autoreach", messages, **shared))
            stage.sandbox.log(enabled=True, bodies=False, clear=True)
            started = [(command, *command.start()) for command in commands]
            for command, process, began in started:
                command.end(process, began)
            log = stage.sandbox.requests("autoreach")
            at = sorted(entry["at"] for entry in log if "/api/" in entry["path"])
            most = stage.sandbox.rates("autoreach", seconds)["max"]
            gaps = [after - before for before, after in zip(at, at[number:], strict=False)]
            used = seconds * len(gaps) / sum(gaps)
            who = "one process" if processes == 1 else "a tap and a target"
            report.rate(limit, who, used, most, number, wanted)


def requests(stage: Stage, size: Size, report: Report) -> None:
    report.requests(request_counts.rows(stage, size.linked))


def growth(stage: Stage, size: Size, report: Report) -> None:
    cases = {f"{count:,} rows": stage.target(_people(stage, count), count) for count in size.growth}
    results = interleave("Our target as its rows grow", 1, cases, min(3, size.rounds))
    report.growth(results, {f"{count:,} rows": count for count in size.growth})


def pipelines(stage: Stage, size: Size, report: Report) -> None:
    """Whole pipelines on PostgreSQL, where a thousandth of the rows changed, and none."""
    rows, many = size.warehouse
    rounds = min(3, size.rounds)
    with postgres() as server:
        with database(server, "bench") as url:
            report.pipelines(rows, rounds, side_by_side(Pipelines(stage, url, rows), rounds))
        with database(server, "bench") as url:
            report.plan_alone(many, plan_alone(Pipelines(stage, url, many)))


def start_up(stage: Stage, size: Size, report: Report) -> None:
    plain = {
        kind: stage.about(python("singer_sdk"), PEERS / "singer_sdk" / f"empty_{kind}.py")
        for kind in ("tap", "target")
    }
    ours = sorted(
        path for path in (OURS / "bin").glob("t*-*") if re.match("(tap|target)-", path.name)
    )
    cases = {path.name: stage.about(path) for path in ours}
    cases |= {f"empty singer-sdk {kind}": case for kind, case in plain.items()}
    results = interleave("Start-up: --about", 1, cases, size.starts)
    report.starts(results, [path.name for path in ours])


def _people(stage: Stage, count: int) -> Any:
    return work.messages(stage.folder / f"people-{count}.jsonl", "people", count)


def _parsed(limit: str) -> tuple[int, int]:
    number, _, window = limit.partition("/")
    return int(number), int(window.rstrip("s") or 1)


ALL: dict[str, Callable[[Stage, Size, Report], None]] = {
    "server": server,
    "reading": reading,
    "reading-latency": reading_latency,
    "writing": writing,
    "writing-latency": writing_latency,
    "singles": singles,
    "rate-limit": rate_limit,
    "requests": requests,
    "growth": growth,
    "start-up": start_up,
    "pipelines": pipelines,
}
