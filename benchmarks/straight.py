"""What the work costs when nothing is decided: our target's library calls, one after the other.

    straight.py <api_url> <token> <database> < messages

For each record what `target-autoreach` does for a new one (parse, digest, validate, map, encode,
digest again), for each request a mark in a database, the request, and 100 upserts: with the same
libraries, but for this one stream only, on one thread, and as if nothing could happen: it looks for
no earlier row, no second copy of a key, no refusal. What it takes, a target that does the same on
one interpreter with these libraries takes at least.
"""

from __future__ import annotations

import datetime
import hashlib
import sqlite3
import sys
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Any

import jsonschema_rs
import msgspec
import orjson

from singer_http.http.auth import BearerKey
from singer_http.http.client import Client

FIELDS = ("external_id", "email", "first_name", "last_name", "phone")
MOMENT = "previous_contact_date"
BATCH = 100

TABLES = """
CREATE TABLE pending (id INTEGER PRIMARY KEY, records BLOB);
CREATE TABLE delivered (
    scope INTEGER, key TEXT, digest BLOB, source BLOB, remote_id TEXT, at INTEGER,
    PRIMARY KEY (scope, key)
) WITHOUT ROWID;
"""
UPSERT = """
INSERT INTO delivered VALUES {} ON CONFLICT DO UPDATE SET
    digest = excluded.digest, source = excluded.source, remote_id = excluded.remote_id,
    at = excluded.at
"""

Row = tuple[str, bytes, bytes]
"""Key, digest of what is sent, digest of the record."""


def ledger(path: str) -> sqlite3.Connection:
    """An empty one, set up as ours is."""
    database = sqlite3.connect(path, isolation_level=None)
    database.execute("PRAGMA journal_mode=WAL")
    database.execute("PRAGMA synchronous=NORMAL")
    database.executescript(TABLES)
    return database


def prepared(
    lines: Iterable[bytes], schema: dict[str, Any], begin: hashlib.blake2b
) -> Iterator[tuple[Row, bytes]]:
    """The ledger's row and the payload of each record."""
    decode = msgspec.json.Decoder().decode
    valid = jsonschema_rs.validator_for(schema).is_valid
    custom_fields = [name for name in schema["properties"] if name not in (*FIELDS, MOMENT)]
    for line in lines:
        message = decode(line)
        if message["type"] != "RECORD":
            continue
        record = message["record"]
        source = begin.copy()
        source.update(orjson.dumps(record, option=orjson.OPT_SORT_KEYS))
        if not valid(record):
            raise ValueError(line)
        body: dict[str, Any] = {
            name: value for name in FIELDS if (value := record[name]) is not None
        }
        moment = datetime.datetime.fromisoformat(record[MOMENT])
        body[MOMENT] = moment.isoformat(" ", "seconds")
        body["custom_fields"] = {
            name: value for name in custom_fields if (value := record[name]) is not None
        }
        payload = orjson.dumps(body, option=orjson.OPT_SORT_KEYS)
        sent = begin.copy()
        sent.update(payload)
        yield (record["external_id"], sent.digest(), source.digest()), payload


def main(api_url: str, token: str, path: str) -> None:
    client = Client(api_url, auth=BearerKey(token))
    database = ledger(path)
    lines = sys.stdin.buffer
    schema = orjson.loads(lines.readline())["schema"]
    begin = hashlib.blake2b(digest_size=16, key=b"16 bytes of salt")
    source = prepared(lines, schema, begin)
    while batch := list(islice(source, BATCH)):
        payloads = [payload for _, payload in batch]
        database.execute("BEGIN")
        database.execute("INSERT INTO pending (records) VALUES (?)", (b"\n".join(payloads),))
        database.execute("COMMIT")
        client.request("PATCH", "people", body=b'{"people":[' + b",".join(payloads) + b"]}")
        values = [value for row, _ in batch for value in row]
        database.execute("BEGIN")
        database.execute(UPSERT.format(",".join(["(1, ?, ?, ?, '=', 0)"] * len(batch))), values)
        database.execute("DELETE FROM pending")
        database.execute("COMMIT")


if __name__ == "__main__":
    main(*sys.argv[1:])
