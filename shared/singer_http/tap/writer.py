"""Singer messages on their way out: encoded fast, written in large pieces, complete at the end."""

from __future__ import annotations

import atexit
import contextlib
import datetime
import logging
import re
import sys
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from decimal import Decimal
from typing import Any

from singer_sdk.singerlib.encoding.base import GenericSingerWriter
from singer_sdk.singerlib.messages import Message, RecordMessage
from typing_extensions import override

from singer_http import exact_json
from singer_http.files import write_whole

logger = logging.getLogger(__name__)

BUFFER_BYTES = 1 << 16
"""Bytes that are collected before they are written."""
_SURROGATE = re.compile("[\ud800-\udfff]")


def encode(value: Any) -> bytes:
    """JSON of a value, numbers digit by digit.

    What Python has beyond JSON becomes text. A number that is not finite becomes null, half of a
    surrogate pair U+FFFD: JSON has neither.
    """
    try:
        return exact_json.encode(value)
    except (TypeError, ValueError):
        return exact_json.encode(_as_json(value))


def _as_json(value: Any) -> Any:
    """The same in JSON's terms. Only for what the encoder refuses: it is slow."""
    if isinstance(value, Mapping):
        return {_as_json(str(name)): _as_json(item) for name, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_as_json(item) for item in value]
    if isinstance(value, str):
        text = _SURROGATE.sub("\ufffd", value)
        if text != value:
            _report("half of a surrogate pair was written as U+FFFD")
        return text
    if isinstance(value, Decimal) and not value.is_finite():
        _report(f"{value} was written as null: JSON has no such number")
        return None
    if value is None or isinstance(value, bool | int | float | Decimal):
        return value
    if isinstance(value, datetime.datetime | datetime.date | datetime.time):
        return value.isoformat()
    return str(value)


_reported: set[str] = set()


def _report(change: str) -> None:
    """Warn about a value that could not be written as it is, once for each kind."""
    if change not in _reported:
        _reported.add(change)
        logger.warning("A value of a record is not JSON: %s", change)


class PageWriter(GenericSingerWriter[bytes, Message]):
    """Writes messages to stdout; records are collected, everything else is written at once.

    The SDK has no hook for a writer's end. Collected records are written when a stream ends
    (`PageStream`), with the next STATE, and at the end of the process.

    Only the main thread writes. Its signal handler writes too: `guard` gives a context manager
    that delays the handler.
    """

    def __init__(self) -> None:
        """Write the rest when the process ends."""
        super().__init__()
        self.guard: Callable[[], AbstractContextManager[None]] = contextlib.nullcontext
        self._pieces: list[bytes] = []
        self._size = 0
        atexit.register(self._at_exit)

    @override
    def serialize_message(self, message: Message) -> bytes:
        return encode(message.to_dict()) + b"\n"

    @override
    def write_message(self, message: Message) -> None:
        """Write one message."""
        self.write(self.format_message(message))
        if not isinstance(message, RecordMessage):
            self.flush()

    def write(self, lines: bytes) -> None:
        """Write whole lines, each with its line break."""
        with self.guard():
            self._pieces.append(lines)
            self._size += len(lines)
            if self._size >= BUFFER_BYTES:
                self.flush()

    def flush(self) -> None:
        """Write everything that was collected.

        Raises:
            BrokenPipeError: the reader has closed the pipe.
        """
        with self.guard():
            data = b"".join(self._pieces)
            self._pieces.clear()
            self._size = 0
            if data:
                # The stdout of a test may have no buffer.
                out = getattr(sys.stdout, "buffer", None)
                if out is None:
                    sys.stdout.write(data.decode())
                else:
                    write_whole(out, data)
            sys.stdout.flush()

    def _at_exit(self) -> None:
        with contextlib.suppress(OSError, ValueError):  # stdout is closed
            self.flush()
