"""How each contestant is run; every case checks that all of the work was done."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

from singer_sandbox import Sandbox

from benchmarks.environments import OURS, PEERS, python
from benchmarks.measure import Case, Command, Sample

HERE = Path(__file__).parent
REPORTS = ("created", "updated", "upserted", "unchanged")


class Stage:
    """The sandbox, a folder for files, and one runner for each kind of contestant."""

    def __init__(self, sandbox: Sandbox, folder: Path) -> None:
        self.sandbox = sandbox
        self.folder = folder
        self.token = ""

    # --- the vendor ---------------------------------------------------------------------------

    def empty(self, latency: float = 0) -> None:
        """Nothing in it, nothing logged, what is written kept unread until it is counted."""
        self.sandbox.reset()
        self.sandbox.log(enabled=False, clear=True)
        self.sandbox.options("autoreach", people_store="lazy", latency_ms=latency)
        self.sandbox.options("rei", latency_ms=latency)

    def with_members(self, count: int, latency: float = 0) -> None:
        """So many members to read."""
        self.empty(latency)
        self.sandbox.fill("autoreach", members=count)
        self.buy_token()

    def buy_token(self) -> None:
        """A token for those that do not buy their own."""
        answer = self.sandbox._opener.open(  # noqa: SLF001 - past proxies, as it does
            __import__("urllib.request").request.Request(
                f"{self.sandbox.url}/autoreach/oauth/token",
                json.dumps(
                    {
                        "grant_type": "client_credentials",
                        "client_id": "sandbox-client",
                        "client_secret": "sandbox-secret",
                        "audience": "https://www.autoreach.app/",
                    }
                ).encode(),
                {"content-type": "application/json"},
            )
        )
        self.token = json.load(answer)["access_token"]
