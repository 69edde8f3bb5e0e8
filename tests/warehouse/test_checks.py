"""What a plan does not do: it fails, with one line, before its first row."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import psycopg
import pytest

from singer_sandbox import Sandbox
from tests.core.rules.runs import Ran, Runs
from tests.core.standing.test_plans import DOCUMENTED
from tests.front_door import JSON
from tests.warehouse.plans import ACCOUNT, columns_of, messages, rows_of
from tests.warehouse.project import Project

pytestmark = pytest.mark.xdist_group("dbt")

Connection = psycopg.Connection[Any]
STANDING = (Path(__file__).parents[2] / "docs/standing.md").read_text()
GRANTS = re.findall(r"```sql\n(GRANT USAGE.*?)```", STANDING, re.DOTALL)


class Pipeline:
    """People of one table, planned and sent."""

    def __init__(self, connection: Connection, project: Project, runs: Runs) -> None:
        self.connection, self.project, self.runs = connection, project, runs

    def fill(self, *numbers: int, first_name: str = "A") -> None:
        """Make these the rows of the table."""
        self.connection.execute("DELETE FROM warehouse.people_text")
        for n in numbers:
            row = (f"k{n}", f"p{n}@example.com", first_name)
            insert = "INSERT INTO warehouse.people_text VALUES (%s, %s, %s)"
            self.connection.execute(insert, row)

    def plan(self, model: str = "guarded") -> list[JSON]:
        return rows_of(self.connection, self.project.sql(model))

    def planned(self, model: str = "guarded") -> dict[str, bool]:
        """Key -> whether it is deleted."""
        return {row["external_id"]: row["_sdc_deleted_at"] is not None for row in self.plan(model)}

    def documented(self, table: str, share: str = "0") -> dict[str, bool]:
        """As `planned`, by the plain SQL of docs/standing.md."""
        assert DOCUMENTED is not None
        query = DOCUMENTED[1].replace("0.9", share).replace("my-account", ACCOUNT)
        query = query.replace("people_versions", f"warehouse.{table}")
        found = rows_of(self.connection, query)
        return {row["external_id"]: row["_sdc_deleted_at"] is not None for row in found}

    def both(self, table: str) -> list[tuple[str, bool]]:
        """As `planned`, in the plan's order, by the macro and by the plain SQL: they agree."""
        planned = [*self.planned(table).items()]
        assert [*self.documented(table).items()] == planned
        return planned

    def send(self, model: str = "guarded", *, table: str = "people_text", **config: Any) -> Ran:
        columns = columns_of(self.connection, table)
        ran = self.runs.run(
            messages("people", columns, ["external_id"], self.plan(model)), **config
        )
        assert ran.error == ""
        return ran

    def refusal(self, model: str = "guarded") -> str:
        with pytest.raises(psycopg.errors.InvalidTextRepresentation) as error:
            self.plan(model)
        return str(error.value).splitlines()[0]


@pytest.fixture
def pipeline(
    connection: Connection, project: Project, sandbox: Sandbox, tmp_path: Path, warehouse: str
) -> Pipeline:
    runs = Runs(
        "target-autoreach", sandbox, tmp_path, database_url=warehouse, version_column="row_version",
        unknown_fields="warn",
    )  # fmt: skip
    return Pipeline(connection, project, runs)


def test_only_what_changed_is_planned(pipeline: Pipeline) -> None:
    pipeline.fill(*range(40))
    assert pipeline.send().counts("people") == {"received": 40, "upserted": 40}
    assert pipeline.planned() == {}
    pipeline.connection.execute(
        "UPDATE warehouse.people_text SET first_name = 'B' WHERE external_id = 'k7'"
    )
    pipeline.connection.execute("DELETE FROM warehouse.people_text WHERE external_id = 'k9'")
    assert pipeline.planned() == {"k7": False, "k9": True}
    assert pipeline.planned("upserts") == {"k7": False}
    assert pipeline.send().counts("people") == {"received": 2, "upserted": 1, "deleted": 1}
    assert pipeline.planned() == {}


def test_the_same_values_under_other_names_are_another_version(pipeline: Pipeline) -> None:
    """Who finds that two columns were mixed up gives each the other's name."""
    pipeline.fill(1)
    pipeline.send()
    pipeline.connection.execute(
        "INSERT INTO warehouse.people_swapped SELECT * FROM warehouse.people_text"
    )
    assert pipeline.planned("upserts") == {}
    assert pipeline.planned("people_swapped") == {"k1": False}


def test_a_delete_has_nulls_for_arrays_and_enums_too(pipeline: Pipeline) -> None:
    pipeline.fill(1)
    pipeline.send()
    pipeline.connection.execute(
        "INSERT INTO warehouse.people_types VALUES ('k2', ARRAY['a', 'b'], 'good')"
    )
    rows = {row["external_id"]: (row["tags"], row["mood"]) for row in pipeline.plan("people_types")}
    assert rows == {"k1": (None, None), "k2": (["a", "b"], "good")}
    assert pipeline.planned("people_types") == {"k1": True, "k2": False}


