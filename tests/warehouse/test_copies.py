"""Plans that read a copy of the ledger, as tap-deliveries loads it, however old it is."""

from __future__ import annotations

import itertools
import json
import shutil
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

import psycopg
import pytest
from hypothesis import given
from hypothesis import strategies as st
from typing_extensions import override

from singer_http.identity import masked_identities
from singer_sandbox import Sandbox
from tests.core.rules.runs import examples
from tests.tapping import Tap, only
from tests.warehouse.conftest import MODELS
from tests.warehouse.plans import messages, rows_of
from tests.warehouse.project import Project
from tests.warehouse.test_histories import (
    FAULTS,
    KEYS,
    RELATIONS,
    VALUES,
    Change,
    Go,
    Lose,
    Settings,
    World,
)

pytestmark = pytest.mark.xdist_group("dbt")

PLAN = "to_autoreach.copied"
RUNS = """
SELECT model.*, (
    SELECT jsonb_agg(jsonb_build_object('stream', key, 'received', value -> 'received'))
    FROM singer_http_runs AS stored, json_each(stored.report::json -> 'streams')
    WHERE stored.run = model.run
) AS streams
FROM ({}) AS model
"""
"""As tap-deliveries and a loader bring them."""
FOLDERS = itertools.count()


@dataclass(frozen=True)
class Copy:
    """The ledger is copied into the warehouse."""


STEP = st.one_of(
    st.builds(Change, st.sampled_from(KEYS), VALUES),
    st.builds(Change, st.sampled_from(KEYS), VALUES),
    st.builds(Go, fault=st.none() | st.none() | FAULTS),
    st.builds(Settings, st.sampled_from(["omit", "send"])),
    st.builds(Copy),
    st.builds(Lose),
)
HISTORIES = st.lists(STEP, min_size=4, max_size=16)


@pytest.fixture(scope="module")
def copied(
    warehouse: str, project: Project, tmp_path_factory: pytest.TempPathFactory
) -> tuple[str, str]:
    """The plan of a table, and the SQL by which the runs are copied."""
    runs = RUNS.format(project.sql("runs", "singer_http"))
    with psycopg.connect(warehouse, autocommit=True) as connection:
        connection.execute(
            "CREATE SCHEMA IF NOT EXISTS deliveries;"
            "CREATE TABLE deliveries.records AS SELECT * FROM singer_http_standing;"
            f"CREATE TABLE deliveries.runs AS {runs}"
        )
    models = {"copied": MODELS["people_text"], "seen": MODELS["guarded_view"]}
    with psycopg.connect(warehouse, autocommit=True) as connection:
        connection.execute("DELETE FROM warehouse.people_text")
        connection.execute("INSERT INTO warehouse.people_text VALUES ('x')")
    folder = tmp_path_factory.mktemp("copied") / "project"
    copying = Project(
        folder, warehouse, models, ["people_text"], singer_http_deliveries_schema="deliveries"
    )
    said = copying.dbt("run", fails=True)
    assert "seen.sql" in said
    assert "with the tables of tap-deliveries a plan is a table" in said
    copying.dbt("compile", "--select", "copied")  # with a plan that came before it
    assert "_sdc_planned_after) from" in copying.sql("copied")
    return copying.sql("copied"), runs


class CopiedWorld(World):
    """As `World`, but what the plan knows of the ledger is a copy."""

    runs_sql: str

    def begin(self, runs_sql: str) -> None:
        self.runs_sql = runs_sql
        self.connection.execute(f"TRUNCATE deliveries.records, deliveries.runs, {PLAN}")
        # What a plan before it had planned, so that nothing is trusted yet.
        self.connection.execute(f"INSERT INTO {PLAN} (_sdc_planned_after) VALUES ('')")

    def copy(self) -> None:
        self.connection.execute(
            "TRUNCATE deliveries.runs, deliveries.records;"
            f"INSERT INTO deliveries.runs {self.runs_sql};"
            "INSERT INTO deliveries.records SELECT * FROM singer_http_standing"
        )

    @override
    def play(self, history: list[Any]) -> None:
        for step in history:
            if isinstance(step, Copy):
                self.copy()
            else:
                super().play([step])
                if isinstance(step, Lose):
                    self.begin(self.runs_sql)

    @override
    def messages(self, *, full: bool) -> list[Any]:
        """Make the plan, as dbt does, and read it."""
        # Runs are told apart by the second in which they began; these take less.
        self.connection.execute("UPDATE singer_http_runs SET started_at = started_at - 1")
        self.connection.execute(
            f"CREATE TABLE to_autoreach.next AS {self.plan};"
            f"DROP TABLE {PLAN}; ALTER TABLE to_autoreach.next RENAME TO copied"
        )
        rows = rows_of(self.connection, f"SELECT * FROM {PLAN}")
        columns = {**self.columns, "_sdc_planned_after": "text"}
        return messages(self.relation.stream, columns, self.relation.keys, rows)

    @override
    def settle(self) -> None:
        self.copy()
        super().settle()

    def rows(self) -> dict[str, Any]:
        """The next plan, which is not made."""
        found = rows_of(self.connection, str(self.plan))
        return {row["external_id"]: row["row_version"] for row in found}


