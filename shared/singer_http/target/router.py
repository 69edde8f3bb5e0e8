"""From a source stream to its deliveries: sinks found, streams that hang on others kept waiting."""

from __future__ import annotations

import copy
import difflib
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from typing import IO, TYPE_CHECKING, Any

import msgspec
from singer_sdk.mapper import RemoveRecordTransform, SameRecordTransform

from singer_http.delivery.delivery import Delivery
from singer_http.delivery.intake import Intake
from singer_http.errors import ConfigError, StopRun
from singer_http.operations import JSON, Effect, Rejection, RejectionKind, invalid
from singer_http.store.rejects import PENDING, text_key

if TYPE_CHECKING:
    from singer_sdk.mapper import StreamMap

    from singer_http.sink.base import HTTPSink
    from singer_http.store.tables import Scope
    from singer_http.target.target import HTTPTarget

DIED = "the run ended before the answer came: it may have arrived"


class Route:
    """One source stream into one delivery, by way of `stream_maps`."""

    def __init__(self, delivery: Delivery, mapping: StreamMap, *, spool: IO[bytes] | None) -> None:
        self.delivery = delivery
        self._spool = spool
        plain = type(mapping) is SameRecordTransform and not mapping.flattening_enabled
        self._mapping = None if plain else mapping

    def take(self, record: JSON, line: bytes) -> None:
        """Take in a record, or keep it on disk until what it hangs on has gone."""
        if self._spool is not None:
            self._spool.write(line if line.endswith(b"\n") else line + b"\n")
        elif self._mapping is None:
            self.delivery.take(record, line)
        else:
            self._take_mapped(record, line)

    def _take_mapped(self, record: JSON, line: bytes, **flags: bool) -> None:
        try:
            mapped = self.map(record)
        except Rejection as rejection:
            self.delivery.take_invalid(record, line, rejection)
            return
        if mapped is None:
            self.delivery.report.filtered += 1
        else:
            self.delivery.take(mapped, line, **flags)

    def map(self, record: JSON) -> JSON | None:
        """The record after `stream_maps`; `None` if they leave it out.

        Raises:
            Rejection: an expression fails on it.
        """
        if self._mapping is None:
            return record
        try:
            return self._mapping.transform(copy.copy(record))
        except Exception as error:  # noqa: BLE001 - expressions are the user's and raise anything
            raise invalid(f"stream_maps: {type(error).__name__}: {error}") from None

    def replay(self) -> None:
        """Deliver what waited on disk."""
        if self._spool is None:
            return
        spool, self._spool = self._spool, None
        spool.seek(0)
        decode = msgspec.json.Decoder().decode
        for line in spool:
            self.take(decode(line)["record"], line)
        spool.close()

    @property
    def waits(self) -> bool:
        """Records wait on disk."""
        return self._spool is not None and self._spool.tell() > 0

    def retry(self, line: bytes, *, resend: bool) -> None:
        """Send an earlier run's record again, with today's mapping."""
        record = msgspec.json.decode(line)["record"]
        self._take_mapped(record, _without_rejection(line), retried=True, resend=resend)


