"""The client: what it reads in an answer, to the digit and to the letter, and how long it reads."""

from __future__ import annotations

import time
from decimal import Decimal

import pytest

from singer_http.errors import Cancelled, NotFound, Refused, SingerHTTPError, Uncertain, VendorDown
from singer_http.http.client import Client
from singer_http.operations import Effect
from tests.answering import Reply, Server

pytestmark = pytest.mark.usefixtures("no_jitter")

JSON = "application/json"
NAME = '{"name": "Müller"}'


@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        (JSON, NAME.encode()),
        (JSON, NAME.encode("utf-8-sig")),
        (JSON, NAME.encode("utf-16")),
        (JSON, NAME.encode("utf-16-be")),
        (JSON, NAME.encode("utf-32")),
        (f"{JSON}; charset=utf-8", NAME.encode()),
        (f"{JSON}; charset=UTF8", NAME.encode("utf-8-sig")),
        (f"{JSON}; charset=us-ascii", NAME.encode()),
        (f"{JSON}; charset=ISO-8859-1", NAME.encode("iso-8859-1")),
        (f'{JSON}; charset="iso-8859-1"', NAME.encode("iso-8859-1")),
        (f"{JSON};CHARSET='windows-1252' ; x=y", NAME.encode("windows-1252")),
        (f"{JSON}; charset=utf-16", NAME.encode("utf-16")),
        (f"{JSON}; charset=utf-16", NAME.encode("utf-16-be")),
        (f"{JSON}; charset=utf-16le", NAME.encode("utf-16-le")),
        (f"{JSON}; charset=iso-8859-1", NAME.encode("utf-8-sig")),
        (f"{JSON}; charset=klingon", NAME.encode()),
        (f"{JSON}; charset=base64", NAME.encode()),
        ("", NAME.encode()),
    ],
)
def test_the_declared_charset_is_used(
    server: Server, client: Client, content_type: str, body: bytes
) -> None:
    server.will(Reply(body=body, headers={"Content-Type": content_type}))
    assert client.request("GET", "x").data == {"name": "Müller"}


def test_plain_text_has_a_charset_too(server: Server, client: Client) -> None:
    headers = {"Content-Type": "text/plain; charset=windows-1252"}
    server.will(Reply(body="5 € für Ann".encode("cp1252"), headers=headers))
    assert client.request("GET", "x").data == "5 € für Ann"


UNREADABLE = [
    (JSON, NAME.encode("iso-8859-1")),
    (f"{JSON}; charset=utf-8", NAME.encode("iso-8859-1")),
    (f"{JSON}; charset=klingon", NAME.encode("iso-8859-1")),
    (f"{JSON}; charset=utf-16", NAME.encode("utf-16")[:-1]),
    (f"{JSON}; charset=windows-1252", b'{"name": "\x81"}'),
    ("text/plain", "Müller".encode("iso-8859-1")),
    ("text/html", b'{"M\xfcller": 1}'),
]


@pytest.mark.parametrize(("content_type", "body"), UNREADABLE)
def test_what_cannot_be_decoded_is_no_answer(
    server: Server, client: Client, content_type: str, body: bytes
) -> None:
    reply = Reply(body=body, headers={"Content-Type": content_type})
    server.will(*[reply] * 4)
    with pytest.raises(VendorDown, match="cannot be decoded as"):
        client.request("GET", "x")
    with pytest.raises(Uncertain):
        client.request("POST", "x", effect=Effect.AT_MOST_ONCE)


def test_a_refusal_that_cannot_be_decoded_is_still_a_refusal(
    server: Server, client: Client
) -> None:
    server.will(Reply(422, NAME.encode("iso-8859-1")))
    with pytest.raises(Refused, match="no reason given") as caught:
        client.request("POST", "x")
    assert not caught.value.nothing_was_done


