"""One small class per way of showing who we are, for taps and targets alike.

Each is a `requests.auth.AuthBase`: called with a request, it adds what the vendor wants to see.
One that can get new credentials also has `renew` (see `Renewable`).
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import logging
import os
import tempfile
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

from requests.auth import AuthBase
from typing_extensions import override

from singer_http import redaction
from singer_http.errors import BadCredentials, Refused

if TYPE_CHECKING:
    from requests import PreparedRequest

    from singer_http.http.client import Client

logger = logging.getLogger(__name__)


@runtime_checkable
class Renewable(Protocol):
    """An auth that the client asks for new credentials, once per request, after a 401."""

    def renew(self, rejected: PreparedRequest) -> bool:
        """Get new credentials in place of those in a rejected request; False if that is in vain.

        Raises:
            StopRun: new credentials are refused, or cannot be had now.
        """


class HeaderKey(AuthBase):
    """A key in a header of its own."""

    def __init__(self, header: str, key: str, *, setting: str = "api_key") -> None:
        """Register the key as a secret. `setting` is what to look at when it is refused."""
        redaction.add(key)
        self._header, self._value = header, _header_value(key)
        self.setting = setting

    @override
    def __call__(self, r: PreparedRequest) -> PreparedRequest:
        r.headers[self._header] = self._value
        return r


class BearerKey(HeaderKey):
    """A key that never expires, as `Authorization: Bearer <key>`."""

    def __init__(self, key: str, *, setting: str = "api_key") -> None:
        """Register the key as a secret. `setting` is what to look at when it is refused."""
        super().__init__("Authorization", f"Bearer {_header_value(key)}", setting=setting)
        redaction.add(key)


def _header_value(key: str) -> str:
    """The key, if it can stand in a header: http.client would show it in its error."""
    key = key.strip()
    if not key.isprintable() or not key.isascii():
        message = "the key has characters that no HTTP header can carry: copy it again"
        raise BadCredentials(message)
    return key


@dataclass(slots=True)
class _Token:
    value: str
    expires_at: float
    """Epoch seconds."""

    @property
    def fresh(self) -> bool:
        return time.time() < self.expires_at - LEEWAY


LEEWAY = 60.0
"""Seconds before its end at which a token is not used any more."""


class ClientCredentials(AuthBase):
    """OAuth 2 client credentials: a token for an id and a secret, kept until it nears its end.

    One token serves all threads of the process, and the next runs: tokens can be counted against a
    monthly quota. It is kept in a file in `work_dir` that only its owner can read, whose name is a
    hash, so that other credentials or another server never get this token.

    Args:
        client: sends the request for a token; one without credentials, with its own retries.
        url: the token endpoint; takes JSON.
        client_id: the id.
        client_secret: the secret; never stored.
        audience: the API that the token is for, to the letter.
        work_dir: the folder for the token's file; None keeps the token in memory.
        setting: what the user has to look at when the vendor refuses.
    """

    def __init__(
        self,
        client: Client,
        url: str,
        client_id: str,
        client_secret: str,
        *,
        audience: str | None = None,
        work_dir: Path | None = None,
        setting: str = "client_id and client_secret",
    ) -> None:
        """Register the secret. Nothing is asked before the first request."""
        redaction.add(client_secret)
        self._client, self._url, self.setting = client, url, setting
        self._body = {
            "client_id": client_id,
            "client_secret": client_secret,
            "audience": audience,
            "grant_type": "client_credentials",
        }
        # The secret is part of the name: a token of a rotated secret is not used any more.
        who = json.dumps([url, client_id, audience, client_secret])
        name = f"token-{hashlib.sha256(who.encode()).hexdigest()[:32]}.json"
        self._path = work_dir / name if work_dir else None
        self._lock = threading.Lock()
        self._token: _Token | None = None

    @override
    def __call__(self, r: PreparedRequest) -> PreparedRequest:
        r.headers["Authorization"] = f"Bearer {self._current().value}"
        return r

    def renew(self, rejected: PreparedRequest) -> bool:
        """Get another token, unless another thread already has.

        Raises:
            StopRun: the token endpoint refuses, or does not answer.
        """
        with self._lock:
            current = self._token
            if current and rejected.headers.get("Authorization") == f"Bearer {current.value}":
                self._token = self._buy()
            return True

    def _current(self) -> _Token:
        token = self._token
        if token and token.fresh:
            return token
        with self._lock:
            if not (self._token and self._token.fresh):
                self._token = self._stored() or self._buy()
            return self._token

    def _buy(self) -> _Token:
        """Ask for a new token and store it."""
        try:
            answer = self._client.request(
                "POST", self._url, json={k: v for k, v in self._body.items() if v is not None}
            )
        except (Refused, BadCredentials) as error:
            message = f"The token endpoint does not accept {self.setting}: {error}"
            raise BadCredentials(message) from error
        value = answer.data.get("access_token") if isinstance(answer.data, dict) else None
        if not isinstance(value, str) or not value:
            message = "The token endpoint's answer has no access_token: look at auth_url"
            raise BadCredentials(message)
        redaction.add(value)
        token = _Token(_header_value(value), time.time() + _lifetime(answer.data))
        self._store(token)
        return token

    def _stored(self) -> _Token | None:
        """The token of an earlier run; None if there is none, or the file is damaged."""
        if self._path is None:
            return None
        try:
            data = json.loads(self._path.read_bytes())
            token = _Token(_header_value(data["token"]), float(data["expires_at"]))
        except (OSError, ValueError, TypeError, KeyError, AttributeError, BadCredentials):
            return None
        redaction.add(token.value)
        return token if token.fresh else None

    def _store(self, token: _Token) -> None:
        if self._path is None:
            return
        try:
            # mkstemp: readable by the owner only, from the first byte.
            descriptor, name = tempfile.mkstemp(dir=self._path.parent, prefix=self._path.name)
            try:
                with os.fdopen(descriptor, "w") as file:
                    json.dump({"token": token.value, "expires_at": token.expires_at}, file)
                Path(name).replace(self._path)
            except OSError:
                with contextlib.suppress(OSError):
                    Path(name).unlink()
                raise
        except OSError as error:
            logger.warning("The token cannot be kept for the next run: %s", error)


def _lifetime(answer: dict[str, Any]) -> float:
    """Seconds that a token lives; an hour where the answer does not say."""
    try:
        return float(answer["expires_in"])
    except (KeyError, TypeError, ValueError):
        return 3600.0
