"""A database that is too new, not writable, gone or full: one line, a report, nothing lost."""

from __future__ import annotations

import os
import resource
import shutil
import sys

import psycopg
import pytest
import sqlalchemy as sa
from psycopg import conninfo

from singer_http.errors import DatabaseUnreachable
from singer_http.store import database, server
from singer_http.store.database import Database
from singer_sandbox import Sandbox
from tests.front_door import JSON, Plugin, Result, record, schema, state

SCHEMA = schema("people", ("id", "email"))
ROWS: list[JSON] = [
    record("people", id=f"own_{i}", email=f"p{i}@example.com") for i in range(20)
]  # fmt: skip
MESSAGES = [SCHEMA, *ROWS, state(1)]


CONCURRENCY = 2


def sent(sandbox: Sandbox) -> list[JSON]:
    return [request for request in sandbox.requests("autoreach") if request["method"] == "PATCH"]


@pytest.fixture
def people(people: Plugin) -> Plugin:
    """target-autoreach, with a request for each record."""
    people.config |= {"batch_size_rows": 1, "concurrency": CONCURRENCY}
    return people


def change(people: Plugin, *statements: str) -> None:
    """Change the database, as somebody else does."""
    url = people.config.get("database_url") or f"sqlite:///{people.work_dir / 'singer-http.db'}"
    engine = sa.create_engine(url.replace("postgresql://", "postgresql+psycopg://"))
    with engine.begin() as connection:
        for statement in statements:
            connection.execute(sa.text(statement))
    engine.dispose()


def stopped(people: Plugin, result: Result, *words: str) -> None:
    """One line that names the setting; exit code 1; a report that says the same."""
    assert result.exit_code == 1, result.stderr
    assert "Traceback" not in result.stderr
    lines = [line for line in result.stderr.splitlines() if "| ERROR" in line]
    assert len(lines) == 1
    for word in ("database_url", *words):
        assert word in result.error
    assert result.report["outcome"] == "stopped"
    assert result.report["error"] == result.error
    assert "stopped" in people.path("report.html").read_text()


def nothing_is_lost(
    people: Plugin, sandbox: Sandbox, result: Result, rows: list[JSON] = ROWS
) -> None:
    """The run after it delivers what that one did not, and each record is there once."""
    assert result.states == []
    after = people.run([SCHEMA, *rows, state(1)])
    assert after.exit_code == 0, after.stderr
    assert after.states == [1]
    assert after.rejects == []
    emails = sorted(row["email"] for row in sandbox.state("autoreach")["people"].values())
    assert emails == sorted(row["record"]["email"] for row in rows)


def test_a_database_of_a_later_release(
    people: Plugin, sandbox: Sandbox, ledger_url: str | None
) -> None:
    people.config["database_url"] = ledger_url
    people.run([SCHEMA, state(0)])
    change(people, "UPDATE singer_http_meta SET value = '99' WHERE name = 'version'")
    result = people.run(MESSAGES)
    stopped(people, result, "later release (version 99", "upgrade")
    assert sent(sandbox) == []
    # Commands that only look say the same.
    looked = people.run([], "--history")
    assert looked.exit_code == 1
    assert "later release" in looked.error


@pytest.mark.parametrize("url", ["sqlite:////proc/nowhere.db", "postgresql://127.0.0.1:1/db"])
def test_a_database_that_cannot_be_reached(people: Plugin, sandbox: Sandbox, url: str) -> None:
    stopped(people, people.run(MESSAGES, database_url=url), "cannot be opened", "nothing was sent")
    assert sent(sandbox) == []


@pytest.mark.parametrize(
    ("url", "word"),
    [
        ("postgresql://user:secret@127.0.0.1:port/db", "percent-encoded"),
        ("singer.db", "SQLAlchemy URL"),
        ("mysql://127.0.0.1/db", "SQLite or PostgreSQL"),
        ("sqlite://", "names no file"),
        ("sqlite:///:memory:", "names no file"),
        ("postgresql+psycopg2://u:secret@127.0.0.1/db", "write postgresql://"),
        ("postgresql+asyncpg://u:secret@127.0.0.1/db", "write postgresql://"),
    ],
)
def test_an_address_that_is_none_of_a_database_to_keep(
    people: Plugin, sandbox: Sandbox, url: str, word: str
) -> None:
    stopped(people, people.run(MESSAGES, database_url=url), word)
    assert sent(sandbox) == []
    check = people.run([], "--check", database_url=url)
    assert check.exit_code == 1
    assert word in check.stderr
    assert "secret" not in check.stderr.replace("client_secret", "")


