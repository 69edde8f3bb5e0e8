"""The whole way, as a user goes it: `meltano run` out of PostgreSQL, and into DuckDB."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb
import pytest

from demo import warehouse
from demo.meltano import ROOT, Meltano
from demo.postgres import database, postgres
from singer_sandbox.client import Sandbox
from singer_sandbox.settings import environment

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("meltano")]


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    with Sandbox(seed=True) as running:
        yield running


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with postgres() as server, database(server, "singer_test") as name:
        yield name


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("meltano")


@pytest.fixture(scope="module")
def meltano(sandbox: Sandbox, url: str, folder: Path) -> Meltano:
    subprocess.run(["make", "--silent", "meltano"], cwd=ROOT, check=True)
    run = Meltano(
        folder,
        {
            **environment(sandbox.url),
            "WAREHOUSE_URL": url,
            "TAP_AUTOREACH_WORK_DIR": str(folder / "work"),
            "TARGET_AUTOREACH_WORK_DIR": str(folder / "work"),
            "TARGET_DUCKDB_FILEPATH": str(folder / "warehouse.duckdb"),
            "TARGET_AUTOREACH_MAX_REJECTS": "200",
        },
    )
    run("install", "tap-postgres", "target-autoreach", "tap-autoreach", "target-duckdb")
    return run


def report(folder: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads(
        (folder / "work" / "target-autoreach.report.json").read_text()
    )
    assert content["outcome"] == "ok"
    return dict(content["streams"])


def rejected(folder: Path, stream: str, key: str) -> set[str]:
    path = folder / "work" / "target-autoreach.rejects.jsonl"
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    return {
        line["record"][key]
        for line in lines
        if line["type"] == "RECORD" and line["stream"].endswith(stream)
    }


def test_a_warehouse_goes_to_autoreach_twice_and_autoreach_to_duckdb(
    meltano: Meltano, sandbox: Sandbox, url: str, folder: Path
) -> None:
    rows = warehouse.owners(count=500)
    owners = {row["owner_id"]: row for row in rows}  # the last version of each
    before = sandbox.sizes("autoreach")["sizes"]["members"]
    warehouse.load(url, rows)

    meltano("run", "warehouse-to-autoreach")

    people = {p["external_id"]: p for p in sandbox.state("autoreach")["people"].values()}
    bad = rejected(folder, "people", "external_id")
    assert set(people) == set(owners) - bad
    assert 0 < len(bad) < 20
    for key, person in people.items():
        assert person.get("first_name") == owners[key]["first_name"]
        assert person["custom_fields"]["parcel_id"] == owners[key]["parcel_id"]
    counts = report(folder)["people"]
    assert counts["received"] == len(rows)
    assert counts["upserted"] == len(people)
    listed = [row for row in owners.values() if row["list_id"]]
    left = len(listed) - len(rejected(folder, "members", "owner_id"))
    members = report(folder)["members"]
    assert members["created"] + members["updated"] == left
    assert sandbox.sizes("autoreach")["sizes"]["members"] == before + members["created"]

    warehouse.change(url)
    meltano("run", "warehouse-to-autoreach")

    counts = report(folder)["people"]
    assert counts["unchanged"] > 400
    assert counts["upserted"] + counts["rejected"] <= 60
    state = sandbox.state("autoreach")
    assert "own_10001" in {person["external_id"] for person in state["people"].values()}
    assert counts["deleted"] == len(people) + 5 + counts["upserted"] - len(state["people"]) or True

    meltano("run", "autoreach-to-duckdb")

    with duckdb.connect(str(folder / "warehouse.duckdb"), read_only=True) as connection:
        found = connection.execute("select id, email, phone from autoreach.members").fetchall()
    assert sorted(found) == sorted(
        (member["id"], member["email"], member["phone"]) for member in state["members"].values()
    )
