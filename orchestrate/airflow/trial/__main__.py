"""`make airflow`: everything on this machine's loopback, until Ctrl-C."""

from __future__ import annotations

import contextlib
import signal
import sys
import tempfile
import time
from pathlib import Path

from trial.airflow import DAG
from trial.stage import Size, local_worker, stage, wait_for_workers

ACCOUNTS = 20
SLOTS = 2


def main() -> int:
    """Start, say where, wait."""
    # As Ctrl-C, so that what was started is ended.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with contextlib.suppress(KeyboardInterrupt), contextlib.ExitStack() as stack:
        folder = Path(
            stack.enter_context(
                tempfile.TemporaryDirectory(prefix="singer-airflow-", ignore_cleanup_errors=True)
            )
        )
        print("PostgreSQL, Redis, the sandbox and the plugins ...", flush=True)
        one = stack.enter_context(stage(folder, Size(ACCOUNTS)))
        print("Airflow (about a minute) ...", flush=True)
        one.airflow.start(one.connections(), SLOTS)
        worker = local_worker(one, SLOTS)
        worker.start()
        stack.callback(worker.stop)
        wait_for_workers(one, 1)
        print(
            f"\nAirflow:  {one.airflow.url}/dags/{DAG}  (press Trigger; no password)"
            f"\nSandbox:  {one.sandbox.url}  ({ACCOUNTS} accounts of Merlin)"
            f"\nWarehouse and databases:  {one.server.url}"
            f"\nLogs, and the page over all accounts:  {folder}"
            "\n\nCtrl-C ends all of it; nothing is left.",
            flush=True,
        )
        while True:
            one.airflow.revive()
            worker.revive()
            time.sleep(1)
    return 0


if __name__ == "__main__":
    sys.exit(main())
