"""REI Software's list of contacts: two orders, a double cursor, and a `meta` full of traps."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Mapping
from urllib.parse import urlencode

import orjson

from singer_sandbox.rei.account import ReiAccount

SORTS = ("date_added", "date_updated")


def render_page(account: ReiAccount, params: Mapping[str, str], limit: int, quirk: str) -> bytes:
    """One page, after the double cursor; `quirk` is what date_updated does."""
    order = params.get("order", "desc")
    by_updated = params.get("sortBy") == "date_updated"
    stuck = by_updated and quirk == "stuck"
    rows = account.by_updated if by_updated and quirk != "unsorted" else account.by_added
    if params.get("query"):
        wanted = params["query"].lower()
        rows = [row for row in rows if account.contacts[row[1]].mentions(wanted)]
    total = len(rows)
    offset = 0 if stuck else _offset(rows, params, order, limit)
    if order == "asc":
        page = rows[offset : offset + limit]
    else:
        end = total - offset
        page = rows[max(0, end - limit) : end][::-1]
    contacts = [account.contacts[key].listed(account.location) for _, key in page]
    number = offset // limit + 1
    more = offset + len(page) < total
    after, after_id = page[-1] if page else (None, None)
    link = {**params, "limit": limit, "startAfter": after, "startAfterId": after_id}
    meta = {
        "total": total,
        # Plain http and another host, as seen: whoever follows it gives the key away.
        "nextPageUrl": f"http://rest.example.com/v1/contacts/?{urlencode(link)}",
        "startAfterId": after_id,
        "startAfter": after,
        "currentPage": number,
        "nextPage": number + 1 if more else "",
        "prevPage": number - 1 if number > 1 else None,
    }
    return orjson.dumps({"contacts": contacts, "meta": meta})


def _offset(rows: list[tuple[int, str]], params: Mapping[str, str], order: str, limit: int) -> int:
    """Where the page begins. Half a cursor is no cursor: the same page comes back."""
    after, after_id = params.get("startAfter", ""), params.get("startAfterId")
    if after_id and after.isdigit():
        cursor = (int(after), after_id)
        if order == "asc":
            return bisect_right(rows, cursor)
        return len(rows) - bisect_left(rows, cursor)
    page = params.get("page", "1")
    return (max(1, int(page)) - 1) * limit if page.isdigit() else 0
