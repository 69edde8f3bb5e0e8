"""The how-tos, literally: what they show is run in a new Meltano project, against the sandbox.

Each page is followed from top to bottom: `sh` blocks are run, `sql` blocks too, in PostgreSQL, and
`yaml` blocks that begin with `plugins:` are put into meltano.yml. A block that opens with
`sh not run: <reason>` is not run; where the page needs what it does, the reason has a stand-in
here.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import threading
from collections.abc import Iterator

import pytest

from demo.meltano import ROOT
from demo.postgres import database, postgres
from demo.warehouse import variables
from singer_sandbox.client import Sandbox
from singer_sandbox.settings import environment
from tests.answering import Server
from tests.journeys.pages import PAGES, blocks
from tests.journeys.project import FIRST, Project

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("meltano")]


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


def test_large_tables(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    ledger = f"{project.url}?options=-csearch_path%3Dledger"
    monkeypatch.setitem(project.values, "TARGET_AUTOREACH_DATABASE_URL", ledger)
    project.add_to_env(variables(project.url))
    *_, first, second, third, nightly = project.follow("large-tables")
    assert "there is no ledger yet" in first
    came = [re.findall(r"\bpeople +(\d+) ", said) for said in (first, second, third, nightly)]
    assert came == [["5"], ["2"], ["4"], ["2"]]
    people = project.people()
    assert {key: person["first_name"] for key, person in people.items()} == {
        "own_1": "Anna",
        "own_3": "Cy",
    }


def test_mirror(project: Project) -> None:
    project.execute("delete from warehouse.owners where owner_id = 'own_4'")
    dry_run, _ = project.follow("mirror")
    assert "would be deleted" in dry_run
    assert set(project.people()) == {"own_1", "own_3"}
    assert project.report()["streams"]["people"]["removed"] == 1


def test_drift(project: Project) -> None:
    project.sandbox.reset()
    # Once all three are there, somebody renames Ann, who is the first.
    project.add_to_env({"TARGET_AUTOREACH_CONCURRENCY": "1"})
    project.sandbox.fault(
        vendor="autoreach",
        method="POST",
        path="/members",
        after=2,
        put={"members": [{"id": "1", "first_name": "Hannah"}]},
    )
    _, found, marked, repaired, explained = project.follow("drift")
    assert re.search(r"^members +3 +2 +1 +0 +0$", found, re.MULTILINE)
    assert "members: edited fields: first_name (1)" in found
    assert "people: not compared" in found
    assert "members: 1 marked" in marked
    assert re.search(r"\bmembers +3 +2 +1 ", repaired)
    assert "marked by --verify --repair" in explained
    names = {
        m["id"]: m["first_name"] for m in project.sandbox.state("autoreach")["members"].values()
    }
    assert names["1"] == "Ann"


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
    dry_run, run, verified = project.follow("edits-in-the-crm")
    kept = "members: values at the vendor that overwrite kept: first_name 1"
    assert kept in dry_run
    assert kept in run
    assert re.search(r"^members +3 +3 +0 +0 +0", verified, re.MULTILINE), "her name was never sent"
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
    project.sandbox.add_accounts(2)
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
