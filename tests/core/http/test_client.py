"""The client: what it sends, what it makes of the answer, with which credentials."""

from __future__ import annotations

import logging
import socket
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace
from typing import Any

import pytest
import requests
import requests_mock
from requests.auth import AuthBase
from typing_extensions import override

from singer_http.errors import (
    BadCredentials,
    ConfigError,
    NotFound,
    Refused,
    RequestRejected,
    SingerHTTPError,
    VendorDown,
    reason_of,
)
from singer_http.http.auth import BearerKey, HeaderKey
from singer_http.http.client import Client
from singer_http.operations import Effect
from tests.answering import Reply, Server


@pytest.mark.parametrize(
    ("body", "content_type", "data"),
    [
        (b'{"a": 1}', "application/json", {"a": 1}),
        (b'\xef\xbb\xbf{"a": 1}', "application/json", {"a": 1}),
        (b'""', "application/json", ""),
        (b"", "application/json", None),
        (b"  \n", "text/html", None),
        (b"12345", "text/html", 12345),
        (b"queued", "text/html", "queued"),
        (b'{"a": NaN}', "application/json", {"a": None}),
        (b'{"a": "\\ud83d"}', "application/json", {"a": "?"}),
    ],
)
def test_an_answer_is_json_text_or_nothing(
    server: Server, client: Client, body: bytes, content_type: str, data: Any
) -> None:
    server.will(Reply(body=body, headers={"Content-Type": content_type}))
    assert client.request("GET", "x").data == data


def test_close_closes_the_connections() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener, ThreadPoolExecutor() as threads:
        client = Client(f"http://127.0.0.1:{listener.getsockname()[1]}")
        asked = threads.submit(client.request, "GET", "x")
        connection, _ = listener.accept()
        with connection:
            connection.recv(1 << 16)
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}")
            asked.result()
            client.close()
            connection.settimeout(5)
            assert connection.recv(1) == b""


def test_a_request_carries_what_it_is_given(server: Server) -> None:
    client = Client(server.url, auth=BearerKey("the-key-of-all"), user_agent="tap-x/1.0")
    meter = SimpleNamespace(requests=0, retries=0)
    params = {"phone": "+49 1", "blank": "", "none": None, "flag": True, "many": ["a", "b"]}
    client.request("POST", "/a/b/", params=params, json={"n": "ü"}, meter=meter)
    client.request("POST", "a", effect=Effect.CREATE, body=b"[]", headers={"X-A": "b"})
    first, second = server.seen
    assert first.path == "/v1/a/b/?phone=%2B49%201&blank=&flag=true&many=a&many=b"
    assert first.body == '{"n":"ü"}'.encode()
    assert first.headers["Authorization"] == "Bearer the-key-of-all"
    assert first.headers["User-Agent"] == "tap-x/1.0"
    assert first.headers["Content-Type"] == "application/json"
    assert (second.path, second.body, second.headers["X-A"]) == ("/v1/a", b"[]", "b")
    assert (meter.requests, meter.retries) == (1, 0)


def test_a_post_without_a_body_says_so(server: Server, client: Client) -> None:
    client.request("POST", "contacts/1/campaigns/2")
    assert server.seen[0].headers["Content-Length"] == "0"


class Renewing(AuthBase):
    """Numbered keys."""

    setting = "key"

    def __init__(self) -> None:
        """Begin with 1."""
        self.number = 1

    @override
    def __call__(self, r: requests.PreparedRequest) -> requests.PreparedRequest:
        r.headers["Authorization"] = f"Bearer {self.number}"
        return r

    def renew(self, rejected: requests.PreparedRequest) -> bool:
        self.number += 1
        return True


@pytest.mark.parametrize("effect", list(Effect))
def test_credentials_are_renewed_once(server: Server, effect: Effect) -> None:
    client = Client(server.url, auth=Renewing())
    server.will(Reply(401))
    client.request("POST", "x", effect=effect)
    assert [seen.headers["Authorization"] for seen in server.seen] == ["Bearer 1", "Bearer 2"]
    server.will(Reply(401), Reply(401, b'{"message": "who?"}'))
    with pytest.raises(BadCredentials, match=r"HTTP 401: who.*check key"):
        client.request("POST", "x", effect=effect)


