"""The how-tos, literally: what they show is run in a new Meltano project, against the sandbox.

Each page is followed from top to bottom: `sh` blocks are run, `sql` blocks too, in PostgreSQL, and
`yaml` blocks that begin with `plugins:` are put into meltano.yml. A block that opens with
`sh not run: <reason>` is not run; where the page needs what it does, the reason has a stand-in
here.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
import yaml

from demo.meltano import MELTANO, PLUGIN_PREFIXES, ROOT
from demo.postgres import database, postgres
from singer_sandbox.client import Sandbox
from singer_sandbox.settings import environment
from tests.answering import Server
from tests.journeys.pages import PAGES, TAP_POSTGRES, Block, blocks, copy, remove

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("meltano")]

FIRST = "first-sync"
KEPT = ("meltano.yml", ".env", ".singer-http", ".meltano/meltano.db", ".meltano/run")
"""What a page may change in the project."""
SCHEMAS = "warehouse, to_autoreach, to_actionapi"
NOT_RUN = "not run: "
HUB, OWN_VALUES = "asks Meltano Hub", "the values are your own"
VARIABLE = re.compile(r"\b(?:TAP|TARGET)_[A-Z_]+\b")


class Project:
    """A new Meltano project; its folder is made by the first page."""

    def __init__(self, folder: Path, sandbox: Sandbox, url: str, database_url: str) -> None:
        self.sandbox, self.url = sandbox, url
        self._folder, self._kept = folder, folder / "kept"
        self.values = {
            **environment(sandbox.url),
            "TAP_POSTGRES_SQLALCHEMY_URL": url,
            "TARGET_AUTOREACH_DATABASE_URL": database_url,
        }
        mine = {k: v for k, v in os.environ.items() if not k.startswith(PLUGIN_PREFIXES)}
        self._environment = {
            **mine,
            "PATH": f"{MELTANO.parent}{os.pathsep}{mine['PATH']}",
            "SINGER_PLUGINS": str(ROOT),
            "MELTANO_SEND_ANONYMOUS_USAGE_STATS": "false",
            "NO_COLOR": "1",
            # What the commands import is compiled once, and nothing else.
            "PYTHONDONTWRITEBYTECODE": "",
            "UV_COMPILE_BYTECODE": "false",
        }

    @property
    def root(self) -> Path:
        """Where the commands run."""
        made = self._folder / "my-pipeline"
        return made if made.exists() else self._folder

    def follow(self, page: str) -> list[str]:
        """Do what a page says; what each `sh` block said, in order."""
        said = []
        for block in blocks(page):
            if block.language == "sql":
                self.execute(block.text)
            elif block.language == "yaml" and block.text.startswith("plugins:"):
                self.configure(yaml.safe_load(block.text)["plugins"])
            elif block.language == "sh" and not block.note:
                done = self.sh(block.text)
                assert done.returncode == 0, block.text + done.stdout
                said.append(done.stdout)
            elif block.note == NOT_RUN + HUB:
                definition = self._folder / "tap-postgres.yml"
                definition.write_text(TAP_POSTGRES)
                assert self.sh(f"{block.text.strip()} --from-ref {definition}").returncode == 0
            elif block.note == NOT_RUN + OWN_VALUES:
                self._give_values(page, block)
        return said

    def sh(self, text: str) -> subprocess.CompletedProcess[str]:
        """Run a block; stdout has stderr too."""
        return subprocess.run(
            ["bash", "-e", "-c", text],
            cwd=self.root,
            env=self._environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=300,
        )

    def execute(self, statement: str) -> None:
        """Change the warehouse."""
        with psycopg.connect(self.url) as connection:
            connection.execute(statement.encode())

    def configure(self, kinds: dict[str, list[dict[str, Any]]]) -> None:
        """Change plugins in meltano.yml."""
        path = self.root / "meltano.yml"
        content = yaml.safe_load(path.read_text())
        for kind, plugins in kinds.items():
            for given in plugins:
                (plugin,) = (p for p in content["plugins"][kind] if p["name"] == given["name"])
                for name, value in given.items():
                    if isinstance(value, dict):
                        plugin.setdefault(name, {}).update(value)
                    else:
                        plugin[name] = value
        path.write_text(yaml.safe_dump(content, sort_keys=False))

    def _give_values(self, page: str, block: Block) -> None:
        """What the page names, and the values that a sandbox has for it."""
        named = dict.fromkeys(VARIABLE.findall((PAGES / f"{page}.md").read_text()))
        assert set(VARIABLE.findall(block.text)) <= set(self.values)
        self.add_to_env({name: self.values[name] for name in named if name in self.values})

    def add_to_env(self, values: dict[str, str]) -> None:
        """Add variables to the project's .env."""
        with (self.root / ".env").open("a") as file:
            file.writelines(f"{name}='{value}'\n" for name, value in values.items())

    def keep(self) -> None:
        """Remember how the first page left everything."""
        for name in KEPT:
            copy(self.root / name, self._kept / name)
        people = self.sandbox.state("autoreach")["people"]
        self._people = list(people.values())

    def restore(self) -> None:
        """As the first page left it, so that each page stands alone."""
        for name in KEPT:
            remove(self.root / name)
            copy(self._kept / name, self.root / name)
        self.sandbox.reset()
        self.sandbox.seed()
        self.sandbox.put_state("autoreach", {"people": self._people})
        self.execute(f"drop schema if exists {SCHEMAS} cascade")
        for block in blocks(FIRST):
            if block.language == "sql":
                self.execute(block.text)

    def report(self, plugin: str = "target-autoreach") -> dict[str, Any]:
        """The report of the last run."""
        path = self.root / ".singer-http" / f"{plugin}.report.json"
        return dict(json.loads(path.read_text()))

    def rejected(self, plugin: str = "target-autoreach") -> list[str]:
        """The first column of what is outstanding."""
        path = self.root / ".singer-http" / f"{plugin}.rejects.jsonl"
        lines = (
            [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []
        )
        return [next(iter(line["record"].values())) for line in lines if "rejection" in line]

    def people(self) -> dict[str, dict[str, Any]]:
        """External id → person at the vendor."""
        found = self.sandbox.state("autoreach")["people"].values()
        return {person["external_id"]: person for person in found}


@pytest.fixture(scope="module")
def first_sync(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Project, list[str]]]:
    """The project that the first page makes, and what its commands said."""
    subprocess.run(["make", "--silent", "meltano"], cwd=ROOT, check=True)
    with (
        postgres() as server,
        database(server, "how_to") as url,
        database(server, "how_to_ledger") as database_url,
        Sandbox(seed=True) as sandbox,
    ):
        project = Project(tmp_path_factory.mktemp("how-to"), sandbox, url, database_url)
        said = project.follow(FIRST)
        project.keep()
        yield project, said


