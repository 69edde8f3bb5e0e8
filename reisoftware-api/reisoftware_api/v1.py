"""API v1: a location's key, which says whose data it is."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from typing_extensions import override

from reisoftware_api.api import Api
from reisoftware_api.writing import Call, WritingV1
from singer_http.errors import ConfigError, SingerHTTPError
from singer_http.operations import JSON

if TYPE_CHECKING:
    from singer_http.http.client import Client, Response


class V1(WritingV1, Api):
    """https://rest.reisoftware.com/v1; without support since 2025-12-31."""

    version = "v1"
    url = "https://rest.reisoftware.com/v1"
    headers: ClassVar[Mapping[str, str]] = {}

    @override
    def listing(self, name: str) -> Call:
        return Call(f"{name.replace('_', '-')}/", {})

    @override
    def list_contacts(self, client: Client, query: JSON | None) -> Response:
        return client.request("GET", "contacts/", params=query)

    @override
    def appointments_path(self, contact: str) -> str:
        return self.contact_path(contact, "appointments", "")

    @override
    def explain(
        self, method: str, path: str, status: int, words: str, data: Any
    ) -> SingerHTTPError | None:
        if status == 401 and "version header" in words.lower():
            return ConfigError(
                f"HTTP 401: {words}; api_url is an address of API v2: set api_version to v2"
            )
        return None
