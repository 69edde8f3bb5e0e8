"""What can go wrong, named by what to do next.

SingerHTTPError
├── StopRun               the run cannot go on: one clear line, exit code 1
│   ├── ConfigError       change a setting
│   │   └── NoDatabase    the database cannot be opened: check `database_url`
│   │       └── DatabaseUnreachable   it takes no connection now: run again
│   ├── DatabaseLost      the connection broke, or a lock was held for too long: run again
│   ├── AlreadyRunning    another run of this sync is under way: wait for it
│   ├── BrokenInput       the tap's output ends in the middle, or something else wrote into it
│   ├── BadCredentials    change the key, or ask the vendor for the right
│   ├── RetryLater        run again at the time that it names
│   ├── VendorDown        run again when the vendor is back
│   ├── Incomplete        not everything could be read: run again, or check the paging settings
│   ├── RequestRejected   the request is wrong, not the row: check the address settings
│   └── Cancelled         nothing: the run is being ended from outside
├── Refused               the vendor said no to this row: reject it
│   └── NotFound          the vendor does not have it (404, 410)
└── Uncertain             it may have been carried out: look it up, or ask a person

Interrupted (SystemExit)  SIGTERM or SIGINT: exit code 143 or 130
"""

from __future__ import annotations

import enum
from typing import TYPE_CHECKING, Any

from singer_http.redaction import redact

if TYPE_CHECKING:
    from datetime import datetime

REASON_LENGTH = 300
"""The most characters that are kept of a vendor's reason."""


class SingerHTTPError(Exception):
    """Any error of this package."""

    nothing_was_done: bool = False
    """The vendor certainly did not carry out the request. The default is that it may have.

    Four things prove it: a refused connection, a 429, a 4xx in the vendor's own format, an error
    before the request left. The client sets it; nothing is inferred from an error's class.
    """
    needs_person: bool = False
    """No later run can get further until somebody changes something. Each class says so itself.

    Where a later run may succeed it is false: a scheduler's useless retry costs less than a retry
    that is not made.
    """
    retry_at: datetime | None = None
    """The moment (UTC) before which a retry is useless; `None` if nobody named one."""


class StopRun(SingerHTTPError):
    """The run cannot go on. The text is one line for the user: what happened and what to do."""

    needs_person = True  # a threshold, a message that no Singer tap writes, a full disk


class ConfigError(StopRun):
    """A setting is missing or wrong; the text names it and what it accepts."""

    needs_person = True


class NoDatabase(ConfigError):
    """The database cannot be opened; the text says why."""

    needs_person = True


class DatabaseUnreachable(NoDatabase):
    """The database takes no connection now: it is starting, full of connections, or away."""

    needs_person = False


class DatabaseLost(StopRun):
    """The connection to the database broke, or another process held a lock for too long."""

    needs_person = False


class AlreadyRunning(StopRun):
    """Another run of this account and sync is under way."""

    needs_person = False


class BrokenInput(StopRun):
    """The input is cut off or damaged: the tap may have been killed while it wrote."""

    needs_person = False


class BadCredentials(StopRun):
    """The vendor does not accept the credentials, or they lack a right."""

    needs_person = True


class RetryLater(StopRun):
    """The vendor asks for a longer pause than `max_wait`, or the run's own limit needs one."""

    needs_person = False
    retry_at: datetime

    def __init__(self, message: str, until: datetime) -> None:
        """Keep the moment (UTC) from which the vendor takes requests again."""
        super().__init__(message)
        self.retry_at = until


class VendorDown(StopRun):
    """No usable answer after `max_retries` further tries."""

    needs_person = False


class Incomplete(StopRun):
    """The vendor has more than it gave: the text names what to check if it stays so."""

    needs_person = False


class RequestRejected(StopRun):
    """The vendor refuses the request whatever the row: address, method or format is wrong."""

    needs_person = True


class Cancelled(StopRun):
    """The run is being ended; the request was not sent (again)."""

    needs_person = False


class Refused(SingerHTTPError):
    """The vendor said no to what was sent: a 4xx that is about the row."""

    def __init__(
        self, status: int, reason: str, data: Any = None, *, nothing_was_done: bool = False
    ) -> None:
        """Keep the HTTP status, the vendor's words (one line) and the parsed body.

        `nothing_was_done`: the answer is a clear no in the vendor's own form, whatever its status.
        """
        super().__init__(f"{status}: {reason}" if reason else str(status))
        self.nothing_was_done = nothing_was_done
        self.status = status
        self.reason = reason
        self.data = data


