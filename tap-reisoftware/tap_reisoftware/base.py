"""The tap's settings and its API, as its streams need them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from singer_sdk import SchemaDirectory, StreamSchema
from typing_extensions import override

from reisoftware_api.api import Api
from reisoftware_api.plugin import ReiPlugin
from singer_http.errors import ConfigError
from singer_http.tap.stream import HTTPStream
from singer_http.tap.tap import HTTPTap
from tap_reisoftware import schemas

LARGEST_PAGE_OF_V1 = 100


class ReiTap(ReiPlugin, HTTPTap):
    """A tap of this vendor."""

    @override
    def complete(self, given: Mapping[str, Any]) -> dict[str, Any]:
        size = given.get("page_size", LARGEST_PAGE_OF_V1)
        if given.get("api_version", "v1") == "v1" and size > LARGEST_PAGE_OF_V1:
            raise ConfigError(
                f"setting page_size is {size}; with api_version v1 it takes at most "
                f"{LARGEST_PAGE_OF_V1}"
            )
        return super().complete(given)


class ReiStream(HTTPStream):
    """A list under a name of its own; where it is, the version of the API says."""

    _tap: ReiTap
    primary_keys = ("id",)
    schema = StreamSchema(SchemaDirectory(schemas))

    @property
    def api(self) -> Api:
        """The version of the API."""
        return self._tap.api

    @property
    @override
    def address(self) -> str:
        return self.api.listing(self.name).path

    @property
    @override
    def params(self) -> dict[str, Any]:
        return dict(self.api.listing(self.name).params)
