"""The target of AutoReach: people and members."""

from __future__ import annotations

from singer_sdk import typing as th
from typing_extensions import override

from singer_http.http.auth import ClientCredentials
from singer_http.plugin.settings import client_credentials_settings, page_settings, target_settings
from singer_http.target.target import HTTPTarget
from target_autoreach.sinks import Members, People


class TargetAutoReach(HTTPTarget):
    """Singer target for AutoReach."""

    name = "target-autoreach"
    sinks = (People, Members)
    config_jsonschema = target_settings(
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
        th.Property(
            "custom_fields_format",
            th.StringType,
            default="object",
            allowed_values=["object", "list", "flat"],
            description=(
                "How custom fields are sent, which AutoReach does not document: object "
                '{"key": value}, list [{"key", "value"}], or flat beside the other fields.'
            ),
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
