"""Kasplo's lists, tags and custom fields: read page by page, found by id or name."""

from __future__ import annotations

import difflib
import unicodedata
from collections.abc import Iterator, Mapping
from itertools import chain
from typing import TYPE_CHECKING, Any

from singer_http.errors import RequestRejected, reason_of
from singer_http.exact_json import text_of
from singer_http.http.pages import NumberedPages, PageParams, key_of, stated_total
from singer_http.operations import JSON

if TYPE_CHECKING:
    from singer_http.sink.base import HTTPSink

PAGE_SIZE = 100
ACTIVE, INACTIVE = 1, 2
NEAR = 3
"""Names that a reason suggests, at most."""


class Unknown(Exception):
    """There is no such list or tag, or it cannot be used; the text says what there is."""


KEYS = {"list": "list_id", "tag": "tag_id", "custom-field": "custom_id"}
"""The id of an item, by the last part of its list's path."""
PAGE = PageParams("page", "pageSize", PAGE_SIZE, settings="api_url")


def read_all(sink: HTTPSink, path: str, params: Mapping[str, Any] | None = None) -> Iterator[JSON]:
    """All items of a list, whatever page size the vendor grants.

    Raises:
        StopRun: items are missing, or the list does not stop changing.
    """
    kind = _kind(path)

    def fetch(number: int) -> Any:
        asked = {**PAGE.query(number), **(params or {})}
        return sink.client.request("GET", path, params=asked, meter=sink.meter).data

    pages = NumberedPages(
        fetch=fetch,
        rows=lambda answer: _rows(kind, answer),
        total=lambda answer: stated_total(answer.get("total")),
        key=key_of(KEYS[kind]),
        listed=kind,
        params=PAGE,
    )
    return chain.from_iterable(pages.read())


def _rows(kind: str, answer: Any) -> list[JSON]:
    data = answer if isinstance(answer, dict) else {}
    rows = data.get("data")
    if rows is None and stated_total(data.get("total")) == 0:
        return []  # an empty list may come as null
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        said = reason_of(answer) or "no reason given"
        raise RequestRejected(
            f"{kind}: the answer has no list of objects under 'data' ({said}); check api_url"
        )
    return rows


class Directory:
    """The account's lists, or its tags, found by id or name."""

    def __init__(self, noun: str, id_name: str, items: Iterator[JSON]) -> None:
        """Read them.

        Args:
            noun: what they are called in a reason.
            id_name: the member that holds the id.
            items: as the vendor gives them.
        """
        self.noun = noun
        self._ids: dict[str, JSON] = {}
        self._names: dict[str, list[str]] = {}
        for item in items:
            id_ = text_of(item.get(id_name))
            self._ids[id_] = item
            self._names.setdefault(_folded(item.get("name")), []).append(id_)

    @property
    def usable(self) -> list[list[str]]:
        """The id and the name of each that is active: all that decides what `find` finds."""
        return sorted(
            [id_, _folded(item.get("name"))]
            for id_, item in self._ids.items()
            if self.is_active(id_)
        )

    def find(self, wanted: Any) -> str:
        """The id of the active one with this id or name (case aside).

        Raises:
            Unknown: there is none, there are several, or it is inactive.
        """
        text = text_of(wanted).strip()
        ids = [text] if text in self._ids else self._names.get(_folded(text), [])
        active = [id_ for id_ in ids if self.is_active(id_)]
        if len(active) == 1:
            return active[0]
        if len(active) > 1:
            raise Unknown(
                f"several {self.noun}s are called {text!r}: give the id ({', '.join(ids)})"
            )
        if ids:
            raise Unknown(f"the {self.noun} {text!r} is inactive: contacts go to active ones only")
        raise Unknown(f"the account has no {self.noun} {text!r}{self._hint(text)}")

    def is_active(self, id_: str) -> bool:
        """Whether there is an active one with this id."""
        item = self._ids.get(id_)
        return item is not None and item.get("status", ACTIVE) in (ACTIVE, "1", True)

    def _hint(self, text: str) -> str:
        names = [str(item.get("name")) for item in self._ids.values()]
        near = difflib.get_close_matches(text, names, n=NEAR, cutoff=0.5)
        if near:
            return f": did you mean {' or '.join(map(repr, near))}?"
        some = ", ".join(map(repr, names[:NEAR]))
        return f": it has {some}{', ...' if len(names) > NEAR else ''}" if names else ""


def _folded(name: Any) -> str:
    return unicodedata.normalize("NFC", text_of("" if name is None else name).strip().casefold())


def _kind(path: str) -> str:
    """The last part of a path: what stands before it is secret."""
    return path.rpartition("/")[2]
