"""How long `--explain` takes on a large ledger, beside the start of the command.

    python -m benchmarks.explain [rows [database_url]]

Makes a ledger of 1,000,000 people, each with an email and a phone, two runs in which all of them
came unchanged, and 1,000 rejects; then asks for each kind of text, and for one that is unknown.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from singer_http.store import DATABASE_FILE
from singer_http.store.rows import Delivered
from singer_http.store.store import Store

SCRIPTS = Path(sys.executable).parent
PIECE = 10_000
REJECTS = 1_000
ROUNDS = 5
RUNS = 3
API = "https://api.example.com"
CONFIG = {"client_id": "c", "client_secret": "s", "account": "bench", "api_url": API}


def report(number: int) -> dict[str, object]:
    return {
        "run": f"run-{number}",
        "plugin": "target-autoreach",
        "sync": "default",
        "account": "bench",
        "outcome": "ok",
        "streams": {},
        "error": None,
        "started_at": "2026-01-31T12:00:00Z",
        "finished_at": "2026-01-31T12:00:00Z",
    }


def fill(url: str, rows: int) -> None:
    """The ledger, as runs of the target would leave it."""
    account = f"bench {API.partition('://')[2]}"
    for number in range(RUNS):
        store = Store(url, f"run-{number}")
        scope = store.scopes.open(
            account, "default", "people", source="people", keys=["id"], schema_message=b""
        ).id
        store.begin_run(report(number), account)
        ledger = store.ledger
        for index in range(rows):
            key = f"p{index:08d}"
            if number:
                store.arrivals.add(scope, [key])
                continue
            names = (f"person{index}@example.com", f"555{index:07d}")
            what = Delivered(key, b"d" * 16, b"s" * 16, key, (), b"".join(map(ledger.name, names)))
            ledger.acknowledge(scope, what)
            if index % PIECE == 0:
                store.commit()
        for index in range(0 if number else REJECTS):
            record = {"id": f"r{index}", "email": f"reject{index}@example.com"}
            line = {"type": "RECORD", "stream": "people", "record": record}
            store.rejects.put(
                scope, key=f"r{index}", seq=index, kind="refused", reason="HTTP 422: no",
                status=422, operation="upsert", attempts=1, route="people", remote_id=None,
                digest=b"", resent=False, record=json.dumps(line).encode(),
            )  # fmt: skip
        store.finish()
        store.save_run(report(number), ended=True)
        store.close()


def seconds(config: Path, *arguments: str) -> float:
    """The fastest of some runs of the command."""
    command = [str(SCRIPTS / "target-autoreach"), "--config", str(config), *arguments]
    times = []
    for _ in range(ROUNDS):
        began = time.perf_counter()
        subprocess.run(command, capture_output=True, check=False)
        times.append(time.perf_counter() - began)
    return min(times)


def main() -> None:
    rows = int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        work_dir = Path(folder) / "work"
        work_dir.mkdir()
        url = sys.argv[2] if len(sys.argv) > 2 else f"sqlite:///{work_dir / DATABASE_FILE}"
        config = Path(folder) / "config.json"
        fill(url, rows)
        settings = {**CONFIG, "work_dir": str(work_dir), "database_url": url}
        config.write_text(json.dumps(settings))
        empty = Path(folder) / "empty.json"
        empty.write_text(json.dumps(settings | {"database_url": f"sqlite:///{folder}/empty.db"}))
        start = seconds(empty, "--explain", "nobody")
        print(f"start-up, with an empty ledger: {start:.2f} s")
        last = rows - 1
        for what, text in {
            "key": f"p{last:08d}",
            "email": f"Person{last}@Example.com",
            "phone": f"+1 (555) {last:07d}",
            "reject's email": f"reject{REJECTS - 1}@example.com",
            "unknown": "nobody@example.com",
        }.items():
            print(f"{what}: {seconds(config, '--explain', text) - start:.2f} s more")


if __name__ == "__main__":
    main()
