"""Reading AutoReach's lists, whose paging is not documented: `meta.total` says when to end."""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import chain
from typing import TYPE_CHECKING, Any

from typing_extensions import override

from singer_http.errors import NotFound, RequestRejected, reason_of
from singer_http.exact_json import decode, encode, text_of
from singer_http.http.pages import NumberedPages, PageParams, key_of, stated_total
from singer_http.operations import JSON, invalid
from singer_http.sink.reading import ListPage, Reading

if TYPE_CHECKING:
    from singer_http.sink.base import HTTPSink


def first_page(sink: HTTPSink, path: str) -> list[JSON]:
    """The first page of a list."""
    pages = _pages(sink, path)
    return pages.rows(pages.ask(1))


def read_all(sink: HTTPSink, path: str) -> Iterator[JSON]:
    """All items of a list.

    Raises:
        StopRun: items are missing, or the list does not stop changing.
    """
    return chain.from_iterable(_pages(sink, path).read())


def is_own_404(error: NotFound) -> bool:
    """A 404 in AutoReach's own format (`{"errors": [...]}`), so about the record."""
    errors = error.data.get("errors") if isinstance(error.data, dict) else None
    return isinstance(errors, list) and bool(errors) and all(isinstance(e, dict) for e in errors)


def confirm_lists(sink: HTTPSink) -> None:
    """Read the account's lists, which every account can be asked for.

    Raises:
        StopRun: the address does not have them.
    """
    first_page(sink, "lists")


def _pages(sink: HTTPSink, path: str) -> NumberedPages:
    config = sink.config
    params = PageParams(
        config["page_param"],
        config["page_size_param"],
        config["page_size"],
        settings="page_param, page_size_param, page_size",
    )
    return NumberedPages(
        fetch=lambda number: (
            sink.client.request("GET", path, params=params.query(number), meter=sink.meter).data
        ),
        rows=lambda answer: _rows(path, answer),
        total=lambda answer: stated_total((answer.get("meta") or {}).get("total")),
        key=key_of("id"),
        listed=path,
        params=params,
        one_answer=path != "members",
    )


def _rows(path: str, answer: Any) -> list[JSON]:
    rows = answer.get("data") if isinstance(answer, dict) else None
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        said = reason_of(answer) or "no reason given"
        raise RequestRejected(
            f"{path}: the answer has no list of objects under 'data' ({said}); check api_url"
        )
    return rows


class MemberReading(Reading):
    """The account's members. One alone cannot be asked for."""

    has_list = True
    by_id = False

    def __init__(self, sink: HTTPSink, identities: Callable[[JSON], Sequence[str]]) -> None:
        """Read nothing yet."""
        self._pages = _pages(sink, "members")
        self._identities = identities

    @override
    def pages(self, place: JSON) -> Iterator[ListPage]:
        for number, rows in self._pages.single_pass(place.get("page", 1)):
            yield ListPage(_with_id(rows), {"page": number + 1})

    @override
    def again(self) -> Iterator[list[JSON]]:
        return map(_with_id, self._pages.read())

    @override
    def id_of(self, record: JSON) -> str:
        return text_of(record["id"])

    @override
    def identities(self, record: JSON) -> Sequence[str]:
        return self._identities(record)


def _with_id(rows: Iterable[JSON]) -> list[JSON]:
    return [row for row in rows if row.get("id")]


Member = tuple[str, str, str, str, bytes]
"""Id, email, phone, list id: as they are compared, empty for none; the member itself, if kept."""


FRESH_FOR = 60.0
"""Seconds for which a reading shows what members have; longer if the reading took long."""
SHARE = 10
"""A reading shows what members have for this many times the seconds that it took."""


