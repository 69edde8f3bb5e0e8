"""`--repair`: differences are marked, so that the next run sends their records although the source
has not changed. Nothing is sent here.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from singer_http.operations import DELETED, RejectionKind
from singer_http.plugin.validation import parse_share
from singer_http.sink.base import CREATE, UPDATE
from singer_http.store.rows import Delivered
from singer_http.store.store import Store
from singer_http.target.verify.notes import Difference, Notes

LEFT = {
    (CREATE, "edited"): "mode create never changes what exists",
    (UPDATE, "gone"): "mode update never creates what is not there",
}
"""Mode and difference -> why a mark would change nothing."""


@dataclass(slots=True)
class Repaired:
    """What was marked."""

    marked: int = 0
    outstanding: int = 0
    """Of these: their record is among the rejects, so the next run sends it anyway."""
    left: Counter[str] = field(default_factory=Counter)
    """Why differences were not marked -> number."""


def too_many(notes: Notes, *, mode: str, max_deletes: str) -> str | None:
    """Why nothing may be marked: too many records are gone or merged; `None` if they are not.

    A wrong account or an empty answer looks like that too. What is marked as gone is created again,
    so every record would be there twice. Edited fields are only written again: they have no limit.

    Args:
        notes: of a comparison that has ended.
        mode: the setting.
        max_deletes: the setting, here the most that may be gone or merged.
    """
    missing = sum(
        one.marked is None and one.what["difference"] != "edited" and not _left(mode, one)
        for page in notes.differences()
        for one in page
    )
    total, limit = notes.totals().delivered, parse_share(max_deletes)
    if limit.allows_gone(missing, total):
        return None
    return (
        f"{missing:,} of {total:,} records are gone or merged, more than max_deletes "
        f"({max_deletes}) allows: nothing was marked. Check the account and api_url; raise "
        "max_deletes if they really were deleted"
    )


def repair(
    store: Store,
    notes: Notes,
    scope: int,
    *,
    mode: str,
    retry_rejects: bool,
    check_signal: Callable[[], None],
) -> Repaired:
    """Mark the differences of a comparison that has ended.

    Args:
        store: the database.
        notes: of the scope.
        scope: of the ledger.
        mode: the setting.
        retry_rejects: the setting.
        check_signal: ends it, if a signal arrived.
    """
    done = Repaired()
    for page in notes.differences():
        going = []
        for one in page:
            if why := _left(mode, one):
                done.left[why] += 1
            elif one.marked is None:
                going.append(one)
            else:
                done.marked += 1
        if going:
            _mark(store, notes, scope, going)
            done.marked += len(going)
            check_signal()
            for state in store.rejects.states(scope, [one.key for one in going]).values():
                waits = state.kind == RejectionKind.UNCERTAIN
                done.outstanding += not waits and (
                    retry_rejects or state.kind == RejectionKind.HELD
                )
    return done


def _left(mode: str, one: Difference) -> str | None:
    return LEFT.get((mode, one.what["difference"]))


def _mark(store: Store, notes: Notes, scope: int, differences: Sequence[Difference]) -> None:
    keys = [one.key for one in differences]
    rows = store.ledger.rows(scope, keys)
    for one in differences:
        if one.what["difference"] == "edited":
            store.ledger.mark_unknown(scope, rows[one.key])
        else:
            # As after a delete: when the record comes again, it is matched or created.
            store.ledger.acknowledge(scope, Delivered(one.key, DELETED, b"", None, (), sent=False))
    store.commit(lambda: notes.mark(keys))
