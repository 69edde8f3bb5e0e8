"""The tap of what was delivered."""

from __future__ import annotations

from singer_sdk import Stream
from singer_sdk import typing as th
from typing_extensions import override

from singer_http.plugin.settings import database_settings
from tap_deliveries.database import DatabaseTap
from tap_deliveries.streams import Records, Rejects, Runs


class TapDeliveries(DatabaseTap):
    """Singer tap for what the targets of this project delivered."""

    name = "tap-deliveries"
    stream_types = (Runs, Records, Rejects)
    config_jsonschema = database_settings(
        th.Property(
            "start_date",
            th.DateTimeType,
            description=(
                "The first reading leaves out what was written before; later ones begin where the "
                "last one ended. A time without a zone is UTC."
            ),
        ),
        th.Property(
            "include_records",
            th.BooleanType,
            default=False,
            description=(
                "Give rejects the column record: the rejected record as it was read, which is "
                "personal data."
            ),
        ),
    )

    @property
    @override
    def streams(self) -> dict[str, Stream]:
        # Not by name: a run that is told as ended must be in the records that are read after it.
        found = super().streams
        return {kind.name: found[kind.name] for kind in self.stream_types}
