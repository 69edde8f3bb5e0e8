"""The tap of REI Software."""

from __future__ import annotations

from singer_sdk import typing as th
from typing_extensions import override

from singer_http.http.auth import BearerKey
from singer_http.plugin.settings import tap_settings
from singer_http.tap.tap import HTTPTap
from tap_reisoftware.appointments import Appointments
from tap_reisoftware.contacts import Contacts
from tap_reisoftware.streams import Campaigns, CustomFields, Tags, Workflows


class TapReiSoftware(HTTPTap):
    """Singer tap for REI Software."""

    name = "tap-reisoftware"
    stream_types = (Appointments, Campaigns, Contacts, CustomFields, Tags, Workflows)
    config_jsonschema = tap_settings(
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
            "start_date",
            th.DateTimeType,
            description="Contacts that changed before this are left out (2026-01-31T12:00:00Z).",
        ),
        th.Property(
            "page_size",
            th.IntegerType(minimum=1, maximum=100),
            default=100,
            description="Contacts in one page, 100 at most.",
        ),
        th.Property(
            "appointments_of",
            th.StringType,
            default="all",
            allowed_values=["all", "changed"],
            description=(
                "Whose appointments are read: of all contacts (one request each), or of those that "
                "changed. An appointment can change without its contact."
            ),
        ),
        # The limits of API v2, since those of v1 are not published.
        rate_limit="100/10s,200000/day",
    )

    @override
    def new_auth(self) -> BearerKey:
        return BearerKey(self.config["api_key"])
