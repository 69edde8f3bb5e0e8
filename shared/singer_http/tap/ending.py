"""What a run of a tap leaves: its report, in a file and in the database."""

from __future__ import annotations

import json
from collections import Counter

from singer_http.errors import Cancelled, NoDatabase, StopRun, one_line
from singer_http.files import atomic_write
from singer_http.operations import JSON
from singer_http.plugin.base import HTTPPlugin
from singer_http.report.counts import Report
from singer_http.store import DATABASE_FILE
from singer_http.store.database import Database
from singer_http.store.runs import Runs

OF_TARGETS = ("sync", "mode", "dry_run", "input_complete")
"""Members of a target's report that have no meaning for a tap."""


class TapReport:
    """The report of one run of a tap, which begins now.

    Args:
        tap: whose settings, files and database it uses.
    """

    def __init__(self, tap: HTTPPlugin) -> None:
        self._tap = tap
        self._records: Counter[str] = Counter()
        self._report = Report(
            tap.name,
            tap.plugin_version,
            account=tap.account,
            sync="",
            mode="",
            dry_run=False,
            rate_limit=tap.config.get("rate_limit") or "",
        )
        self.timeline = self._report.timeline

    def __enter__(self) -> None:
        """Do nothing: it began when it was made."""

    def __exit__(
        self, _kind: type[BaseException] | None, error: BaseException | None, _where: object
    ) -> None:
        """Write it, also if the run could not go on."""
        self.end(error)

    def add(self, stream: str, records: int) -> None:
        """Count records that were read."""
        self._records[stream] += records

    def as_dict(self) -> JSON:
        """As it stands in the report file."""
        told = self._report.as_dict()
        streams = {name: {"records": number} for name, number in self._records.items()}
        return {k: v for k, v in told.items() if k not in OF_TARGETS} | {"streams": streams}

    def end(self, error: BaseException | None) -> None:
        """Write it where there is a folder or a database for it. Nothing here fails a run.

        A tap may have neither: it needs no disk if its `database_url` is PostgreSQL, and no
        database if it has no rate limit.

        Args:
            error: what ended the run, if anything did.
        """
        if isinstance(error, BrokenPipeError):
            error = Cancelled("The reader of the output has ended")
        if error is not None:
            self._report.finish(error)
        told, tap = self.as_dict(), self._tap
        if tap.work_path.is_dir():
            content = json.dumps(told, indent=2).encode() + b"\n"
            try:
                atomic_write(tap.path("report.json"), content)
            except (OSError, StopRun) as problem:
                tap.logger.warning("The report could not be written: %s", one_line(str(problem)))
        there = tap.config.get("database_url") or (tap.work_path / DATABASE_FILE).is_file()
        if there and not isinstance(error, NoDatabase):
            try:
                self._record(told)
            except StopRun as problem:
                said = one_line(str(problem))
                tap.logger.warning("The report is not in the database: %s", said)

    def _record(self, told: JSON) -> None:
        database = Database(self._tap.database_url)
        try:
            Runs(database).record(told, self._report.extras(), self._tap.ledger_account)
        finally:
            database.close()
