"""Faults on request: what goes wrong, for which requests, before or after the work was done."""

from __future__ import annotations

import asyncio
import random
import re
import time
from collections.abc import Mapping
from email.utils import formatdate
from typing import Any

from singer_sandbox.account import ControlError
from singer_sandbox.messages import Request

KINDS = ("status", "drop", "cut", "cut_json", "delay", "hold", "expire_tokens")
FILTERS = ("vendor", "method", "path", "body", "after", "times", "when", "probability", "seed")
EXTRAS = ("headers", "answer", "retry_after", "retry_after_date", "reset")
HOLD_SECONDS = 60.0


class Fault:
    """One fault, with how often it was looked at and how often it struck."""

    def __init__(self, given: Mapping[str, Any], vendors: tuple[str, ...]) -> None:
        unknown = set(given) - {*KINDS, *FILTERS, *EXTRAS}
        if unknown:
            raise ControlError(
                f"a fault has no {sorted(unknown)}; it has {[*FILTERS, *KINDS, *EXTRAS]}"
            )
        kinds = [kind for kind in KINDS if given.get(kind) not in (None, False)]
        if len(kinds) != 1:
            raise ControlError(f"a fault needs exactly one of {list(KINDS)}")
        if given.get("vendor") not in (None, *vendors):
            raise ControlError(f"vendor must be one of {list(vendors)}")
        self.given = dict(given)
        self.kind = kinds[0]
        self.vendor: str | None = given.get("vendor")
        self.method = str(given["method"]).upper() if given.get("method") else None
        try:
            self.path = re.compile(given["path"]) if given.get("path") else None
            self.body = re.compile(given["body"].encode()) if given.get("body") else None
        except re.error as error:
            raise ControlError(f"not a regular expression: {error}") from None
        self.after = int(given.get("after") or 0)
        times = given.get("times", 1)
        self.times = None if times is None else int(times)
        # A cut answer needs the whole one first, so the work is done unless told otherwise.
        late = self.kind in ("cut", "cut_json")
        self.when: str = given.get("when") or ("after" if late else "before")
        if self.when not in ("before", "after"):
            raise ControlError("when must be before or after")
        self.probability: float | None = given.get("probability")
        self.random = random.Random(given.get("seed"))  # noqa: S311 - to be repeated
        self.seen = 0
        self.hits = 0

    def strikes(self, vendor: str, request: Request) -> bool:
        """Whether it hits this request; counts it."""
        if self.vendor is not None and self.vendor != vendor:
            return False
        if self.method is not None and self.method != request.method:
            return False
        if self.path is not None and not self.path.search(request.path):
            return False
        if self.body is not None and not self.body.search(request.body):
            return False
        self.seen += 1
        if self.seen <= self.after or (self.times is not None and self.hits >= self.times):
            return False
        if self.probability is not None and self.random.random() >= self.probability:
            return False
        self.hits += 1
        return True

    def headers(self) -> dict[str, str]:
        """The headers of a status fault, its times reckoned from now."""
        headers = {str(k): str(v) for k, v in (self.given.get("headers") or {}).items()}
        if (seconds := self.given.get("retry_after")) is not None:
            headers["Retry-After"] = str(seconds)
        if (seconds := self.given.get("retry_after_date")) is not None:
            headers["Retry-After"] = formatdate(time.time() + float(seconds), usegmt=True)
        if (seconds := self.given.get("reset")) is not None:
            headers["X-RateLimit-Reset"] = str(int(time.time() + float(seconds)))
        return headers

    def as_json(self) -> dict[str, Any]:
        """The fault as it was given, and what became of it."""
        return {**self.given, "kind": self.kind, "seen": self.seen, "hits": self.hits}


class Holds:
    """Requests that wait until somebody lets them go."""

    def __init__(self) -> None:
        self._waiting: dict[str, set[asyncio.Future[bool]]] = {}

    async def hold(self, name: str) -> bool:
        """Wait for `release(name)`, a minute at most; False when the request is to be dropped."""
        gate: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        waiting = self._waiting.setdefault(name, set())
        waiting.add(gate)
        try:
            return await asyncio.wait_for(gate, HOLD_SECONDS)
        except TimeoutError:
            return True
        finally:
            waiting.discard(gate)

    def held(self, name: str) -> int:
        """How many wait under that name."""
        return len(self._waiting.get(name, ()))

    def release(self, name: str) -> int:
        """Let them go on; how many there were."""
        return self._open(self._waiting.get(name, set()), True)

    def drop_all(self) -> None:
        """Break all held requests off, so that none works on a state that was reset."""
        for waiting in self._waiting.values():
            self._open(waiting, False)

    @staticmethod
    def _open(waiting: set[asyncio.Future[bool]], go_on: bool) -> int:
        gates = [gate for gate in waiting if not gate.done()]
        for gate in gates:
            gate.set_result(go_on)
        return len(gates)
