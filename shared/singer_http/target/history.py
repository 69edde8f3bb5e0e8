"""`target-x --history [N]` and `--report RUN`: the runs, as the database has them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click

from singer_http.errors import ConfigError
from singer_http.files import atomic_write
from singer_http.operations import JSON
from singer_http.report import page
from singer_http.report.table import DELIVERED, align, closing_lines, table, total
from singer_http.store.database import Database
from singer_http.store.runs import KILLED, RUNNING, Runs, StoredRun
from singer_http.target.plan import Plan

COLUMNS = (
    "run", "started (UTC)", "account", "sync", "mode", "outcome", "received", "unchanged",
    "delivered", "rejected", "outstanding", "seconds", "error",
)  # fmt: skip
WORDS = {"run", "started (UTC)", "account", "sync", "mode", "outcome", "error"}
ERROR = 60
"""Characters of an error that the list shows, at most."""
NAMED = 5
"""Runs that are named where the one that was asked for is not there."""


@contextmanager
def _runs(plan: Plan) -> Iterator[Runs]:
    """The runs to read from. No lock is taken, so that a run may be under way."""
    database = Database(plan.database_url)
    try:
        yield Runs(database)
    finally:
        database.close()


def history(plan: Plan, number: int) -> bool:
    """Print the last runs of a plugin, the newest first."""
    with _runs(plan) as runs:
        rows = [_row(run, runs.report(run)) for run in runs.last(plan.name, number)]
    if not rows:
        click.echo(f"No run of {plan.name} is in the database.")
        return True
    click.echo(align([list(COLUMNS), *rows], words=[name in WORDS for name in COLUMNS]))
    click.echo(f"\nAll of one run: {plan.name} --report RUN")
    return True


def _row(run: StoredRun, report: JSON) -> list[str]:
    rejects = (json.loads(run.page) if run.page else {}).get("rejects")
    error = report["error"] or ""
    return [
        run.run,
        report["started_at"].replace("T", " ").removesuffix("Z"),
        report["account"],
        report["sync"],
        report["mode"],
        "killed" if error == KILLED else report["outcome"],
        f"{total(report, 'received'):,}",
        f"{total(report, 'unchanged'):,}",
        f"{total(report, *DELIVERED):,}",
        f"{total(report, 'rejected'):,}",
        f"{rejects['total']:,}" if rejects else "",
        "" if run.finished_at is None else f"{run.finished_at - run.started_at:,}",
        error if len(error) <= ERROR else f"{error[: ERROR - 1]}…",
    ]


def report_again(plan: Plan, text: str) -> bool:
    """Write the report and the page of one run again, and print its counts and reasons.

    Args:
        plan: what this target is.
        text: the run's name, or a beginning that no other run has.

    Returns:
        bool: false if there is no such run.
    """
    with _runs(plan) as runs:
        found = runs.beginning(plan.name, text)
        last = [run.run for run in runs.last(plan.name, NAMED)]
        report = runs.report(found[0]) if len(found) == 1 else None
    if report is None:
        problem = "Several runs begin with" if found else "No run begins with"
        named = f"the last ones are {', '.join(last)}" if last else "there is none"
        click.echo(f"{problem} {text!r}: {named}.", err=True)
        return False
    extras: JSON = json.loads(found[0].page) if found[0].page else {}
    summary: JSON | None = extras.pop("rejects", None)
    file, page_file = (_path(plan, report["run"], kind) for kind in ("json", "html"))
    try:
        atomic_write(file, json.dumps(report, indent=2).encode() + b"\n")
        page.write(page_file, report | extras, summary)
    except OSError as error:
        raise ConfigError(
            f"The report cannot be written ({error.strerror}): free some space or check `work_dir`."
        ) from None
    lines = [table(report)] if report["streams"] else []
    if report["outcome"] == RUNNING:
        lines.insert(0, "This run is under way. As it was when STATE was last written:")
        lines.append(f"Report page: {page_file}")
    else:
        lines.insert(0, "At the end of this run:")
        # The rejects file is of now, not of that run.
        then = summary and summary | {"path": None}
        lines += closing_lines(report, then, page=page_file)
    click.echo("\n".join([*lines, f"Report: {file}"]))
    return True


def _path(plan: Plan, run: str, kind: str) -> Path:
    """Beside the files of the last run, which stay as they are."""
    return plan.path("report.json").with_name(f"{plan.name}.{run}.report.{kind}")
