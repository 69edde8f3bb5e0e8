"""Whole pipelines on PostgreSQL: a plan of the warehouse beside a full extract, and drt-core.

Ours are `meltano run`: tap-postgres, target-autoreach with its ledger in the same PostgreSQL; dbt
makes the plan, or the plan is a view. Rows of 12 columns, and their version.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil
import psycopg
import yaml

from benchmarks.contestants import Stage
from benchmarks.environments import OURS, PEERS, ROOT, python
from benchmarks.measure import Sample
from demo.meltano import MELTANO
from demo.warehouse import variables

DBT = ROOT / ".tools" / "dbt" / "bin" / "dbt"
SOURCE = "to_autoreach.people"
COLUMNS = (
    "external_id", "email", "first_name", "last_name", "phone", "previous_contact_date", "city",
    "state", "parcel_id", "age", "score", "owner",
)  # fmt: skip
TABLES = """
    drop schema if exists warehouse cascade; drop schema if exists to_autoreach cascade;
    drop schema if exists ledger cascade; drop schema if exists _drt cascade;
    create schema warehouse; create schema to_autoreach; create schema ledger;
    create table warehouse.people as
    select
        'P' || lpad(n::text, 8, '0') as external_id,
        'person' || n || '@example.com' as email,
        (array['Ada', 'Bruno', 'Chloé', 'Dmitri', 'Elif'])[n % 5 + 1] as first_name,
        (array['Farah', 'Günther', 'Hana', 'Ines'])[n % 4 + 1] as last_name,
        '+1555' || lpad(n::text, 8, '0') as phone,
        '2025-01-01'::timestamptz + n % 1000 * interval '1 hour' as previous_contact_date,
        (array['Austin', 'Mobile', 'Reno'])[n % 3 + 1] as city,
        (array['TX', 'AL', 'NV'])[n % 3 + 1] as state,
        'parcel-' || lpad(n::text, 8, '0') as parcel_id,
        18 + n % 80 as age,
        (n % 999 / 8.0)::numeric(8, 3) as score,
        n % 2 = 0 as owner,
        now() as updated_at
    from generate_series(0, {rows} - 1) as n;
    alter table warehouse.people add primary key (external_id);
    create index on warehouse.people (updated_at);
    create view warehouse.current_people as select {columns} from warehouse.people;
    vacuum analyze warehouse.people
"""
# One SCHEMA and one version for all: else each would make the others' rows come again.
RELATION = "source('warehouse', 'current_people')"
EVERYTHING = f"""
    {{%- set relation = {RELATION} -%}}
    {{%- set columns = adapter.get_columns_in_relation(relation) -%}}
    select
        *, {{{{ singer_http.row_version(columns) }}}} as row_version,
        cast(null as timestamptz) as _sdc_deleted_at
    from {{{{ relation }}}}
"""
CHANGE = """
    update warehouse.people set first_name = 'N' || (random() * 1e9)::bigint, updated_at = now()
    where external_id in (
        select 'P' || lpad(((random() * ({rows} - 1))::bigint)::text, 8, '0')
        from generate_series(1, {number})
    )
"""
LEDGER = """
    insert into ledger.singer_http_delivered
        (scope, key, digest, source, remote_id, at, run, names, mapping, version)
    select
        scopes.id, external_id, decode(md5(external_id), 'hex'), decode(md5(email), 'hex'), '=',
        extract(epoch from now())::bigint, null, decode(md5(phone), 'hex'), scopes.mapping,
        row_version
    from ({everything}) as people cross join ledger.singer_http_scopes as scopes
    on conflict do nothing
