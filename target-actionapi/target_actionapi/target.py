"""The target of Merlin CRM's action API: contacts, automations, calls and SMS."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING

from singer_sdk import typing as th
from typing_extensions import override

from merlin_api.plugin import MerlinPlugin, api_settings
from singer_http.plugin.settings import target_settings
from singer_http.target.target import HTTPTarget
from target_actionapi.guards import QuietHours
from target_actionapi.sinks import Automations, Calls, Contacts, Sms

if TYPE_CHECKING:
    from collections.abc import Sequence

    from singer_http.sink.base import HTTPSink


class TargetActionApi(MerlinPlugin, HTTPTarget):
    """Singer target for Merlin CRM's action API."""

    name = "target-actionapi"
    sinks = (Contacts, Automations, Calls, Sms)
    account_by_key = True
    setting_checks = MappingProxyType({"quiet_hours": QuietHours.check})
    config_jsonschema = target_settings(
        *api_settings(),
        th.Property(
            "automation_url",
            th.URIType,
            description="Address of entries into automations, if it is another one than api_url.",
        ),
        th.Property(
            "message_url",
            th.URIType,
            description="Address of calls and SMS, if it is another one than api_url.",
        ),
        th.Property(
            "custom_fields",
            th.ObjectType(
                additional_properties=th.CustomType({"type": ["string", "integer"]}),
            ),
            description=(
                "Column → id of the custom field that it goes into, since Merlin does not list its "
                'fields: {"city": "12"}.'
            ),
        ),
        th.Property(
            "max_messages",
            th.IntegerType(minimum=0),
            default=1000,
            description=(
                "The most calls and SMS that one run sends. The run stops before the first one "
                "beyond it."
            ),
        ),
        th.Property(
            "quiet_hours",
            th.StringType,
            description=(
                "Hours in which nobody is called or texted, with their time zone: '21:00-08:00 "
                "America/Chicago'. What is due then is kept for the next run outside them."
            ),
        ),
    )

    @override
    def probe(self, sinks: Sequence[HTTPSink]) -> None:
        # Nothing can be listed: a search for nobody is the one question that changes nothing.
        contacts = next(sink for sink in sinks if isinstance(sink, Contacts))
        contacts.search({"Fname": "-", "Lname": "-"})