def test_the_short_name_of_postgresql_is_known(people: Plugin, database: str) -> None:
    people.config["database_url"] = database.replace("postgresql://", "postgres://")
    assert people.run(MESSAGES).exit_code == 0
    assert "PostgreSQL" in people.run([], "--check").stderr


@pytest.mark.parametrize(("encoding", "good"), [("SQL_ASCII", True), ("LATIN1", False)])
def test_an_encoding_that_lacks_characters_is_refused(
    people: Plugin, sandbox: Sandbox, own_database: str, encoding: str, good: bool
) -> None:
    """The default of PostgreSQL is the encoding of its system, which is C in many containers."""
    name = conninfo.conninfo_to_dict(own_database)["dbname"]
    with psycopg.connect(own_database.replace(f"/{name}?", "/postgres?"), autocommit=True) as admin:
        admin.execute(f"DROP DATABASE {name}".encode())
        admin.execute(
            f"CREATE DATABASE {name} ENCODING '{encoding}' TEMPLATE template0 "
            "LC_COLLATE 'C' LC_CTYPE 'C'".encode()
        )
    people.config["database_url"] = own_database
    messages = [SCHEMA, record("people", id="Zoë 日本", email="zoe@example.com"), state(1)]
    result = people.run(messages)
    check = people.run([], "--check")
    if good:
        assert result.exit_code == check.exit_code == 0, result.stderr
        assert people.run(messages).counts("people") == {"received": 1, "unchanged": 1}
        assert "key Zoë 日本 " in people.run([], "--explain", "Zoë 日本").stdout
    else:
        stopped(people, result, f"encoding {encoding}", "UTF8")
        assert sent(sandbox) == []
        assert check.exit_code == 1
        assert f"encoding {encoding}" in check.stderr


def test_a_database_that_only_answers_questions(
    people: Plugin, sandbox: Sandbox, postgresql: str, own_database: str
) -> None:
    """Such as a replica."""
    people.config["database_url"] = own_database
    people.run([SCHEMA, state(0)])
    name = conninfo.conninfo_to_dict(own_database)["dbname"]
    with psycopg.connect(postgresql, autocommit=True) as connection:
        connection.execute(f"ALTER DATABASE {name} SET default_transaction_read_only = on".encode())
    result = people.run(MESSAGES)
    stopped(people, result, "read-only")
    check = people.run([], "--check")
    assert (check.exit_code, "the user may not write" in check.stderr) == (1, True)
    assert sent(sandbox) == []
    with psycopg.connect(postgresql, autocommit=True) as connection:
        connection.execute(f"ALTER DATABASE {name} RESET default_transaction_read_only".encode())
    nothing_is_lost(people, sandbox, result)


def test_tables_that_the_user_may_not_change(
    people: Plugin, sandbox: Sandbox, own_database: str
) -> None:
    """They belong to another one, who has to run the new release once."""
    people.config["database_url"] = own_database
    people.run([SCHEMA, state(0)])
    owner = conninfo.conninfo_to_dict(own_database)
    user = f"app_{owner['dbname']}"
    with psycopg.connect(own_database, autocommit=True) as connection:
        for statement in (
            f"CREATE ROLE {user} LOGIN",
            f"GRANT ALL ON ALL TABLES IN SCHEMA public TO {user}",
            f"GRANT ALL ON ALL SEQUENCES IN SCHEMA public TO {user}",
            "UPDATE singer_http_meta SET value = 'another' WHERE name = 'standing'",
        ):
            connection.execute(statement.encode())
        people.config["database_url"] = own_database.replace(f"//{owner['user']}", f"//{user}")
        result = people.run(MESSAGES)
        stopped(people, result, "which the user of `database_url` may not", "--history")
        assert people.run([], "--check").exit_code == 0
        connection.execute(f"REVOKE UPDATE ON singer_http_rejects FROM {user}".encode())
        assert "the user may not write" in people.run([], "--check").stderr
        assert sent(sandbox) == []
        assert people.run([], "--history", database_url=own_database).exit_code == 0
        nothing_is_lost(people, sandbox, result)
        connection.execute(f"DROP OWNED BY {user}".encode())
        connection.execute(f"DROP ROLE {user}".encode())


