"""The client: what it sends again, and what it never sends twice; pauses."""

from __future__ import annotations

import socket
import threading
import time
from types import SimpleNamespace
from typing import Any

import pytest

from singer_http.errors import Cancelled, RetryLater, Uncertain, VendorDown
from singer_http.http.client import Client
from singer_http.http.clock import CLOCK
from singer_http.http.rate_limit import READY_WITHIN
from singer_http.operations import Effect
from tests.answering import JSON, Reply, Server
from tests.processes import wait_until

pytestmark = pytest.mark.usefixtures("no_jitter")

UNREPEATABLE = [Effect.CREATE, Effect.AT_MOST_ONCE]
LOST = [
    pytest.param(Reply(drop=True), id="dropped"),
    pytest.param(Reply(503), id="503"),
    pytest.param(Reply(body=b'{"data": [{"id": 1'), id="cut JSON"),
    pytest.param(Reply(body=b'{"da', length=500), id="cut body"),
    pytest.param(Reply(body=b"<html>We are back soon</html>"), id="web page"),
    pytest.param(Reply(body=b"<html>", headers=dict(JSON)), id="JSON that is none"),
]


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
        client.request("POST", "x", effect=Effect.AT_MOST_ONCE)
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


def test_every_try_has_a_permit(server: Server) -> None:
    held: list[str] = []

    class Limiter:
        def acquire(self) -> float:
            held.append("take")
            return CLOCK.steady()

        def release(self, *, used: bool) -> None:
            held.append(f"give {used} after {len(server.seen)}")

        def stop(self) -> None: ...

    server.will(Reply(503))
    Client(server.url, limiter=Limiter()).request("GET", "x")
    assert held == ["take", "give True after 1", "take", "give True after 2"]


def test_a_permit_that_is_too_old_when_its_request_could_leave_is_exchanged(server: Server) -> None:
    """The machine was suspended, say: for the other processes the permit has run out."""
    ages, given = [READY_WITHIN + 1, 0.0], list[bool]()

    class Limiter:
        def acquire(self) -> float:
            return CLOCK.steady() - ages.pop(0)

        def release(self, *, used: bool) -> None:
            given.append(used)

        def stop(self) -> None: ...

    meter = SimpleNamespace(requests=0, retries=0)
    Client(server.url, limiter=Limiter()).request("GET", "x", meter=meter)
    assert (given, len(server.seen)) == ([False, True], 1)
    assert (meter.requests, meter.retries) == (1, 0)


def test_a_request_does_not_leave_after_the_time_for_connecting(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    look_up = socket.getaddrinfo

    def slow(*args: Any, **more: Any) -> Any:
        time.sleep(0.5)
        return look_up(*args, **more)

    monkeypatch.setattr(socket, "getaddrinfo", slow)
    with pytest.raises(VendorDown, match=r"no connection to .* within 0\.3 s"):
        Client(server.url, timeout=0.3, max_retries=0).request("POST", "x")
    assert server.seen == []


def test_a_pause_beyond_max_wait_ends_the_run_and_says_when_to_come_back(
    server: Server, client: Client
) -> None:
    server.will(Reply(429, headers={"Retry-After": "3600"}))
    with pytest.raises(RetryLater, match=r"3600 s.*max_wait \(300 s\).*after 20\d\d-") as caught:
        client.request("GET", "x")
    assert 3500 < caught.value.retry_at.timestamp() - time.time() < 3700


def test_a_pause_holds_every_thread(
    server: Server, client: Client, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    server.will(Reply(429, headers={"Retry-After": "1"}))
    first = threading.Thread(target=client.request, args=("GET", "first"))
    first.start()
    wait_until(lambda: "Trying again in" in caplog.text)
    client.request("GET", "second")
    first.join()
    assert server.seen[1].at - server.seen[0].at > 0.95


def test_stop_wakes_those_who_wait(server: Server, client: Client) -> None:
    server.will(Reply(429, headers={"Retry-After": "200"}))
    server.stop_at_first_request(client)
    began = time.monotonic()
    for _ in range(2):
        with pytest.raises(Cancelled):
            client.request("GET", "x")
    assert time.monotonic() - began < 100
    assert len(server.seen) == 1


def test_an_idle_connection_is_not_trusted_with_a_create(
    server: Server, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    for longest in (60, 0, 60):
        monkeypatch.setattr("singer_http.http.connections.LONGEST_IDLE", longest)
        client.request("POST", "x", effect=Effect.CREATE)
    first, second, third = (seen.port for seen in server.seen)
    assert first != second == third


def test_a_connection_that_the_server_closed_is_not_used_again(
    server: Server, client: Client
) -> None:
    server.will(Reply(close_after=True))
    client.request("POST", "x", effect=Effect.CREATE)
    wait_until(lambda: server.closed)
    client.request("POST", "x", effect=Effect.CREATE)
    assert len(server.seen) == 2
