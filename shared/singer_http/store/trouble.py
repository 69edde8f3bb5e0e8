"""What an error of the database means: its words, and whether it passes by itself."""

from __future__ import annotations

import sqlite3
from typing import Any

from sqlalchemy.exc import DBAPIError, OperationalError, PendingRollbackError

from singer_http.errors import DatabaseLost

PASSING = ("08", "40", "57", "53300", "55P03")
"""How the SQLSTATE begins of what passes: connection, conflict, shutdown, too many connections, a
lock."""
LASTING = (
    "authentication failed", "no password supplied", "does not exist", "pg_hba.conf",
    "permission denied",
)  # fmt: skip
"""In what PostgreSQL says when it refuses a connection: such an error has no SQLSTATE."""
BUSY = {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}


def words(error: BaseException) -> str:
    """The first line of what the database says."""
    cause = getattr(error, "orig", None) or error
    return (str(cause).splitlines() or [type(error).__name__])[0]


def passes(error: BaseException) -> bool:
    """Whether a later try may succeed though nobody changed anything."""
    if isinstance(error, DatabaseLost | PendingRollbackError):
        return True  # the latter follows a connection that broke
    if not isinstance(error, DBAPIError):
        return False
    cause: Any = error.orig
    if isinstance(cause, sqlite3.Error):
        return getattr(cause, "sqlite_errorcode", 0) & 0xFF in BUSY
    state = getattr(cause, "sqlstate", None)
    if state:
        return str(state).startswith(PASSING)
    if error.connection_invalidated:
        return True
    said = str(cause)
    return isinstance(error, OperationalError) and not any(part in said for part in LASTING)
