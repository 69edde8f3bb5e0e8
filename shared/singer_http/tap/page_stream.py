"""Writing records a page at a time: the one place that reaches into the SDK.

`Stream._sync_records` takes 60 µs for a record: it reads the record twice for selection and types,
and makes a child context, a message object, a flush and a clock reading for each. Here a page is
selected, encoded and written at once. What the SDK does besides is kept: selection, undeclared
properties dropped and reported, stream maps, flattening, BATCH, metrics, bookmarks, STATE and
`--test`.

`PRIVATE` lists the private parts of the SDK that are used here. A test fails when they change.
"""

from __future__ import annotations

import abc
import logging
import sys
import time
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

from singer_sdk.helpers._catalog import pop_deselected_record_properties
from singer_sdk.helpers._util import utc_now
from singer_sdk.mapper import SameRecordTransform
from singer_sdk.singerlib.catalog import REPLICATION_FULL_TABLE, REPLICATION_INCREMENTAL
from singer_sdk.streams.core import Stream
from typing_extensions import override

from singer_http.errors import SingerHTTPError
from singer_http.tap.selection import RecordSelector
from singer_http.tap.writer import encode

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence

    from singer_sdk.helpers._batch import BatchConfig
    from singer_sdk.helpers.types import Context
    from singer_sdk.mapper import StreamMap

    from singer_http.tap.tap import HTTPTap

Record = dict[str, Any]

PRIVATE = (
    Stream.sync,
    Stream._sync_records,
    Stream._sync_batches,
    Stream._process_record,
    Stream._write_record_message,
    Stream._generate_record_messages,
    Stream._write_schema_message,
    Stream._write_activate_version_message,
    Stream._write_starting_replication_value,
    Stream._increment_stream_state,
    Stream._write_state_message,
    Stream._finalize_state,
    Stream._check_max_record_limit,
    pop_deselected_record_properties,
)
"""What this module replaces or calls."""

STATE_SECONDS = 10.0
"""A changed bookmark is written at least this often: an interrupted run resumes there."""


class PageStream(Stream):
    """A stream that reads pages of records, and writes each at once."""

    _tap: HTTPTap
    _output: _Output | None = None

    @override
    def log(self, message: str, *args: Any, level: int = logging.INFO, **kwargs: Any) -> None:
        # The command logs the reason in one line; the SDK's line before it adds nothing.
        if level == logging.ERROR and isinstance(sys.exception(), SingerHTTPError):
            level = logging.DEBUG
        super().log(message, *args, level=level, **kwargs)

    @abc.abstractmethod
    def pages(self, context: Context | None) -> Iterator[list[Record]]:
        """Read the records, page by page."""

    def pages_of_parents(self, parents: Sequence[Record]) -> Iterator[list[Record]]:
        """Read the records that belong to records of the parent stream (child streams only)."""
        raise NotImplementedError

    needs_all_parents = False
    """Whether a child stream reads the records of parents that are not written (`wanted`)."""

    def wanted(self, records: list[Record]) -> list[Record]:
        """The records of a page that are written; the others are only read for their children."""
        return records

    def bookmark(self, records: list[Record]) -> None:
        """Move the bookmark past records that were written."""
        if self.replication_method == REPLICATION_INCREMENTAL and self.replication_key:
            key = self.replication_key
            dated = [record for record in records if record.get(key) is not None]
            if dated:
                self._increment_stream_state(max(dated, key=lambda record: record[key]))

    @override
    def get_records(self, context: Context | None) -> Iterable[Record]:
        for page in self.pages(context):
            yield from page

    @override
    def _sync_records(
        self, context: Context | None = None, *, write_messages: bool = True
    ) -> Generator[Record, Any, Any]:
        self._write_starting_replication_value(context)
        try:
            with ExitStack() as stack:
                self._open(stack, announce=False)
                for page in self.pages(context):
                    if write_messages:
                        self._write(page)
                    else:
                        yield from self._batched(page)
        finally:
            self._tap.flush()
        self._finalize_state(self.stream_state)
        if write_messages:
            self._write_state_message()

    @override
    def _sync_batches(self, batch_config: BatchConfig, context: Context | None = None) -> None:
        with self._tap.batching():
            super()._sync_batches(batch_config, context)

    def _open(self, stack: ExitStack, *, announce: bool) -> None:
        """Prepare to write this stream and its children."""
        self._output = None
        if self.selected:
            if announce:
                self._announce()
            self._output = stack.enter_context(_Output(self))
        for child in self._children():
            child._open(stack, announce=True)

    def _announce(self) -> None:
        """Write what `Stream.sync` writes before the first record (a child is never synced)."""
        self._write_schema_message()
        full = self.replication_method == REPLICATION_FULL_TABLE
        if full and self.emit_activate_version_messages:
            self._stream_version = self._initialized_at // 1000
            self._write_activate_version_message(self._stream_version)

    def _children(self) -> list[PageStream]:
        return [
            child
            for child in self.child_streams
            if isinstance(child, PageStream) and (child.selected or child.has_selected_descendents)
        ]

    def _write(self, page: list[Record]) -> None:
        """Write a page, then the children of its records."""
        if self.ABORT_AT_RECORD_COUNT is None:
            self._write_records(page)
            return
        for record in page:
            count = self._output.count if self._output else 0
            if self.parent_stream_type and count >= self.ABORT_AT_RECORD_COUNT:
                return
            self._check_max_record_limit(count)
            self._write_records([record])

    def _write_records(self, page: list[Record]) -> None:
        records = self._processed(page)
        wanted = self.wanted(records)
        if self._output and wanted:
            # A signal waits until the bookmark fits the records.
            with self._tap.uninterrupted():
                self._output.write(wanted)
                self.bookmark(wanted)
                self.state_manager.is_flushed = False
                if self._output.state_is_due:
                    self._write_state_message()
        self._write_children(records, wanted)

    def _write_children(self, records: list[Record], wanted: list[Record]) -> None:
        for child in self._children():
            parents = records if child.needs_all_parents else wanted
            for children in child.pages_of_parents(self._unfiltered(parents)):
                child._write(children)
                if child._enough:
                    break

    @property
    def _enough(self) -> bool:
        """Whether a test run has enough records of this stream."""
        limit = self.ABORT_AT_RECORD_COUNT
        return limit is not None and self._output is not None and self._output.count >= limit

    def _processed(self, page: list[Record]) -> list[Record]:
        if type(self).post_process is Stream.post_process:
            return page
        records = (self.post_process(record, None) for record in page)
        return [record for record in records if record is not None]

    def _unfiltered(self, parents: list[Record]) -> list[Record]:
        """Those that the stream map lets through, as in the SDK."""
        primary = self.stream_maps[0]
        if isinstance(primary, SameRecordTransform):
            return parents
        return [record for record in parents if primary.get_filter_result(record)]

    def _batched(self, page: list[Record]) -> Iterator[Record]:
        """The records of a page for a BATCH file; children are written as records."""
        records = self._processed(page)
        wanted = self.wanted(records)
        if self._output:
            for record in self._output.cut(wanted):
                self._output.count_records(1)
                yield record
            self.bookmark(wanted)
        self._write_children(records, wanted)


