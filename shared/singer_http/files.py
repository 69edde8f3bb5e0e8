"""Files of `work_dir`: written whole or not at all, readable by their owner only; and stdout."""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import IO


def write_whole(file: IO[bytes], content: bytes) -> None:
    """Write all bytes to a stream.

    With PYTHONUNBUFFERED, as many container images have it, `sys.stdout.buffer` has no buffer: a
    signal in a write to a full pipe makes it write a part only, and say so.
    """
    rest = memoryview(content)
    while rest:
        rest = rest[file.write(rest) or 0 :]


def atomic_write(path: Path, content: bytes | Iterable[bytes], *, durable: bool = False) -> None:
    """Write a file beside its place and rename it there; nothing is left behind on an error.

    Args:
        path: where it ends up; its folder must exist.
        content: bytes, or pieces of them.
        durable: have it on the disk before the rename.

    Raises:
        OSError: it cannot be written; what was there before still is.
    """
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    temporary = Path(name)
    try:
        with os.fdopen(descriptor, "wb") as file:
            for piece in (content,) if isinstance(content, bytes) else content:
                file.write(piece)
            if durable:
                file.flush()
                os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException:
        with contextlib.suppress(OSError):
            temporary.unlink()
        raise
