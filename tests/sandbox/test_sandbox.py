"""The sandbox's control, its log, its start and its end."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading

import pytest
import requests

from singer_sandbox import Sandbox, SandboxError
from tests.calling import bearer, call, merlin


def test_accounts_have_credentials_and_state_of_their_own(sandbox: Sandbox) -> None:
    sandbox.account("rei", "second", api_key="second-key")
    headers = {"Authorization": "Bearer second-key"}
    call(sandbox, "POST", "/rei/v1/contacts/", {"email": "a@example.com"}, headers=headers)
    assert sandbox.state("rei")["contacts"] == {}
    assert len(sandbox.state("rei", "second")["contacts"]) == 1
    sandbox.account("rei", "second", api_key="third-key", replace=True)
    assert call(sandbox, "GET", "/rei/v1/tags", headers=headers).status_code == 401


def test_secrets_and_big_bodies_stay_out_of_the_log(sandbox: Sandbox) -> None:
    headers = bearer(sandbox)
    merlin(sandbox, {"type": "SMS", "number": "+15551234567", "text": "x" * 70_000})
    merlin(sandbox, {"type": "SEARCH", "Fname": "A"})
    call(sandbox, "GET", "/autoreach/api/v1/lists", headers=headers)
    log = sandbox.requests()
    text = str(log)
    assert headers["Authorization"].removeprefix("Bearer ") not in text
    assert "sandbox-secret" not in text
    assert "sandbox-merlin-key" not in text
    assert log[1]["body"]["omitted_bytes"] > 70_000
    assert log[2]["body"] == [{"key": "***"}, {"type": "SEARCH", "Fname": "A"}]
    assert log[3]["authorization"] == "Bearer ***"
    assert log[3]["user_agent"].startswith("python-requests")


def test_a_control_call_that_makes_no_sense_says_what_would(sandbox: Sandbox) -> None:
    with pytest.raises(SandboxError, match="there are"):
        sandbox.options("rei", no_such=1)
    with pytest.raises(SandboxError, match="one of"):
        sandbox.options("rei", lookup_missing="x")
    with pytest.raises(SandboxError, match="exactly one"):
        sandbox.fault(vendor="rei")
    with pytest.raises(SandboxError, match="no vendor"):
        sandbox.state("nobody")


def test_the_start_page_needs_nothing_from_elsewhere(sandbox: Sandbox) -> None:
    page = requests.get(sandbox.url, timeout=10)
    assert "default-src 'none'" in page.headers["content-security-policy"]
    assert "innerHTML" not in page.text
    overview = sandbox.call("GET", "overview")
    assert set(overview["vendors"]) == {"autoreach", "rei", "kasplo", "merlin"}


def test_it_ends_at_once_when_told_even_with_requests_in_flight() -> None:
    lost: list[requests.RequestException] = []

    def send() -> None:
        try:
            merlin(sandbox, {})
        except requests.RequestException as error:
            lost.append(error)

    with Sandbox() as sandbox:
        sandbox.fault(hold="for ever")
        thread = threading.Thread(target=send)
        thread.start()
        sandbox.wait_held("for ever")
        assert sandbox.pid is not None
        os.kill(sandbox.pid, signal.SIGINT)
        thread.join(30)
        assert lost


def test_only_loopback_is_served() -> None:
    command = [sys.executable, "-m", "singer_sandbox", "--host", "0.0.0.0"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=20)
    assert done.returncode == 1
    assert "loopback" in done.stderr


def test_a_taken_port_is_one_clear_line() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        command = [sys.executable, "-m", "singer_sandbox", "--port", port]
        done = subprocess.run(command, capture_output=True, text=True, timeout=20)
    assert (done.returncode, done.stderr.count("\n")) == (1, 1)