def test_tables_that_somebody_reads_for_long(
    people: Plugin, sandbox: Sandbox, own_database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server, "LOCK_SECONDS", 1)
    monkeypatch.setattr(database, "LOCK_SECONDS", 1)
    people.config["database_url"] = own_database
    people.run([SCHEMA, state(0)])
    with psycopg.connect(own_database) as reader:
        reader.execute("UPDATE singer_http_meta SET value = 'another' WHERE name = 'standing'")
        reader.commit()
        reader.execute("SELECT * FROM singer_http_standing")
        with pytest.raises(DatabaseUnreachable, match="in an open transaction: end it"):
            Database(own_database)
        reader.rollback()
        assert people.run(MESSAGES).exit_code == 0


def test_a_file_that_may_not_be_written(people: Plugin, sandbox: Sandbox) -> None:
    people.run([SCHEMA, state(0)])
    if os.geteuid() == 0:  # root obeys the rights of a file only without this capability
        if not (setpriv := shutil.which("setpriv")):
            pytest.skip("root may write everywhere")
        people.command = [setpriv, "--bounding-set=-dac_override", *people.command]
    people.work_dir.joinpath("singer-http.db").chmod(0o400)
    result = people.run(MESSAGES)
    stopped(people, result, "readonly")
    assert sent(sandbox) == []
    for file in people.work_dir.glob("singer-http.db*"):  # SQLite's own have the same rights
        file.chmod(0o600)
    nothing_is_lost(people, sandbox, result)


def test_a_connection_that_is_lost_in_the_middle(
    people: Plugin, sandbox: Sandbox, postgresql: str, own_database: str
) -> None:
    people.config["database_url"] = own_database
    name = conninfo.conninfo_to_dict(own_database)["dbname"]
    sandbox.fault(vendor="autoreach", method="PATCH", hold="x")
    process = people.start(MESSAGES)
    sandbox.wait_held("x")
    with psycopg.connect(postgresql, autocommit=True) as connection:
        connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", [name]
        )
    sandbox.release("x")
    result = people.finish(process)
    stopped(people, result, "cannot be used", "pending")
    assert result.report["needs_person"] is False
    # The database itself runs on: its history has the report.
    (line,) = [
        line
        for line in people.run([], "--history").stdout.splitlines()
        if line.startswith(result.report["run"])
    ]
    assert " stopped " in line
    nothing_is_lost(people, sandbox, result)


@pytest.mark.parametrize("how", ["removed", "replaced"])
def test_a_file_that_is_gone_in_the_middle(people: Plugin, sandbox: Sandbox, how: str) -> None:
    sandbox.fault(vendor="autoreach", method="PATCH", hold="x")
    process = people.start(MESSAGES)
    sandbox.wait_held("x")
    file = people.work_dir / "singer-http.db"
    copy = file.read_bytes()
    for path in people.work_dir.glob("singer-http.db*"):
        path.unlink()
    if how == "replaced":
        file.write_bytes(copy)
    sandbox.release("x")
    result = people.finish(process)
    stopped(people, result, "was removed or replaced during the run", str(file))
    nothing_is_lost(people, sandbox, result)


@pytest.mark.skipif(sys.platform != "linux", reason="a limit is set on another process")
def test_a_disk_that_is_full_in_the_middle(people: Plugin, sandbox: Sandbox) -> None:
    sandbox.fault(vendor="autoreach", method="PATCH", hold="x")
    rows = [record("people", id=f"m{n}", email=f"m{n}@example.com") for n in range(200)]
    process = people.start([SCHEMA, *rows, state(1)])
    sandbox.wait_held("x")
    log = people.work_dir / "singer-http.db-wal"
    # The limit is for each file of the process: the report's page needs some room too.
    most = max(log.stat().st_size, 100 * 1024)
    resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (most, -1))
    sandbox.release("x")
    result = people.finish(process)
    stopped(people, result, "cannot be used", "free some space")
    nothing_is_lost(people, sandbox, result, rows)


def test_a_database_that_is_full_in_the_middle(
    people: Plugin, sandbox: Sandbox, database: str
) -> None:
    people.config["database_url"] = database
    sandbox.fault(vendor="autoreach", method="PATCH", hold="x")
    process = people.start(MESSAGES)
    sandbox.wait_held("x")
    change(
        people,
        "CREATE FUNCTION full_disk() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION "
        "'could not extend file: No space left on device' USING ERRCODE = '53100'; END $$",
        "CREATE TRIGGER full_disk BEFORE INSERT ON singer_http_delivered "
        "EXECUTE FUNCTION full_disk()",
    )
    sandbox.release("x")
    result = people.finish(process)
    stopped(people, result, "No space left on device", "free some space")
    assert result.report["needs_person"] is True
    change(people, "DROP TRIGGER full_disk ON singer_http_delivered")
    nothing_is_lost(people, sandbox, result)
