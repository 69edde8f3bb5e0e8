"""API v2: a private integration token, a location in most calls, a header Version."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from typing_extensions import override

from reisoftware_api import access
from reisoftware_api.api import Api
from reisoftware_api.writing import Call, WritingV2
from singer_http.errors import SingerHTTPError
from singer_http.http.urls import segment
from singer_http.operations import JSON

FIELDS = "customFields"


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
