"""The runs of the plugins: each one's report, and how it ended."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any, NamedTuple

import sqlalchemy as sa

from singer_http.operations import JSON
from singer_http.store.database import Database
from singer_http.store.tables import runs, same, scopes

RUNNING = "running"
KILLED = (
    "The process ended without a report: it was killed, or the machine or the database went down."
)
KEPT_DAYS = 90
KEPT_RUNS = 100
"""Of each plugin, account and sync: the last runs stay, however old they are."""
PIECE = 500
"""Runs that are read at once."""
NEVER = 2**62
"""Epoch seconds: the end of a run that is under way."""


class StoredRun(NamedTuple):
    """A run as the database has it."""

    id: int
    run: str
    plugin: str
    account: str
    sync: str
    started_at: int
    """Epoch seconds."""
    finished_at: int | None
    """Epoch seconds; `None` while it runs."""
    outcome: str
    """`running`, or as in the report."""
    report: str
    """JSON, as in the report's file."""
    page: str | None
    """JSON: what the page shows besides."""


def lock_name(plugin: str, sync: str, account: str) -> str:
    """What a run holds while it runs; the account as in `scopes`."""
    return f"{plugin} {sync} {account}"


class Runs:
    """Reads and writes the table `runs`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def begin(self, report: JSON, account: str) -> int:
        """Note that a run has begun, under the lock of its sync; its number.

        Args:
            report: as in the report's file.
            account: account and server, as in `scopes`.
        """
        own = _own(report, account)
        # Only one run of a sync holds the lock: another that still runs there was killed.
        for dead in self._select(own & (runs.c.outcome == RUNNING)):
            told = json.dumps(_killed(dead))
            values = {"outcome": "failed", "report": told}
            self._database.execute(runs.update().where(runs.c.id == dead.id).values(**values))
        self._prune(own)
        number = self._insert(report, account)
        self._database.commit()
        return number

    def _insert(self, report: JSON, account: str) -> int:
        inserted = self._database.execute(
            runs.insert().values(
                run=report["run"],
                plugin=report["plugin"],
                account=account,
                sync=_sync(report),
                started_at=int(datetime.fromisoformat(report["started_at"]).timestamp()),
                outcome=RUNNING,
                report=json.dumps(report),
            )
        )
        return int(inserted.inserted_primary_key[0])

    def _prune(self, own: sa.ColumnElement[bool]) -> None:
        last = sa.select(runs.c.id).where(own).order_by(runs.c.id.desc()).limit(KEPT_RUNS)
        old = runs.c.started_at < int(time.time()) - KEPT_DAYS * 86400
        kept = self._database.query(last)
        ids = [row.id for row in kept]
        if len(ids) == KEPT_RUNS:
            self._database.execute(runs.delete().where(own & old & (runs.c.id < min(ids))))

    def save(self, number: int, report: JSON, page: JSON | None = None, *, ended: bool) -> None:
        """Write what a run did so far, or in the end; the caller commits."""
        values: dict[str, Any] = {"report": json.dumps(report)}
        if page is not None:
            values["page"] = json.dumps(page)
        if ended:
            values |= {"outcome": report["outcome"], "finished_at": int(time.time())}
        self._database.execute(runs.update().where(runs.c.id == number).values(**values))

    def record(self, report: JSON, page: JSON, account: str) -> None:
        """Write how a run ended that did not do so while it ran, begun or not; committed."""
        there = self.find(report["run"])
        number = there.id if there else self._insert(report, account)
        self.save(number, report, page, ended=True)
        self._prune(_own(report, account))
        self._database.commit()

    def last(self, plugin: str, limit: int) -> Sequence[StoredRun]:
        """The last runs of a plugin, the newest first."""
        return self._select(runs.c.plugin == plugin, limit)

    def last_of_each(self, since: int) -> Iterator[tuple[StoredRun, JSON]]:
        """The last run of each plugin, account and sync, with its report as `report` gives it.

        The last is what ended last, or is under way. So a run that was not let in, because
        another one was under way, does not hide how that one ended.

        Args:
            since: epoch seconds; only runs that began then or later.
        """
        ended = sa.func.coalesce(
            runs.c.finished_at, sa.case((runs.c.outcome == RUNNING, NEVER), else_=runs.c.started_at)
        )
        own = (runs.c.plugin, runs.c.account, runs.c.sync)
        place = sa.func.row_number().over(
            partition_by=own, order_by=(ended.desc(), runs.c.id.desc())
        )
        ranked = (
            sa.select(runs.c.id, place.label("place")).where(runs.c.started_at >= since).subquery()
        )
        found = self._database.query(sa.select(ranked.c.id).where(ranked.c.place == 1))
        ids = sorted(row.id for row in found)
        for start in range(0, len(ids), PIECE):
            some = self._select(runs.c.id.in_(ids[start : start + PIECE]))
            running = [run for run in some if run.outcome == RUNNING]
            held = self._database.held(map(_lock_of, running)) if running else set()
            for run in some:
                yield run, self._report(run, under_way=_lock_of(run) in held)

    def without_run(self, since: int) -> list[tuple[str, str]]:
        """The accounts (without servers) and syncs of the ledger without a run, sorted.

        Args:
            since: epoch seconds; a run that began then or later counts.
        """
        ran = (
            (runs.c.account == scopes.c.account)
            & (runs.c.sync == scopes.c.sync)
            & (runs.c.started_at >= since)
        )
        moved = sa.select(same.c.account)
        found = self._database.query(
            sa.select(scopes.c.account, scopes.c.sync)
            .distinct()
            .outerjoin(runs, ran)
            .where(runs.c.id.is_(None) & scopes.c.account.not_in(moved))
        )
        return sorted((row.account.rpartition(" ")[0], row.sync) for row in found)

    def accounts(self, plugin: str) -> list[str]:
        """The accounts (with servers) that a plugin wrote into, the last one first."""
        found = self._database.query(
            sa.select(runs.c.account)
            .where(runs.c.plugin == plugin)
            .group_by(runs.c.account)
            .order_by(sa.func.max(runs.c.id).desc())
        )
        return [row.account for row in found]

    def find(self, run: str) -> StoredRun | None:
        """A run by the name that its report has."""
        found = self._select(runs.c.run == run)
        return found[0] if found else None

    def beginning(self, plugin: str, text: str) -> Sequence[StoredRun]:
        """The runs of a plugin whose names begin with a text, the newest first; at most 2."""
        own = runs.c.plugin == plugin
        return self._select(own & runs.c.run.startswith(text, autoescape=True), 2)

    def report(self, run: StoredRun) -> JSON:
        """The report of a run. One that is under way has the outcome `running`.

        One whose process is gone has `failed`, as it gets when the next run of its sync begins.
        """
        under_way = run.outcome == RUNNING and self._database.is_locked(_lock_of(run))
        return self._report(run, under_way=under_way)

    @staticmethod
    def _report(run: StoredRun, *, under_way: bool) -> JSON:
        report: JSON = json.loads(run.report)
        if run.outcome != RUNNING:
            return report
        return report | {"outcome": RUNNING} if under_way else _killed(run)

    def of_number(self, number: int) -> StoredRun | None:
        """A run by its number in the ledger."""
        found = self._select(runs.c.id == number)
        return found[0] if found else None

    def _select(
        self, where: sa.ColumnElement[bool], limit: int | None = None
    ) -> Sequence[StoredRun]:
        columns = [runs.c[name] for name in StoredRun._fields]
        found = self._database.query(
            sa.select(*columns).where(where).order_by(runs.c.id.desc()).limit(limit)
        )
        return [StoredRun(*row) for row in found]


def _own(report: JSON, account: str) -> sa.ColumnElement[bool]:
    """The runs of the same plugin, account (as in `scopes`) and sync."""
    return sa.and_(
        runs.c.plugin == report["plugin"],
        runs.c.account == account,
        runs.c.sync == _sync(report),
    )


def _sync(report: JSON) -> str:
    """Empty for a tap: its runs are no runs of the pipeline that delivers."""
    return str(report.get("sync", ""))


def _lock_of(run: StoredRun) -> str:
    return lock_name(run.plugin, run.sync, run.account)


def _killed(run: StoredRun) -> JSON:
    """The report of a run that did not write how it ended."""
    report: JSON = json.loads(run.report)
    return report | {"outcome": "failed", "error": KILLED}