"""


@dataclass
class Travelled:
    """What a pipeline did beside its time."""

    sample: Sample
    rows: int
    """That came to the target; of drt-core, to the vendor."""
    peaks: dict[str, float] = field(default_factory=dict)
    """Process → MB at its peak."""


class Pipelines:
    """A warehouse of so many rows, and the pipelines out of it."""

    def __init__(self, stage: Stage, url: str, rows: int) -> None:
        self.stage, self.url, self.rows = stage, url, rows
        self.folder = stage.folder / f"pipelines-{rows}"
        self.folder.mkdir(parents=True, exist_ok=True)
        self.given = psycopg.conninfo.conninfo_to_dict(url)
        with psycopg.connect(url) as connection:
            session = psutil.Process(connection.info.backend_pid)
            self._server = session.parent() or session
        for statement in TABLES.format(rows=rows, columns=", ".join(COLUMNS)).split(";"):
            self.execute(statement)
        stage.empty()
        self._write_project()
        self.everything = self.compiled("analyses/everything")

    def execute(self, statement: str) -> int:
        with psycopg.connect(self.url, autocommit=True) as connection:
            return connection.execute(statement.encode()).rowcount

    def change(self, number: int) -> int:
        """Change about so many rows; how many it were."""
        changed = self.execute(CHANGE.format(rows=self.rows, number=number)) if number else 0
        self.execute("analyze warehouse.people")
        return changed

    # --- ours -----------------------------------------------------------------------------------

    def _write_project(self) -> None:
        target = self.stage.sandbox.settings("target-autoreach") | {
            "rate_limit": "", "sync": "default", "version_column": "row_version",
            "database_url": f"{self.url}?options=-csearch_path%3Dledger",
            "keys": {"people": ["external_id"]},
            "work_dir": str(self.folder / "work"),
        }  # fmt: skip
        self.account = target["client_id"]
        tap = {"sqlalchemy_url": self.url, "filter_schemas": ["to_autoreach"]}
        plugins = {
            "extractors": [_plugin("tap-postgres", python("tap_postgres").parent, tap,
                                   select=["to_autoreach-people.*"])],
            "loaders": [_plugin("target-autoreach", OURS / "bin", target)],
            "utilities": [{"name": "dbt-postgres", "namespace": "dbt_postgres",
                           "executable": str(DBT), "commands": {"run": {"args": "run"}}}],
        }  # fmt: skip
        project = {"version": 1, "default_environment": "bench", "project_id": "bench",
                   "send_anonymous_usage_stats": False, "environments": [{"name": "bench"}],
                   "plugins": plugins}  # fmt: skip
        (self.folder / "meltano.yml").write_text(yaml.safe_dump(project))
        for folder in ("models", "analyses"):
            (self.folder / folder).mkdir(exist_ok=True)
        call = (
            f"singer_http.to_send({RELATION}, 'people', 'external_id', account='{self.account}', "
            "deletes=true)"
        )
        (self.folder / "models" / "people.sql").write_text(f"{{{{ {call} }}}}")
        (self.folder / "analyses" / "everything.sql").write_text(EVERYTHING)
        sources = {"sources": [{"name": "warehouse", "tables": [{"name": "current_people"}]}]}
        (self.folder / "models" / "sources.yml").write_text(yaml.safe_dump(sources))
        dbt = {"name": "bench", "profile": "warehouse",
               "models": {"bench": {"+materialized": "table"}},
               "flags": {"send_anonymous_usage_stats": False},
               "vars": {"singer_http_ledger_schema": "ledger"}}  # fmt: skip
        (self.folder / "dbt_project.yml").write_text(yaml.safe_dump(dbt))
        packages = {"packages": [{"local": str(ROOT / "dbt")}]}
        (self.folder / "packages.yml").write_text(yaml.safe_dump(packages))
        shutil.copy(ROOT / "demo" / "transform" / "profiles.yml", self.folder)
        self._call([DBT, "deps"])

    def _call(self, command: list[Any]) -> None:
        done = subprocess.run(
            [str(part) for part in command], cwd=self.folder, env=self._environment(),
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        if done.returncode:
            raise RuntimeError(f"{command}: {done.stdout[-2000:]}{done.stderr[-1000:]}")

    def _environment(self) -> Mapping[str, str]:
        hidden = ("PYTHONDONTWRITEBYTECODE", "PYTHONUNBUFFERED", "MELTANO_PROJECT_ROOT")
        kept = {name: value for name, value in os.environ.items() if name not in hidden}
        return {
            **kept, **variables(self.url),
            "NO_COLOR": "1", "DO_NOT_TRACK": "1", "MELTANO_CLI_LOG_LEVEL": "warning",
        }  # fmt: skip

    def first_run(self) -> None:
        """Deliver everything, so that all of it stands."""
        self.use_view(self.everything)
        self.meltano("tap-postgres", "target-autoreach")

    def pretend(self) -> None:
        """Let everything stand without a run of all: rows that do not travel are not read."""
        self.use_view(self.everything + " limit 1")
        self.meltano("tap-postgres", "target-autoreach")
        self.execute(LEDGER.format(everything=self.everything))
        self.execute("analyze ledger.singer_http_delivered")

    def use_view(self, select: str) -> None:
        """The tap reads this."""
        self.no_plan()
        self.execute(f"create view {SOURCE} as {select}")

    def no_plan(self) -> None:
        with psycopg.connect(self.url, autocommit=True) as connection:
            found = connection.execute(
                "select relkind from pg_class where oid = to_regclass(%s)", [SOURCE]
            ).fetchone()
            if found:
                kind = "view" if found[0] in ("v", b"v") else "table"
                connection.execute(f"drop {kind} {SOURCE}".encode())

    def compiled(self, name: str) -> str:
        """What a macro renders, to be a view."""
        self._call([DBT, "compile", "--select", Path(name).name])
        return (self.folder / "target" / "compiled" / "bench" / f"{name}.sql").read_text()

    def by_dbt(self) -> Travelled:
        return self.meltano("dbt-postgres:run", "tap-postgres", "target-autoreach")

    def by_tap(self) -> Travelled:
        return self.meltano("tap-postgres", "target-autoreach")

    def meltano(self, *tasks: str) -> Travelled:
        """`meltano run`, and what the target's report says."""
        travelled = self._run([MELTANO, "run", *tasks])
        report = json.loads((self.folder / "work/target-autoreach.report.json").read_text())
        if report["outcome"] != "ok":
            raise RuntimeError(str(report["error"]))
        people = report["streams"].get("people", {})
        travelled.rows = people.get("received", 0)
        return travelled

    # --- drt-core -------------------------------------------------------------------------------

    def drt(self) -> Callable[[], Travelled]:
        """`drt run` with its cursor: its diff needs a key that a REST destination has not."""
        folder = self.folder / "drt"
        (folder / "syncs").mkdir(parents=True, exist_ok=True)
        (folder / ".drt").mkdir(exist_ok=True)
        (folder / "drt_project.yml").write_text("name: benchmark\nprofile: warehouse\n")
        warehouse = {k: self.given.get(k) for k in ("host", "user", "dbname", "password")}
        warehouse |= {"type": "postgres", "port": int(str(self.given["port"]))}
        profile = yaml.safe_dump({"warehouse": warehouse})
        (folder / ".drt" / "profiles.yml").write_text(profile)
        sync = yaml.safe_load((PEERS / "drt" / "people.yml").read_text())
        sync["model"] = f"select {', '.join(COLUMNS)}, updated_at from warehouse.people"
        sync["sync"] |= {"mode": "incremental", "cursor_field": "updated_at"}

        def case() -> Travelled:
            vendor = self.stage.vendor
            text = yaml.safe_dump(sync).replace("{api_url}", vendor["api_url"])
            (folder / "syncs" / "people.yml").write_text(text)
            environment = {"VENDOR_TOKEN": vendor["token"], "HOME": str(folder)}
            travelled = self._run([python("drt").with_name("drt"), "run"], folder, environment)
            said = (folder / "stdout").read_text()
            found = re.findall(r"(\d[\d,]*) (?:synced|rows? synced|success)", said)
            travelled.rows = int(found[-1].replace(",", "")) if found else 0
            return travelled

        return case

    # --- runs -----------------------------------------------------------------------------------

    def _postgres_cpu(self) -> float:
        """Seconds of all sessions that have ended."""
        times = self._server.cpu_times()
        return times.children_user + times.children_system

    def _run(
        self, command: list[Any], folder: Path | None = None, more: Mapping[str, str] | None = None
    ) -> Travelled:
        folder = folder or self.folder
        environment = {**self._environment(), **(more or {})}
        with (folder / "stdout").open("wb") as out, (folder / "stderr").open("wb") as err:
            began, before = time.perf_counter(), self._postgres_cpu()
            process = subprocess.Popen(
                [str(part) for part in command], cwd=folder, env=environment,
                stdin=subprocess.DEVNULL, stdout=out, stderr=err,
            )  # fmt: skip
            peaks: dict[str, float] = {}
            watch = threading.Thread(target=_watch, args=(process.pid, peaks), daemon=True)
            watch.start()
            _, status, used = os.wait4(process.pid, 0)
            wall = time.perf_counter() - began
            process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            said = (folder / "stderr").read_text()[-1500:] + (folder / "stdout").read_text()[-1500:]
            raise RuntimeError(f"{command[1:]}: exit code {process.returncode}: {said}")
        cpu = used.ru_utime + used.ru_stime + self._postgres_cpu() - before
        return Travelled(Sample(wall, cpu, used.ru_maxrss / 1024), 0, peaks)


