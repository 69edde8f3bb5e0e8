"""The tap of what was delivered."""

from __future__ import annotations

from functools import cached_property

from singer_sdk import typing as th
from typing_extensions import override

from singer_http.plugin.settings import database_settings
from singer_http.store import DATABASE_FILE
from singer_http.tap.tap import HTTPTap
from tap_deliveries.database import Reader
from tap_deliveries.streams import Records, Rejects, Runs


class TapDeliveries(HTTPTap):
    """Singer tap for what the targets of this project delivered."""

    name = "tap-deliveries"
    stream_types = (Runs, Records, Rejects)
    config_jsonschema = database_settings(
        th.Property(
            "start_date",
            th.DateTimeType,
            description="What was written before is left out. A time without a zone is UTC.",
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
    def database_url(self) -> str:
        # Unlike a target's, this work_dir is only read: it is not made.
        given = self.config.get("database_url")
        return str(given) if given else f"sqlite:///{self.work_path / DATABASE_FILE}"

    @cached_property
    def reader(self) -> Reader:
        """The database, opened at first use."""
        return Reader(self.database_url)
