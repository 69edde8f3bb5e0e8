"""`--check`: a list of ticks, exit 0 or 1, and nothing written or sent."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import psycopg
import pytest

from singer_sandbox import Sandbox
from tests.front_door import Plugin, Result, record, schema

TARGETS = ("target-autoreach", "target-reisoftware", "target-emailmarketing", "target-actionapi")


def check(plugin: Plugin, **config: object) -> Result:
    return plugin.finish(plugin.start([], "--check", **config))


def ticks(result: Result) -> dict[str, str]:
    """What is checked → the line's mark and words."""
    lines = [line.strip() for line in result.stderr.splitlines() if line.startswith("  ")]
    found = {}
    for line in lines:
        mark, _, rest = line.partition(" ")
        name, _, words = rest.partition(": ")
        found[name] = f"{mark} {words}"
    return found


def files(directory: Path) -> dict[Path, float]:
    return {path: path.stat().st_mtime_ns for path in directory.rglob("*") if path.is_file()}


@pytest.mark.parametrize("name", TARGETS)
def test_with_good_settings_everything_is_ticked(
    name: str, sandbox: Sandbox, tmp_path: Path
) -> None:
    plugin = Plugin(name, sandbox, tmp_path)
    if name == "target-emailmarketing":
        sandbox.put_state("kasplo", {"lists": [{"name": "News"}]})
        plugin.config["list"] = "News"
    result = check(plugin)
    assert result.exit_code == 0, result.stderr
    shown = ticks(result)
    assert {"settings", "work_dir", "ledger", "address", "credentials"} <= set(shown)
    assert all(line.startswith("✓") for line in shown.values())
    assert shown["credentials"] == "✓ accepted"
    assert result.stdout == ""
    assert not plugin.work_dir.exists()


def test_custom_fields_are_counted_and_named(people: Plugin) -> None:
    people.sandbox.put_state("autoreach", {"custom_fields": [{"key": "shoe_size"}]})
    assert ticks(check(people))["custom fields, people"] == "✓ 1 (shoe_size)"


CUSTOM_FIELDS = {
    "target-autoreach": ("autoreach", {"key": "k_8f3a", "name": "Shoe size", "id": "a1b2c3"}),
    "target-reisoftware": ("rei", {"id": "Zx81", "fieldKey": "contact.k", "name": "Shoe size"}),
    "target-emailmarketing": ("kasplo", {"name": "Shoe size", "custom_id": "c-8f3a"}),
}


@pytest.mark.parametrize("name", CUSTOM_FIELDS)
def test_custom_fields_are_shown_by_the_names_that_people_see(
    name: str, sandbox: Sandbox, tmp_path: Path
) -> None:
    vendor, field = CUSTOM_FIELDS[name]
    sandbox.put_state(vendor, {"custom_fields": [field]})
    settings = {}
    if vendor == "kasplo":
        sandbox.put_state(vendor, {"lists": [{"name": "News"}]})
        settings = {"list": "News"}
    shown = ticks(check(Plugin(name, sandbox, tmp_path, **settings)))
    found = {line for title, line in shown.items() if title.startswith("custom fields")}
    assert found == {"✓ 1 (Shoe size)"}


def test_merlins_custom_fields_are_shown_by_their_columns(sandbox: Sandbox, tmp_path: Path) -> None:
    plugin = Plugin("target-actionapi", sandbox, tmp_path)
    assert ticks(check(plugin, custom_fields={"shoe_size": "77"}))["custom fields, contacts"] == (
        "✓ 1 (shoe_size)"
    )


def test_what_a_run_would_stop_at_is_said_before_it(kasplo: Plugin) -> None:
    result = check(kasplo, list=None)
    assert result.exit_code == 1
    assert "no list to put them into: set list_id or list" in result.stderr
    assert check(kasplo).exit_code == 0


def test_a_list_that_the_account_does_not_have_fails(kasplo: Plugin) -> None:
    result = check(kasplo, list="No such list")
    assert result.exit_code == 1
    assert "No such list" in result.stderr


