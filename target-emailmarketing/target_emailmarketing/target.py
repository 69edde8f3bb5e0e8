"""The target of Kasplo email marketing: contacts."""

from __future__ import annotations

from singer_sdk import typing as th
from typing_extensions import override

from singer_http.http.auth import HeaderKey
from singer_http.plugin.base import fingerprint
from singer_http.plugin.settings import target_settings
from singer_http.target.target import HTTPTarget
from target_emailmarketing.sinks import Contacts


class TargetEmailMarketing(HTTPTarget):
    """Singer target for Kasplo email marketing."""

    name = "target-emailmarketing"
    sinks = (Contacts,)
    config_jsonschema = target_settings(
        th.Property(
            "api_url",
            th.URIType,
            required=True,
            description="The account's domain, without /audience/v1.",
        ),
        th.Property(
            "sid",
            th.StringType,
            required=True,
            secret=True,
            description="Secret ID of the account, from Kasplo.",
        ),
        th.Property(
            "api_key",
            th.StringType,
            required=True,
            secret=True,
            description="API key, from Kasplo.",
        ),
        th.Property(
            "list_id",
            th.StringType,
            description="Id of the list that contacts go into, unless a record names its own.",
        ),
        th.Property(
            "list",
            th.StringType,
            description="Name of the list that contacts go into, instead of list_id.",
        ),
        th.Property(
            "tags",
            th.ArrayType(th.StringType),
            description="Ids or names of the tags that contacts get, unless a record has its own.",
        ),
        th.Property(
            "update_subscribers",
            th.BooleanType,
            default=True,
            description="Update contacts that are in the list already; mode create never does.",
        ),
        th.Property(
            "suppression",
            th.StringType,
            description=(
                "A file of emails that are never sent, in upper or lower case: one in each line, "
                "or a CSV with a header that has the column email."
            ),
        ),
    )

    @property
    @override
    def api_url(self) -> str:
        return super().api_url.removesuffix("/audience/v1")

    @override
    def default_account(self) -> str:
        return fingerprint(self.config["sid"])

    @override
    def new_auth(self) -> HeaderKey:
        return HeaderKey("api-key", self.config["api_key"])
