"""POST contacts/search: sorts, pages up to 10,000 rows, cursors beyond, an index that lags."""

from __future__ import annotations

import time
from bisect import bisect_left, bisect_right
from collections.abc import Mapping, Sequence
from functools import cmp_to_key
from typing import Any, NamedTuple

from singer_sandbox.account import Row
from singer_sandbox.rei.account import Contact
from singer_sandbox.rei.v2.bodies import unknown_keys
from singer_sandbox.rei.v2.call import Answer, Call
from singer_sandbox.rei.v2.errors import invalid, refusal
from singer_sandbox.rei.v2.filters import TIMES, Test, all_of, bounds, reader
from singer_sandbox.rei.v2.shapes import found

KEYS = frozenset({"locationId", "page", "pageLimit", "searchAfter", "filters", "sort", "query"})
SORTS = frozenset(
    {
        "firstNameLowerCase",
        "lastNameLowerCase",
        "businessName",
        "dateAdded",
        "dateUpdated",
        "email",
        "dnd",
        "source",
    }
)
REACH = 10_000
"""Rows that pages reach; further ones need searchAfter."""
QUERY_LENGTH = 75
GAP = 2 / 3
"""The share of the lag after which the old row is gone; the new one comes at its end."""


class Sort(NamedTuple):
    """One of at most two fields that the rows are sorted by."""

    field: str
    ascending: bool


class Query(NamedTuple):
    """A search, checked."""

    limit: int
    page: int
    after: list[Any]
    """The cursor: sort values and id; empty for none."""
    sorts: list[Sort]
    filters: Any
    text: str


def search(call: Call) -> Answer:
    """One page, and how many rows there are in all: a hint, as the count does not lag."""
    query = _query(call)
    contacts = _index(call)
    live = contacts is call.account.contacts
    if len(query.sorts) == 1 and query.sorts[0].field in TIMES:
        rows, total = _by_time(call, query, contacts)
    else:
        rows, total = _by_fields(call, query, contacts)
    if not live:
        test = _matching(call, query, query.filters)
        total = sum(test(contact) for contact in call.account.contacts.values())
    return 200, {"contacts": rows, "total": total}


def _index(call: Call) -> Mapping[str, Contact]:
    """The contacts as the index has them: for a while the old row, then none, then the new one."""
    account, lag = call.account, call.options["search_lag"]
    if not lag:
        return account.contacts
    seen = dict(account.as_of("search", account.contacts, lag))
    since = time.time() - lag * GAP
    for at, key, _ in account.recent("search", lag):
        if at <= since:
            seen.pop(key, None)
    return seen


# The question


def _query(call: Call) -> Query:
    body = call.body
    problems = unknown_keys(body, KEYS)
    most = int(call.options["search_page_max"])
    limit, page = body.get("pageLimit"), body.get("page", 1)
    if not body.get("locationId"):
        problems += ["locationId should not be empty", "locationId must be a string"]
    if not isinstance(limit, int) or not _is_number(limit):
        problems.append("pageLimit must be a number conforming to the specified constraints")
    elif limit > most:
        problems.append(f"pageLimit must not be greater than {most}")
    if not _is_number(page):
        problems.append("page must be a number conforming to the specified constraints")
    text = body.get("query") or ""
    if not isinstance(text, str) or len(text) > QUERY_LENGTH:
        problems.append(f"query must be shorter than or equal to {QUERY_LENGTH} characters")
    if problems or not isinstance(limit, int):
        raise invalid(*problems)
    after = body.get("searchAfter") or []
    if after and "page" in body:
        raise refusal(400, "page and searchAfter can not be used together")
    if page * limit > REACH:
        raise refusal(400, f"page and pageLimit reach {REACH} contacts: use searchAfter")
    sorts = _sorts(body.get("sort"))
    if not isinstance(after, list) or (after and len(after) != len(sorts) + 1):
        raise invalid("searchAfter must be an array of the sort values and the id")
    cap = call.options["page_size_cap"]
    return Query(min(limit, cap or limit), page, after, sorts, body.get("filters"), text.lower())