def test_more_deletes_than_allowed_are_none(pipeline: Pipeline) -> None:
    pipeline.fill(*range(60))
    pipeline.send()
    pipeline.fill(*range(54))
    assert set(pipeline.planned()) == {"k54", "k55", "k56", "k57", "k58", "k59"}
    pipeline.fill(*range(53))
    assert "people: the plan would delete 7 of 60 records, more than max_deletes (10%) allows" in (
        pipeline.refusal()
    )
    assert pipeline.planned("upserts") == {}


def test_a_share_always_allows_five_and_a_number_is_meant(pipeline: Pipeline) -> None:
    pipeline.fill(*range(8))
    pipeline.send()
    pipeline.fill(*range(3))
    assert len(pipeline.planned()) == 5
    assert "would delete 5 of 8 records, more than max_deletes (1)" in pipeline.refusal("few")


def test_an_empty_relation_deletes_nothing(pipeline: Pipeline) -> None:
    pipeline.fill(1, 2)
    pipeline.send()
    pipeline.fill()
    assert "warehouse.people_text is empty, 2 records were delivered" in pipeline.refusal()
    assert "is empty" in pipeline.refusal("wide")
    assert pipeline.planned("people_text") == {"k1": True, "k2": True}, "max_shrink 100%"


def test_a_relation_that_shrank_deletes_nothing(pipeline: Pipeline) -> None:
    pipeline.fill(*range(20))
    pipeline.send()
    pipeline.fill(*range(5))
    assert "has 5 rows, 20 records were delivered: that is less than max_shrink (50%)" in (
        pipeline.refusal("wide")
    )


def test_a_row_without_a_key_deletes_nothing(pipeline: Pipeline) -> None:
    pipeline.fill(1, 2)
    pipeline.send()
    pipeline.fill(1)
    pipeline.connection.execute("INSERT INTO warehouse.people_text VALUES (''), (NULL)")
    assert "2 rows of warehouse.people_text have no key" in pipeline.refusal()
    assert len(pipeline.plan("upserts")) == 2
    assert pipeline.send("upserts").counts("people") == {"received": 2, "rejected": 2}


def test_two_rows_of_one_key_are_refused(pipeline: Pipeline) -> None:
    pipeline.fill(1, 2)
    pipeline.send()
    pipeline.connection.execute("INSERT INTO warehouse.people_text SELECT external_id, email, 'B'"
                                " FROM warehouse.people_text WHERE external_id = 'k1'")  # fmt: skip
    wanted = "people: 1 keys have several rows in warehouse.people_text: keep one row of each"
    assert wanted in pipeline.refusal()
    assert wanted in pipeline.refusal("upserts")


def test_hashed_keys_are_refused(pipeline: Pipeline) -> None:
    pipeline.fill(1, 2)
    pipeline.connection.execute("UPDATE warehouse.people_text SET external_id = email")
    pipeline.send()
    wanted = "2 of 2 keys stand hashed in the ledger, as emails and phones do"
    assert wanted in pipeline.refusal()
    assert wanted in pipeline.refusal("upserts")


def test_two_servers_of_one_account_are_told_apart(pipeline: Pipeline) -> None:
    pipeline.fill(1)
    pipeline.send()
    pipeline.connection.execute(
        "INSERT INTO singer_http_scopes (account, sync, stream, source, keys, schema_message)"
        " VALUES ('sandbox-client other.example.com', 'default', 'people', 's', '[]', '')"
    )
    assert "the ledger knows sandbox-client at 2 servers" in pipeline.refusal()


def test_another_sync_and_another_account_have_plans_of_their_own(pipeline: Pipeline) -> None:
    pipeline.fill(1)
    pipeline.send(sync="other")
    assert pipeline.planned() == {"k1": False}
    pipeline.send(account="another")
    assert pipeline.planned() == {"k1": False}
    pipeline.send()
    assert pipeline.planned() == {}


def test_dbt_fails_with_that_line(pipeline: Pipeline) -> None:
    pipeline.fill(*range(10))
    pipeline.send()
    pipeline.fill()
    said = pipeline.project.dbt("run", "--select", "guarded", fails=True)
    assert "people: warehouse.people_text is empty, 10 records were delivered" in said


def test_the_view_fails_too(pipeline: Pipeline) -> None:
    pipeline.fill(*range(10))
    pipeline.send()
    pipeline.fill()
    with pytest.raises(psycopg.errors.InvalidTextRepresentation, match="is empty"):
        pipeline.connection.execute("SELECT * FROM to_autoreach.guarded_view LIMIT 1")


def test_a_role_with_the_documented_grants_can_plan(pipeline: Pipeline) -> None:
    pipeline.fill(1, 2)
    pipeline.send()
    pipeline.fill(1)
    grants = GRANTS[0].replace("name", "public")
    connection = pipeline.connection
    connection.execute(f"CREATE ROLE analyst; {grants}".encode())
    try:
        connection.execute(
            "GRANT USAGE ON SCHEMA warehouse TO analyst;"
            "GRANT SELECT ON warehouse.people_text TO analyst;"
            "SET ROLE analyst"
        )
        assert pipeline.planned() == {"k2": True}
    finally:
        connection.execute("RESET ROLE; DROP OWNED BY analyst; DROP ROLE analyst")


