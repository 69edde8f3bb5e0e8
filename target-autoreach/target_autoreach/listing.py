"""Reading AutoReach's lists, whose paging is not documented: `meta.total` says when to end."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any

import orjson

from singer_http.errors import StopRun
from singer_http.operations import JSON, invalid

if TYPE_CHECKING:
    from singer_http.sink.base import HTTPSink


def first_page(sink: HTTPSink, path: str) -> list[JSON]:
    """The first page of a list."""
    return _page(sink, path, 1)[0]


def read_all(sink: HTTPSink, path: str) -> Iterator[JSON]:
    """All items of a list.

    Raises:
        StopRun: pages repeat, or end before the total that the vendor states.
    """
    got, number, previous = 0, 1, None
    while True:
        items, total = _page(sink, path, number)
        if got and (not items or items == previous):
            raise StopRun(
                f"{path}: got {got} of {total}: AutoReach pages in another way than asked for; set "
                "page_param and page_size_param to the names that it uses."
            )
        yield from items
        got += len(items)
        if total is None or got >= total or not items:
            return
        number, previous = number + 1, items


def _page(sink: HTTPSink, path: str, number: int) -> tuple[list[JSON], int | None]:
    config = sink.config
    answer = sink.client.request(
        "GET",
        path,
        params={config["page_param"]: number, config["page_size_param"]: config["page_size"]},
        meter=sink.meter,
    )
    data: Any = answer.data
    if not isinstance(data, dict) or not isinstance(data.get("data"), list):
        raise StopRun(f"{path}: the answer has no list under 'data': check api_url.")
    total = (data.get("meta") or {}).get("total")
    return data["data"], total if isinstance(total, int) else None


Member = tuple[str, str, str, str, bytes]
"""id, email, phone, list id: as they are compared, empty for none; the member itself, if kept."""


class MemberIndex:
    """The account's members by email and phone, on disk; read at first use."""

    def __init__(self, read: Callable[[], Iterable[Member]]) -> None:
        self._read = read
        self._lock = threading.Lock()
        self._database: sqlite3.Connection | None = None

    def refresh(self) -> None:
        """Read the list again at the next use."""
        with self._lock:
            if self._database:
                self._database.close()
            self._database = None

    def find(self, email: str, phone: str, list_id: str) -> str | None:
        """The id of the member with this email, else this phone, in this list.

        Raises:
            Rejection: there are several.
        """
        with self._lock:
            database = self._load()
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
        """The member with this id, where members are kept."""
        with self._lock:
            found = self._load().execute("SELECT member FROM members WHERE id = ?", (id_,))
            (text,) = found.fetchone() or (b"",)
        return dict(orjson.loads(text)) if text else None

    def _load(self) -> sqlite3.Connection:
        if self._database is None:
            database = sqlite3.connect("", check_same_thread=False, isolation_level=None)
            database.execute("CREATE TABLE members (id, email, phone, list_id, member)")
            database.execute("BEGIN")
            database.executemany("INSERT INTO members VALUES (?, ?, ?, ?, ?)", self._read())
            database.execute("COMMIT")
            database.execute("CREATE INDEX by_email ON members (email)")
            database.execute("CREATE INDEX by_phone ON members (phone)")
            self._database = database
        return self._database