@pytest.fixture
def project(first_sync: tuple[Project, list[str]]) -> Project:
    """That project, as the first page left it."""
    first_sync[0].restore()
    return first_sync[0]


def test_first_sync(first_sync: tuple[Project, list[str]], project: Project) -> None:
    _, check, dry_run, *_ = first_sync[1]
    assert "credentials: accepted" in check
    assert "people: would be upserted" in dry_run
    assert set(project.people()) == {"own_1", "own_3", "own_4"}
    assert project.people()["own_1"]["custom_fields"] == {"parcel_id": "P-000001"}
    assert sorted(project.rejected()) == ["own_2", "own_5"]
    assert project.report()["streams"]["people"]["unchanged"] == 3


def test_custom_fields(project: Project) -> None:
    said = project.follow("custom-fields")
    assert "custom fields, people: 8 (Parcel ID, " in said[0]
    assert project.people()["own_1"]["custom_fields"]["property_city"] == "Austin"


def test_incremental(project: Project) -> None:
    project.execute(
        "update warehouse.owners set updated_at = now() + '1 s' where owner_id = 'own_4'"
    )
    (said,) = project.follow("incremental")
    assert re.findall(r"\bpeople +(\d+) ", said) == ["5", "1"]


def test_mirror(project: Project) -> None:
    project.execute("delete from warehouse.owners where owner_id = 'own_4'")
    dry_run, _ = project.follow("mirror")
    assert "would be deleted" in dry_run
    assert set(project.people()) == {"own_1", "own_3"}
    assert project.report()["streams"]["people"]["removed"] == 1


