"""Exceptions that belong to no record: at the SCHEMA, and while a dry run shows what it does."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from singer_sandbox import Sandbox
from tests.core.rules.runs import Runs
from tests.core.rules.sinks import CASES, Case
from tests.front_door import adds_up, state

KEYS = ["a", "b", "c"]
AT_SCHEMA = (
    "setup", "resolve_columns", "writable", "extra_columns", "description", "unread", "meaning",
    "read_custom_fields", "converter",
)  # fmt: skip

each = pytest.mark.parametrize("case", CASES, ids=[case.name for case in CASES])


def raising(*_args: Any, **_kwargs: Any) -> Any:
    raise KeyError("a plugin's bug")


@each
def test_an_exception_at_the_schema_ends_the_run_before_anything_is_sent(
    case: Case, sandbox: Sandbox, tmp_path: Path
) -> None:
    case.prepare(sandbox, KEYS)
    untouched = case.state(sandbox)
    rows = [*case.messages(KEYS), state({"at": 1})]
    reached = 0
    for hook in AT_SCHEMA:
        (tmp_path / hook).mkdir()
        runs = Runs(case.target, sandbox, tmp_path / hook, **case.settings(sandbox))
        with pytest.MonkeyPatch.context() as patch:
            found = getattr(case.sink, hook)
            replaced = property(raising) if isinstance(found, property) else raising
            patch.setattr(case.sink, hook, replaced)
            try:
                runs.run(rows)
            except KeyError:
                reached += 1
                assert case.state(sandbox) == untouched, hook
                assert runs.plugin.report().get("outcome", "failed") == "failed", hook
            else:
                case.prepare(sandbox, KEYS)  # the sink does without that hook
    assert reached >= 4
    ran = runs.run(rows)
    assert (ran.error, ran.rejects, ran.states) == ("", [], [{"at": 1}])
    assert adds_up(ran.report)


@each
@pytest.mark.parametrize("hook", ["describe", "current"])
def test_a_dry_run_does_not_end_where_a_record_cannot_be_shown(
    case: Case, hook: str, sandbox: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs = Runs(case.target, sandbox, tmp_path, **case.settings(sandbox))
    case.prepare(sandbox, KEYS)
    if not case.sink.at_most_once:
        runs.run(case.messages(KEYS))
    before = case.state(sandbox)
    monkeypatch.setattr(case.sink, hook, raising)
    ran = runs.run(case.messages(KEYS, 1), dry_run=True)
    assert (ran.error, ran.rejects) == ("", [])
    assert ran.report["streams"][case.sink.stream]["received"] == len(KEYS)
    assert case.state(sandbox) == before
