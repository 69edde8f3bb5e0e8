"""The examples of CONTRIBUTING.md work as they stand there."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from typing_extensions import override

import tap_autoreach.streams
from tests.front_door import record, schema

ROOT = Path(__file__).parents[2]
BLOCKS = re.findall(
    r"^```python\n(.*?)^```", (ROOT / "CONTRIBUTING.md").read_text(), re.DOTALL | re.MULTILINE
)

START = "from target_acme import TargetAcme; TargetAcme.cli()"


def block(name: str) -> str:
    """The one block of code that defines a class."""
    found: list[str] = [text for text in BLOCKS if f"class {name}(" in text]
    assert len(found) == 1
    return found[0]


class Acme(ThreadingHTTPServer):
    """Keeps the people that are PUT; one without an email refuses the whole request."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), AcmeHandler)
        self.people: dict[str, Any] = {}
        self.requests: list[tuple[str, str, str | None]] = []


class AcmeHandler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Acme

    def do_PUT(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.requests.append((self.command, self.path, self.headers["Authorization"]))
        refused = [person for person in body["people"] if "@" not in person["email"]]
        if not refused:
            self.server.people |= {person["email"]: person for person in body["people"]}
        answer = json.dumps({"message": "email is not an email"} if refused else {}).encode()
        self.send_response(422 if refused else 200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    @override
    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        """Write no line to stderr."""


@pytest.fixture
def acme() -> Iterator[Acme]:
    server = Acme()
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


def run(directory: Path, acme: Acme) -> dict[str, Any]:
    """Run the example on three people; the counts of its report."""
    work_dir = directory / "work"
    config = {
        "api_key": "secret-key-of-acme",
        "api_url": f"http://127.0.0.1:{acme.server_address[1]}/v1",
        "work_dir": str(work_dir),
        "rate_limit": "",
    }
    (directory / "config.json").write_text(json.dumps(config))
    (directory / "target_acme.py").write_text(block("TargetAcme"))
    lines = [
        schema("people", ["email", "first_name"], keys=["email"]),
        record("people", email="ann@example.com", first_name="Ann"),
        record("people", email="nobody", first_name="Nobody"),
        record("people", email="bob@example.com", first_name="Bob"),
    ]
    result = subprocess.run(
        [sys.executable, "-c", START, "--config", "config.json"],
        input="".join(json.dumps(line) + "\n" for line in lines),
        cwd=directory,
        capture_output=True,
        text=True,
    )
    assert result.returncode == 0, result.stderr
    report = json.loads((work_dir / "target-acme.report.json").read_text())
    counts: dict[str, Any] = report["streams"]["people"]
    return counts


def test_the_target_delivers_people_and_keeps_the_refused_one(tmp_path: Path, acme: Acme) -> None:
    counts = run(tmp_path, acme)
    assert (counts["received"], counts["upserted"], counts["rejected"]) == (3, 2, 1)
    assert acme.people == {
        "ann@example.com": {"email": "ann@example.com", "first_name": "Ann"},
        "bob@example.com": {"email": "bob@example.com", "first_name": "Bob"},
    }
    assert set(acme.requests) == {("PUT", "/v1/people", "Bearer secret-key-of-acme")}
    *_, last = (tmp_path / "work" / "target-acme.rejects.jsonl").read_text().splitlines()
    rejected = json.loads(last)
    assert rejected["record"]["email"] == "nobody"
    assert rejected["rejection"]["kind"] == "refused"
    assert "email is not an email" in rejected["rejection"]["reason"]

    sent = len(acme.requests)
    counts = run(tmp_path, acme)
    assert (counts["unchanged"], counts["rejected"]) == (2, 1)
    assert len(acme.requests) == sent + 1, "only what was refused is tried again"


def test_the_stream_of_a_tap_needs_no_more_than_its_name_and_path() -> None:
    names: dict[str, Any] = dict(vars(tap_autoreach.streams))
    exec(block("Calls"), names)
    calls = names["Calls"]
    assert issubclass(calls, tap_autoreach.streams.AutoReachStream)
    assert (calls.name, calls.path, calls.primary_keys) == ("calls", "calls", ("id",))
    assert len(block("Calls").splitlines()) <= 7


def test_the_sink_takes_20_lines() -> None:
    text = block("TargetAcme")
    sink = text[text.index("class People(") : text.index("class TargetAcme(")]
    code = [line for line in sink.splitlines() if line.strip() and '"""' not in line]
    assert len(code) <= 20
