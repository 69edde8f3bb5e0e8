"""The setting `version_column`: which column of the source tells one version of a row."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from singer_http.errors import ConfigError
from singer_http.exact_json import text_of
from singer_http.operations import JSON
from singer_http.sink.base import HTTPSink
from singer_http.sink.formats import properties_of

LONGEST = 200
"""Characters of a version that is stored; a longer one is none, so that its row comes again."""


def without(schema: Mapping[str, Any], column: str | None) -> Mapping[str, Any]:
    """A schema without the column of the version: that is not sent, whatever its name."""
    properties = properties_of(schema)
    if column not in properties:
        return schema
    return {**schema, "properties": {n: s for n, s in properties.items() if n != column}}


def refuse_if_read(sink: HTTPSink, column: str | None) -> None:
    """Refuse a column of the version that a stream itself reads.

    Raises:
        ConfigError: it is a key, or one by which a record is found.
    """
    if column in {*sink.keys, *sink.extra_columns(), *sum(sink.identities, ())}:
        raise ConfigError(
            f"{sink.stream}: version_column names {column}, which the stream itself reads: give "
            "the version a column of its own."
        )


def version_of(record: JSON, column: str) -> str | None:
    """A record's version as text (`7`, `7.0` and `7e0` are one); `None` if it has none."""
    try:
        value = record.get(column)
        text = "" if value is None else text_of(value)
        text.encode()
    except (TypeError, ValueError):
        return None
    return text if text and "\0" not in text and len(text) <= LONGEST else None
