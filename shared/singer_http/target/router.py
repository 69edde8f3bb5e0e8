"""From a source stream to its deliveries: sinks found, dependent streams kept waiting."""

from __future__ import annotations

import copy
import difflib
from collections import Counter, OrderedDict
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from singer_sdk.mapper import PluginMapper, RemoveRecordTransform, SameRecordTransform, StreamMap

from singer_http.delivery.delivery import Delivery
from singer_http.delivery.intake import Intake
from singer_http.delivery.item import NEW, Item, Origin
from singer_http.errors import ConfigError, StopRun, one_line
from singer_http.exact_json import StrangeJSON, canonical, decode
from singer_http.operations import JSON, Rejection, invalid
from singer_http.plugin.validation import EVERY_FIELD
from singer_http.sink.base import HTTPSink
from singer_http.sink.context import SinkContext
from singer_http.sink.formats import properties_of
from singer_http.sink.kinds import BatchSink, ReadableSink
from singer_http.sink.overwrite import refuse
from singer_http.sink.schemas import of_message
from singer_http.store.rows import Scope
from singer_http.store.suppressions import STREAM as SUPPRESSIONS
from singer_http.target.session import Session
from singer_http.target.spool import Spool

SCHEMAS_KEPT = 32
"""Forms of one source's SCHEMA that are kept ready: a tap may alternate between a few."""


class Route:
    """One mapping of a source stream into one delivery."""

    def __init__(
        self, delivery: Delivery, intake: Intake, mapping: StreamMap, spool: Spool[Route] | None
    ) -> None:
        self.delivery = delivery
        self.intake = intake
        self.spool = spool
        """Where records wait for the streams that this one depends on."""
        plain = type(mapping) is SameRecordTransform and not mapping.flattening_enabled
        self._mapping = None if plain else mapping

    @property
    def name(self) -> str:
        """Its name, kept with pending and rejected records."""
        return self.intake.route

    def take(self, record: JSON, line: bytes) -> None:
        """Deliver a record, or keep it on disk until what it depends on is delivered."""
        if self.spool is not None and self.spool.is_open:
            self.spool.add(self, line)
        else:
            self.deliver(record, line)

    def deliver(self, record: Any, line: bytes, origin: Origin = NEW) -> bool:
        """Map a record and add it to the delivery; `False` if `stream_maps` leaves it out."""
        if self._mapping is None and type(record) is dict:
            self.delivery.take(self.intake, record, line, origin)
            return True
        try:
            mapped = self._map(record)
        except Rejection as rejection:
            self.delivery.take_invalid(self.intake, record, line, rejection, origin)
            return True
        if mapped is None:
            self.delivery.report.filtered += 1
            return False
        self.delivery.take(self.intake, mapped, line, origin)
        return True

    def deliver_line(self, line: bytes, origin: Origin = NEW) -> bool:
        """Read a RECORD line again, and hand it over with today's mapping; as `deliver`."""
        try:
            message = decode(line)
        except StrangeJSON as strange:
            record = strange.value.get("record") if isinstance(strange.value, dict) else None
            self.reject(record, line, strange.problem, origin)
            return True
        return self.deliver(message.get("record"), line, origin)

    def reject(self, record: Any, line: bytes, problem: str, origin: Origin = NEW) -> None:
        """Reject a record that cannot be read."""
        self.delivery.take_invalid(self.intake, record, line, invalid(problem), origin)

    def prepared(self, record: Any, line: bytes, seq: int) -> Item:
        """The operation that a record asks for today; without a body if it asks for none."""
        try:
            mapped = self._map(record) or {}
        except Rejection:
            mapped = {}
        item = self.intake.item(mapped, line, seq, key="?")
        self.intake.prepare(mapped, item)
        return item

    def _map(self, record: Any) -> JSON | None:
        """The record after `stream_maps`; `None` if they leave it out.

        Raises:
            Rejection: it is not an object, or an expression fails on it.
        """
        if not isinstance(record, dict):
            raise invalid("the record is not an object")
        if self._mapping is None:
            return record
        try:
            return self._mapping.transform(copy.copy(record))
        except Exception as error:  # noqa: BLE001 - expressions are the user's and raise anything
            words = one_line(str(error))
            raise invalid(f"stream_maps: {type(error).__name__}: {words}") from None


