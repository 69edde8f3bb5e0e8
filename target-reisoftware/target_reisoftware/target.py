"""The target of REI Software: contacts, and their tags, campaigns and workflows."""

from __future__ import annotations

from singer_sdk import typing as th

from reisoftware_api.plugin import ReiPlugin
from reisoftware_api.settings import RATE_LIMIT, api_settings
from singer_http.plugin.settings import target_settings
from singer_http.target.target import HTTPTarget
from target_reisoftware.contacts import Contacts
from target_reisoftware.finder import AUTO, LIST, LOOKUP
from target_reisoftware.links import ContactCampaigns, ContactTags, ContactWorkflows


class TargetReiSoftware(ReiPlugin, HTTPTarget):
    """Singer target for REI Software."""

    name = "target-reisoftware"
    sinks = (Contacts, ContactTags, ContactCampaigns, ContactWorkflows)
    account_by_key = True
    config_jsonschema = target_settings(
        *api_settings(),
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
        rate_limit=RATE_LIMIT,
    )
