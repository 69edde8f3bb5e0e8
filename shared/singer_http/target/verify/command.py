"""`target-x --verify [--repair]`: what this sync delivered against what the vendor has now."""

from __future__ import annotations

import datetime
import logging
import time
from collections.abc import Iterator
from functools import partial
from typing import Any

import click

from singer_http.errors import Cancelled, ConfigError, Interrupted, StopRun, one_line
from singer_http.operations import JSON
from singer_http.report import drift as report
from singer_http.report.drift import Drift, StreamDrift
from singer_http.report.rejects_summary import shape
from singer_http.sink.base import HTTPSink
from singer_http.sink.fields import FieldHashes
from singer_http.sink.kinds import ReadableSink
from singer_http.sink.overwrite import restricts
from singer_http.target.plan import Plan
from singer_http.target.run import TargetRun
from singer_http.target.verify.notes import Difference, Totals
from singer_http.target.verify.repair import Repaired, repair, too_many
from singer_http.target.verify.stream import StreamCheck

PARTS = "they belong to a contact: only records of their own can be compared"
ONCE = "they are sent at most once, and cannot be read back"
NO_REQUEST = "the vendor has no request that reads them back"


def check_possible(plan: Plan, *, marks: bool) -> None:
    """Refuse settings that exclude a comparison, before the database is opened.

    Raises:
        ConfigError: there is no ledger, or `dry_run` forbids marks.
    """
    if plan.config.get("ledger_url") == "none":
        raise ConfigError("--verify needs a ledger: ledger_url must not be 'none'.")
    if marks and plan.config["dry_run"]:
        raise ConfigError(
            "--repair marks records in the database, which dry_run forbids: leave dry_run out."
        )