class Router:
    """All routes of a run."""

    def __init__(
        self,
        session: Session,
        context: SinkContext,
        sinks: Sequence[type[HTTPSink]],
        mapper: Callable[[], PluginMapper],
        opened: Callable[[Delivery], None],
    ) -> None:
        """Route into these sinks.

        Args:
            session: the run's.
            context: what sinks are given.
            sinks: the target's, in the order in which they are delivered.
            mapper: the SDK's `stream_maps`.
            opened: called once for each delivery, before its first record.
        """
        self._session = session
        self._context = context
        self._sinks = sinks
        self._mapper = mapper
        self._opened = opened
        self.by_source: dict[str, list[Route]] = {}
        """Source stream -> where its records go now."""
        self._ready: dict[str, OrderedDict[bytes, list[Route]]] = {}
        self._sources: dict[str, str] = {}
        self.opened_sources: set[str] = set()
        """Source streams whose SCHEMA was in this run's input."""
        self.spools: dict[str, Spool[Route]] = {}

    @property
    def spooled(self) -> bool:
        """Records wait for another stream: no STATE may be written."""
        return any(spool.waits for spool in self.spools.values())

    def routes_of(self, stream: str) -> Iterator[Route]:
        """The routes into a target stream, of each source's last SCHEMA."""
        for routes in self.by_source.values():
            yield from (route for route in routes if route.delivery.stream == stream)

    def route(self, stream: str, name: str) -> Route | None:
        """The route of that name into a target stream; its only one if it has one."""
        routes = list(self.routes_of(stream))
        named = [route for route in routes if route.name == name]
        return named[0] if named else routes[0] if len(routes) == 1 else None

    # --- SCHEMA -------------------------------------------------------------------------------

    def open(self, message: JSON, line: bytes, number: int, *, earlier: bool = False) -> None:
        """Make the routes of a source stream; one whose SCHEMA was seen before is ready.

        Args:
            message: the SCHEMA message.
            line: as it was read.
            number: of the line, for errors.
            earlier: it is an earlier run's.

        Raises:
            StopRun: it is not a SCHEMA message.
            ConfigError: the stream cannot be delivered with these settings.
        """
        source, schema, keys = of_message(message, number)
        if not earlier:
            self.opened_sources.add(source)
        ready = self._ready.setdefault(source, OrderedDict())
        essence = canonical([schema, keys])
        if essence not in ready:
            ready[essence] = self._routes(source, schema, keys, line.rstrip())
            if len(ready) > SCHEMAS_KEPT:
                ready.popitem(last=False)
        ready.move_to_end(essence)
        self.by_source[source] = ready[essence]
        self._session.schemas[source] = line.rstrip()
        if any(route.delivery.stream == SUPPRESSIONS for route in ready[essence]):
            self._hold_back()
        for route in ready[essence]:
            self._opened(route.delivery)

    def _routes(self, source: str, schema: JSON, keys: list[str], line: bytes) -> list[Route]:
        mapper = self._mapper()
        mapper.register_raw_stream_schema(source, copy.deepcopy(schema), keys)
        names: Counter[str] = Counter()
        routes = []
        for mapping in mapper.stream_maps[source]:
            if not isinstance(mapping, RemoveRecordTransform):
                names[mapping.stream_alias] += 1
                number = names[mapping.stream_alias]
                name = mapping.stream_alias if number == 1 else f"{mapping.stream_alias}#{number}"
                routes.append(self._route(source, mapping, name, line))
        return routes

    def _route(self, source: str, mapping: StreamMap, name: str, line: bytes) -> Route:
        sink_class = self._sink_class(mapping.stream_alias)
        config = self._session.config
        if config["mode"] not in sink_class.modes:
            raise ConfigError(
                f"{sink_class.stream}: mode {config['mode']} is not possible: use "
                f"{' or '.join(sink_class.modes)}."
            )
        if sink_class.at_most_once and config.get("ledger_url") == "none":
            raise ConfigError(
                f"{sink_class.stream} are sent at most once, which needs a ledger: ledger_url must "
                "not be 'none'."
            )
        schema = mapping.transformed_schema
        properties = properties_of(schema)
        keys = self._keys(sink_class, source, properties, mapping.transformed_key_properties)
        scope = self._scope(sink_class, source, keys, line)
        sink = sink_class(self._context, schema, keys)
        self._check_overwrite(sink)
        intake = Intake(sink, schema, name, validate=config.get("validate_records", True))
        delivery = self._session.delivery(sink_class, scope)
        delivery.report.add_source(source)
        depends = set(sink_class.depends_on) & {sink.stream for sink in self._sinks}
        if sink_class.reaches_people and self._suppressions_come():
            depends.add(SUPPRESSIONS)
        spool = None
        if depends:
            spool = self.spools.setdefault(
                sink_class.stream, Spool(self._session.rejects_path.parent)
            )
        else:
            self.check_company(sink_class)
        return Route(delivery, intake, mapping, spool)

    def _check_overwrite(self, sink: HTTPSink) -> None:
        """Refuse a setting `overwrite` that cannot be kept.

        Raises:
            ConfigError: it names no field, or the stream's records cannot be read.
        """
        if isinstance(sink, ReadableSink):
            sink.policies.of(EVERY_FIELD)  # finds the fields that the setting names
        elif isinstance(sink, BatchSink) and not sink.sends_nothing:
            setting = self._session.config.get("overwrite") or {}
            own = {n: p for n, p in setting.items() if n in {EVERY_FIELD, *sink.writable()}}
            hint = f"Give {sink.stream} a pipeline of its own (another sync, without overwrite)."
            refuse(own, sink.stream, hint)

    def check_company(self, sink: type[HTTPSink]) -> None:
        """Refuse `overwrite` for a stream that overwrites nothing, in a pipeline without others.

        Raises:
            ConfigError: no stream of the pipeline has records that can be read.
        """
        if sink.readable or issubclass(sink, BatchSink):
            return
        readable = [one.stream for one in self._sinks if one.readable]
        if any(s in self._session.deliveries or self._session.scope(s) for s in readable):
            return
        hint = f"It has a meaning for {' and '.join(readable)}: leave the setting out without them."
        refuse(self._session.config.get("overwrite"), sink.stream, hint)

    def _suppressions_come(self) -> bool:
        """Whether this run may bring suppressions, which go first whatever the order of messages.

        The pipeline brought some before, `stream_maps` make some, `keys` names them, or their
        SCHEMA was read.
        """
        config = self._session.config
        maps = config.get("stream_maps") or {}
        names = [
            *maps,
            *(config.get("keys") or ()),
            *(spec.get("__alias__") for spec in maps.values() if type(spec) is dict),
        ]
        return (
            SUPPRESSIONS in self._session.deliveries
            or self._session.scope(SUPPRESSIONS) is not None
            or any(str(name).rpartition("-")[2] == SUPPRESSIONS for name in names)
        )

    def _hold_back(self) -> None:
        """Suppressions come in this run after records that they may be about: these wait.

        Raises:
            StopRun: some were sent already.
        """
        for delivery in self._session.deliveries.values():
            stream = delivery.stream
            if not delivery.sink_class.reaches_people or stream in self.spools:
                continue
            if delivery.dispatch.started:
                raise StopRun(
                    f"{stream}: records were sent before the stream suppressions came. Run again: "
                    "from now on they wait for it."
                )
            spool = self.spools[stream] = Spool(self._session.rejects_path.parent)
            routes = {
                id(route.intake): route
                for ready in self._ready.values()
                for kept in ready.values()
                for route in kept
                if route.delivery is delivery
            }
            for route in routes.values():
                route.spool = spool
            for intake, line in delivery.take_back():
                spool.add(routes[id(intake)], line)

    def _sink_class(self, name: str) -> type[HTTPSink]:
        known = {sink.stream: sink for sink in self._sinks}
        found = known.get(name) or known.get(name.rpartition("-")[2])
        if found is None:
            near = difflib.get_close_matches(name, known, n=1)
            hint = f" Did you mean {near[0]}?" if near else ""
            raise ConfigError(
                f"This target has no stream {name!r}: it knows {', '.join(known)}.{hint} "
                "Rename the stream with stream_maps (__alias__), or deselect it in the tap."
            )
        return found

    def _keys(
        self,
        sink: type[HTTPSink],
        source: str,
        properties: Mapping[str, Any],
        declared: Sequence[str] | None,
    ) -> tuple[str, ...]:
        setting = self._session.config.get("keys") or {}
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

    def _scope(
        self, sink: type[HTTPSink], source: str, keys: tuple[str, ...], line: bytes
    ) -> Scope:
        session, stream = self._session, sink.stream
        feeds = self._sources.setdefault(stream, source)
        if feeds != source:
            raise ConfigError(
                f"{stream}: two streams of the source feed it in one run, {feeds!r} and "
                f"{source!r}: they would overwrite each other. Deselect one, or run them as two "
                "pipelines, each with a name of its own (setting sync)."
            )
        known = session.scope(stream)
        if known and known.source != source and session.config.get("source") != source:
            raise ConfigError(
                f"{stream}: sync {session.sync!r} was fed by the stream {known.source!r} until "
                f"now, not by {source!r}: give this pipeline a name of its own with the setting "
                f"sync, or set source to {source!r} if the stream was renamed."
            )
        if known and known.known and known.keys != keys:
            raise ConfigError(
                f"{stream}: its records were known by {', '.join(known.keys)} until now, not by "
                f"{', '.join(keys)}: set keys to the old columns, or a new name for sync."
            )
        return session.store.scopes.open(
            session.account, session.sync, stream, source=source, keys=keys, schema_message=line
        )

    # --- ends ---------------------------------------------------------------------------------

    def flush(self) -> None:
        """Send and settle everything that does not wait for another stream."""
        for delivery in list(self._session.deliveries.values()):
            delivery.flush()
