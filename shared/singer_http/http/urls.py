"""Which addresses credentials may go to: https, or http on this machine."""

from __future__ import annotations

import ipaddress
import re
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlsplit

if TYPE_CHECKING:
    from collections.abc import Mapping


def is_loopback(host: str) -> bool:
    """Whether a host name or address can only be this machine."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def require_safe_url(url: str) -> str:
    """The same URL, if a credential may be sent there.

    Raises:
        ValueError: it may not; the text says what is accepted and never shows the URL.
    """
    accepts = "an address like https://host/path (http:// only for this machine)"
    try:
        parts = urlsplit(url)
        host, _port = parts.hostname, parts.port
    except ValueError:
        raise ValueError(accepts) from None
    # Readers of URLs differ about these characters, and then about the host.
    if not host or re.search(r"[\\\s\x00-\x1f\x7f]", url):
        raise ValueError(accepts)
    if "@" in parts.netloc:
        message = f"{accepts}, without a user and password in it"
        raise ValueError(message)
    if parts.fragment:
        message = f"{accepts}, without a # part"
        raise ValueError(message)
    if parts.scheme != "https" and not (parts.scheme == "http" and is_loopback(host)):
        raise ValueError(accepts)
    return url


def segment(value: object) -> str:
    """A value as one segment of a URL's path.

    Raises:
        ValueError: an empty value, `.` or `..`: they would make another address of it.
    """
    text = str(value)
    if text in ("", ".", ".."):
        message = f"{text!r} cannot be part of an address"
        raise ValueError(message)
    return quote(text, safe="")


def query(params: Mapping[str, Any]) -> str:
    """A query string, strictly encoded (`+` is %2B). None is left out, an empty text kept.

    A list repeats its name; booleans are `true` and `false`.
    """
    pairs: list[str] = []
    for name, value in params.items():
        for item in value if isinstance(value, list | tuple) else (value,):
            if item is None:
                continue
            text = str(item).lower() if isinstance(item, bool) else str(item)
            pairs.append(f"{quote(name, safe='')}={quote(text, safe='')}")
    return "&".join(pairs)
