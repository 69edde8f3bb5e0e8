"""The whole way, as a user goes it: `meltano run` out of PostgreSQL, and into DuckDB."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb
import psycopg
import pytest
from psycopg.rows import dict_row

from demo import warehouse
from demo.__main__ import OURS, PLUGINS
from demo.meltano import ROOT, Meltano, MeltanoError
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


def project(sandbox: Sandbox, url: str, folder: Path) -> Meltano:
    work_dirs = {f"{plugin.replace('-', '_').upper()}_WORK_DIR" for plugin in OURS}
    return Meltano(
        folder,
        {
            **environment(sandbox.url),
            "WAREHOUSE_URL": url,
            **dict.fromkeys(work_dirs, str(folder / "work")),
            "TARGET_DUCKDB_FILEPATH": str(folder / "warehouse.duckdb"),
        },
    )


@pytest.fixture(scope="module")
def meltano(sandbox: Sandbox, url: str, folder: Path) -> Meltano:
    subprocess.run(["make", "--silent", "meltano"], cwd=ROOT, check=True)
    run = project(sandbox, url, folder)
    run("install", *PLUGINS)
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


def newest(url: str) -> dict[str, dict[str, Any]]:
    """Return owner_id → the newest row of each owner who has not sold."""
    statement = """
        select * from (select distinct on (owner_id) * from warehouse.owners
                       order by owner_id, updated_at desc) as each_one
        where deleted_at is null
    """
    with psycopg.connect(url, row_factory=dict_row) as connection:
        return {row["owner_id"]: row for row in connection.execute(statement.encode())}


def check_people(sandbox: Sandbox, url: str, folder: Path) -> None:
    """Compare what AutoReach has with the warehouse, but for what is in the rejects file."""
    owners = newest(url)
    people = {p["external_id"]: p for p in sandbox.state("autoreach")["people"].values()}
    assert set(people) == set(owners) - rejected(folder, "people", "external_id")
    for key, person in people.items():
        row = owners[key]
        if row["email"]:
            assert person["email"].casefold() == row["email"].casefold()
        if row["phone"]:
            digits = re.sub(r" x7$|\D", "", row["phone"])
            assert person["phone"] == f"+1{digits.removeprefix('1')}"
        assert person["custom_fields"]["parcel_id"] == row["parcel_id"]


def test_a_warehouse_goes_to_autoreach_twice_and_autoreach_to_duckdb(
    meltano: Meltano, sandbox: Sandbox, url: str, folder: Path
) -> None:
    rows = warehouse.owners(count=500)
    warehouse.load(url, rows)
    before = sandbox.sizes("autoreach")["sizes"]["members"]

    meltano("run", "warehouse-to-autoreach")

    check_people(sandbox, url, folder)
    first = report(folder)
    assert first["people"]["received"] == len(rows)
    assert 0 < first["people"]["rejected"] < 20
    members = first["members"]
    listed = {row["owner_id"] for row in rows if row["list_id"]}
    delivered = len(listed - rejected(folder, "members", "owner_id"))
    assert members["created"] + members["updated"] == delivered
    assert 0 < members["updated"] <= warehouse.KNOWN
    assert sandbox.sizes("autoreach")["sizes"]["members"] == before + members["created"]

    assert warehouse.change(url) > 30
    meltano("run", "warehouse-to-autoreach")

    check_people(sandbox, url, folder)
    second = report(folder)
    assert second["people"]["unchanged"] > 400
    assert second["people"]["upserted"] < 60
    assert second["people"]["deleted"] == second["members"]["deleted"] > 0

    meltano("run", "autoreach-to-duckdb")

    with duckdb.connect(str(folder / "warehouse.duckdb"), read_only=True) as connection:
        found = connection.execute("select id, email, phone from autoreach.members").fetchall()
    theirs = sandbox.state("autoreach")["members"].values()
    assert sorted(found) == sorted((m["id"], m["email"], m["phone"]) for m in theirs)


@pytest.mark.usefixtures("meltano")  # installs the plugins
def test_contacts_of_reisoftware_go_to_other_vendors_and_to_duckdb(
    url: str, tmp_path: Path
) -> None:
    with Sandbox(seed=True) as sandbox:
        # Into the accounts that a target's variables name, also for the target that inherits it.
        project(sandbox, url, tmp_path)(
            "run",
            "reisoftware-to-autoreach",
            "reisoftware-to-emailmarketing",
            "reisoftware-to-duckdb",
        )
        rei, autoreach, kasplo = (sandbox.state(v) for v in ("rei", "autoreach", "kasplo"))

    contacts = [c for c in rei["contacts"].values() if not c.get("dnd")]
    assert {p["external_id"] for p in autoreach["people"].values()} == {c["id"] for c in contacts}
    assert {c["email"] for c in kasplo["contacts"].values()} == {c["email"] for c in contacts}
    with duckdb.connect(str(tmp_path / "warehouse.duckdb"), read_only=True) as connection:
        for table in (
            "contacts",
            "appointments",
            "custom_fields",
            "tags",
            "campaigns",
            "workflows",
        ):
            found = connection.execute(f"select count(*) from reisoftware.{table}").fetchone()
            assert found == (len(rei[table]),), table


@pytest.mark.usefixtures("meltano")  # installs the plugins
@pytest.mark.parametrize("plugin", ["tap-reisoftware", "tap-autoreach"])
def test_a_tap_with_wrong_credentials_says_in_its_report_that_it_needs_a_person(
    plugin: str, url: str, tmp_path: Path
) -> None:
    prefix = plugin.replace("-", "_").upper()
    vendor = plugin.removeprefix("tap-")
    with Sandbox(seed=True) as sandbox:
        run = project(sandbox, url, tmp_path)
        for secret in ("API_KEY", "CLIENT_SECRET"):
            run.environment[f"{prefix}_{secret}"] = "wrong"
        with pytest.raises(MeltanoError):
            run("run", f"{vendor}-to-duckdb")
    told = json.loads((tmp_path / "work" / f"{plugin}.report.json").read_text())
    assert (told["outcome"], told["needs_person"]) == ("stopped", True)


@pytest.mark.usefixtures("meltano")  # installs the plugins
def test_contacts_of_merlin_that_the_searches_find_go_to_duckdb(url: str, tmp_path: Path) -> None:
    with Sandbox(seed=True) as sandbox:
        run = project(sandbox, url, tmp_path)
        run.environment["TAP_ACTIONAPI_SEARCHES"] = '[{"Lname": "Pedro"}, {"idContact": 1}]'
        run("run", "actionapi-to-duckdb")
        held = sandbox.state("merlin")["contacts"].values()
    with duckdb.connect(str(tmp_path / "warehouse.duckdb"), read_only=True) as connection:
        statement = 'select "idContact", "Email" from actionapi.contacts order by 1'
        found = connection.execute(statement).fetchall()
    assert found == [(c["idContact"], c["Email"]) for c in held if c["Lname"] == "Pedro"]
    assert len(found) == 2
