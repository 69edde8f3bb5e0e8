"""The target of REI Software: contacts, and their tags, campaigns and workflows."""

from __future__ import annotations

from reisoftware_api.plugin import ReiPlugin
from reisoftware_api.settings import RATE_LIMIT, api_settings
from singer_http.plugin.settings import target_settings
from singer_http.target.target import HTTPTarget
from target_reisoftware.contacts import Contacts
from target_reisoftware.links import ContactCampaigns, ContactTags, ContactWorkflows


class TargetReiSoftware(ReiPlugin, HTTPTarget):
    """Singer target for REI Software."""

    name = "target-reisoftware"
    sinks = (Contacts, ContactTags, ContactCampaigns, ContactWorkflows)
    account_by_key = True
    config_jsonschema = target_settings(
        *api_settings(),
        rate_limit=RATE_LIMIT,
    )