def test_columns_with_a_collation_are_compared_byte_by_byte(
    pipeline: Pipeline, connection: Connection
) -> None:
    """Theirs ignores case, where PostgreSQL has such collations."""
    table = "warehouse.people_collated"
    connection.execute(f"INSERT INTO {table} VALUES ('K1', 'a@example.com', 'A', 'v')")
    pipeline.send("people_collated", table="people_collated")
    assert pipeline.both("people_collated") == []
    connection.execute(f"UPDATE {table} SET first_name = 'B', row_version = 'V'")
    assert pipeline.both("people_collated") == [("K1", False)]
    connection.execute(f"UPDATE {table} SET external_id = 'k1', row_version = 'v'")
    assert pipeline.both("people_collated") == [("k1", False), ("K1", True)]


def test_the_delete_of_an_old_key_comes_after_the_row_with_the_new_one(
    pipeline: Pipeline, connection: Connection
) -> None:
    """Before it, it would take away the record that the row updates."""
    table = "warehouse.people_collated"
    connection.execute(f"INSERT INTO {table} VALUES ('a', 'a@example.com', 'A', 'v')")
    pipeline.send("people_collated", table="people_collated")
    connection.execute(f"UPDATE {table} SET external_id = 'b'")
    assert pipeline.both("people_collated") == [("b", False), ("a", True)]


def test_a_delete_has_its_key_to_the_last_digit(pipeline: Pipeline, connection: Connection) -> None:
    """A column that is narrower by now would round it to the key of another record."""
    for key in ("7.1234", "7.123"):
        insert = "INSERT INTO warehouse.people_text VALUES (%s, %s, 'A')"
        connection.execute(insert, (key, f"p{key}@example.com"))
    pipeline.send()
    connection.execute(
        "INSERT INTO warehouse.people_number VALUES (7.123, 'p7.123@example.com', 'A')"
    )
    rows = [row for row in pipeline.plan("people_number") if row["_sdc_deleted_at"] is not None]
    assert [str(row["external_id"]) for row in rows] == ["7.1234"]


def test_hashed_keys_that_were_deleted_do_not_count(pipeline: Pipeline) -> None:
    """A table that had an email among its keys is planned once that one is gone."""
    pipeline.fill(1, 2)
    insert = "INSERT INTO warehouse.people_text VALUES ('x@example.com', 'x@example.com', 'X')"
    pipeline.connection.execute(insert)
    pipeline.send("upserts")
    assert "1 of 3 keys stand hashed" in pipeline.refusal()
    row = {"external_id": "x@example.com", "_sdc_deleted_at": "2026-01-01T00:00:00Z"}
    columns = columns_of(pipeline.connection, "people_text")
    pipeline.runs.run(messages("people", columns, ["external_id"], [row]))
    pipeline.fill(1)
    assert pipeline.planned() == {"k2": True}


def test_the_plain_sql_deletes_nothing_where_the_keys_are_others(
    pipeline: Pipeline, connection: Connection
) -> None:
    """As many rows as before say nothing: a load may have lost or changed their keys."""
    table = "warehouse.people_collated"
    connection.execute(
        f"INSERT INTO {table} SELECT 'k' || n, n || '@example.com', 'A', 'v'"
        " FROM generate_series(1, 20) AS n"
    )
    pipeline.send("people_collated", table="people_collated")
    connection.execute(f"DELETE FROM {table} WHERE external_id IN ('k1', 'k2')")
    assert pipeline.documented("people_collated", "0.9") == {"k1": True, "k2": True}
    connection.execute(f"UPDATE {table} SET external_id = 'n3' WHERE external_id = 'k3'")
    assert pipeline.documented("people_collated", "0.9") == {"n3": False}
    connection.execute(f"UPDATE {table} SET external_id = NULL")
    assert pipeline.documented("people_collated", "0.9") == {None: False}


@pytest.mark.parametrize("key", ["007", "abc", "7-1", "7 "])
def test_a_key_that_is_another_one_in_the_columns_type_is_no_delete(
    pipeline: Pipeline, connection: Connection, key: str
) -> None:
    """007 was delivered; the column is a number by now: the delete would be that of 7."""
    connection.execute(
        "INSERT INTO warehouse.people_text VALUES (%s, 'p7@example.com', 'A'),"
        " ('8', 'p8@example.com', 'A')",
        [key],
    )
    pipeline.send()
    connection.execute("INSERT INTO warehouse.people_number VALUES (7, 'p7@example.com', 'A')")
    assert (
        "people: 1 delivered keys are others in the type that they have in warehouse.people_number"
        in pipeline.refusal("people_number")
    )
    assert pipeline.planned("people_text") == {}
