"""The rejects: records that are outstanding, each with its account, sync, stream and key.

A record is only ever sent again from here into the scope that rejected it. A key has one reject,
and beside it at most: the newest record that waits for an uncertain one (slot `newer`), and records
with other content under a key that is sent at most once (a slot for each content).
"""

from __future__ import annotations

import datetime
import re
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from singer_http.exact_json import StrangeJSON, decode
from singer_http.operations import RejectionKind
from singer_http.store.database import Database, json_list
from singer_http.store.rows import REJECTION, ExportedLine, Reject, RejectState, with_rejection
from singer_http.store.tables import OF_REJECT, claims, is_of_reject, rejects, scopes

MAIN = ""
NEWER = "newer"
LAST = 1 << 62
"""Behind every record of a run."""
_UNSTORABLE = re.compile("[\0\ud800-\udfff]")


class Rejects:
    """Reads and writes the table `rejects`."""

    def __init__(self, database: Database, commit: Callable[[], None], run: str) -> None:
        """Work on a database.

        Args:
            database: an open one.
            commit: writes down and commits what this store and its neighbours hold back.
            run: this run; what others left is from earlier ones.
        """
        self._database = database
        self._commit = commit
        self._query = database.query
        self._run = run
        self._held_back: list[tuple[Any, dict[str, Any]]] = []
        self._empty: set[int] = set()
        """Scopes of which nothing is outstanding (see `note_if_empty`)."""
        columns = [rejects.c[name] for name in RejectState._fields]
        self._states = sa.select(rejects.c.key, *columns).where(
            (rejects.c.scope == sa.bindparam("scope"))
            & (rejects.c.slot == MAIN)
            & database.among(rejects.c.key)
        )
        insert: Any = sqlite.insert if database.sqlite else postgresql.insert
        # What is newer stays: it arrived later, and was rejected first.
        self._insert = insert(rejects).on_conflict_do_nothing()
        self._insert_claim = insert(claims).on_conflict_do_nothing()
        self.changed = False
        """Something was written since the export was last made."""

    # --- reading ----------------------------------------------------------------------------

    def any_in(self, scope: int) -> bool:
        """Whether something may be outstanding; the database is not asked."""
        return scope not in self._empty

    def note_if_empty(self, scope: int) -> None:
        """Note it if nothing of a scope is outstanding, before its first record.

        Then no record asks the database. Scopes are noted one by one: with thousands of accounts
        the table is large.
        """
        if not self._has(scope):
            self._empty.add(scope)

    def _has(self, scope: int) -> bool:
        there = sa.select(rejects.c.id).where(rejects.c.scope == scope).limit(1)
        return bool(self._query(there))

    def states(self, scope: int, keys: Sequence[str]) -> dict[str, RejectState]:
        """What is outstanding for these (stored) keys."""
        if scope in self._empty or not keys:
            return {}
        self._apply()
        found = self._query(self._states, {"scope": scope, "some": json_list(keys)})
        return {row[0]: RejectState(*row[1:]) for row in found}

    def of_key(self, scope: int, key: str) -> list[Reject]:
        """All that is outstanding for a (stored) key."""
        self._apply()
        return self._select((rejects.c.scope == scope) & (rejects.c.key == key))

    def all_of(self, scope: int) -> Iterator[Reject]:
        """All that is outstanding for a stream, oldest first."""
        last = 0
        while True:
            self._apply()
            where = (rejects.c.scope == scope) & (rejects.c.id > last)
            page = self._select(where, limit=500)
            if not page:
                return
            yield from page
            last = page[-1].id

    def earlier(self, scope: int) -> Iterator[Reject]:
        """What earlier runs left and nothing has replaced yet, oldest first."""
        last = 0
        while scope not in self._empty:
            self._apply()
            page = self._select(
                (rejects.c.scope == scope) & (rejects.c.run != self._run) & (rejects.c.id > last),
                limit=500,
            )
            if not page:
                return
            yield from page
            last = page[-1].id

    def names(self, scope: int, ids: Sequence[str]) -> set[str]:
        """Which of these records of the vendor an outstanding record names."""
        if scope in self._empty or not ids:
            return set()
        self._apply()
        where = (rejects.c.scope == scope) & rejects.c.remote_id.in_(list(ids))
        return {row[0] for row in self._query(sa.select(rejects.c.remote_id).where(where))}

    def claimant(self, scope: int, key: str, claims_on: Iterable[str]) -> str | None:
        """The (stored) key of another outstanding record that has one of these (hashed) claims.

        A delete has none: it stands for nothing.
        """
        wanted = [OF_REJECT + claim[1:] for claim in claims_on]
        if scope in self._empty or not wanted:
            return None
        self._apply()
        own = (claims.c.scope == scope) & claims.c.claim.in_(wanted) & (claims.c.key != key)
        same = (rejects.c.scope == claims.c.scope) & (rejects.c.key == claims.c.key)
        there = sa.select(rejects.c.key).join(claims, same).order_by(rejects.c.id)
        found = self._query(there.where(own & (rejects.c.operation != "delete")).limit(1))
        return str(found[0][0]) if found else None

    def any(self, scope: int) -> bool:
        """Whether something is outstanding."""
        if scope in self._empty:
            return False
        self._apply()
        return self._has(scope)

    def _select(self, where: sa.ColumnElement[bool], limit: int | None = None) -> list[Reject]:
        columns = [rejects.c[name] for name in Reject._fields]
        found = self._query(sa.select(*columns).where(where).order_by(rejects.c.id).limit(limit))
        return [Reject(*row) for row in found]

    # --- writing ----------------------------------------------------------------------------

    def put(
        self,
        scope: int,
        *,
        key: str,
        slot: str = MAIN,
        seq: int,
        kind: str,
        reason: str,
        status: int | None,
        operation: str,
        attempts: int,
        route: str,
        remote_id: str | None,
        digest: bytes,
        resent: bool,
        record: bytes,
        claims_on: Iterable[str] = (),
    ) -> None:
        """Keep a record; it replaces what is older in the same slot of its key.

        `claims_on` are the (hashed) claims of what it stands for at the vendor.
        """
        values = {
            "scope": scope, "key": key, "slot": slot, "run": self._run, "seq": seq,
            "at": int(time.time()), "kind": str(kind),
            "reason": _UNSTORABLE.sub("\N{REPLACEMENT CHARACTER}", reason), "status": status,
            "operation": operation, "attempts": attempts, "route": route,
            "remote_id": remote_id and _UNSTORABLE.sub("", remote_id), "digest": digest,
            "resent": resent, "record": record,
        }  # fmt: skip
        self._empty.discard(scope)
        self._hold(_DELETE, _place(scope, key, self._run, seq, slot))
        self._hold(self._insert, values)
        self._hold(_DELETE_CLAIMS, {"in_scope": scope, "of": key})
        for claim in claims_on:
            values = {"scope": scope, "claim": OF_REJECT + claim[1:], "key": key}
            self._hold(self._insert_claim, values)

    def drop(self, scope: int, key: str, seq: int = LAST, *, slot: str | None = None) -> None:
        """A record with this `seq` settled a key: drop rejects that are as old or older.

        Args:
            scope: whose.
            key: as it is stored.
            seq: order of arrival in this run; without one, drop them all.
            slot: only this one; None for all.
        """
        if scope in self._empty:
            return
        place = _place(scope, key, self._run, seq, slot or MAIN)
        self._hold(_DELETE if slot is not None else _DELETE_ALL, place)

    def promote(self, scope: int, key: str) -> None:
        """The uncertain record of a key is settled: the newest that waited for it is due."""
        place = {"in_scope": scope, "of": key, "slots": NEWER}
        self._hold(_PROMOTE, place)

    def corrects(self, scope: int, line: bytes) -> bool:
        """Whether a RECORD line may correct something that is outstanding."""
        return scope not in self._empty and REJECTION in line

    def drop_corrected(self, scope: int, stream: str, line: bytes, seq: int) -> None:
        """Drop the reject that a line of a corrected export is about, unless it is uncertain.

        Args:
            scope: whose.
            stream: the target stream.
            line: as it was read; its `rejection` says which reject it is about.
            seq: order of arrival in this run; a newer reject stays.
        """
        if self.corrects(scope, line) and (place := _corrected(line, stream)):
            self._hold(_DELETE_CORRECTED, _place(scope, place[1], self._run, seq, place[0]))

    def drop_keys(self, scope: int, keys: Sequence[str]) -> None:
        """Drop what earlier runs left for these (stored) keys, except what is uncertain."""
        for key in keys:
            self._hold(_DELETE_GONE, {"in_scope": scope, "of": key, "this_run": self._run})

    def mark(self, scope: int, key: str, **values: Any) -> None:
        """Change members of a key's reject."""
        where = (rejects.c.scope == scope) & (rejects.c.key == key) & (rejects.c.slot == MAIN)
        self._apply()
        self._database.execute(rejects.update().where(where).values(**values))
        self.changed = True
        self._commit()

    def _hold(self, statement: Any, values: dict[str, Any]) -> None:
        self._held_back.append((statement, values))
        self.changed = True

    def flush(self) -> None:
        """Write down what is held back, in order; the caller commits."""
        start = 0
        while start < len(self._held_back):
            statement = self._held_back[start][0]
            end = start
            while end < len(self._held_back) and self._held_back[end][0] is statement:
                end += 1
            values = [values for _, values in self._held_back[start:end]]
            self._database.execute(statement, values)
            start = end

    def flushed(self) -> None:
        """It was committed."""
        self._held_back = []

    @property
    def holds_back(self) -> bool:
        """Whether something waits to be written down."""
        return bool(self._held_back)

    def _apply(self) -> None:
        if self._held_back:
            self._commit()

    # --- the export -------------------------------------------------------------------------

    def lines(self, account: str, sync: str, schemas: dict[str, bytes]) -> Iterator[ExportedLine]:
        """What is outstanding for a pipeline as Singer lines.

        SCHEMA lines first (their target stream is empty), then RECORD lines, oldest first.

        Args:
            account: as in `scopes`.
            sync: as in `scopes`.
            schemas: source -> the SCHEMA message of this run, if there was one.
        """
        self._apply()
        own = (scopes.c.account == account) & (scopes.c.sync == sync)
        found = self._query(
            sa.select(scopes).where(own & scopes.c.id.in_(sa.select(rejects.c.scope)))
        )
        sources = {row.source: schemas.get(row.source, row.schema_message) for row in found}
        for message in sources.values():
            if message:
                yield ExportedLine("", None, message.rstrip())
        streams = {row.id: row.stream for row in found}
        last = 0
        while True:
            page = self._query(
                sa.select(rejects)
                .where(rejects.c.scope.in_(list(streams)) & (rejects.c.id > last))
                .order_by(rejects.c.id)
                .limit(500)
            )
            if not page:
                return
            for row in page:
                stream = streams[row.scope]
                yield ExportedLine(stream, shown_key(row.key), exported(row, stream))
            last = page[-1].id


