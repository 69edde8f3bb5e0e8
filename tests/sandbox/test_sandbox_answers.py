"""The sandbox answers as strangely as it is told to, and works late or sees late."""

from __future__ import annotations

import time
from typing import Any

import pytest
import requests

from singer_sandbox import Sandbox, SandboxError
from tests.calling import autoreach, call, merlin, rei

SMS = {"type": "SMS", "number": "+15551234567", "text": "hello"}
NEW = {"type": "NEW", "Email": "ann@example.com", "Fname": "Ann"}


def wait_for(found: Any, seconds: float = 5) -> None:
    ends = time.monotonic() + seconds
    while not found():
        assert time.monotonic() < ends
        time.sleep(0.02)


def test_an_answer_redirects_after_the_work(sandbox: Sandbox) -> None:
    sandbox.fault(vendor="merlin", status=303, when="after", headers={"Location": "/elsewhere"})
    answer = requests.post(
        f"{sandbox.url}/merlin/flex/API/",
        json=[{"key": "sandbox-merlin-key"}, SMS],
        timeout=20,
        allow_redirects=False,
    )
    assert (answer.status_code, answer.headers["Location"]) == (303, "/elsewhere")
    assert len(sandbox.state("merlin")["sms"]) == 1


@pytest.mark.parametrize(
    ("fault", "body"),
    [
        ({"answer": ""}, b""),
        ({"answer": "Message sent"}, b"Message sent"),
        ({"answer": None}, b"null"),
        ({"answer": {"any": [1]}}, b'{"any":[1]}'),
        ({"answer_base64": "/wA="}, b"\xff\x00"),
    ],
)
@pytest.mark.parametrize("status", [200, 404, 502])
def test_any_body_comes_with_any_status(
    sandbox: Sandbox, fault: dict[str, Any], body: bytes, status: int
) -> None:
    sandbox.fault(vendor="rei", path="lookup", status=status, content_type="text/plain", **fault)
    answer = rei(sandbox, "GET", "contacts/lookup?email=ann@example.com")
    assert (answer.status_code, answer.content) == (status, body)
    assert answer.headers["Content-Type"] == "text/plain"
    assert rei(sandbox, "GET", "tags").json() == {"tags": []}


@pytest.mark.parametrize("status", [200, 404, 502])
def test_a_gateway_answers_everything_with_its_page(sandbox: Sandbox, status: int) -> None:
    sandbox.fault(vendor="rei", html=status, times=None)
    for method, path in (("GET", "contacts/"), ("DELETE", "contacts/x"), ("GET", "tags")):
        answer = rei(sandbox, method, path)
        assert answer.status_code == status
        assert answer.headers["Content-Type"].startswith("text/html")
        assert "<html>" in answer.text
    sandbox.clear_faults()
    assert rei(sandbox, "GET", "tags").status_code == 200


def test_an_answer_drips_byte_by_byte(sandbox: Sandbox) -> None:
    sandbox.fault(vendor="rei", path="tags", drip=0.02, answer=None)
    begin = time.monotonic()
    assert rei(sandbox, "GET", "tags").json() == {"tags": []}
    assert time.monotonic() - begin > 0.02 * (len('{"tags":[]}') - 1)


@pytest.mark.parametrize(
    ("fault", "declared"),
    [
        ({}, "application/json; charset=iso-8859-1"),
        ({"declared": "utf-8"}, "application/json; charset=utf-8"),
        ({"declared": ""}, None),
    ],
)
def test_an_answer_is_encoded_in_another_charset(
    sandbox: Sandbox, fault: dict[str, Any], declared: str | None
) -> None:
    sandbox.put_state("autoreach", {"lists": [{"id": 1, "name": "Müller"}]})
    sandbox.fault(vendor="autoreach", path="lists", charset="iso-8859-1", **fault)
    answer = autoreach(sandbox, "GET", "lists")
    assert "Müller".encode("iso-8859-1") in answer.content
    assert answer.headers.get("Content-Type") == declared


def test_a_vendor_works_late_though_the_client_has_gone(sandbox: Sandbox) -> None:
    sandbox.fault(vendor="merlin", late=0.5)
    with pytest.raises(requests.ReadTimeout):
        requests.post(
            f"{sandbox.url}/merlin/flex/API/",
            json=[{"key": "sandbox-merlin-key"}, SMS],
            timeout=0.1,
        )
    assert sandbox.state("merlin")["sms"] == []
    wait_for(lambda: sandbox.state("merlin")["sms"])


