"""`max_rejects`: a wrong mapping stops the run before it costs much."""

from __future__ import annotations

from singer_http.errors import StopRun
from singer_http.plugin.validation import parse_share

LOOKED_AT = 20
"""Delivered and rejected records from which a share of rejects is looked at."""


class RejectLimit:
    """Counts as the vendor's answers come in."""

    def __init__(self, spec: str) -> None:
        """Read the setting `max_rejects`."""
        self._spec = spec
        self._limit = parse_share(spec)
        self._delivered = 0
        self._rejected = 0

    def delivered(self) -> None:
        """A record of this run arrived."""
        self._delivered += 1

    def rejected(self, number: int) -> None:
        """Records of this run were rejected, and are in the rejects."""
        self._rejected += number

    def check(self) -> None:
        """Look at the counts, once all that an answer said is written down.

        Raises:
            StopRun: more than `max_rejects` allows.
        """
        if not self._rejected:
            return
        total = self._delivered + self._rejected
        if self._limit.share is not None and total < LOOKED_AT:
            return
        if not self._limit.allows(self._rejected, total):
            raise StopRun(
                f"{self._rejected:,} of {total:,} records were rejected, more than max_rejects "
                f"({self._spec}) allows: look at the reasons in the rejects file, then run again."
            )
