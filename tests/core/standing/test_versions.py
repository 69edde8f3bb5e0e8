"""The setting `version_column`: which version of a row was delivered, and whether it stands."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from singer_sandbox import Sandbox
from tests.core.standing.view import ask, standing, states, url_of
from tests.front_door import JSON, Plugin, record, schema
from tests.people import patches, people_at

COLUMNS = ("id", "email", "first_name", "v")
SCHEMA = schema("people", COLUMNS)
REFUSED = "not-an-email"


@pytest.fixture
def people(people: Plugin, ledger_url: str | None) -> Plugin:
    people.config |= {"database_url": ledger_url, "version_column": "v", "unknown_fields": "error"}
    return people


def row(number: int, version: Any, **fields: Any) -> JSON:
    given = {"email": f"p{number}@example.com", "first_name": f"P{number}", **fields}
    return record("people", id=f"p{number}", v=version, **given)


def test_it_is_stored_and_never_sent(people: Plugin, sandbox: Sandbox) -> None:
    assert people.run([SCHEMA, row(1, "a"), row(2, "b")]).exit_code == 0
    assert standing(people) == {"p1": "a", "p2": "b"}
    assert "v" not in people_at(sandbox)["p1"]


def test_a_vendor_field_of_that_name_is_not_sent_either(people: Plugin, sandbox: Sandbox) -> None:
    people.run([SCHEMA, row(1, "a")], version_column="first_name", unknown_fields="warn")
    assert standing(people) == {"p1": "P1"}
    assert not people_at(sandbox)["p1"].get("first_name")


@pytest.mark.parametrize("column", ["id", "custom_fields"])
def test_a_column_that_the_stream_reads_is_refused(people: Plugin, column: str) -> None:
    columns = schema("people", (*COLUMNS, "custom_fields"))
    result = people.run([columns, row(1, "a")], version_column=column, unknown_fields="warn")
    assert result.exit_code == 1
    assert f"version_column names {column}" in result.error


def test_a_change_of_it_alone_sends_nothing_and_is_stored(people: Plugin, sandbox: Sandbox) -> None:
    people.run([SCHEMA, row(1, "a")])
    again = people.run([SCHEMA, row(1, "b")])
    assert again.counts("people") == {"received": 1, "unchanged": 1}
    assert standing(people) == {"p1": "b"}
    assert patches(sandbox) == [1]


def test_so_it_is_where_other_settings_make_the_same_request(people: Plugin) -> None:
    people.run([SCHEMA, row(1, "a")])
    again = people.run([SCHEMA, row(1, "b")], nulls="send")
    assert again.counts("people") == {"received": 1, "unchanged": 1}
    assert standing(people) == {"p1": "b"}


@pytest.mark.parametrize(
    ("value", "text"),
    [(7, "7"), (7.0, "7"), ("x y", "x y"), (None, None), ("", None), ("x" * 201, None),
     ("a\0b", None), (True, "true"), (12345678901234567890123, "12345678901234567890123")],
)  # fmt: skip
def test_its_text(people: Plugin, value: Any, text: str | None) -> None:
    columns: JSON = {name: {} for name in COLUMNS}
    assert people.run([schema("people", columns), row(1, value)]).counts("people")["upserted"]
    assert standing(people) == {"p1": text}


def test_a_source_without_it_is_named_and_stores_none(people: Plugin) -> None:
    without = schema("people", ("id", "email", "first_name"))
    result = people.run([without, record("people", id="p1", email="p1@example.com")])
    assert result.exit_code == 0
    assert "the source has no column v (setting version_column)" in result.stderr
    assert standing(people) == {"p1": None}


def test_it_is_read_before_stream_maps(people: Plugin) -> None:
    maps = {"people": {"id": "id", "email": "email", "__else__": None}}
    people.run([SCHEMA, row(1, "a")], stream_maps=maps)
    assert standing(people) == {"p1": "a"}


def test_a_row_that_becomes_several_records_has_none(people: Plugin) -> None:
    maps = {
        "people": {"id": "id", "__else__": None},
        "twin-people": {"__source__": "people", "id": "id + '-2'", "__else__": None},
    }
    result = people.run([SCHEMA, row(1, "a")], stream_maps=maps)
    assert "several records of a row" in result.stderr
    assert standing(people) == {"p1": None, "p1-2": None}


def test_what_is_outstanding_does_not_stand(people: Plugin) -> None:
    people.run([SCHEMA, row(1, "a"), row(2, "a")])
    people.run([SCHEMA, row(1, "b", email=REFUSED), row(3, "a", email=REFUSED)])
    assert standing(people) == {"p1": None, "p2": "a", "p3": None}
    assert states(people) == {"p1": "rejected", "p2": "delivered", "p3": "rejected"}


def test_a_row_that_changes_back_stands_again(people: Plugin) -> None:
    people.run([SCHEMA, row(1, "a")])
    people.run([SCHEMA, row(1, "b", email=REFUSED)])
    people.run([SCHEMA, row(1, "a")])
    assert standing(people) == {"p1": "a"}


def test_a_deleted_row_has_none(people: Plugin) -> None:
    gone = schema("people", (*COLUMNS, "_sdc_deleted_at"))
    people.run([SCHEMA, row(1, "a")])
    for _ in range(2):
        people.run([gone, row(1, "a", _sdc_deleted_at="2026-01-01T00:00:00Z")])
        assert (standing(people), states(people)) == ({"p1": None}, {"p1": "deleted"})


def test_after_another_mapping_nothing_stands_until_it_came_again(people: Plugin) -> None:
    people.run([SCHEMA, row(1, "a"), row(2, "a")])
    maps = {"people": {"first_name": "first_name.lower()"}}
    result = people.run([SCHEMA, row(1, "a")], stream_maps=maps)
    assert "2 delivered rows of people were made by another mapping" in result.stderr
    assert standing(people) == {"p1": "a", "p2": None}


@pytest.mark.parametrize(
    "config",
    [{"rate_limit": "99/s"}, {"concurrency": 1}, {"timeout": 7}, {"max_rejects": "90%"},
     {"mode": "mirror", "mirror_count": "trust", "max_deletes": "0"}, {"full_resync": True},
     {"client_secret": "x2"}, {"notify": []}, {"retry_rejects": False}],
    ids=str,
)  # fmt: skip
def test_settings_that_change_nothing_that_is_sent_leave_it_standing(
    people: Plugin, config: JSON
) -> None:
    people.run([SCHEMA, row(1, "a"), row(2, "a")])
    people.run([SCHEMA], **config)
    assert standing(people) == {"p1": "a", "p2": "a"}


@pytest.mark.parametrize(
    "config",
    [{"nulls": "send"}, {"phone_region": "US"}, {"custom_fields_format": "flat"},
     {"version_column": "first_name"}, {"version_column": None}],
    ids=str,
)  # fmt: skip
def test_after_settings_that_may_change_what_is_sent_it_does_not_stand(
    people: Plugin, config: JSON
) -> None:
    people.run([SCHEMA, row(1, "a")], unknown_fields="warn")
    people.run([SCHEMA], unknown_fields="warn", **config)
    assert standing(people) == {"p1": None}


def test_a_dry_run_leaves_it_standing(people: Plugin) -> None:
    people.run([SCHEMA, row(1, "a")])
    people.run([SCHEMA, row(1, "a")], dry_run=True, nulls="send")
    assert standing(people) == {"p1": "a"}


def test_the_columns_of_the_view(people: Plugin) -> None:
    people.run([SCHEMA, row(1, "a")])
    (found,) = ask(
        url_of(people),
        "SELECT account, server, sync, stream, key, key_hashed, version, state, remote_id, "
        "delivered_at, run FROM singer_http_standing",
    )
    report = people.report()
    assert found[:9] == (
        report["account"], people.config["api_url"].partition("://")[2], "default", "people", "p1",
        False, "a", "delivered", "p1",
    )  # fmt: skip
    assert found.run == report["run"]
    assert str(found.delivered_at)[:10] == report["started_at"][:10]


def test_a_key_that_may_be_personal_is_marked(people: Plugin) -> None:
    people.run([SCHEMA, row(1, "a") | {"record": {"id": "a@example.com", "v": "a"}}])
    (found,) = ask(url_of(people), "SELECT key, key_hashed FROM singer_http_standing")
    assert found.key.startswith("#")
    assert found.key_hashed


@pytest.mark.parametrize(
    ("key", "hashed"),
    [("12345678-1234-4234-8234-123456789012", False), ("(555) 201-0042", True),
     ("0049 (0) 30 - 123 456 789", True), ("555-0042-", True), ("2026-01-01", True)],
)  # fmt: skip
def test_a_key_of_more_digits_than_a_phone_has_is_not_hashed(
    people: Plugin, key: str, hashed: bool
) -> None:
    """As a UUID may be: one that is hashed stops each plan with deletes."""
    people.run([SCHEMA, row(1, "a") | {"record": {"id": key, "v": "a"}}])
    (found,) = ask(url_of(people), "SELECT key_hashed FROM singer_http_standing")
    assert found.key_hashed == hashed


def test_a_view_of_another_release_is_replaced(people: Plugin) -> None:
    """What was granted on PostgreSQL is kept; ours is left alone."""
    people.run([SCHEMA, row(1, "a")])
    url = url_of(people)
    noted = "SELECT value FROM singer_http_meta WHERE name = 'standing'"
    ours = ask(url, noted)
    ask(url, "UPDATE singer_http_meta SET value = 'another' WHERE name = 'standing'")
    if url.get_backend_name() == "sqlite":
        ask(url, "DROP VIEW singer_http_standing")
        ask(url, "CREATE VIEW singer_http_standing AS SELECT 1 AS account")
    else:
        ask(url, "GRANT SELECT ON singer_http_standing TO pg_monitor")
    assert people.run([SCHEMA, row(1, "a")]).exit_code == 0
    assert (standing(people), ask(url, noted)) == ({"p1": "a"}, ours)
    if url.get_backend_name() != "sqlite":
        granted = "SELECT has_table_privilege('pg_monitor', 'singer_http_standing', 'SELECT')"
        assert ask(url, granted) == [(True,)]


def test_a_view_that_is_gone_is_made_again(people: Plugin) -> None:
    people.run([SCHEMA, row(1, "a")])
    ask(url_of(people), "DROP VIEW singer_http_standing")
    people.run([SCHEMA])
    assert standing(people) == {"p1": "a"}


def test_after_the_command_nothing_stands_that_todays_settings_would_send_otherwise(
    people: Plugin, sandbox: Sandbox
) -> None:
    people.run([SCHEMA, row(1, "a"), row(2, "a"), row(3, "a", email=REFUSED)])
    sandbox.log(clear=True)
    same = people.run([], "--standing")
    assert (same.exit_code, same.stderr.splitlines()[-1]) == (0, "people: 2 of 3 stand")
    other = people.run([], "--standing", nulls="send")
    assert "2 delivered rows of people were made by another mapping" in other.stderr
    assert (other.exit_code, other.stderr.splitlines()[-1]) == (0, "people: 0 of 3 stand")
    assert patches(sandbox) == []
    assert standing(people) == {"p1": None, "p2": None, "p3": None}


def test_the_command_sends_nothing_of_a_run_that_died(people: Plugin, sandbox: Sandbox) -> None:
    people.run([SCHEMA, row(1, "a")])
    people.dying("after_pending").run([SCHEMA, row(1, "b", first_name="Ann")])
    sandbox.log(clear=True)
    assert people.run([], "--standing").stderr.splitlines()[-1] == "people: 0 of 1 stand"
    assert (patches(sandbox), states(people)) == ([], {"p1": "pending"})
    people.run([SCHEMA])
    assert (standing(people), states(people)) == ({"p1": "b"}, {"p1": "delivered"})


def test_two_syncs_and_two_accounts_are_told_apart(people: Plugin) -> None:
    people.run([SCHEMA, row(1, "a")])
    people.run([SCHEMA, row(1, "b")], sync="nightly")
    people.run([SCHEMA, row(1, "c")], account="other", sync="nightly")
    found = ask(url_of(people), "SELECT sync, account = 'other', version FROM singer_http_standing")
    assert sorted(map(tuple, found)) == [
        ("default", False, "a"), ("nightly", False, "b"), ("nightly", True, "c"),
    ]  # fmt: skip


DOCUMENTED = (Path(__file__).parents[3] / "docs/standing.md").read_text()


@pytest.mark.parametrize(
    ("name", "first", "second"),
    [("a text", "x-1", None), ("an integer", 7, None), ("a decimal number", "7.10", None),
     ("several columns", "a", 'q"uo\\te'), ("several columns", "tab\t\x01\x7f", "ü€"),
     ("several columns", 7, "")],
)  # fmt: skip
def test_a_key_is_what_the_documented_sql_makes_of_it(
    sandbox: Sandbox, tmp_path: Path, database: str, name: str, first: Any, second: str | None
) -> None:
    people = Plugin("target-autoreach", sandbox, tmp_path, database_url=database)
    made = re.search(rf"{name}: `([^`]*)`", DOCUMENTED, re.IGNORECASE)
    kind = {"an integer": "bigint", "a decimal number": "numeric"}.get(name, "text")
    keys, record_ = ["a"], {"a": first}
    if second is not None:
        keys, record_ = ["a", "b"], {"a": first, "b": second or "-"}
    if kind == "numeric":
        record_["a"] = float(first)
    columns = schema("people", {"id": {}, "a": {}, "b": {}}, keys)
    people.run([columns, record("people", id="p1", **record_)])
    sql = made[1] if made else "a"
    for column in ("id", "n"):
        sql = sql.replace(f"({column}", "(a")
    source = f"(SELECT CAST(:a AS {kind}) AS a, CAST(:b AS text) AS b) AS source"
    values = {"a": first if kind == "bigint" else str(first), "b": second or "-"}
    (found,) = ask(url_of(people), f"SELECT {sql} FROM {source}", **values)
    assert [found[0]] == list(standing(people))
