"""A real browser without a window: what a page shows, and what it asked the network for."""

from __future__ import annotations

import re
import shutil
import socketserver
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from typing_extensions import override

NAMES = (
    "chromium",
    "chromium-browser",
    "google-chrome",
    "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
)

OWN = re.compile(r"[./](google|googleapis|gstatic|gvt1)\.com[:/]")
"""What a browser asks for whatever page it shows."""


@dataclass
class Page:
    """What a browser made of an address."""

    dom: str
    """After the page's scripts ran, as HTML."""
    asked: list[str]
    """Hosts beyond this machine that were asked for."""
    picture: Path


def find() -> str:
    """The browser, or the test is skipped."""
    found = next((path for name in NAMES if (path := shutil.which(name))), None)
    if found is None:
        pytest.skip("no browser here: install Debian's chromium")
    return found


def look(
    url: str, directory: Path, *, width: int = 1000, height: int = 1800, dark: bool = False
) -> Page:
    """Open an address; everything beyond this machine goes to a proxy that only takes notes."""
    browser, picture = find(), directory / "page.png"
    with note_taker() as (proxy, asked):
        command = [
            browser, "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
            "--no-first-run", "--disable-background-networking", "--disable-component-update",
            "--disable-default-apps", "--disable-extensions", "--disable-sync", "--hide-scrollbars",
            f"--user-data-dir={directory / 'browser'}", f"--proxy-server={proxy}",
            f"--window-size={width},{height}", "--virtual-time-budget=3000",
            f"--blink-settings=preferredColorScheme={0 if dark else 1}",
        ]  # fmt: skip
        dom = subprocess.run(
            [*command, "--dump-dom", url], capture_output=True, text=True, timeout=60, check=True
        ).stdout
        subprocess.run(
            [*command, f"--screenshot={picture}", url], capture_output=True, timeout=60, check=True
        )
    return Page(dom, asked, picture)


@contextmanager
def note_taker() -> Iterator[tuple[str, list[str]]]:
    """A proxy that lets nothing through, and what it was asked for."""
    asked: list[str] = []

    class Note(socketserver.StreamRequestHandler):
        @override
        def handle(self) -> None:
            line = self.rfile.readline().decode(errors="replace").strip()
            if line and not OWN.search(line):
                asked.append(line)
            self.wfile.write(b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n")

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Note) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}", asked
        server.shutdown()
