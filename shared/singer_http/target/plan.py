"""What a run is about, as its parts and the commands need it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from singer_http.sink.base import HTTPSink
    from singer_http.target.takeover import EarlierAPI


@dataclass(frozen=True, slots=True)
class Plan:
    """What a run is about."""

    name: str
    """Of the plugin."""
    version: str
    config: Mapping[str, Any]
    deciding: Mapping[str, Any]
    """Those of the settings that may change what is sent for a record."""
    sinks: Sequence[type[HTTPSink]]
    """The target's, in the order in which they are delivered."""
    account: str
    """Without the server."""
    ledger_account: str
    """With the server."""
    credential: str
    """A fingerprint of the key, where the account is derived from it; else empty."""
    api_url: str
    find_database: Callable[[], str]
    """See `database_url`."""
    earlier_api: EarlierAPI | None
    """Where the vendor has an earlier API with the same accounts."""
    path: Callable[[str], Path]
    """Kind of a file in `work_dir` -> its path."""

    @property
    def database_url(self) -> str:
        """SQLAlchemy URL of the database.

        Raises:
            ConfigError: it is in `work_dir`, which cannot be written.
        """
        return self.find_database()
