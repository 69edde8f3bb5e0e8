"""What one run of a target owns: its database under a lock, its workers, its deliveries."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from singer_http.delivery.attempt import item_guard
from singer_http.delivery.change_check import ChangeCheck
from singer_http.delivery.delivery import Delivery
from singer_http.delivery.item import Item
from singer_http.delivery.mirror import Mirror
from singer_http.delivery.ownership import Ownership
from singer_http.delivery.parts import Parts
from singer_http.delivery.settlement import RejectLimit, Settlement
from singer_http.delivery.workers import Task, Workers
from singer_http.errors import AlreadyRunning, Interrupted, StopRun
from singer_http.files import atomic_write
from singer_http.operations import Rejection
from singer_http.report.counts import Report
from singer_http.sink.base import HTTPSink
from singer_http.sink.preview import example
from singer_http.store.dry_copy import Pipeline
from singer_http.store.rows import ExportedLine, Scope
from singer_http.store.runs import lock_name
from singer_http.store.store import Store


class Session:
    """Everything that is opened for a run, on the main thread.

    Raises:
        AlreadyRunning: another run of this sync is under way.
        NoDatabase: the database cannot be opened.
    """

    def __init__(
        self,
        config: Mapping[str, Any],
        report: Report,
        logger: logging.Logger,
        *,
        url: str,
        name: str,
        account: str,
        rejects_path: Path,
    ) -> None:
        """Open the database under a lock.

        Args:
            config: the target's settings.
            report: takes the counts.
            logger: for the user.
            url: SQLAlchemy URL of the database.
            name: of the plugin.
            account: whose data this is: account and server.
            rejects_path: where the rejects are exported to.
        """
        self.config = config
        self.report = report
        self.logger = logger
        self.account = account
        self.sync: str = config["sync"]
        self.dry_run: bool = config["dry_run"]
        self.rejects_path = rejects_path
        copied = Pipeline(name, self.sync, account) if self.dry_run else None
        self.store = Store(url, report.run, dry_run_of=copied)
        if not self.store.lock(lock_name(name, self.sync, account)):
            self.store.close()
            raise AlreadyRunning(
                f"Another run of sync {self.sync!r} is under way with the same database: wait "
                "for it to end, or give this pipeline a name of its own with the setting sync."
            )
        self.suppressions = self.store.suppressions(account)
        self.workers = Workers(config["concurrency"])
        self.limit = RejectLimit(config["max_rejects"])
        self.mirror: Mirror | None = None
        if config["mode"] == "mirror":
            self.mirror = Mirror(config["mirror_count"], config["max_deletes"])
        self.signal: int | None = None
        self.schemas: dict[str, bytes] = {}
        """Source stream -> its SCHEMA message in this run."""
        self.deliveries: dict[str, Delivery] = {}
        """Target stream -> its delivery."""
        self._seq = 0
        self._shown: dict[tuple[str, str], int] = {}

    def forget_delivered(self) -> None:
        """No ledger is wanted: what this pipeline delivered before is not known."""
        self.store.ledger.forget_delivered(self.account, self.sync)

    def next_seq(self) -> int:
        """The next number in the order of arrival, from 1."""
        self._seq += 1
        return self._seq

    def check_signal(self) -> None:
        """End the run here if a signal arrived.

        Raises:
            Interrupted: SIGTERM or SIGINT arrived.
        """
        if self.signal is not None:
            raise Interrupted(self.signal)

    # --- streams ------------------------------------------------------------------------------

    def scope(self, stream: str) -> Scope | None:
        """What this pipeline wrote of a stream before; `None` for nothing."""
        return self.store.scopes.find(self.account, self.sync, stream)

    def delivery(self, sink: type[HTTPSink], scope: Scope) -> Delivery:
        """The delivery of a target stream, made at first use."""
        found = self.deliveries.get(sink.stream)
        if found is None:
            found = self.deliveries[sink.stream] = Delivery(
                sink, scope.id, self._parts(sink, scope)
            )
        return found

    def _parts(self, sink: type[HTTPSink], scope: Scope) -> Parts:
        store = self.store
        ledger, rejects = store.ledger, store.rejects
        rejects.note_if_empty(scope.id)
        return Parts(
            config=self.config,
            store=self.store,
            workers=self.workers,
            settlement=Settlement(
                ledger,
                rejects,
                store.arrivals,
                self.report.stream(sink.stream),
                scope.id,
                self.limit,
                self.logger,
            ),
            ownership=Ownership(ledger, rejects, scope.id),
            check=ChangeCheck(ledger, rejects, scope.id, full_resync=self.config["full_resync"]),
            limit=self.limit,
            mirror=self.mirror,
            check_signal=self.check_signal,
            before_first=self._first_run_guard(sink, scope),
            show=self.show,
            next_seq=self.next_seq,
        )

    def _first_run_guard(self, sink: type[HTTPSink], scope: Scope) -> Any:
        """Before the first record of a stream that is sent at most once leaves."""
        needed = sink.at_most_once and not (scope.known or self.config["first_run"] or self.dry_run)

        def guard() -> None:
            if needed:
                raise StopRun(
                    f"{sink.stream}: the ledger of sync {self.sync!r} knows of none that was sent. "
                    "If this really is the first run set first_run: true; if not, the ledger was "
                    "lost (check work_dir, database_url, account), and everybody would be "
                    "reached again. Nothing was sent."
                )

        return guard

    def show(self, item: Item) -> None:
        """Print some of what a dry run would send."""
        sink, what = item.sink, (item.sink.stream, str(item.expect))
        self._shown[what] = number = self._shown.get(what, 0) + 1
        if number <= sink.examples:
            shown = item_guard(lambda: self._example(item))
            if isinstance(shown, Rejection):
                shown = f"cannot be shown ({shown.reason})"
            self.logger.info("%s: would be %s: %s", *what, shown)
        elif number == sink.examples + 1:
            self.logger.info("%s: more would be %s", *what)

    def _example(self, item: Item) -> str:
        sink = item.sink
        found = example(sink, item.judged.op if item.judged else item, item.expect)
        self.report.stream(sink.stream).examples.append(found.as_dict())
        return found.text or sink.describe(item)

    # --- ends ---------------------------------------------------------------------------------

    def reject_lines(self) -> Iterator[ExportedLine]:
        """What is outstanding, as Singer lines."""
        return self.store.rejects.lines(self.account, self.sync, self.schemas)

    def export_rejects(self, *, even_unchanged: bool = False) -> None:
        """Write the rejects file.

        Raises:
            StopRun: the file cannot be written.
        """
        rejects = self.store.rejects
        if self.dry_run or not (rejects.changed or even_unchanged):
            return
        lines = self.reject_lines()
        first = next((entry for entry in lines if entry.stream), None)
        try:
            if first is None:
                self.rejects_path.unlink(missing_ok=True)
            else:
                pieces = (entry.line + b"\n" for entry in self.reject_lines())
                atomic_write(self.rejects_path, pieces, durable=True)
        except OSError as error:
            raise StopRun(
                f"The rejects file {self.rejects_path} cannot be written ({error.strerror}): free "
                "some space or check `work_dir`; STATE was not advanced, so nothing is lost."
            ) from None
        rejects.changed = False

    def settle_in_flight(self) -> None:
        """Process the answers that are due; requests that have not left are withdrawn."""
        while True:
            for task in self.workers.withdraw():
                self._take_back(task)
            if not self.workers.outstanding:
                return
            try:
                self.workers.collect(wait=True)
            except (StopRun, Interrupted) as error:
                self.logger.debug("While ending the run: %s", error)

    def _take_back(self, task: Task) -> None:
        if task.entry is not None:
            self.store.ledger.settle(task.entry.id)

    def close(self) -> None:
        """Close the database; the lock is released last."""
        self.workers.close()
        if self.mirror:
            self.mirror.close()
        self.suppressions.close()
        self.store.close()
