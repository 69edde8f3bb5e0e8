"""The settings that point each plugin at a sandbox."""

from __future__ import annotations

from typing import Any

PLUGINS = (
    "tap-autoreach",
    "target-autoreach",
    "tap-reisoftware",
    "target-reisoftware",
    "tap-emailmarketing",
    "target-emailmarketing",
    "tap-actionapi",
    "target-actionapi",
)


REI_LOCATION = "C2QujeCh8ZnC7al2InWR"
"""The location of REI Software's default account."""
REI_TOKEN = "pit-00000000-0000-4000-8000-000000000001"  # noqa: S105 - opens nothing but the sandbox
"""Its private integration token, for API v2."""


def plugin_settings(url: str, api_version: str = "v1") -> dict[str, dict[str, Any]]:
    """Plugin → settings, for the sandbox at `url`; `api_version` v1 or v2 is REI Software's."""
    autoreach = {
        "client_id": "sandbox-client",
        "client_secret": "sandbox-secret",
        "auth_url": f"{url}/autoreach/oauth/token",
        "api_url": f"{url}/autoreach/api/v1",
    }
    rei = {"api_key": "sandbox-rei-key", "api_url": f"{url}/rei/v1"}
    if api_version == "v2":
        rei = {
            "api_version": "v2",
            "api_key": REI_TOKEN,
            "location_id": REI_LOCATION,
            "api_url": f"{url}/rei/v2",
        }
    kasplo = {
        "api_url": f"{url}/kasplo",
        "sid": "sandbox-sid",
        "api_key": "sandbox-kasplo-key",
    }
    merlin = {"api_key": "sandbox-merlin-key", "api_url": f"{url}/merlin/flex/API/"}
    merlin_target = {
        **merlin,
        "automation_url": f"{url}/merlin/flex/automation/",
        "message_url": f"{url}/merlin/flex/message/",
    }
    values = (autoreach, autoreach, rei, rei, kasplo, kasplo, merlin, merlin_target)
    return {plugin: dict(value) for plugin, value in zip(PLUGINS, values, strict=True)}


def environment(url: str, api_version: str = "v2") -> dict[str, str]:
    """The same as environment variables, as Meltano and the SDK read them.

    A person is shown API v2 of REI Software: there are no new keys for v1.
    """
    return {
        f"{plugin}_{name}".replace("-", "_").upper(): str(value)
        for plugin, settings in plugin_settings(url, api_version).items()
        for name, value in settings.items()
    }
