"""A vendor that gets what a plan in SQL finds ends as one that gets the full extract.

The plan is the one of docs/standing.md, to the letter. Rows change, change back, go and return;
requests are refused, their answers are lost, runs die, the mapping changes.
"""

from __future__ import annotations

import contextlib
import io
import itertools
import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import backoff
import orjson
import pytest
import sqlalchemy as sa
from hypothesis import given
from hypothesis import strategies as st
from typing_extensions import override

from singer_http.target.commands import standing
from singer_sandbox import Sandbox
from tests.core.rules.runs import Ran, examples
from tests.core.rules.sinks import CASES, COUNT, DELETED_AT, Case, email
from tests.core.rules.test_histories import FAULTS, KEYS, STEPS, Story
from tests.core.standing.view import states, url_of
from tests.findings.inputs import settled
from tests.front_door import JSON, record
from tests.subscribers import NEWS

FOLDERS = itertools.count()
ROOT = Path(__file__).parents[3]
DOCUMENTED = re.search(
    r"CREATE VIEW people_to_send AS\n(.*?);", (ROOT / "docs/standing.md").read_text(), re.DOTALL
)
VERSION = "row_version"
MOST_RUNS = 6
"""That everything needs to be settled, once nothing is in the way."""


@dataclass(frozen=True)
class Change:
    """The source changes a row; without a value it deletes it."""

    key: str
    value: int | None


@dataclass(frozen=True)
class Remap:
    """The user changes the mapping: a mark behind each value, or none."""

    marked: bool


@dataclass(frozen=True)
class Go:
    """A run."""

    asked_first: bool = False
    """The command --standing comes before the plan."""
    fault: JSON | None = None
    dies_at: str | None = None


Step = Change | Remap | Go
CHANGES = st.builds(
    Change, st.sampled_from(["one", "one", "two"]), st.sampled_from([None, 0, 1, 1, 2])
)
RUNS = st.builds(
    Go,
    asked_first=st.booleans(),
    fault=st.none() | FAULTS,
    dies_at=st.sampled_from([None] * 12 + list(STEPS)),
)
HISTORIES = st.lists(
    st.one_of(CHANGES, CHANGES, RUNS, RUNS, st.builds(Remap, st.booleans())),
    min_size=3,
    max_size=14,
)


@dataclass
class Table:
    """The source: its rows as they are now."""

    rows: dict[str, int] = field(default_factory=dict)

    def change(self, change: Change) -> None:
        if change.value is None:
            self.rows.pop(change.key, None)
        else:
            self.rows[change.key] = change.value


class Fed(Story):
    """One vendor, and the target that feeds it from the table."""

    def __init__(self, case: Case, sandbox: Sandbox, directory: Path, **config: Any) -> None:
        super().__init__(case, sandbox, directory)
        self.table = Table()
        self.marked = False
        self.runs.plugin.config |= config

    def step(self, step: Step) -> None:
        if isinstance(step, Change):
            if step.value is not None or self.case.deletes:
                self.table.change(step)
        elif isinstance(step, Remap):
            self.remap(marked=step.marked)
        else:
            self.meet(step)

    def remap(self, *, marked: bool) -> None:
        self.marked = marked
        row = self.case.row("", 0)
        name = next(name for name, value in row.items() if value == "v0")
        maps = {self.case.sink.stream: {name: f"{name} and {name} + '!'"}} if marked else None
        self.runs.plugin.config["stream_maps"] = maps

    def meet(self, step: Go) -> None:
        messages = self.input()
        if step.fault:
            self.break_down(step.fault)
        if step.dies_at is not None:
            self.runs.run_and_die(step.dies_at, messages)
            settled(self.sandbox)
        else:
            self.run(messages)
        self.sandbox.clear_faults()

    def input(self) -> list[JSON]:
        """What a run reads."""
        raise NotImplementedError

    def until_all_is_settled(self) -> None:
        settled(self.sandbox)
        for _ in range(MOST_RUNS):
            ran = self.runs.run(self.input())
            assert ran.error == ""
            if self.is_settled(ran):
                return
            for reject in ran.rejects:
                if reject["rejection"]["kind"] == "uncertain":
                    key = reject["record"]["k"]
                    there = any(email(key) == row[0] for row in self.case.state(self.sandbox))
                    self.runs.resolve(self.case.sink.stream, key, "sent" if there else "unsent")
        raise AssertionError(ran.messages)

    def is_settled(self, ran: Ran) -> bool:
        return ran.rejects == []

    def wanted(self) -> list[list[str]]:
        mark = "!" if self.marked else ""
        return sorted([email(key), f"v{value}{mark}"] for key, value in self.table.rows.items())


