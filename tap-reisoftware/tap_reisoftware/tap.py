"""The tap of REI Software."""

from __future__ import annotations

from singer_sdk import typing as th

from reisoftware_api.settings import RATE_LIMIT, api_settings
from singer_http.plugin.settings import tap_settings
from tap_reisoftware.appointments import Appointments
from tap_reisoftware.base import ReiTap
from tap_reisoftware.contacts import Contacts
from tap_reisoftware.streams import Campaigns, CustomFields, Tags, Workflows


class TapReiSoftware(ReiTap):
    """Singer tap for REI Software and any HighLevel account."""

    name = "tap-reisoftware"
    stream_types = (Appointments, Campaigns, Contacts, CustomFields, Tags, Workflows)
    config_jsonschema = tap_settings(
        *api_settings(),
        th.Property(
            "start_date",
            th.DateTimeType,
            description="Contacts that changed before this are left out (2026-01-31T12:00:00Z).",
        ),
        th.Property(
            "page_size",
            th.IntegerType(minimum=1, maximum=500),
            default=100,
            description=(
                "Contacts in one page. v1: 100 at most. v2: 100 at least are possible, and up to "
                "500 where the vendor allows it."
            ),
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
        rate_limit=RATE_LIMIT,
    )
