"""The progress of `--verify`, and what it saw: in the database, so that any machine can continue.

What was seen of a record holds for the delivery that was compared. One that was delivered since is
compared again.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from singer_http.operations import DELETED, JSON, SAME, UNKNOWN
from singer_http.store.database import Database, json_list
from singer_http.store.ledger import FORMER
from singer_http.store.tables import delivered, verified, verifying

PAGE = 1000
"""Rows that are read together."""
_NO_RUN = -1

_COLUMNS = [delivered.c[name] for name in ("key", "remote_id", "digest", "at", "run", "fields")]
_OF_DIFFERENCE = [verified.c[name] for name in ("key", "at", "run", "difference", "marked")]
_COUNTS = (delivered.c.digest != DELETED) & delivered.c.key.not_like(f"{FORMER}%")
"""What is expected at the vendor."""
_IS_OF_ROW = (verified.c.scope == delivered.c.scope) & (verified.c.key == delivered.c.key)
_OF_ROWS = sa.select(*_COLUMNS, verified.c.other, verified.c.marked).select_from(
    delivered.outerjoin(verified, _IS_OF_ROW)
)
"""Rows of the ledger, with what is noted of them."""


class Known(NamedTuple):
    """What the ledger has of a key."""

    key: str
    """As it is stored."""
    remote_id: str | None
    """The vendor's."""
    digest: bytes
    at: int
    run: int | None
    fields: bytes | None
    other: str | None = None
    """Another record of the vendor that has its email or phone now."""
    marked: bool = False
    """By an earlier `--repair`; it was not sent since."""


class Seen(NamedTuple):
    """What was seen of a key: as delivered, unless one of the last two says otherwise."""

    known: Known
    difference: JSON | None = None
    skipped: str | None = None
    """Why it cannot be compared."""


class Difference(NamedTuple):
    """A record that the vendor has not as it was delivered."""

    key: str
    at: int
    """Epoch seconds of the delivery that was compared."""
    run: int | None
    what: JSON
    marked: int | None
    """Epoch seconds at which `--repair` marked it."""


class Progress(NamedTuple):
    """A comparison that is under way."""

    began: int
    """Epoch seconds."""
    place: JSON
    """Where it goes on; empty at the beginning."""


class Totals(NamedTuple):
    """Records of one stream."""

    delivered: int
    same: int
    marked: int
    """Marked by an earlier `--repair`, and not sent since."""
    skipped: dict[str, int]
    """Why they cannot be compared -> number."""


