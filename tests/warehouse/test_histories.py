"""For any history, a plan leaves at the vendor what full extracts leave there.

Rows that change and change back, that are removed and come back; refusals, lost answers, kills;
full extracts between the plans, other settings, a lost ledger.
"""

from __future__ import annotations

import itertools
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

import backoff
import psycopg
import pytest
from hypothesis import given
from hypothesis import strategies as st
from psycopg import sql

from singer_sandbox import Sandbox
from tests.core.rules.runs import Runs, examples
from tests.findings.inputs import settled
from tests.front_door import JSON
from tests.warehouse.conftest import clear, forget
from tests.warehouse.plans import columns_of, messages, rows_of
from tests.warehouse.project import Project

pytestmark = pytest.mark.xdist_group("dbt")

KEYS = (0, 1, 2)
ALWAYS = 9
"""A row that stays: a mirror of an empty extract removes nothing."""
FOLDERS = itertools.count()
STEPS = ("after_pending", "after_answer", "before_acknowledged")
BAD = "x" * 300
"""A first name that AutoReach refuses."""


@dataclass(frozen=True)
class Change:
    """A row gets a value; without one it is removed."""

    key: int
    value: str | None


@dataclass(frozen=True)
class Go:
    """A run of the target: of the plan, or of everything."""

    full: bool = False
    fault: JSON | None = None
    dies_at: str | None = None


@dataclass(frozen=True)
class Settings:
    """Another mapping from now on."""

    nulls: str


@dataclass(frozen=True)
class Lose:
    """The ledger is lost."""


VALUES = st.sampled_from([None, "a", "a", "b", "b", "", BAD])
FAULTS = st.fixed_dictionaries(
    {"status": st.sampled_from([500, 504]), "when": st.sampled_from(["before", "after"]),
     "times": st.integers(1, 3)},
)  # fmt: skip
STEP = st.one_of(
    st.builds(Change, st.sampled_from(KEYS), VALUES),
    st.builds(Change, st.sampled_from(KEYS), VALUES),
    st.builds(
        Go,
        full=st.sampled_from([False, False, True]),
        fault=st.none() | FAULTS,
        dies_at=st.sampled_from([None] * 12 + list(STEPS)),
    ),
    st.builds(Settings, st.sampled_from(["omit", "send"])),
    st.builds(Lose),
)
HISTORIES = st.lists(STEP, min_size=3, max_size=14)


@dataclass(frozen=True)
class Relation:
    """A table and its plan."""

    table: str
    stream: str
    keys: tuple[str, ...]
    row: Callable[[int], JSON]

    def email(self, key: int) -> str:
        return f"p{key}@example.com"


RELATIONS = [
    Relation("people_text", "people", ("external_id",), lambda n: {"external_id": f"ö{n}' \"x"}),
    Relation(
        "people_number", "people", ("external_id",), lambda n: {"external_id": Decimal(n) * 10 - 7}
    ),
    Relation(
        "members_two", "members", ("k", "part"),
        lambda n: {"k": n * 1e17 / 8, "part": f'"a", \\ ü\n{n}', "list_id": "1"},
    ),
]  # fmt: skip


