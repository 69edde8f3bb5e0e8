"""The streams: runs, records, rejects.

Each reads the rows that were written since its bookmark. The bookmark is the newest moment that the
database held when the reading began: what is written meanwhile is read by the next run. Moments
come from the clocks of the machines that write, so each reading begins a little before it.
"""

from __future__ import annotations

import abc
import contextlib
import datetime
import json
from collections.abc import Iterator
from functools import cached_property
from typing import Any

import sqlalchemy as sa
from singer_sdk import SchemaDirectory, StreamSchema
from singer_sdk.helpers.types import Context
from singer_sdk.singerlib.catalog import REPLICATION_INCREMENTAL
from typing_extensions import override

from singer_http.exact_json import decode
from singer_http.identity import masked_identities
from singer_http.operations import JSON
from singer_http.report.table import COLUMNS
from singer_http.store.runs import RUNNING
from singer_http.store.tables import delivered, pending, rejects, runs, scopes, standing
from singer_http.tap.page_stream import PageStream, Record
from tap_deliveries import schemas
from tap_deliveries.database import DatabaseTap

PAGE = 2_000
OVERLAP = 300
"""Seconds before the bookmark that are read again: the clocks of the writers differ."""
MAPPINGS = "mappings"
"""In the STATE of `records`: the mapping of each stream of a pipeline when it was read."""
NO_KEY = "\n"
"""How the key begins of what has none."""
OF_TARGETS = runs.c.plugin.startswith("target-")
"""Which of the runs deliver. A tap's run says nothing of what was delivered."""


class DeliveriesStream(PageStream):
    """Rows of the database, page by page."""

    _tap: DatabaseTap
    schema = StreamSchema(SchemaDirectory(schemas))
    replication_key: str

    @override
    def bookmark(self, records: list[Record]) -> None:
        """Do nothing: rows do not come in the order of their moments (see `pages`)."""

    @override
    def get_replication_key_signpost(self, context: Context | None = None) -> None:
        """Set no signpost: it would use the clock of this machine."""

    @override
    def compare_start_date(self, value: str, start_date_value: str) -> str:
        """Take the bookmark where there is one.

        A later `start_date` would leave out what changed in between, and a copy of the ledger would
        keep it as it was.
        """
        return value

    @override
    def pages(self, context: Context | None) -> Iterator[list[Record]]:
        incremental = self.replication_method == REPLICATION_INCREMENTAL
        since = self._since(context) if incremental else 0
        newest = self.newest()
        yield from self.since(since)
        if incremental and newest is not None:
            state = self.get_context_state(context)
            before = state.get("replication_key_value")
            state["replication_key"] = self.replication_key
            state["replication_key_value"] = max(_text(newest), before or "")

    def _since(self, context: Context | None) -> int:
        """Epoch seconds from which rows are read."""
        start = self.get_starting_timestamp(context)
        if start is None:
            return 0
        given = self.config.get("start_date")
        moment = int(start.timestamp())
        first = given is not None and start == _moment(str(given))
        return moment if first else moment - OVERLAP

    def query(self, statement: sa.Select[Any]) -> Any:
        """The rows of a SELECT; see `Reader.query`."""
        return self._tap.reader.query(statement)

    def _bound(self, statement: sa.Select[Any]) -> int | None:
        found: int | None = self.query(statement)[0][0]
        return found

    @abc.abstractmethod
    def newest(self) -> int | None:
        """Epoch seconds up to which everything is there; `None` where there is nothing."""

    @abc.abstractmethod
    def since(self, moment: int) -> Iterator[list[Record]]:
        """Read the rows that were written at a moment (epoch seconds) or later."""


