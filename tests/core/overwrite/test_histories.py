"""For any history of edits at both sides and any interruption, no edit is lost.

The model knows only what is seen: what a record is before and after each run, and what a person
wrote in between. Of a run it demands that a value which it replaces was the sync's own, or none.
"""

from __future__ import annotations

import itertools
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import backoff
import pytest
from hypothesis import given
from hypothesis import strategies as st

from singer_sandbox import Sandbox
from tests.core.overwrite.crm import CRMS, KEEP, PLUGINS, Crm, settings_of
from tests.core.rules.runs import Runs, examples
from tests.findings.inputs import settled
from tests.front_door import JSON, state

KEYS = ("one", "two")
VALUES = ("Ann", "ann", " Ann ", "Cleo", "007", "7", "7.0")
FOLDERS = itertools.count()
STEPS = ("after_pending", "after_answer", "before_acknowledged", "after_acknowledged")


@dataclass(frozen=True)
class Change:
    """The source changes a field."""

    key: str
    place: int
    value: str | None


@dataclass(frozen=True)
class Edit:
    """A person changes a field in the CRM."""

    key: str
    place: int
    value: str


@dataclass(frozen=True)
class Go:
    """A run."""

    fault: JSON | None = None
    at_reading: bool = False
    dies_at: str | None = None


PLACES = st.integers(1, 3)
CHANGES = st.builds(Change, st.sampled_from(KEYS), PLACES, st.sampled_from((*VALUES, None)))
EDITS = st.builds(Edit, st.sampled_from(KEYS), PLACES, st.sampled_from((*VALUES, "")))
FAULTS = st.fixed_dictionaries(
    {"kind": st.sampled_from([{"drop": True}, {"status": 503}, {"status": 422}]),
     "when": st.sampled_from(["before", "after"]), "times": st.integers(1, 3)}
)  # fmt: skip
RUNS = st.builds(
    Go,
    fault=st.none() | FAULTS,
    at_reading=st.booleans(),
    dies_at=st.sampled_from([None] * 12 + list(STEPS)),
)
STEPS_WITH_EDITS = st.lists(st.one_of(CHANGES, EDITS, RUNS), min_size=2, max_size=14)
STEPS_WITHOUT = st.lists(st.one_of(CHANGES, RUNS), min_size=2, max_size=12)


def plain(value: Any) -> str:
    return str(value or "").strip()


class Story:
    def __init__(self, kind: type[Crm], sandbox: Sandbox, directory: Path) -> None:
        sandbox.reset()
        settings = settings_of(kind, sandbox)
        name = PLUGINS[kind.vendor]
        self.runs = Runs(name, sandbox, directory, max_retries=1, concurrency=2, **KEEP, **settings)
        self.crm = kind(self.runs.plugin, sandbox)
        self.crm.set_up()
        self.sandbox = sandbox
        first = ("Ann", "Bob", "Cleo")
        self.source: dict[str, list[str | None]] = {key: [None, *first] for key in KEYS}
        self.own = {place: {value} for place, value in self.wanted().items()}
        """What the sync may have written last of each field."""
        self.edited: set[tuple[str, int]] = set()
        assert self.run().error == ""

    def wanted(self) -> dict[tuple[str, int], str]:
        """What the source has; a null says nothing."""
        rows = self.source.items()
        return {(key, n): plain(v) for key, row in rows for n, v in enumerate(row) if n and v}

    def messages(self) -> list[JSON]:
        rows = [self.crm.row(k, f"{k}@example.com", *v[1:]) for k, v in self.source.items()]
        return [self.crm.schema, *rows, state({"at": 1})]

    def run(self, **config: Any) -> Any:
        return self.runs.run(self.messages(), **config)

    def now(self) -> dict[tuple[str, int], str]:
        """What the vendor has."""
        found: dict[tuple[str, int], str] = {}
        emails = [str(one.get(self.crm.columns[0])) for one in self.crm.records()]
        assert sorted(emails) == sorted(f"{key}@example.com" for key in KEYS)
        for email, values in zip(emails, self.crm.values(), strict=True):
            key = email.partition("@")[0]
            found |= {(key, place): plain(values[place]) for place in (1, 2, 3)}
        return found

    def play(self, history: list[Change | Edit | Go]) -> None:
        for step in history:
            match step:
                case Change(key, place, value):
                    self.source[key][place] = value
                case Edit(key, place, value):
                    emails = [one.get(self.crm.columns[0]) for one in self.crm.records()]
                    number = emails.index(f"{key}@example.com")
                    self.crm.edit(number, **{self.crm.columns[place]: value})
                    self.edited.add((key, place))
                case Go():
                    self.go(step)

    def go(self, step: Go) -> None:
        before = self.now()
        if step.fault:
            given = {k: v for k, v in step.fault.items() if k != "kind"}
            if step.fault["kind"] == {"status": 422}:
                given["when"] = "before"  # a no of the vendor says that nothing was done
            which = self.crm.read_fault if step.at_reading else self.crm.update
            self.crm.fault(which, **given, **step.fault["kind"])
        if step.dies_at is not None:
            self.runs.run_and_die(step.dies_at, self.messages())
            settled(self.sandbox)
        else:
            self.run()
        self.sandbox.clear_faults()
        self.check(before, clean=not step.fault and step.dies_at is None)

    def check(self, before: dict[tuple[str, int], str], *, clean: bool) -> None:
        after, wanted = self.now(), self.wanted()
        for place, value in after.items():
            if value != before[place]:
                assert before[place] in {"", *self.own[place]}, f"an edit is lost: {place}"
                # Of a run that was interrupted nobody knows which value it leaves last.
                self.own[place] = {value} if clean else self.own[place] | {value}
            elif value == wanted.get(place):
                self.own[place].add(value)  # the source came to it

    def end(self) -> None:
        """What is outstanding is sent; then all that differs is an edit, and is counted."""
        for _ in range(4):
            before = self.now()
            ran = self.run(full_resync=True)
            assert ran.error == ""
            self.check(before, clean=True)
            if not ran.rejects:
                break
        assert ran.rejects == []
        after = self.now()
        differs = {place for place, value in self.wanted().items() if after[place] != value}
        assert differs <= self.edited
        kept = ran.report["streams"][self.crm.stream]["kept"]
        assert sum(kept.values()) == len(differs)


@pytest.fixture(autouse=True)
def short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backoff, "full_jitter", lambda _seconds: 0.002)


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("edits")


def tell(kind: type[Crm], sandbox: Sandbox, folders: Path, history: list[Any]) -> Story:
    directory = folders / str(next(FOLDERS))
    directory.mkdir()
    story = Story(kind, sandbox, directory)
    story.play(history)
    story.end()
    shutil.rmtree(directory)
    return story


@pytest.mark.parametrize("kind", CRMS, ids=[kind.name for kind in CRMS])
@examples(12)
@given(history=STEPS_WITH_EDITS)
def test_no_edit_is_lost(
    sandbox: Sandbox, folders: Path, kind: type[Crm], history: list[Change | Edit | Go]
) -> None:
    tell(kind, sandbox, folders, history)


@pytest.mark.parametrize("kind", CRMS, ids=[kind.name for kind in CRMS])
@examples(8)
@given(history=STEPS_WITHOUT)
def test_without_edits_the_vendor_ends_with_the_source(
    sandbox: Sandbox, folders: Path, kind: type[Crm], history: list[Change | Go]
) -> None:
    story = tell(kind, sandbox, folders, history)
    assert story.now() | story.wanted() == story.now()
