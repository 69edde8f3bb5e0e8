"""Rule 1: an error says itself whether anything was done; the default is that it may have been."""

from __future__ import annotations

import datetime

import pytest

from singer_http import errors
from singer_http.errors import SingerHTTPError
from singer_http.http.client import Client
from singer_http.operations import Effect
from singer_sandbox import Sandbox

MADE: tuple[SingerHTTPError, ...] = (
    errors.SingerHTTPError("x"), errors.StopRun("x"), errors.ConfigError("x"),
    errors.BadCredentials("x"), errors.RetryLater("x", datetime.datetime.now(datetime.UTC)),
    errors.VendorDown("x"), errors.Incomplete("x"), errors.RequestRejected("x"),
    errors.Cancelled("x"), errors.Refused(400, "x"), errors.NotFound(404, "x"),
    errors.Uncertain(500, "x", 1),
)  # fmt: skip


@pytest.mark.parametrize("error", MADE, ids=[type(error).__name__ for error in MADE])
def test_no_class_of_errors_says_yes_by_itself(error: SingerHTTPError) -> None:
    assert error.nothing_was_done is False


OWN = {"errors": [{"status": "422", "title": "Unprocessable", "detail": "email is taken"}]}
KEY = {"Authorization": "Bearer sandbox-rei-key"}
TABLE = (
    # What happens, its error, and whether it proves that nothing was done.
    ({"status": 429}, "VendorDown", True),
    ({"status": 422, "answer": OWN}, "Refused", True),
    ({"status": 404, "answer": OWN}, "NotFound", True),
    ({"status": 401, "answer": OWN}, "BadCredentials", True),
    ({"status": 403, "answer": OWN}, "BadCredentials", True),
    ({"status": 405, "answer": OWN}, "RequestRejected", True),
    ({"html": 400}, "Refused", False),
    ({"html": 404}, "NotFound", False),
    ({"html": 403}, "BadCredentials", False),
    ({"status": 303}, "RequestRejected", False),
    ({"status": 408}, "Uncertain", False),
    ({"status": 500}, "Uncertain", False),
    ({"status": 503}, "Uncertain", False),
    ({"html": 502}, "Uncertain", False),
    ({"status": 504}, "Uncertain", False),
    ({"drop": True}, "Uncertain", False),
    ({"cut": True}, "Uncertain", False),
    ({"cut_json": True}, "Uncertain", False),
)


@pytest.mark.parametrize(
    ("fault", "error", "nothing"), TABLE, ids=["-".join(map(str, row[0].items())) for row in TABLE]
)
@pytest.mark.parametrize("effect", [Effect.CREATE, Effect.AT_MOST_ONCE])
def test_what_an_answer_to_a_create_proves(
    sandbox: Sandbox, fault: dict[str, object], error: str, nothing: bool, effect: Effect
) -> None:
    sandbox.fault(vendor="rei", times=None, **fault)
    client = Client(f"{sandbox.url}/rei/v1", max_retries=0)
    try:
        with pytest.raises(SingerHTTPError) as raised:
            client.request(
                "POST", "contacts/", json={"email": "a@example.com"}, effect=effect, headers=KEY
            )
    finally:
        client.close()
    assert type(raised.value).__name__ == error
    assert raised.value.nothing_was_done is nothing


def test_a_refused_connection_proves_it() -> None:
    client = Client("http://127.0.0.1:9", max_retries=0)
    try:
        with pytest.raises(errors.VendorDown) as raised:
            client.request("POST", "contacts/", json={}, effect=Effect.AT_MOST_ONCE)
    finally:
        client.close()
    assert raised.value.nothing_was_done


def test_a_clear_no_after_a_lost_answer_proves_nothing(sandbox: Sandbox) -> None:
    """The first try of an idempotent request may have been carried out."""
    sandbox.fault(vendor="rei", status=500, times=1)
    sandbox.fault(vendor="rei", status=422, times=None)
    client = Client(f"{sandbox.url}/rei/v1", max_retries=2)
    try:
        with pytest.raises(errors.Refused) as raised:
            client.request("PUT", "contacts/ann", json={"email": "a@example.com"})
    finally:
        client.close()
    assert not raised.value.nothing_was_done
