"""The streams of REI Software that come in one answer each."""

from __future__ import annotations

from singer_sdk import SchemaDirectory, StreamSchema

from singer_http.tap.stream import HTTPStream
from tap_reisoftware import schemas


class ReiStream(HTTPStream):
    """A list under a name of its own."""

    primary_keys = ("id",)
    schema = StreamSchema(SchemaDirectory(schemas))


class CustomFields(ReiStream):
    """Custom fields of contacts."""

    name = "custom_fields"
    path = "custom-fields/"
    records_key = "customFields"


class Tags(ReiStream):
    """Tags of contacts."""

    name = "tags"
    path = "tags/"
    records_key = "tags"


class Campaigns(ReiStream):
    """Campaigns."""

    name = "campaigns"
    path = "campaigns/"
    records_key = "campaigns"


class Workflows(ReiStream):
    """Workflows."""

    name = "workflows"
    path = "workflows/"
    records_key = "workflows"