@pytest.mark.skipif(shutil.which("jq") is None, reason="the page uses jq")
def test_rejects(project: Project) -> None:
    listed, *_ = project.follow("rejects")
    assert "email is not an email address" in listed
    assert project.people()["own_2"]["email"] == "bob@example.com"
    assert project.rejected() == []


def test_why_did_ann_not_get_it(project: Project) -> None:
    ann, bob, nobody = project.follow("why-did-ann-not-get-it")
    assert "key own_1 (found by its email)" in ann
    assert "came again unchanged, last in run " in ann
    assert "key own_2 (found by its column phone)" in bob
    assert "outstanding: refused by the vendor (HTTP 422): people[" in bob
    assert "'own_9' is unknown in " in nobody
    assert "people, members: it never came" in nobody


def test_messages(project: Project) -> None:
    # The SMS to Cy arrives, and its answer does not.
    project.sandbox.fault(vendor="merlin", body="Hello Cy", status=502, when="after")
    project.follow("messages")
    texts = [sms["text"] for sms in project.sandbox.state("merlin")["sms"]]
    assert len(texts) == len(set(texts)) == 3
    sms = project.report("target-actionapi")["streams"]["sms"]
    assert (sms["created"], sms["rejected"]) == (2, 1)
    assert project.rejected("target-actionapi") == []


def test_highlevel_v2(project: Project) -> None:
    """The page goes on from a project that has sent by v1."""
    plugin = "$SINGER_PLUGINS/plugins/target-reisoftware.meltano.yml"
    assert project.sh(f'meltano add target-reisoftware --from-ref "{plugin}"').returncode == 0
    project.execute(
        "create schema to_autoreach_2; create view to_autoreach_2.contacts as select owner_id, "
        "email, first_name as \"firstName\" from warehouse.owners where email like '%@%'"
    )
    v1 = {k: v for k, v in environment(project.sandbox.url, "v1").items() if "REISOFTWARE" in k}
    project.add_to_env(v1)
    project.configure(
        {
            "extractors": [
                {
                    "name": "tap-postgres",
                    "config": {"filter_schemas": ["to_autoreach_2"]},
                    "select": ["to_autoreach_2-contacts.*"],
                }
            ],
            "loaders": [
                {"name": "target-reisoftware", "config": {"keys": {"contacts": ["owner_id"]}}}
            ],
        }
    )
    began = project.sh("meltano run --refresh-catalog tap-postgres target-reisoftware")
    assert began.returncode == 0, began.stdout
    v2 = project.sandbox.settings("target-reisoftware", "v2")
    values = {f"TARGET_REISOFTWARE_{name.upper()}": str(value) for name, value in v2.items()}
    project.values.update(values)
    project.sandbox.log(clear=True)
    _, dry_run, run = project.follow("highlevel-v2")
    assert all("is taken over: 3 of 3 records" in said for said in (dry_run, run))
    assert project.report("target-reisoftware")["streams"]["contacts"]["unchanged"] == 3
    asked = [(r["method"], r["path"]) for r in project.sandbox.requests("rei")]
    assert not [path for method, path in asked if method != "GET" and "search" not in path]
    project.execute("drop schema to_autoreach_2 cascade")


def test_opt_outs(project: Project) -> None:
    project.sandbox.reset()
    project.sandbox.seed()
    _, check = project.follow("opt-outs")
    assert set(project.people()) == {"own_3"}
    people = project.report()["streams"]["people"]
    assert (people["skipped"], people["suppressed"]) == (2, 2)
    assert "3 entries (do-not-call.csv: 1, stream suppressions: 2)" in check


def test_edits_in_the_crm(project: Project) -> None:
    ann = {"id": 7001, "email": "Ann@example.com", "first_name": "Annabelle", "list_id": "1"}
    project.sandbox.put_state("autoreach", {"members": [ann]})
    dry_run, run = project.follow("edits-in-the-crm")
    kept = "members: values at the vendor that overwrite kept: first_name 1"
    assert kept in dry_run
    assert kept in run
    found = project.sandbox.state("autoreach")["members"]["7001"]
    assert (found["first_name"], found["custom_fields"]["property_city"]) == ("Annabelle", "Austin")


