"""A tap of the targets' database, as its streams see it."""

from __future__ import annotations

from functools import cached_property

from typing_extensions import override

from singer_http.store import DATABASE_FILE
from singer_http.tap.tap import HTTPTap
from tap_deliveries.database import Reader


class ReadingTap(HTTPTap):
    """Has the database instead of a client."""

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
