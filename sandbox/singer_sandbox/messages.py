"""Requests and replies as plain values, and the table that finds who answers.

The vendors' routes bypass Starlette's: a benchmark must never measure this server, and a plain dict
lookup is several times faster than a list of regular expressions.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import parse_qsl, unquote

import orjson

JSON_TYPE = (b"content-type", b"application/json; charset=utf-8")
Header = tuple[bytes, bytes]
Handler = Callable[..., "Reply"]

_UNSET: Any = object()


class Reply:
    """An answer that has not been sent yet."""

    __slots__ = ("body", "headers", "status")

    def __init__(self, status: int, body: bytes = b"", headers: list[Header] | None = None) -> None:
        self.status = status
        self.body = body
        self.headers: list[Header] = [] if headers is None else headers

    def set_content_type(self, value: str | None) -> None:
        """Declare the body to be something else; None declares nothing."""
        self.headers = [header for header in self.headers if header[0] != b"content-type"]
        if value is not None:
            self.headers.append((b"content-type", value.encode("latin-1")))


def reply(status: int, value: Any, headers: Mapping[str, str] | None = None) -> Reply:
    """Answer with a JSON value."""
    lines = [JSON_TYPE]
    if headers:
        lines += [(name.lower().encode(), text.encode()) for name, text in headers.items()]
    return Reply(status, orjson.dumps(value), lines)


def reply_bytes(status: int, body: bytes) -> Reply:
    """Answer with JSON that was rendered before."""
    return Reply(status, body, [JSON_TYPE])


class Refusal(Exception):
    """The vendor says no; carries the answer that says so."""

    def __init__(self, answer: Reply) -> None:
        super().__init__(answer.status)
        self.answer = answer


class BadJSON(ValueError):
    """The body is not JSON."""


class Request:
    """One request to a vendor; `path` follows the vendor's prefix, still percent-encoded."""

    __slots__ = ("_json", "_params", "body", "headers", "method", "path", "query")

    def __init__(
        self, method: str, path: str, query: str, headers: list[Header], body: bytes
    ) -> None:
        self.method = method
        self.path = path
        self.query = query
        self.headers = headers
        self.body = body
        self._json: Any = _UNSET
        self._params: dict[str, str] | None = None

    def header(self, name: bytes) -> str:
        """The value of a header (lower-case name), or an empty text."""
        for key, value in self.headers:
            if key == name:
                return value.decode("latin-1")
        return ""

    @property
    def json(self) -> Any:
        """The body, parsed once; raises BadJSON."""
        if self._json is _UNSET:
            try:
                self._json = orjson.loads(self.body) if self.body else None
            except orjson.JSONDecodeError as error:
                self._json = BadJSON(str(error))
        if isinstance(self._json, BadJSON):
            raise self._json
        return self._json

    @property
    def json_or_none(self) -> Any:
        """The body, or None when it is no JSON."""
        try:
            return self.json
        except BadJSON:
            return None

    @property
    def params(self) -> dict[str, str]:
        """The query's parameters; of a repeated one the last."""
        if self._params is None:
            self._params = dict(parse_qsl(self.query, keep_blank_values=True))
        return self._params


class Match:
    """Who answers a request, and the values of the placeholders in its path."""

    __slots__ = ("handler", "params", "public", "template")

    def __init__(
        self, template: str, handler: Handler, params: tuple[str, ...], public: bool
    ) -> None:
        self.template = template
        self.handler = handler
        self.params = params
        self.public = public


class Router:
    """Finds a handler by method and path; a trailing slash makes no difference."""

    def __init__(self) -> None:
        self._static: dict[tuple[str, str], Match] = {}
        self._dynamic: dict[tuple[str, int], list[tuple[tuple[str | None, ...], Match]]] = {}
        self._methods: set[str] = set()

    def add(self, method: str, template: str, handler: Handler, *, public: bool = False) -> None:
        """Register `/a/{b}`-like template; `public` needs no credentials."""
        self._methods.add(method)
        match = Match(template, handler, (), public)
        path = template.strip("/")
        if "{" not in path:
            self._static[method, path] = match
            return
        parts = tuple(None if part.startswith("{") else part for part in path.split("/"))
        self._dynamic.setdefault((method, len(parts)), []).append((parts, match))

    def find(self, method: str, path: str) -> Match | None:
        """The match for a percent-encoded path, or None."""
        path = path.strip("/")
        found = self._static.get((method, path))
        if found is not None:
            return found
        pieces = path.split("/")
        for parts, match in self._dynamic.get((method, len(pieces)), ()):
            values: list[str] = []
            for part, piece in zip(parts, pieces, strict=True):
                if part is None:
                    values.append(piece)
                elif part != piece:
                    break
            else:
                if "%" in path:
                    values = [unquote(value) for value in values]
                return Match(match.template, match.handler, tuple(values), match.public)
        return None

    def allows_other(self, method: str, path: str) -> bool:
        """Whether the path exists, only not with this method."""
        return any(self.find(other, path) for other in self._methods if other != method)
