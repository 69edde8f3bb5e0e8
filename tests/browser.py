"""A real browser without a window: what a page shows, and what it asked the network for."""

from __future__ import annotations

import re
import shutil
import socketserver
import subprocess
import threading
from collections.abc import Iterator, Sequence
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


MEASURE = r"""<script>
addEventListener("load", () => {
  document.querySelectorAll("details").forEach(d => d.open = true);
  const bad = [], root = document.documentElement;
  document.querySelectorAll("svg").forEach(svg => {
    const [x, y, w, h] = svg.getAttribute("viewBox").split(" ").map(Number);
    svg.querySelectorAll("text, rect, path").forEach(t => {
      const b = t.getBBox();
      if (b.x < x - .5 || b.y < y - .5 || b.x + b.width > x + w + .5 || b.y + b.height > y + h + .5)
        bad.push("clipped: " + t.outerHTML);
    });
    const texts = [...svg.querySelectorAll("text")].map(t => [t, t.getBBox()]);
    texts.forEach(([t, a], i) => texts.slice(i + 1).forEach(([u, b]) => {
      const across = a.x < b.x + b.width && b.x < a.x + a.width;
      if (across && a.y + 3 < b.y + b.height && b.y + 3 < a.y + a.height)
        bad.push("overlap: " + t.textContent + " and " + u.textContent);
    }));
  });
  document.querySelectorAll("body *").forEach(e => {
    if (!e.closest("svg, .scroll") && e.getBoundingClientRect().right > root.clientWidth + 1)
      bad.push("too wide: " + e.outerHTML.slice(0, 200));
  });
  const light = color => {
    const [r, g, b] = color.match(/[\d.]+/g).map(v => (v /= 255) <= .04045 ? v / 12.92
      : ((v + .055) / 1.055) ** 2.4);
    return .2126 * r + .7152 * g + .0722 * b;
  };
  const behind = e => {
    const color = getComputedStyle(e).backgroundColor;
    return /^rgba.* 0\)$/.test(color) && e.parentElement ? behind(e.parentElement) : color;
  };
  document.querySelectorAll("body *").forEach(e => {
    if (e.closest("svg") || ![...e.childNodes].some(n => n.nodeType == 3 && n.data.trim())) return;
    const [a, b] = [light(getComputedStyle(e).color), light(behind(e))];
    if ((Math.max(a, b) + .05) / (Math.min(a, b) + .05) < 4.5)
      bad.push("faint: " + e.outerHTML.slice(0, 200));
  });
  document.body.setAttribute("data-paper", getComputedStyle(document.body).backgroundColor);
  if (root.scrollWidth > root.clientWidth) bad.push("scrolls sideways");
  document.body.setAttribute("data-measured", bad.join(" | ") || "fine");
});
</script>"""
"""Notes on the body what is clipped, too wide or too faint in a page of ours."""


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


def looks_right(pages: Sequence[str], directory: Path, *, width: int, dark: bool) -> Page:
    """Look at pages of ours, one below the other: nothing is clipped, too wide or too faint."""
    find()
    head, _, _ = pages[0].partition("<body>")
    # Without its policy a page takes the script that measures it.
    head = re.sub(r'<meta http-equiv="Content-Security-Policy"[^>]*>', "", head)
    bodies = (page.partition("<body>")[2].partition("</body>")[0] for page in pages)
    path = directory / "page.html"
    path.write_text(f"{head}<body>{''.join(bodies)}{MEASURE}</body></html>")
    page = look(path.as_uri(), directory, width=width, dark=dark)
    measured = re.search(r'data-measured="([^"]*)"', page.dom)
    assert measured
    assert measured[1] == "fine"
    assert ('data-paper="rgb(255, 255, 255)"' in page.dom) is not dark
    return page


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
