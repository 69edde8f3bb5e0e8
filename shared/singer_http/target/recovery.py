"""What earlier runs left: requests whose answers are unknown, and rejects.

Pending means unknown. What a run that died was about to send is recovered before the first record
of its stream is read, so nothing newer of a key is sent or acknowledged before it.
"""

from __future__ import annotations

from singer_http.delivery.delivery import Delivery
from singer_http.delivery.item import Entry, Item, Origin, Sent
from singer_http.delivery.outbox import unpacked
from singer_http.delivery.overwrite import Overwrite
from singer_http.errors import StopRun
from singer_http.exact_json import StrangeJSON, decode
from singer_http.operations import (
    UNKNOWN,
    Effect,
    Outcome,
    OutcomeKind,
    Rejection,
    RejectionKind,
)
from singer_http.store.rejects import MAIN, NEWER
from singer_http.store.rows import Delivered, Reject, Unfinished
from singer_http.store.store import Store
from singer_http.target.route import Route
from singer_http.target.router import Router
from singer_http.target.session import Session

DIED = "the run ended before the answer came: it may have arrived"
RESENT = (
    "%s: %d uncertain records were resent by the setting uncertain and may have arrived again: "
    "settle them one by one with --resolve STREAM KEY sent|unsent|drop"
)


class Recovery:
    """Recovers what earlier runs left, stream by stream."""

    def __init__(self, session: Session, router: Router) -> None:
        self._session = session
        self._router = router
        self._done: set[str] = set()

    def begin(self, delivery: Delivery) -> None:
        """Recover what runs that died left of a stream; once in a run.

        What is idempotent comes before the stream's first record, which may replace it. A create is
        looked up first, and what is sent at most once is uncertain: that is settled at once.
        """
        if delivery.stream in self._done:
            return
        self._done.add(delivery.stream)
        entries = self._session.store.ledger.unfinished(delivery.scope)
        if entries:
            self._recover(delivery, entries)
        if self._session.config["uncertain"] != "keep":
            self._settle_uncertain(delivery)

    def _recover(self, delivery: Delivery, entries: list[Unfinished]) -> None:
        ledger = self._session.store.ledger
        seen: set[str] = set()
        for entry in entries:
            route = self._router.route(delivery.stream, entry.route)
            if not seen.isdisjoint(entry.keys):
                delivery.flush()  # one after the other: the newer one has to win
                seen.clear()
            seen.update(entry.keys)
            rows, sent = ledger.rows(delivery.scope, entry.keys), entry.sent
            fields = {}
            if rows and sent and entry.effect is Effect.IDEMPOTENT:
                fields = Overwrite(ledger, delivery.scope).recovered(list(rows), sent)
            for row in rows.values():
                ledger.mark_unknown(delivery.scope, row, fields.get(row.key))
            if not any(entry.records):
                # A mirror's removal: the next complete extract decides again.
                ledger.settle(entry.id)
                continue
            held = Entry(entry.id, len(entry.keys))
            if route is None:
                self._keep(delivery, entry, held)
                continue
            for key, line in zip(entry.keys, entry.records, strict=True):
                self._recover_record(delivery, route, entry, held, key, line)
        if any(entry.effect is not Effect.IDEMPOTENT for entry in entries):
            delivery.flush()
            self._session.store.commit()

    def _recover_record(
        self,
        delivery: Delivery,
        route: Route,
        entry: Unfinished,
        held: Entry,
        key: str,
        line: bytes,
    ) -> None:
        if entry.effect is Effect.AT_MOST_ONCE:
            item = prepared(self._session, route, line)
            item.stored, item.origin, item.entry = key, Origin(resend=entry.resent), held
            self._reject(delivery, item, Rejection(RejectionKind.UNCERTAIN, DIED, attempts=1))
            return
        origin = Origin(entry=held)
        if entry.effect is Effect.CREATE and entry.sent is not None:
            body, identities, digest = unpacked(entry.sent)
            origin.sent = Sent(body, tuple(identities), digest)
            origin.created_at = entry.at
        elif entry.effect is Effect.IDEMPOTENT:
            origin.about_to_write = entry.sent
        if not route.deliver_line(line, origin):
            # `stream_maps` leaves it out now.
            held.open -= 1
            if not held.open:
                self._session.store.ledger.settle(held.id)

    def _keep(self, delivery: Delivery, entry: Unfinished, held: Entry) -> None:
        """The mapping of these records no longer exists: they become rejects.

        What may have arrived and must not be sent twice is uncertain. The rest is held until its
        mapping exists again or a newer record of its key arrives.
        """
        reason = f"there is no stream_maps entry {entry.route!r} any more"
        rejection = Rejection(RejectionKind.HELD, f"{reason}: not sent", attempts=1)
        if entry.effect is not Effect.IDEMPOTENT:
            rejection = Rejection(RejectionKind.UNCERTAIN, f"{DIED}; {reason}", attempts=1)
        intake = next(self._router.routes_of(delivery.stream)).intake
        for key, line in zip(entry.keys, entry.records, strict=True):
            item = intake.item({}, line, self._session.next_seq(), key="?")
            item.route = entry.route
            if entry.effect is Effect.CREATE and entry.sent is not None:
                _, identities, item.digest = unpacked(entry.sent)
                item.identities = tuple(identities)
            item.stored, item.origin, item.entry = key, Origin(resend=entry.resent), held
            self._reject(delivery, item, rejection)

    @staticmethod
    def _reject(delivery: Delivery, item: Item, rejection: Rejection) -> None:
        """Reject a pending record, which may have arrived."""
        delivery.report.retried.received += 1
        outcome = Outcome(OutcomeKind.REJECTED, rejection=rejection, nothing_was_done=False)
        delivery.dispatch.settle(item, outcome)

    # --- the setting `uncertain` ----------------------------------------------------------------

    def _settle_uncertain(self, delivery: Delivery) -> None:
        """The setting `uncertain`: it holds once, for those that are uncertain now."""
        resend = self._session.config["uncertain"] == "resend"
        again = 0
        for reject in list(self._session.store.rejects.earlier(delivery.scope)):
            if reject.kind != RejectionKind.UNCERTAIN or reject.slot != MAIN:
                continue
            route = self._router.route(delivery.stream, reject.route)
            if route is None:
                self._no_route(delivery, reject)
            elif not resend:
                self._arrived(delivery, route, reject)
            elif reject.resent:
                again += 1
            else:
                newest = self._newest(delivery, reject)
                route.deliver_line(newest.record, Origin(resend=True))
        delivery.flush()
        if again:
            self._session.logger.warning(RESENT, delivery.stream, again)

    def _newest(self, delivery: Delivery, reject: Reject) -> Reject:
        """The newest record of a key: the one that waited for the uncertain one, if any."""
        found = self._session.store.rejects.of_key(delivery.scope, reject.key)
        return next((other for other in found if other.slot == NEWER), reject)

    def _arrived(self, delivery: Delivery, route: Route, reject: Reject) -> None:
        """A person says that it arrived."""
        item = prepared(self._session, route, reject.record)
        store = self._session.store
        claims = tuple(map(store.ledger.hashed, item.identities))
        digest = reject.digest or UNKNOWN
        source = item.source if item.digest == digest else b""
        delivered = Delivered(reject.key, digest, source, item.remote_id, claims)
        delivered.fields = fields_of(store, delivery.scope, item, delivered)
        settle_as_sent(store, delivery.scope, delivered)
        store.commit()

    # --- the end of a run ---------------------------------------------------------------------

    def open_earlier(self) -> None:
        """Open the streams that are not in this run's input but have something outstanding."""
        session, store = self._session, self._session.store
        for stream, scope_id in store.scopes.streams(session.account, session.sync).items():
            if stream in session.deliveries:
                continue
            if not (store.ledger.has_unfinished(scope_id) or store.rejects.any(scope_id)):
                continue
            scope = session.scope(stream)
            if scope and scope.schema_message and scope.source not in self._router.opened_sources:
                self._open_stored(scope.schema_message)

    def _open_stored(self, line: bytes) -> None:
        try:
            self._router.open(decode(line), line, 0, earlier=True)
        except (StopRun, ValueError) as error:
            self._session.logger.warning("What earlier runs left is kept, not sent: %s", error)

    def retry_rejects(self, delivery: Delivery) -> None:
        """Send again what earlier runs rejected, unless there is a newer record."""
        rejects, config = self._session.store.rejects, self._session.config
        self._drop_gone(delivery)
        for reject in rejects.earlier(delivery.scope):
            due = config["retry_rejects"] or reject.kind == RejectionKind.HELD
            if not due or self._waits(delivery, reject):
                continue
            route = self._router.route(delivery.stream, reject.route)
            if route is None:
                self._no_route(delivery, reject)
            elif not route.deliver_line(reject.record, Origin(reject=reject)):
                # `stream_maps` leaves it out now, so it is not outstanding any more.
                rejects.drop(delivery.scope, reject.key, slot=reject.slot)
        delivery.flush()

    def _waits(self, delivery: Delivery, reject: Reject) -> bool:
        if reject.kind == RejectionKind.UNCERTAIN:
            return True
        if reject.slot != NEWER:
            return False
        found = self._session.store.rejects.of_key(delivery.scope, reject.key)
        return any(other.kind == RejectionKind.UNCERTAIN for other in found)

    def _drop_gone(self, delivery: Delivery) -> None:
        """A mirror's source no longer has them: drop their rejects."""
        session = self._session
        mirror = session.mirror
        source = next((r for r in self._router.routes_of(delivery.stream)), None)
        if mirror is None or source is None:
            return
        scope = session.scope(delivery.stream)
        if scope is None or mirror.doubt(scope.source, delivery.stream) is not None:
            return
        gone = [
            reject.key
            for reject in session.store.rejects.earlier(delivery.scope)
            if not mirror.is_present(delivery.stream, reject.key)
        ]
        session.store.rejects.drop_keys(delivery.scope, gone)

    def _no_route(self, delivery: Delivery, reject: Reject) -> None:
        self._session.logger.warning(
            "%s: a rejected record is kept, not sent: no stream_maps entry %r any more",
            delivery.stream,
            reject.route,
        )


def settle_as_sent(store: Store, scope: int, delivered: Delivered) -> None:
    """A person says that a record arrived: the ledger knows it, and what waited for it is due."""
    store.ledger.acknowledge(scope, delivered)
    store.rejects.drop(scope, delivered.key, slot=MAIN)
    store.rejects.promote(scope, delivered.key)


def fields_of(store: Store, scope: int, item: Item, delivered: Delivered) -> bytes | None:
    """What `overwrite` compares with of a record that arrived; `None` if it was another one then.

    Args:
        store: the database.
        scope: of the ledger.
        item: the operation that the record asks for today.
        delivered: what was sent.
    """
    if item.digest != delivered.digest:
        return None
    return Overwrite(store.ledger, scope).arrived(item, delivered.key, delivered.remote_id)


def prepared(session: Session, route: Route, line: bytes) -> Item:
    """The operation that a RECORD line asks for today; without a body if it asks for none."""
    try:
        message = decode(line)
        record = message["record"]
    except StrangeJSON:
        record = {}
    return route.prepared(record, line, session.next_seq())