def shown_key(stored: str) -> str | None:
    """A stored key, `None` where it is hashed, or there is none."""
    return None if stored[:1] in {"#", "\n"} else stored


def exported(row: Any, stream: str) -> bytes:
    """A reject as a RECORD message: the line as it was read, with one more member, `rejection`."""
    key = shown_key(row.key)
    rejection = {
        "kind": row.kind,
        "reason": row.reason,
        "target_stream": stream,
        "status": row.status,
        "operation": row.operation,
        "attempts": row.attempts,
        "at": datetime.datetime.fromtimestamp(row.at, datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "run": row.run,
        **({} if key is None else {"key": key}),
        **({"ref": f"{row.slot}:{row.key}"} if key is None or row.slot else {}),
    }
    return with_rejection(row.record, rejection)


def _corrected(line: bytes, stream: str) -> tuple[str, str] | None:
    """Slot and stored key of the reject that an exported line is about."""
    try:
        message = decode(line)
    except StrangeJSON as strange:
        message = strange.value
    except ValueError:
        return None
    try:
        rejection = message["rejection"]
        if rejection["target_stream"] != stream:
            return None
        ref = rejection.get("ref") or f"{MAIN}:{rejection['key']}"
        slot, _, key = ref.partition(":")
    except (KeyError, TypeError, AttributeError):
        return None  # not written by an export
    return slot, key


def _place(scope: int, key: str, run: str, seq: int, slot: str) -> dict[str, Any]:
    return {"in_scope": scope, "of": key, "this_run": run, "up_to": seq, "slots": slot}


_DELETE_CLAIMS = claims.delete().where(
    (claims.c.scope == sa.bindparam("in_scope"))
    & (claims.c.key == sa.bindparam("of"))
    & is_of_reject
)
_OF_KEY = (rejects.c.scope == sa.bindparam("in_scope")) & (rejects.c.key == sa.bindparam("of"))
_NOT_NEWER = (rejects.c.run != sa.bindparam("this_run")) | (rejects.c.seq <= sa.bindparam("up_to"))
_DELETE = rejects.delete().where(_OF_KEY & (rejects.c.slot == sa.bindparam("slots")) & _NOT_NEWER)
_DELETE_CORRECTED = rejects.delete().where(
    _OF_KEY
    & (rejects.c.slot == sa.bindparam("slots"))
    & _NOT_NEWER
    & (rejects.c.kind != RejectionKind.UNCERTAIN)
)
_DELETE_ALL = rejects.delete().where(_OF_KEY & _NOT_NEWER)
_DELETE_GONE = rejects.delete().where(
    _OF_KEY
    & (rejects.c.run != sa.bindparam("this_run"))
    & (rejects.c.kind != RejectionKind.UNCERTAIN)
)
_PROMOTE = (
    rejects.update()
    .where(_OF_KEY & (rejects.c.slot == sa.bindparam("slots")))
    .values(slot=MAIN, run="")
)
