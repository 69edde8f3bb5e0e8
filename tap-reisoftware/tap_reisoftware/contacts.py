"""Contacts: all of them, or those that changed."""

from __future__ import annotations

import abc
from collections.abc import Iterator
from functools import cached_property
from typing import TYPE_CHECKING, Any

from typing_extensions import override

from reisoftware_api.times import iso, milliseconds
from reisoftware_api.v2 import V2
from singer_http.tap.page_stream import Record
from tap_reisoftware.base import ReiStream, ReiTap
from tap_reisoftware.reading import ContactsReader, VendorClock, changed
from tap_reisoftware.reading_list import ListReader
from tap_reisoftware.reading_search import SearchReader

if TYPE_CHECKING:
    from singer_sdk.helpers.types import Context

    from singer_http.http.client import Response


class ReadsContacts(abc.ABC):
    """A stream that needs the contacts that changed since its own bookmark."""

    @property
    @abc.abstractmethod
    def since(self) -> int | None:
        """Epoch milliseconds from which changes of contacts count; None for all contacts."""

    @abc.abstractmethod
    def remember(self, newest: int) -> None:
        """Move the bookmark to a contact's dateUpdated (epoch milliseconds) that was read."""


class Contacts(ReiStream, ReadsContacts):
    """Contacts; incremental by dateUpdated. How they are read depends on the API's version."""

    name = "contacts"
    records_key = "contacts"
    replication_key = "dateUpdated"
    address_settings = "page_size and api_url"

    def __init__(self, tap: ReiTap) -> None:
        """Read nothing yet."""
        super().__init__(tap)
        self._clock = VendorClock()

    @cached_property
    def reader(self) -> ContactsReader:
        """How this version of the API lists contacts."""
        if isinstance(self.api, V2):
            return SearchReader(self, self.api, self._clock)
        return ListReader(self)

    @property
    @override
    def since(self) -> int | None:
        if self.replication_method != "INCREMENTAL":
            return None
        return milliseconds(self.get_starting_replication_key_value(None))

    @override
    def remember(self, newest: int) -> None:
        reached = self.until_now(newest)
        if self.replication_method == "INCREMENTAL" and reached > (self.since or 0):
            state = self.get_context_state(None)
            state["replication_key"] = self.replication_key
            state["replication_key_value"] = iso(reached)

    def until_now(self, newest: int) -> int:
        """The earlier of this time and shortly before the run: later changes are read again."""
        started = self._clock.started
        return newest if started is None else min(newest, started - self.reader.overlap)

    @override
    def send(self, params: dict[str, Any] | None) -> Response:
        answer = self.api.list_contacts(self._tap.client, params)
        self._clock.note(answer.headers)
        return answer

    @override
    def get_replication_key_signpost(self, context: Context | None = None) -> None:
        """Set no signpost: it would use our clock, not the vendor's."""

    @override
    def wanted(self, records: list[Record]) -> list[Record]:
        return changed(records, self.since)

    @override
    def bookmark(self, records: list[Record]) -> None:
        self.remember(self.reader.reached(records))

    @override
    def pages(self, context: Context | None) -> Iterator[list[Record]]:
        readers = [
            stream
            for stream in (self, *self.child_streams)
            if isinstance(stream, ReadsContacts) and stream.selected
        ]
        needs = [reader.since for reader in readers]
        since = None if None in needs else min(need for need in needs if need is not None)
        for rows in self.reader.pages(since, resume=self.since is None):
            yield [self._record(row) for row in rows]
        for reader in readers:
            reader.remember(self.reader.newest)

    def _record(self, row: Record) -> Record:
        return self.api.with_dates(self.api.contact(row), lambda: self._date_fields)

    @cached_property
    def _date_fields(self) -> frozenset[str]:
        """The ids of the custom fields that hold dates."""
        stream = self._tap.streams["custom_fields"]
        assert isinstance(stream, ReiStream)  # noqa: S101
        rows = stream.rows(stream.fetch(stream.params))
        return frozenset(
            str(row.get("id")) for row in rows if str(row.get("dataType")).upper() == "DATE"
        )
