"""One run of a target: what its streams share, and the guards that look at the run as a whole."""

from __future__ import annotations

import fcntl
import logging
import os
from collections.abc import Mapping
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from singer_http.delivery.mirror import Mirror
from singer_http.delivery.workers import Task, Workers
from singer_http.errors import ConfigError, Interrupted, StopRun
from singer_http.operations import Operation
from singer_http.plugin.validation import parse_share
from singer_http.sink.preview import example
from singer_http.store.ledger import Ledger
from singer_http.store.rejects import Rejects

if TYPE_CHECKING:
    from singer_http.delivery.delivery import Delivery
    from singer_http.report.counts import Report
    from singer_http.sink.base import HTTPSink
    from singer_http.store.tables import Scope

LOOKED_AT = 20
"""Delivered and rejected records from which a share of rejects is looked at."""
NAMES = 10_000
"""Hashed keys whose text is remembered, so that a reason can name them."""


class Limits:
    """`max_rejects`: counted as the vendor's answers come in."""

    def __init__(self, spec: str) -> None:
        self._spec = spec
        self._limit = parse_share(spec)
        self._delivered = 0
        self._rejected = 0

    def delivered(self) -> None:
        """A record of this run arrived."""
        self._delivered += 1

    def rejected(self, number: int) -> None:
        """Records of this run were rejected.

        Raises:
            StopRun: more than `max_rejects` allows.
        """
        self._rejected += number
        total = self._delivered + self._rejected
        if self._limit.share is not None and total < LOOKED_AT:
            return
        if not self._limit.allows(self._rejected, total):
            raise StopRun(
                f"{self._rejected:,} of {total:,} records were rejected, more than max_rejects "
                f"({self._spec}) allows: look at the reasons in the rejects file, then run again."
            )


