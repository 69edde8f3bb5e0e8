"""Appointments: one request for each contact."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from singer_sdk import SchemaDirectory, StreamSchema
from typing_extensions import override

from singer_http.errors import NotFound, Refused, RequestRejected
from singer_http.http.urls import segment
from singer_http.tap.page_stream import Record
from singer_http.tap.stream import ChildStream
from tap_reisoftware import schemas
from tap_reisoftware.contacts import Contacts, ReadsContacts, changed
from tap_reisoftware.contacts_scan import iso, milliseconds

BOOKMARK = "contacts_changed_since"
"""In this stream's state: appointments of contacts that changed since are read (`changed`)."""


class Appointments(ChildStream, ReadsContacts):
    """Appointments of all contacts, or of those that changed (`appointments_of`)."""

    name = "appointments"
    path = "contacts/"
    primary_keys = ("id",)
    schema = StreamSchema(SchemaDirectory(schemas))
    parent_stream_type = Contacts
    needs_all_parents = True  # it has a bookmark of its own

    @property
    @override
    def since(self) -> int | None:
        if self.config["appointments_of"] == "all":
            return None
        return milliseconds(self.stream_state.get(BOOKMARK) or self.config.get("start_date"))

    @override
    def remember(self, newest: int) -> None:
        if self.config["appointments_of"] == "changed":
            reached = next(
                stream.until_now(newest)
                for stream in self._tap.streams.values()
                if isinstance(stream, Contacts)
            )
            if reached > (self.since or 0):
                self.stream_state[BOOKMARK] = iso(reached)

    @override
    def pages_of_parents(self, parents: Sequence[Record]) -> Iterator[list[Record]]:
        return super().pages_of_parents(changed(list(parents), self.since))

    @override
    def records_of(self, parent: Record) -> list[Record]:
        contact = segment(parent["id"])
        try:
            answer = self._tap.client.request("GET", f"contacts/{contact}/appointments/").data
        except NotFound:
            return []  # deleted since it was listed
        except Refused as error:
            if self._is_gone(contact):
                return []
            message = f"{self.name} of contact {contact}: {error}; look at api_url"
            raise RequestRejected(message) from error
        # Without appointments: {}. With some, it is not known which of these two it is.
        rows = (answer or {}).get("appointments") or (answer or {}).get("events") or []
        return [{"contactId": parent["id"], **row} for row in self.rows(rows)]

    def _is_gone(self, contact: str) -> bool:
        """Whether the vendor does not know a contact: it may say so without a 404."""
        try:
            self._tap.client.request("GET", f"contacts/{contact}")
        except Refused:
            return True
        return False
