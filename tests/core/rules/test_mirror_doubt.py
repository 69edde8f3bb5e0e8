"""A mirror whose extract has a rejected row that nothing identifies removes nothing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from singer_sandbox import Sandbox
from tests.front_door import Plugin, record, schema


def extract(*rows: tuple[str, Any]) -> list[Any]:
    return [
        schema("contacts", ["key", "email", "n"], ["key"]),
        *(record("contacts", key=key, email=email, n=str(len(rows))) for key, email in rows),
    ]


@pytest.mark.parametrize(
    "email",
    [
        7,  # not of the type that the SCHEMA declares
        None,  # "a contact needs an email or a phone", which is found when it is to be created
    ],
)
def test_a_rejected_row_with_a_new_key_may_be_the_one_that_is_missing(
    sandbox: Sandbox, tmp_path: Path, email: Any
) -> None:
    rei = Plugin("target-reisoftware", sandbox, tmp_path, mode="mirror", mirror_count="n")
    rei.run(extract(("a", "a@example.com"), ("b", "b@example.com")))
    renamed = rei.run(extract(("a", "a@example.com"), ("c", email)))
    assert renamed.counts("contacts") == {"received": 2, "unchanged": 1, "rejected": 1}
    assert "removed nothing: a row with a new key was rejected" in renamed.stderr
    assert len(sandbox.state("rei")["contacts"]) == 2
    rei.run(extract(("a", "a@example.com")))
    assert len(sandbox.state("rei")["contacts"]) == 1
