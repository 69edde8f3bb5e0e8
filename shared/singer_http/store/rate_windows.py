"""The requests of an account, in the database: what a rate limit counts, on all machines."""

from __future__ import annotations

import hashlib
import secrets
import threading
import weakref
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any, TypeVar

import msgspec
import sqlalchemy as sa

from singer_http.errors import StopRun
from singer_http.http.clock import CLOCK, Clock
from singer_http.http.rate_state import RateState
from singer_http.store.database import Database
from singer_http.store.tables import rates

T = TypeVar("T")

_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(RateState).decode

# Both databases know this form, and no dialect's module has to be imported.
_ADD = sa.text(
    "INSERT INTO singer_http_rates (account, state) VALUES (:name, :state) ON CONFLICT DO NOTHING"
)
_READ = sa.select(rates.c.state, sa.null()).where(rates.c.account == sa.bindparam("name"))
_locked = sa.select(rates.c.state).where(rates.c.account == sa.bindparam("name")).with_for_update()
_READ_LOCKED = sa.select(
    # The clock is read outside, when the row is locked: not before the wait for it.
    _locked.subquery().c.state,
    sa.cast(sa.extract("epoch", sa.func.clock_timestamp()), sa.Double),
)
# If the server loses the end of a request, its permit is held until its deadline: no commit has to
# wait for the disk. It must not lose a permit that was granted.
_READ_TO_GIVE = _READ_LOCKED.add_columns(sa.func.set_config("synchronous_commit", "off", True))
_WRITE = (
    rates.update()
    .where(rates.c.account == sa.bindparam("name"))
    .values(state=sa.bindparam("new_state"))
)


class RateWindows:
    """What an account has in flight and what was answered, shared by all that use the database.

    Each `take` and `give` is one short transaction, on a connection beside the ledger's: any thread
    may call them, also while the main thread works with the ledger. Time is the database server's;
    with SQLite the machine's (`RateState.advance`).

    Raises:
        ConfigError: the database cannot be opened or written; the line names the setting.
    """

    def __init__(self, url: str, account: str, hold: float, *, clock: Clock = CLOCK) -> None:
        """Open the database.

        Args:
            url: any SQLAlchemy URL of SQLite or PostgreSQL.
            account: whose limit this is; it is stored hashed.
            hold: seconds after which a request that has a permit is over, whatever happened to its
                process.
            clock: how time passes where the database is SQLite.
        """
        self._database = Database(url)
        # The salt keeps emails out of the table that somebody may have used as account.
        name = hashlib.blake2b(account.encode(), digest_size=16, key=self._database.salt)
        self._name = {"name": name.hexdigest()}
        self._hold, self._clock = hold, clock
        self._mine: deque[int] = deque()
        self._lock = threading.Lock()  # of the connection
        weakref.finalize(self, _close, self._database, self._lock)

    def take(self, windows: Sequence[tuple[int, float]]) -> float:
        """Take a permit and return 0, or return the seconds after which to ask again.

        Args:
            windows: how many requests are allowed in how many seconds.

        Raises:
            StopRun: the database cannot be used.
        """
        number = secrets.randbits(63)
        delay = self._change(_READ_LOCKED, lambda state: state.take(number, windows, self._hold))
        if not delay:
            self._mine.append(number)
        return delay

    def shortest_wait(self, windows: Sequence[tuple[int, float]]) -> float:
        """The fewest seconds before `take` can grant a permit. Errors as in `take`."""
        return self._change(_READ_LOCKED, lambda state: state.shortest_wait(windows))

    def give(self, *, used: bool) -> None:
        """Note that a request has been answered, or was not sent. Errors as in `take`.

        Which permit is given back does not matter, if it is the oldest: those that stay are
        younger than the requests that are in flight.
        """
        number = self._mine.popleft()
        self._change(_READ_TO_GIVE, lambda state: state.give(number, used=used))

    def _change(self, read: sa.Select[Any], change: Callable[[RateState], T]) -> T:
        with self._lock:
            try:
                return self._change_once(read, change)
            except StopRun:
                # A server or a firewall closes a connection that was idle. The database connects
                # again; what was committed nevertheless counts twice, not less.
                return self._change_once(read, change)

    def _change_once(self, read: sa.Select[Any], change: Callable[[RateState], T]) -> T:
        """Change the state in one transaction, with its time set.

        It is written also where no permit was granted: a clock that was set back has changed it.
        """
        database = self._database
        try:
            if database.sqlite:
                database.execute(sa.text("BEGIN IMMEDIATE"))
            state = self._read(_READ if database.sqlite else read)
            result = change(state)
            database.execute(_WRITE, {**self._name, "new_state": _encode(state)})
            database.commit()
        finally:
            database.rollback()
        return result

    def _read(self, statement: sa.Select[Any]) -> RateState:
        database = self._database
        row = database.execute(statement, self._name).first()
        if row is None:
            database.execute(_ADD, {**self._name, "state": _encode(RateState())})
            row = database.execute(statement, self._name).one()
        state = _decode(row[0])
        if database.sqlite:
            state.advance(self._clock)
        else:
            state.set_time(row[1])
        return state


def _close(database: Database, lock: threading.Lock) -> None:
    """Close the database when the process ends, though a thread may still be waiting for it."""
    if lock.acquire(timeout=1.0):
        with suppress(StopRun):
            database.close()