class MemberIndex:
    """The account's members by email and phone, on disk; read at first use."""

    def __init__(
        self,
        read: Callable[[], Iterable[Member]],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Read nothing yet.

        Args:
            read: gives all members.
            clock: seconds.
        """
        self._read = read
        self._clock = clock
        self._fresh_until = 0.0
        self._lock = threading.Lock()
        self._database: sqlite3.Connection | None = None
        self._confirmed = False
        """The list was read a second time, because the first reading missed what was looked for."""
        self._missed = False
        """It was, because a reading missed a member that is known by its id."""
        self._marks = 0
        """Moments that were marked."""
        self._gone: set[str] = set()
        """Ids that were asked for and are in no reading."""
        self._marks_seen = 0
        """What `_marks` was when the reading of `_database` began."""

    def mark(self) -> int:
        """A moment: a reading that began before it does not show what happened until then.

        Returns at once, also while another thread reads.
        """
        self._marks += 1
        return self._marks

    def find(self, email: str, phone: str, list_id: str, *, since: int = 0) -> str | None:
        """The id of the member with this email, else this phone, in this list.

        Args:
            email: as it is compared, as are the others; empty for none.
            phone: looked for if no member has the email.
            list_id: of the list; empty for any.
            since: the mark that the reading must not be older than; one reading serves all marks
                that were made before it began.

        Raises:
            Rejection: there are several.
        """
        with self._lock:
            found = self._find(email, phone, list_id, since)
            if found is None and not self._confirmed:
                # A deletion and an addition during one reading can hide a member, and it would be
                # created twice.
                self._confirmed = True
                found = self._find(email, phone, list_id, self.mark())
            return found

    def _find(self, email: str, phone: str, list_id: str, since: int) -> str | None:
        database = self._load(since)
        for column, value in (("email", email), ("phone", phone)):
            if not value:
                continue
            where, values = f"{column} = ?", [value]
            if list_id:
                where, values = f"{where} AND list_id = ?", [value, list_id]
            found = database.execute(
                f"SELECT id FROM members WHERE {where} LIMIT 2",  # noqa: S608
                values,
            ).fetchall()
            if len(found) > 1:
                ids = ", ".join(row[0] for row in found)
                raise invalid(f"several members have this {column} ({ids}, ...): give the id")
            if found:
                return str(found[0][0])
        return None

    def member(self, id_: str) -> JSON | None:
        """The member with this id, where members are kept; `None` if there is none.

        What people edit meanwhile is not in the list that was read: it is read again from time to
        time. It may have missed a member, as in `find`, or a member may be new: then it is read
        again too, once for all that are missing.
        """
        with self._lock:
            if self._database is not None and self._clock() > self._fresh_until:
                self._load(self.mark())
                self._missed = False
            found = self._member(id_)
            if found is None and not self._missed:
                self._missed = True
                self._load(self.mark())
                found = self._member(id_)
            if found is None:
                self._gone.add(id_)
        return found

    def gone(self) -> tuple[int, int]:
        """How many ids were asked for that no reading has, and how many members there are."""
        with self._lock:
            (shown,) = self._load(0).execute("SELECT count(*) FROM members").fetchone()
            return len(self._gone), int(shown)

    def _member(self, id_: str) -> JSON | None:
        rows = self._load(0).execute("SELECT member FROM members WHERE id = ?", (id_,))
        (text,) = rows.fetchone() or (b"",)
        return dict(decode(text)) if text else None

    def note_made(self, id_: str, member: JSON) -> None:
        """A member was created, as it is known by its id: it is not looked up in this reading."""
        with self._lock:
            if self._database is not None:
                row = (id_, "", "", "", encode(member))
                self._database.execute("INSERT INTO members VALUES (?, ?, ?, ?, ?)", row)

    def note(self, id_: str, change: Callable[[JSON], JSON]) -> None:
        """A member was updated: what is kept of it changes with it."""
        with self._lock:
            if self._database is not None and (known := self._member(id_)) is not None:
                self._database.execute(
                    "UPDATE members SET member = ? WHERE id = ?", (encode(change(known)), id_)
                )

    def _load(self, since: int) -> sqlite3.Connection:
        """The index, read again if it is older than a mark (with the lock held)."""
        marks = self._marks
        if self._database is not None and since <= self._marks_seen:
            return self._database
        if self._database is not None:
            self._database.close()
            self._database = None
        began = self._clock()
        database = sqlite3.connect("", check_same_thread=False, isolation_level=None)
        try:
            database.execute("CREATE TABLE members (id, email, phone, list_id, member)")
            database.execute("BEGIN")
            database.executemany("INSERT INTO members VALUES (?, ?, ?, ?, ?)", self._read())
            database.execute("COMMIT")
            database.execute("CREATE INDEX by_email ON members (email)")
            database.execute("CREATE INDEX by_phone ON members (phone)")
            database.execute("CREATE INDEX by_id ON members (id)")
        except BaseException:
            database.close()
            raise
        self._database, self._marks_seen = database, marks
        now = self._clock()
        self._fresh_until = now + max(FRESH_FOR, SHARE * (now - began))
        return database
