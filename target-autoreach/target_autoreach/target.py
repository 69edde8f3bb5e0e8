"""The target of AutoReach: people and members."""

from __future__ import annotations

from singer_sdk import typing as th
from typing_extensions import override

from singer_http.http.auth import ClientCredentials
from singer_http.plugin.settings import target_settings
from singer_http.target.target import HTTPTarget
from target_autoreach.sinks import Members, People


class TargetAutoReach(HTTPTarget):
    """Singer target for AutoReach."""

    name = "target-autoreach"
    sinks = (People, Members)
    config_jsonschema = target_settings(
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
            description="Where the token is bought.",
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
            "custom_fields_format",
            th.StringType,
            default="object",
            allowed_values=["object", "list", "flat"],
            description=(
                "How custom fields are sent, which AutoReach does not document: object "
                '{"key": value}, list [{"key", "value"}], or flat beside the other fields.'
            ),
        ),
        th.Property(
            "page_param",
            th.StringType,
            default="page",
            description="Query parameter of the page number, for reading the members list.",
        ),
        th.Property(
            "page_size_param",
            th.StringType,
            default="per_page",
            description="Query parameter of the page size, for reading the members list.",
        ),
        th.Property(
            "page_size",
            th.IntegerType(minimum=1),
            default=100,
            description="Members in one page, when the members list is read.",
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
