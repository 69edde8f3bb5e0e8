"""What arrived and when: the request log, counts, rates, and who was in flight with whom."""

from __future__ import annotations

import re
import time
from array import array
from bisect import bisect_right
from collections import Counter, deque
from collections.abc import Mapping, Sequence
from typing import Any

import orjson

from singer_sandbox.messages import Header, Reply

LOG_ENTRIES = 100_000
BODY_LIMIT = 64 * 1024
ANSWER_LIMIT = 4 * 1024 * 1024
BODIES_LIMIT = 128 * 1024 * 1024
"""Bytes of bodies kept in all, and of answers; beyond it the oldest lose theirs."""

NUMBERS = re.compile(rb'"(?:[^"\\]|\\.)*"|(-?\d[\d.eE+-]*)')
"""Texts, which are passed over, and the numbers of a JSON body as they are written."""

REQUEST_HEADERS = (b"version", b"content-type")
"""What is kept of a request whose answer is kept."""
SECRET_FIELDS = frozenset({"client_secret", "api_key", "api-key", "access_token"})
MASK = "***"


def masked(value: Any) -> Any:
    """A copy without secrets."""
    if isinstance(value, dict):
        return {k: MASK if k in SECRET_FIELDS else masked(v) for k, v in value.items()}
    if isinstance(value, list):
        if value and isinstance(value[0], dict) and value[0].keys() == {"key"}:
            return [{"key": MASK}, *masked(value[1:])]  # a call to Merlin
        return [masked(item) for item in value]
    return value


def shown_headers(headers: Sequence[Header]) -> dict[str, str]:
    """Headers as an object."""
    return {name.decode("latin-1"): value.decode("latin-1") for name, value in headers}


def most_in(times: Sequence[float], window: float) -> int:
    """The most of these moments, which are in order, in any window of so many seconds."""
    most = 0
    for index, at in enumerate(times):
        most = max(most, index + 1 - bisect_right(times, at - window))
    return most


class Answer:
    """What a vendor answered."""

    __slots__ = ("body", "headers", "status")

    def __init__(self, answer: Reply) -> None:
        self.status = answer.status
        self.headers = shown_headers(answer.headers)
        self.body = answer.body

    def as_json(self) -> Mapping[str, Any]:
        """The answer as the control API shows it; `body` is null when it is no JSON."""
        try:
            body = masked(orjson.loads(self.body))
        except orjson.JSONDecodeError:
            body = None
        return {"status": self.status, "headers": self.headers, "body": body}


