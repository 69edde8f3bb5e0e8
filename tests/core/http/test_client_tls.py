"""The client: certificates it trusts, and proxies it goes through, as the environment says."""

from __future__ import annotations

import contextlib
import socket
import ssl
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from typing_extensions import override

from singer_http.errors import RequestRejected, SingerHTTPError, Uncertain, VendorDown
from singer_http.http.client import Client
from singer_http.operations import Effect
from tests.answering import Reply, Server

VARIABLES = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE", "SSL_CERT_DIR")


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (*VARIABLES, "https_proxy", "HTTPS_PROXY", "all_proxy", "no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a certificate that no one knows, for 127.0.0.1 and api.example."""
    folder = tmp_path_factory.mktemp("tls")
    command = (
        "openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=test -keyout key.pem "
        "-out ca.pem -addext subjectAltName=IP:127.0.0.1,DNS:api.example"
    )
    subprocess.run(command.split(), cwd=folder, check=True, capture_output=True)
    digest = subprocess.run(
        ["openssl", "x509", "-hash", "-noout", "-in", "ca.pem"],
        cwd=folder,
        check=True,
        capture_output=True,
        text=True,
    )
    (folder / f"{digest.stdout.strip()}.0").write_bytes((folder / "ca.pem").read_bytes())
    return folder


class SecureServer(Server):
    """A server that says nothing of a handshake that fails: some tests are about that."""

    @override
    def handle_error(self, request: Any, client_address: Any) -> None:
        """Keep quiet."""


@pytest.fixture
def secure(certificate: Path) -> Iterator[Server]:
    """A server that answers over https."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate / "ca.pem", certificate / "key.pem")
    with SecureServer() as server:
        server.socket = context.wrap_socket(server.socket, server_side=True)
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        yield server
        server.shutdown()


def port(server: Server) -> int:
    return int(server.server_address[1])


def test_an_unknown_certificate_is_refused_before_anything_is_sent(secure: Server) -> None:
    with pytest.raises(RequestRejected, match=r"cannot be verified.*REQUESTS_CA_BUNDLE") as caught:
        Client(f"https://127.0.0.1:{port(secure)}").request("POST", "x", effect=Effect.CREATE)
    assert caught.value.nothing_was_done
    assert secure.seen == []


@pytest.mark.parametrize("variable", VARIABLES)
def test_the_environment_names_the_certificates_to_trust(
    secure: Server, certificate: Path, monkeypatch: pytest.MonkeyPatch, variable: str
) -> None:
    folder = variable == "SSL_CERT_DIR"
    monkeypatch.setenv(variable, str(certificate if folder else certificate / "ca.pem"))
    assert Client(f"https://127.0.0.1:{port(secure)}").request("GET", "x").status == 200


class Proxy(threading.Thread):
    """Connects whoever asks to one server, whatever they ask for."""

    def __init__(self, target: int, status: str = "200 OK") -> None:
        """Listen on any port of this machine."""
        super().__init__(daemon=True)
        self.target, self.status, self.asked = target, status, list[str]()
        self.listener = socket.create_server(("127.0.0.1", 0))

    @property
    def url(self) -> str:
        return f"http://me:proxy-password@127.0.0.1:{self.listener.getsockname()[1]}"

    @override
    def run(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                threading.Thread(target=self.serve, args=self.listener.accept()[:1]).start()

    def serve(self, client: socket.socket) -> None:
        with client:
            head = b""
            while b"\r\n\r\n" not in head:
                head += client.recv(4096)
            self.asked.append(head.split(b"\r\n")[0].decode())
            client.sendall(f"HTTP/1.1 {self.status}\r\n\r\n".encode())
            if not self.status.startswith("200"):
                return
            with socket.create_connection(("127.0.0.1", self.target)) as server:
                back = threading.Thread(target=pump, args=(server, client))
                back.start()
                pump(client, server)
                back.join()


def pump(source: socket.socket, sink: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while data := source.recv(65536):
            sink.sendall(data)
        sink.shutdown(socket.SHUT_WR)


@pytest.fixture
def proxy(secure: Server, certificate: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Proxy]:
    """A proxy in the environment that leads to the https server."""
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate / "ca.pem"))
    proxy = Proxy(port(secure))
    proxy.start()
    monkeypatch.setenv("https_proxy", proxy.url)
    yield proxy
    proxy.listener.close()


def send(**more: Any) -> Any:
    return Client("https://api.example/v1", timeout=2, **more).request(
        "POST", "x", json={}, effect=Effect.AT_MOST_ONCE
    )


def test_https_goes_through_the_proxy(proxy: Proxy, secure: Server) -> None:
    assert send().status == 200
    assert [line.split()[:2] for line in proxy.asked] == [["CONNECT", "api.example:443"]]
    assert [seen.path for seen in secure.seen] == ["/v1/x"]


@pytest.mark.parametrize(
    "reply", [Reply(drop=True), Reply(delay=3), Reply(body=b'{"a', length=99)], ids=str
)
def test_an_answer_that_is_lost_behind_a_proxy_is_never_sent_again(
    proxy: Proxy, secure: Server, reply: Reply
) -> None:
    secure.will(reply)
    with pytest.raises(Uncertain) as caught:
        send()
    assert not caught.value.nothing_was_done
    assert len(secure.seen) == 1


def test_a_proxy_that_refuses_means_that_nothing_was_sent(proxy: Proxy, secure: Server) -> None:
    proxy.status = "403 Forbidden"
    with pytest.raises(VendorDown, match=r"through the proxy: 403 Forbidden\)") as caught:
        send(max_retries=0)
    assert caught.value.nothing_was_done
    assert "proxy-password" not in str(caught.value)
    assert secure.seen == []


def test_no_proxy_names_hosts_that_are_reached_directly(
    proxy: Proxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("no_proxy", "api.example")
    with pytest.raises(VendorDown, match=r"no connection to api\.example"):
        send(max_retries=0)
    assert proxy.asked == []


def test_the_loopback_is_reached_directly(proxy: Proxy, secure: Server) -> None:
    assert Client(f"https://127.0.0.1:{port(secure)}").request("GET", "x").status == 200
    assert proxy.asked == []


def test_a_large_body_is_sent_whole(proxy: Proxy, secure: Server) -> None:
    body = b"[" + b"1," * 100_000 + b"1]"
    Client("https://api.example").request("PATCH", "x", body=body)
    assert secure.seen[0].body == body


def test_cookies_are_not_kept(server: Server, client: Client) -> None:
    server.will(Reply(again=(("Set-Cookie", "session=1; Path=/"),)))
    client.request("GET", "x")
    client.request("GET", "x")
    assert "Cookie" not in server.seen[1].headers


def test_a_dripping_tls_answer_ends_too(proxy: Proxy, secure: Server) -> None:
    secure.will(Reply(drip=0.1))
    with pytest.raises(SingerHTTPError, match="no answer"):
        send(max_retries=0)
