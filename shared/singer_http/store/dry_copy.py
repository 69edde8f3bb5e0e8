"""What a dry run works on: a temporary copy of one account's rows. The database is not locked."""

from __future__ import annotations

import itertools
import os
import sqlite3
import tempfile
from contextlib import closing
from pathlib import Path
from typing import Any, NamedTuple

import sqlalchemy as sa

from singer_http.store.tables import (
    VERSION,
    accounts,
    claims,
    delivered,
    is_same,
    meta,
    metadata,
    pending,
    rejects,
    runs,
    same,
    scopes,
)

PIECE = 5_000
"""Rows that are copied at once."""


class Pipeline(NamedTuple):
    """What a run is a run of."""

    plugin: str
    sync: str
    account: str
    """With the server, as in `scopes`."""


def copy_for_dry_run(url: sa.URL, pipeline: Pipeline) -> Path:
    """Copy the rows that a dry run reads into a new file.

    Raises:
        SQLAlchemyError, OSError, sqlite3.Error: the database cannot be read.
    """
    descriptor, name = tempfile.mkstemp(suffix=".ledger")
    os.close(descriptor)
    copy = Path(name)
    try:
        if url.get_backend_name() == "sqlite":
            if url.database and Path(url.database).exists():
                with (
                    closing(sqlite3.connect(f"file:{url.database}?mode=ro", uri=True)) as source,
                    closing(sqlite3.connect(name)) as into,
                ):
                    source.backup(into)
        else:
            _copy_accounts(url, f"sqlite:///{name}", pipeline)
    except BaseException:
        remove_copy(copy)
        raise
    return copy


def remove_copy(copy: Path) -> None:
    """Remove a copy, and what SQLite put beside it."""
    for suffix in ("", "-wal", "-shm"):
        Path(f"{copy}{suffix}").unlink(missing_ok=True)


def _copy_accounts(url: sa.URL, into: str, pipeline: Pipeline) -> None:
    source, target = sa.create_engine(url), sa.create_engine(into)
    try:
        with source.connect() as reader, target.begin() as writer:
            metadata.create_all(writer)
            if not sa.inspect(reader).has_table(meta.name):
                writer.execute(meta.delete())
                return
            names = _accounts(reader, pipeline)
            own = sa.select(scopes.c.id).where(scopes.c.account.in_(names))
            copied: list[tuple[sa.Table, Any]] = [
                (meta, sa.true()),
                (accounts, sa.true()),
                (scopes, scopes.c.account.in_(names)),
                *(
                    (table, table.c.scope.in_(own))
                    for table in (delivered, claims, pending, rejects)
                ),
            ]
            if sa.inspect(reader).has_table(same.name):
                copied.append((same, sa.true()))
            if sa.inspect(reader).has_table(runs.name):
                copied.append((runs, runs.c.account.in_(names)))
            for table, condition in copied:
                _copy_rows(reader, writer, table, condition)
            # What an older release wrote is copied into the tables of this one.
            stated = meta.c.name == "version"
            if int(reader.scalar(sa.select(meta.c.value).where(stated)) or VERSION) < VERSION:
                writer.execute(meta.update().where(stated).values(value=str(VERSION)))
    finally:
        source.dispose()
        target.dispose()


def _accounts(reader: sa.Connection, pipeline: Pipeline) -> list[str]:
    """The account and its other addresses; the plugin's other accounts, which it may take over."""
    names = {pipeline.account}
    if sa.inspect(reader).has_table(same.name):
        known = sa.select(scopes.c.account).where(is_same(scopes.c.account, pipeline.account))
        names.update(row[0] for row in reader.execute(known.distinct()))
    own = (scopes.c.account == pipeline.account) & (scopes.c.sync == pipeline.sync)
    has_ledger = reader.execute(sa.select(scopes.c.id).where(own).limit(1)).first()
    if not has_ledger and sa.inspect(reader).has_table(runs.name):
        others = sa.select(runs.c.account).where(runs.c.plugin == pipeline.plugin)
        names.update(row[0] for row in reader.execute(others.distinct()))
    return list(names)


def _copy_rows(
    reader: sa.Connection, writer: sa.Connection, table: sa.Table, condition: Any
) -> None:
    there = {column["name"] for column in sa.inspect(reader).get_columns(table.name)}
    columns = [column for column in table.columns if column.name in there]
    found = reader.execution_options(stream_results=True).execute(
        sa.select(*columns).where(condition)
    )
    rows = (dict(row._mapping) for row in found)
    while piece := list(itertools.islice(rows, PIECE)):
        writer.execute(table.insert(), piece)