class ByExtract(Fed):
    """Gets all rows each time, as a mirror where the vendor can delete."""

    def __init__(self, case: Case, sandbox: Sandbox, directory: Path) -> None:
        mirror = {"mode": "mirror", "mirror_count": COUNT, "max_deletes": "100%"}
        super().__init__(case, sandbox, directory, **(mirror if case.deletes else {}))

    @override
    def input(self) -> list[JSON]:
        rows = self.table.rows
        messages = self.case.messages([])
        for key, value in rows.items():
            messages += self.case.messages([key], value, count=len(rows))[1:]
        return messages

    @override
    def is_settled(self, ran: Ran) -> bool:
        # Without a row nothing says that there is none.
        return super().is_settled(ran) and (
            not self.table.rows or self.case.state(self.sandbox) == self.wanted()
        )


class ByPlan(Fed):
    """Gets what the documented plan finds."""

    def __init__(self, case: Case, sandbox: Sandbox, directory: Path, **config: Any) -> None:
        super().__init__(case, sandbox, directory, version_column=VERSION, **config)
        self.look_first()

    @override
    def step(self, step: Step) -> None:
        if isinstance(step, Go) and step.asked_first:
            self.look_first()
        super().step(step)

    def look_first(self) -> None:
        """The command --standing, which makes the view the first time."""
        with contextlib.redirect_stderr(io.StringIO()):
            run = self.runs.target().run
            assert standing(run)
            run.close()

    def key(self, key: str) -> str:
        """A key as the view has it."""
        if self.case.vendor == "kasplo":
            return orjson.dumps([key, NEWS]).decode()
        return key

    @override
    def input(self) -> list[JSON]:
        opened, *_ = self.case.messages([])
        opened["schema"]["properties"] |= {VERSION: {}, "_sdc_deleted_at": {}}
        del opened["schema"]["properties"][COUNT]
        names = {self.key(key): key for key in KEYS}
        messages = [opened]
        for row in self.plan():
            if row._sdc_deleted_at is None:
                key, value = names[row.external_id], int(row.first_name)
                record_ = {**self.case.row(key, value), VERSION: row.row_version}
            else:
                key, nothing = names[row.external_id], dict.fromkeys(self.case.row("", 0))
                record_ = {**nothing, "_sdc_deleted_at": DELETED_AT}
            messages.append(record(self.case.sink.stream, k=key, **record_))
        return messages

    def plan(self) -> list[Any]:
        assert DOCUMENTED is not None
        target = self.runs.target()
        query = DOCUMENTED[1].replace("0.9", "0")  # two rows are not many
        query = query.replace("my-account", target.account).replace("'people'", ":stream")
        query = query.replace("'default'", ":sync")
        if "database_url" not in self.runs.plugin.config:
            query = query.replace(' COLLATE "C"', "")  # as the page says of SQLite
        engine = sa.create_engine(url_of(self.runs.plugin))
        with engine.connect() as connection:
            connection.execute(
                sa.text(
                    "CREATE TEMPORARY TABLE people_versions"
                    " (external_id text, email text, first_name text, row_version text)"
                )
            )
            for key, value in self.table.rows.items():
                connection.execute(
                    sa.text("INSERT INTO people_versions VALUES (:key, :email, :value, :version)"),
                    {
                        "key": self.key(key), "email": email(key), "value": str(value),
                        "version": f"version of {value}",
                    },
                )  # fmt: skip
            names = {"stream": self.case.sink.stream, "sync": target.config["sync"]}
            found = list(connection.execute(sa.text(query), names).all())
        engine.dispose()
        return found

    @override
    def is_settled(self, ran: Ran) -> bool:
        """Nothing is left to send: what was sent stands."""
        return super().is_settled(ran) and self.plan() == []