class Verification:
    """One comparison of all streams of a sync."""

    def __init__(self, plan: Plan, run: TargetRun, logger: logging.Logger, *, marks: bool) -> None:
        """Compare nothing yet.

        Args:
            plan: what this target is.
            run: an opened one: no other run of the sync is under way.
            logger: for the user.
            marks: `--repair` was given.
        """
        self._plan = plan
        self._run = run
        self._logger = logger
        self._marks = marks
        self._store = run.session.store
        self._hashes = FieldHashes(self._store.ledger.name)
        self._run_names: dict[int, str | None] = {}
        facts = {
            "Account": plan.account,
            "Sync": plan.config["sync"],
            "Compared": _moment(time.time()),
            "Version": plan.version,
        }
        self._drift = Drift(facts, plan.name)
        self._totals: dict[str, Totals] = {}
        self._repaired: dict[str, list[str]] = {}

    def carry_out(self) -> bool:
        """Compare, mark, and tell; whether there is no difference.

        Raises:
            StopRun: not all could be compared, or too much is gone for `--repair`. What was found
                until then is told.
            Interrupted: a signal arrived; as above.
        """
        checks: list[StreamCheck] = []
        error: StopRun | Interrupted | None = None
        refused: StopRun | None = None
        try:
            for check in self._checks():
                checks.append(check)
                check.run()
                # Before anything is marked: what is marked as gone counts as deleted.
                self._totals[check.stream] = check.notes.totals()
            if self._marks:
                refused = self._refused(checks)
                for check in () if refused else checks:
                    self._repair(check)
        except (StopRun, Interrupted) as stopped:
            signum = self._run.session.signal
            ended = isinstance(stopped, Cancelled) and signum is not None
            error = Interrupted(signum) if ended and signum is not None else stopped
            words = one_line(str(stopped)) if isinstance(error, StopRun) else "a signal ended it"
            self._drift.error = f"Not all was compared: {words}"
        self._tell(checks)
        if error is not None:
            raise error
        for check in checks:
            check.end()
        if refused is not None:
            raise refused
        return not self._drift.differences

    # --- the streams --------------------------------------------------------------------------

    def _checks(self) -> Iterator[StreamCheck]:
        """The streams that this sync has delivered and that can be read back."""
        plan, session = self._plan, self._run.session
        scopes = self._store.scopes.streams(session.account, session.sync)
        for kind in plan.sinks:
            scope = scopes.get(kind.stream)
            if scope is None or kind.sends_nothing:
                continue
            if not issubclass(kind, ReadableSink):
                self._drift.unreadable[kind.stream] = _why_not(kind)
                continue
            sink = self._sink(kind)
            yield StreamCheck(
                kind.stream,
                scope,
                self._store,
                sink.reading(),
                partial(self._edited, sink),
                concurrency=plan.config["concurrency"],
                check_signal=session.check_signal,
                logger=self._logger,
            )

    def _sink(self, kind: type[ReadableSink]) -> ReadableSink:
        """A sink to read with: which columns a source has makes no difference."""
        columns: dict[str, Any] = {name: {} for name in kind.supposed}
        return kind(self._run.context, {"properties": columns}, ())

    def _edited(self, sink: ReadableSink, packed: bytes, record: JSON) -> JSON:
        """The fields that were edited: name -> the vendor's value, masked."""
        forms = sink.shown_forms(record)
        if sink.shows_all:
            forms = sink.unset_forms | forms
        edited = self._hashes.edited(packed, forms)
        if not edited:
            return {}
        values = sink.fields_of(record)
        labels = {name: sink.label(name) for name in edited}
        unique = len(set(labels.values())) == len(labels)
        return {labels[name] if unique else name: shape(values.get(name)) for name in edited}

    # --- what was found -----------------------------------------------------------------------

    def _refused(self, checks: list[StreamCheck]) -> StopRun | None:
        """Why nothing is marked, in no stream."""
        config = self._plan.config
        for check in checks:
            found = too_many(check.notes, mode=config["mode"], max_deletes=config["max_deletes"])
            if found is not None:
                self._repaired[check.stream] = ["nothing was marked"]
                return StopRun(f"{check.stream}: {found}.")
        return None

    def _repair(self, check: StreamCheck) -> None:
        done = repair(
            self._store,
            check.notes,
            check.scope,
            mode=self._plan.config["mode"],
            check_signal=self._run.session.check_signal,
        )
        lines = list(_said(done))
        if done.marked and restricts(self._plan.config.get("overwrite")):
            lines.append(
                "`overwrite` still decides: a field that was edited is sent under `always` only"
            )
        self._repaired[check.stream] = lines

    def _tell(self, checks: list[StreamCheck]) -> None:
        """Write the files, and what the screen shows.

        Raises:
            StopRun: the file of differences cannot be written.
        """
        file = self._plan.path("drift.jsonl")
        page = self._plan.path("drift.html")
        shown = None
        for check in checks:
            totals = self._totals.get(check.stream) or check.notes.totals()
            self._drift.streams[check.stream] = StreamDrift(
                totals.delivered,
                totals.same,
                totals.marked,
                totals.skipped,
                repaired=self._repaired.get(check.stream, []),
            )
        try:
            report.write_lines(file, self._lines(checks))
        except OSError as error:
            raise StopRun(
                f"The differences cannot be written to {file} ({error.strerror}): free some space "
                "or check `work_dir`, then run it again: it goes on where it ended."
            ) from None
        written = file if self._drift.differences else None
        try:
            report.write_page(page, self._drift, written)
            shown = page
        except OSError as error:
            self._logger.warning("The page could not be written: %s", error.strerror)
        for line in report.screen(self._drift, file=written, page=shown):
            click.echo(line)

    def _lines(self, checks: list[StreamCheck]) -> Iterator[JSON]:
        for check in checks:
            drift = self._drift.streams[check.stream]
            for differences in check.notes.differences():
                for one in differences:
                    line = self._line(check.stream, one)
                    drift.take(line)
                    yield line

    def _line(self, stream: str, one: Difference) -> JSON:
        return {
            "stream": stream,
            "key": one.key,
            **one.what,
            "delivered_at": _moment(one.at),
            "run": self._run_name(one.run),
            "marked": one.marked is not None,
        }

    def _run_name(self, number: int | None) -> str | None:
        if number is None:
            return None
        if number not in self._run_names:
            found = self._store.runs.of_number(number)
            self._run_names[number] = found.run if found else None
        return self._run_names[number]


def _why_not(kind: type[HTTPSink]) -> str:
    """Why a stream cannot be read back."""
    if kind.at_most_once:
        return ONCE
    return PARTS if kind.names_parent else NO_REQUEST


def _said(done: Repaired) -> Iterator[str]:
    for why, number in done.left.items():
        yield f"{number:,} not marked: {why}"
    if not done.marked:
        return
    yield f"{done.marked:,} marked: the next run that receives them sends them, changed or not"
    if done.outstanding:
        yield f"{done.outstanding:,} of them are rejects: the next run sends them in any case"
    if rest := done.marked - done.outstanding:
        yield (
            f"{rest:,} of them are known to the source only (the ledger holds hashes): an "
            "incremental extract does not bring them unless they change, a full one does (reset "
            "its state)"
        )


def _moment(at: float) -> str:
    return f"{datetime.datetime.fromtimestamp(at, datetime.UTC):%Y-%m-%dT%H:%M:%SZ}"