def test_streams_that_need_a_ledger_are_named_where_none_is_kept(
    sandbox: Sandbox, tmp_path: Path
) -> None:
    result = check(Plugin("target-actionapi", sandbox, tmp_path), ledger_url="none")
    assert "Note: automations, calls, sms: " in result.stderr


@pytest.mark.parametrize("name", TARGETS)
def test_bad_credentials_are_told_from_a_bad_address(
    name: str, sandbox: Sandbox, tmp_path: Path
) -> None:
    plugin = Plugin(name, sandbox, tmp_path)
    secret = "client_secret" if "client_secret" in plugin.config else "api_key"
    result = check(plugin, **{secret: "wrong-secret-value"})
    assert result.exit_code == 1
    assert ticks(result)["address"].startswith("✓")
    assert ticks(result)["credentials"].startswith("✗")
    assert "wrong-secret-value" not in result.stderr


def test_nobody_at_the_address(people: Plugin) -> None:
    result = check(people, api_url="http://127.0.0.1:9/api")
    assert result.exit_code == 1
    assert ticks(result)["address"].startswith("✗ No usable answer from 127.0.0.1")


def test_a_missing_setting_is_one_line(people: Plugin) -> None:
    result = check(people, client_id=None)
    assert result.exit_code == 1
    assert "client_id" in result.error


def test_settings_that_do_not_go_together(people: Plugin) -> None:
    result = check(people, mode="mirror")
    assert result.exit_code == 1
    assert "mirror_count" in ticks(result)["settings"]


def test_a_work_dir_that_cannot_be_written(people: Plugin, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    result = check(people, work_dir=str(tmp_path / "file" / "inner"))
    assert result.exit_code == 1
    assert ticks(result)["work_dir"].startswith("✗")


def test_nothing_is_written_beside_an_earlier_run(people: Plugin) -> None:
    people.run([schema("people", ("id", "email")), record("people", id="1", email="a@example.com")])
    before = files(people.work_dir)
    result = check(people)
    assert result.exit_code == 0
    assert "1 records known" in ticks(result)["ledger"]
    assert files(people.work_dir) == before
    writes = [r for r in people.sandbox.requests("autoreach") if r["method"] == "PATCH"]
    assert len(writes) == 1


def test_a_ledger_that_is_none(people: Plugin) -> None:
    people.work_dir.mkdir()
    people.work_dir.joinpath("singer-http.db").write_text(
        "this is no database, whatever its name says " * 50
    )
    result = check(people)
    assert result.exit_code == 1
    assert ticks(result)["ledger"].startswith("✗ cannot be read")


def test_a_ledger_of_a_later_release(people: Plugin) -> None:
    people.run([schema("people", ("id", "email")), record("people", id="1", email="a@example.com")])
    with sqlite3.connect(people.work_dir.joinpath("singer-http.db")) as database:
        database.execute("UPDATE singer_http_meta SET value = '999' WHERE name = 'version'")
    database.close()
    result = check(people)
    assert result.exit_code == 1
    assert "later release" in ticks(result)["ledger"]


def test_a_check_leaves_no_tables_tokens_or_rate_windows(people: Plugin, database: str) -> None:
    assert check(people, database_url=database, rate_limit="10/s").exit_code == 0
    with psycopg.connect(database) as connection:
        tables = connection.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
        assert tables.fetchall() == []
    assert not people.work_dir.exists()


def test_a_ledger_in_postgresql(people: Plugin, postgresql: str) -> None:
    result = check(people, ledger_url=postgresql)
    assert result.exit_code == 0, result.stderr
    assert ticks(result)["ledger"].startswith("✓ PostgreSQL")


def test_a_key_that_the_ledger_has_not_seen(sandbox: Sandbox, tmp_path: Path) -> None:
    contacts = Plugin("target-reisoftware", sandbox, tmp_path)
    contacts.run(
        [schema("contacts", ("email",), ("email",)), record("contacts", email="a@example.org")]
    )
    sandbox.account("rei", "default", api_key="another-key")
    result = check(contacts, api_key="another-key")
    assert result.exit_code == 1
    assert "set account" in ticks(result)["ledger"]
    assert check(contacts, api_key="another-key", account="other").exit_code == 0
