"""Starts a sandbox as a process of its own, and talks to its control API. Standard library only."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.parse import quote, urlencode

from singer_sandbox.settings import plugin_settings

START_SECONDS = 20.0
STOP_SECONDS = 5.0


class SandboxError(RuntimeError):
    """The sandbox did not start, or refused a control call; the text says why."""


class Sandbox:
    """A sandbox on a free port, from `with` to its end.

    `Sandbox(url="http://127.0.0.1:8765")` talks to one that is running already.
    """

    def __init__(
        self,
        *,
        seed: bool = False,
        accounts: int = 0,
        latency: float = 0,
        url: str | None = None,
    ) -> None:
        self.url = url or ""
        self._arguments = ["--seed"] if seed else []
        if accounts:
            self._arguments += ["--accounts", str(accounts)]
        if latency:
            self._arguments += ["--latency", str(latency)]
        self._process: subprocess.Popen[bytes] | None = None
        # A proxy in the environment must not come between a test and its server.
        self._opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))

    def __enter__(self) -> Self:
        """Start it, unless it runs already."""
        if not self.url:
            self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Stop what was started."""
        self.stop()

    @property
    def pid(self) -> int | None:
        """The server's process, when it was started here."""
        return self._process.pid if self._process else None

    @property
    def port(self) -> int:
        """The port it listens on."""
        return int(self.url.rsplit(":", 1)[1])

    def start(self) -> None:
        """Start the server and wait until it listens; raises SandboxError when it does not."""
        with tempfile.TemporaryDirectory() as folder:
            port_file = Path(folder, "port")
            command = [sys.executable, "-m", "singer_sandbox", "--port", "0", "--quiet"]
            command += ["--exit-with-stdin", "--port-file", str(port_file), *self._arguments]
            self._process = subprocess.Popen(command, stdin=subprocess.PIPE)  # noqa: S603 - our own module
            ends = time.monotonic() + START_SECONDS
            while not port_file.exists():
                if self._process.poll() is not None or time.monotonic() > ends:
                    self.stop()
                    raise SandboxError("the sandbox did not start")
                time.sleep(0.01)
            self.url = f"http://127.0.0.1:{port_file.read_text('ascii').strip()}"

    def stop(self) -> None:
        """End the server that was started here; nothing of it is left."""
        process, self._process = self._process, None
        if process is None:
            return
        process.terminate()
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        if process.stdin:
            with contextlib.suppress(OSError):
                process.stdin.close()

    def call(self, method: str, path: str, body: Any = None, **query: Any) -> Any:
        """One control call; raises SandboxError with what the sandbox says."""
        given = {name: value for name, value in query.items() if value is not None}
        address = f"{self.url}/_sandbox/{path}" + (f"?{urlencode(given)}" if given else "")
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(address, data, method=method)  # noqa: S310 - loopback
        request.add_header("content-type", "application/json")
        try:
            with self._opener.open(request, timeout=120) as answer:
                return json.load(answer)
        except urllib.error.HTTPError as error:
            text = error.read().decode("utf-8", "replace")
            raise SandboxError(f"{method} {path}: {error.code} {text}") from None

    def settings(
        self, plugin: str, api_version: str = "v1", account: str = "default"
    ) -> dict[str, Any]:
        """The settings that point a plugin (`tap-autoreach`, ...) at this sandbox.

        `api_version` says which of REI Software's two APIs: v1 or v2; `account` is `default` or a
        numbered one (`account-001`).
        """
        return plugin_settings(self.url, api_version, account)[plugin]

    # State

    def reset(self) -> None:
        """Empty state, default options, no faults, an empty log."""
        self.call("POST", "reset")

    def seed(self) -> None:
        """Load a little invented data."""
        self.call("POST", "seed")

    def fill(self, vendor: str, account: str | None = None, **counts: int) -> Any:
        """Load much of it: `fill("autoreach", members=200_000)`."""
        return self.call("POST", f"fill/{vendor}", counts, account=account)

    def state(self, vendor: str, account: str | None = None) -> dict[str, Any]:
        """Everything that an account holds, and its counters."""
        state: dict[str, Any] = self.call("GET", f"state/{vendor}", account=account)
        return state

    def sizes(self, vendor: str, account: str | None = None) -> dict[str, Any]:
        """How many of each it holds, and its counters."""
        sizes: dict[str, Any] = self.call("GET", f"state/{vendor}", account=account, sizes=1)
        return sizes

    def put_state(
        self, vendor: str, collections: Mapping[str, Any], account: str | None = None
    ) -> Any:
        """Merge records into the state: `{"members": [{...}]}`."""
        return self.call("POST", f"state/{vendor}", dict(collections), account=account)

    def remove(self, vendor: str, table: str, key: str | int, account: str | None = None) -> bool:
        """Delete a record behind the clients' back; False when it was not there."""
        path = f"state/{vendor}/{table}/{quote(str(key), safe='/')}"
        return bool(self.call("DELETE", path, account=account)["removed"])

    def options(self, vendor: str, account: str | None = None, **options: Any) -> dict[str, Any]:
        """Set options of a vendor, or the `rate_limit` of one account; the vendor's as they are."""
        path = f"options/{vendor}"
        answer: dict[str, Any] = self.call("POST", path, options, account=account)
        return dict(answer["options"])

    def account(self, vendor: str, name: str, *, replace: bool = False, **credentials: str) -> None:
        """Let credentials into an account (a new one if need be); `replace` revokes its others."""
        body = {"account": name, "replace": replace, **credentials}
        self.call("POST", f"accounts/{vendor}", body)

    def add_accounts(self, count: int) -> list[str]:
        """Make so many numbered accounts of each vendor: account-001 and so on; their names."""
        return list(self.call("POST", "accounts", {"count": count})["accounts"])

    def accounts(self, vendor: str, window: float = 10) -> dict[str, dict[str, Any]]:
        """Each account's `sizes`, `counters` (`rate_limited`: refused beyond a limit), `requests`.

        `max` is the most of its requests in any window of that many seconds.
        """
        return dict(self.call("GET", f"accounts/{vendor}", window=window))

    def expire_tokens(self) -> None:
        """Make all AutoReach tokens issued so far invalid."""
        self.call("POST", "expire_tokens")

    # Faults

    def fault(self, **fault: Any) -> dict[str, Any]:
        """Append a fault."""
        added: dict[str, Any] = self.call("POST", "faults", fault)
        return added

    def faults(self) -> list[dict[str, Any]]:
        """The faults, with how often each was checked (`seen`) and struck (`hits`)."""
        return list(self.call("GET", "faults"))

    def clear_faults(self) -> None:
        """Nothing goes wrong any more."""
        self.call("DELETE", "faults")

    def held(self, name: str) -> int:
        """How many requests are held under a name."""
        return int(self.call("GET", f"held/{quote(name)}")["held"])

    def wait_held(self, name: str, count: int = 1, timeout: float = 60) -> None:
        """Wait until so many are held; raises SandboxError when they are not in time."""
        ends = time.monotonic() + timeout
        while (held := self.held(name)) < count:
            if time.monotonic() > ends:
                raise SandboxError(f"{held} of {count} requests are held under {name!r}")
            time.sleep(0.02)

    def release(self, name: str) -> int:
        """Let them go on; how many there were."""
        return int(self.call("POST", f"release/{quote(name)}")["released"])

    # What happened

    def requests(self, vendor: str | None = None, limit: int | None = None) -> list[dict[str, Any]]:
        """The request log, oldest first."""
        return list(self.call("GET", "requests", vendor=vendor, limit=limit))

    def counts(self) -> dict[str, Any]:
        """Counts of requests, and the most that were in flight at once."""
        counts: dict[str, Any] = self.call("GET", "counts")
        return counts

    def rates(self, vendor: str, window: float = 10) -> dict[str, Any]:
        """The most arrivals in any window of that many seconds."""
        rates: dict[str, Any] = self.call("GET", "rates", vendor=vendor, window=window)
        return rates

    def log(self, **switches: bool) -> None:
        """`enabled`, `bodies`: how much to log; `clear`: forget what was logged."""
        self.call("POST", "log", switches)
