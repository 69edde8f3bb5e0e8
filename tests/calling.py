"""Calling the sandbox as a vendor's own client would: right addresses, right credentials."""

from __future__ import annotations

from typing import Any

import requests

from singer_sandbox import Sandbox

REI = {"Authorization": "Bearer sandbox-rei-key"}
KASPLO = {"api-key": "sandbox-kasplo-key"}
TOKEN = {
    "client_id": "sandbox-client",
    "client_secret": "sandbox-secret",
    "audience": "https://www.autoreach.app/",
    "grant_type": "client_credentials",
}


def call(
    sandbox: Sandbox, method: str, path: str, body: Any = None, **more: Any
) -> requests.Response:
    return requests.request(method, sandbox.url + path, json=body, timeout=20, **more)


def token(sandbox: Sandbox, **other: str) -> requests.Response:
    return call(sandbox, "POST", "/autoreach/oauth/token", {**TOKEN, **other})


def bearer(sandbox: Sandbox) -> dict[str, str]:
    return {"Authorization": f"Bearer {token(sandbox).json()['access_token']}"}


def autoreach(sandbox: Sandbox, method: str, path: str, body: Any = None) -> requests.Response:
    return call(sandbox, method, f"/autoreach/api/v1/{path}", body, headers=bearer(sandbox))


def rei(
    sandbox: Sandbox, method: str, path: str, body: Any = None, **more: Any
) -> requests.Response:
    return call(sandbox, method, f"/rei/v1/{path}", body, headers=REI, **more)


def rei_v2(
    sandbox: Sandbox, method: str, path: str, body: Any = None, **more: Any
) -> requests.Response:
    """As `rei`, with a private integration token and a version; `headers` are put over them."""
    settings = sandbox.settings("tap-reisoftware", api_version="v2")
    headers = {"Authorization": f"Bearer {settings['api_key']}", "Version": "2021-07-28"}
    headers |= more.pop("headers", {})
    return call(sandbox, method, f"/rei/v2{path}", body, headers=headers, **more)


def merlin(sandbox: Sandbox, action: Any, key: str = "sandbox-merlin-key") -> requests.Response:
    return call(sandbox, "POST", "/merlin/flex/API/", [{"key": key}, action])


def kasplo(sandbox: Sandbox, contacts: list[Any], **more: Any) -> requests.Response:
    body = {"data": contacts, "list_id": "l1", **more}
    return call(sandbox, "POST", "/kasplo/audience/v1/sandbox-sid/contact", body, headers=KASPLO)
