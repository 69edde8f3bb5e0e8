"""The streams of AutoReach. People are not among them: they cannot be read back."""

from __future__ import annotations

from functools import cached_property
from typing import Any

from singer_sdk import SchemaDirectory
from typing_extensions import override

from singer_http.errors import RequestRejected, reason_of
from singer_http.http.pages import PageParams, stated_total
from singer_http.tap.page_stream import Record
from singer_http.tap.stream import HTTPStream
from tap_autoreach import schemas
from tap_autoreach.inference import merged

CORE = SchemaDirectory(schemas)


class AutoReachStream(HTTPStream):
    """`{"data": [...], "meta": {"total": n}}`; the page parameters are not documented."""

    primary_keys = ("id",)

    @cached_property
    @override
    def schema(self) -> dict[str, Any]:
        """The declared fields and those of the first page: the vendor publishes no schemas."""
        first = self.fetch(self.page_params.query(1))
        return merged(CORE.get_schema(self.name), self.rows(first))

    @property
    @override
    def page_params(self) -> PageParams:
        return PageParams(
            self.config["page_param"],
            self.config["page_size_param"],
            self.config["page_size"],
            settings="page_param, page_size_param, page_size",
        )

    @override
    def rows(self, answer: Any) -> list[Record]:
        if isinstance(answer, dict) and answer.get("errors"):  # also with status 200
            message = f"{self.name}: {reason_of(answer)}"
            raise RequestRejected(message)
        return super().rows(answer)

    @override
    def total(self, answer: Any) -> int | None:
        total = (answer.get("meta") or {}).get("total") if isinstance(answer, dict) else None
        return stated_total(total)


class Campaigns(AutoReachStream):
    """Campaigns."""

    name = "campaigns"
    path = "campaigns"


class CustomFields(AutoReachStream):
    """Custom fields of people and members."""

    name = "custom_fields"
    path = "custom_fields"


class Lists(AutoReachStream):
    """Lists of members."""

    name = "lists"
    path = "lists"


class Members(AutoReachStream):
    """Members of lists."""

    name = "members"
    path = "members"
