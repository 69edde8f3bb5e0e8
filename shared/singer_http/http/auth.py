"""Authentication: one small class for each scheme, for taps and targets alike.

Each is a `requests.auth.AuthBase`: called with a request, it adds the credentials. A class that can
get new ones also has `renew` (see `Renewable`).
"""

from __future__ import annotations

import hashlib
import json
import math
import threading
import time
from contextlib import AbstractContextManager
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Protocol, Self, runtime_checkable

from requests.auth import AuthBase
from typing_extensions import override

from singer_http import redaction
from singer_http.errors import BadCredentials, Cancelled, Refused

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from requests import PreparedRequest

    from singer_http.errors import SingerHTTPError
    from singer_http.http.client import Client

POLL = 0.2
"""Seconds between looks while another process requests the token."""


@runtime_checkable
class Renewable(Protocol):
    """An auth that the client asks for new credentials, once per request, after a 401."""

    def renew(self, rejected: PreparedRequest) -> bool:
        """Replace the credentials in a rejected request; False if there are no others.

        Raises:
            StopRun: new credentials are refused, or cannot be had now.
        """

    def stop(self) -> None:
        """Wait for no credentials any more: who waits for some gets Cancelled."""


@runtime_checkable
class Explaining(Protocol):
    """An auth that knows what its vendor's refusals mean: the client asks it first."""

    def explain(
        self, request: PreparedRequest, status: int, words: str, data: Any
    ) -> SingerHTTPError | None:
        """Give the error for an answer with this 4xx; None: the one that its status stands for.

        `words` is the vendor's reason: one line, without secrets, empty for none. `data` is the
        answer's body.
        """


@runtime_checkable
class Pausing(Protocol):
    """An auth that knows how its vendor says when it takes requests again."""

    def pause(self, headers: Mapping[str, str]) -> float | None:
        """Seconds to wait after a 429 without the usual headers; None: it does not say."""


class HeaderKey(AuthBase):
    """A key in a header of its own."""

    def __init__(self, header: str, key: str, *, setting: str = "api_key") -> None:
        """Register the key as a secret. `setting` is what to check when it is refused."""
        redaction.add(key)
        self._header, self._value = header, _header_value(key)
        self.setting = setting

    @override
    def __call__(self, r: PreparedRequest) -> PreparedRequest:
        r.headers[self._header] = self._value
        return r


class BearerKey(HeaderKey):
    """A key that never expires, as `Authorization: Bearer <key>`."""

    def __init__(self, key: str) -> None:
        """Register the key as a secret."""
        super().__init__("Authorization", f"Bearer {_header_value(key)}")
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
    use_until: float
    """Epoch seconds; its end, less a margin."""

    @property
    def usable(self) -> bool:
        return time.time() < self.use_until


LONGEST_MARGIN, MARGIN_SHARE = 60.0, 0.1
"""A token is not used in its last seconds: at most so many, and at most this share of its life."""

SUPPOSED_LIFE, LONGEST_LIFE = 3600.0, 30 * 86400.0
"""Seconds that a token lives where the answer does not say, and at most. One that ends earlier is
answered with a 401, and replaced then."""


class StoredToken(Protocol):
    """The token of one set of credentials, where all processes of an account find it.

    Each method raises StopRun where it cannot be read or written.
    """

    def try_lock(self) -> bool:
        """Hold the right to request a token until it is closed; False if another has it."""

    def read(self) -> tuple[str, float] | None:
        """The token, and until when it is used (epoch seconds); None if there is none."""

    def write(self, token: str, use_until: float) -> None:
        """Replace the token."""