def test_a_404_that_is_cut_off_says_nothing_of_the_record(server: Server, client: Client) -> None:
    whole = b'{"errors": [{"title": "not found"}]}'
    headers = {"Content-Type": JSON}
    server.will(Reply(404, whole[:9], headers=headers), Reply(404, whole, headers=headers))
    with pytest.raises(NotFound) as caught:
        client.request("DELETE", "x")
    assert caught.value.data == {"errors": [{"title": "not found"}]}


def test_the_reason_of_a_refusal_is_decoded(server: Server, client: Client) -> None:
    headers = {"Content-Type": f"{JSON}; charset=iso-8859-1"}
    server.will(Reply(422, '{"message": "ungültig"}'.encode("iso-8859-1"), headers))
    with pytest.raises(Refused, match="ungültig"):
        client.request("POST", "x")


def test_numbers_are_exact(server: Server, client: Client) -> None:
    big = 123456789012345678901234567890
    server.will(Reply(body=b'{"a": %d, "b": 9007199254740993.0, "c": 1.10, "d": 7}' % big))
    data = client.request("GET", "x").data
    assert data == {"a": big, "b": Decimal("9007199254740993.0"), "c": Decimal("1.10"), "d": 7}
    assert [type(value) for value in data.values()] == [int, Decimal, Decimal, int]
    assert str(data["c"]) == "1.10"


def test_numbers_are_exact_beside_what_only_a_tolerant_reader_takes(
    server: Server, client: Client
) -> None:
    server.will(Reply(body=b'{"a": NaN, "b": "\\ud83d", "c": 9007199254740993.0, "d": -Infinity}'))
    expected = {"a": None, "b": "?", "c": Decimal("9007199254740993.0"), "d": None}
    assert client.request("GET", "x").data == expected


def test_numbers_that_are_sent_are_exact(server: Server, client: Client) -> None:
    client.request("POST", "x", json={"a": 10**30, "b": Decimal("1.10")})
    assert server.seen[0].body == b'{"a":%d,"b":1.10}' % 10**30


# --- an answer that takes its time


@pytest.mark.parametrize("drip", [0.05, 0.25])
def test_a_server_that_drips_bytes_is_a_lost_answer(server: Server, drip: float) -> None:
    server.will(*[Reply(drip=drip)] * 2)
    client = Client(server.url, timeout=0.5, max_retries=0)
    began = time.monotonic()
    with pytest.raises(VendorDown, match=r"no answer .* within 0\.5 s"):
        client.request("GET", "x")
    with pytest.raises(Uncertain):
        client.request("POST", "x", effect=Effect.CREATE)
    assert time.monotonic() - began < 3


def test_the_limit_holds_for_the_body_alone_too(server: Server) -> None:
    server.will(Reply(body=b'{"a": 1}', length=100, delay=0.2))
    with pytest.raises(SingerHTTPError):
        Client(server.url, timeout=0.5, max_retries=0).request("GET", "x")


def test_stop_ends_a_request_whose_answer_drips(server: Server) -> None:
    server.will(Reply(drip=0.05))
    client = Client(server.url, timeout=0.6)
    server.stop_at_first_request(client)
    with pytest.raises(Cancelled):
        client.request("GET", "x")
    assert len(server.seen) == 1


def test_a_connection_is_used_again_after_a_slow_answer(server: Server) -> None:
    client = Client(server.url, timeout=0.5, concurrency=1)
    server.will(*[Reply(delay=0.3)] * 3)
    for _ in range(3):
        client.request("POST", "x", effect=Effect.CREATE)
    assert len({seen.port for seen in server.seen}) == 1


@pytest.mark.parametrize("interim", [(102,), (103,), (100, 102, 103)])
def test_an_answer_that_only_announces_another_is_skipped(
    server: Server, interim: tuple[int, ...]
) -> None:
    """Else the next request on the connection would get this one's answer, and so on."""
    server.will(*(Reply(body=b'{"n": %d}' % n, interim=interim) for n in range(3)))
    client = Client(server.url, timeout=5, concurrency=1, max_retries=0)
    answers = [client.request("POST", "x", effect=Effect.AT_MOST_ONCE).data for _ in range(3)]
    assert answers == [{"n": n} for n in range(3)]
