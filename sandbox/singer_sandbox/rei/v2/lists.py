"""The location's lists, appointments, and the old list of contacts."""

from __future__ import annotations

from bisect import bisect_left
from typing import Any
from urllib.parse import urlencode

from singer_sandbox.account import Row
from singer_sandbox.rei.account import milliseconds
from singer_sandbox.rei.v2.access import location_in_query
from singer_sandbox.rei.v2.call import Answer, Call
from singer_sandbox.rei.v2.errors import invalid, no_route
from singer_sandbox.rei.v2.shapes import found

MODELS = ("contact", "opportunity", "all")
LIST_LIMIT = 100


def custom_fields(call: Call, _location: str) -> Answer:
    """GET locations/{id}/customFields: folders among them, which hold no values."""
    model = call.request.params.get("model", "all")
    if model not in MODELS:
        raise invalid(f"model must be one of the following values: {', '.join(MODELS)}")
    rows = [_custom_field(call, row) for row in call.account.rows["custom_fields"].values()]
    return 200, {"customFields": [row for row in rows if model in ("all", row["model"])]}


def tags(call: Call, _location: str) -> Answer:
    """GET locations/{id}/tags"""
    rows = call.account.rows["tags"].values()
    return 200, {"tags": [{**row, "locationId": call.account.location} for row in rows]}


def workflows(call: Call) -> Answer:
    """GET workflows"""
    location = location_in_query(call.request)
    rows = call.account.rows["workflows"].values()
    return 200, {"workflows": [{**row, "locationId": location} for row in rows]}


def campaigns(call: Call) -> Answer:
    """GET campaigns, with a status or all."""
    location = location_in_query(call.request)
    status = call.request.params.get("status")
    rows = [r for r in call.account.rows["campaigns"].values() if status in (None, r["status"])]
    return 200, {"campaigns": [{**row, "locationId": location} for row in rows]}


def appointments(call: Call, contact: str) -> Answer:
    """GET contacts/{id}/appointments: times without a zone, unless told otherwise."""
    found_one = call.contact(contact)
    naive = call.options["appointment_times"] == "naive"
    rows = [r for r in call.account.rows["appointments"].values() if r["contactId"] == found_one.id]
    return 200, {"events": [_event(row, naive=naive) for row in rows]}


def events(call: Call) -> Answer:
    """GET calendars/events: those that begin between two moments (ms); times with an offset."""
    location_in_query(call.request)
    params = call.request.params
    wanted = {
        field: params[name]
        for name, field in (
            ("calendarId", "calendarId"),
            ("userId", "assignedUserId"),
            ("groupId", "groupId"),
        )
        if params.get(name)
    }
    problems = [
        f"{name} must be a number string"
        for name in ("startTime", "endTime")
        if not params.get(name, "").isdigit()
    ]
    if not wanted:
        problems.append("one of calendarId, userId, groupId should not be empty")
    if problems:
        raise invalid(*problems)
    start, end = int(params["startTime"]), int(params["endTime"])
    rows = [
        _event(row, naive=False)
        for row in call.account.rows["appointments"].values()
        if start <= milliseconds(row["startTime"]) <= end
        and all(row.get(field) == value for field, value in wanted.items())
    ]
    return 200, {"events": rows}


def contacts(call: Call) -> Answer:
    """GET contacts, deprecated: newest first, with v1's double cursor."""
    if call.options["contacts_list"] == "gone":
        raise no_route(call.request)
    location_in_query(call.request)
    params = call.request.params
    limit, account = params.get("limit", "20"), call.account
    if not limit.isdigit() or not 1 <= int(limit) <= LIST_LIMIT:
        raise invalid(f"limit must not be greater than {LIST_LIMIT}")
    rows, size = account.by_added, int(limit)
    if text := params.get("query", "").lower():
        rows = [row for row in rows if account.contacts[row[1]].mentions(text)]
    after, after_id = params.get("startAfter", ""), params.get("startAfterId", "")
    end = bisect_left(rows, (int(after), after_id)) if after.isdigit() and after_id else len(rows)
    page = rows[max(0, end - size) : end][::-1]
    last: Any = page[-1] if page else (None, None)
    link = {**params, "startAfter": last[0], "startAfterId": last[1]}
    number = (len(rows) - end) // size + 1
    meta = {
        "total": len(rows),
        "nextPageUrl": f"http://services.example.com/contacts/?{urlencode(link)}",
        "startAfterId": last[1],
        "startAfter": last[0],
        "currentPage": number,
        "nextPage": number + 1 if end > size else None,
        "prevPage": number - 1 if number > 1 else None,
    }
    return 200, {"contacts": [found(call, account.contacts[k]) for _, k in page], "meta": meta}


def _custom_field(call: Call, row: Row) -> Row:
    return {
        "model": "contact",
        "documentType": "field",
        "parentId": None,
        "placeholder": "",
        "standard": False,
        "dateAdded": "2025-01-01T12:00:00.000Z",
        **row,
        "locationId": call.account.location,
    }


def _event(row: Row, *, naive: bool) -> Row:
    """An appointment under v2's names; `createdAt` and `updatedAt` are v1's."""
    names = {"createdAt": "dateAdded", "updatedAt": "dateUpdated"}
    event = {names.get(name, name): value for name, value in row.items()}
    if naive:
        event.pop("appoinmentStatus", None)
        for name in {"startTime", "endTime"} & event.keys():
            event[name] = str(event[name])[:19].replace("T", " ")
    return event
