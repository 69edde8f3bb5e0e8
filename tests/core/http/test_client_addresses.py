"""The client: where it goes, and where it never goes."""

from __future__ import annotations

from typing import Any

import pytest

from singer_http.errors import RequestRejected, VendorDown
from singer_http.http.client import Client
from singer_http.http.urls import query, require_safe_url, segment
from singer_http.operations import Effect
from tests.answering import Reply, Server


def test_redirects_are_not_followed(server: Server, client: Client) -> None:
    server.will(Reply(302, headers={"Location": "http://stranger.example/x?key=1"}))
    with pytest.raises(RequestRejected, match=r"GET /v1/x: HTTP 302.*stranger.example.*address"):
        client.request("GET", "x")
    assert len(server.seen) == 1


@pytest.mark.parametrize(
    "url",
    [
        "http://api.example/v1",
        "https://user:word@api.example",
        "https://user@api.example",
        "ftp://api.example",
        "http://127.0.0.1.example/",
        "http://localhost\\@api.example/",
        "http://localhost#@api.example/",
        "http://[::1",
        "https://",
        "api.example",
        "",
    ],
)
def test_credentials_go_nowhere_else(url: str) -> None:
    with pytest.raises(ValueError, match="an address like https"):
        Client(url)


@pytest.mark.parametrize(
    "url",
    ["https://api.example/v1/", "http://localhost:8000", "http://[::1]:80", "http://127.9.9.9"],
)
def test_these_addresses_are_safe(url: str) -> None:
    assert require_safe_url(url) == url


def test_the_loopback_knows_no_proxy_and_no_netrc(
    server: Server, monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login me password mine\n")
    monkeypatch.setenv("NETRC", str(netrc))
    Client(server.url).request("GET", "x")
    assert "Authorization" not in server.seen[0].headers


def test_https_goes_through_the_proxy_of_the_environment(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("https_proxy", server.url)
    monkeypatch.delenv("no_proxy", raising=False)
    with pytest.raises(VendorDown, match="through the proxy"):
        Client("https://api.example", max_retries=0).request("GET", "x", effect=Effect.AT_MOST_ONCE)


def test_a_missing_ca_bundle_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", "/nowhere/ca.pem")
    with pytest.raises(Exception, match=r"/nowhere/ca\.pem"):
        Client("https://127.0.0.1:9").request("GET", "x")


@pytest.mark.parametrize("value", ["", ".", ".."])
def test_data_cannot_become_another_address(value: str) -> None:
    with pytest.raises(ValueError, match="cannot be part of an address"):
        segment(value)


def test_data_in_addresses_is_encoded() -> None:
    assert segment("a/../b?c#d e+f") == "a%2F..%2Fb%3Fc%23d%20e%2Bf"
    assert query({"a&b": "c=d+é"}) == "a%26b=c%3Dd%2B%C3%A9"