@pytest.fixture(autouse=True)
def short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backoff, "full_jitter", lambda _seconds: 0.002)


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("plans")


@pytest.fixture(scope="module")
def other() -> Iterator[Sandbox]:
    """The vendor that gets the full extracts."""
    with Sandbox() as sandbox:
        yield sandbox


VERSIONED = [case for case in CASES if case.sink.deterministic]
NAMES = [case.name for case in VERSIONED]


def tell(
    case: Case, planned: Sandbox, extracted: Sandbox, folders: Path, history: list[Step],
    **config: Any,
) -> None:  # fmt: skip
    directory = folders / str(next(FOLDERS))
    for folder in ("plan", "extract"):
        (directory / folder).mkdir(parents=True)
    for sandbox in (planned, extracted):
        case.prepare(sandbox, KEYS)
    plan = ByPlan(case, planned, directory / "plan", **config)
    extract = ByExtract(case, extracted, directory / "extract")
    for fed in (plan, extract):
        for step in history:
            fed.step(step)
        if not fed.table.rows:
            fed.step(Change("two", 0))  # a full extract without a row removes nothing
        fed.until_all_is_settled()
    assert case.state(planned) == case.state(extracted) == plan.wanted()
    shutil.rmtree(directory)


@pytest.mark.parametrize("case", VERSIONED, ids=NAMES)
@examples(3)
@given(history=HISTORIES)
def test_a_plan_leaves_the_vendor_as_a_full_extract_does(
    sandbox: Sandbox, other: Sandbox, folders: Path, case: Case, history: list[Step]
) -> None:
    tell(case, sandbox, other, folders, history)


@examples(3)
@given(history=HISTORIES)
def test_so_it_is_with_the_ledger_in_postgresql(
    sandbox: Sandbox, other: Sandbox, folders: Path, database: str, history: list[Step]
) -> None:
    tell(
        VERSIONED[0], sandbox, other, folders, history,
        database_url=database, sync=f"s{next(FOLDERS)}",
    )  # fmt: skip


@pytest.mark.parametrize(
    "case", [case for case in VERSIONED if case.sink.stream == "contacts" and case.deletes],
    ids=lambda case: case.name,
)  # fmt: skip
def test_a_row_that_gets_another_key_keeps_its_record(
    sandbox: Sandbox, folders: Path, case: Case
) -> None:
    """The plan has the new key, then the delete of the old one, which has the same contact."""
    directory = folders / str(next(FOLDERS))
    directory.mkdir()
    case.prepare(sandbox, KEYS)
    fed = ByPlan(case, sandbox, directory)
    opened = fed.input()[0]
    stream, row = case.sink.stream, {**case.row("one", 0), VERSION: "1"}
    fed.run([opened, record(stream, k="one", **row)])
    before = set(sandbox.state(case.vendor)["contacts"])
    nothing = dict.fromkeys(row)
    gone = record(stream, k="one", **nothing, _sdc_deleted_at=DELETED_AT)
    fed.run([opened, record(stream, k="two", **row), gone])
    ran = fed.runs.run([opened, record(stream, k="two", **row)])
    assert ran.rejects == []
    assert set(sandbox.state(case.vendor)["contacts"]) == before
    # Not missing: tap-deliveries would not see that, and a copy would have its version still.
    assert states(fed.runs.plugin, stream) == {"one": "deleted", "two": "delivered"}