class Runs(DeliveriesStream):
    """Runs of the targets, by their beginning: read again until they have ended."""

    name = "runs"
    primary_keys = ("run",)
    replication_key = "started_at"

    @override
    def newest(self) -> int | None:
        # A run that is under way changes: the next reading begins with it.
        oldest, newest = sa.func.min(runs.c.started_at), sa.func.max(runs.c.started_at)
        running = self._bound(sa.select(oldest).where(OF_TARGETS & (runs.c.outcome == RUNNING)))
        return self._bound(sa.select(newest).where(OF_TARGETS)) if running is None else running

    @override
    def since(self, moment: int) -> Iterator[list[Record]]:
        columns = [
            runs.c[name]
            for name in (
                "id", "run", "plugin", "account", "sync", "started_at", "finished_at", "outcome",
                "report",
            )
        ]  # fmt: skip
        last = 0
        while page := self.query(
            sa.select(*columns)
            .where(OF_TARGETS & (runs.c.id > last) & (runs.c.started_at >= moment))
            .order_by(runs.c.id)
            .limit(PAGE)
        ):
            yield [self._record(row) for row in page]
            last = page[-1].id

    @staticmethod
    def _record(row: Any) -> Record:
        report = json.loads(row.report)
        ended = row.outcome != RUNNING
        return {
            "run": row.run,
            "plugin": row.plugin,
            "version": report.get("version"),
            **_account(row.account),
            "sync": row.sync,
            "mode": report.get("mode"),
            "started_at": _text(row.started_at),
            "finished_at": None if row.finished_at is None else _text(row.finished_at),
            "outcome": row.outcome,
            "error": _masked(report.get("error")),
            "needs_person": report.get("needs_person") if ended else None,
            "retry_at": report.get("retry_at"),
            "input_complete": report.get("input_complete") if ended else None,
            "streams": [
                {"stream": name} | {count: counts.get(count) for count in COLUMNS}
                for name, counts in report.get("streams", {}).items()
            ],
        }


class Records(DeliveriesStream):
    """What the ledger knows of each key: its last delivery, the version that stands.

    A version also stops standing without a delivery: with a new reject, which is read here, and
    where the target's mapping changed: then all rows of that stream are read again, also those
    before `start_date`, which an earlier reading may have copied.
    """

    name = "records"
    primary_keys = ("account", "server", "sync", "stream", "key")
    replication_key = "delivered_at"

    @override
    def newest(self) -> int | None:
        return self._bound(sa.select(sa.func.max(delivered.c.at)))

    @override
    def pages(self, context: Context | None) -> Iterator[list[Record]]:
        state = self.get_context_state(context)
        found = self.query(sa.select(scopes.c.id, scopes.c.mapping))
        mappings = {str(row.id): row.mapping.hex() if row.mapping else None for row in found}
        self._mapped_before: JSON = state.get(MAPPINGS) or {}
        self._mappings = mappings
        yield from super().pages(context)
        state[MAPPINGS] = mappings

    @override
    def since(self, moment: int) -> Iterator[list[Record]]:
        for scope, mapping in self._mappings.items():
            same = self._mapped_before.get(scope, mapping) == mapping
            yield from self._rows(int(scope), moment if same else 0)

    def _rows(self, scope: int, moment: int) -> Iterator[list[Record]]:
        for keys in self._delivered(scope, moment):
            yield self._standing(scope, keys)
        for keys in self._outstanding(scope, moment):
            yield self._standing(scope, keys)

    def _standing(self, scope: int, keys: list[str]) -> list[Record]:
        columns = [column for column in standing.c if column is not standing.c.scope]
        where = (standing.c.scope == scope) & standing.c.key.in_(keys)
        return [
            {
                **row._mapping,
                "key_hashed": bool(row.key_hashed),
                "delivered_at": None if row.delivered_at is None else _iso(row.delivered_at),
            }
            for row in self.query(sa.select(*columns).where(where).order_by(standing.c.key))
        ]

    def _delivered(self, scope: int, moment: int) -> Iterator[list[str]]:
        """The keys that were written since a moment, in the order of the primary key.

        So the whole ledger is read once, whatever is left out.
        """
        statement = (
            sa.select(delivered.c.key)
            .where((delivered.c.scope == scope) & (delivered.c.at >= moment))
            .order_by(delivered.c.key)
            .limit(PAGE)
        )
        last = ""
        while page := self.query(statement.where(delivered.c.key > last)):
            yield [row.key for row in page]
            last = page[-1].key

    def _outstanding(self, scope: int, moment: int) -> Iterator[list[str]]:
        """The keys that were rejected since a moment, and those of requests under way."""
        statement = (
            sa.select(rejects.c.id, rejects.c.key)
            .where((rejects.c.scope == scope) & (rejects.c.at >= moment))
            .order_by(rejects.c.id)
            .limit(PAGE)
        )
        last = 0
        while page := self.query(statement.where(rejects.c.id > last)):
            yield list({row.key for row in page})
            last = page[-1].id
        for row in self.query(sa.select(pending.c["keys"]).where(pending.c.scope == scope)):
            yield json.loads(row[0])


