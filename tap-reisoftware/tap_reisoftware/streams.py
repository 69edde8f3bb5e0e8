"""The streams of REI Software that come in one answer each."""

from __future__ import annotations

from typing import Any

from typing_extensions import override

from singer_http.tap.page_stream import Record
from tap_reisoftware.base import ReiStream


class CustomFields(ReiStream):
    """Custom fields of contacts."""

    name = "custom_fields"
    records_key = "customFields"

    @override
    def rows(self, answer: Any) -> list[Record]:
        return self.api.custom_fields(super().rows(answer))


class Tags(ReiStream):
    """Tags of contacts."""

    name = "tags"
    records_key = "tags"


class Campaigns(ReiStream):
    """Campaigns."""

    name = "campaigns"
    records_key = "campaigns"


class Workflows(ReiStream):
    """Workflows."""

    name = "workflows"
    records_key = "workflows"