class World:
    """A warehouse, a target and its vendor; it is told what happens, and runs plans or extracts."""

    def __init__(
        self,
        relation: Relation,
        connection: psycopg.Connection[Any],
        plan: str | None,
        sandbox: Sandbox,
        folder: Path,
        url: str,
    ) -> None:
        self.relation, self.connection, self.plan, self.sandbox = (
            relation,
            connection,
            plan,
            sandbox,
        )
        clear(connection)
        sandbox.reset()
        sandbox.put_state("autoreach", {"lists": [{"id": 1, "name": "A"}]})
        self.columns = columns_of(connection, relation.table)
        self.table = sql.Identifier("warehouse", relation.table)
        self.change(Change(ALWAYS, "a"))
        self.nulls = "omit"
        folder.mkdir()
        self.runs = Runs(
            "target-autoreach", sandbox, folder, database_url=url, max_retries=1, concurrency=2,
            unknown_fields="warn", version_column="row_version", max_deletes="100%",
        )  # fmt: skip

    def play(self, history: list[Any]) -> None:
        for step in history:
            if isinstance(step, Change):
                self.change(step)
            elif isinstance(step, Settings):
                self.nulls = step.nulls
            elif isinstance(step, Lose):
                # Without a ledger nobody knows what has to be deleted.
                self.settle()
                forget(self.connection)
            else:
                self.go(step)

    def change(self, step: Change) -> None:
        row = self.relation.row(step.key)
        where = sql.SQL(" AND ").join(
            sql.SQL("{} = {}").format(sql.Identifier(name), row[name])
            for name in self.relation.keys
        )
        self.connection.execute(sql.SQL("DELETE FROM {} WHERE {}").format(self.table, where))
        if step.value is not None:
            row |= {"email": self.relation.email(step.key), "first_name": step.value or None}
            self.connection.execute(
                sql.SQL("INSERT INTO {} ({}) VALUES ({})").format(
                    self.table,
                    sql.SQL(", ").join(map(sql.Identifier, row)),
                    sql.SQL(", ").join(sql.Literal(value) for value in row.values()),
                )
            )

    def go(self, step: Go) -> None:
        full = step.full or self.plan is None
        if step.fault:
            for method in ("POST", "PUT", "PATCH", "DELETE"):
                self.sandbox.fault(vendor="autoreach", method=method, **step.fault)
        if step.dies_at is not None:
            lines = [
                m if isinstance(m, dict) else f"{m.decode()}\n" for m in self.messages(full=full)
            ]
            self.runs.run_and_die(step.dies_at, lines)
            settled(self.sandbox)
        else:
            self.run(full=full)
        self.sandbox.clear_faults()

    def messages(self, *, full: bool) -> list[Any]:
        query = (
            f"SELECT *, count(*) OVER () AS row_count FROM warehouse.{self.relation.table}"
            if full
            else str(self.plan)
        )
        rows = rows_of(self.connection, query)
        return messages(self.relation.stream, self.columns, self.relation.keys, rows)

    def run(self, *, full: bool) -> Any:
        mode: JSON = {"mode": "mirror", "mirror_count": "row_count"} if full else {}
        ran = self.runs.run(self.messages(full=full), nulls=self.nulls, **mode)
        assert "Traceback" not in ran.messages, ran.messages
        return ran

    def end(self) -> list[Any]:
        """The vendor's state, once all is delivered."""
        self.settle()
        return self.state()

    def settle(self) -> None:
        """Correct what is refused, and run without faults until nothing is outstanding."""
        settled(self.sandbox)
        self.connection.execute(
            sql.SQL("UPDATE {} SET first_name = 'c' WHERE first_name = %s").format(self.table),
            [BAD],
        )
        for _ in range(4):
            ran = self.run(full=self.plan is None)
            assert ran.error == ""
            for reject in ran.rejects:
                if reject["rejection"]["kind"] == "uncertain":
                    key = reject["record"]["email"]
                    there = any(key == row[0] for row in self.state())
                    self.runs.resolve(self.relation.stream, key, "sent" if there else "unsent")

    def state(self) -> list[Any]:
        found = self.sandbox.state("autoreach")[self.relation.stream]
        return sorted([row["email"], row.get("first_name")] for row in found.values())


@pytest.fixture(autouse=True)
def short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backoff, "full_jitter", lambda _seconds: 0.002)


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("plans")


@pytest.mark.parametrize("relation", RELATIONS, ids=[r.table for r in RELATIONS])
@examples(6)
@given(history=HISTORIES)
def test_a_plan_leaves_what_full_extracts_leave(
    relation: Relation,
    history: list[Any],
    project: Project,
    connection: psycopg.Connection[Any],
    warehouse: str,
    sandbox: Sandbox,
    folders: Path,
) -> None:
    states = []
    for plan in (None, project.sql(relation.table)):
        folder = folders / str(next(FOLDERS))
        world = World(relation, connection, plan, sandbox, folder, warehouse)
        world.play(history)
        states.append(world.end())
        shutil.rmtree(folder)
    full, planned = states
    assert planned == full