@examples(6)
@given(history=HISTORIES)
def test_an_old_copy_loses_no_row(
    history: list[Any],
    copied: tuple[str, str],
    connection: psycopg.Connection[Any],
    warehouse: str,
    sandbox: Sandbox,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    states = []
    sql, runs = copied
    for kind, given_plan in ((World, None), (CopiedWorld, sql)):
        folder = tmp_path_factory.mktemp("copies") / str(next(FOLDERS))
        world = kind(RELATIONS[0], connection, given_plan, sandbox, folder, warehouse)
        if isinstance(world, CopiedWorld):
            world.begin(runs)
        world.play([step for step in history if kind is CopiedWorld or not isinstance(step, Copy)])
        states.append(world.end())
        shutil.rmtree(folder)
    assert states[1] == states[0]


@pytest.fixture
def world(
    copied: tuple[str, str],
    connection: psycopg.Connection[Any],
    warehouse: str,
    sandbox: Sandbox,
    tmp_path: Path,
) -> CopiedWorld:
    """One whose copy is empty."""
    plan, runs = copied
    world = CopiedWorld(RELATIONS[0], connection, plan, sandbox, tmp_path / "w", warehouse)
    world.begin(runs)
    return world


def test_a_row_that_changed_back_comes_again_with_an_old_copy(world: CopiedWorld) -> None:
    one = KEYS[0]
    world.play([Change(one, "a"), Go(), Copy()])
    assert world.rows() == {}, "the copy has what the plan sent"
    world.play([Change(one, "b"), Go(), Change(one, "a"), Go()])
    assert dict(world.state())["p0@example.com"] == "a"
    assert len(world.rows()) == 2, "nothing is trusted until a newer copy comes"
    world.play([Copy()])
    assert world.rows() == {}


def test_the_run_of_another_stream_says_nothing_of_this_ones_copy(world: CopiedWorld) -> None:
    """Of another job in the same sync: it only retries what this one's stream has rejected."""
    one = KEYS[0]
    world.play([Change(one, "a"), Go(), Copy(), Change(one, "b")])
    planned = world.messages(full=False)
    world.connection.execute(
        "INSERT INTO singer_http_runs (run, plugin, account, sync, started_at, outcome, report)"
        " SELECT 'another', plugin, account, sync, started_at + 1, 'ok',"
        ' \'{"streams": {"people": {"received": 0}}}\' FROM singer_http_runs'
    )
    world.play([Copy()])
    world.runs.run(planned)
    world.play([Change(one, "a")])
    assert len(world.rows()) == 2, "the copy has not seen the run that sent b"


def test_a_copy_with_several_rows_of_a_key_is_refused(world: CopiedWorld) -> None:
    world.play([Change(KEYS[0], "a"), Go(), Copy()])
    world.connection.execute(
        "INSERT INTO deliveries.records SELECT * FROM deliveries.records LIMIT 1"
    )
    with pytest.raises(psycopg.errors.InvalidTextRepresentation, match="1 rows more than keys"):
        world.rows()


@pytest.mark.parametrize(("stream", "model"), [
    ("records", "deliveries"), ("rejects", "rejects"), ("runs", "runs"),
])  # fmt: skip
def test_the_models_name_columns_that_the_tap_has(
    stream: str, model: str, project: Project, connection: psycopg.Connection[Any]
) -> None:
    text = resources.files("tap_deliveries.schemas").joinpath(f"{stream}.json").read_text()
    cursor = connection.execute(project.sql(model, "singer_http").encode())
    assert {column.name for column in cursor.description or ()} <= set(
        json.loads(text)["properties"]
    )


def test_the_run_of_a_tap_is_in_no_model(
    project: Project, connection: psycopg.Connection[Any], warehouse: str, sandbox: Sandbox,
    tmp_path: Path,
) -> None:  # fmt: skip
    tap = Tap("tap-autoreach", sandbox, tmp_path, database_url=warehouse)
    tap.read(catalog=only(tap.discover(), "people"))
    stored = connection.execute("SELECT plugin FROM singer_http_runs").fetchall()
    assert stored == [("tap-autoreach",)]
    assert rows_of(connection, project.sql("runs", "singer_http")) == []


def test_the_models_mask_what_the_tap_masks(
    project: Project, connection: psycopg.Connection[Any]
) -> None:
    reasons = [
        "a.b+c@example.com, Zoë@exämple.co.uk and x@y", "+1 (555) 010-0000; (555) 010-0000!",
        "5550100000 and 15550100000, not 155501000001 or 555010000", "HTTP 422: 2026-01-01 12:00",
        "id-555-010-0000 ab555 010 0000", "555 010 00001, 555.010.0000",
    ]  # fmt: skip
    connection.execute(
        "INSERT INTO singer_http_scopes (id, account, sync, stream, source, keys, schema_message)"
        " VALUES (1, 'a b', 'default', 'people', 's', '[]', '')"
    )
    for number, reason in enumerate(reasons):
        connection.execute(
            "INSERT INTO singer_http_rejects (scope, key, slot, run, seq, at, kind, reason,"
            " operation, attempts, route, digest, resent, record)"
            " VALUES (1, %s, '', 'r', 0, 0, 'refused', %s, 'upsert', 1, '', '', false, '')",
            [str(number), reason],
        )
    rows = rows_of(connection, project.sql("rejects", "singer_http"))
    found = {row["key"]: row["reason"] for row in rows}
    assert found == {str(n): masked_identities(reason) for n, reason in enumerate(reasons)}