class Routes:
    """All routes of a run."""

    def __init__(self, target: HTTPTarget) -> None:
        self.target = target
        self.of: dict[str, list[Route]] = {}
        """Source stream -> where its records go now."""
        self.schemas = target.run.schemas
        self._all: list[Route] = []
        self._messages: dict[str, JSON] = {}
        self._came: set[str] = set()
        self._left_behind: dict[int, list[int]] = {}

    @property
    def spooled(self) -> bool:
        """Records wait for another stream: nothing may be said to be settled."""
        return any(route.waits for route in self._all)

    # --- SCHEMA -------------------------------------------------------------------------------

    def open(self, message: JSON, line: bytes, *, earlier: bool = False) -> None:
        """Make the deliveries of a source stream; a SCHEMA that changes nothing is passed over.

        Raises:
            StopRun: it is not a SCHEMA, or the target does not know the stream.
            ConfigError: the stream cannot be delivered with these settings.
        """
        try:
            source, schema = message["stream"], message["schema"]
            properties = schema["properties"]
        except (KeyError, TypeError):
            raise StopRun(
                "A SCHEMA message needs a stream, and a schema with properties."
            ) from None
        keys = message.get("key_properties") or []
        if not earlier:
            self._came.add(source)
        essence = {"schema": schema, "keys": keys}
        if not isinstance(properties, dict) or self._messages.get(source) == essence:
            return
        self._messages[source] = copy.deepcopy(essence)
        for route in self.of.get(source, ()):
            # What came under the old schema goes before what comes under the new one.
            route.delivery.drain()
        mapper = self.target.mapper
        mapper.register_raw_stream_schema(source, schema, keys)
        self.schemas[source] = line.rstrip()
        self.of[source] = [
            self._route(source, mapping)
            for mapping in mapper.stream_maps[source]
            if not isinstance(mapping, RemoveRecordTransform)
        ]
        for route in self.of[source]:
            self._take_over(source, route)

    def _route(self, source: str, mapping: StreamMap) -> Route:
        target = self.target
        sink_class = self._sink_class(mapping.stream_alias)
        config = target.config
        if config["mode"] not in sink_class.modes:
            raise ConfigError(
                f"{sink_class.stream}: mode {config['mode']} is not possible: use "
                f"{' or '.join(sink_class.modes)}."
            )
        if sink_class.at_most_once and not target.run.has_ledger:
            raise ConfigError(
                f"{sink_class.stream} are sent once and only once, which needs a ledger: "
                "ledger_url must not be 'none'."
            )
        schema = mapping.transformed_schema
        properties: Mapping[str, Any] = schema["properties"]
        keys = self._keys(sink_class, source, properties, mapping.transformed_key_properties)
        scope = self._scope(sink_class, source, keys)
        sink = sink_class(target, properties, keys)
        intake = Intake(sink, schema, validate=config.get("validate_records", True))
        delivery = Delivery(target.run, intake, source, scope)
        delivery.report.add_source(source)
        hangs = set(sink_class.depends_on) & {sink.stream for sink in target.sinks}
        spool = tempfile.TemporaryFile(dir=target.work_dir) if hangs else None  # noqa: SIM115
        route = Route(delivery, mapping, spool=spool)
        self._all.append(route)
        return route

    def _sink_class(self, name: str) -> type[HTTPSink]:
        known = {sink.stream: sink for sink in self.target.sinks}
        found = known.get(name) or known.get(name.rpartition("-")[2])
        if found is None:
            near = difflib.get_close_matches(name, known, n=1)
            hint = f" Did you mean {near[0]}?" if near else ""
            raise ConfigError(
                f"{self.target.name} has no stream {name!r}: it knows {', '.join(known)}.{hint} "
                "Rename the stream with stream_maps (__alias__)."
            )
        return found

    def _keys(
        self,
        sink: type[HTTPSink],
        source: str,
        properties: Mapping[str, Any],
        declared: Sequence[str] | None,
    ) -> tuple[str, ...]:
        setting = self.target.config.get("keys") or {}
        chosen = setting.get(sink.stream) or setting.get(source)
        if chosen:
            missing = [column for column in chosen if column not in properties]
            if missing:
                raise ConfigError(
                    f"{sink.stream}: keys names {', '.join(missing)}, which the stream does not "
                    f"have: it has {', '.join(properties)}."
                )
            return tuple(chosen)
        if declared:
            return tuple(declared)
        for columns in sink.identities:
            if all(column in properties for column in columns):
                return columns
        raise ConfigError(
            f"{sink.stream}: the source declares no key: name the columns that identify a record "
            f'with the setting keys, e.g. {{"{sink.stream}": ["id"]}}.'
        )

    def _scope(self, sink: type[HTTPSink], source: str, keys: tuple[str, ...]) -> Scope:
        target = self.target
        config, ledger = target.config, target.run.ledger
        place = (target.ledger_account, config["sync"], sink.stream)
        known = ledger.scope(*place)
        if known and known.source != source and config.get("source") != source:
            raise ConfigError(
                f"{sink.stream}: sync {config['sync']!r} was fed by the stream {known.source!r} "
                f"until now, not by {source!r}: give this pipeline a name of its own with the "
                f"setting sync, or set source to {source!r} if the stream was renamed."
            )
        if known and known.known and known.keys != keys:
            raise ConfigError(
                f"{sink.stream}: its records were known by {', '.join(known.keys)} until now, not "
                f"by {', '.join(keys)}: set keys to the old columns, or a new name for sync."
            )
        return ledger.open_scope(
            *place, source=source, keys=keys, schema_message=target.message_reader.line.rstrip()
        )

    # --- earlier runs -------------------------------------------------------------------------

    def _take_over(self, source: str, route: Route) -> None:
        """Find out which keys earlier rejects belong to, and what a dead run left pending."""
        delivery, rejects = route.delivery, self.target.run.rejects
        for stored in rejects.unidentified(source):
            rejects.identify(stored, delivery.sink.stream, self._key(route, stored.line))
        entries = delivery.ledger.left_behind(delivery.scope.id)
        if not entries or delivery.scope.id in self._left_behind:
            return
        self._left_behind[delivery.scope.id] = [entry.id for entry in entries]
        for entry in entries:
            for line in entry.records.split(b"\n"):
                if line:
                    self._settle_left_behind(route, line, entry.effect, entry.at)

    def _key(self, route: Route, line: bytes) -> str:
        record = msgspec.json.decode(line)["record"]
        try:
            mapped = route.map(record)
        except Rejection:
            mapped = None
        if mapped is None:
            return text_key(record)
        op, _ = route.delivery.intake.operation(mapped, line, 0)
        return op.key

    def _settle_left_behind(self, route: Route, line: bytes, effect: Effect, at: float) -> None:
        """Keep a pending record for the end of the run, or reject it as uncertain."""
        delivery, run = route.delivery, self.target.run
        record = msgspec.json.decode(line)["record"]
        try:
            mapped = route.map(record)
        except Rejection:
            mapped = None
        op, _ = delivery.intake.operation(mapped if mapped is not None else record, line, 0)
        sink = delivery.sink
        if effect is Effect.IDEMPOTENT or (effect is Effect.CREATE and sink.can_find(op)):
            run.rejects.put_pending(
                source=delivery.source, stream=sink.stream, key=op.key, line=line, at=at
            )
            return
        op.stored = delivery.standing.stored_key(op.key)
        op.seq, op.retried = run.next_seq(), True
        delivery.report.retried.received += 1
        delivery.settlement.reject(op, Rejection(RejectionKind.UNCERTAIN, DIED, attempts=1))

    def open_earlier(self) -> None:
        """Open the streams that did not come in this run but have something outstanding."""
        target = self.target
        run = target.run
        for source in run.rejects.sources():
            line = run.rejects.schema(source)
            if source not in self.of and line is not None:
                self._open_stored(line)
        place = (target.ledger_account, target.config["sync"])
        for stream in run.ledger.streams(*place):
            scope = run.ledger.scope(*place, stream)
            if scope and scope.source not in self.of and run.ledger.left_behind(scope.id):
                self._open_stored(scope.schema_message)

    def _open_stored(self, line: bytes) -> None:
        self.target.message_reader.line = line
        try:
            self.open(msgspec.json.decode(line), line, earlier=True)
        except StopRun as error:
            self.target.logger.warning("What earlier runs left is kept, not sent: %s", error)

    # --- ends ---------------------------------------------------------------------------------

    def drain(self) -> None:
        """See everything through that does not wait for another stream."""
        for route in self._all:
            route.delivery.drain()

    def finish(self) -> None:
        """Stream by stream in the target's order: what waited, then what earlier runs left."""
        for sink_class in self.target.sinks:
            routes = list(self._of_stream(sink_class))
            for route in routes:
                route.delivery.drain()
            # Where keys bear on each other, what is older goes first.
            if routes and sink_class.group_by_parent:
                self._finish_earlier(routes[-1])
            for route in routes:
                route.replay()
                route.delivery.drain()
            if routes and not sink_class.group_by_parent:
                self._finish_earlier(routes[-1])
        if self.target.run.mirror is not None:
            for sink_class in reversed(self.target.sinks):
                for route in list(self._of_stream(sink_class))[-1:]:
                    self._remove_missing(route.delivery)

    def _of_stream(self, sink_class: type[HTTPSink]) -> Iterator[Route]:
        return (route for route in self._all if isinstance(route.delivery.sink, sink_class))

    def _finish_earlier(self, route: Route) -> None:
        """Send again what earlier runs left, unless something newer came."""
        delivery, run, config = route.delivery, self.target.run, self.target.config
        for _, stored in run.rejects.earlier(delivery.sink.stream):
            if stored.kind == PENDING:
                route.retry(stored.line, resend=False)
            elif stored.kind == RejectionKind.UNCERTAIN:
                if config["uncertain"] != "keep":
                    route.retry(stored.line, resend=config["uncertain"] == "resend")
            elif config["retry_rejects"] or stored.kind == RejectionKind.HELD.value:
                route.retry(stored.line, resend=False)
        delivery.drain()
        # In the file first: only then may the ledger forget the records.
        run.rejects.write(self.schemas)
        for entry in self._left_behind.pop(delivery.scope.id, ()):
            delivery.ledger.settle(entry)

    def _remove_missing(self, delivery: Delivery) -> None:
        mirror = self.target.run.mirror
        if mirror is None or delivery.source not in self._came:
            return
        doubt = mirror.doubt(delivery.source, delivery.sink.stream)
        if doubt:
            delivery.report.notes.append(f"mirror: nothing removed: {doubt}")
            self.target.logger.warning(
                "%s: the mirror removed nothing: %s", delivery.sink.stream, doubt
            )
            return
        for row in mirror.gone(delivery):
            if self.target.run.dry_run:
                delivery.report.counts.removed += 1
                self.target.run.show(delivery, delivery.removal(row))
            else:
                delivery.remove(row)
        delivery.drain()


def _without_rejection(line: bytes) -> bytes:
    message = msgspec.json.decode(line)
    message.pop("rejection", None)
    return bytes(msgspec.json.encode(message))
