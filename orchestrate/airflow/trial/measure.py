"""Accounts per hour with 1, 2 and 4 workers of one slot each: `make airflow-measure`.

The figures of docs/scale.md. Each step has accounts of its own, eight for each worker, that
deliver for the first time.
"""

from __future__ import annotations

import contextlib
import os
import resource
import tempfile
import time
from pathlib import Path

import psycopg

from trial.stage import Size, Stage, stage, wait_for_workers
from trial.workers import Network, Worker

STEPS = (1, 2, 4)
EACH = 8
"""Accounts for each worker."""


def cpu() -> float:
    """Seconds of CPU of all processes that were started here and have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def choose(one: Stage, names: list[str]) -> None:
    """Only these accounts are listed."""
    with psycopg.connect(one.urls["warehouse"]) as connection:
        connection.execute("create table if not exists agency.rest as table agency.accounts")
        connection.execute("delete from agency.accounts")
        connection.execute(
            "insert into agency.accounts select * from agency.rest where account = any(%s)",
            (names,),
        )


def measure(one: Stage, network: Network, count: int, names: list[str]) -> None:
    """Run accounts with so many workers, and print what it took."""
    choose(one, names)
    one.airflow("pools", "set", "accounts", str(count), "Accounts at once")
    before = cpu()
    with contextlib.ExitStack() as stack:
        for number in range(1, count + 1):
            home = one.folder / f"machines-{count}" / str(number)
            home.mkdir(parents=True)
            environment = one.airflow.worker_environment(home, slots=1)
            stack.enter_context(Worker(network, number, home, environment))
        wait_for_workers(one, sum(step for step in STEPS if step <= count))
        state = one.run(60 * len(names) + 300, lambda _: None)
    (row,) = one.airflow.query(
        "select extract(epoch from max(end_date) - min(start_date)) as seconds,"
        " avg(extract(epoch from end_date - start_date)) as each from task_instance"
        " where task_id = 'account'"
        " and run_id = (select run_id from dag_run order by id desc limit 1)"
    )
    seconds, each = float(row["seconds"]), float(row["each"])
    print(
        f"{count} workers: {len(names)} accounts, {state}, {seconds:.0f} s, "
        f"{3600 * len(names) / seconds:.0f} accounts an hour, {each:.1f} s a task, "
        f"{(cpu() - before) / len(names):.1f} s of CPU an account, load {os.getloadavg()[0]:.1f}",
        flush=True,
    )


def main() -> None:
    """Measure each step."""
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="singer-measure-")))
        size = Size(EACH * sum(STEPS))
        one = stack.enter_context(stage(folder, size))
        one.airflow.start(one.connections(), slots=1)
        network = stack.enter_context(Network(one.ports, folder))
        names = size.names()
        began = time.monotonic()
        for count in STEPS:
            measure(one, network, count, names[: EACH * count])
            names = names[EACH * count :]
        print(f"{os.cpu_count()} cores, {time.monotonic() - began:.0f} s", flush=True)


if __name__ == "__main__":
    main()
