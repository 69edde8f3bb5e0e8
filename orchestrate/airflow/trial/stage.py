"""Everything on one machine: services, accounts with their data, Airflow, workers."""

from __future__ import annotations

import compileall
import contextlib
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
from psycopg.conninfo import conninfo_to_dict

from demo.postgres import Server
from singer_sandbox.client import Sandbox
from singer_sandbox.settings import numbered
from trial.airflow import DAG, HERE, ROOT, Airflow
from trial.services import Process, redis, wait

PROJECT = HERE / "example"
MELTANO = ROOT / ".tools" / "meltano" / "bin" / "meltano"
DATABASES = ("airflow", "singer", "warehouse")


@dataclass(frozen=True)
class Size:
    """How much there is to do."""

    accounts: int
    contacts: int = 50
    sms: int = 5

    def names(self) -> list[str]:
        """The accounts."""
        return [numbered(number) for number in range(1, self.accounts + 1)]


@dataclass
class Stage:
    """What runs.

    Args:
        server: PostgreSQL.
        urls: of its databases, by name.
        sandbox: plays the vendor.
        airflow: its parts, started or not.
        ports: of all that a worker talks to.
        folder: for everything.
        size: of the data.
    """

    server: Server
    urls: Mapping[str, str]
    sandbox: Sandbox
    airflow: Airflow
    ports: list[int]
    folder: Path
    size: Size

    def connections(self) -> dict[str, dict[str, Any]]:
        """Airflow's connections: the databases, and each account's key."""
        found: dict[str, dict[str, Any]] = {
            f"merlin_{name}": {"conn_type": "generic", "password": key(name)}
            for name in self.size.names()
        }
        for name in ("singer", "warehouse"):
            url = conninfo_to_dict(self.urls[name])
            found[name] = {
                "conn_type": "postgres",
                "host": url["host"],
                "port": int(str(url["port"])),
                "login": url["user"],
                "password": url["password"],
                "schema": url["dbname"],
            }
        return found

    def restart_postgres(self) -> None:
        """All connections are closed, and it is away for a few seconds."""
        self.server.stop()
        time.sleep(2)
        self.server.start()

    def run(self, seconds: float, look: Callable[[dict[str, int]], None]) -> str:
        """One DAG run to its end; its state.

        Args:
            seconds: the longest that it may take.
            look: is called every second, with the number of tasks in each state.
        """
        self.airflow("dags", "trigger", DAG)
        ends = time.monotonic() + seconds
        while time.monotonic() < ends:
            self.airflow.revive()
            with contextlib.suppress(psycopg.OperationalError):
                look(self.airflow.tasks())
                state = self.airflow.run_state()
                if state in ("success", "failed"):
                    return state
            time.sleep(1)
        msg = f"the DAG run has not ended after {seconds:.0f} seconds: {self.airflow.tasks()}"
        raise TimeoutError(msg)


def key(account: str) -> str:
    """The key of an account in the sandbox: nothing else has it."""
    return f"merlin-key-of-{account}"


def limit(number: int) -> int:
    """Requests in any second that an account's vendor takes: not the same for all."""
    return (20, 30, 50)[number % 3]