class Rejects(DeliveriesStream):
    """What is outstanding."""

    name = "rejects"
    primary_keys = ("account", "server", "sync", "stream", "key", "slot")
    replication_key = "rejected_at"

    @cached_property
    @override
    def schema(self) -> dict[str, Any]:  # type: ignore[override]
        declared = StreamSchema(SchemaDirectory(schemas)).get_stream_schema(self, type(self))
        kept = dict(declared["properties"])
        if not self.config["include_records"]:
            del kept["record"]
        return {**declared, "properties": kept}

    @override
    def newest(self) -> int | None:
        return self._bound(sa.select(sa.func.max(rejects.c.at)))

    @override
    def since(self, moment: int) -> Iterator[list[Record]]:
        names = [
            "id", "scope", "key", "slot", "run", "at", "kind", "reason", "status", "operation",
            "attempts", "remote_id",
        ]  # fmt: skip
        with_records = bool(self.config["include_records"])
        if with_records:
            names.append("record")
        places = {row.id: _place(row) for row in self.query(sa.select(scopes))}
        last = 0
        while page := self.query(
            sa.select(*(rejects.c[name] for name in names))
            .where((rejects.c.id > last) & (rejects.c.at >= moment))
            .order_by(rejects.c.id)
            .limit(PAGE)
        ):
            yield [
                self._record(places[row.scope], row)
                | ({"record": _record_of(row.record)} if with_records else {})
                for row in page
                if row.scope in places
            ]
            last = page[-1].id

    @staticmethod
    def _record(place: Record, row: Any) -> Record:
        return {
            **place,
            "key": f"no key {row.key[1:]}" if row.key.startswith(NO_KEY) else row.key,
            "slot": row.slot or "main",
            "kind": row.kind,
            "reason": _masked(row.reason),
            "status": row.status,
            "operation": row.operation,
            "attempts": row.attempts,
            "remote_id": row.remote_id,
            "rejected_at": _text(row.at),
            "run": row.run or None,
        }


def _place(scope: Any) -> Record:
    return {**_account(scope.account), "sync": scope.sync, "stream": scope.stream}


def _account(text: str) -> Record:
    """Account and server, as `scopes` has them in one text."""
    account, _, server = text.rpartition(" ")
    return {"account": account, "server": server}


def _record_of(line: bytes) -> Any:
    """The record of a RECORD line; `None` where only a tolerant reader understands it."""
    with contextlib.suppress(ValueError, KeyError, TypeError):
        record = decode(line)["record"]
        return record if isinstance(record, dict) else None
    return None


def _masked(text: str | None) -> str | None:
    return None if text is None else masked_identities(text)


def _moment(text: str) -> datetime.datetime:
    return _in_utc(datetime.datetime.fromisoformat(text))


def _text(at: int) -> str:
    return _iso(datetime.datetime.fromtimestamp(at, datetime.UTC))


def _iso(moment: datetime.datetime) -> str:
    return f"{_in_utc(moment):%Y-%m-%dT%H:%M:%SZ}"


def _in_utc(moment: datetime.datetime) -> datetime.datetime:
    """A moment without a time zone is in UTC: SQLite has no time zones."""
    at = moment if moment.tzinfo else moment.replace(tzinfo=datetime.UTC)
    return at.astimezone(datetime.UTC)
