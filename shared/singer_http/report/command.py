"""`singer-http overview`: all accounts and syncs of a database, as a table and a page."""

from __future__ import annotations

import datetime
import re
import sys
from pathlib import Path

import click

from singer_http import redaction
from singer_http.errors import StopRun, one_line
from singer_http.report import overview_page
from singer_http.report.overview import overview

HOURS = re.compile(r"(\d+)\s*(h|hours?)?", re.IGNORECASE)


def _moment(_ctx: click.Context, _param: click.Parameter, value: str) -> datetime.datetime:
    """A moment in ISO 8601 (without a zone in UTC), or so many hours ago."""
    try:
        if hours := HOURS.fullmatch(value.strip()):
            ago = datetime.timedelta(hours=int(hours[1]))
            return datetime.datetime.now(datetime.UTC) - ago
        when = datetime.datetime.fromisoformat(value.strip())
    except (ValueError, OverflowError):
        raise click.BadParameter(f"{value!r} is no ISO 8601 time, and no number of hours") from None
    return when if when.tzinfo else when.replace(tzinfo=datetime.UTC)


@click.group()
@click.version_option(package_name="singer-http")
def main() -> None:
    """What singer-http knows beyond one plugin."""


@main.command("overview")
@click.option(
    "--database-url",
    required=True,
    envvar="SINGER_HTTP_DATABASE_URL",
    help="As the plugins' setting: SQLAlchemy URL of SQLite or PostgreSQL. The variable "
    "SINGER_HTTP_DATABASE_URL keeps a password out of the list of processes.",
)
@click.option(
    "--since",
    callback=_moment,
    metavar="TIME|HOURS",
    default="24",
    show_default=True,
    help="Runs that began then or later: a time (2026-01-31T02:00:00Z), or a number of hours.",
)
@click.option(
    "--output",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Write the page here.",
)
def overview_command(database_url: str, since: datetime.datetime, output: Path | None) -> None:
    """The last run of each account and sync.

    Exit code 0: none of them stopped or failed. 1: at least one did, or there is no run at all.
    2: the database cannot be read, or the page not written.
    """
    redaction.add(database_url)
    try:
        found = overview(database_url, since=since)
        click.echo(found.table())
        if output is not None:
            overview_page.write(output, found)
            click.echo(f"\nPage: {output}")
    except StopRun as error:
        click.echo(one_line(str(error)), err=True)
        sys.exit(2)
    except OSError as error:
        click.echo(f"{output} cannot be written: {error.strerror}", err=True)
        sys.exit(2)
    sys.exit(0 if found.well else 1)
