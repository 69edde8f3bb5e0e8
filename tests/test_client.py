"""The client: what it sends again, what it never sends twice, where it never goes."""

from __future__ import annotations

import email.utils
import logging
import queue
import socket
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import SimpleNamespace
from typing import Any

import pytest
import requests
import requests_mock
from requests.auth import AuthBase
from typing_extensions import override

from singer_http.addresses import query, require_safe_url, segment
from singer_http.auth import BearerKey, HeaderKey
from singer_http.client import Client
from singer_http.errors import (
    BadCredentials,
    Cancelled,
    ComeBackLater,
    Misdirected,
    NotFound,
    Refused,
    Uncertain,
    VendorDown,
    reason_of,
)
from singer_http.operations import Effect

JSON = {"Content-Type": "application/json"}
UNREPEATABLE = [Effect.CREATE, Effect.ONCE]


@dataclass
class Reply:
    """What the server does with a request."""

    status: int = 200
    body: bytes = b'{"ok": true}'
    headers: dict[str, str] = field(default_factory=lambda: dict(JSON))
    length: int | None = None
    """Content-Length, where it is not the body's."""
    drop: bool = False
    """Close the connection without an answer."""
    delay: float = 0.0
    close_after: bool = False
    """Close the connection after the answer, without having said so."""


