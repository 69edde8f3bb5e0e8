"""The settings of both plugins, and which of them fit together."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from singer_sdk import typing as th

from reisoftware_api.v1 import V1
from reisoftware_api.v2 import V2
from singer_http.errors import ConfigError

VERSIONS: Mapping[str, type[V1 | V2]] = {api.version: api for api in (V1, V2)}

RATE_LIMIT = "100/10s,200000/day"
"""The limits of API v2; those of v1 are not published."""

TOKEN_PREFIX = "pit-"  # noqa: S105 - how private integration tokens begin, not one of them


def api_settings() -> tuple[th.Property[Any], ...]:
    """The settings of both plugins, new ones each time: the SDK changes them in place."""
    return (
        th.Property(
            "api_version",
            th.StringType,
            default=V1.version,
            allowed_values=list(VERSIONS),
            description=(
                "The vendor's API. v1: with a location's API key, which can no longer be made. "
                "v2: with a private integration token."
            ),
        ),
        th.Property(
            "api_key",
            th.StringType,
            required=True,
            secret=True,
            description=(
                "v1: the location's API key. v2: a private integration token of the location "
                "(pit-...)."
            ),
        ),
        th.Property(
            "location_id",
            th.StringType,
            description="The location (sub-account) of the token; required by v2.",
        ),
        th.Property(
            "api_url",
            th.URIType,
            description=f"Address of the API. Default: v1 {V1.url}, v2 {V2.url}.",
        ),
        th.Property(
            "version_header",
            th.StringType,
            default=V2.header,
            description="The header Version of API v2's requests.",
        ),
    )


def complete(config: Mapping[str, Any]) -> dict[str, Any]:
    """The settings with an address.

    Raises:
        ConfigError: some of them do not fit the version; one line that names them.
    """
    version = VERSIONS[config.get("api_version", V1.version)]
    url = config.get("api_url") or version.url
    host, path = urlsplit(url).hostname or "", urlsplit(url).path.rstrip("/")
    problem = None
    if version is V1:
        if str(config.get("api_key", "")).strip().startswith(TOKEN_PREFIX):
            problem = (
                "api_key is a private integration token (pit-...), which API v1 does not accept: "
                "set api_version to v2"
            )
        elif host == urlsplit(V2.url).hostname:
            problem = f"api_url is the address of API v2 ({host}): set api_version to v2"
    elif not str(config.get("location_id", "")).strip():
        problem = (
            "location_id is missing: API v2 needs the id of the location (sub-account) that "
            "the token belongs to"
        )
    elif path.endswith("/v1"):
        problem = (
            f"api_url is an address of API v1 ({host}{path}): remove it, or set api_version to v1"
        )
    if problem:
        raise ConfigError(f"setting {problem}")
    return {**config, "api_url": url}
