"""The folder of one try. It has credentials, so the try removes it; or the next one, if killed."""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

PREFIX = "singer-account-"
_LOCK = "lock"


@dataclass(frozen=True, slots=True)
class Folder:
    """A folder that only its user can read.

    Args:
        path: of the folder.
        lock: a file descriptor. While a process has it open, no other try removes the folder.
    """

    path: Path
    lock: int


@contextmanager
def folder() -> Iterator[Folder]:
    """Make the folder of a try, and remove those of tries that were killed on this machine."""
    with _one_at_a_time():
        for left in Path(tempfile.gettempdir()).glob(f"{PREFIX}*"):
            _remove_if_left(left)
        path = Path(tempfile.mkdtemp(prefix=PREFIX))
        lock = os.open(path / _LOCK, os.O_CREAT | os.O_RDWR, 0o600)
        fcntl.flock(lock, fcntl.LOCK_EX)
    try:
        yield Folder(path, lock)
    finally:
        shutil.rmtree(path)
        os.close(lock)


@contextmanager
def _one_at_a_time() -> Iterator[None]:
    """Nobody of this user makes or removes a folder now: a new one has no lock at first."""
    file = Path(tempfile.gettempdir()) / f"singer-accounts-{os.getuid()}.lock"
    number = os.open(file, os.O_CREAT | os.O_RDWR | os.O_NOFOLLOW, 0o600)
    try:
        fcntl.flock(number, fcntl.LOCK_EX)
        yield
    finally:
        os.close(number)


def _remove_if_left(path: Path) -> None:
    try:
        if path.stat().st_uid != os.getuid():
            return
        lock = os.open(path / _LOCK, os.O_CREAT | os.O_RDWR | os.O_NOFOLLOW, 0o600)
    except OSError:  # it is gone by now, or no folder of ours
        return
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return
    else:
        shutil.rmtree(path, ignore_errors=True)
    finally:
        os.close(lock)
