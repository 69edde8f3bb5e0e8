"""The target of REI Software: contacts, and their tags, campaigns and workflows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from singer_sdk import typing as th
from typing_extensions import override

from reisoftware_api.plugin import ReiPlugin
from reisoftware_api.settings import RATE_LIMIT, api_settings
from reisoftware_api.writing import VALUE_NAMES
from singer_http.errors import Refused
from singer_http.plugin.settings import target_settings
from singer_http.sink.base import HTTPSink
from singer_http.target.takeover import EarlierAPI
from singer_http.target.target import HTTPTarget
from target_reisoftware.contacts import Contacts
from target_reisoftware.finder import AUTO, LIST, LOOKUP
from target_reisoftware.links import ContactCampaigns, ContactWorkflows
from target_reisoftware.lookup import ReiClient
from target_reisoftware.tags import MOST_IN_BULK, ContactTags


class TargetReiSoftware(ReiPlugin, HTTPTarget):
    """Singer target for REI Software."""

    name = "target-reisoftware"
    sinks = (Contacts, ContactTags, ContactCampaigns, ContactWorkflows)
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
        th.Property(
            "custom_value_name",
            th.StringType,
            default=VALUE_NAMES[0],
            allowed_values=list(VALUE_NAMES),
            description=(
                "API v2: the name of a custom field's value in what is sent. The run warns if the "
                "account does not take the values."
            ),
        ),
        th.Property(
            "bulk_tags",
            th.IntegerType(minimum=1, maximum=MOST_IN_BULK),
            default=MOST_IN_BULK,
            description="API v2: contacts in one request that changes their tags, at most.",
        ),
        rate_limit=RATE_LIMIT,
    )

    def __init__(self, **kwargs: Any) -> None:
        """API v1 says whose data it is by the key alone; with v2 the location is named."""
        super().__init__(**kwargs)
        self.account_by_key = self.config["api_version"] == "v1"

    @property
    @override
    def earlier_api(self) -> EarlierAPI | None:
        """API v1 has the same contacts, under the same ids."""
        if self.config["api_version"] == "v1":
            return None
        here = self.ledger_account.partition(" ")[2]
        return EarlierAPI(is_server=lambda server: server != here, knows=self._knows)

    def _knows(self, stream: str, remote_id: str) -> bool:
        """Whether the location has the contact that a ledger row names."""
        vendor = ReiClient(self.client, self.api, self.report.stream(stream).counts)
        try:
            contact = vendor.contact(remote_id.partition("/")[0])
        except Refused:  # it is unknown, or another location's
            return False
        return contact.get("locationId") in (None, self.api.location)

    @override
    def probe(self, sinks: Sequence[HTTPSink]) -> None:
        super().probe(sinks)
        # Of API v2's scopes the one for custom fields does not open contacts.
        next(sink for sink in sinks if isinstance(sink, Contacts)).vendor.contact_list().total()
