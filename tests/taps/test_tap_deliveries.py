"""tap-deliveries: what a warehouse is told of runs, records and rejects."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import psycopg
import pytest

from singer_http.store import DATABASE_FILE
from singer_sandbox import Sandbox
from tests.front_door import JSON, Plugin, record, schema
from tests.people import SCHEMA, person
from tests.tapping import Tap, Tapped, only

REFUSED = "no-mail"


class DeliveriesTap(Tap):
    """The tap, pointed at the database of a target."""

    def __init__(self, target: Plugin) -> None:
        self.name = "tap-deliveries"
        self.sandbox = target.sandbox
        self.directory = target.directory
        given = target.config.get("database_url")
        self.config = {"database_url": given} if given else {"work_dir": str(target.work_dir)}


@pytest.fixture
def target(people: Plugin, ledger_url: str | None) -> Plugin:
    people.config["database_url"] = ledger_url
    return people


@pytest.fixture
def tap(target: Plugin) -> DeliveriesTap:
    return DeliveriesTap(target)


def execute(target: Plugin, statement: str) -> None:
    """Change the database behind everybody's back."""
    if url := target.config.get("database_url"):
        with psycopg.connect(url) as connection:
            connection.execute(statement.encode())
        return
    with closing(sqlite3.connect(target.work_dir / DATABASE_FILE)) as file, file:
        file.execute(statement)


def age(target: Plugin, seconds: int = 3600) -> None:
    """Let everything in the database have happened earlier."""
    for table, column in (
        ("delivered", "at"),
        ("rejects", "at"),
        ("runs", "started_at"),
        ("runs", "finished_at"),
    ):
        execute(target, f"UPDATE singer_http_{table} SET {column} = {column} - {seconds}")


def keys(tapped: Tapped, stream: str = "records") -> list[str]:
    return [row["key"] for row in tapped.records(stream)]


def test_the_three_streams_tell_what_a_run_did(target: Plugin, tap: Tap) -> None:
    done = target.run([SCHEMA, person(1), person(2, email=REFUSED)])
    tapped = tap.read()
    run = done.report["run"]
    account = {"account": done.report["account"], "sync": "default"}
    (told,) = tapped.records("runs")
    assert told | account == told
    assert told["run"] == run
    assert (told["plugin"], told["mode"], told["outcome"]) == ("target-autoreach", "upsert", "ok")
    assert (told["error"], told["input_complete"]) == (None, False)
    assert told["started_at"] <= told["finished_at"]
    (counts,) = told["streams"]
    assert counts["stream"] == "people"
    assert (counts["received"], counts["upserted"], counts["rejected"]) == (2, 1, 1)
    delivered, refused = tapped.records("records")
    assert delivered | account == delivered
    assert delivered["server"].endswith("/autoreach/api/v1")
    assert (delivered["stream"], delivered["key"]) == ("people", "p1")
    assert (delivered["state"], delivered["remote_id"]) == ("delivered", "p1")
    assert delivered["run"] == run
    assert (delivered["key_hashed"], delivered["version"]) == (False, None)
    assert (refused["key"], refused["state"], refused["run"]) == ("p2", "rejected", run)
    assert (refused["delivered_at"], refused["remote_id"]) == (None, None)
    (reject,) = tapped.records("rejects")
    expected = done.rejects[0]["rejection"]
    assert reject | account == reject
    assert (reject["key"], reject["slot"], reject["run"]) == ("p2", "main", run)
    for name in ("kind", "reason", "status", "operation", "attempts"):
        assert reject[name] == expected[name]
    assert reject["rejected_at"] == expected["at"]


def test_the_run_of_a_tap_is_no_delivery(
    target: Plugin, tap: Tap, sandbox: Sandbox, tmp_path: Path
) -> None:
    target.run([SCHEMA, person(1)])
    source = Tap("tap-autoreach", sandbox, tmp_path, **tap.config)
    source.read(catalog=only(source.discover(), "people"))
    told = tap.read()
    assert [run["plugin"] for run in told.records("runs")] == ["target-autoreach"]
    again = tap.read(state=told.state)
    assert [run["plugin"] for run in again.records("runs")] == ["target-autoreach"]


