"""`target-x --history [N]`: the last runs, a line each."""

from __future__ import annotations

import datetime
import json

import click

from singer_http.operations import JSON
from singer_http.store.database import Database
from singer_http.store.runs import RUNNING, Runs, StoredRun
from singer_http.target.plan import Plan

COUNTS = ("received", "unchanged", "created", "updated", "upserted", "deleted", "rejected")


def history(plan: Plan, number: int) -> bool:
    """Print the last runs of a plugin, the newest first."""
    database = Database(plan.database_url)
    try:
        found = Runs(database).last(plan.name, number)
    finally:
        database.close()
    for run in found:
        click.echo(_line(run))
    if not found:
        click.echo(f"No run of {plan.name} is in the database.")
    return True


def _line(run: StoredRun) -> str:
    report: JSON = json.loads(run.report)
    began = datetime.datetime.fromtimestamp(run.started_at, datetime.UTC)
    seconds = "" if run.finished_at is None else f"{run.finished_at - run.started_at} s"
    outcome = RUNNING if run.outcome == RUNNING else report["outcome"]
    counts = [
        f"{name} {total:,}"
        for name in COUNTS
        if (total := sum(stream.get(name, 0) for stream in report["streams"].values()))
    ]
    parts = [
        f"{began:%Y-%m-%d %H:%M:%SZ}",
        run.run,
        report["account"],
        report["sync"],
        outcome,
        seconds,
        ", ".join(counts) or "no records",
        report["error"] or "",
    ]
    return "  ".join(part for part in parts if part)
