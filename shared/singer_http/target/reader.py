"""Singer messages from bytes: one clear line for what is not one, never the line itself."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Callable, Iterator
from typing import IO, Any

import msgspec
from singer_sdk.singerlib.encoding import GenericSingerReader
from typing_extensions import override

from singer_http.errors import StopRun
from singer_http.sink.columns import number

CHUNK = 256 * 1024
"""Bytes read at once, at most."""


class LineReader(GenericSingerReader[bytes]):
    """Reads messages and keeps the line that is being processed."""

    def __init__(self) -> None:
        """Read nothing yet."""
        super().__init__()
        self.line = b""
        """The message being processed, as it came."""
        self.number = 0
        """Its line number, from 1."""
        self.waiting = False
        """The process is waiting for input: a signal may end it right here."""
        self._decode = msgspec.json.Decoder(float_hook=number).decode

    @property
    @override
    def default_input(self) -> IO[bytes]:
        return sys.stdin.buffer

    @override
    def deserialize_json(self, line: bytes) -> dict[str, Any]:
        try:
            message = self._decode(line)
        except msgspec.DecodeError as error:
            raise StopRun(
                f"Line {self.number} of the input is not JSON ({error}): is something else "
                "writing to the tap's standard output?"
            ) from None
        if not isinstance(message, dict) or not isinstance(message.get("type"), str):
            raise StopRun(
                f"Line {self.number} of the input is not a Singer message: it has no type."
            )
        return message

    @override
    def process_lines(
        self,
        file_input: IO[bytes] | None,
        callbacks: dict[str, Callable[[dict[str, Any]], None]],
    ) -> Counter[str]:
        counts: dict[str, int] = {}
        for line in self._lines(file_input or self.default_input):
            self.number += 1
            if not line or line.isspace():
                continue
            self.line = line
            message = self.deserialize_json(line)
            kind = message["type"]
            callback = callbacks.get(kind)
            if callback is None:
                raise StopRun(
                    f"Line {self.number} of the input is of the unknown type {kind!r}: Singer "
                    f"knows {', '.join(callbacks)}."
                )
            callback(message)
            counts[kind] = counts.get(kind, 0) + 1
        return Counter(counts)

    def _lines(self, file: IO[bytes]) -> Iterator[bytes]:
        """The lines, without their ends."""
        read = getattr(file, "read1", file.read)
        rest = b""
        while True:
            self.waiting = True
            chunk = read(CHUNK)
            self.waiting = False
            if not chunk:
                break
            *lines, rest = (rest + chunk).split(b"\n")
            yield from lines
        if rest:
            yield rest
