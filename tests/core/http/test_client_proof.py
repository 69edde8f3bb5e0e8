"""The client: what its errors prove, guards at the last moment, answers that are none."""

from __future__ import annotations

import socket
import threading
import time
from types import SimpleNamespace
from typing import Any

import pytest
import requests
from requests.auth import AuthBase
from typing_extensions import override

from singer_http.errors import (
    BadCredentials,
    Cancelled,
    ConfigError,
    NotFound,
    Refused,
    RequestRejected,
    RetryLater,
    SingerHTTPError,
    Uncertain,
    VendorDown,
)
from singer_http.http.client import Client
from singer_http.http.clock import CLOCK
from singer_http.http.guards import guarded
from singer_http.operations import Effect
from tests.answering import JSON, Reply, Server

pytestmark = pytest.mark.usefixtures("no_jitter")

HTML = {"Content-Type": "text/html"}
UNREPEATABLE = [Effect.CREATE, Effect.AT_MOST_ONCE]


def error_of(client: Client, effect: Effect = Effect.AT_MOST_ONCE, **more: Any) -> Any:
    """The error that a request ends with."""
    with pytest.raises(SingerHTTPError) as caught:
        client.request("POST", "x", effect=effect, **more)
    return caught.value


# --- what proves that nothing was done


@pytest.mark.parametrize(
    ("reply", "kind", "nothing"),
    [
        (Reply(400, b'{"message": "no"}'), Refused, True),
        (Reply(400, b"no such number", HTML), Refused, True),
        (Reply(422, b'[{"message": "no"}]'), Refused, True),
        (Reply(404, b'{"message": "none"}'), NotFound, True),
        (Reply(405, b'{"message": "none"}'), RequestRejected, True),
        (Reply(403, b'{"message": "none"}'), BadCredentials, True),
        (Reply(401, b'{"message": "none"}'), BadCredentials, True),
        (Reply(400, b""), Refused, False),
        (Reply(400, b"  \n"), Refused, False),
        (Reply(400, b"{}"), Refused, False),
        (Reply(422, b"[]"), Refused, False),
        (Reply(422, b"[{}]"), Refused, False),
        (Reply(400, b"null"), Refused, False),
        (Reply(400, b'{"message": "", "data": null}'), Refused, False),
        (Reply(404, b"{}"), NotFound, False),
        (Reply(403, b"{}"), BadCredentials, False),
        (Reply(400, b"<html>Bad request</html>", HTML), Refused, False),
        (Reply(400, b"\n <!-- x --> <p>Bad request</p>", HTML), Refused, False),
        (Reply(400, b"Warning <br> <BODY>Bad request", HTML), Refused, False),
        (Reply(400, b'{"message": "n'), Refused, False),
        (Reply(400, b"sch\xf6n", HTML), Refused, False),
        (Reply(404, b"<html>Not found</html>", HTML), NotFound, False),
        (Reply(404, b""), NotFound, False),
        (Reply(403, b"<html>Blocked</html>", HTML), BadCredentials, False),
        (Reply(401, b""), BadCredentials, False),
        (Reply(405, b""), RequestRejected, False),
        (Reply(301, headers={**JSON, "Location": "/y"}), RequestRejected, False),
        (Reply(303, headers={**JSON, "Location": "/y"}), RequestRejected, False),
        (Reply(304, b""), RequestRejected, False),
        (Reply(408), Uncertain, False),
        (Reply(500, b'{"message": "no"}'), Uncertain, False),
        (Reply(drop=True), Uncertain, False),
        (Reply(429, again=(("Retry-After", "9999"),)), RetryLater, True),
        (Reply(425, again=(("Retry-After", "9999"),)), RetryLater, True),
    ],
)
@pytest.mark.parametrize("effect", UNREPEATABLE)
def test_an_error_says_whether_nothing_was_done(
    server: Server,
    client: Client,
    reply: Reply,
    kind: type[SingerHTTPError],
    nothing: bool,
    effect: Effect,
) -> None:
    server.will(reply)
    error = error_of(client, effect)
    assert type(error) is kind
    assert error.nothing_was_done is nothing
    assert len(server.seen) == 1


