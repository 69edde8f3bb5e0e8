"""The streams of Kasplo. Contacts are not among them: they cannot be read back."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, ClassVar

from singer_sdk import SchemaDirectory, StreamSchema
from singer_sdk.helpers.types import Context
from typing_extensions import override

from singer_http.errors import RequestRejected, reason_of
from singer_http.http.pages import PageParams, stated_total
from singer_http.http.urls import segment
from singer_http.tap.page_stream import Record
from singer_http.tap.stream import HTTPStream
from tap_emailmarketing import schemas


class KasploStream(HTTPStream):
    """`{domain}/audience/v1/{sid}/<path>`, in pages with `data`, `limit` and `total`."""

    schema = StreamSchema(SchemaDirectory(schemas))

    @property
    @override
    def address(self) -> str:
        return f"audience/v1/{segment(self.config['sid'])}/{self.path}"

    @property
    @override
    def page_params(self) -> PageParams:
        return PageParams("page", "pageSize", self.config["page_size"])

    @override
    def rows(self, answer: Any) -> list[Record]:
        if isinstance(answer, dict) and answer.get("error"):  # {} where there is none
            message = f"{self.name}: {reason_of(answer)}"
            raise RequestRejected(message)
        return super().rows(answer)

    @override
    def total(self, answer: Any) -> int | None:
        total = answer.get("total") if isinstance(answer, dict) else None
        return stated_total(total)


class Lists(KasploStream):
    """Lists of contacts."""

    name = "lists"
    path = "list"
    primary_keys = ("list_id",)


class CustomFields(KasploStream):
    """Custom fields of contacts."""

    name = "custom_fields"
    path = "custom-field"
    primary_keys = ("custom_id",)


class Tags(KasploStream):
    """Tags of contacts, inactive ones too."""

    name = "tags"
    path = "tag"
    primary_keys = ("tag_id",)
    statuses: ClassVar[tuple[int, ...]] = (1, 2)
    """Active, inactive: only the active ones come unless asked for the others."""

    @override
    def pages(self, context: Context | None) -> Iterator[list[Record]]:
        for status in self.statuses:
            yield from self.numbered_pages(self.page_params, {"status": status})
