"""What the words of a report mean. The page shows it; `docs/glossary.md` has the same lines."""

from __future__ import annotations

from typing import NamedTuple

RUN_OUTCOMES = {
    "ok": "Every record was read and is accounted for. Some may be rejected.",
    "stopped": "The run ended early for a known reason, which the error names.",
    "failed": "The run ended early because of an unexpected error.",
}
"""How a run ended."""

OUTCOMES = {
    "received": "Records read for the stream, after `stream_maps`.",
    "merged": "Earlier copies of a key that a later record of the same run replaced.",
    "unchanged": "Equal to what was delivered before: nothing was sent.",
    "created": "The vendor has a new record.",
    "updated": "A record that the vendor had was changed.",
    "upserted": "Created or updated: the vendor does not say which.",
    "deleted": "Deleted at the vendor, or no longer there.",
    "rejected": "Not delivered. The record is kept in the rejects file with the reason.",
    "skipped": "Not sent because of `mode`, `overwrite`, `suppression` or an uncertain record.",
    "suppressed": "Of `skipped`: people who must not be reached.",
    "removed": "Deleted by mode `mirror`: the source no longer has it. Not part of `received`.",
    "retried": "Records that an earlier run rejected or left pending, sent again by this run.",
    "kept": "For each field, how many of the vendor's values `overwrite` kept.",
    "requests": "HTTP requests to the vendor, retries included.",
    "retries": "Requests that were a further attempt.",
}
"""The outcomes of records, and the other numbers of a stream."""


class Rejection(NamedTuple):
    """A kind of rejection."""

    meaning: str
    next: str
    """What to do about it."""


REJECTIONS = {
    "invalid": Rejection(
        "The record was not sent: a problem was found before sending.",
        "Correct the row in the source, or the mapping. The next run sends the record again.",
    ),
    "refused": Rejection(
        "The vendor refused the record.",
        "Correct what the vendor names, in the source or at the vendor. The next run sends the "
        "record again.",
    ),
    "uncertain": Rejection(
        "The record may have arrived, and must not be sent twice.",
        "Check at the vendor whether it arrived, and resolve the record. Until then it is not sent "
        "again.",
    ),
    "held": Rejection(
        "The record is kept back on purpose. The reason names what it waits for.",
        "Nothing if it waits for a time (`quiet_hours`). If it waits for another record, correct "
        "that one or give it up. A later run sends it.",
    ),
}
"""Kinds of rejection, as they stand in the rejects file."""

DIFFERENCES = {
    "edited": "The vendor has another value than the one that was delivered.",
    "gone": "The vendor does not have the record any more.",
    "merged": "The vendor does not have the record, and another one has its email or phone.",
}
"""What `--verify` tells of a record."""
