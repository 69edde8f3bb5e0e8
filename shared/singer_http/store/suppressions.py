"""Who must not be reached: people of the stream `suppressions`, and of files.

The stream's records are rows of the ledger like any other stream's: an email and a phone are the
claims of their key, hashed. They hold for the account, at each of its addresses, whichever sync
brought them.
"""

from __future__ import annotations

import itertools
import sqlite3
import threading
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import sqlalchemy as sa

from singer_http.operations import DELETED, SAME, Person
from singer_http.store.database import Database, json_list
from singer_http.store.rows import parts_of
from singer_http.store.tables import NAME, claims, delivered, is_same, scopes

STREAM = "suppressions"
"""The stream, in every target."""
PART = 1 + 2 * NAME
"""Characters of the beginning of a hash, as the ledger's `names` have it."""
PIECE = 10_000
"""Entries of a file that are written at once."""


class Suppressions:
    """Asked for each record before it is sent. Any thread may ask."""

    def __init__(self, database: Database, account: str, hashed: Callable[[str], str]) -> None:
        """Look under an account.

        Args:
            database: an open one; what is asked reads what is committed.
            account: account and server, as in `scopes`.
            hashed: the salted hash of an identity, as claims have it.
        """
        self._database = database
        self._hashed = hashed
        self._lock = threading.Lock()
        self._reader: sa.Connection | None = None
        self._files = FileEntries()
        own = sa.select(scopes.c.id).where(
            is_same(scopes.c.account, account) & (scopes.c.stream == STREAM)
        )
        self._any = sa.select(claims.c.claim).where(claims.c.scope.in_(own)).limit(1)
        self._number = number_of_suppressed(is_same(scopes.c.account, account))
        self._known = sa.select(claims.c.claim).where(
            claims.c.scope.in_(own) & database.among(claims.c.claim)
        )
        parts = database.texts()
        begins = (claims.c.claim >= parts.c.value) & (claims.c.claim < parts.c.value + "g")
        self._known_parts = (
            sa.select(parts.c.value).distinct().where(claims.c.scope.in_(own) & begins)
        )
        of_contact = (
            is_same(scopes.c.account, account)
            & (scopes.c.stream == sa.bindparam("stream"))
            & (delivered.c.digest != DELETED)
        )
        joined = delivered.join(scopes, scopes.c.id == delivered.c.scope).join(
            claims,
            (claims.c.scope == delivered.c.scope) & (claims.c.key == delivered.c.key),
            isouter=True,
        )
        columns = (delivered.c.remote_id, delivered.c.key, claims.c.claim, delivered.c.names)
        # The condition on '=' repeats the index's own: only then is the index used.
        self._contacts = (
            sa.select(*columns)
            .select_from(joined)
            .where(of_contact & database.among(delivered.c.remote_id) & sa.text("remote_id <> '='"))
        )
        self._contacts_by_key = (
            sa.select(*columns)
            .select_from(joined)
            .where(of_contact & database.among(delivered.c.key) & (delivered.c.remote_id == SAME))
        )

    # --- entries ------------------------------------------------------------------------------

    def add_file(self, path: str, identities: Iterable[str]) -> None:
        """Take in the entries of a file, as they are compared."""
        self._files.add(path, map(self._hashed, identities))

    def numbers(self) -> dict[str, int]:
        """Where entries are from -> how many."""
        (in_database,) = self._query(self._number)[0]
        found = dict(self._files.numbers)
        if in_database:
            found[f"stream {STREAM}"] = in_database
        return found

    # --- asked --------------------------------------------------------------------------------

    def any(self) -> bool:
        """Whether anybody is suppressed in this account.

        Raises:
            StopRun: the database cannot be read.
        """
        return bool(self._files.numbers) or bool(self._query(self._any))

    def hits(self, people: Sequence[Person]) -> list[bool]:
        """Which of these people must not be reached.

        Raises:
            StopRun: the database cannot be read.
        """
        known = self._known_of_contacts(people)
        wanted = [
            {*map(self._hashed, person.identities), *known.get(person.contact or ("", ""), ())}
            for person in people
        ]
        everything = set().union(*wanted)
        with self._lock:
            hit = self._files.known(everything)
        hit |= self._in_stream(everything)
        hit |= {one[:PART] for one in hit}
        return [not hit.isdisjoint(one) for one in wanted]

    def stream_has(self, hashed: Iterable[str]) -> bool:
        """Whether the stream has suppressed one of these (hashed) emails and phones.

        Beginnings of hashes (of the ledger's `names`) are taken too.
        """
        return bool(self._in_stream(set(hashed)))

    def _in_stream(self, hashed: set[str]) -> set[str]:
        whole = {one for one in hashed if len(one) > PART}
        parts = hashed - whole - {one[:PART] for one in whole}  # most are those of an identity
        found = set[str]()
        for statement, some in ((self._known, whole), (self._known_parts, parts)):
            if some:
                rows = self._query(statement, {"some": json_list(sorted(some))})
                found |= {row[0] for row in rows}
        return found

    def _known_of_contacts(self, people: Sequence[Person]) -> dict[tuple[str, str], set[str]]:
        """What the ledger has of the contacts that are named.

        Hashed emails and phones, or the beginnings of hashes (of its `names`).
        """
        ids: dict[str, set[str]] = {}
        for person in people:
            if person.contact:
                ids.setdefault(person.contact[0], set()).add(person.contact[1])
        found: dict[tuple[str, str], set[str]] = {}
        for stream, some in ids.items():
            values = {"stream": stream, "some": json_list(sorted(some))}
            for statement in (self._contacts, self._contacts_by_key):
                for remote_id, key, claim, names in self._query(statement, values):
                    contact = key if remote_id == SAME else remote_id
                    known = found.setdefault((stream, contact), set())
                    if claim is not None:
                        known.add(claim)
                    known.update(beginnings(names))
        return found

    def _query(self, statement: Any, values: Any = None) -> Sequence[Any]:
        with self._lock:
            if self._reader is None:
                self._reader = self._database.connect()
            return self._database.read(self._reader, statement, values)

    def close(self) -> None:
        """Close the connection; the files' entries are gone."""
        with self._lock:
            if self._reader is not None:
                self._reader.close()
                self._reader = None
            self._files.close()


