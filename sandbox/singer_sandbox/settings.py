"""The settings that point each plugin at a sandbox."""

from __future__ import annotations

from typing import Any

from singer_sandbox.account import ControlError

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


NUMBERED = "account-"
"""How the names of the accounts begin that `--accounts` makes: account-001 and so on."""


def numbered(number: int) -> str:
    """The name of an account by its number, from 1."""
    return f"{NUMBERED}{number:03}"


def credentials(account: str) -> dict[str, list[dict[str, str]]]:
    """Vendor → the credentials that open a numbered account."""
    digits = account.removeprefix(NUMBERED)
    key = f"key-{digits}"
    return {
        "autoreach": [{"client_id": f"client-{digits}", "client_secret": f"secret-{digits}"}],
        "rei": [{"api_key": key}, {"api_key": f"pit-{key}"}],
        "kasplo": [{"sid": f"sid-{digits}", "api_key": key}],
        "merlin": [{"key": key}],
    }


def plugin_settings(
    url: str, api_version: str = "v1", account: str = "default"
) -> dict[str, dict[str, Any]]:
    """Plugin → settings, for the sandbox at `url`; `api_version` v1 or v2 is REI Software's.

    `account` is `default` or a numbered one; the settings do not say whether it is there.
    """
    settings = _default_settings(url, api_version)
    if account == "default":
        return settings
    if not account.startswith(NUMBERED):
        raise ControlError(f"the settings are known of default and of {numbered(1)} and so on")
    own = credentials(account)
    rei_v1, rei_v2 = own["rei"]
    rei_v2["location_id"] = f"location-{account}"
    opening = {
        "autoreach": own["autoreach"][0],
        "reisoftware": rei_v2 if api_version == "v2" else rei_v1,
        "emailmarketing": own["kasplo"][0],
        "actionapi": {"api_key": own["merlin"][0]["key"]},
    }
    for plugin in PLUGINS:
        settings[plugin] |= opening[plugin.partition("-")[2]]
    return settings


def _default_settings(url: str, api_version: str) -> dict[str, dict[str, Any]]:
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
