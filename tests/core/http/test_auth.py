"""Credentials: one token for all threads and the next runs, and clear refusals."""

from __future__ import annotations

import json
import stat
import threading
import time
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest
import requests
import requests_mock

from singer_http.errors import BadCredentials, Cancelled, RetryLater, StopRun
from singer_http.http.auth import BearerKey, ClientCredentials, HeaderKey, Renewable
from singer_http.http.client import Client
from singer_http.store.tokens import SharedToken

API = "https://api.example/v1"
TOKENS = "https://login.example/oauth/token"


class Web(requests_mock.Mocker):
    """What can be reached, and the requests for tokens that were made."""

    requested: list[str]


@pytest.fixture
def web() -> Iterator[Web]:
    """A token endpoint that numbers its tokens, and an API that takes any of them."""
    with Web() as mock:
        requested = mock.requested = []

        def issue(request: Any, context: Any) -> dict[str, Any]:
            requested.append(request.text)
            time.sleep(0.05)
            return {"access_token": f"token-number-{len(requested)}", "expires_in": 86400}

        mock.post(TOKENS, json=issue)
        mock.get(f"{API}/x", json={})
        yield mock


class Memory:
    """A stored token that ends with its process."""

    stored: tuple[str, float] | None = None

    def try_lock(self) -> bool:
        return True

    def read(self) -> tuple[str, float] | None:
        return self.stored

    def write(self, token: str, use_until: float) -> None:
        self.stored = (token, use_until)


def url(folder: Path) -> str:
    return f"sqlite:///{folder / 'x.db'}"


def credentials(
    folder: Path | None = None, secret: str = "the-client-secret", **more: Any
) -> ClientCredentials:
    """With a token that is stored in the database of a folder, or in this process."""

    def open_stored(name: str) -> Any:
        return SharedToken(url(folder), name) if folder else nullcontext(Memory())

    options = {"audience": "https://api.example/", "open_stored": open_stored, **more}
    return ClientCredentials(Client(TOKENS, max_retries=0), TOKENS, "the-id", secret, **options)


def get(auth: Any) -> str:
    """The Authorization header of a request to the API."""
    request = requests.PreparedRequest()
    request.headers = requests.structures.CaseInsensitiveDict()
    return str(auth(request).headers["Authorization"])


def test_keys_go_into_their_headers() -> None:
    request = requests.PreparedRequest()
    request.headers = requests.structures.CaseInsensitiveDict()
    HeaderKey("api-key", " abc ")(request)
    assert dict(BearerKey("def")(request).headers) == {
        "api-key": "abc",
        "Authorization": "Bearer def",
    }


@pytest.mark.parametrize("key", ["line\nbreak", "schlüssel", "tab\tbed"])
def test_a_key_that_no_header_can_carry_is_refused_without_showing_it(key: str) -> None:
    with pytest.raises(BadCredentials) as caught:
        BearerKey(key)
    assert key not in str(caught.value)


def test_a_token_is_asked_for_in_json(web: Web) -> None:
    assert get(credentials()) == "Bearer token-number-1"
    assert json.loads(web.requested[0]) == {
        "client_id": "the-id",
        "client_secret": "the-client-secret",
        "audience": "https://api.example/",
        "grant_type": "client_credentials",
    }


def test_the_client_finds_that_it_can_be_renewed() -> None:
    assert isinstance(credentials(), Renewable)


