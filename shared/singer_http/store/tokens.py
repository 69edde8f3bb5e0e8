"""Tokens that outlive a run, in the database: one is requested for all processes and machines."""

from __future__ import annotations

import time
from types import TracebackType
from typing import Self

import sqlalchemy as sa

from singer_http.store.database import Database
from singer_http.store.tables import tokens


class SharedToken:
    """The stored token of one set of credentials; opened by `with`.

    No transaction is open between two calls.
    """

    def __init__(self, url: str, name: str) -> None:
        """Open nothing yet.

        Args:
            url: any SQLAlchemy URL of SQLite or PostgreSQL.
            name: of the credentials; holds no secret.
        """
        self._url, self._name = url, name

    def __enter__(self) -> Self:
        """Open the database.

        Raises:
            ConfigError: it cannot be opened or written; the line names the setting.
        """
        self._database = Database(self._url)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Close the database; the lock is released."""
        self._database.close()

    def try_lock(self) -> bool:
        """Hold the right to request a token until the end of `with`; False if another has it."""
        return self._database.lock(f"token {self._name}")

    def read(self) -> tuple[str, float] | None:
        """The token, and until when it is used (epoch seconds); None if there is none.

        Raises:
            StopRun: the database cannot be used.
        """
        found = self._database.query(
            sa.select(tokens.c.token, tokens.c.use_until).where(tokens.c.name == self._name)
        )
        return (found[0].token, found[0].use_until) if found else None

    def write(self, token: str, use_until: float) -> None:
        """Replace the token, and remove those that have ended. Errors as in `read`."""
        database = self._database
        ended = sa.or_(tokens.c.name == self._name, tokens.c.use_until < time.time())
        database.execute(tokens.delete().where(ended))
        row = {"name": self._name, "token": token, "use_until": use_until}
        database.execute(tokens.insert(), row)
        database.commit()