class NotFound(Refused):
    """The vendor does not have it (404 or 410)."""


class Uncertain(SingerHTTPError):
    """A request that must not be sent twice got no answer, or a 5xx: it may have been done."""

    def __init__(
        self, status: int | None, reason: str, attempts: int, *, still_running: bool = False
    ) -> None:
        """Keep the HTTP status (None: no answer), a reason (one line) and the tries made.

        `still_running`: no answer came in time, so the vendor may still be carrying it out. It is
        False after a connection that broke, and after a 5xx that is no gateway's timeout.
        """
        super().__init__(reason)
        self.still_running = still_running
        self.status = status
        self.reason = reason
        self.attempts = attempts


class Interrupted(SystemExit):
    """A signal ends the run at a safe point. The exit code is 128 + its number."""

    def __init__(self, signum: int) -> None:
        """Keep the signal's number."""
        super().__init__(128 + signum)
        self.signum = signum


class Action(enum.Enum):
    """What the client does next, after an answer with a status."""

    TAKE = "take the answer"
    RENEW = "renew the credentials once, then BadCredentials"
    FORBIDDEN = "BadCredentials"
    NOT_FOUND = "NotFound"
    REFUSE = "Refused"
    WAIT = "wait and try again, whatever the effect: nothing was done"
    UNSURE = "may have been done: try again if that is harmless, else Uncertain"
    REQUEST_REJECTED = "RequestRejected"


ACTIONS: tuple[tuple[range, Action], ...] = (
    (range(200, 300), Action.TAKE),
    (range(300, 400), Action.REQUEST_REJECTED),
    (range(401, 402), Action.RENEW),
    (range(402, 404), Action.FORBIDDEN),  # 402: the account's plan does not cover it
    (range(404, 405), Action.NOT_FOUND),
    (range(405, 408), Action.REQUEST_REJECTED),  # method, format, proxy
    (range(408, 409), Action.UNSURE),  # the server gave up waiting for the request
    (range(410, 411), Action.NOT_FOUND),
    (range(411, 412), Action.REQUEST_REJECTED),  # length required
    (range(415, 416), Action.REQUEST_REJECTED),  # media type
    (range(421, 422), Action.REQUEST_REJECTED),
    (range(425, 426), Action.WAIT),
    (range(426, 427), Action.REQUEST_REJECTED),  # upgrade required
    (range(429, 430), Action.WAIT),
    (range(400, 500), Action.REFUSE),
    (range(500, 600), Action.UNSURE),
)
"""Status → action; the first line that fits counts. The one place that says so."""


def action_of(status: int) -> Action:
    """What to do about an answer with this HTTP status."""
    return next((action for codes, action in ACTIONS if status in codes), Action.REQUEST_REJECTED)


def one_line(text: str, length: int = REASON_LENGTH) -> str:
    """The text without secrets and line breaks, cut to a length in characters."""
    # Redacted first: a secret that the cut halves would not be known any more.
    line = " ".join(redact(text).split())
    return line if len(line) <= length else line[: length - 1] + "…"


def reason_of(data: Any) -> str:
    """The vendor's words in an error body (parsed JSON, or text), as one redacted line."""
    words = list(dict.fromkeys(_words(data)))
    return one_line("; ".join(words))


_REASONS = (
    ("errors",),
    ("error_description", "detail", "message", "title", "msg", "reason"),
    ("error",),
)
"""Where APIs put their reasons: all of these that there are, of each the first name."""


def _words(data: Any) -> list[str]:
    """Whatever in a body reads like a reason, in the forms that HTTP APIs use."""
    if isinstance(data, str):
        return [data] if data.strip() else []
    if isinstance(data, list):
        return [word for item in data for word in _words(item)]
    if not isinstance(data, dict):
        return []
    found: list[str] = []
    for names in _REASONS:
        said = (_words(data.get(name)) for name in names)
        found += next((words for words in said if words), [])
    if found:
        return found
    # A map of field → {"message"}, a list of texts, or a text.
    return [
        f"{field}: {'; '.join(words)}" for field, value in data.items() if (words := _words(value))
    ]
