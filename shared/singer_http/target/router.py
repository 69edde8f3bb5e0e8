"""From a source stream to its deliveries: sinks found, dependent streams kept waiting."""

from __future__ import annotations

import copy
import difflib
from collections import Counter, OrderedDict
from collections.abc import Callable, Iterator, Sequence

from singer_sdk.mapper import PluginMapper, RemoveRecordTransform, StreamMap

from singer_http.delivery.delivery import Delivery
from singer_http.delivery.intake import DELETED_AT, Intake
from singer_http.errors import ConfigError, StopRun
from singer_http.exact_json import canonical, decode
from singer_http.operations import JSON
from singer_http.sink.base import HTTPSink
from singer_http.sink.context import SinkContext
from singer_http.sink.formats import properties_of
from singer_http.sink.kinds import BatchSink, check_overwrite
from singer_http.sink.overwrite import refuse
from singer_http.sink.schemas import of_message
from singer_http.sink.version import refuse_if_read, without
from singer_http.store.rows import Scope
from singer_http.store.suppressions import STREAM as SUPPRESSIONS
from singer_http.target.route import Definition, Route, Spool, definitions, keys_of
from singer_http.target.session import Session

SCHEMAS_KEPT = 32
"""Forms of one source's SCHEMA that are kept ready: a tap may alternate between a few."""
UNVERSIONED = "%s: no versions are stored, so each plan brings all rows: %s"
FALLEN = (
    "%s delivered rows of %s were made by another mapping, other settings or another release: "
    "their versions no longer stand, so the next plan brings these rows again"
)


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
        self._keys_taken: dict[str, tuple[str, ...]] = {}
        """Target stream -> the key columns of the records that came before its last SCHEMA."""
        self.opened_sources: set[str] = set()
        """Source streams whose SCHEMA was in this run's input."""
        self.spools: dict[str, Spool] = {}
        self._mapped: dict[str, bytes | None] = {}
        """Target stream -> what makes its requests now, as the database has it."""
        self._unversioned: set[str] = set()

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
        for route in self.by_source.get(source, ()):
            if route.taken:
                self._keys_taken[route.delivery.stream] = route.intake.sink.keys
        ready = self._ready.setdefault(source, OrderedDict())
        essence = canonical([schema, keys])
        if essence not in ready:
            ready[essence] = self._routes(source, schema, keys, line.rstrip())
            if len(ready) > SCHEMAS_KEPT:
                ready.popitem(last=False)
        ready.move_to_end(essence)
        for route in ready[essence]:
            self._refuse_other_keys(route.delivery.stream, route.intake.sink.keys)
        self.by_source[source] = ready[essence]
        self._session.schemas[source] = line.rstrip()
        if any(route.delivery.stream == SUPPRESSIONS for route in ready[essence]):
            self._hold_back()
        for route in ready[essence]:
            self._note_mapping(route)
            self._opened(route.delivery)

    def _refuse_other_keys(self, stream: str, keys: tuple[str, ...]) -> None:
        """Refuse other keys than records of this run have: each would count as new.

        These may wait in memory or on disk, and not be in the database yet.
        """
        before = self._keys_taken.get(stream, keys)
        if before != keys:
            raise _other_keys(stream, before, keys)

    def remap(self, line: bytes) -> None:
        """Note what today's settings make of a stream, by its stored SCHEMA; nothing is delivered.

        Errors as in `open`.
        """
        for route in self.of_stored(line):
            self._note_mapping(route)

    def of_stored(self, line: bytes) -> list[Route]:
        """The routes of a stored SCHEMA with today's settings, to prepare records; as `remap`."""
        source, schema, keys = of_message(decode(line), 0)
        return self._routes(source, schema, keys, line)

    def _note_mapping(self, route: Route) -> None:
        """Versions of rows that today's mapping would send otherwise do not stand any more."""
        delivery, mapping = route.delivery, route.intake.mapping
        if self._mapped.get(delivery.stream, b"") == mapping:
            return
        first = delivery.stream not in self._mapped
        self._mapped[delivery.stream] = mapping
        fallen = self._session.store.scopes.remap(delivery.scope, mapping)
        if fallen and first and not self._session.dry_run:
            self._session.logger.warning(FALLEN, f"{fallen:,}", delivery.stream)

    def _routes(self, source: str, schema: JSON, keys: list[str], line: bytes) -> list[Route]:
        mapper = self._mapper()
        mapper.register_raw_stream_schema(source, copy.deepcopy(schema), keys)
        told = definitions(self._session.config.get("stream_maps") or {}, source)
        both = zip(mapper.stream_maps[source], told, strict=True)
        kept = [(m, told) for m, told in both if not isinstance(m, RemoveRecordTransform)]
        into = Counter(self._sink_class(mapping.stream_alias).stream for mapping, _ in kept)
        names: Counter[str] = Counter()
        routes = []
        for mapping, definition in kept:
            names[mapping.stream_alias] += 1
            number = names[mapping.stream_alias]
            name = mapping.stream_alias if number == 1 else f"{mapping.stream_alias}#{number}"
            sink_class = self._sink_class(mapping.stream_alias)
            column = self._version_column(sink_class, schema, alone=into[sink_class.stream] == 1)
            route = self._route(sink_class, source, mapping, name, line, column, definition)
            routes.append(route)
        return routes

    def _version_column(self, sink: type[HTTPSink], schema: JSON, *, alone: bool) -> str | None:
        """The column of the source with a row's version; `None` if no versions are stored.

        A row that becomes several records of one stream has several keys, which no plan compares.
        """
        column: str | None = self._session.config.get("version_column")
        if not column:
            return None
        if column not in properties_of(schema):
            problem = f"the source has no column {column} (setting version_column)"
        elif not sink.deterministic:
            problem = "more than the record decides what is sent"
        elif not alone:
            problem = "stream_maps makes several records of a row"
        else:
            return column
        if sink.stream not in self._unversioned:
            self._unversioned.add(sink.stream)
            self._session.logger.warning(UNVERSIONED, sink.stream, problem)
        return None

    def _route(
        self,
        sink_class: type[HTTPSink],
        source: str,
        mapping: StreamMap,
        name: str,
        line: bytes,
        version_column: str | None,
        definition: Definition,
    ) -> Route:
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
        declared = mapping.transformed_key_properties
        keys = keys_of(sink_class, source, properties, declared, config.get("keys") or {})
        scope = self._scope(sink_class, source, keys, line)
        named = config.get("version_column")
        sink = sink_class(self._context, without(schema, named), keys)
        refuse_if_read(sink, named)
        check_overwrite(sink)
        intake = Intake(
            sink,
            schema,
            name,
            validate=config.get("validate_records", True),
            version_column=version_column,
        )
        delivery = self._session.delivery(sink_class, scope)
        delivery.report.add_source(source)
        depends = set(sink_class.depends_on) & {sink.stream for sink in self._sinks}
        if sink_class.reaches_people and (self._suppressions_come() or self._is_resent(scope)):
            depends.add(SUPPRESSIONS)
        spool = None
        if depends:
            spool = self.spools.setdefault(
                sink_class.stream, Spool(self._session.rejects_path.parent)
            )
        else:
            self.refuse_useless_overwrite(sink_class)
        # A delete would lift a suppression, so a map that drops the mark is right there.
        asks = sink.stream != SUPPRESSIONS and DELETED_AT not in (definition or {})
        return Route(delivery, intake, mapping, spool, asks_of_deletes=asks)

    def refuse_useless_overwrite(self, sink: type[HTTPSink]) -> None:
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

    def _is_resent(self, scope: Scope) -> bool:
        """Whether uncertain records of earlier runs are sent before a stream's first record.

        Whether suppressions come in this run is known at its end: the whole stream waits for them.
        What a dead run left does not wait: its stream would be sent only at the end of the input,
        and a run that is always killed before that would never send anything.
        """
        resend = self._session.config["uncertain"] == "resend"
        return bool(resend and self._session.store.rejects.any(scope.id))

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
        self._refuse_other_keys(stream, keys)
        if known and known.known and known.keys != keys:
            raise _other_keys(stream, known.keys, keys)
        return session.store.scopes.open(
            session.account, session.sync, stream, source=source, keys=keys, schema_message=line
        )

    # --- ends ---------------------------------------------------------------------------------

    def flush(self) -> None:
        """Send and settle everything that does not wait for another stream."""
        for delivery in list(self._session.deliveries.values()):
            delivery.flush()


def _other_keys(stream: str, before: Sequence[str], now: Sequence[str]) -> ConfigError:
    return ConfigError(
        f"{stream}: its records were known by {', '.join(before)} until now, not by "
        f"{', '.join(now)}: set keys to the old columns, or a new name for sync."
    )
