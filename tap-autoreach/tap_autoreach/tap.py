"""The tap of AutoReach."""

from __future__ import annotations

from singer_sdk import typing as th
from typing_extensions import override

from singer_http.http.auth import ClientCredentials
from singer_http.plugin.settings import tap_settings
from singer_http.tap.tap import HTTPTap
from tap_autoreach.streams import Campaigns, CustomFields, Lists, Members


class TapAutoReach(HTTPTap):
    """Singer tap for AutoReach."""

    name = "tap-autoreach"
    dynamic_catalog = True  # discovery asks the vendor
    stream_types = (Campaigns, CustomFields, Lists, Members)
    config_jsonschema = tap_settings(
        th.Property(
            "client_id", th.StringType, required=True, description="Client ID, from AutoReach."
        ),
        th.Property(
            "client_secret",
            th.StringType,
            required=True,
            secret=True,
            description="Client secret, from AutoReach.",
        ),
        th.Property(
            "auth_url",
            th.URIType,
            default="https://autoreach.us.auth0.com/oauth/token",
            description="OAuth token endpoint.",
        ),
        th.Property(
            "audience",
            th.StringType,
            default="https://www.autoreach.app/",
            description="Audience of the token; its trailing slash matters.",
        ),
        th.Property(
            "api_url",
            th.URIType,
            default="https://www.autoreach.app/api/v1",
            description="Address of the API.",
        ),
        th.Property(
            "page_param",
            th.StringType,
            default="page",
            description="Query parameter of the page number, which AutoReach does not document.",
        ),
        th.Property(
            "page_size_param",
            th.StringType,
            default="per_page",
            description="Query parameter of the page size, which AutoReach does not document.",
        ),
        th.Property(
            "page_size",
            th.IntegerType(minimum=1),
            default=100,
            description="Records in one page.",
        ),
    )

    @override
    def default_account(self) -> str:
        return str(self.config["client_id"])

    @override
    def new_auth(self) -> ClientCredentials:
        url = self.config["auth_url"]
        return ClientCredentials(
            self.new_client(url),
            url,
            self.config["client_id"],
            self.config["client_secret"],
            audience=self.config["audience"],
            work_dir=self.work_dir,
        )