def test_without_a_connection_nothing_was_done() -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        client = Client(f"http://127.0.0.1:{closed.getsockname()[1]}", max_retries=1)
        error = error_of(client)
    assert isinstance(error, VendorDown)
    assert error.nothing_was_done


def test_an_address_that_is_not_safe_is_refused_before_anything_leaves() -> None:
    with pytest.raises(ConfigError) as caught:
        Client("https://api.example").request("GET", "http://stranger.example/x")
    assert caught.value.nothing_was_done


def test_429_until_the_tries_end_means_that_nothing_was_done(
    server: Server, client: Client
) -> None:
    server.will(*[Reply(429)] * 3)
    error = error_of(client)
    assert isinstance(error, VendorDown)
    assert error.nothing_was_done


@pytest.mark.parametrize(
    "last",
    [
        [Reply(429)] * 2,
        [Reply(400, b'{"message": "no"}')],
        [Reply(401), Reply(401)],
        [Reply(429, again=(("Retry-After", "9999"),))],
    ],
    ids=["429", "400", "401", "RetryLater"],
)
@pytest.mark.parametrize("first", [Reply(503), Reply(drop=True)], ids=["503", "dropped"])
def test_one_try_that_may_have_been_carried_out_is_enough(
    server: Server, client: Client, first: Reply, last: list[Reply]
) -> None:
    server.will(first, *last)
    assert not error_of(client, Effect.IDEMPOTENT).nothing_was_done


@pytest.mark.parametrize(("first", "nothing"), [(429, True), (503, False)])
def test_a_request_that_is_cancelled_while_it_waits_says_what_its_tries_did(
    server: Server, client: Client, first: int, nothing: bool
) -> None:
    server.will(Reply(first, again=(("Retry-After", "200"),)))
    server.stop_at_first_request(client)
    error = error_of(client, Effect.IDEMPOTENT)
    assert isinstance(error, Cancelled)
    assert error.nothing_was_done is nothing


def test_a_request_that_is_cancelled_before_it_left_did_nothing(client: Client) -> None:
    client.stop()
    assert error_of(client).nothing_was_done


def test_a_token_that_cannot_be_had_means_that_the_request_did_not_leave(server: Server) -> None:
    class NoToken(AuthBase):
        @override
        def __call__(self, r: requests.PreparedRequest) -> requests.PreparedRequest:
            message = "the token endpoint is down"
            raise VendorDown(message)

    error = error_of(Client(server.url, auth=NoToken()))
    assert error.nothing_was_done
    assert server.seen == []


class Renewing(AuthBase):
    """Credentials that can always be renewed."""

    @override
    def __call__(self, r: requests.PreparedRequest) -> requests.PreparedRequest:
        return r

    def renew(self, rejected: requests.PreparedRequest) -> bool:
        return True


@pytest.mark.parametrize("effect", UNREPEATABLE)
def test_a_401_without_the_vendors_words_does_not_prove_that_nothing_was_done(
    server: Server, effect: Effect
) -> None:
    client = Client(server.url, auth=Renewing())
    server.will(Reply(401, b""))
    error = error_of(client, effect)
    assert isinstance(error, Uncertain)
    assert not error.nothing_was_done
    assert len(server.seen) == 1


def test_what_may_be_repeated_is_sent_again_after_any_401(server: Server) -> None:
    server.will(Reply(401, b""))
    assert Client(server.url, auth=Renewing()).request("PUT", "x").status == 200


