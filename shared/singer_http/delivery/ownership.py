"""Whose a record of the vendor is: the vendor's record counts, not the key."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable

from singer_http.delivery.item import Item
from singer_http.delivery.mirror import Mirror
from singer_http.operations import (
    DELETED,
    Outcome,
    OutcomeKind,
    Rejection,
    RejectionKind,
    Row,
    invalid,
)
from singer_http.store.ledger import FORMER, Ledger
from singer_http.store.rejects import Rejects
from singer_http.store.rows import RejectState

WAITS_FOR_REJECT = (
    "{} may be the same record at the vendor: this one is deleted once that one is delivered or "
    "given up (--resolve)"
)
NAMES = 10_000
"""Hashed keys whose text is remembered, so that a reason can name them."""


class KeyNames:
    """The text of hashed keys that this run has read."""

    def __init__(self) -> None:
        self._names: dict[str, str] = {}

    def remember(self, item: Item) -> None:
        """Remember a hashed key's text."""
        if (item.label or item.stored != item.key) and len(self._names) < NAMES:
            self._names[item.stored] = item.label or item.key

    def of(self, stored: str) -> str:
        """The text of a stored key, if this run has read it."""
        return self._names.get(stored, stored)


class Ownership:
    """Tells which key of a stream a record of the vendor belongs to."""

    def __init__(self, ledger: Ledger, rejects: Rejects, scope: int) -> None:
        """Look under a scope of the ledger."""
        self._ledger = ledger
        self._rejects = rejects
        self._scope = scope
        self.names = KeyNames()
        self._wanted = set[str]()
        """The vendor's records that rejected rows of this run are: ids."""

    def hashed(self, item: Item) -> list[str]:
        """The operation's identities as claims."""
        return [self._ledger.hashed(identity) for identity in item.identities]

    def set_conflict_keys(self, items: Collection[Item], unsettled: Iterable[str]) -> None:
        """What each operation holds while in flight, and which may collide with another key.

        Args:
            items: operations that were checked.
            unsettled: conflict keys of those that were checked before and are not settled: the
                ledger does not have their outcomes yet.
        """
        firsts: dict[str, list[Item]] = {}
        ids: dict[str, list[Item]] = {}
        held: dict[str, set[str]] = {}
        if known := [item.stored for item in items if item.row and _has_claims(item)]:
            held = self._ledger.claims_of(self._scope, known)
        for item in items:
            claims = self.hashed(item)
            if claims:
                firsts.setdefault(claims[0], []).append(item)
            claims += held.get(item.stored, ())
            keys = [item.key, *(f"\n{claim}" for claim in claims)]
            own = item.id_from_record and not item.sink.names_parent
            if own and item.remote_id and item.remote_id != item.key:
                ids.setdefault(item.remote_id, []).append(item)
                keys.append(f"\nid {item.remote_id}")
            item.conflict_keys = tuple(keys)
            self.names.remember(item)
        self._contest(firsts, self._ledger.claimants(self._scope, list(firsts)) if firsts else {})
        self._contest(ids, self._ledger.owners_of_ids(self._scope, list(ids)) if ids else {})
        holders = Counter(unsettled)
        holders.update(key for item in items for key in item.conflict_keys)
        for item in items:
            item.contested = item.contested or any(holders[key] > 1 for key in item.conflict_keys)

    @staticmethod
    def _contest(items: dict[str, list[Item]], owners: dict[str, set[str]]) -> None:
        for name, keys in owners.items():
            for item in items[name]:
                item.contested = item.contested or bool(keys - {item.stored})

    def conflict(self, item: Item) -> Rejection | None:
        """Another key of this sync is the same record at the vendor."""
        if item.identities:
            first = self._ledger.hashed(item.identities[0])
            owners = self._ledger.claimants(self._scope, [first]).get(first, set())
            if found := self._owned(item, owners, "has the same identity at the vendor"):
                return found
        if item.delete and not item.id_from_record:
            return None  # `protects` decides
        if item.remote_id is not None and not item.sink.names_parent:
            return self.owner_of_id(item, item.remote_id)
        return None

    def owner_of_id(self, item: Item, remote_id: str) -> Rejection | None:
        """Another key of this sync was delivered to this record of the vendor."""
        owners = self._ledger.owners_of_ids(self._scope, [remote_id]).get(remote_id, set())
        return self._owned(item, owners, f"is already {remote_id} at the vendor")

    def _owned(self, item: Item, owners: set[str], why: str) -> Rejection | None:
        others = sorted(owners - {item.stored})
        rows = self._ledger.rows(self._scope, others) if others else {}
        states = self._rejects.states(self._scope, others)
        for row in rows.values():
            # A delete that waits for rejected records does not stand in their way.
            waits = _is_held_delete(states.get(row.key))
            if _is_delivered(row) and not (waits or row.key.startswith(FORMER)):
                name = self.names.of(row.key)
                if row.remote_id is not None:
                    self._wanted.add(row.remote_id)
                return invalid(f"the record with the key {name} {why}", remote_id=row.remote_id)
        for key, state in states.items():
            if state.kind == RejectionKind.UNCERTAIN:
                return invalid(
                    f"the record with the key {self.names.of(key)} {why}, if it arrived: it is "
                    "uncertain, so resolve that one first"
                )
        return None

    def protects(self, item: Item, mirror: Mirror | None) -> Outcome | None:
        """An outcome if all that a delete takes away also belongs to another key or a rejected row.

        Where only a part of it does, the sink leaves that part out of the delete.
        """
        sink = item.sink
        claims = sink.taken_away(item)
        released, named = False, None
        if claims:
            kept = self.others_claims(item, claims)
            released = bool(kept) and not sink.keep(item, kept)
        elif not sink.names_parent:
            released = self.others_refer_to(item)
            named = None if released else self._rejected_row(item, mirror)
        if named and not item.removal:
            reason = WAITS_FOR_REJECT.format(named)
            return Outcome.rejected(RejectionKind.HELD, reason, attempts=0)
        if not (released or named):
            return None
        return Outcome(OutcomeKind.SKIPPED, released=True, postponed=bool(named))

    def others_claims(self, item: Item, claims: Iterable[str]) -> set[str]:
        """Which of these claims another key of this sync has too."""
        plain = {self._ledger.hashed(claim): claim for claim in claims}
        if not plain:
            return set()
        found = self._ledger.claimants(self._scope, list(plain))
        return {plain[hashed] for hashed, keys in found.items() if keys - {item.stored}}

    def held_claims(self, item: Item) -> set[str]:
        """The claims of a key, hashed."""
        return self._ledger.claims_of(self._scope, [item.stored]).get(item.stored, set())

    def keeps_an_identity(self, item: Item) -> bool:
        """Whether a key still has an identity that it was delivered with."""
        return not self.held_claims(item).isdisjoint(self.hashed(item))

    def others_refer_to(self, item: Item) -> bool:
        """Whether another key refers to the record of a removal."""
        if item.remote_id is None:
            return False
        owners = self._ledger.owners_of_ids(self._scope, [item.remote_id])
        others = owners.get(item.remote_id, set()) - {item.stored}
        return any(map(_is_delivered, self._ledger.rows(self._scope, sorted(others)).values()))

    def _rejected_row(self, item: Item, mirror: Mirror | None) -> str | None:
        """A rejected row, of this run or an earlier one, that may be the record of a removal."""
        if not self._rejects.any_in(self._scope):
            return None
        held = self.held_claims(item)
        if key := self._rejects.claimant(self._scope, item.stored, {*held, *self.hashed(item)}):
            return f"the rejected record with the key {self.names.of(key)}"
        remote_id = item.remote_id
        if (mirror is not None and mirror.names(held, item)) or (
            remote_id is not None
            and (remote_id in self._wanted or self._rejects.names(self._scope, [remote_id]))
        ):
            return "a rejected record"
        return None


def _has_claims(item: Item) -> bool:
    """Whether a key's earlier claims matter: a delete waits for who may get its record."""
    return bool(item.identities) or (item.delete and not item.sink.names_parent)


def _is_delivered(row: Row) -> bool:
    return row.digest != DELETED


def _is_held_delete(state: RejectState | None) -> bool:
    return state is not None and state.kind == RejectionKind.HELD and state.digest == DELETED
