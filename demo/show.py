"""What the demo shows: reports, rejects, and what landed where."""

from __future__ import annotations

import json
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import duckdb
import psycopg

COUNTS = (
    "received", "merged", "unchanged", "created", "updated", "upserted", "deleted", "rejected",
    "skipped", "suppressed", "requests", "seconds",
)  # fmt: skip
EXAMPLES = 3


def heading(text: str) -> None:
    """Print a line that stands out."""
    print(f"\n\033[1m{text}\033[0m" if sys.stdout.isatty() else f"\n== {text}", flush=True)


def report(path: Path) -> None:
    """Print the table of a target's report."""
    content: dict[str, Any] = json.loads(path.read_text())
    streams = content["streams"]
    used = [name for name in COUNTS if any(stream.get(name) for stream in streams.values())]
    width = max([10, *map(len, streams)])
    print(f"  {'stream':>{width}}" + "".join(f"{name:>{_width(name)}}" for name in used))
    for stream, counts in streams.items():
        print(
            f"  {stream:>{width}}"
            + "".join(_cell(counts.get(name, 0), _width(name)) for name in used)
        )
    for stream, counts in streams.items():
        if again := counts.get("retried"):
            delivered = again["received"] - again["rejected"]
            print(f"  {stream}: {again['received']} rejects sent again, {delivered} delivered")
        for note in counts.get("notes", ()):
            print(f"  {stream}: {note}")
    print(f"  outcome: {content['outcome']}   ({path})")


def travelled(url: str, path: Path, stream: str) -> None:
    """Print how many rows of a stream came to the target, and how many the warehouse has."""
    with psycopg.connect(url) as connection:
        found = connection.execute("select count(*) from to_autoreach.current_people").fetchone()
    rows = found[0] if found else 0
    came = json.loads(path.read_text())["streams"][stream]["received"]
    print(f"  {came:,} of {rows:,} {stream} travelled: those that changed, and outstanding rejects")


def _width(name: str) -> int:
    return max(10, len(name) + 1)


def _cell(value: float, width: int) -> str:
    return f"{value:>{width},.1f}" if isinstance(value, float) else f"{value:>{width},}"


def rejects(path: Path) -> None:
    """Print how many records are kept in a rejects file, why, and a few of them."""
    kept = _kept(path)
    print(f"  {len(kept)} records are kept in {path}")
    reasons(path)
    for line in kept[:EXAMPLES]:
        key = next(iter(line["record"].values()))
        print(f"          e.g. {key}: {line['rejection']['reason'][:90]}")


def reasons(path: Path) -> None:
    """Print how many records of which stream a rejects file has, and of which kind."""
    kinds = Counter((line["stream"], line["rejection"]["kind"]) for line in _kept(path))
    for (stream, kind), count in kinds.most_common():
        print(f"  {count:>6}  {stream}: {kind}")


def pages(paths: list[Path]) -> None:
    """Print where the page of each run is."""
    heading("The page of each run, to open in a browser")
    for path in paths:
        print(f"  {path.as_uri()}")


def _kept(path: Path) -> list[dict[str, Any]]:
    lines = [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []
    return [line for line in lines if line["type"] == "RECORD"]


def in_postgres(url: str, statement: str) -> None:
    """Print a statement and what PostgreSQL answers."""
    with psycopg.connect(url) as connection:
        rows = connection.execute(statement.encode()).fetchall()
    _answer("PostgreSQL", statement, rows)


def in_duckdb(path: Path, statement: str) -> None:
    """Print a statement and what DuckDB answers."""
    with duckdb.connect(str(path), read_only=True) as connection:
        rows = connection.execute(statement).fetchall()
    _answer("DuckDB", statement, rows)


def _answer(name: str, statement: str, rows: list[tuple[Any, ...]]) -> None:
    print(f"  {name}> {statement}")
    for row in rows:
        print("      " + " | ".join(f"{v:,}" if isinstance(v, int) else str(v) for v in row))