@contextlib.contextmanager
def stage(folder: Path, size: Size) -> Iterator[Stage]:
    """Start the services, and prepare Airflow; nothing is left behind."""
    install()
    with contextlib.ExitStack() as stack:
        # Not below `folder`: PostgreSQL does not run as root, and must reach its data.
        data = tempfile.TemporaryDirectory(prefix="singer-postgres-", ignore_cleanup_errors=True)
        server = Server(Path(stack.enter_context(data)))
        server.start()
        stack.callback(server.stop)
        with psycopg.connect(server.url, autocommit=True) as connection:
            for name in DATABASES:
                connection.execute(f"create database {name}".encode())
        urls = {name: f"{server.url.rpartition('/')[0]}/{name}" for name in DATABASES}
        sandbox = stack.enter_context(Sandbox())
        queue_port, api_port = free_port(), free_port()
        queue = redis(queue_port, folder)
        queue.start()
        stack.callback(queue.stop)
        fill(urls["warehouse"], sandbox, size)
        meltano_database(urls["singer"])
        settings = sandbox.settings("target-actionapi")
        airflow = Airflow(
            folder,
            urls["airflow"],
            f"redis://127.0.0.1:{queue_port}/0",
            api_port,
            {
                "MELTANO": str(MELTANO),
                "MELTANO_PROJECT_ROOT": str(PROJECT),
                "SINGER_PLUGINS": str(ROOT),
                "PYTHONDONTWRITEBYTECODE": "1",
                "RETRY_SECONDS": "5",
                **{
                    f"TARGET_ACTIONAPI_{name.upper()}": settings[name]
                    for name in ("api_url", "automation_url", "message_url")
                },
            },
        )
        stack.callback(airflow.stop)
        ports = [int(server.url.rsplit(":", 1)[1].partition("/")[0]), sandbox.port]
        yield Stage(server, urls, sandbox, airflow, [*ports, queue_port, api_port], folder, size)


def install() -> None:
    """The plugins of the example, as an image would have them."""
    environment = {**os.environ, "SINGER_PLUGINS": str(ROOT), "UV_COMPILE_BYTECODE": "1"}
    subprocess.run([MELTANO, "install"], cwd=PROJECT, env=environment, check=True)
    for package in (
        "shared",
        "merlin-api",
        "target-actionapi",
        "orchestrate/airflow/singer_accounts",
    ):
        compileall.compile_dir(ROOT / package, maxlevels=3, quiet=2)  # a worker cannot write there


def meltano_database(url: str) -> None:
    """Meltano makes its tables with its first command: two first commands at once would clash."""
    uri = url.replace("postgresql://", "postgresql+psycopg://")
    environment = {**os.environ, "MELTANO_DATABASE_URI": uri, "SINGER_PLUGINS": str(ROOT)}
    subprocess.run([MELTANO, "state", "list"], cwd=PROJECT, env=environment, check=True)


def fill(url: str, sandbox: Sandbox, size: Size) -> None:
    """Accounts at the vendor, and in the warehouse their invented contacts and messages."""
    accounts, contacts, messages = [], [], []
    for number, name in enumerate(size.names(), 1):
        sandbox.account("merlin", name, key=key(name))
        sandbox.options("merlin", account=name, rate_limit=[limit(number), 1])
        accounts.append((name, f"merlin_{name}", f"{limit(number)}/s"))
        for row in range(1, size.contacts + 1):
            phone = f"+1555{number:03}{row:04}"
            contact = (f"own_{row}", f"Ann{row}", f"Of {name}", f"ann{row}@{name}.example.com")
            contacts.append((name, *contact, phone))
            if row <= size.sms:
                messages.append((name, f"visit {row}", phone, f"Hello Ann{row} of {name}."))
    with psycopg.connect(url) as connection, connection.cursor() as cursor:
        cursor.execute((PROJECT / "warehouse.sql").read_bytes())
        for table, rows in (
            ("accounts", accounts),
            ("contacts", contacts),
            ("messages", messages),
        ):
            with cursor.copy(f"copy agency.{table} from stdin".encode()) as copy:
                for values in rows:
                    copy.write_row(values)


def free_port() -> int:
    """A port of 127.0.0.1 that nobody listens on."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def local_worker(one: Stage, slots: int) -> Process:
    """A worker on this machine, without namespaces."""
    home = one.folder / "worker"
    (home / "tmp").mkdir(parents=True)
    command = [str(Path(sys.executable).parent / "airflow"), "celery", "worker"]
    return Process("worker", command, one.airflow.worker_environment(home, slots), one.folder)


def wait_for_workers(one: Stage, count: int) -> None:
    """Wait until so many workers take tasks."""

    def there() -> bool:
        said = sum(
            log.read_text(errors="replace").count(" ready.")
            for log in one.folder.rglob("*worker*.log")
        )
        return said >= count

    wait("workers", there, 300)