def test_no_disk(project: Project) -> None:
    _, check, runs, history = project.follow("no-disk")
    assert "ledger: PostgreSQL" in check
    # The new database does not know what was sent with the old one.
    assert re.findall(r"received +(\w+) .*\n.*people +5 +(\d)", runs) == [
        ("upserted", "3"),
        ("unchanged", "3"),
    ]
    assert project.report()["streams"]["people"]["unchanged"] == 3
    assert sorted(project.rejected()) == ["own_2", "own_5"]
    assert history.count(" ok ") == 2
    assert not (project.root / ".singer-http" / "singer-http.db").exists()


@pytest.mark.skipif(shutil.which("jq") is None, reason="the page uses jq")
def test_scheduling(project: Project) -> None:
    project.follow("scheduling")
    path = project.root / ".singer-http" / "target-autoreach.report.json"
    good = json.loads(path.read_text())
    nightly, watch = (b.text for b in blocks("scheduling") if "jq" in b.text and b.language == "sh")
    began, command = nightly.partition("jq -e")[0], "jq -e" + nightly.partition("jq -e")[2]
    assert "meltano run" in began
    for old in (False, True):
        since = "9999" if old else good["started_at"]
        assert project.sh(f"began={since}\n{command}").returncode == old
    for wrong in ({"finished_at": "2026-01-31T12:00:00Z"}, {"input_complete": False}):
        path.write_text(json.dumps({**good, **wrong}))
        assert project.sh(watch).returncode == 1, wrong


def test_what_happened(project: Project) -> None:
    listed, shown, overview = project.follow("what-happened")
    run = project.report()["run"]
    assert listed.index(run) < listed.index(" ok ")
    assert "At the end of this run" in shown
    assert (project.root / ".singer-http" / f"target-autoreach.{run}.report.html").exists()
    assert overview.splitlines()[1].split()[:2] == ["1", "1"]
    assert "<h1>All accounts</h1>" in (project.root / "overview.html").read_text()


def test_alerts(project: Project) -> None:
    with Server() as server:
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        address = f"json://127.0.0.1:{server.server_address[1]}/hook"
        project.values["TARGET_AUTOREACH_NOTIFY"] = json.dumps([address])
        project.follow("alerts")
        server.shutdown()
    (message,) = [json.loads(request.body) for request in server.seen]
    assert message["title"] == "target-autoreach: 2 rejects"
    assert "people: 5 received" in message["message"]


def test_secrets_in_production(project: Project) -> None:
    _, printed, checked = project.follow("secrets-in-production")
    assert "client_secret" in printed
    assert "sandbox-secret" not in printed
    assert "credentials: accepted" in checked


def test_many_accounts(project: Project) -> None:
    project.sandbox.call("POST", "accounts", {"count": 2})
    (project.root / "accounts").mkdir()
    for number, name in ((1, "dallas"), (2, "reno")):
        opening = project.sandbox.settings("target-autoreach", account=f"account-{number:03}")
        lines = [
            f"TARGET_AUTOREACH_{k.upper()}={opening[k]}" for k in ("client_id", "client_secret")
        ]
        (project.root / "accounts" / f"{name}.env").write_text("\n".join(lines))
    project.follow("many-accounts")
    people = [project.sandbox.state("autoreach", f"account-{n:03}")["people"] for n in (1, 2)]
    keys = [{person["external_id"] for person in found.values()} for found in people]
    assert keys == [{"own_1"}, {"own_3", "own_4"}]


def test_every_page_has_a_test() -> None:
    tests = {name for name in globals() if name.startswith("test_")}
    assert {f"test_{path.stem.replace('-', '_')}" for path in PAGES.glob("*.md")} <= tests


def test_a_block_that_is_not_run_says_why() -> None:
    for path in PAGES.glob("*.md"):
        for block in blocks(path.stem):
            assert not block.note or re.fullmatch(r"not run: .{10,}", block.note), block
