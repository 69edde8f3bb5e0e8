"""Opening a database: quick where its tables are as they should be, made or migrated elsewhere."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import sqlalchemy as sa

from singer_http.store.database import Database, _lock_number
from singer_http.store.server import parse_url
from singer_http.store.tables import VERSION, metadata, scopes

TABLES = {
    "accounts", "arrivals", "claims", "delivered", "meta", "pending", "rates", "rejects", "runs",
    "same", "scopes", "tokens", "verified", "verifying",
}  # fmt: skip
"""Those of version 3."""


@pytest.fixture
def url(ledger_url: str | None, tmp_path: Path) -> str:
    """A database of either kind."""
    return ledger_url or f"sqlite:///{tmp_path}/ledger.db"


@contextmanager
def connected(url: str) -> Iterator[sa.Connection]:
    """Another program's connection."""
    engine = sa.create_engine(parse_url(url))
    with engine.connect() as connection:
        yield connection
    engine.dispose()


def test_a_database_that_is_up_to_date_is_opened_beside_one_who_writes(url: str) -> None:
    Database(url).close()
    with connected(url) as other:
        # What making or migrating the tables would wait for.
        if other.dialect.name == "sqlite":
            other.execute(sa.text("BEGIN IMMEDIATE"))
        else:
            other.execute(sa.select(sa.func.pg_advisory_lock(_lock_number("tables"))))
        database = Database(url)
        assert database.query(sa.select(scopes)) == []
        database.close()


def test_a_table_that_is_missing_is_made(url: str) -> None:
    Database(url).close()
    with connected(url) as other:
        other.execute(sa.text("DROP TABLE singer_http_arrivals"))
        other.commit()
    Database(url).close()
    with connected(url) as other:
        assert sa.inspect(other).has_table("singer_http_arrivals")


def test_another_table_needs_another_version() -> None:
    """A database that is up to date is known by its version and by the tables that are there."""
    assert VERSION == 3
    assert {name.removeprefix("singer_http_") for name in metadata.tables} == TABLES


def test_a_question_sees_what_this_connection_wrote_and_leaves_nothing_open(url: str) -> None:
    database, other = Database(url), Database(url)
    row = {"account": "a", "sync": "s", "source": "x", "keys": "[]", "schema_message": b""}
    database.execute(scopes.insert().values(stream="one", **row))
    assert len(database.query(sa.select(scopes))) == 1
    database.commit()
    assert len(other.query(sa.select(scopes))) == 1
    # After a question without a transaction, what is written is in one again.
    database.execute(scopes.insert().values(stream="two", **row))
    database.rollback()
    assert len(other.query(sa.select(scopes))) == 1
    other.execute(scopes.delete())
    other.commit()
    assert database.query(sa.select(scopes)) == []
    database.close()
    other.close()


def test_a_database_of_version_2_gets_the_columns_and_the_index_of_version_3(url: str) -> None:
    Database(url).close()
    dropped = {"delivered": ("mapping", "version", "fields"), "scopes": ("mapping",)}
    with connected(url) as other:
        other.execute(sa.text("DROP VIEW singer_http_standing"))
        for table, columns in dropped.items():
            for column in columns:
                other.execute(sa.text(f"ALTER TABLE singer_http_{table} DROP COLUMN {column}"))
        other.execute(sa.text("DROP INDEX singer_http_runs_by_sync"))
        other.execute(sa.text("UPDATE singer_http_meta SET value = '2' WHERE name = 'version'"))
        other.commit()
    Database(url).close()
    with connected(url) as other:
        look = sa.inspect(other)
        for table, columns in dropped.items():
            names = {column["name"] for column in look.get_columns(f"singer_http_{table}")}
            assert names >= set(columns)
        indexes = [index["name"] for index in look.get_indexes("singer_http_runs")]
        assert "singer_http_runs_by_sync" in indexes
        found = other.scalar(sa.text("SELECT value FROM singer_http_meta WHERE name = 'version'"))
        assert found == "3"
