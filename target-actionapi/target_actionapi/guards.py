"""Guards of what cannot be taken back: when messages may go out."""

from __future__ import annotations

import datetime
import re
import threading
import zoneinfo
from dataclasses import dataclass

ACCEPTED = "hours and a time zone, like 21:00-08:00 America/Chicago"


@dataclass(frozen=True, slots=True)
class QuietHours:
    """Hours of a day in which nobody is called or texted; they may span midnight."""

    start: int
    """Minutes after midnight."""
    end: int
    """The first minute after them. The same as `start`: the whole day."""
    zone: zoneinfo.ZoneInfo

    @classmethod
    def parse(cls, text: str) -> QuietHours:
        """From text like `21:00-08:00 America/Chicago`.

        Raises:
            ValueError: it is something else; the text says what is accepted.
        """
        found = re.fullmatch(r"(\d\d?):(\d\d)\s*[-–]\s*(\d\d?):(\d\d)\s+(\S+)", text.strip())  # noqa: RUF001
        if not found:
            raise ValueError(ACCEPTED)
        start, end = _minutes(found[1], found[2]), _minutes(found[3], found[4])
        try:
            return cls(start % DAY, end % DAY, zoneinfo.ZoneInfo(found[5]))
        except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):
            message = f"{ACCEPTED}; there is no time zone {found[5]!r} here"
            raise ValueError(message) from None

    @classmethod
    def check(cls, text: str) -> None:
        """Accept no hours, or hours; else a ValueError."""
        if text.strip():
            cls.parse(text)

    def hold(self, moment: datetime.datetime) -> bool:
        """Whether a moment (with a zone) is within them."""
        local = moment.astimezone(self.zone)
        now = local.hour * 60 + local.minute
        if self.start < self.end:
            return self.start <= now < self.end
        return now >= self.start or now < self.end


class MessageGuards:
    """Quiet hours and the number of messages of a run; asked from several threads."""

    def __init__(self, quiet_hours: str, most: int) -> None:
        """Take the settings `quiet_hours` (empty for none) and `max_messages`."""
        self.most = most
        self._quiet = QuietHours.parse(quiet_hours) if quiet_hours else None
        self._lock = threading.Lock()
        self._admitted: dict[int, object] = {}

    def are_quiet(self) -> bool:
        """Whether nobody is called or texted now."""
        return self._quiet is not None and self._quiet.hold(datetime.datetime.now(datetime.UTC))

    def admit(self, message: object) -> bool:
        """Count a message; False if it would be one too many. A message counts once."""
        with self._lock:
            if id(message) in self._admitted:
                return True
            if len(self._admitted) >= self.most:
                return False
            self._admitted[id(message)] = message
            return True


DAY = 24 * 60


def _minutes(hours: str, minutes: str) -> int:
    total = int(hours) * 60 + int(minutes)
    if int(minutes) >= 60 or total > DAY:
        message = f"{ACCEPTED}; there is no {hours}:{minutes} on a clock"
        raise ValueError(message)
    return total
