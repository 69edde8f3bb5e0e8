"""The end of a run: settled and closed, told in files, on stderr, in the database, by `notify`."""

from __future__ import annotations

import logging
import sys
from pathlib import Path

from singer_http.errors import ConfigError, NoDatabase, StopRun, one_line
from singer_http.operations import JSON
from singer_http.report import page
from singer_http.report.counts import Report
from singer_http.report.notify import notify
from singer_http.report.table import closing_lines
from singer_http.store.database import Database
from singer_http.store.runs import Runs
from singer_http.target.plan import Plan
from singer_http.target.run import TargetRun


def end(
    plan: Plan,
    report: Report,
    run: TargetRun | None,
    error: BaseException | None,
    logger: logging.Logger,
) -> BaseException | None:
    """Settle, report, close; the error that the run ends with.

    Args:
        plan: what the run was about.
        report: its counts.
        run: `None` if it ended before its database was open.
        error: what ended it, if anything did.
        logger: for the user.
    """
    problem = run.settle() if run else None
    error = error or problem
    if error is not None:
        report.finish(error)
    ending = _Ending(plan, report, run, logger)
    ending.write()
    ending.record(can_open=not isinstance(error, NoDatabase))
    if run is not None:
        problem = run.close()
        error = error or problem
    notify(plan.config.get("notify") or (), report.as_dict(), ending.summary)
    return error


class _Ending:
    """What a run leaves to read. Nothing here fails a run."""

    def __init__(
        self, plan: Plan, report: Report, run: TargetRun | None, logger: logging.Logger
    ) -> None:
        self._plan = plan
        self._report = report
        self._run = run
        self._logger = logger
        self.summary: JSON | None = None
        """Of the rejects; `None` where they are not known."""
        if run is not None:
            try:
                self.summary = run.rejects_summary()
            except Exception as error:  # noqa: BLE001 - explaining is no reason to fail
                logger.warning("The rejects could not be summed up: %s", one_line(str(error)))

    def write(self) -> None:
        """The report's files, and what the user reads on stderr."""
        report = self._report
        try:
            report.write(self._plan.path("report.json"))
        except OSError as error:
            self._logger.warning("The report could not be written: %s", error.strerror)
        except ConfigError as error:
            self._logger.warning("The report could not be written: %s", error)
        lines = [report.table()] if report.streams else []
        stored = report.as_stored()
        lines += closing_lines(stored, self.summary, page=self._write_page(stored))
        print("\n".join(lines), file=sys.stderr)  # noqa: T201 - the user's summary

    def _write_page(self, stored: JSON) -> Path | None:
        try:
            where = self._plan.path("report.html")
            page.write(where, stored, self.summary)
        except Exception as error:  # noqa: BLE001 - a page is no reason for a run to fail
            self._logger.warning("The report's page could not be written: %s", one_line(str(error)))
            return None
        return where

    def record(self, *, can_open: bool) -> None:
        """The report in the database, unless this was a dry run.

        Args:
            can_open: a connection of its own may be tried.
        """
        if self._report.dry_run:
            return
        told, extras = self._report.as_dict(), {**self._report.extras(), "rejects": self.summary}
        try:
            if self._run is not None:
                self._run.session.store.save_run(told, extras, ended=True)
            elif can_open:
                self._record_anew(told, extras)
        except StopRun as error:
            # A connection can be lost while PostgreSQL runs on. A file is no better the next time.
            try:
                if self._run is None or self._plan.database_url.startswith("sqlite"):
                    raise error
                self._record_anew(told, extras)
            except StopRun as last:
                said = one_line(str(last))
                self._logger.warning("The report is not in the database: %s", said)

    def _record_anew(self, report: JSON, extras: JSON) -> None:
        database = Database(self._plan.database_url)
        try:
            Runs(database).record(report, extras, self._plan.ledger_account)
        finally:
            database.close()