def test_only_what_was_written_since_is_read_again(target: Plugin, tap: Tap) -> None:
    target.run([SCHEMA, person(1), person(2), person(3, email=REFUSED)])
    age(target)
    target.run([SCHEMA, person(5)], retry_rejects=False)
    age(target)
    first = tap.read()
    assert (len(keys(first)), len(first.records("runs"))) == (4, 2)
    target.run([SCHEMA, person(1), person(2, first_name="Ann"), person(4, email=REFUSED)])
    second = tap.read(state=first.state)
    # p5 is as old as the bookmark.
    assert sorted(keys(second)) == ["p2", "p3", "p4", "p5"]
    # p3 was sent again, and refused again.
    assert sorted(keys(second, "rejects")) == ["p3", "p4"]
    assert len(second.records("runs")) == 2
    assert set(second.state["bookmarks"]) == {"runs", "records", "rejects"}


def test_a_little_before_the_bookmark_is_read_again(target: Plugin, tap: Tap) -> None:
    """The clock of another machine may be late."""
    target.run([SCHEMA, person(1)])
    state = tap.read().state
    target.run([SCHEMA, person(2)])
    late = "UPDATE singer_http_delivered SET at = at - 100 WHERE key = 'p2'"
    execute(target, late)
    assert sorted(keys(tap.read(state=state))) == ["p1", "p2"]


def test_rows_of_one_second_on_several_pages_come_once_each(target: Plugin, tap: Tap) -> None:
    rows = [f"p{number}" for number in range(4500)]
    target.run([SCHEMA, *(record("people", id=key) for key in rows)])
    execute(target, "UPDATE singer_http_delivered SET at = 1750000000")
    tapped = tap.read()
    assert sorted(keys(tapped)) == sorted(rows)
    bookmark = tapped.state["bookmarks"]["records"]
    assert bookmark["replication_key_value"] == "2025-06-15T15:06:40Z"
    assert len(keys(tap.read(state=tapped.state))) == 4500


def test_a_run_under_way_is_read_again_until_it_has_ended(
    target: Plugin, tap: Tap, sandbox: Sandbox
) -> None:
    target.run([SCHEMA, person(1)])
    age(target)
    sandbox.fault(vendor="autoreach", method="PATCH", hold="x")
    process = target.start([SCHEMA, person(2)])
    sandbox.wait_held("x")
    early = tap.read()
    under_way = early.records("runs")[-1]
    assert (under_way["outcome"], under_way["finished_at"]) == ("running", None)
    assert early.state["bookmarks"]["runs"]["replication_key_value"] == under_way["started_at"]
    sandbox.release("x")
    assert target.finish(process).exit_code == 0
    (ended,) = tap.read(state=early.state).records("runs")
    assert (ended["run"], ended["outcome"]) == (under_way["run"], "ok")
    assert ended["finished_at"] is not None


def test_a_killed_run_is_read_again_once_it_is_known_to_be_dead(target: Plugin, tap: Tap) -> None:
    target.dying("after_pending").run([SCHEMA, person(1)])
    age(target)
    first = tap.read()
    assert [run["outcome"] for run in first.records("runs")] == ["running"]
    target.run([SCHEMA, person(1)])
    dead, ended = tap.read(state=first.state).records("runs")
    assert (dead["outcome"], ended["outcome"]) == ("failed", "ok")
    assert "killed" in dead["error"]


def test_a_deleted_record_is_deleted_and_one_that_may_have_arrived_is_pending(
    target: Plugin, tap: Tap, sandbox: Sandbox
) -> None:
    target.run([SCHEMA, person(1), person(2)])
    deletion = schema("people", ("id", "_sdc_deleted_at"))
    target.run([deletion, record("people", id="p1", _sdc_deleted_at="2026-01-01")])
    sandbox.fault(vendor="autoreach", method="PATCH", status=500)
    target.run([SCHEMA, person(2, first_name="Ann")], max_retries=0)
    states = {row["key"]: row["state"] for row in tap.read().records("records")}
    assert states == {"p1": "deleted", "p2": "pending"}


def test_nothing_personal_leaves_the_database(
    sandbox: Sandbox, tmp_path: Path, ledger_url: str | None
) -> None:
    rei = Plugin("target-reisoftware", sandbox, tmp_path, database_url=ledger_url)
    columns = schema("contacts", ("email", "city"), ("email", "city"))
    homes = [record("contacts", email="ann@example.com", city=city) for city in ("Ulm", "Bonn")]
    (reject,) = rei.run([columns, *homes]).rejects
    assert "ann@example.com" in reject["rejection"]["reason"]
    tapped = DeliveriesTap(rei).read()
    assert [key[0] for key in (*keys(tapped), *keys(tapped, "rejects"))] == ["#"] * 3
    assert "@" not in tapped.stdout
    assert "record" not in tapped.properties("rejects")


