"""The target of REI Software: contacts, and their tags, campaigns and workflows."""

from __future__ import annotations

from singer_sdk import typing as th
from typing_extensions import override

from singer_http.http.auth import BearerKey
from singer_http.plugin.settings import target_settings
from singer_http.target.target import HTTPTarget
from target_reisoftware.contacts import Contacts
from target_reisoftware.finder import AUTO, LIST, LOOKUP
from target_reisoftware.links import ContactCampaigns, ContactTags, ContactWorkflows


class TargetReiSoftware(HTTPTarget):
    """Singer target for REI Software."""

    name = "target-reisoftware"
    sinks = (Contacts, ContactTags, ContactCampaigns, ContactWorkflows)
    account_by_key = True
    config_jsonschema = target_settings(
        th.Property(
            "api_key",
            th.StringType,
            required=True,
            secret=True,
            description="The location's API key, from REI Software.",
        ),
        th.Property(
            "api_url",
            th.URIType,
            default="https://rest.reisoftware.com/v1",
            description="Address of the API.",
        ),
        th.Property(
            "matching",
            th.StringType,
            default=AUTO,
            allowed_values=[AUTO, LOOKUP, LIST],
            description=(
                "How contacts are found that the ledger does not know: lookup (a request each), "
                "list (the account's contacts are read once), or auto (lookups, until they have "
                "cost as many requests as the list)."
            ),
        ),
        # The limits of API v2, since those of v1 are not published.
        rate_limit="100/10s,200000/day",
    )

    @override
    def new_auth(self) -> BearerKey:
        return BearerKey(self.config["api_key"])
