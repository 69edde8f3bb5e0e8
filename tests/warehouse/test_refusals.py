"""What no plan is made of, and materialized views, of which it is."""

from __future__ import annotations

import re
from collections.abc import Iterator

import psycopg
import pytest

from tests.warehouse.plans import plan, rows_of
from tests.warehouse.project import Project

pytestmark = pytest.mark.xdist_group("dbt")

MAKE = """
CREATE TABLE warehouse.people_blanks (external_id character(5), email text);
CREATE TABLE warehouse.people_days (external_id date, email text);
CREATE MATERIALIZED VIEW warehouse.people_kept AS
    SELECT 'k1'::varchar(9) AS external_id, ARRAY[1] AS numbers, 7::numeric(9, 2) AS n,
        now() AS at, 'good'::warehouse.mood AS mood;
"""
TABLES = ("people_blanks", "people_days", "people_kept")
KEY = "'external_id'"
MODELS = {
    **{table: plan(table, "people", KEY, deletes=True) for table in TABLES},
    "appended": "{{ config(materialized='incremental') }}" + plan("people_kept", "people", KEY),
}


@pytest.fixture(scope="module")
def said(
    warehouse: str, project: Project, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[str]:
    """What dbt says of these models, in one line."""
    with psycopg.connect(warehouse, autocommit=True) as connection:
        connection.execute(MAKE)
        folder = tmp_path_factory.mktemp("refused") / "project"
        text = Project(folder, warehouse, MODELS, TABLES).dbt("run", "-s", "tests", fails=True)
        yield re.sub(r"\s+", " ", text)
        connection.execute(
            "DROP TABLE warehouse.people_blanks, warehouse.people_days;"
            "DROP MATERIALIZED VIEW warehouse.people_kept CASCADE"
        )


def test_a_key_padded_with_blanks_is_refused(said: str) -> None:
    """Its text in SQL has no blanks, the tap's has them: its record would be deleted."""
    assert "the key column external_id is of the type character: cast it to text in" in said


def test_a_date_is_no_key(said: str) -> None:
    assert "the key column external_id is of the type date: cast it to text in people_days" in said


def test_a_materialized_view_can_be_planned(
    said: str, connection: psycopg.Connection[object]
) -> None:
    assert "Failure in model people_kept" not in said
    (row,) = rows_of(connection, "SELECT * FROM to_autoreach.people_kept")
    assert (row["external_id"], row["numbers"], row["mood"]) == ("k1", [1], "good")
    assert row["_sdc_deleted_at"] is None


def test_an_incremental_model_is_refused(said: str) -> None:
    """It would keep the rows of earlier plans."""
    assert "a plan is a table or a view: incremental would keep" in said
