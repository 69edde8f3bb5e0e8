"""Why API v2 refuses a request, whatever the record: one line that names the setting.

A 401 has five causes: an expired token, a wrong token, a scope that the token lacks, a token of an
agency, the header Version. None of them is worth a retry.
"""

from __future__ import annotations

import logging
import re
from typing import Any

from singer_http.errors import (
    BadCredentials,
    ConfigError,
    Refused,
    RequestRejected,
    SingerHTTPError,
)

logger = logging.getLogger(__name__)

SCOPES = (
    (r"GET /contacts\b|POST /contacts/search$", "contacts.readonly"),
    (r"\w+ /contacts\b", "contacts.write"),
    (r"GET /locations/[^/]+/customFields$", "locations/customFields.readonly"),
    (r"GET /locations/[^/]+/tags$", "locations/tags.readonly"),
    (r"GET /workflows/$", "workflows.readonly"),
    (r"GET /campaigns/$", "campaigns.readonly"),
)
"""Method and path → the scope by the vendor's document; the first one that fits counts."""

ONE_CONTACT = re.compile(r"/contacts/(?!search\b|bulk/|upsert$)[^/]+")
"""Calls that name a contact and no location."""


def scope_of(method: str, path: str) -> str:
    """The scope that a request needs, by the vendor's document; empty if it is not known."""
    call = f"{method} {path}"
    return next((scope for pattern, scope in SCOPES if re.match(pattern, call)), "")


def explain(method: str, path: str, status: int, words: str, data: Any) -> SingerHTTPError | None:
    """The error for an answer that refuses more than a record; see `Api.explain`."""
    said = f"HTTP {status}: {words or 'no reason given'}"
    if trace := data.get("traceId") if isinstance(data, dict) else None:
        # What the vendor's support asks for.
        logger.debug("%s %s: %s (traceId %s)", method, path, said, trace)
        said += f" (traceId {trace})"
    text = words.lower()
    if status == 401:
        return _unauthorized(method, path, said, text)
    if status == 400 and "version segment" in text:
        return _wrong_header(said)
    if status == 403 and isinstance(data, str):
        return RequestRejected(
            f"{said}; not the API's own words but a firewall's in front of it: check api_url, or "
            "ask the vendor why this address is blocked"
        )
    if status == 403 and "location" in text:
        if ONE_CONTACT.match(path):
            return Refused(status, f"{words} (the contact is another location's)", data)
        return ConfigError(
            f"{said}; the token in api_key belongs to another location than location_id names"
        )
    if status == 404 and re.search(r"\bcannot (get|post|put|delete) /", text):
        return RequestRejected(f"{said}; this is not the address of API v2: check api_url")
    return None


def _unauthorized(method: str, path: str, said: str, text: str) -> SingerHTTPError:
    if "version" in text and "header" in text:
        return _wrong_header(said)
    if "user type" in text or "authclass" in text:
        return BadCredentials(
            f"{said}; the token in api_key is an agency's: make a private integration in the "
            "location (sub-account), and set api_key to its token"
        )
    if "scope" in text:
        scope = scope_of(method, path)
        return BadCredentials(
            f"{said}; {method} {path} needs the scope {scope or '(unknown)'}: add it to the "
            "private integration of api_key, the token stays the same"
        )
    if "expired" in text:
        return BadCredentials(f"{said}; the token in api_key has expired: make a new one")
    if "private integration" in text:
        return BadCredentials(
            f"{said}; the token in api_key is unknown: copied wrong, rotated or deleted"
        )
    return BadCredentials(
        f"{said}; API v2 needs a private integration token (pit-...) in api_key; with a key of "
        "API v1, set api_version to v1; check api_url too"
    )


def _wrong_header(said: str) -> ConfigError:
    return ConfigError(f"{said}; check version_header: 2021-07-28 is known to work")
