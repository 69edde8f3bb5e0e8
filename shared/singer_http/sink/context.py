"""What a sink is given: settings, a client, a logger, counts, a view of the ledger."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeVar

from singer_http.http.client import Client
from singer_http.operations import Person
from singer_http.report.counts import Counts

T = TypeVar("T")


class View(Protocol):
    """A view of the ledger (`store.store.LedgerView`)."""

    def find(self, stream: str, identity: str) -> str | None:
        """The vendor's id of what another stream delivered."""


class Suppressed(Protocol):
    """Who must not be reached (`store.suppressions.Suppressions`); any thread may ask."""

    def any(self) -> bool:
        """Whether there is anybody."""

    def hits(self, people: Sequence[Person]) -> Sequence[bool]:
        """Which of these people must not be reached."""


class Nobody:
    """No one is suppressed."""

    def any(self) -> bool:
        """Nobody is."""
        return False

    def hits(self, people: Sequence[Person]) -> list[bool]:
        """None of them."""
        return [False] * len(people)


@dataclass(slots=True)
class SinkContext:
    """Shared by all sinks of a run."""

    config: Mapping[str, Any]
    deciding: Mapping[str, Any]
    """Those of the settings that may change what is sent for a record."""
    client: Client
    logger: logging.Logger
    api_url: str
    version: str
    """Of the plugin."""
    ledger: View
    counts: Callable[[str], Counts]
    """Target stream -> its counts, which are a meter for the client."""
    suppressed: Suppressed = field(default_factory=Nobody)
    _shared: dict[str, Any] = field(default_factory=dict)
    _lock: threading.RLock = field(default_factory=threading.RLock)

    def shared(self, name: str, make: Callable[[], T]) -> T:
        """Something that all sinks of a run share (a list that is read once), made at first use.

        Any thread may ask.
        """
        with self._lock:
            if name not in self._shared:
                self._shared[name] = make()
            found: T = self._shared[name]
        return found