@pytest.mark.parametrize("status", [401, 403])
def test_a_key_that_is_not_accepted_ends_the_run(server: Server, status: int) -> None:
    client = Client(server.url, auth=HeaderKey("api-key", "no-good-key"))
    server.will(Reply(status, b'{"error": "access_denied", "error_description": "No"}'))
    with pytest.raises(BadCredentials, match=f"HTTP {status}: No; access_denied; check api_key"):
        client.request("GET", "x")
    assert len(server.seen) == 1


class Knowing(HeaderKey):
    """Knows what one refusal means."""

    def explain(
        self, request: requests.PreparedRequest, status: int, words: str, data: Any
    ) -> SingerHTTPError | None:
        if words != "closed":
            return None
        return ConfigError(f"{request.method} {status} {data['id']}: check office")


@pytest.mark.parametrize("status", [400, 401, 403, 404])
def test_an_auth_says_first_what_a_refusal_means(server: Server, status: int) -> None:
    client = Client(server.url, auth=Knowing("api-key", "some-key"))
    server.will(Reply(status, b'{"message": "closed", "id": 7}'), Reply(422, b'{"message": "no"}'))
    with pytest.raises(ConfigError, match=f"POST {status} 7: check office") as error:
        client.request("POST", "x", effect=Effect.CREATE)
    assert error.value.nothing_was_done
    with pytest.raises(Refused, match="422: no"):
        client.request("GET", "x")


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, Refused),
        (404, NotFound),
        (409, Refused),
        (410, NotFound),
        (413, Refused),
        (418, Refused),
        (422, Refused),
        (405, RequestRejected),
        (415, RequestRejected),
    ],
)
def test_a_refusal_is_not_tried_again(
    server: Server, client: Client, status: int, kind: type[Exception]
) -> None:
    server.will(Reply(status, b'{"errors": [{"title": "Bad", "detail": "No such row"}]}'))
    with pytest.raises(kind, match="No such row") as caught:
        client.request("POST", "x", effect=Effect.CREATE)
    assert type(caught.value) is kind
    assert len(server.seen) == 1


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ({"errors": [{"status": 400, "title": "Bad", "detail": "No phone"}]}, "No phone"),
        ({"errors": [{"title": "Bad Request"}, "x"]}, "Bad Request; x"),
        ({"message": "No", "error": "Bad Request", "statusCode": 400}, "No; Bad Request"),
        ({"message": ["a is empty", "b is empty"]}, "a is empty; b is empty"),
        ({"error": {"message": "No"}}, "No"),
        ({"email": {"message": "is bad", "rule": "email"}, "n": 1}, "email: is bad"),
        ({"errors": {"email": ["is bad", "is old"]}}, "email: is bad; is old"),
        ("<h1>Bad\n  gateway</h1>", "<h1>Bad gateway</h1>"),
        (None, ""),
        ([], ""),
        (7, ""),
        ("x" * 500, "x" * 299 + "…"),
    ],
)
def test_the_reason_is_the_vendors_words(body: Any, reason: str) -> None:
    assert reason_of(body) == reason


def test_neither_key_nor_body_is_logged(server: Server, caplog: pytest.LogCaptureFixture) -> None:
    client = Client(server.url, auth=BearerKey("k3y+of/all"), max_retries=0)
    with caplog.at_level(logging.DEBUG):
        client.request("POST", "k3y%2Bof%2Fall/x", params={"key": "k3y+of/all"}, json={"pin": 9876})
    assert "[secret]" in caplog.text
    for text in ("k3y", "9876"):
        assert text not in caplog.text


def test_requests_mock_works() -> None:
    with requests_mock.Mocker() as mock:
        mock.get("https://api.example/v1/x?a=1", json={"a": 1}, headers={"X-Total": "3"})
        answer = Client("https://api.example/v1").request("GET", "x", params={"a": 1})
        assert (answer.data, answer.headers["x-total"]) == ({"a": 1}, "3")
        mock.get("https://api.example/v1/x", exc=requests.ConnectTimeout)
        with pytest.raises(VendorDown):
            Client("https://api.example/v1", max_retries=0).request(
                "GET", "x", effect=Effect.AT_MOST_ONCE
            )
