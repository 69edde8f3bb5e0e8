"""The tap of AutoReach."""

from __future__ import annotations

from singer_sdk import typing as th
from typing_extensions import override

from singer_http.http.auth import ClientCredentials
from singer_http.plugin.settings import client_credentials_settings, page_settings, tap_settings
from singer_http.tap.tap import HTTPTap
from tap_autoreach.streams import Campaigns, CustomFields, Lists, Members


class TapAutoReach(HTTPTap):
    """Singer tap for AutoReach."""

    name = "tap-autoreach"
    dynamic_catalog = True  # discovery asks the vendor
    stream_types = (Campaigns, CustomFields, Lists, Members)
    config_jsonschema = tap_settings(
        *client_credentials_settings(
            auth_url="https://autoreach.us.auth0.com/oauth/token",
            audience="https://www.autoreach.app/",
        ),
        th.Property(
            "api_url",
            th.URIType,
            default="https://www.autoreach.app/api/v1",
            description="Address of the API.",
        ),
        *page_settings(page_param="page", page_size_param="per_page", page_size=100),
    )

    @override
    def default_account(self) -> str:
        return str(self.config["client_id"])

    @override
    def new_auth(self) -> ClientCredentials:
        client = self.new_client(self.config["auth_url"])
        return ClientCredentials.from_config(self.config, client, self.shared_token)