def beginnings(names: bytes | None) -> list[str]:
    """The ledger's `names` of a key as the beginnings of (hashed) claims."""
    return [f"#{part.hex()}" for part in parts_of(names)]


def number_of_suppressed(whose: sa.ColumnElement[bool]) -> sa.Select[Any]:
    """How many emails and phones the stream has suppressed, in some of `scopes`."""
    own = sa.select(scopes.c.id).where(whose & (scopes.c.stream == STREAM))
    return sa.select(sa.func.count(claims.c.claim.distinct())).where(claims.c.scope.in_(own))


class FileEntries:
    """The (hashed) entries of files, on disk: a million of them take no memory."""

    def __init__(self) -> None:
        self.numbers: dict[str, int] = {}
        """File -> entries."""
        self._database: sqlite3.Connection | None = None

    def add(self, path: str, hashed: Iterable[str]) -> None:
        """Take in the entries of a file."""
        if self._database is None:
            # An empty name is a temporary file, which SQLite removes.
            self._database = sqlite3.connect("", check_same_thread=False)
            self._database.execute("PRAGMA journal_mode=OFF")
            self._database.execute("CREATE TABLE entries (id INTEGER PRIMARY KEY)")
        entries, number = iter(hashed), 0
        while piece := [(_number(entry),) for entry in itertools.islice(entries, PIECE)]:
            self._database.executemany("INSERT OR IGNORE INTO entries VALUES (?)", sorted(piece))
            number += len(piece)
        self.numbers[path] = self.numbers.get(path, 0) + number

    def known(self, hashed: Iterable[str]) -> set[str]:
        """Which of these (hashed) identities a file has."""
        if self._database is None:
            return set()
        look = "SELECT 1 FROM entries WHERE id = ?"
        return {one for one in hashed if self._database.execute(look, (_number(one),)).fetchone()}

    def close(self) -> None:
        """Remove them."""
        if self._database is not None:
            self._database.close()
            self._database = None


def _number(hashed: str) -> int:
    """64 bits of a hash, as SQLite's integers have them."""
    return int(hashed[1:17], 16) - (1 << 63)
