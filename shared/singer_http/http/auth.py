"""Authentication: one small class for each scheme, for taps and targets alike.

Each is a `requests.auth.AuthBase`: called with a request, it adds the credentials. A class that can
get new ones also has `renew` (see `Renewable`).
"""

from __future__ import annotations

import hashlib
import json
import logging
import math
import threading
import time
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, Self, runtime_checkable

from requests.auth import AuthBase
from typing_extensions import override

from singer_http import exact_json, redaction
from singer_http.errors import BadCredentials, Refused
from singer_http.files import atomic_write

if TYPE_CHECKING:
    from collections.abc import Mapping

    from requests import PreparedRequest

    from singer_http.errors import SingerHTTPError
    from singer_http.http.client import Client

logger = logging.getLogger(__name__)


@runtime_checkable
class Renewable(Protocol):
    """An auth that the client asks for new credentials, once per request, after a 401."""

    def renew(self, rejected: PreparedRequest) -> bool:
        """Replace the credentials in a rejected request; False if there are no others.

        Raises:
            StopRun: new credentials are refused, or cannot be had now.
        """


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


class ClientCredentials(AuthBase):
    """OAuth 2 client credentials: a token for an id and a secret, kept until it nears its end.

    One token serves all threads of the process, and later runs, since vendors count token requests
    against a monthly quota. It is kept in a file in `work_dir` that only its owner can read. The
    file's name is a hash, so that other credentials or another server never get this token.

    Args:
        client: sends the request for a token; one without credentials, with its own retries.
        url: the token endpoint; takes JSON.
        client_id: the id.
        client_secret: the secret; never stored.
        audience: the API that the token is for, to the letter.
        work_dir: the folder for the token's file; None keeps the token in memory.
    """

    setting = "client_id and client_secret"
    """What to look at when they are refused."""

    def __init__(
        self,
        client: Client,
        url: str,
        client_id: str,
        client_secret: str,
        *,
        audience: str | None = None,
        work_dir: Path | None = None,
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
        name = f"token-{hashlib.sha256(who.encode()).hexdigest()[:32]}.json"
        self._path = work_dir / name if work_dir else None
        self._lock = threading.Lock()
        self._token: _Token | None = None

    @classmethod
    def from_config(cls, config: Mapping[str, Any], client: Client, work_dir: Path | None) -> Self:
        """Make it from the settings of `plugin.settings.client_credentials_settings`."""
        return cls(
            client,
            config["auth_url"],
            config["client_id"],
            config["client_secret"],
            audience=config["audience"],
            work_dir=work_dir,
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
                stored = self._stored()
                other = stored if stored and stored.value != current.value else None
                self._token = other or self._request_token()
            return True

    def _current(self) -> _Token:
        token = self._token
        if token and token.usable:
            return token
        with self._lock:
            if not (self._token and self._token.usable):
                self._token = self._stored() or self._request_token()
            return self._token

    def _request_token(self) -> _Token:
        """Request a token and store it."""
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
        life = _lifetime(answer.data.get("expires_in"))
        margin = min(LONGEST_MARGIN, MARGIN_SHARE * life)
        token = _Token(_header_value(value), time.time() + life - margin)
        self._store(token)
        return token

    def _stored(self) -> _Token | None:
        """The token of an earlier run; None if there is none, or the file is damaged."""
        if self._path is None:
            return None
        try:
            data = json.loads(self._path.read_bytes())
            token = _Token(_header_value(data["token"]), float(data["use_until"]))
        except (OSError, ValueError, TypeError, KeyError, AttributeError, BadCredentials):
            return None
        longest = time.time() + LONGEST_LIFE  # beyond it, a clock was wrong or the file is damaged
        if not token.usable or token.use_until > longest:
            return None
        redaction.add(token.value)
        return token

    def _store(self, token: _Token) -> None:
        if self._path is None:
            return
        try:
            content = {"token": token.value, "use_until": token.use_until}
            atomic_write(self._path, exact_json.encode(content))
        except OSError as error:
            logger.warning("The token cannot be kept for the next run: %s", error)


def _lifetime(expires_in: Any) -> float:
    """Seconds that a token lives, from what the answer says of it."""
    try:
        life = float(expires_in) if isinstance(expires_in, int | Decimal | str) else 0.0
    except (ValueError, OverflowError):
        life = SUPPOSED_LIFE if isinstance(expires_in, str) else LONGEST_LIFE
    if not math.isfinite(life) or life <= 0 or isinstance(expires_in, bool):
        return SUPPOSED_LIFE
    return min(life, LONGEST_LIFE)
