"""What a run gives to each of its deliveries."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from singer_http.delivery.change_check import ChangeCheck
from singer_http.delivery.item import Item
from singer_http.delivery.mirror import Mirror
from singer_http.delivery.ownership import Ownership
from singer_http.delivery.settlement import RejectLimit, Settlement
from singer_http.delivery.workers import Workers
from singer_http.store.store import Store


class Parts(NamedTuple):
    """What the delivery of a stream works with."""

    config: Any
    store: Store
    workers: Workers
    settlement: Settlement
    ownership: Ownership
    check: ChangeCheck
    limit: RejectLimit
    mirror: Mirror | None
    check_signal: Callable[[], None]
    """Ends the run here if a signal arrived."""
    before_first: Callable[[], None]
    """Stops the run before a record that is sent at most once, where the ledger was lost."""
    show: Callable[[Item], None]
    """Shows what a dry run would send."""
    next_seq: Callable[[], int]
    """The next number in the order of arrival."""