def test_the_rejected_record_comes_where_it_is_asked_for(target: Plugin, tap: Tap) -> None:
    exact = '{"type":"RECORD","stream":"people","record":{"id":"p1","score":1.10,"email":"%s"}}\n'
    scored = schema("people", {"id": {}, "email": {}, "score": {}})
    target.run([scored, exact % REFUSED])
    tapped = tap.read(include_records=True)
    assert f'"record":{{"id":"p1","score":1.10,"email":"{REFUSED}"}}' in tapped.stdout
    assert "record" in tapped.properties("rejects")


def test_a_record_without_a_key_has_one_of_its_own(target: Plugin, tap: Tap) -> None:
    target.run([SCHEMA, record("people", id=None, email="a@example.com")])
    (key,) = keys(tap.read(), "rejects")
    assert key.startswith("no key ")


def test_syncs_are_told_apart(target: Plugin, tap: Tap) -> None:
    target.run([SCHEMA, person(1)])
    target.run([SCHEMA, person(1)], sync="nightly")
    rows = tap.read().records("records")
    assert [(row["sync"], row["key"]) for row in rows] == [("default", "p1"), ("nightly", "p1")]


def test_what_is_older_than_start_date_is_left_out(target: Plugin, tap: Tap) -> None:
    target.run([SCHEMA, person(1)])
    execute(target, "UPDATE singer_http_delivered SET at = 1750000000")
    target.run([SCHEMA, person(2)])
    assert keys(tap.read(start_date="2025-06-15T15:06:41Z")) == ["p2"]
    assert keys(tap.read(start_date="2025-06-15T15:06:40Z")) == ["p1", "p2"]


def test_a_start_date_after_the_bookmark_leaves_nothing_out(target: Plugin, tap: Tap) -> None:
    """What was written in between would stand in the copy as it was before."""
    target.run([VERSIONED, versioned(1, "1")], version_column="v")
    age(target)
    first = tap.read()
    target.run([VERSIONED, versioned(1, "2", email="b@example.com")], version_column="v")
    again = tap.read(state=first.state, start_date="2099-01-01T00:00:00Z")
    assert versions(again) == {"p1": "2"}
    assert len(again.records("runs")) == 2


def test_nor_does_one_after_which_the_mapping_changed(target: Plugin, tap: Tap) -> None:
    target.run([VERSIONED, versioned(1, "1")], version_column="v")
    age(target)
    first = tap.read()
    target.run([VERSIONED, versioned(2, "1")], version_column="v", nulls="send")
    again = tap.read(state=first.state, start_date="2099-01-01T00:00:00Z")
    assert versions(again) == {"p1": None, "p2": "1"}


def test_a_full_table_of_rejects_shows_what_is_outstanding_now(target: Plugin, tap: Tap) -> None:
    target.run([SCHEMA, person(1, email=REFUSED), person(2, email=REFUSED)])
    catalog = only(tap.discover(), "rejects")
    for entry in catalog["streams"]:
        entry["replication_method"] = "FULL_TABLE"
        entry["replication_key"] = None
        for item in entry["metadata"]:
            if not item["breadcrumb"]:
                item["metadata"]["replication-method"] = "FULL_TABLE"
                item["metadata"].pop("replication-key", None)
    first = tap.read(catalog=catalog)
    assert keys(first, "rejects") == ["p1", "p2"]
    target.run([SCHEMA, person(1)])
    second = tap.read(catalog=catalog, state=first.state)
    assert keys(second, "rejects") == ["p2"]


def test_the_file_is_not_changed(people: Plugin) -> None:
    people.run([SCHEMA, person(1)])
    database = people.work_dir / DATABASE_FILE
    before = database.read_bytes()
    DeliveriesTap(people).read()
    assert database.read_bytes() == before