def _is_identity(stream_map: StreamMap) -> bool:
    """Whether a stream map leaves records as they are."""
    return type(stream_map) is SameRecordTransform and not stream_map.flattening_enabled


class _Output:
    """Writes the records of one stream, from its first page to its last."""

    def __init__(self, stream: PageStream) -> None:
        self._stream = stream
        self._selector = RecordSelector(stream.effective_schema, stream.mask)
        self._reported: set[str] = set()
        self._mappings = [
            (
                b'{"type":"RECORD","stream":' + encode(stream_map.stream_alias) + b',"record":',
                None if _is_identity(stream_map) else stream_map.transform,
            )
            for stream_map in stream.stream_maps
        ]
        self.count = 0
        self._count_at_state, self._time_of_state = 0, time.monotonic()
        self._stack = ExitStack()

    def __enter__(self) -> _Output:
        self._counter = self._stack.enter_context(self._stream.get_record_counter())
        self._stack.enter_context(self._stream.get_sync_timer())
        return self

    def __exit__(self, *error: Any) -> None:
        if error[0] is None:
            self._stream._tap.report.add(self._stream.name, 0)  # read to its end, also if empty
        self._stack.__exit__(*error)

    @property
    def state_is_due(self) -> bool:
        """Whether a STATE message is due; true once for each."""
        now = time.monotonic()
        due = (
            self.count - self._count_at_state >= self._stream.STATE_MSG_FREQUENCY
            or now - self._time_of_state >= STATE_SECONDS
        )
        if due:
            self._count_at_state, self._time_of_state = self.count, now
        return due

    def cut(self, records: list[Record]) -> list[Record]:
        """Drop what is not selected, and report what is not declared."""
        cut = [self._selector.cut(record) for record in records]
        if new := self._selector.unknown - self._reported:
            self._reported |= new
            self._stream.logger.warning(
                "Properties %s were present in the '%s' stream but not found in catalog schema. "
                "Ignoring.",
                tuple(sorted(new)),
                self._stream.name,
            )
        return cut

    def count_records(self, number: int) -> None:
        """Count records."""
        self.count += number
        self._counter.increment(number)
        self._stream._tap.report.add(self._stream.name, number)

    def write(self, records: list[Record]) -> None:
        """Write records, each as the stream maps turn it out."""
        suffix = self._suffix()
        lines: list[bytes] = []
        for record in self.cut(records):
            for prefix, transform in self._mappings:
                out = transform(record) if transform else record
                if out is not None:
                    lines += (prefix, encode(out), suffix)
        self._stream._tap.write(b"".join(lines))
        self.count_records(len(records))

    def _suffix(self) -> bytes:
        """The end of each RECORD line of a page; the page was extracted at one moment."""
        tail: Mapping[str, Any] = {"time_extracted": utc_now()}
        if self._stream._stream_version is not None:
            tail = {"version": self._stream._stream_version, **tail}
        return b"," + encode(tail)[1:] + b"\n"
