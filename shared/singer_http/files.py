"""Files of `work_dir`: written whole or not at all, readable by their owner only."""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Iterable
from pathlib import Path


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