def test_one_token_serves_all_threads(web: Web) -> None:
    auth, seen = credentials(), []
    threads = [threading.Thread(target=lambda: seen.append(get(auth))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert seen == ["Bearer token-number-1"] * 8


def test_one_token_serves_the_next_run(web: Web, tmp_path: Path) -> None:
    assert get(credentials(tmp_path)) == get(credentials(tmp_path)) == "Bearer token-number-1"
    content = (tmp_path / "x.db").read_bytes()
    assert b"the-id" not in content
    assert b"the-client-secret" not in content
    assert {stat.S_IMODE(path.stat().st_mode) for path in tmp_path.iterdir()} == {0o600}


@pytest.mark.parametrize("change", ["secret", "audience"])
def test_other_credentials_do_not_get_this_token(web: Web, tmp_path: Path, change: str) -> None:
    get(credentials(tmp_path))
    assert get(credentials(tmp_path, **{change: "other"})) == "Bearer token-number-2"


@pytest.mark.parametrize("use_until", [0.0, 9e12, float("inf")])
def test_a_token_that_has_ended_or_never_ends_is_not_used(
    web: Web, tmp_path: Path, use_until: float
) -> None:
    auth = credentials(tmp_path)
    get(auth)
    with SharedToken(url(tmp_path), auth._name) as stored:
        stored.write("of-a-wrong-clock", use_until)
    assert get(credentials(tmp_path)) == "Bearer token-number-2"


def test_processes_that_need_a_token_at_once_request_one(web: Web, tmp_path: Path) -> None:
    seen: list[str] = []
    threads = [
        threading.Thread(target=lambda: seen.append(get(credentials(tmp_path)))) for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert seen == ["Bearer token-number-1"] * 4
    assert len(web.requested) == 1


def test_a_wait_for_anothers_token_can_be_ended(web: Web, tmp_path: Path) -> None:
    auth = credentials(tmp_path)
    client, ends = Client(API, auth=auth), []

    def wait() -> None:
        try:
            client.request("GET", "x")
        except Cancelled as error:
            ends.append(str(error))

    with SharedToken(url(tmp_path), auth._name) as other:
        assert other.try_lock()
        thread = threading.Thread(target=wait)
        thread.start()
        time.sleep(0.3)
        client.stop()
        thread.join(10)
    assert ends == ["The run is being ended, while it waited for a token"]
    assert web.requested == []


def test_the_next_process_requests_the_token_that_one_failed_to_get(
    web: Web, tmp_path: Path
) -> None:
    web.post(TOKENS, [{"status_code": 401}, {"json": {"access_token": "second"}}])
    with pytest.raises(BadCredentials):
        get(credentials(tmp_path))
    assert get(credentials(tmp_path)) == "Bearer second"


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr("singer_http.http.auth.time.time", lambda: clock.now)
    return clock


class Clock:
    now = 1.7e9


@pytest.mark.parametrize(
    ("expires_in", "seconds"),
    [
        (86400, 86340),
        (300, 270),
        (30, 27),
        (1, 0.9),
        ("300", 270),
        (300.0, 270),
        (10**30, 30 * 86400 - 60),
        ("1e300", 30 * 86400 - 60),
        # Not said, or nonsense: an hour.
        (None, 3540),
        (0, 3540),
        (-5, 3540),
        ("soon", 3540),
        ("", 3540),
        (True, 3540),
        ([], 3540),
        ("nan", 3540),
    ],
)
def test_a_token_is_used_until_it_nears_its_end(
    web: Web, tmp_path: Path, clock: Clock, expires_in: Any, seconds: float
) -> None:
    tokens = iter("abc")
    web.post(
        TOKENS, json=lambda *_: {"access_token": f"token-{next(tokens)}", "expires_in": expires_in}
    )
    auth = credentials(tmp_path)
    assert get(auth) == "Bearer token-a"
    clock.now += seconds * 0.99
    assert get(auth) == "Bearer token-a"
    assert get(credentials(tmp_path)) == "Bearer token-a"
    clock.now += seconds * 0.02
    assert get(auth) == "Bearer token-b"
    assert get(credentials(tmp_path)) == "Bearer token-b"


@pytest.mark.parametrize("expires_in", [30, 0, -1, "soon", None, 10**400])
def test_many_requests_need_one_token(web: Web, expires_in: Any) -> None:
    answers = web.post(TOKENS, json={"access_token": "the-one-token", "expires_in": expires_in})
    client = Client(API, auth=credentials())
    for _ in range(20):
        client.request("GET", "x")
    assert answers.call_count == 1


def test_a_token_that_another_process_renewed_is_taken_over(web: Web, tmp_path: Path) -> None:
    first, second = credentials(tmp_path), credentials(tmp_path)
    assert get(first) == get(second) == "Bearer token-number-1"
    web.get(f"{API}/x", status_code=401, json={"message": "expired"})
    web.get(f"{API}/x", request_headers={"Authorization": "Bearer token-number-2"}, json={"a": 1})
    Client(API, auth=first).request("GET", "x")
    Client(API, auth=second).request("GET", "x")
    assert len(web.requested) == 2


def test_threads_that_got_a_401_together_request_one_token(web: Web) -> None:
    auth = credentials()
    get(auth)
    web.get(f"{API}/x", status_code=401)
    web.get(f"{API}/x", request_headers={"Authorization": "Bearer token-number-2"}, json={"a": 1})
    client, seen = Client(API, auth=auth), []
    threads = [
        threading.Thread(target=lambda: seen.append(client.request("GET", "x").data))
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert seen == [{"a": 1}] * 4
    assert len(web.requested) == 2


def test_a_renewed_token_replaces_the_stored_one(web: Web, tmp_path: Path) -> None:
    auth = credentials(tmp_path)
    web.get(f"{API}/x", [{"status_code": 401}, {"json": {}}])
    Client(API, auth=auth).request("GET", "x")
    assert get(credentials(tmp_path)) == "Bearer token-number-2"


@pytest.mark.parametrize(("status", "said"), [(401, "Unauthorized"), (403, "no such audience")])
def test_a_refusal_of_the_token_endpoint_is_final_and_clear(
    web: Web, status: int, said: str
) -> None:
    web.post(TOKENS, status_code=status, json={"error": "access_denied", "error_description": said})
    with pytest.raises(BadCredentials, match=f"client_id and client_secret.*{said}") as caught:
        Client(API, auth=credentials()).request("GET", "x")
    assert "the-client-secret" not in str(caught.value)
    assert web.call_count == 1


def test_the_token_endpoint_can_ask_for_a_pause(web: Web) -> None:
    reset = str(int(time.time()) + 5000)
    web.post(TOKENS, status_code=429, headers={"X-RateLimit-Reset": reset})
    with pytest.raises(RetryLater):
        Client(API, auth=credentials()).request("GET", "x")


def test_an_answer_without_a_token_names_the_setting(web: Web) -> None:
    web.post(TOKENS, json={"hello": "world"})
    with pytest.raises(BadCredentials, match="auth_url"):
        get(credentials())


def test_a_folder_that_cannot_be_written_is_said(web: Web, tmp_path: Path) -> None:
    with pytest.raises(StopRun, match=r"database_url.*work_dir"):
        get(credentials(tmp_path / "gone"))
    assert web.requested == []