@pytest.mark.parametrize(
    ("reply", "running"),
    [
        (Reply(delay=1), True),
        (Reply(drip=0.05), True),
        (Reply(504), True),
        (Reply(drop=True), False),
        (Reply(500), False),
        (Reply(503), False),
        (Reply(body=b'{"a'), False),
    ],
)
def test_uncertain_says_whether_the_vendor_may_still_be_working(
    server: Server, reply: Reply, running: bool
) -> None:
    server.will(reply)
    error = error_of(Client(server.url, timeout=0.3))
    assert isinstance(error, Uncertain)
    assert error.still_running is running


# --- guards


class Permit:
    """A rate limit that counts what is taken and given back."""

    def __init__(self) -> None:
        """Count from zero."""
        self.given: list[bool] = []

    def acquire(self) -> float:
        return CLOCK.steady()

    def release(self, *, used: bool) -> None:
        self.given.append(used)

    def stop(self) -> None: ...


class TooLate(Exception):
    """What a guard raises."""


def refuse() -> None:
    raise TooLate


def test_a_guard_keeps_a_request_back(server: Server) -> None:
    permit, meter = Permit(), SimpleNamespace(requests=0, retries=0)
    client = Client(server.url, limiter=permit)
    with guarded(refuse), pytest.raises(TooLate):
        client.request("POST", "x", meter=meter)
    assert server.seen == []
    assert (meter.requests, meter.retries) == (0, 0)
    assert permit.given == [False]


def test_a_guard_is_asked_before_every_try_and_after_the_pause(
    server: Server, client: Client
) -> None:
    asked: list[float] = []
    server.will(Reply(429, again=(("Retry-After", "1"),)), Reply(503))
    with guarded(lambda: asked.append(time.monotonic())):
        client.request("GET", "x")
    assert len(asked) == len(server.seen) == 3
    assert asked[1] - server.seen[0].at >= 1
    assert all(0 <= seen.at - at < 0.5 for at, seen in zip(asked, server.seen, strict=True))


def test_a_guard_that_stops_the_run_says_that_nothing_was_done(
    server: Server, client: Client
) -> None:
    def guard() -> None:
        message = "max_messages is reached"
        raise ConfigError(message)

    with guarded(guard):
        assert error_of(client).nothing_was_done
    server.will(Reply(503))
    with guarded(lambda: guard() if server.seen else None):
        assert not error_of(client, Effect.IDEMPOTENT).nothing_was_done


def test_a_guard_belongs_to_its_thread(server: Server, client: Client) -> None:
    statuses: list[int] = []
    with guarded(refuse):
        thread = threading.Thread(target=lambda: statuses.append(client.request("GET", "x").status))
        thread.start()
        thread.join()
    assert statuses == [200]


# --- answers that are not understood


def known(data: Any) -> bool:
    return isinstance(data, dict) and "id" in data


@pytest.mark.parametrize("body", [b'{"message": "oops"}', b"", b"hello", b"[]"])
def test_an_answer_that_is_not_understood_is_no_answer(
    server: Server, client: Client, body: bytes
) -> None:
    reply = Reply(body=body, headers=HTML)
    server.will(reply, Reply(body=b'{"id": 1}'))
    assert client.request("GET", "x", understood=known).data == {"id": 1}
    server.will(*[reply] * 3)
    with pytest.raises(VendorDown, match=r"in 3 tries \(HTTP 200: the answer has no known form"):
        client.request("GET", "x", understood=known)


@pytest.mark.parametrize("effect", UNREPEATABLE)
def test_an_answer_that_is_not_understood_leaves_it_uncertain(
    server: Server, client: Client, effect: Effect
) -> None:
    server.will(Reply(201, b'{"message": "oops"}'))
    error = error_of(client, effect, understood=known)
    assert isinstance(error, Uncertain)
    assert error.status == 201
    assert "oops" in str(error)
    assert not error.still_running
    assert len(server.seen) == 1


def test_a_refusal_is_not_asked_whether_it_is_understood(server: Server, client: Client) -> None:
    server.will(Reply(400, b'{"message": "no"}'))
    assert isinstance(error_of(client, understood=known), Refused)
