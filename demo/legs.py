"""The other vendors, a short leg each: a few hundred owners, after the story of AutoReach."""

from __future__ import annotations

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
