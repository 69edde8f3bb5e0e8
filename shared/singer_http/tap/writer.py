"""Singer messages on their way out: encoded fast, written in large pieces, complete at the end."""

from __future__ import annotations

import atexit
import contextlib
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager
from decimal import Decimal
from typing import Any

import orjson
from singer_sdk.singerlib.encoding.base import GenericSingerWriter
from singer_sdk.singerlib.json import serialize_json
from singer_sdk.singerlib.messages import Message, RecordMessage
from typing_extensions import override

PIECE = 1 << 16
"""Bytes that are collected before they are written."""


def encode(value: Any) -> bytes:
    """JSON of a value, with what Python has beyond JSON: dates as text, Decimals as numbers."""
    try:
        return orjson.dumps(value, default=_plain)
    except TypeError:
        # Integers beyond 64 bits, halves of emoji.
        return serialize_json(value).encode("utf-8", "replace")


def _plain(value: Any) -> Any:
    if isinstance(value, Decimal):
        return int(value) if value == value.to_integral_value() else float(value)
    return str(value)


class PageWriter(GenericSingerWriter[bytes, Message]):
    """Writes messages to stdout; records are collected, everything else goes out at once.

    The SDK has no hook for a writer's end. What is collected goes out when a page's reader ends
    (`HTTPStream`), with the next STATE, and at the process' end, however that comes about.

    Used by the main thread alone, whose signal handler writes too: `guard` gives a context manager
    that keeps it out meanwhile.
    """

    def __init__(self) -> None:
        """Have the rest written when the process ends."""
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
            if self._size >= PIECE:
                self.flush()

    def flush(self) -> None:
        """Have everything written so far read by whoever reads.

        Raises:
            BrokenPipeError: nobody reads any more.
        """
        with self.guard():
            data = b"".join(self._pieces)
            self._pieces.clear()
            self._size = 0
            if data:
                # A test's stdout may be text only.
                out = getattr(sys.stdout, "buffer", None)
                if out is None:
                    sys.stdout.write(data.decode())
                else:
                    out.write(data)
            sys.stdout.flush()

    def _at_exit(self) -> None:
        with contextlib.suppress(OSError, ValueError):  # closed: nobody to tell
            self.flush()
