"""What the tests of the findings send, and how they look at what came of it."""

from __future__ import annotations

import datetime
import json
import subprocess
import sys
from collections.abc import Iterable
from importlib import metadata
from pathlib import Path
from typing import Any

from singer_sandbox import Sandbox
from tests.front_door import JSON, Plugin, Result, record, schema
from tests.processes import wait_until

NUMBER = "+16193596440"
ANY: JSON = {}
"""A column of any type."""

SMS = schema("sms", {"id": ANY, "number": ANY, "text": ANY})
CALLS = schema("calls", {"id": ANY, "number": ANY, "text": ANY})
ENTRIES = schema("automations", {"id": ANY, "idContact": ANY, "idAuto": ANY})
MEMBERS = schema("members", ("owner", "email", "phone", "first_name", "list_id"), ("owner",))
PEOPLE = schema("people", ("id", "email", "first_name", "phone"))
DELETED = "2026-01-01T00:00:00Z"
MIRROR = {"mode": "mirror", "mirror_count": "n", "max_deletes": "100%"}


def sms(key: Any, text: str = "Hello", number: str = NUMBER, **fields: Any) -> JSON:
    return record("sms", id=key, number=number, text=text, **fields)


def call(key: Any, text: str = "Ring", number: str = NUMBER) -> JSON:
    return record("calls", id=key, number=number, text=text)


def member(owner: str, **fields: Any) -> JSON:
    return record("members", **{"owner": owner, "email": f"{owner}@example.com", **fields})


def person(key: Any, **fields: Any) -> JSON:
    return record("people", **{"id": key, "email": f"{key}@example.com", **fields})


def rows(stream: str, *records: JSON, keys: tuple[str, ...] = ("key",), **types: Any) -> list[Any]:
    """A SCHEMA of the records' columns, of any type unless given, and the records."""
    names = dict.fromkeys(name for row in records for name in row)
    properties = {name: types.get(name, ANY) for name in names}
    return [schema(stream, properties, keys), *(record(stream, **row) for row in records)]


def texts(sandbox: Sandbox, kind: str = "sms") -> list[str]:
    """The texts that went out, in their order."""
    return [message["text"] for message in sandbox.state("merlin")[kind]]


def members(sandbox: Sandbox) -> list[JSON]:
    return list(sandbox.state("autoreach")["members"].values())


def people(sandbox: Sandbox) -> dict[str, JSON]:
    found: dict[str, JSON] = sandbox.state("autoreach")["people"]
    return found


def contacts(sandbox: Sandbox, account: str | None = None) -> dict[str, JSON]:
    found: dict[str, JSON] = sandbox.state("rei", account)["contacts"]
    return found


def sent(sandbox: Sandbox, vendor: str, *methods: str) -> list[JSON]:
    """The requests that reached a vendor, of some methods."""
    return [r for r in sandbox.requests(vendor) if not methods or r["method"] in methods]


def kinds(result: Result) -> list[str]:
    return [message["rejection"]["kind"] for message in result.rejects]


def outstanding(plugin: Plugin, word: str = "") -> list[JSON]:
    """The RECORD lines of all rejects files of a plugin with a word in their names."""
    found = []
    for path in sorted(plugin.work_dir.glob(f"{plugin.name}*.rejects.jsonl")):
        if word in path.name:
            lines = [json.loads(line) for line in path.read_text().splitlines()]
            found += [line for line in lines if line["type"] == "RECORD"]
    return found


def kill_in_flight(
    plugin: Plugin,
    messages: Iterable[JSON | str] | Path,
    when: str,
    held: int = 1,
    fault: JSON | None = None,
    **config: Any,
) -> None:
    """A run that dies while the vendor has a request in hand, before or after the work is done."""
    sandbox = plugin.sandbox
    sandbox.fault(hold="x", when=when, times=None, **(fault or {}))
    process = plugin.start(messages, **config)
    sandbox.wait_held("x", held)
    process.kill()
    process.wait()
    sandbox.clear_faults()
    sandbox.release("x")
    settled(sandbox)


def start_patched(
    plugin: Plugin, code: str, messages: Iterable[JSON] | None, **config: Any
) -> subprocess.Popen[bytes]:
    """Start a target after some code; `messages` become its input, none leaves the input open."""
    path = plugin.directory / "patched.json"
    given = {**plugin.config, **config}
    path.write_text(json.dumps({k: v for k, v in given.items() if v is not None}))
    (entry,) = metadata.entry_points(group="console_scripts", name=plugin.name)
    owner = entry.attr.partition(".")[0]
    run = f"from {entry.module} import {owner} as target; target.cli()"
    process = subprocess.Popen(
        [sys.executable, "-c", f"{code}\n{run}", "--config", str(path)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        cwd=plugin.directory,
    )  # fmt: skip
    Plugin.started.append(process)
    if messages is not None and process.stdin:
        process.stdin.write(b"".join(json.dumps(m).encode() + b"\n" for m in messages))
        process.stdin.flush()
    return process


CHECKPOINTS = "import singer_http.target.target as t; assert t.CHECKPOINT; t.CHECKPOINT = 0.0"
"""A target after this writes STATE out as soon as it comes and is settled."""


def settled(sandbox: Sandbox) -> None:
    """Wait until no request is in flight."""
    wait_until(lambda: not any(sandbox.counts()["in_flight"].values()))


def hours(start: float, end: float) -> str:
    """Quiet hours from so many minutes before or after now, in UTC."""
    now = datetime.datetime.now(datetime.UTC)
    ends = (now + datetime.timedelta(minutes=m) for m in (start, end))
    return "{:%H:%M}-{:%H:%M} UTC".format(*ends)
