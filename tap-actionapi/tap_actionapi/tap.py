"""The tap of Merlin CRM's action API."""

from __future__ import annotations

from types import MappingProxyType

from singer_sdk import typing as th

from merlin_api.plugin import MerlinPlugin, api_settings
from singer_http.plugin.settings import tap_settings
from singer_http.tap.tap import HTTPTap
from tap_actionapi import searches
from tap_actionapi.streams import Contacts


class TapActionApi(MerlinPlugin, HTTPTap):
    """Singer tap for Merlin CRM's action API."""

    name = "tap-actionapi"
    stream_types = (Contacts,)
    setting_checks = MappingProxyType({"searches": searches.check})
    config_jsonschema = tap_settings(
        *api_settings(),
        th.Property(
            "searches",
            th.ArrayType(
                th.ObjectType(
                    th.Property("Fname", th.StringType),
                    th.Property("Lname", th.StringType),
                    th.Property("idContact", th.CustomType({"type": ["integer", "string"]})),
                    additional_properties=False,
                )
            ),
            required=True,
            description=(
                "What to search contacts by, since Merlin lists nothing: a list of objects with "
                'Fname, Lname and/or idContact: [{"Fname": "Juan", "Lname": "Pedro"}, '
                '{"idContact": 10}].'
            ),
        ),
    )
