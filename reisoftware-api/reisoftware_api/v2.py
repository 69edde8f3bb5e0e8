"""API v2: a private integration token, a location in most calls, a header Version."""

from __future__ import annotations

from collections.abc import Callable, Container, Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from typing_extensions import override

from reisoftware_api import access, shapes
from reisoftware_api.api import Api
from reisoftware_api.times import iso, milliseconds
from reisoftware_api.writing import Call, WritingV2
from singer_http.errors import SingerHTTPError
from singer_http.http.urls import segment
from singer_http.operations import JSON

if TYPE_CHECKING:
    from singer_http.http.client import Client, Response


class V2(WritingV2, Api):
    """https://services.leadconnectorhq.com, for every HighLevel account."""

    version = "v2"
    url = "https://services.leadconnectorhq.com"
    header: ClassVar[str] = "2021-07-28"
    """The default of the setting `version_header`."""

    def __init__(self, config: Mapping[str, Any]) -> None:
        """Take the location and the header."""
        super().__init__(config)
        self._header = str(config.get("version_header") or self.header).strip()
        self.channels_of_v3 = self._header == "v3"
        self.value_name = config.get("custom_value_name") or self.value_name

    @property
    @override
    def headers(self) -> Mapping[str, str]:
        return {"Version": self._header}

    @override
    def listing(self, name: str) -> Call:
        location = segment(self.location)
        if name == "custom_fields":
            return Call(f"locations/{location}/customFields", {"model": "contact"})
        if name == "tags":
            return Call(f"locations/{location}/tags", {})
        return Call(f"{name}/", {"locationId": self.location})

    @override
    def list_contacts(self, client: Client, query: JSON | None) -> Response:
        # A POST that only reads: it may be sent again.
        return client.request("POST", "contacts/search", json=query)

    def search(self, size: int, *, since: int | None = None, after: Any = None) -> JSON:
        """The query of a page of all contacts, the oldest change first.

        Pages of a number would end at 10,000 contacts; a cursor has no end.

        Args:
            size: contacts in a page.
            since: epoch milliseconds; contacts that changed before it are left out.
            after: the cursor of the last row of the page before.
        """
        query: JSON = {
            "locationId": self.location,
            "pageLimit": size,
            "sort": [{"field": "dateUpdated", "direction": "asc"}],
        }
        if since is not None:
            value = {"gte": iso(since)}
            query["filters"] = [{"field": "dateUpdated", "operator": "range", "value": value}]
        return query if after is None else query | {"searchAfter": after}

    def cursor(self, row: JSON) -> list[Any]:
        """A row's place in the search: its dateUpdated (epoch milliseconds) and its id."""
        given = row.get("searchAfter")
        if isinstance(given, list) and given:
            return given
        return [milliseconds(row.get("dateUpdated")), row.get("id")]

    @override
    def contact(self, row: JSON) -> JSON:
        return shapes.contact(row)

    @override
    def appointment(self, row: JSON) -> JSON:
        return shapes.appointment(row)

    @override
    def with_dates(self, contact: JSON, date_fields: Callable[[], Container[str]]) -> JSON:
        for item in contact["customField"]:
            value = item["value"]
            is_day = isinstance(value, str) and shapes.DAY.fullmatch(value)
            if is_day and item["id"] in date_fields():
                item["value"] = milliseconds(value)
        return contact

    @override
    def appointments_path(self, contact: str) -> str:
        return self.contact_path(contact, "appointments")

    @override
    def custom_fields(self, rows: list[JSON]) -> list[JSON]:
        # Folders stand among the fields.
        return [row for row in rows if row.get("documentType", "field") == "field"]

    @override
    def explain(
        self, method: str, path: str, status: int, words: str, data: Any
    ) -> SingerHTTPError | None:
        return access.explain(method, path, status, words, data)
