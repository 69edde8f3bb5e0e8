"""The tap of Kasplo email marketing."""

from __future__ import annotations

from singer_sdk import typing as th
from typing_extensions import override

from singer_http.http.auth import HeaderKey
from singer_http.plugin.base import fingerprint
from singer_http.plugin.settings import tap_settings
from singer_http.tap.tap import HTTPTap
from tap_emailmarketing.streams import CustomFields, Lists, Tags


class TapEmailMarketing(HTTPTap):
    """Singer tap for Kasplo email marketing."""

    name = "tap-emailmarketing"
    stream_types = (CustomFields, Lists, Tags)
    config_jsonschema = tap_settings(
        th.Property(
            "api_url",
            th.URIType,
            required=True,
            description="The account's domain, without /audience/v1 (https://...).",
        ),
        th.Property(
            "sid", th.StringType, required=True, secret=True, description="The account's secret id."
        ),
        th.Property(
            "api_key",
            th.StringType,
            required=True,
            secret=True,
            description="The account's API key.",
        ),
        th.Property(
            "page_size",
            th.IntegerType(minimum=1),
            default=100,
            description="Items in one page.",
        ),
    )

    @override
    def default_account(self) -> str:
        return fingerprint(self.config["sid"])

    @override
    def new_auth(self) -> HeaderKey:
        return HeaderKey("api-key", self.config["api_key"], setting="sid and api_key")
