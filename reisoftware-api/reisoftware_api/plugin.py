"""What tap and target have in common beside what every plugin has."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from typing_extensions import override

from reisoftware_api import settings
from reisoftware_api.api import Api
from singer_http.http.auth import BearerKey
from singer_http.plugin.base import HTTPPlugin

if TYPE_CHECKING:
    from collections.abc import Mapping

    from requests import PreparedRequest

    from singer_http.errors import SingerHTTPError


class ReiAuth(BearerKey):
    """The key, the other headers of the API version, and what its refusals mean."""

    def __init__(self, key: str, api: Api, api_url: str) -> None:
        """Register the key as a secret."""
        super().__init__(key)
        self._api = api
        self._root = urlsplit(api_url).path.rstrip("/")

    @override
    def __call__(self, r: PreparedRequest) -> PreparedRequest:
        r.headers.update(self._api.headers)
        return super().__call__(r)

    def explain(
        self, request: PreparedRequest, status: int, words: str, data: Any
    ) -> SingerHTTPError | None:
        """See `singer_http.http.auth.Explaining`."""
        path = urlsplit(str(request.url)).path.removeprefix(self._root)
        return self._api.explain(str(request.method), path, status, words, data)

    def pause(self, headers: Mapping[str, str]) -> float | None:
        """Until the day's requests are renewed, if they are used up (`singer_http`'s `Pausing`).

        The day begins with its first request; the header has milliseconds.
        """
        left, reset = (headers.get(f"x-ratelimit-daily-{name}") for name in ("remaining", "reset"))
        return int(reset) / 1000 if left == "0" and reset and reset.isdecimal() else None


class ReiPlugin(HTTPPlugin):
    """A plugin for REI Software and any HighLevel account, by API v1 or v2."""

    @cached_property
    def api(self) -> Api:
        """The version of the API that is used."""
        return settings.VERSIONS[self.config["api_version"]](self.config)

    @override
    def complete(self, given: Mapping[str, Any]) -> dict[str, Any]:
        return settings.complete(given)

    @override
    def new_auth(self) -> ReiAuth:
        return ReiAuth(self.config["api_key"], self.api, self.api_url)

    @override
    def default_account(self) -> str:
        """v1: a fingerprint of host and key. v2: the location."""
        return self.api.location if self.api.version == "v2" else super().default_account()
