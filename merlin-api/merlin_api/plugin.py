"""What both plugins have: settings and credentials."""

from __future__ import annotations

from typing import Any

from singer_sdk import typing as th
from typing_extensions import override

from merlin_api.auth import KeyInBody
from singer_http.plugin.base import HTTPPlugin


def api_settings() -> tuple[th.Property[Any], ...]:
    """The settings of both plugins, new ones each time: the SDK changes them in place."""
    return (
        th.Property(
            "api_key",
            th.StringType,
            required=True,
            secret=True,
            description="Secret key, from Merlin.",
        ),
        th.Property(
            "api_url",
            th.URIType,
            default="https://ccenter.merlin.watch/flex/API/",
            description="Address of the calls about contacts.",
        ),
    )


class MerlinPlugin(HTTPPlugin):
    """A plugin for Merlin CRM's action API."""

    @override
    def new_auth(self) -> KeyInBody:
        return KeyInBody(self.config["api_key"])