class Entry:
    """One request, from its arrival to its answer."""

    __slots__ = (
        "account",
        "agent",
        "answer",
        "asked",
        "at",
        "auth",
        "body",
        "done",
        "identities",
        "items",
        "method",
        "path",
        "query",
        "size",
        "status",
        "template",
        "vendor",
        "write",
    )

    def __init__(self, vendor: str, method: str, path: str, template: str, query: str) -> None:
        self.at = time.time()
        self.vendor = vendor
        self.method = method
        self.path = path
        self.template = template
        self.query = query
        self.account: str | None = None
        self.status: int | None = None
        self.done: float | None = None
        self.items = 0
        self.size = 0
        self.body: bytes | None = None
        self.agent = ""
        self.auth: str | None = None
        self.asked: dict[str, str] | None = None
        """Headers of the request that an API's document names, where its answers are kept."""
        self.answer: Answer | None = None
        self.identities: Sequence[str] = ()
        self.write = False

    def read_headers(self, headers: list[Header]) -> None:
        """Keep who called and with what kind of credential, never the credential."""
        for name, value in headers:
            if name == b"user-agent":
                self.agent = value.decode("latin-1")
            elif name == b"authorization":
                self.auth = f"{value.split(b' ', 1)[0].decode('latin-1')} {MASK}"
            elif name == b"api-key":
                self.auth = f"api-key {MASK}"

    def keep_headers(self, headers: list[Header]) -> None:
        """Keep what is compared with an API's document, beside the answer."""
        self.asked = shown_headers([h for h in headers if h[0] in REQUEST_HEADERS])

    def numbers(self) -> list[str]:
        """The numbers of the body as they were written: parsed, long ones would be rounded."""
        return [number.decode() for number in NUMBERS.findall(self.body or b"") if number]

    def as_json(self, *, with_answer: bool = True) -> dict[str, Any]:
        """The entry as the control API shows it; the body parsed, secrets masked."""
        body: Any = None
        if self.body is not None:
            try:
                body = masked(orjson.loads(self.body))
            except orjson.JSONDecodeError:
                body = {"not_json_bytes": self.size}
        elif self.size:
            body = {"omitted_bytes": self.size}
        return {
            "at": self.at,
            "done": self.done,
            "vendor": self.vendor,
            "account": self.account,
            "method": self.method,
            "path": self.path,
            "template": self.template,
            "query": self.query,
            "status": self.status,
            "items": self.items,
            "user_agent": self.agent,
            "authorization": self.auth,
            "body": body,
            "numbers": self.numbers(),
            **(self.exchange() if with_answer else {}),
        }

    def exchange(self) -> dict[str, Any]:
        """The vendor's own answer, where answers are kept; null when a fault came before it."""
        if self.asked is None:
            return {}
        return {"headers": self.asked, "answer": self.answer and self.answer.as_json()}