@pytest.mark.parametrize("fault", [{"status": 504}, {"html": 504}, {"drop": True}])
def test_a_gateway_gives_up_before_the_work_is_done(
    sandbox: Sandbox, fault: dict[str, Any]
) -> None:
    sandbox.fault(vendor="merlin", late=0.3, **fault)
    try:
        assert merlin(sandbox, NEW).status_code == 504
    except requests.ConnectionError:
        assert "drop" in fault
    assert sandbox.state("merlin")["contacts"] == {}
    wait_for(lambda: sandbox.state("merlin")["contacts"])
    sandbox.fault(vendor="merlin", late=0.2, **fault)
    with pytest.raises(SandboxError, match="exactly one"):
        sandbox.fault(late=1, cut=True)


def test_lookups_are_behind_writes(sandbox: Sandbox) -> None:
    for vendor in ("autoreach", "rei", "merlin"):
        sandbox.options(vendor, lookup_lag=0.4)
    sandbox.put_state("rei", {"contacts": [{"id": "old", "email": "old@example.com"}]})

    def seen() -> tuple[int, bool, bool, int]:
        members = autoreach(sandbox, "GET", "members").json()["meta"]["total"]
        ann = rei(sandbox, "GET", "contacts/lookup?phone=%2B15551234567").status_code == 200
        old = rei(sandbox, "GET", "contacts/lookup?email=OLD@example.com").status_code == 200
        merlins = merlin(sandbox, {"type": "SEARCH", "Fname": "ann"}).json()
        return members, ann, old, len(merlins)

    assert seen() == (0, False, True, 0)
    autoreach(sandbox, "POST", "members", {"email": "ann@example.com"})
    rei(sandbox, "POST", "contacts/", {"phone": "(555) 123-4567"})
    rei(sandbox, "DELETE", "contacts/old")
    merlin(sandbox, NEW)
    assert seen() == (0, False, True, 0)
    wait_for(lambda: seen() == (1, True, False, 1))
    merlin(sandbox, {"type": "EDIT", "idContact": 1, "Fname": "Anna"})
    merlin(sandbox, {"type": "TRASH", "idContact": 1})
    assert seen()[3] == 1
    wait_for(lambda: seen()[3] == 0)


def test_a_list_changes_while_it_is_paged(sandbox: Sandbox) -> None:
    sandbox.fill("autoreach", members=6)
    sandbox.fault(vendor="autoreach", path="members", remove={"table": "members", "key": 1})
    sandbox.fault(
        vendor="autoreach", path="members", after=1, put={"members": [{"email": "n@example.com"}]}
    )

    def page(number: int) -> list[int]:
        rows = autoreach(sandbox, "GET", f"members?page={number}&per_page=2").json()["data"]
        return [row["id"] for row in rows]

    assert page(1) == [1, 2]
    assert page(2) == [4, 5]
    assert page(3) == [6, 7]


def test_accounts_have_a_rate_limit_of_their_own(sandbox: Sandbox) -> None:
    sandbox.options("rei", rate_limit=[3, 60])
    names = [f"branch-{number}" for number in range(200)]
    for name in names:
        sandbox.account("rei", name, api_key=f"key-{name}")
    sandbox.options("rei", account="branch-7", rate_limit=[1, 60])

    def codes(name: str) -> list[int]:
        headers = {"Authorization": f"Bearer key-{name}"}
        return [
            call(
                sandbox, "POST", "/rei/v1/contacts/", {"email": f"{n}@example.com"}, headers=headers
            ).status_code
            for n in range(4)
        ]

    assert codes("branch-7") == [200, 429, 429, 429]
    assert codes("branch-8") == [200, 200, 200, 429]
    assert len(sandbox.state("rei", "branch-7")["contacts"]) == 1
    assert len(sandbox.state("rei", "branch-8")["contacts"]) == 3
    assert sandbox.state("rei", "branch-9")["contacts"] == {}
    with pytest.raises(SandboxError, match="rate_limit"):
        sandbox.options("rei", account="branch-7", latency_ms=1)