class Notes:
    """Reads and writes the tables `verifying` and `verified`, for one scope."""

    def __init__(self, database: Database, scope: int) -> None:
        """Work on an open database."""
        self._database = database
        self._scope = scope
        insert = sqlite.insert if database.sqlite else postgresql.insert
        places = insert(verifying)
        self._put_place = places.on_conflict_do_update(
            index_elements=["scope"],
            set_={name: places.excluded[name] for name in ("began", "ended", "place")},
        )
        seen = insert(verified)
        columns = ("at", "run", "difference", "skipped")
        self._put_seen = seen.on_conflict_do_update(
            index_elements=["scope", "key"],
            set_={name: seen.excluded[name] for name in columns},
        )
        other = insert(verified)
        self._put_other = other.on_conflict_do_update(
            index_elements=["scope", "key"], set_={"other": other.excluded.other}
        )

    # --- progress -----------------------------------------------------------------------------

    def resume(self) -> Progress | None:
        """The comparison that was interrupted; `None` if there is none."""
        found = self._database.query(
            sa.select(verifying).where(
                (verifying.c.scope == self._scope) & verifying.c.ended.is_(None)
            )
        )
        if not found:
            return None
        # What was marked and sent since is compared again.
        self._forget(verified.c.marked.is_not(None) & ~_waits())
        self._database.commit()
        return Progress(found[0].began, json.loads(found[0].place))

    def begin(self) -> Progress:
        """Begin a comparison; what `--repair` marked and no run has sent stays noted."""
        own = verified.c.scope == self._scope
        self._forget(verified.c.marked.is_(None) | ~_waits())
        self._database.execute(
            # Without `at` it is none of this comparison's.
            verified.update().where(own).values(at=None, other=None, skipped=None)
        )
        began = Progress(int(time.time()), {})
        self.save(began)
        self._database.commit()
        return began

    def save(self, progress: Progress, *, ended: bool = False) -> None:
        """Write where the comparison goes on; the caller commits."""
        self._database.execute(
            self._put_place,
            {
                "scope": self._scope,
                "began": progress.began,
                "ended": int(time.time()) if ended else None,
                "place": json.dumps(progress.place),
            },
        )

    def forget_same(self) -> None:
        """Drop what was only needed to go on: records without a difference."""
        self._forget(verified.c.difference.is_(None) & verified.c.marked.is_(None))

    def _forget(self, which: sa.ColumnElement[bool]) -> None:
        self._database.execute(verified.delete().where((verified.c.scope == self._scope) & which))

    # --- the ledger's rows --------------------------------------------------------------------

    def of_keys(self, keys: Sequence[str]) -> list[Known]:
        """What the ledger has of these keys, except what was deleted."""
        where = (delivered.c.scope == self._scope) & self._database.among(delivered.c.key) & _COUNTS
        found = self._database.query(_OF_ROWS.where(where), {"some": json_list(keys)})
        return [_of_row(row) for row in found]

    def unseen(self) -> Iterator[list[Known]]:
        """The rows that were not compared since their delivery, in the order of their keys."""
        statement = (
            _OF_ROWS.where((delivered.c.scope == self._scope) & _COUNTS & ~_is_valid())
            .order_by(delivered.c.key)
            .limit(PAGE)
        )
        after = ""
        while page := self._database.query(statement.where(delivered.c.key > after)):
            yield [_of_row(row) for row in page]
            after = page[-1].key

    # --- what was seen ------------------------------------------------------------------------

    def note(self, seen: Sequence[Seen]) -> None:
        """Note what was seen of some keys; the caller commits."""
        rows = [
            (
                self._scope, one.known.key, one.known.at, one.known.run, None,
                None if one.difference is None else json.dumps(one.difference),
                one.skipped, None,
            )
            for one in seen
        ]  # fmt: skip
        if rows:
            self._database.insert_many(self._put_seen, rows)

    def note_others(self, others: Mapping[str, str]) -> None:
        """Note which other record of the vendor has a key's email or phone; the caller commits."""
        rows = [
            (self._scope, key, None, None, other, None, None, None) for key, other in others.items()
        ]
        if rows:
            self._database.insert_many(self._put_other, rows)

    def differences(self) -> Iterator[list[Difference]]:
        """The differences of this comparison in the order of their keys, page by page."""
        statement = (
            sa.select(*_OF_DIFFERENCE)
            .select_from(verified.join(delivered, _IS_OF_ROW))
            .where(
                (verified.c.scope == self._scope)
                & verified.c.difference.is_not(None)
                & verified.c.at.is_not(None)
                & (verified.c.marked.is_not(None) | _is_valid())
            )
            .order_by(verified.c.key)
            .limit(PAGE)
        )
        after = ""
        while page := self._database.query(statement.where(verified.c.key > after)):
            yield list(map(_difference, page))
            after = page[-1].key

    def mark(self, keys: Sequence[str]) -> None:
        """Note that `--repair` marked these keys; the caller commits."""
        self._database.execute(
            verified.update()
            .where((verified.c.scope == self._scope) & self._database.among(verified.c.key))
            .values(marked=int(time.time())),
            {"some": json_list(keys)},
        )

    def began(self) -> int | None:
        """Epoch seconds at which the last comparison began."""
        found = self._database.query(
            sa.select(verifying.c.began).where(verifying.c.scope == self._scope)
        )
        return found[0].began if found else None

    def of_key(self, key: str) -> Difference | None:
        """The difference that a comparison saw last in a key."""
        own = (verified.c.scope == self._scope) & (verified.c.key == key)
        found = self._database.query(
            sa.select(*_OF_DIFFERENCE).where(own & verified.c.difference.is_not(None))
        )
        return _difference(found[0]) if found else None

    def totals(self) -> Totals:
        """How many records there are of each kind."""
        own = verified.c.scope == self._scope
        count = sa.func.count()
        expected = self._database.query(
            sa.select(count)
            .select_from(delivered)
            .where((delivered.c.scope == self._scope) & _COUNTS)
        )[0][0]
        before = own & verified.c.marked.is_not(None) & verified.c.at.is_(None)
        marked = self._database.query(sa.select(count).select_from(verified).where(before))[0][0]
        plain = own & verified.c.marked.is_(None) & verified.c.at.is_not(None)
        by_reason = self._database.query(
            sa.select(verified.c.skipped, count)
            .select_from(verified.join(delivered, _IS_OF_ROW))
            # Not what was deleted or sent since it was compared.
            .where(plain & verified.c.difference.is_(None) & _COUNTS & _is_valid())
            .group_by(verified.c.skipped)
        )
        skipped = {row[0]: row[1] for row in by_reason if row[0] is not None}
        same = sum(row[1] for row in by_reason if row[0] is None)
        return Totals(expected, same, marked, skipped)


def _is_valid() -> sa.ColumnElement[bool]:
    """Whether what was seen of a row is of its last delivery."""
    # Never null: its negation is a condition too.
    return (sa.func.coalesce(verified.c.at, -1) == delivered.c.at) & _is_of_same_run()


def _waits() -> sa.ColumnElement[bool]:
    """Whether no run has sent or deleted what was marked: a mark leaves the run as it was."""
    return (
        sa.select(delivered.c.key)
        .where(
            (delivered.c.scope == verified.c.scope)
            & (delivered.c.key == verified.c.key)
            & delivered.c.digest.in_((UNKNOWN, DELETED))
            & _is_of_same_run()
        )
        .exists()
    )


def _is_of_same_run() -> sa.ColumnElement[bool]:
    return sa.func.coalesce(verified.c.run, _NO_RUN) == sa.func.coalesce(delivered.c.run, _NO_RUN)


def _of_row(row: Any) -> Known:
    remote_id = row.key if row.remote_id == SAME else row.remote_id
    marked = row.marked is not None
    return Known(
        row.key, remote_id, row.digest, row.at, row.run, row.fields, row.other, marked=marked
    )


def _difference(row: Any) -> Difference:
    return Difference(row.key, row.at, row.run, json.loads(row.difference), row.marked)
