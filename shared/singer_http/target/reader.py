"""Singer messages from bytes: one clear line for what is not one, never the line itself."""

from __future__ import annotations

import gzip
import sys
import zlib
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from typing import IO, Any, NamedTuple

import msgspec
from singer_sdk.helpers._batch import StorageTarget
from singer_sdk.singerlib.encoding import GenericSingerReader
from typing_extensions import override

from singer_http.errors import BrokenInput, StopRun
from singer_http.exact_json import NotJSON, StrangeJSON, decode, encode

CHUNK = 256 * 1024
"""Bytes read at once, at most."""


class LineReader(GenericSingerReader[bytes]):
    """Reads messages and keeps the line that is being processed."""

    def __init__(self) -> None:
        """Read nothing yet."""
        super().__init__()
        self.line = b""
        """The message being processed, as it was read."""
        self.number = 0
        """Its line number, from 1."""
        self.problem: str | None = None
        """Why only a tolerant reader understands it."""
        self.waiting = False
        """The process is waiting for input: a signal may end it right here."""

    @property
    @override
    def default_input(self) -> IO[bytes]:
        return sys.stdin.buffer

    @override
    def deserialize_json(self, line: bytes) -> dict[str, Any]:
        self.problem = None
        try:
            message = decode(line)
        except StrangeJSON as strange:
            message, self.problem = strange.value, strange.problem
        except NotJSON as error:
            raise BrokenInput(
                f"Line {self.number} of the input is not JSON ({error}): is something else "
                "writing to the tap's standard output?"
            ) from None
        if not isinstance(message, dict) or not isinstance(message.get("type"), str):
            raise StopRun(
                f"Line {self.number} of the input is not a Singer message: it has no type."
            )
        if self.problem and message["type"] != "RECORD":
            raise StopRun(
                f"Line {self.number} of the input, a {message['type'][:20]}, is not strict JSON: "
                f"{self.problem}."
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
                    f"Line {self.number} of the input is of the unknown type {kind[:40]!r}: Singer "
                    f"knows {', '.join(callbacks)}."
                )
            callback(message)
            counts[kind] = counts.get(kind, 0) + 1
        return Counter(counts)

    def _lines(self, file: IO[bytes]) -> Iterator[bytes]:
        """The lines, without their ends."""
        read = getattr(file, "read1", file.read)
        pieces: list[bytes] = []
        while True:
            self.waiting = True
            chunk = read(CHUNK)
            self.waiting = False
            if not chunk:
                break
            first, *lines = chunk.split(b"\n")
            pieces.append(first)
            if lines:
                yield b"".join(pieces)
                pieces = [lines.pop()]
                yield from lines
        if rest := b"".join(pieces):
            yield rest


class _State(msgspec.Struct):
    value: msgspec.Raw


_decode_state = msgspec.json.Decoder(_State).decode


def state_value(line: bytes) -> bytes | None:
    """The value of a STATE message, byte for byte; `None` if it has none."""
    try:
        return bytes(_decode_state(line).value).strip()
    except msgspec.DecodeError:
        return None


class BatchRecord(NamedTuple):
    """A record of a BATCH message's file."""

    value: Any
    problem: str | None
    """Why it must be rejected, though it can be read."""
    line: bytes
    """As a RECORD message."""


def read_batch(message: Mapping[str, Any], number: int) -> Iterator[BatchRecord]:
    """The records of a BATCH message's files (jsonl, gzip or plain).

    Args:
        message: the BATCH message.
        number: of its line in the input.

    Raises:
        StopRun: another encoding, or a file that cannot be read, or is not JSON.
    """
    head = b'{"type":"RECORD","stream":' + encode(message.get("stream")) + b',"record":'
    for text in _texts(message, number):
        try:
            value, problem = decode(text), None
        except StrangeJSON as strange:
            value, problem = strange.value, strange.problem
        except ValueError as error:
            raise BrokenInput(
                f"Line {number}: a file of the BATCH holds what is not JSON ({error})."
            ) from None
        yield BatchRecord(value, problem, head + text.strip() + b"}")


def _texts(message: Mapping[str, Any], number: int) -> Iterator[bytes]:
    """The records of a BATCH message's files, one JSON text each; arguments as in `read_batch`.

    Raises:
        StopRun: another encoding, or a file that cannot be read.
    """
    encoding, paths = message.get("encoding") or {}, message.get("manifest")
    if not isinstance(encoding, dict):
        raise StopRun(f"Line {number}: the 'encoding' of the BATCH is not an object.")
    if not isinstance(paths, list) or not all(isinstance(path, str) for path in paths):
        raise StopRun(f"Line {number}: the 'manifest' of the BATCH is not a list of addresses.")
    if encoding.get("format") != "jsonl":
        raise StopRun(f"A BATCH of format {encoding.get('format')!r} came; only jsonl is read.")
    compression = encoding.get("compression")
    if compression not in (None, "none", "gzip"):
        raise StopRun(f"A BATCH with compression {compression!r} came; only gzip is read.")
    for path in paths:
        try:
            head, tail = StorageTarget.split_url(path)
            with (
                StorageTarget.from_url(head).open(tail, mode="rb") as raw,
                gzip.open(raw) if compression == "gzip" else raw as lines,
            ):
                yield from (line for line in lines if line.strip())
                if compression == "gzip" and not raw.tell():
                    raise EOFError("it is empty, which no gzip file is")
        except (OSError, EOFError, zlib.error, ValueError) as error:
            words = str(error) or type(error).__name__
            raise BrokenInput(
                f"The BATCH file {path} cannot be read ({words}): it is cut off or damaged; run "
                "the tap again."
            ) from None
        except ImportError as error:
            raise StopRun(f"The BATCH file {path} cannot be read: {error}.") from None
