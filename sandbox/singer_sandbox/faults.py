"""Faults on request: what goes wrong, for which requests, before or after the work was done."""

from __future__ import annotations

import asyncio
import base64
import random
import re
import time
from collections.abc import Mapping
from email.utils import formatdate
from typing import Any

import orjson

from singer_sandbox.account import ControlError
from singer_sandbox.messages import Reply, Request

KINDS = (
    "status", "html", "drop", "cut", "cut_json", "drip", "charset", "delay", "late", "hold",
    "expire_tokens", "remove", "put",
)  # fmt: skip
FILTERS = ("vendor", "method", "path", "body", "after", "times", "when", "probability", "seed")
EXTRAS = (
    "headers", "answer", "answer_base64", "content_type", "declared", "retry_after",
    "retry_after_date", "reset",
)  # fmt: skip
AFTER = frozenset({"cut", "cut_json", "drip", "charset", "remove", "put"})
"""Kinds that need the whole answer first: the work is done unless told otherwise."""
LATE_WITH = frozenset({"status", "html", "drop"})
"""Kinds that may be the answer to work that is done `late`."""
PAGE = "<!DOCTYPE html>\n<html><head><title>{0}</title></head><body><h1>{0}</h1></body></html>\n"
"""What a gateway shows."""
HOLD_SECONDS = 60.0


class Fault:
    """One fault, with how often it was checked and how often it struck."""

    def __init__(self, given: Mapping[str, Any], vendors: tuple[str, ...]) -> None:
        unknown = set(given) - {*KINDS, *FILTERS, *EXTRAS}
        if unknown:
            raise ControlError(
                f"a fault has no {sorted(unknown)}; it has {[*FILTERS, *KINDS, *EXTRAS]}"
            )
        kinds = [kind for kind in KINDS if given.get(kind) not in (None, False)]
        self.late: float | None = None
        if len(kinds) == 2 and "late" in kinds and LATE_WITH & set(kinds):
            kinds.remove("late")
            self.late = float(given["late"])
        if len(kinds) != 1:
            raise ControlError(
                f"a fault needs exactly one of {list(KINDS)}; late may go with {sorted(LATE_WITH)}"
            )
        if given.get("vendor") not in (None, *vendors):
            raise ControlError(f"vendor must be one of {list(vendors)}")
        self.given = dict(given)
        self.kind = kinds[0]
        self.vendor: str | None = given.get("vendor")
        self.method = str(given["method"]).upper() if given.get("method") else None
        try:
            self.path = re.compile(given["path"]) if given.get("path") else None
            self.text = re.compile(given["body"].encode()) if given.get("body") else None
        except re.error as error:
            raise ControlError(f"not a regular expression: {error}") from None
        self.after = int(given.get("after") or 0)
        times = given.get("times", 1)
        self.times = None if times is None else int(times)
        self.when: str = given.get("when") or ("after" if self.kind in AFTER else "before")
        if self.when not in ("before", "after"):
            raise ControlError("when must be before or after")
        self.check()
        self.probability: float | None = given.get("probability")
        self.random = random.Random(given.get("seed"))  # noqa: S311 - to be repeated
        self.seen = 0
        self.hits = 0

    def check(self) -> None:
        """Refuse values that could only fail later, in the middle of a test."""
        value = self.given[self.kind]
        if self.kind in ("drip", "delay", "late") and not isinstance(value, int | float):
            raise ControlError(f"{self.kind} must be a number of seconds")
        if self.kind in ("status", "html") and not isinstance(value, int):
            raise ControlError(f"{self.kind} must be a status")
        if self.kind == "remove" and not (
            isinstance(value, dict) and {"table", "key"} == set(value)
        ):
            raise ControlError('remove must be {"table": name, "key": key}')
        if self.kind == "put" and not isinstance(value, dict):
            raise ControlError("put must be what state takes: {table: [records]}")
        if self.kind == "charset":
            try:
                "".encode(str(value))
            except LookupError:
                raise ControlError(f"no charset {value!r}") from None

    def strikes(self, vendor: str, request: Request) -> bool:
        """Whether it hits this request; counts it."""
        if self.vendor is not None and self.vendor != vendor:
            return False
        if self.method is not None and self.method != request.method:
            return False
        if self.path is not None and not self.path.search(request.path):
            return False
        if self.text is not None and not self.text.search(request.body):
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

    def body(self) -> bytes | None:
        """The body that was given: JSON, or a text as it stands; None for the vendor's own form."""
        if self.kind == "html":
            return str(self.given.get("answer") or PAGE.format(self.given["html"])).encode()
        if (encoded := self.given.get("answer_base64")) is not None:
            return base64.b64decode(encoded)
        if "answer" not in self.given:
            return None
        answer = self.given["answer"]
        return answer.encode() if isinstance(answer, str) else orjson.dumps(answer)

    def content_type(self) -> str | None:
        """The content type that was given; None for JSON."""
        default = "text/html; charset=utf-8" if self.kind == "html" else None
        return self.given.get("content_type", default)

    def encoded(self, answer: Reply) -> None:
        """Write an answer's text in the fault's charset, and declare it, or what is given."""
        charset = str(self.given["charset"])
        text = answer.body.decode("utf-8", "replace")
        answer.body = text.encode(charset, "replace")
        declared = self.given.get("declared", charset)
        answer.set_content_type(f"application/json; charset={declared}" if declared else None)

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
