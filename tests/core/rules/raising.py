"""Makes hooks of a sink raise: the record whose key is `v-<hook>` fails in that hook."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import Any

import pytest

from singer_http.http.client import Client
from singer_http.operations import Operation
from singer_http.sink.base import HTTPSink

ERRORS = (
    ValueError("a value"),
    KeyError("id"),
    RuntimeError(""),
    RecursionError("maximum recursion depth exceeded"),
    StopIteration(),
    UnicodeEncodeError("utf-8", "\ud800", 0, 1, "surrogates not allowed"),
    MemoryError(),
    TimeoutError("timed out"),
    AssertionError("two\nlines"),
    ZeroDivisionError("division by zero"),
)
"""Whatever a plugin's code may raise."""

HOOKS = (
    "prepare", "key_suffix", "skip", "is_current", "restore_id", "precondition", "before_send",
    "find", "can_find", "forget_lookup", "prepare_removal", "taken_away", "keep",
    "create", "update", "delete", "remove", "perform",
)  # fmt: skip
"""Hooks that are called with one operation."""
PLACES = (*HOOKS, "before_send_call", "after_send_call", "before_request", "after_request")
"""Also: around `send`, and around a request that writes."""


def key_of(place: str) -> str:
    """The key of the record that fails there."""
    return "v-" + place.replace("_", "-")


class Faults:
    """Installed on a sink's class; raises while it is armed."""

    def __init__(self, patch: pytest.MonkeyPatch, sink: type[HTTPSink], shift: int) -> None:
        self.armed = False
        self.reached: set[str] = set()
        """Places that raised."""
        self._shift = shift
        self._sending = threading.local()
        for hook in HOOKS:
            if hasattr(sink, hook):
                patch.setattr(sink, hook, self._failing(hook, getattr(sink, hook)))
        patch.setattr(sink, "send", self._around_send(sink.send))
        patch.setattr(Client, "request", self._around_request(Client.request))

    def _raise(self, place: str) -> None:
        self.reached.add(place)
        raise ERRORS[(PLACES.index(place) + self._shift) % len(ERRORS)]

    def _hits(self, place: str, operations: Sequence[Operation]) -> bool:
        return self.armed and any(key_of(place) in op.key for op in operations)

    def _failing(self, hook: str, original: Any) -> Any:
        def failing(*args: Any, **kwargs: Any) -> Any:
            ops = [arg for arg in args if isinstance(arg, Operation)]
            # Two hooks are asked about a record, the column `k` of which is its key.
            keys = [str(arg.get("k")) for arg in args if isinstance(arg, dict)]
            if self._hits(hook, ops) or (self.armed and key_of(hook) in keys):
                self._raise(hook)
            return original(*args, **kwargs)

        return failing

    def _around_send(self, original: Any) -> Any:
        def send(sink: HTTPSink, ops: Sequence[Operation]) -> Any:
            self._sending.ops = ops
            try:
                if self._hits("before_send_call", ops):
                    self._raise("before_send_call")
                outcomes = original(sink, ops)
                if self._hits("after_send_call", ops):
                    self._raise("after_send_call")
                return outcomes
            finally:
                self._sending.ops = ()

        return send

    def _around_request(self, original: Any) -> Any:
        def request(client: Client, method: str, path: str, **kwargs: Any) -> Any:
            ops = getattr(self._sending, "ops", ())
            writes = method != "GET" and b'"SEARCH"' not in (kwargs.get("body") or b"")
            if writes and self._hits("before_request", ops):
                self._raise("before_request")
            answer = original(client, method, path, **kwargs)
            if writes and self._hits("after_request", ops):
                self._raise("after_request")
            return answer

        return request
