"""Records on disk that wait until the streams that theirs depends on have been delivered."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Generic, TypeVar

R = TypeVar("R")


class Spool(Generic[R]):
    """Keeps lines in order, each with its route."""

    def __init__(self, directory: Path) -> None:
        """Open no file before the first line."""
        self._directory = directory
        self._file: IO[bytes] | None = None
        self._routes: list[R] = []
        self._numbers: dict[int, int] = {}
        self.is_open = True
        """Whether lines are kept: not once they have been read again."""

    @property
    def waits(self) -> bool:
        """Whether lines wait."""
        return self._file is not None

    def add(self, route: R, line: bytes) -> None:
        """Keep a line."""
        if self._file is None:
            self._file = tempfile.TemporaryFile(dir=self._directory)  # noqa: SIM115 - kept open
        number = self._numbers.get(id(route))
        if number is None:
            number = self._numbers[id(route)] = len(self._routes)
            self._routes.append(route)
        self._file.write(b"%d %b\n" % (number, line.strip()))

    def read(self) -> Iterator[tuple[R, bytes]]:
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
