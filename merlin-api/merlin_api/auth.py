"""Merlin's way of showing a key: in the body, `[{"key": ...}, {action}]`."""

from __future__ import annotations

import orjson
from requests import PreparedRequest
from requests.auth import AuthBase
from typing_extensions import override

from singer_http import redaction


class KeyInBody(AuthBase):
    """Puts the key before the action. Bodies are never logged; nothing else holds the key."""

    setting = "api_key"

    def __init__(self, key: str) -> None:
        """Register the key as a secret."""
        redaction.add(key)
        self._head = b"[" + orjson.dumps({"key": key.strip()}) + b","

    @override
    def __call__(self, r: PreparedRequest) -> PreparedRequest:
        action = r.body if isinstance(r.body, bytes) else b"{}"
        r.body = self._head + action + b"]"
        r.headers["Content-Length"] = str(len(r.body))
        return r
