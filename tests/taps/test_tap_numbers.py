"""Numbers go through a tap exactly: in records, in inferred schemas and in STATE."""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path

from singer_sandbox import Sandbox
from tap_autoreach.inference import merged
from tests.tapping import Tap, only


def test_a_schema_is_inferred_from_exact_numbers() -> None:
    record = {"score": Decimal("7.50"), "big": 2**70, "deep": [{"rate": Decimal(1) / 3}]}
    found = merged({"type": "object", "properties": {}}, [record])["properties"]
    assert found["score"]["type"] == ["number", "null"]
    assert found["big"]["type"] == ["integer", "null"]
    assert found["deep"]["items"]["properties"]["rate"]["type"] == ["number", "null"]


def test_a_bookmark_that_does_not_move_is_passed_on_as_it_came(
    sandbox: Sandbox, tmp_path: Path
) -> None:
    tap = Tap("tap-reisoftware", sandbox, tmp_path)
    catalog = only(tap.discover(), "tags")
    text = '{"bookmarks":{"other":{"at":9007199254740993.0,"big":123456789012345678901234567890}}}'
    (tmp_path / "given").write_text(text)
    done = tap.read("--state", str(tmp_path / "given"), catalog=catalog)
    last = [line for line in done.stdout.splitlines() if '"STATE"' in line][-1]
    assert '"at":9007199254740993.0' in last
    assert '"big":123456789012345678901234567890' in last
    assert json.loads(last)
