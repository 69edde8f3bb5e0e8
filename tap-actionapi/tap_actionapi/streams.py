"""The one stream of Merlin. Nothing can be listed: it holds what the searches find."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from decimal import Decimal
from functools import partial

from singer_sdk import SchemaDirectory, StreamSchema
from singer_sdk.helpers.types import Context
from typing_extensions import override

from merlin_api.action import carry_out
from merlin_api.search import search
from singer_http.errors import Refused, RequestRejected
from singer_http.exact_json import text_of
from singer_http.tap.page_stream import Record
from singer_http.tap.stream import HTTPStream
from tap_actionapi import schemas
from tap_actionapi.searches import action_of

FLAGS: Mapping[str, bool | None] = {
    "1": True, "true": True, "0": False, "false": False, "": None
}  # fmt: skip
"""Forms of a yes, a no, and of neither."""


class Contacts(HTTPStream):
    """The contacts that the searches find, each once."""

    name = "contacts"
    path = ""
    primary_keys = ("idContact",)
    schema = StreamSchema(SchemaDirectory(schemas))

    @override
    def pages(self, context: Context | None) -> Iterator[list[Record]]:
        seen: set[int] = set()
        for hits in self.prefetch(self._search, range(len(self.config["searches"]))):
            page: list[Record] = []
            for record in map(as_record, hits):
                if record["idContact"] not in seen:
                    seen.add(record["idContact"])
                    page.append(record)
            yield page

    def _search(self, place: int) -> list[Record]:
        """What one search finds, by its place in the setting; in any thread.

        Raises:
            StopRun: it is refused, or its answer is not understood.
        """
        searches = self.config["searches"]
        call = partial(carry_out, self._tap.client, str(self.config["api_url"]))
        try:
            return search(call, action_of(searches[place]))
        except Refused as error:
            which = f"search {place + 1} of {len(searches)}"
            message = f"{self.name}: {which} brought nothing that can be read: HTTP {error}"
            raise RequestRejected(message) from error


def as_record(contact: Record) -> Record:
    """A contact in one form, whatever the form of the answer."""
    record = {**contact, "idContact": int(contact["idContact"])}
    for name in ("Number", "Email", "Fname", "Lname"):
        if isinstance(value := record.get(name), int | Decimal) and not isinstance(value, bool):
            record[name] = text_of(value)
    if record.get("Custom") == []:  # how PHP writes an empty map
        record["Custom"] = {}
    if "Opportunitie" in record:
        value = record["Opportunitie"]
        record["Opportunitie"] = FLAGS.get(str(value).lower(), value)
    return record
