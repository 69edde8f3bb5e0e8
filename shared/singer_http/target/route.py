"""One mapping of a source stream, and where its records wait for the streams it depends on."""

from __future__ import annotations

import copy
import fnmatch
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO, Any

from singer_sdk.mapper import MAPPER_SOURCE_OPTION, SameRecordTransform, StreamMap

from singer_http.delivery.delivery import Delivery
from singer_http.delivery.intake import DELETED_AT, Intake, is_delete
from singer_http.delivery.item import NEW, Item, Origin
from singer_http.errors import ConfigError, one_line
from singer_http.exact_json import StrangeJSON, decode
from singer_http.operations import JSON, Rejection, invalid
from singer_http.sink.base import HTTPSink

Definition = Mapping[str, Any] | None


def definitions(maps: Mapping[str, Any], source: str) -> Sequence[Definition]:
    """Those of one source stream, in the order of the SDK's `PluginMapper.stream_maps[source]`.

    The first is that of the stream itself, `None` if it has none; the others name it as their
    `__source__`.
    """
    own: Definition = None
    further = []
    for name, given in maps.items():
        definition = given if isinstance(given, Mapping) else None
        named = (definition or {}).get(MAPPER_SOURCE_OPTION)
        if not fnmatch.fnmatch(source, named or name) and source != (named or name):
            continue
        if named:
            further.append(definition)
        else:
            own = definition
    return [own, *further]


def keys_of(
    sink: type[HTTPSink],
    source: str,
    properties: Mapping[str, Any],
    declared: Sequence[str] | None,
    setting: Mapping[str, Sequence[str]],
) -> tuple[str, ...]:
    """The columns that identify the records of a stream.

    Args:
        sink: of the target stream.
        source: the source stream.
        properties: of its SCHEMA, after `stream_maps`.
        declared: its key properties.
        setting: `keys`: by target or source stream.

    Raises:
        ConfigError: there are none, or the setting names one that is not there.
    """
    if chosen := setting.get(sink.stream) or setting.get(source):
        if missing := [column for column in chosen if column not in properties]:
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


class Route:
    """One mapping of a source stream into one delivery."""

    def __init__(
        self,
        delivery: Delivery,
        intake: Intake,
        mapping: StreamMap,
        spool: Spool | None,
        *,
        asks_of_deletes: bool,
    ) -> None:
        self.delivery = delivery
        self.intake = intake
        self.spool = spool
        """Where records wait for the streams that this one depends on."""
        self.taken = False
        """A record of this run's input came."""
        plain = type(mapping) is SameRecordTransform and not mapping.flattening_enabled
        self._mapping = None if plain else mapping
        self._asks_of_deletes = asks_of_deletes

    @property
    def name(self) -> str:
        """Its name, kept with pending and rejected records."""
        return self.intake.route

    def take(self, record: JSON, line: bytes) -> None:
        """Deliver a record, or keep it on disk until what it depends on is delivered."""
        self.taken = True
        if self.spool is not None and self.spool.is_open:
            self.spool.add(self, line)
        else:
            self.deliver(record, line)

    def deliver(self, record: Any, line: bytes, origin: Origin = NEW) -> bool:
        """Map a record and add it to the delivery; `False` if `stream_maps` leaves it out."""
        if self._mapping is None and type(record) is dict:
            self.delivery.take(self.intake, record, line, origin, self.intake.version_of(record))
            return True
        version = self.intake.version_of(record) if isinstance(record, dict) else None
        try:
            mapped = self._map(record)
        except Rejection as rejection:
            self.delivery.take_invalid(self.intake, record, line, rejection, origin)
            return True
        if mapped is None:
            self.delivery.report.filtered += 1
            return False
        self.delivery.take(self.intake, mapped, line, origin, version)
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
            Rejection: it is not an object, an expression fails on it, or it is a delete that the
                map makes an upsert of without saying so.
        """
        if not isinstance(record, dict):
            raise invalid("the record is not an object")
        if self._mapping is None:
            return record
        try:
            mapped = self._mapping.transform(copy.copy(record))
        except Exception as error:  # noqa: BLE001 - expressions are the user's and raise anything
            words = one_line(str(error))
            raise invalid(f"stream_maps: {type(error).__name__}: {words}") from None
        dropped = mapped is not None and DELETED_AT not in mapped and is_delete(record)
        if dropped and self._asks_of_deletes:
            # As an upsert it would bring the record back, and its nulls could clear fields.
            raise invalid(
                f"stream_maps drop the {DELETED_AT} of a deleted row: name it in the map, as "
                f"{DELETED_AT}: {DELETED_AT} to delete the record, or as __NULL__ to send the row"
            )
        return mapped


class Spool:
    """Keeps records on disk, in order, each with its route."""

    def __init__(self, directory: Path) -> None:
        """Open no file before the first line."""
        self._directory = directory
        self._file: IO[bytes] | None = None
        self._routes: list[Route] = []
        self._numbers: dict[int, int] = {}
        self.is_open = True
        """Whether lines are kept: not once they have been read again."""

    @property
    def waits(self) -> bool:
        """Whether lines wait."""
        return self._file is not None

    def add(self, route: Route, line: bytes) -> None:
        """Keep a line."""
        if self._file is None:
            self._file = tempfile.TemporaryFile(dir=self._directory)  # noqa: SIM115 - kept open
        number = self._numbers.get(id(route))
        if number is None:
            number = self._numbers[id(route)] = len(self._routes)
            self._routes.append(route)
        self._file.write(b"%d %b\n" % (number, line.strip()))

    def read(self) -> Iterator[tuple[Route, bytes]]:
        """The lines in order; the spool is empty and closed after the last."""
        self.is_open = False
        if self._file is None:
            return
        with self._file as file:
            file.seek(0)
            for kept in file:
                number, _, line = kept.partition(b" ")
                yield self._routes[int(number)], line.rstrip(b"\n")
        self._file = None