class Run:
    """What the deliveries of one run share. Everything here belongs to the main thread."""

    def __init__(
        self,
        config: Mapping[str, Any],
        report: Report,
        logger: logging.Logger,
        directory: Path,
        name: str,
        account: str,
    ) -> None:
        """Open the ledger and the rejects, under a lock.

        Args:
            config: the target's settings.
            report: takes the counts.
            logger: for the user.
            directory: the `work_dir`.
            name: of the plugin; files of a named sync have its name too.
            account: whose data this is.

        Raises:
            ConfigError: another run of this sync is under way, or the ledger cannot be opened.
        """
        self.config = config
        self.report = report
        self.logger = logger
        self.dry_run: bool = config["dry_run"]
        self.name = name
        self.stem = name if config["sync"] == "default" else f"{name}.{config['sync']}"
        self.directory = directory
        self._lock = None if self.dry_run else lock(directory / f"{self.stem}.lock", config["sync"])
        self.has_ledger = config.get("ledger_url") != "none"
        url = config.get("ledger_url") or f"sqlite:///{directory / name}.ledger.db"
        self.ledger = (
            Ledger(url, discard=self.dry_run)
            if self.has_ledger
            else Ledger("sqlite:///", discard=True)
        )
        if not self.ledger.claim(f"{name} {config['sync']} {account}"):
            self.ledger.close()
            raise busy(config["sync"], "the ledger's lock")
        self.rejects = Rejects(directory / f"{self.stem}.rejects.jsonl", read_only=self.dry_run)
        self.workers = Workers(config["concurrency"])
        self.limits = Limits(config["max_rejects"])
        self.mirror: Mirror | None = None
        if config["mode"] == "mirror":
            self.mirror = Mirror(config["mirror_count"], config["max_deletes"])
        self.signal: int | None = None
        self.schemas: dict[str, bytes] = {}
        """Source stream -> its SCHEMA message in this run."""
        self._uncertain: set[tuple[str, str]] = set()
        self._seq = 0
        self._names: dict[str, str] = {}
        self._once_allowed: set[str] = set()
        self._shown: dict[tuple[str, str], int] = {}

    @property
    def mirrors(self) -> bool:
        """Keys that come are noted, to tell which ones do not."""
        return self.mirror is not None

    def next_seq(self) -> int:
        """The next number in the order of arrival, from 1."""
        self._seq += 1
        return self._seq

    def check_signal(self) -> None:
        """End the run here if a signal came.

        Raises:
            Interrupted: SIGTERM or SIGINT came.
        """
        if self.signal is not None:
            raise Interrupted(self.signal)

    # --- names --------------------------------------------------------------------------------

    def remember_name(self, op: Operation) -> None:
        """Note the text of a hashed key, for as long as there is room."""
        if op.stored != op.key:
            if len(self._names) >= NAMES:
                self._names.pop(next(iter(self._names)))
            self._names[op.stored] = op.key

    def name_of(self, stored: str) -> str:
        """A ledger row's key as a person knows it, if this run came across it."""
        return self._names.get(stored, stored).partition("\n")[0]

    # --- uncertain ones -----------------------------------------------------------------------

    def note_uncertain(self, stream: str, stored: str) -> None:
        """Something may have arrived: it stands in the file before the ledger lets go of it."""
        self._uncertain.add((stream, stored))
        self.rejects.write(self.schemas)

    def became_uncertain(self, stream: str, stored: str) -> bool:
        """It happened in this run: what a person said of earlier ones is not said of this one."""
        return (stream, stored) in self._uncertain

    # --- guards -------------------------------------------------------------------------------

    def saw(self, delivery: Delivery, op: Operation) -> None:
        """Note that a key is present, for the mirror."""
        if self.mirror is None or op.retried:
            return
        if op.key.startswith("\n"):
            self.mirror.saw_keyless(delivery.sink.stream)
            return
        stored = op.stored or delivery.standing.stored_key(op.key)
        self.mirror.saw(delivery.sink.stream, stored)

    def admit(self, sink: HTTPSink, scope: Scope) -> None:
        """A last look before something leaves that is sent only once.

        Raises:
            StopRun: the ledger of the stream is empty, and this is not said to be the first run.
        """
        if sink.stream not in self._once_allowed:
            if not (scope.known or self.config["first_run"] or self.dry_run):
                raise StopRun(
                    f"{sink.stream}: the ledger of sync {self.config['sync']!r} knows of none that "
                    "was sent. If this really is the first run set first_run: true; if not, the "
                    "ledger was lost (look at work_dir, ledger_url, account), and everybody would "
                    "be reached again. Nothing was sent."
                )
            self._once_allowed.add(sink.stream)

    def show(self, delivery: Delivery, op: Operation) -> None:
        """Print some of what a dry run would send."""
        sink, what = delivery.sink, (delivery.sink.stream, op.expect)
        self._shown[what] = number = self._shown.get(what, 0) + 1
        if number <= sink.examples:
            found = example(sink, op)
            delivery.report.examples.append(found.as_dict())
            self.logger.info("%s: would be %s: %s", *what, found.text or sink.describe(op))
        elif number == sink.examples + 1:
            self.logger.info("%s: more would be %s", *what)

    # --- ends ---------------------------------------------------------------------------------

    def settle_in_flight(self) -> None:
        """Take in the answers that are due; what has not left is taken back."""
        for task in self.workers.withdraw():
            self._take_back(task)
        while self.workers.outstanding:
            try:
                self.workers.collect(wait=True)
            except (StopRun, Interrupted) as error:
                self.logger.debug("While ending the run: %s", error)
            for task in self.workers.withdraw():
                self._take_back(task)

    def _take_back(self, task: Task) -> None:
        if task.entry is not None:
            self.ledger.settle(task.entry.id)

    def close(self) -> None:
        """Close the files; the lock goes last."""
        self.workers.close()
        self.ledger.close()
        self.rejects.close()
        if self.mirror:
            self.mirror.close()
        if self._lock:
            self._lock.close()


def lock(path: Path, sync: str) -> IO[bytes]:
    """Hold a file for as long as the process lives.

    Raises:
        ConfigError: another process holds it.
    """
    file = os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT, 0o600), "r+b")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        file.close()
        raise busy(sync, path) from None
    return file


def busy(sync: str, held: object) -> ConfigError:
    """The error for a second run of one sync."""
    return ConfigError(
        f"Another run of sync {sync!r} is under way (it holds {held}): wait for it to end, or give "
        "this pipeline a name of its own with the setting sync."
    )
