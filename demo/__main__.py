"""`make demo`: a warehouse into AutoReach, again after 50 changes, and AutoReach into DuckDB.

Then a few hundred of its owners into the other vendors, and from one vendor into the next.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import sys
import time
from types import FrameType
from typing import NoReturn

from demo import legs, show, warehouse
from demo.meltano import ROOT, Meltano, MeltanoError
from demo.postgres import database, postgres
from demo.stage import Stage
from singer_sandbox.client import Sandbox
from singer_sandbox.settings import environment

FOLDER = ROOT / "output" / "demo"
DATABASE = "singer_demo"
OURS = (
    "tap-autoreach", "tap-reisoftware", "tap-actionapi",
    "target-autoreach", "target-reisoftware", "target-emailmarketing", "target-actionapi",
)  # fmt: skip
PLUGINS = ("tap-postgres", "target-duckdb", *OURS)
PLANS = ("target-autoreach--planned", "dbt-postgres")
SERVER = os.environ.get("DEMO_POSTGRES_URL")
"""A PostgreSQL to use instead of an embedded one; the demo makes and drops a database there."""


def main() -> int:
    """Run the demo; 0 when all went well, 1 with the end of the log when a command failed."""
    for sign in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(sign, _leave)
    shutil.rmtree(FOLDER, ignore_errors=True)
    FOLDER.mkdir(parents=True)
    try:
        with contextlib.ExitStack() as stack:
            stack.callback(signal.signal, signal.SIGINT, signal.getsignal(signal.SIGINT))
            show.heading("Starting a PostgreSQL and the sandbox")
            server = SERVER or stack.enter_context(postgres())
            url = stack.enter_context(database(server, DATABASE))
            sandbox = stack.enter_context(Sandbox(seed=True))
            stack.callback(signal.signal, signal.SIGINT, signal.SIG_IGN)  # no Ctrl-C while ending
            print(f"  The sandbox, in place of the vendors: {sandbox.url} (open it in a browser)")
            run(url, sandbox)
    except MeltanoError as error:
        print(f"\n{error}\nThe whole log: {FOLDER / 'meltano.log'}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nStopped; all processes have ended.", file=sys.stderr)
        return 130
    print(f"\nThe files of the runs are in {FOLDER}; all processes have ended.")
    return 0


def run(url: str, sandbox: Sandbox) -> None:
    """Tell the story, with services that are running."""
    work_dir, duck = FOLDER / "work", FOLDER / "warehouse.duckdb"
    meltano = Meltano(
        FOLDER,
        {
            **environment(sandbox.url),
            "WAREHOUSE_URL": url,
            **warehouse.variables(url),
            **{f"{plugin.replace('-', '_').upper()}_WORK_DIR": str(work_dir) for plugin in OURS},
            "TARGET_DUCKDB_FILEPATH": str(duck),
            # Nobody was called, texted or put into a workflow yet: the targets want to be told.
            "TARGET_REISOFTWARE_FIRST_RUN": "true",
            "TARGET_ACTIONAPI_FIRST_RUN": "true",
            "TAP_ACTIONAPI_SEARCHES": json.dumps([{"Lname": n} for n in warehouse.LAST[:3]]),
        },
    )
    show.heading("Installing the plugins (the first time takes a minute)")
    print(f"  {meltano('install', *PLUGINS, *PLANS):.0f} s")
    meltano("invoke", "dbt-postgres:deps")
    stage = Stage(meltano, sandbox, url, work_dir, duck, kept=FOLDER / "pages")

    began = time.monotonic()
    rows = warehouse.owners()
    warehouse.load(url, rows)
    show.heading(f"The warehouse has {len(rows):,} rows of {warehouse.OWNERS:,} property owners")
    show.in_postgres(url, "select * from to_autoreach.people limit 2")

    before = sandbox.sizes("autoreach")["sizes"]["members"]
    print(
        f"  AutoReach has {before} members already, {warehouse.KNOWN} of them in the warehouse too"
    )

    stage.step("changes-to-autoreach", "autoreach")
    first = stage.keep("target-autoreach", "target-autoreach-first-run")
    show.heading(f"A day later: {warehouse.change(url)} owners have changed; the same again")
    stage.step("changes-to-autoreach", "autoreach")
    second = stage.keep("target-autoreach", "target-autoreach-second-run")
    show.heading("And back: what can be read from AutoReach, into DuckDB")
    stage.step("autoreach-to-duckdb", "autoreach")

    show.heading("The first run: everything is sent")
    show.report(first)
    show.heading("The second run: dbt compares the people with the ledger; what changed travels")
    show.travelled(url, second, "people")
    show.report(second)
    show.heading("What was not delivered, and why")
    show.rejects(work_dir / "target-autoreach.rejects.jsonl")
    show.heading("What arrived")
    show.in_postgres(
        url,
        "select count(distinct owner_id) from to_autoreach.members where _sdc_deleted_at is null",
    )
    show.in_duckdb(duck, "select count(*) from autoreach.members")
    show.in_duckdb(
        duck,
        "select lists.name, count(*) from autoreach.members join autoreach.lists"
        " on lists.id = members.list_id group by 1 order by 1",
    )
    only_there = before - warehouse.KNOWN
    print(f"  (the first number without the rejects, and {only_there} that only AutoReach had)")
    people = sandbox.sizes("autoreach")["sizes"]["people"]
    print(f"  And {people:,} people, says the sandbox: AutoReach has no way to read them.")

    show.heading(f"{warehouse.stop(url)} owners are put on a do-not-call list")
    legs.reisoftware(stage)
    legs.emailmarketing(stage)
    legs.actionapi(stage)
    legs.do_not_call(stage)
    show.pages(stage.pages)
    print(f"\n  {time.monotonic() - began:.0f} s without the installs")


def _leave(signum: int, frame: FrameType | None) -> NoReturn:
    del frame
    raise SystemExit(128 + signum)


if __name__ == "__main__":
    sys.exit(main())
