"""The other vendors, a short leg each: a few hundred owners, after the story of AutoReach."""

from __future__ import annotations

import re

import psycopg

from demo import show
from demo.stage import Stage


def reisoftware(stage: Stage) -> None:
    """Contacts, their tags, campaigns and workflows into REI Software, and on from there."""
    show.heading("REI Software: contacts, then their tags, campaigns and workflows")
    stage.step("warehouse-to-reisoftware", "rei")
    stage.report("target-reisoftware")
    print(f"  {stage.holds('rei')}, says the sandbox")
    show.heading("REI Software's contacts become AutoReach's people, in one run")
    stage.step("reisoftware-to-autoreach", "autoreach")
    stage.report("target-autoreach.reisoftware")
    print(f"  {stage.holds('autoreach')}, says the sandbox")
    show.heading("And REI Software into DuckDB")
    stage.step("reisoftware-to-duckdb", "rei")
    for table in ("contacts", "appointments", "tags"):
        show.in_duckdb(stage.duck, f"select count(*) from reisoftware.{table}")


def emailmarketing(stage: Stage) -> None:
    """Contacts into Kasplo, from the warehouse and from REI Software."""
    show.heading("Kasplo: contacts of the warehouse, and those of REI Software")
    stage.step("warehouse-to-emailmarketing", "kasplo")
    stage.report("target-emailmarketing")
    stage.step("reisoftware-to-emailmarketing", "kasplo")
    stage.report("target-emailmarketing.reisoftware")
    print(f"  {stage.holds('kasplo')}, says the sandbox: many are in both")


def do_not_call(stage: Stage) -> None:
    """Nobody on the do-not-call list was reached; the demo ends where somebody was."""
    show.heading("Nobody on the do-not-call list was called, texted, mailed or put into anything")
    with psycopg.connect(stage.url) as connection:
        stopped = connection.execute("select email, phone from warehouse.do_not_contact").fetchall()
    merlin, kasplo = stage.sandbox.state("merlin"), stage.sandbox.state("kasplo")
    contacts = {str(contact["idContact"]): contact for contact in merlin["contacts"].values()}
    entered = [contacts[str(entry["idContact"])] for entry in merlin["automation_entries"]]
    reached = [
        *(message["number"] for message in (*merlin["calls"], *merlin["sms"])),
        *(contact.get(name) for contact in entered for name in ("Email", "Number")),
        *(contact["email"] for contact in kasplo["contacts"].values()),
    ]
    listed = {_plain(name) for row in stopped for name in row if name}
    if found := listed & {_plain(name) for name in reached if name}:
        raise SystemExit(f"{len(found)} on the do-not-call list were reached: {sorted(found)}")
    print(f"  {len(stopped)} people are on the list. Kasplo and Merlin reached {len(reached):,}")
    print("  emails and phones, and none of theirs: see skipped and suppressed above")


def _plain(name: str) -> str:
    if "@" in name:
        return name.strip().lower()
    digits = re.sub(r"[^0-9]", "", name.partition("x")[0])  # without an extension
    return digits[-10:]


def actionapi(stage: Stage) -> None:
    """Contacts into Merlin and some of them back, who enters which automation, and messages."""
    show.heading("Merlin CRM: contacts, then an automation, then calls and SMS, each once")
    stage.step("warehouse-to-actionapi", "merlin")
    stage.report("target-actionapi")
    print(f"  {stage.holds('merlin')}, says the sandbox")
    show.heading("And back, into DuckDB: Merlin lists nothing, so three last names are searched")
    stage.step("actionapi-to-duckdb", "merlin")
    show.in_duckdb(
        stage.duck, 'select "Lname", count(*) from actionapi.contacts group by 1 order by 1'
    )
