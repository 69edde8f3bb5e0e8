"""Appointments: one request for each contact."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from typing_extensions import override

from reisoftware_api.times import iso, milliseconds
from singer_http.errors import NotFound, Refused, RequestRejected
from singer_http.tap.page_stream import Record
from singer_http.tap.stream import ChildStream
from tap_reisoftware.base import ReiStream
from tap_reisoftware.contacts import Contacts, ReadsContacts
from tap_reisoftware.reading import changed

BOOKMARK = "contacts_changed_since"
"""In this stream's state: appointments of contacts that changed since are read (`changed`)."""


class Appointments(ChildStream, ReiStream, ReadsContacts):
    """Appointments of all contacts, or of those that changed (`appointments_of`)."""

    name = "appointments"
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
        contact = str(parent["id"])
        try:
            answer = self._tap.client.request("GET", self.api.appointments_path(contact)).data
        except NotFound:
            return []  # deleted since it was listed
        except Refused as error:
            if self._is_gone(contact):
                return []
            message = f"{self.name} of contact {contact}: {error}; check api_url"
            raise RequestRejected(message) from error
        rows = self.rows(self.api.appointments(answer))
        return [self.api.appointment({"contactId": contact, **row}) for row in rows]

    def _is_gone(self, contact: str) -> bool:
        """Whether the vendor does not know a contact: it may say so without a 404."""
        try:
            self._tap.client.request("GET", self.api.contact_path(contact))
        except Refused:
            return True
        return False
