"""Operations into requests: cut into batches, marked as pending in one commit, and queued."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from singer_http.delivery.attempt import attempt
from singer_http.delivery.item import Entry, Item
from singer_http.delivery.overwrite import Overwrite
from singer_http.delivery.workers import Task, Workers
from singer_http.exact_json import decode, encode
from singer_http.operations import Effect
from singer_http.store.store import Store

COMMIT_AT = 64
"""Operations that are marked as pending in one commit, where each is a request of its own."""

Answered = Callable[[Sequence[Item], Task], None]
"""Called on the main thread with what was sent together, and the result."""


class Outbox:
    """What is ready to leave."""

    def __init__(
        self,
        store: Store,
        workers: Workers,
        scope: int,
        *,
        batch: int,
        by_parent: bool,
        overwrite: Overwrite,
        answered: Answered,
    ) -> None:
        """Send under a scope of the ledger.

        Args:
            store: where requests are marked as pending.
            workers: carry them out.
            scope: of the ledger.
            batch: rows in one request, at most.
            by_parent: operations on one parent record go in one call, one call at a time; `batch`
                is then the number of parents in a call that can have several.
            overwrite: knows what was written last.
            answered: takes the result.
        """
        self.batch = batch
        self.ready: list[Item] = []
        self._store = store
        self._workers = workers
        self._scope = scope
        self._by_parent = by_parent
        self._overwrite = overwrite
        self._answered = answered
        self._still_refused = self._healed = 0
        """Of the records that were refused before: while most still are, each is sent alone."""
        self._in_flight: set[str | None] = set()
        """Parents for which a call is in flight."""

    def due(self, *, flush: bool) -> bool:
        """Whether it is time to send.

        Args:
            flush: no further operation is expected that a batch could wait for.
        """
        if self.batch > 1:
            return flush or len(self.ready) >= self.batch
        workers = self._workers
        return workers.outstanding <= workers.number or len(self.ready) >= COMMIT_AT

    def send(self) -> None:
        """Mark what is ready as pending, and hand it over."""
        ready, self.ready = self.ready, []
        if self._by_parent:
            groups, self.ready = by_parent(ready, self._in_flight)
            chunks = list(joined(groups, self.batch))
            self._in_flight.update(item.remote_id for chunk in chunks for item in chunk)
        else:
            isolate = self._still_refused >= self._healed
            chunks = list(batches(ready, self.batch, isolate=isolate))
        if not chunks:
            return
        self._overwrite.load([item for chunk in chunks for item in chunk])
        ids = self._store.commit(lambda: [self._mark(chunk) for chunk in chunks])
        for chunk, id_ in zip(chunks, ids, strict=True):
            entry = Entry(id_, len(chunk))
            for item in chunk:
                self.leave_entry(item)  # the new entry covers it
                item.entry = entry
            self._workers.submit(
                functools.partial(attempt, chunk[0].sink, chunk),
                functools.partial(self._completed, chunk),
                entry=entry,
            )

    def _mark(self, chunk: Sequence[Item]) -> int:
        first = chunk[0]
        sent = self._overwrite.about_to_write(first)
        if first.effect is Effect.CREATE:
            sent = encode([first.body, list(first.identities), first.digest.hex()])
        return self._store.ledger.add_pending(
            self._scope,
            effect=first.effect,
            route=first.route,
            keys=[item.stored for item in chunk],
            records=[item.line for item in chunk],
            sent=sent,
            resent=first.origin.resend,
        )

    def _completed(self, items: Sequence[Item], task: Task) -> None:
        if self._by_parent:
            self._in_flight.difference_update(item.remote_id for item in items)
        self._answered(items, task)

    def leave_entry(self, item: Item) -> None:
        """An operation is settled, or sent again under another entry; so are those it replaced."""
        replaced: Item | None = item
        while replaced is not None:
            entry, replaced.entry = replaced.entry, None
            if entry is not None:
                entry.open -= 1
                if not entry.open:
                    self._store.ledger.settle(entry.id)
            replaced = replaced.previous

    def tried_alone(self, *, refused: bool) -> None:
        """Note the outcome of a record that was refused before."""
        self._still_refused += refused
        self._healed += not refused


def batches(ready: Iterable[Item], size: int, *, isolate: bool) -> Iterable[list[Item]]:
    """Operations that may share a request, at most `size` in each.

    Args:
        ready: in any order; no two share a conflict key.
        size: rows in one request.
        isolate: those that were refused before are sent alone.
    """
    groups: dict[Any, list[Item]] = {}
    for item in ready:
        if (item.alone and isolate) or item.delete:
            yield [item]
        else:
            groups.setdefault((item.route, item.group), []).append(item)
    for group in groups.values():
        for start in range(0, len(group), size):
            yield group[start : start + size]


def by_parent(
    ready: Iterable[Item], in_flight: set[str | None]
) -> tuple[list[list[Item]], list[Item]]:
    """Operations by their parent record, in order; and those that have to wait.

    Args:
        ready: operations whose remote_id is the parent's id.
        in_flight: parents for which a call is in flight: one at a time for each.
    """
    groups: dict[str | None, list[Item]] = {}
    waiting: list[Item] = []
    closed = set(in_flight)
    for item in sorted(ready, key=lambda item: item.seq):
        group = groups.get(item.remote_id, [])
        alone = group and (item.alone or group[0].alone or group[0].route != item.route)
        if item.remote_id in closed or alone:
            closed.add(item.remote_id)
            waiting.append(item)
        else:
            groups.setdefault(item.remote_id, group).append(item)
    return list(groups.values()), waiting


def joined(groups: Iterable[list[Item]], size: int) -> Iterable[list[Item]]:
    """Groups of operations, one group for each parent; those that may share a call joined.

    Args:
        groups: not empty, each in order.
        size: groups in one call, at most.
    """
    together: dict[Any, list[list[Item]]] = {}
    for group in groups:
        first = group[0]
        shared = {item.sink.joins_parents(item) for item in group} if size > 1 else {None}
        if first.alone or len(shared) > 1 or None in shared:
            yield group
        else:
            together.setdefault((first.route, *shared), []).append(group)
    for some in together.values():
        for start in range(0, len(some), size):
            yield [item for group in some[start : start + size] for item in group]


def unpacked(sent: bytes) -> tuple[Any, list[str], bytes]:
    """Body, identities and digest of a create that a run was about to send."""
    body, identities, digest = decode(sent)
    return body, identities, bytes.fromhex(digest)