def _is_number(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value > 0


def _sorts(given: Any) -> list[Sort]:
    if not given:
        return [Sort("dateAdded", ascending=False)]
    if not isinstance(given, list) or len(given) > 2:
        raise invalid("sort must be an array of at most 2 elements")
    sorts: list[Sort] = []
    for item in given:
        field, direction = (
            (item.get("field"), item.get("direction")) if isinstance(item, dict) else (None, None)
        )
        if not isinstance(field, str) or field not in SORTS:
            raise refusal(400, f"Invalid field {field}")
        if direction not in ("asc", "desc"):
            raise invalid("direction must be one of the following values: asc, desc")
        sorts.append(Sort(field, direction == "asc"))
    return sorts


def _matching(call: Call, query: Query, filters: Any) -> Test:
    test = all_of(filters, phone_misses=call.options["search_by_phone"] == "misses")
    if not query.text:
        return test
    return lambda contact: contact.mentions(query.text) and test(contact)


# The rows


def _by_time(call: Call, query: Query, contacts: Mapping[str, Contact]) -> tuple[list[Row], int]:
    """By one of the two times: an index of the account serves, so that long lists stay quick."""
    sort = query.sorts[0]
    updated = sort.field == "dateUpdated"
    order: Sequence[tuple[int, str]]
    if contacts is call.account.contacts:
        order = call.account.by_updated if updated else call.account.by_added
    else:
        order = sorted((c.updated if updated else c.added, c.id) for c in contacts.values())
    limits, rest = bounds(query.filters, sort.field)
    test = _matching(call, query, rest)
    low, high = _slice(order, limits)
    if rest or query.text:
        order = [entry for entry in order[low:high] if test(contacts[entry[1]])]
        low, high = 0, len(order)
    if query.after:
        cursor = _time_cursor(query.after)
        if sort.ascending:
            low_now, high_now = max(low, bisect_right(order, cursor)), high
        else:
            low_now, high_now = low, min(high, bisect_left(order, cursor))
        skip = 0
    else:
        low_now, high_now, skip = low, high, (query.page - 1) * query.limit
    if sort.ascending:
        page = order[min(low_now + skip, high_now) : min(low_now + skip + query.limit, high_now)]
    else:
        end = max(low_now, high_now - skip)
        page = order[max(low_now, end - query.limit) : end][::-1]
    rows = [found(call, contacts[key], [stamp, key]) for stamp, key in page]
    return rows, max(0, high - low)


def _slice(order: Sequence[tuple[int, str]], limits: Row) -> tuple[int, int]:
    """Where the entries within the limits begin and end."""
    low, high = 0, len(order)
    last = chr(0x10FFFF)
    if "gte" in limits:
        low = max(low, bisect_left(order, (limits["gte"], "")))
    if "gt" in limits:
        low = max(low, bisect_left(order, (limits["gt"], last)))
    if "lte" in limits:
        high = min(high, bisect_left(order, (limits["lte"], last)))
    if "lt" in limits:
        high = min(high, bisect_left(order, (limits["lt"], "")))
    return low, max(low, high)


def _time_cursor(after: list[Any]) -> tuple[int, str]:
    stamp, key = after
    if not _is_number(stamp) or not isinstance(key, str):
        raise invalid("searchAfter must be an array of the sort value (ms) and the id")
    return stamp, key


def _by_fields(call: Call, query: Query, contacts: Mapping[str, Contact]) -> tuple[list[Row], int]:
    """By other fields, or by two: everything is sorted for each page."""
    readers = [reader(sort.field) for sort in query.sorts]
    test = _matching(call, query, query.filters)

    def cursor_of(contact: Contact) -> list[Any]:
        values = [read(contact) for read in readers]
        return [v.lower() if isinstance(v, str) else v for v in values] + [contact.id]

    def compare(one: list[Any], other: list[Any]) -> int:
        for sort, mine, theirs in zip(query.sorts, one, other, strict=False):
            # Nothing comes before something.
            if mine != theirs:
                before = (mine is not None, mine) < (theirs is not None, theirs)
                return -1 if before == sort.ascending else 1
        return -1 if (one[-1] < other[-1]) == query.sorts[0].ascending else int(one != other)

    rows = sorted((cursor_of(c) for c in contacts.values() if test(c)), key=cmp_to_key(compare))
    if query.after:
        try:
            later = (i for i, row in enumerate(rows) if compare(row, query.after) > 0)
            begin = next(later, len(rows))
        except TypeError:
            raise invalid("searchAfter must be an array of the sort values and the id") from None
    else:
        begin = (query.page - 1) * query.limit
    page = rows[begin : begin + query.limit]
    return [found(call, contacts[row[-1]], row) for row in page], len(rows)
