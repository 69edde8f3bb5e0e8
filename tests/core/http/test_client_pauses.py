"""The client: how long it waits where the vendor asks for a pause."""

from __future__ import annotations

import email.utils
import time
from collections.abc import Callable
from contextlib import closing

import pytest

from singer_http.errors import RetryLater, VendorDown
from singer_http.http.client import Client
from tests.answering import Reply, Server

Headers = tuple[tuple[str, str], ...]


def date(seconds: float) -> str:
    """The moment so many seconds from now, as HTTP writes it."""
    return email.utils.formatdate(time.time() + seconds, usegmt=True)


def asked(server: Server, *headers: tuple[str, str], status: int = 429) -> float | None:
    """Seconds that a client would wait after an answer with these headers; None: it does not."""
    server.will(Reply(status, again=headers))
    with closing(Client(server.url, max_wait=-1, max_retries=0)) as client:
        try:
            client.request("GET", "x")
        except RetryLater as error:
            return error.retry_at.timestamp() - time.time()
        except VendorDown:  # it would have tried again after its own back-off
            return None
    return None


READINGS: list[tuple[str, float]] = [
    ("4, 5", 5),
    ("5, 4", 5),
    ("5.5", 5.5),
    (" 5 ", 5),
    ("5s", 5),
    ("5 seconds", 5),
    ("1500 ms", 1.5),
    ("2 min", 120),
    ('"5"', 5),
    ("0", 0),
    ("soon, 5", 5),
    ("5, -7", 5),
    ("7;comment", 7),
]


@pytest.mark.parametrize(("text", "seconds"), READINGS)
def test_the_longest_sensible_reading_of_a_pause_counts(
    server: Server, text: str, seconds: float
) -> None:
    assert asked(server, ("Retry-After", text)) == pytest.approx(seconds, abs=1)


MIXTURES: list[tuple[Callable[[], Headers], float]] = [
    (lambda: (("Retry-After", "4"), ("Retry-After", "5")), 5),
    (lambda: (("Retry-After", date(60)),), 60),
    (lambda: (("Retry-After", f"5, {date(60)}"),), 60),
    (lambda: (("Retry-After", f"{date(60)}, 100"),), 100),
    (lambda: (("Retry-After", date(60)), ("Retry-After", "garbage"), ("Retry-After", "4")), 60),
    (lambda: (("Retry-After", date(-60)),), 0),
    (lambda: (("Retry-After", time.strftime("%a %b %d %H:%M:%S %Y", time.gmtime(2e9))),), -1),
    (lambda: (("Retry-After", str(int(time.time()) + 60)),), 60),
    (lambda: (("X-RateLimit-Reset", str(time.time() + 60)),), 60),
    (lambda: (("X-RateLimit-Reset", "60"),), 60),
    (lambda: (("Retry-After", "garbage"), ("X-RateLimit-Reset", "60")), 60),
    # The server's clock is an hour ahead: its own Date tells.
    (lambda: (("Date", date(3600)), ("Retry-After", date(3660))), 60),
]


@pytest.mark.parametrize(("headers", "seconds"), MIXTURES)
def test_dates_and_several_headers_are_read(
    server: Server, headers: Callable[[], Headers], seconds: float
) -> None:
    found = asked(server, *headers())
    if seconds < 0:  # the year 2033 is no pause
        assert found is None
    else:
        assert found == pytest.approx(seconds, abs=3)


@pytest.mark.parametrize(
    "text", ["", "soon", "-5", "nan", "inf", "1e9", "5x", "99999999999", "0x10", "\u0665", "4 5"]
)
def test_nonsense_is_no_pause(server: Server, text: str) -> None:
    assert asked(server, ("Retry-After", text)) is None


def test_a_reset_time_counts_with_a_429_only(server: Server) -> None:
    assert asked(server, ("X-RateLimit-Reset", "60"), status=503) is None
    assert asked(server, ("Retry-After", "60"), status=503) == pytest.approx(60, abs=1)


def test_the_client_waits_as_long_as_it_is_asked_to(server: Server, client: Client) -> None:
    server.will(Reply(429, again=(("Retry-After", "0, 1"),)))
    client.request("GET", "x")
    assert server.seen[1].at - server.seen[0].at >= 1