class Journal:
    """The log of all vendors; a status of None is still in flight, 0 a dropped connection."""

    def __init__(self) -> None:
        self.enabled = True
        self.bodies = True
        self.clear()

    def clear(self) -> None:
        """Forget everything and log as usual again; requests in flight stay counted."""
        self.enabled = True
        self.bodies = True
        self.log: deque[Entry] = deque(maxlen=LOG_ENTRIES)
        self.counts: Counter[tuple[str, str, str, int]] = Counter()
        self.arrivals: dict[str, array[float]] = {}
        self.by_account: dict[tuple[str, str], array[float]] = {}
        """Vendor, account → when its requests arrived, those without credentials left out."""
        self.in_flight: Counter[str] = Counter()
        self.most: Counter[str] = Counter()
        self.busy: dict[tuple[str, str], int] = {}
        self.busy_writes: dict[tuple[str, str], int] = {}
        self.most_same: dict[str, tuple[int, str]] = {}
        self.most_same_writes: dict[str, tuple[int, str]] = {}
        self._with_body: deque[Entry] = deque()
        self._body_bytes = 0
        self._with_answer: deque[Entry] = deque()
        self._answer_bytes = 0

    def arrive(self, entry: Entry, body: bytes) -> None:
        """Take an arrival in."""
        vendor = entry.vendor
        times = self.arrivals.get(vendor)
        if times is None:
            times = self.arrivals[vendor] = array("d")
        times.append(entry.at)
        self.in_flight[vendor] += 1
        self.most[vendor] = max(self.most[vendor], self.in_flight[vendor])
        if entry.identities:
            self._enter(self.busy, self.most_same, entry)
            if entry.write:
                self._enter(self.busy_writes, self.most_same_writes, entry)
        if not self.enabled:
            return
        self.log.append(entry)
        entry.size = len(body)
        if self.bodies and 0 < entry.size <= BODY_LIMIT:
            entry.body = body
            self._with_body.append(entry)
            self._body_bytes += entry.size
            while self._body_bytes > BODIES_LIMIT or len(self._with_body) > LOG_ENTRIES:
                oldest = self._with_body.popleft()
                self._body_bytes -= oldest.size
                oldest.body = None

    def belongs(self, entry: Entry, account: str) -> None:
        """Note whose request it is, once its credentials have been checked."""
        entry.account = account
        times = self.by_account.get((entry.vendor, account))
        if times is None:
            times = self.by_account[entry.vendor, account] = array("d")
        times.append(entry.at)

    def keep_answer(self, entry: Entry, answer: Reply) -> None:
        """Keep what a vendor answered; beyond the limit the oldest answers are forgotten."""
        size = len(answer.body)
        if not self.enabled or not self.bodies or size > ANSWER_LIMIT:
            return
        entry.answer = Answer(answer)
        self._with_answer.append(entry)
        self._answer_bytes += size
        while self._answer_bytes > BODIES_LIMIT:
            oldest = self._with_answer.popleft()
            if oldest.answer is not None:
                self._answer_bytes -= len(oldest.answer.body)
                oldest.answer = None

    def leave(self, entry: Entry, status: int) -> None:
        """Take the answer in, just before it is sent: what the client sends next is later."""
        entry.status = status
        entry.done = time.time()
        vendor = entry.vendor
        if self.in_flight[vendor]:  # a reset may lie between arrival and answer
            self.in_flight[vendor] -= 1
        self.counts[vendor, entry.method, entry.template, status] += 1
        if entry.identities:
            self._exit(self.busy, entry)
            if entry.write:
                self._exit(self.busy_writes, entry)

    @staticmethod
    def _enter(
        busy: dict[tuple[str, str], int], most: dict[str, tuple[int, str]], entry: Entry
    ) -> None:
        vendor = entry.vendor
        best = most.get(vendor, (0, ""))
        for identity in entry.identities:
            count = busy.get((vendor, identity), 0) + 1
            busy[vendor, identity] = count
            if count > best[0]:
                best = most[vendor] = (count, identity)

    @staticmethod
    def _exit(busy: dict[tuple[str, str], int], entry: Entry) -> None:
        for identity in entry.identities:
            key = (entry.vendor, identity)
            left = busy.get(key, 0) - 1
            if left > 0:
                busy[key] = left
            else:
                busy.pop(key, None)

    def requests(self, vendor: str | None, limit: int | None = None) -> list[dict[str, Any]]:
        """The log, oldest first."""
        found = [entry for entry in self.log if vendor in (None, entry.vendor)]
        return [entry.as_json() for entry in (found[-limit:] if limit else found)]

    def latest(self, count: int) -> list[dict[str, Any]]:
        """The newest entries, newest first, without answers or a walk through the log."""
        size = len(self.log)
        newest = (self.log[size - 1 - i] for i in range(min(count, size)))
        return [entry.as_json(with_answer=False) for entry in newest]

    def summary(self) -> dict[str, Any]:
        """Counts by vendor, method, template and status; the most that were in flight at once."""
        vendors = sorted({*self.arrivals})
        return {
            "counts": [
                {"vendor": v, "method": m, "template": t, "status": s, "count": n}
                for (v, m, t, s), n in sorted(self.counts.items())
            ],
            "requests": {v: len(self.arrivals[v]) for v in vendors},
            "in_flight": {v: self.in_flight[v] for v in vendors},
            "max_in_flight": {v: self.most[v] for v in vendors},
            "max_same_identity": {v: self._same(self.most_same, v) for v in vendors},
            "max_same_identity_writes": {v: self._same(self.most_same_writes, v) for v in vendors},
        }

    @staticmethod
    def _same(most: dict[str, tuple[int, str]], vendor: str) -> dict[str, Any]:
        count, identity = most.get(vendor, (0, ""))
        return {"count": count, "identity": identity}

    def rate(self, vendor: str | None, window: float) -> dict[str, Any]:
        """The most arrivals in any window of that many seconds, refused ones included."""
        if vendor is None:
            times = sorted(at for arrivals in self.arrivals.values() for at in arrivals)
        else:
            times = list(self.arrivals.get(vendor, ()))
        first, last = (times[0], times[-1]) if times else (None, None)
        return {
            "vendor": vendor,
            "window": window,
            "max": most_in(times, window),
            "requests": len(times),
            "first": first,
            "last": last,
        }
