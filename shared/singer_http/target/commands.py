"""The commands of a target beside the SDK's: their options, and what carries them out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from pathlib import Path

    from singer_http.target.plan import Plan


def options() -> list[click.Option]:
    """The options of the command line that are no settings."""
    return [
        click.Option(
            ["--check"],
            is_flag=True,
            help="Try settings, credentials, database and work_dir; send and write nothing.",
        ),
        click.Option(
            ["--history"],
            type=click.IntRange(min=1),
            is_flag=False,
            flag_value="20",
            metavar="[N]",
            help="List the last runs (20): when, account, sync, outcome, counts.",
        ),
        click.Option(
            ["--report"],
            metavar="RUN",
            help="Write report and page of one run again (RUN: its name, or how it begins).",
        ),
        click.Option(
            ["--explain"],
            metavar="TEXT",
            help=(
                "Tell all that is known of a record, by its key, email, phone or id at the vendor."
            ),
        ),
        click.Option(
            ["--resolve"],
            type=(str, str, click.Choice(["sent", "unsent", "drop"])),
            metavar="STREAM KEY sent|unsent|drop",
            help=(
                "Settle one outstanding record: it arrived, it did not (the next run sends it), or "
                "give it up."
            ),
        ),
    ]


def look(plan: Plan, given: dict[str, Any]) -> bool | None:
    """Carry out the command that only reads the database; `None` if none is asked for.

    It takes no lock, so that it works while a run is under way; a database that is not there is
    not made.
    """
    number, run, text = (given.get(name) for name in ("history", "report", "explain"))
    if (number or run or (text and text.strip())) and (file := _missing_file(plan)):
        click.echo(f"No run of {plan.name} is in the database: {file} is not there yet.")
        return bool(number)
    if number:
        from singer_http.target.history import history  # noqa: PLC0415 - rarely needed

        return history(plan, number)
    if run:
        from singer_http.target.history import report_again  # noqa: PLC0415 - rarely needed

        return report_again(plan, run)
    if text is not None:  # an empty one must not start a run
        from singer_http.target.explain import explain  # noqa: PLC0415 - rarely needed

        return explain(plan, text)
    return None


def _missing_file(plan: Plan) -> Path | None:
    """The file of an SQLite database, if it is not there."""
    from singer_http.store.database import file_of, parse_url  # noqa: PLC0415 - rarely needed

    file = file_of(parse_url(plan.database_url))
    return file if file and not file.exists() else None