EMPTY, FULL, DBT_PLAN, VIEW_PLAN = "empty run", "full extract", "plan by dbt", "plan by a view"
DRT = "drt-core, its cursor"
Runs = dict[tuple[str, int], list[Travelled]]
"""(Contestant, rows that changed before it) → its runs."""


def side_by_side(pipelines: Pipelines, rounds: int) -> Runs:
    """Run the contestants in turn; before each, the rows that it has to find are changed."""
    runs: Runs = {}
    pipelines.first_run()
    plan = pipelines.compiled("models/people")
    cases: dict[str, tuple[Callable[[], None], Callable[[], Travelled]]] = {
        EMPTY: (
            lambda: pipelines.use_view(f"{pipelines.everything} where false"),
            pipelines.by_tap,
        ),
        FULL: (lambda: pipelines.use_view(pipelines.everything), pipelines.by_tap),
        DBT_PLAN: (pipelines.no_plan, pipelines.by_dbt),
        VIEW_PLAN: (lambda: pipelines.use_view(plan), pipelines.by_tap),
    }
    drt = pipelines.drt()
    _say("drt-core, first run", 0, drt())
    cases[DRT] = (lambda: None, drt)
    thousandth = pipelines.rows // 1000
    for _ in range(rounds):
        for number in (0, thousandth):
            for name, (prepare, run) in cases.items():
                if name == EMPTY and number:
                    continue
                if name == DRT:  # what changed for the others is not its work
                    drt()
                changed = pipelines.change(number)
                prepare()
                try:
                    travelled = run()
                    if name.startswith("plan") and travelled.rows != changed:
                        raise RuntimeError(f"{travelled.rows} rows came, {changed} had changed")
                except RuntimeError as error:
                    print(f"  {name}: {str(error)[-400:]}", flush=True)
                    continue
                runs.setdefault((name, number), []).append(travelled)
                _say(name, changed, travelled)
                if number and name == DRT:  # what it sent is news to ours
                    pipelines.use_view(plan)
                    pipelines.by_tap()
    return runs