class ClientCredentials(AuthBase):
    """OAuth 2 client credentials: a token for an id and a secret, kept until it nears its end.

    One token serves all processes of an account, and later runs, since vendors count token requests
    against a monthly quota: one process requests it, the others wait. It is stored under a hash of
    all that it was requested with, so other credentials or another server never get this token.

    Args:
        client: sends the request for a token; one without credentials, with its own retries.
        url: the token endpoint; takes JSON.
        client_id: the id.
        client_secret: the secret; never stored.
        audience: the API that the token is for, to the letter.
        open_stored: opens the stored token of that hash; the result is closed by `with`.
    """

    setting = "client_id and client_secret"
    """What to check when they are refused."""

    def __init__(
        self,
        client: Client,
        url: str,
        client_id: str,
        client_secret: str,
        *,
        audience: str | None = None,
        open_stored: Callable[[str], AbstractContextManager[StoredToken]],
    ) -> None:
        """Register the secret. Nothing is asked before the first request."""
        redaction.add(client_secret)
        self._client, self._url = client, url
        self._body = {
            "client_id": client_id,
            "client_secret": client_secret,
            "audience": audience,
            "grant_type": "client_credentials",
        }
        # The secret is part of the name: a token of a rotated secret is not used any more.
        who = json.dumps([url, client_id, audience, client_secret])
        self._name = hashlib.sha256(who.encode()).hexdigest()[:32]
        self._open_stored = open_stored
        self._stopped = threading.Event()
        self._lock = threading.Lock()
        self._token: _Token | None = None

    @classmethod
    def from_config(
        cls,
        config: Mapping[str, Any],
        client: Client,
        open_stored: Callable[[str], AbstractContextManager[StoredToken]],
    ) -> Self:
        """Make it from the settings of `plugin.settings.client_credentials_settings`."""
        return cls(
            client,
            config["auth_url"],
            config["client_id"],
            config["client_secret"],
            audience=config["audience"],
            open_stored=open_stored,
        )

    @override
    def __call__(self, r: PreparedRequest) -> PreparedRequest:
        r.headers["Authorization"] = f"Bearer {self._current().value}"
        return r

    def renew(self, rejected: PreparedRequest) -> bool:
        """Get another token, unless another thread or process already has.

        Raises:
            StopRun: the token endpoint refuses, or does not answer.
        """
        with self._lock:
            current = self._token
            if current and rejected.headers.get("Authorization") == f"Bearer {current.value}":
                self._token = self._find(other_than=current.value)
            return True

    def stop(self) -> None:
        """Wait for no token any more: who waits for one gets Cancelled."""
        self._stopped.set()
        self._client.stop()

    def _current(self) -> _Token:
        token = self._token
        if token and token.usable:
            return token
        with self._lock:
            if not (self._token and self._token.usable):
                self._token = self._find()
            return self._token

    def _find(self, other_than: str | None = None) -> _Token:
        """The stored token, or a new one that is stored, if no other process requests one."""
        with self._open_stored(self._name) as stored:
            while True:
                locked = stored.try_lock()
                found = _usable(stored.read())  # another process may have stored it by now
                if found and found.value != other_than:
                    return found
                if locked:
                    token = self._request_token()
                    stored.write(token.value, token.use_until)
                    return token
                if self._stopped.wait(POLL):
                    message = "The run is being ended, while it waited for a token"
                    raise Cancelled(message)

    def _request_token(self) -> _Token:
        try:
            answer = self._client.request(
                "POST", self._url, json={k: v for k, v in self._body.items() if v is not None}
            )
        except (Refused, BadCredentials) as error:
            message = f"The token endpoint does not accept {self.setting}: {error}"
            raise BadCredentials(message) from error
        value = answer.data.get("access_token") if isinstance(answer.data, dict) else None
        if not isinstance(value, str) or not value:
            message = "The token endpoint's answer has no access_token: check auth_url"
            raise BadCredentials(message)
        redaction.add(value)
        life = _lifetime(answer.data.get("expires_in"))
        margin = min(LONGEST_MARGIN, MARGIN_SHARE * life)
        return _Token(_header_value(value), time.time() + life - margin)


def _usable(stored: tuple[str, float] | None) -> _Token | None:
    """A stored token that can be used; None if it has ended, or if there is none."""
    if stored is None:
        return None
    token = _Token(*stored)
    # Beyond the longest life the clock was wrong, here or where it was stored.
    if not token.usable or token.use_until > time.time() + LONGEST_LIFE:
        return None
    redaction.add(token.value)
    return token


def _lifetime(expires_in: Any) -> float:
    """Seconds that a token lives, from what the answer says of it."""
    try:
        life = float(expires_in) if isinstance(expires_in, int | Decimal | str) else 0.0
    except (ValueError, OverflowError):
        life = SUPPOSED_LIFE if isinstance(expires_in, str) else LONGEST_LIFE
    if not math.isfinite(life) or life <= 0 or isinstance(expires_in, bool):
        return SUPPOSED_LIFE
    return min(life, LONGEST_LIFE)
