"""`--repair`: differences are marked, so that the next run sends their records although the source
has not changed. Nothing is sent here.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from singer_http.operations import DELETED
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


def repair(
    store: Store,
    notes: Notes,
    scope: int,
    *,
    mode: str,
    check_signal: Callable[[], None],
) -> Repaired:
    """Mark the differences of a comparison that has ended.

    Args:
        store: the database.
        notes: of the scope.
        scope: of the ledger.
        mode: the setting.
        check_signal: ends it, if a signal arrived.
    """
    done = Repaired()
    for page in notes.differences():
        going = []
        for one in page:
            if why := LEFT.get((mode, one.what["difference"])):
                done.left[why] += 1
            elif one.marked is None:
                going.append(one)
            else:
                done.marked += 1
        if going:
            _mark(store, notes, scope, going)
            done.marked += len(going)
            check_signal()
            done.outstanding += len(store.rejects.states(scope, [one.key for one in going]))
    return done


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