class Server(ThreadingHTTPServer):
    """Answers with the replies that are given to it, then with 200."""

    daemon_threads = True

    def __init__(self) -> None:
        """Listen on any port of this machine."""
        super().__init__(("127.0.0.1", 0), Handler)
        self.replies: queue.Queue[Reply] = queue.Queue()
        self.seen: list[SimpleNamespace] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/v1"

    def will(self, *replies: Reply) -> None:
        for reply in replies:
            self.replies.put(reply)


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Server

    def handle_any(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        seen = SimpleNamespace(
            method=self.command,
            path=self.path,
            headers=self.headers,
            body=body,
            at=time.monotonic(),
            port=self.client_address[1],
        )
        self.server.seen.append(seen)
        try:
            reply = self.server.replies.get_nowait()
        except queue.Empty:
            reply = Reply()
        time.sleep(reply.delay)
        if reply.drop:
            self.close_connection = True
            self.connection.shutdown(socket.SHUT_RDWR)
            return
        self.send_response_only(reply.status)
        for name, value in reply.headers.items():
            self.send_header(name, value)
        self.send_header(
            "Content-Length", str(len(reply.body) if reply.length is None else reply.length)
        )
        self.end_headers()
        self.wfile.write(reply.body)
        if reply.close_after or reply.length is not None:
            self.close_connection = True

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = handle_any  # noqa: N815

    @override
    def log_message(self, *args: Any) -> None:
        """Keep quiet."""


LOST = [
    pytest.param(Reply(drop=True), id="dropped"),
    pytest.param(Reply(503), id="503"),
    pytest.param(Reply(body=b'{"data": [{"id": 1'), id="cut JSON"),
    pytest.param(Reply(body=b'{"da', length=500), id="cut body"),
    pytest.param(Reply(body=b"<html>We are back soon</html>"), id="web page"),
    pytest.param(Reply(body=b"<html>", headers=dict(JSON)), id="JSON that is none"),
]


@pytest.fixture
def server() -> Iterator[Server]:
    with Server() as server:
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        yield server
        server.shutdown()


@pytest.fixture(autouse=True)
def no_jitter(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("backoff.full_jitter", lambda value: min(value, 0.01))


@pytest.fixture
def client(server: Server) -> Iterator[Client]:
    client = Client(server.url, max_retries=2, timeout=5, concurrency=1)
    yield client
    client.close()


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


@pytest.mark.parametrize("reply", LOST)
def test_a_lost_answer_is_asked_for_again_where_that_is_harmless(
    server: Server, client: Client, reply: Reply
) -> None:
    server.will(reply, reply)
    meter = SimpleNamespace(requests=0, retries=0)
    assert client.request("PUT", "x", json={}, meter=meter).data == {"ok": True}
    assert (meter.requests, meter.retries) == (3, 2)


@pytest.mark.parametrize("effect", UNREPEATABLE)
@pytest.mark.parametrize("reply", LOST)
def test_what_must_not_happen_twice_is_uncertain_after_a_lost_answer(
    server: Server, client: Client, reply: Reply, effect: Effect
) -> None:
    server.will(reply)
    with pytest.raises(Uncertain) as caught:
        client.request("POST", "x", json={}, effect=effect)
    assert caught.value.attempts == len(server.seen) == 1
    assert caught.value.status == (503 if reply.status == 503 else None)


def test_no_answer_in_time_is_a_lost_answer(server: Server) -> None:
    client = Client(server.url, max_retries=0, timeout=0.2)
    server.will(Reply(delay=1), Reply(delay=1))
    with pytest.raises(Uncertain, match="no answer"):
        client.request("POST", "x", effect=Effect.ONCE)
    with pytest.raises(VendorDown, match=r"no answer .* within 0.2 s"):
        client.request("GET", "x")


@pytest.mark.parametrize("effect", list(Effect))
def test_429_is_tried_again_whatever_the_effect(
    server: Server, client: Client, effect: Effect
) -> None:
    server.will(Reply(429), Reply(429))
    assert client.request("POST", "x", effect=effect).status == 200
    assert len(server.seen) == 3


@pytest.mark.parametrize("effect", list(Effect))
def test_without_a_connection_nothing_was_sent_so_it_is_tried_again(effect: Effect) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{closed.getsockname()[1]}"
        with pytest.raises(VendorDown, match=r"in 3 tries .*refused.*max_retries"):
            Client(url, max_retries=2).request("POST", "x", effect=effect)


def test_the_tries_end(server: Server, client: Client) -> None:
    server.will(*[Reply(500, b'{"message": "down for repair"}')] * 9)
    with pytest.raises(VendorDown, match=r"in 3 tries .*HTTP 500: down for repair"):
        client.request("GET", "x")
    assert len(server.seen) == 3


@pytest.mark.parametrize(
    "headers",
    [
        lambda: {"Retry-After": "1"},
        lambda: {"Retry-After": email.utils.formatdate(time.time() + 1.5, usegmt=True)},
        lambda: {"X-RateLimit-Reset": str(time.time() + 1)},
        # The server's clock is an hour ahead: its own Date tells.
        lambda: {
            "Date": email.utils.formatdate(time.time() + 3600, usegmt=True),
            "Retry-After": email.utils.formatdate(time.time() + 3601, usegmt=True),
        },
    ],
    ids=["seconds", "date", "epoch", "wrong clock"],
)
def test_a_pause_is_as_long_as_the_vendor_asks(
    server: Server, client: Client, headers: Any
) -> None:
    server.will(Reply(429, headers=headers()))
    began = time.monotonic()
    client.request("GET", "x")
    assert 0.4 < time.monotonic() - began < 2.5


def test_a_pause_beyond_max_wait_ends_the_run_and_says_when_to_come_back(
    server: Server, client: Client
) -> None:
    server.will(Reply(429, headers={"Retry-After": "3600"}))
    with pytest.raises(ComeBackLater, match=r"3600 s.*max_wait \(300 s\).*after 20\d\d-") as caught:
        client.request("GET", "x")
    assert 3500 < caught.value.until.timestamp() - time.time() < 3700


def test_a_pause_holds_every_thread(server: Server, client: Client) -> None:
    server.will(Reply(429, headers={"Retry-After": "1"}))
    first = threading.Thread(target=client.request, args=("GET", "first"))
    first.start()
    while not server.seen:
        time.sleep(0.01)
    time.sleep(0.2)
    client.request("GET", "second")
    first.join()
    assert server.seen[1].at - server.seen[0].at > 0.95


def test_stop_wakes_those_who_wait(server: Server, client: Client) -> None:
    server.will(Reply(429, headers={"Retry-After": "200"}))
    caught: list[Exception] = []

    def wait() -> None:
        try:
            client.request("GET", "x")
        except Cancelled as error:
            caught.append(error)

    thread = threading.Thread(target=wait)
    thread.start()
    while not server.seen:
        time.sleep(0.01)
    client.stop()
    thread.join(2)
    assert caught
    with pytest.raises(Cancelled):
        client.request("GET", "x")
    assert len(server.seen) == 1


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
    with pytest.raises(BadCredentials, match=r"HTTP 401: who.*look at key"):
        client.request("POST", "x", effect=effect)


@pytest.mark.parametrize("status", [401, 403])
def test_a_key_that_is_not_accepted_ends_the_run(server: Server, status: int) -> None:
    client = Client(server.url, auth=HeaderKey("api-key", "no-good-key"))
    server.will(Reply(status, b'{"error": "access_denied", "error_description": "No"}'))
    with pytest.raises(BadCredentials, match=f"HTTP {status}: No; access_denied; look at api_key"):
        client.request("GET", "x")
    assert len(server.seen) == 1


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
        (405, Misdirected),
        (415, Misdirected),
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


def test_redirects_are_not_followed(server: Server, client: Client) -> None:
    server.will(Reply(302, headers={"Location": "http://stranger.example/x?key=1"}))
    with pytest.raises(Misdirected, match=r"GET /v1/x: HTTP 302.*stranger.example.*address"):
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
        Client("https://api.example", max_retries=0).request("GET", "x", effect=Effect.ONCE)


def test_a_missing_ca_bundle_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", "/nowhere/ca.pem")
    with pytest.raises(Exception, match=r"/nowhere/ca\.pem"):
        Client("https://127.0.0.1:9").request("GET", "x")


def test_an_idle_connection_is_not_trusted_with_a_create(
    server: Server, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("singer_http.transport.LONGEST_IDLE", 0.2)
    for pause in (0, 0.3):
        time.sleep(pause)
        client.request("POST", "x", effect=Effect.CREATE)
    client.request("POST", "x", effect=Effect.CREATE)
    first, second, third = (seen.port for seen in server.seen)
    assert first != second == third


def test_a_connection_that_the_server_closed_is_not_used_again(
    server: Server, client: Client
) -> None:
    server.will(Reply(close_after=True))
    client.request("POST", "x", effect=Effect.CREATE)
    time.sleep(0.1)
    client.request("POST", "x", effect=Effect.CREATE)
    assert len(server.seen) == 2


def test_neither_key_nor_body_is_logged(server: Server, caplog: pytest.LogCaptureFixture) -> None:
    client = Client(server.url, auth=BearerKey("k3y+of/all"), max_retries=0)
    with caplog.at_level(logging.DEBUG):
        client.request("POST", "k3y%2Bof%2Fall/x", params={"key": "k3y+of/all"}, json={"pin": 9876})
    assert "[secret]" in caplog.text
    for text in ("k3y", "9876"):
        assert text not in caplog.text


def test_every_try_has_a_permit(server: Server) -> None:
    held: list[str] = []

    class Limiter:
        def permit(self) -> Any:
            return self

        def stop(self) -> None: ...

        def __enter__(self) -> None:
            held.append("take")

        def __exit__(self, *_: object) -> None:
            held.append(f"give after {len(server.seen)}")

    server.will(Reply(503))
    Client(server.url, limiter=Limiter()).request("GET", "x")
    assert held == ["take", "give after 1", "take", "give after 2"]


def test_requests_mock_works() -> None:
    with requests_mock.Mocker() as mock:
        mock.get("https://api.example/v1/x?a=1", json={"a": 1}, headers={"X-Total": "3"})
        answer = Client("https://api.example/v1").request("GET", "x", params={"a": 1})
        assert (answer.data, answer.headers["x-total"]) == ({"a": 1}, "3")
        mock.get("https://api.example/v1/x", exc=requests.ConnectTimeout)
        with pytest.raises(VendorDown):
            Client("https://api.example/v1", max_retries=0).request("GET", "x", effect=Effect.ONCE)


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


@pytest.mark.parametrize("value", ["", ".", ".."])
def test_data_cannot_become_another_address(value: str) -> None:
    with pytest.raises(ValueError, match="cannot be part of an address"):
        segment(value)


def test_data_in_addresses_is_encoded() -> None:
    assert segment("a/../b?c#d e+f") == "a%2F..%2Fb%3Fc%23d%20e%2Bf"
    assert query({"a&b": "c=d+é"}) == "a%26b=c%3Dd%2B%C3%A9"
