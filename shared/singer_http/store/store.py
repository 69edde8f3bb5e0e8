"""Everything that must outlive a run, behind one commit."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import sqlalchemy as sa

from singer_http.operations import DELETED, JSON, SAME, UNKNOWN
from singer_http.store.arrivals import Arrivals
from singer_http.store.database import Database
from singer_http.store.dry_copy import Pipeline
from singer_http.store.ledger import Ledger
from singer_http.store.rejects import Rejects
from singer_http.store.runs import Runs
from singer_http.store.scopes import Scopes
from singer_http.store.suppressions import Suppressions
from singer_http.store.tables import delivered, scopes


class LedgerView:
    """What a sink may ask the ledger: of one account, read only, on the main thread."""

    def __init__(self, ledger: Ledger, account: str) -> None:
        self._ledger = ledger
        self._account = account

    def find(self, stream: str, identity: str) -> str | None:
        """The vendor's id of what another stream delivered, from any pipeline into this account.

        Args:
            stream: the target stream that delivered it.
            identity: one of the identities with which it was delivered.
        """
        return self._ledger.find(self._account, stream, self._ledger.hashed(identity))


class Store:
    """The database of a run: scopes, ledger, rejects, arrivals and runs, committed together.

    Raises:
        ConfigError: it cannot be opened or written; the line names the setting.
    """

    def __init__(self, url: str, run: str, *, dry_run_of: Pipeline | None = None) -> None:
        """Open it.

        Args:
            url: any SQLAlchemy URL of SQLite or PostgreSQL.
            run: the id of this run.
            dry_run_of: a pipeline whose rows are copied: nothing is written or locked.
        """
        self.database = Database(url, dry_run_of=dry_run_of)
        self.scopes = Scopes(self.database)
        self.ledger = Ledger(self.database, self.commit)
        self.rejects = Rejects(self.database, self.commit, run)
        self.arrivals = Arrivals(self.database, self.commit)
        self.runs = Runs(self.database)
        self._durable = False
        self._run: int | None = None

    def lock(self, name: str) -> bool:
        """Hold a name until `close`; `False` if another process holds it."""
        return self.database.lock(name)

    def begin_run(self, report: JSON, account: str) -> None:
        """Note that a run has begun; call it once its sync is locked (see `Runs.begin`)."""
        self._run = self.runs.begin(report, account)
        self.ledger.run = self.arrivals.run = self._run

    def save_run(self, report: JSON, page: JSON | None = None, *, ended: bool = False) -> None:
        """Write what this run did so far, or in the end, if it has begun.

        It is committed, and reaches the disk with everything before it: STATE may be written.
        """
        if self._run is not None:
            if not self._durable:
                self.database.set_durable(True)
            self.runs.save(self._run, report, page, ended=ended)
            self.database.commit()
            if not self._durable:
                self.database.set_durable(False)

    def suppressions(self, account: str) -> Suppressions:
        """Who must not be reached in an account (with server)."""
        return Suppressions(self.database, account, self.ledger.hashed)

    def sample(self, account: str, number: int, *, newest: bool) -> list[tuple[str, str]]:
        """Some rows of the ledger that name a record of the vendor: (stream, remote id).

        Args:
            account: account and server, as in `scopes`; whichever sync.
            number: of rows, at most.
            newest: the newest ones, else the oldest.
        """
        self.commit()
        found = self.database.query(
            sa.select(scopes.c.stream, delivered.c.remote_id, delivered.c.key)
            .join(scopes, scopes.c.id == delivered.c.scope)
            .where(
                (scopes.c.account == account)
                & delivered.c.remote_id.is_not(None)
                & delivered.c.digest.not_in((DELETED, UNKNOWN))
            )
            .order_by(delivered.c.at.desc() if newest else delivered.c.at)
            .limit(number)
        )
        return [(row[0], row[2] if row[1] == SAME else row[1]) for row in found]

    def require_durable(self) -> None:
        """Commits reach the disk from now on: for what must not be repeated after a power cut."""
        if not self._durable:
            self.commit()
            self.database.set_durable(True)
            self._durable = True

    def commit(self, also: Callable[[], Any] | None = None) -> Any:
        """Write down and commit what is held back, with what `also` writes; what that returns.

        Raises:
            StopRun: the disk is full, or the database is gone. What was held back still is.
        """
        self.ledger.flush()
        self.rejects.flush()
        self.arrivals.flush()
        result = also() if also else None
        self.database.commit()
        self.ledger.flushed()
        self.rejects.flushed()
        self.arrivals.flushed()
        return result

    def finish(self) -> None:
        """Write down and commit everything, arrivals too."""
        self.arrivals.flush(all_of_them=True)
        self.arrivals.flushed(all_of_them=True)
        self.arrivals.prune()
        self.commit()

    def close(self) -> None:
        """Commit and close; the lock is released last."""
        try:
            if self.ledger.holds_back or self.rejects.holds_back:
                self.commit()
        finally:
            self.database.close()