def test_a_role_that_may_only_read_is_enough(people: Plugin, own_database: str) -> None:
    people.config["database_url"] = own_database
    people.run([SCHEMA, person(1)])
    tap = DeliveriesTap(people)
    with psycopg.connect(own_database, autocommit=True) as connection:
        name = f"reader_{connection.info.dbname}"
        connection.execute(f"CREATE ROLE {name} LOGIN".encode())
        connection.execute(f"GRANT SELECT ON ALL TABLES IN SCHEMA public TO {name}".encode())
    tap.config["database_url"] = own_database.replace("postgres:", f"{name}:", 1).replace(
        "//postgres", f"//{name}", 1
    )
    try:
        assert keys(tap.read()) == ["p1"]
    finally:
        with psycopg.connect(own_database, autocommit=True) as connection:
            connection.execute(f"DROP OWNED BY {name}".encode())
            connection.execute(f"DROP ROLE {name}".encode())


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"work_dir": "/nowhere/at/all"}, "There is no database /nowhere/at/all/singer-http.db"),
        ({"database_url": "nonsense"}, "is not an SQLAlchemy URL"),
        ({"database_url": "mysql://u:hunter2@h/d"}, "must be SQLite or PostgreSQL"),
        (
            {"database_url": "postgresql://u:hunter2@127.0.0.1:9/d"},
            "The database cannot be read (",
        ),
    ],
)
def test_a_wrong_address_is_one_line(people: Plugin, settings: JSON, words: str) -> None:
    tap = DeliveriesTap(people)
    tap.config = settings
    tapped = tap.run()
    assert words in tapped.error
    assert "hunter2" not in tapped.stderr


@pytest.mark.parametrize(
    ("version", "words"),
    [("99", ": upgrade this tap."), ("1", "the next run of an upgraded target")],
)
def test_another_version_of_the_tables_is_refused(
    target: Plugin, tap: Tap, version: str, words: str
) -> None:
    target.run([SCHEMA, person(1)])
    execute(target, f"UPDATE singer_http_meta SET value = '{version}' WHERE name = 'version'")
    assert words in tap.run().error


def test_a_database_without_tables_is_named(people: Plugin, database: str) -> None:
    tap = DeliveriesTap(people)
    tap.config = {"database_url": database}
    assert "holds no tables of a target" in tap.run().error


def test_the_catalog_needs_no_database(people: Plugin, tmp_path: Path) -> None:
    tap = DeliveriesTap(people)
    tap.config = {"work_dir": str(tmp_path / "none")}
    found: dict[str, Any] = {
        entry["tap_stream_id"]: entry["replication_key"] for entry in tap.discover()["streams"]
    }
    assert found == {
        "runs": "started_at",
        "records": "delivered_at",
        "rejects": "rejected_at",
    }
    assert not (tmp_path / "none").exists()


def versions(tapped: Tapped) -> dict[str, str | None]:
    return {row["key"]: row["version"] for row in tapped.records("records")}


VERSIONED = schema("people", ("id", "email", "v"))


def versioned(number: int, version: str, **fields: Any) -> JSON:
    given = {"email": f"p{number}@example.com", **fields}
    return record("people", id=f"p{number}", v=version, **given)


def test_a_version_that_falls_without_a_delivery_is_read_again(target: Plugin, tap: Tap) -> None:
    target.config["version_column"] = "v"
    target.run([VERSIONED, versioned(1, "a"), versioned(2, "a"), versioned(3, "a")])
    age(target)
    first = tap.read()
    assert versions(first) == dict.fromkeys(("p1", "p2", "p3"), "a")
    target.run([VERSIONED, versioned(1, "b", email=REFUSED)])
    second = tap.read(state=first.state)
    assert versions(second)["p1"] is None
    target.run([VERSIONED, versioned(3, "a")], nulls="send")
    third = tap.read(state=second.state)
    assert versions(third) == {"p1": None, "p2": None, "p3": "a"}


def test_a_version_that_stands_again_is_read_again(target: Plugin, tap: Tap) -> None:
    target.config["version_column"] = "v"
    target.run([VERSIONED, versioned(1, "a")])
    target.run([VERSIONED, versioned(1, "b", email=REFUSED)])
    age(target)
    first = tap.read()
    assert versions(first) == {"p1": None}
    target.run([VERSIONED, versioned(1, "a")])
    assert versions(tap.read(state=first.state)) == {"p1": "a"}


def test_runs_come_first_so_that_one_that_has_ended_is_in_the_records(
    target: Plugin, tap: Tap
) -> None:
    target.run([SCHEMA, person(1), person(2, email=REFUSED)])
    messages = map(json.loads, tap.read().stdout.splitlines())
    streams = [message["stream"] for message in messages if message["type"] == "SCHEMA"]
    assert streams == ["runs", "records", "rejects"]