def plan_alone(pipelines: Pipelines) -> Runs:
    """A table for which a full extract would take too long to be waited for."""
    pipelines.pretend()
    plan = pipelines.compiled("models/people")
    runs: Runs = {}
    for number in (0, pipelines.rows // 1000):
        for name in (DBT_PLAN, VIEW_PLAN):
            changed = pipelines.change(number)
            pipelines.no_plan() if name == DBT_PLAN else pipelines.use_view(plan)
            travelled = pipelines.by_dbt() if name == DBT_PLAN else pipelines.by_tap()
            if travelled.rows != changed:
                raise RuntimeError(f"{travelled.rows} rows came, {changed} had changed")
            runs.setdefault((name, number), []).append(travelled)
            _say(name, changed, travelled)
    return runs


def _say(name: str, changed: int, travelled: Travelled) -> None:
    peaks = ", ".join(f"{k} {v:.0f} MB" for k, v in sorted(travelled.peaks.items()) if "-" in k)
    print(
        f"  {name:24}{changed:8,} changed {travelled.rows:10,} rows "
        f"{travelled.sample.wall:8.1f} s {travelled.sample.cpu:8.1f} s CPU  {peaks}",
        flush=True,
    )


def _plugin(name: str, folder: Path, config: Mapping[str, Any], **more: Any) -> dict[str, Any]:
    settings = [
        {"name": key, "kind": "object" if isinstance(value, dict) else "array"}
        if isinstance(value, dict | list)
        else {"name": key}
        for key, value in config.items()
    ]
    capabilities = ["catalog", "discover", "state"] if "tap" in name else ["about"]
    return {
        "name": name,
        "namespace": name.replace("-", "_"),
        "executable": str(folder / name),
        "capabilities": capabilities,
        "settings": settings,
        "config": dict(config),
        **more,
    }


def _watch(pid: int, peaks: dict[str, float]) -> None:
    """The peak memory of a process and of those that it starts, by what they run."""
    try:
        top = psutil.Process(pid)
        while top.is_running() and top.status() != psutil.STATUS_ZOMBIE:
            for process in [top, *top.children(recursive=True)]:
                try:
                    name = Path((process.cmdline() or ["", ""])[1]).name
                    peaks[name] = max(peaks.get(name, 0), process.memory_info().rss / 2**20)
                except (psutil.Error, IndexError):
                    continue
            time.sleep(0.1)
    except psutil.Error:
        return
