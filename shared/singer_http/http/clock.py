"""The machine's clocks: one that cannot be set, and the wall clock."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final


@dataclass(frozen=True)
class Clock:
    """How time passes."""

    boot: bytes
    """16 bytes: within which `steady` can be compared."""
    steady: Callable[[], float]
    """Seconds of a clock that cannot be set, and that counts while the machine is suspended."""
    wall: Callable[[], float]
    """Seconds since 1970; it can be set."""


def _system_clock() -> Clock:
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().replace("-", "")
        return Clock(
            bytes.fromhex(boot), lambda: time.clock_gettime(time.CLOCK_BOOTTIME), time.time
        )
    except (OSError, ValueError, AttributeError):
        return Clock(os.urandom(16), time.monotonic, time.time)  # no two processes can compare


CLOCK: Final = _system_clock()
