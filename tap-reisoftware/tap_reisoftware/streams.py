"""The streams of REI Software that come in one answer each, and what all streams share."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from singer_http.addresses import segment
from singer_http.errors import Misdirected, NotFound, Refused
from singer_http.fastpath import Record
from singer_http.streams import ChildStream, HTTPStream
from singer_sdk import SchemaDirectory, StreamSchema
from typing_extensions import override

from tap_reisoftware import schemas
from tap_reisoftware.contacts import Contacts, ContactsBookmark, milliseconds

SCHEMAS = SchemaDirectory(schemas)


class CustomFields(HTTPStream):
    """Custom fields of contacts."""

    name = "custom_fields"
    path = "custom-fields/"
    records_key = "customFields"
    primary_keys = ("id",)
    schema = StreamSchema(SCHEMAS)


class Tags(HTTPStream):
    """Tags of contacts."""

    name = "tags"
    path = "tags/"
    records_key = "tags"
    primary_keys = ("id",)
    schema = StreamSchema(SCHEMAS)


class Campaigns(HTTPStream):
    """Campaigns."""

    name = "campaigns"
    path = "campaigns/"
    records_key = "campaigns"
    primary_keys = ("id",)
    schema = StreamSchema(SCHEMAS)


class Workflows(HTTPStream):
    """Workflows."""

    name = "workflows"
    path = "workflows/"
    records_key = "workflows"
    primary_keys = ("id",)
    schema = StreamSchema(SCHEMAS)
