"""One warehouse and one dbt project for all tests of a process."""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
from psycopg import sql

from demo.postgres import database
from singer_http.store.tables import meta, metadata
from tests.warehouse.plans import empty, plan
from tests.warehouse.project import DBT, Project

MAKE = """
CREATE SCHEMA warehouse;
CREATE TABLE warehouse.people_text (external_id text, email text, first_name text);
CREATE TABLE warehouse.people_number (
    external_id numeric(12, 3), email text, first_name text
);
CREATE TABLE warehouse.members_two (
    k double precision, part text, email text, first_name text, list_id text,
    _sdc_deleted_at timestamptz
);
CREATE TABLE warehouse.people_swapped (external_id text, first_name text, email text);
CREATE TYPE warehouse.mood AS ENUM ('good', 'bad');
DO $$ BEGIN
    CREATE COLLATION warehouse.own (
        provider = icu, locale = 'und-u-ks-level2', deterministic = false
    );
EXCEPTION WHEN feature_not_supported THEN  -- built without ICU: it tells case apart then
    CREATE COLLATION warehouse.own FROM "POSIX";
END $$;
CREATE TABLE warehouse.people_collated (
    external_id text COLLATE warehouse.own, email text, first_name text,
    row_version text COLLATE warehouse.own
);
CREATE TABLE warehouse.people_types (external_id text, tags text[], mood warehouse.mood);
"""
TABLES = (
    "people_text", "people_number", "members_two", "people_swapped", "people_collated",
    "people_types",
)  # fmt: skip
ANY = {"deletes": True, "max_deletes": "100%", "max_shrink": "100%"}
MODELS = {
    "people_text": plan("people_text", "people", "'external_id'", **ANY),
    "people_number": plan("people_number", "people", "['external_id']", **ANY),
    "members_two": plan("members_two", "members", "['k', 'part']", **ANY),
    "people_swapped": plan("people_swapped", "people", "'external_id'"),
    "people_collated": plan("people_collated", "people", "'external_id'", **ANY),
    "people_types": plan("people_types", "people", "'external_id'", **ANY),
    "other_keys": plan("people_text", "people", "['external_id', 'email']", deletes=True),
    "guarded": plan("people_text", "people", "'external_id'", deletes=True),
    "guarded_view": "{{ config(materialized='view') }}"
    + plan("people_text", "people", "'external_id'", deletes=True),
    "upserts": plan("people_text", "people", "'external_id'"),
    "few": plan(
        "people_text", "people", "'external_id'", deletes=True, max_deletes=1, max_shrink="20%"
    ),
    "wide": plan("people_text", "people", "'external_id'", deletes=True, max_deletes="90%"),
}


@pytest.fixture(scope="session")
def warehouse(postgresql: str) -> Iterator[str]:
    """The URL of a database of its own, with the tables that the plans read and a ledger."""
    with database(postgresql, f"warehouse_{uuid.uuid4().hex}") as url:
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute(MAKE)
        yield url


@pytest.fixture(scope="session")
def project(warehouse: str, tmp_path_factory: pytest.TempPathFactory) -> Project:
    """The plans, rendered once, when there is a ledger."""
    if not DBT.exists() and not os.environ.get("CI"):
        pytest.skip("there is no dbt: make dbt")
    from singer_http.store.store import Store

    Store(warehouse.replace("postgresql://", "postgresql+psycopg://"), "run").close()
    project = Project(tmp_path_factory.mktemp("dbt") / "project", warehouse, MODELS, TABLES)
    said = project.dbt("build")  # the package's own tests too
    assert "there is no ledger" not in said
    return project


@pytest.fixture
def connection(warehouse: str, project: Project) -> Iterator[psycopg.Connection[Any]]:
    """The warehouse with empty tables and an empty ledger."""
    with psycopg.connect(warehouse, autocommit=True) as connection:
        clear(connection)
        yield connection


def clear(connection: psycopg.Connection[Any]) -> None:
    """Empty the tables and the ledger."""
    empty(connection, "warehouse")
    forget(connection)


def forget(connection: psycopg.Connection[Any]) -> None:
    """Lose the ledger, but for its version and its salt."""
    lost = [sql.Identifier(name) for name in metadata.tables if name != meta.name]
    connection.execute(sql.SQL("TRUNCATE {}").format(sql.SQL(", ").join(lost)))
