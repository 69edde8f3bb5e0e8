"""The commands of a target beside the SDK's: their options, and what carries them out."""

from __future__ import annotations

from typing import IO, TYPE_CHECKING, Any, Protocol

import click

from singer_http.errors import ConfigError, StopRun, one_line

if TYPE_CHECKING:
    import logging
    from collections.abc import Sequence
    from pathlib import Path

    from singer_http.sink.base import HTTPSink
    from singer_http.target.plan import Plan
    from singer_http.target.run import TargetRun


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
            ["--standing"],
            is_flag=True,
            help=(
                "Tell how many delivered versions stand with today's settings, for the next plan; "
                "send nothing."
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
        click.Option(
            ["--verify"],
            is_flag=True,
            help="Compare what this sync delivered with what the vendor has now.",
        ),
        click.Option(
            ["--repair"],
            is_flag=True,
            help="With --verify: mark the records that differ, so that the next run sends them.",
        ),
    ]


def refuse_several(given: dict[str, Any], file_input: IO[bytes] | None) -> None:
    """Refuse what cannot be done together: all but one would be ignored without a word.

    Args:
        given: the options of `options()`: name -> value.
        file_input: `--input`.

    Raises:
        ConfigError: names what was given.
    """
    named = [f"--{name}" for name, value in given.items() if value not in (None, False)]
    commands = [name for name in named if name != "--repair" or "--verify" not in named]
    if len(commands) > 1:
        raise ConfigError(f"{' and '.join(commands)} are commands of their own: give one of them.")
    if commands and file_input is not None:
        raise ConfigError(f"{commands[0]} reads no records: leave --input out.")


class _Target(Protocol):
    """What the commands need of a target."""

    @property
    def logger(self) -> logging.Logger: ...
    @property
    def plan(self) -> Plan: ...
    @property
    def run(self) -> TargetRun: ...
    def check_settings(self) -> None: ...


def carry_out(target: _Target, given: dict[str, Any]) -> bool | None:
    """Carry out the command besides `--check`; whether all went well, `None` if there is none."""
    if given.get("verify") or given.get("repair"):
        return verify(target, given)
    if given.get("resolve") or given.get("standing"):
        return work(target.run, target.plan.sinks, given)
    return look(target.plan, given)


def verify(target: _Target, given: dict[str, Any]) -> bool:
    """Carry out `--verify`, and `--repair` with it; whether there is no difference.

    Raises:
        StopRun: it cannot be carried out, or not to its end.
    """
    from singer_http.target.verify.command import Verification, check_possible  # noqa: PLC0415 - rarely needed

    if not given.get("verify"):
        raise ConfigError("--repair marks what --verify finds: give both.")
    marks = bool(given.get("repair"))
    target.check_settings()
    check_possible(target.plan, marks=marks)
    run = target.run
    try:
        return Verification(target.plan, run, target.logger, marks=marks).carry_out()
    finally:
        run.close()


def work(run: TargetRun, sinks: Sequence[type[HTTPSink]], given: dict[str, Any]) -> bool:
    """Carry out the command that writes into the database, under its lock; whether all went well.

    No record is sent.
    """
    if words := given.get("resolve"):
        from singer_http.target.resolve import resolve  # noqa: PLC0415 - rarely needed

        well = resolve(run.session, run.router, sinks, words)
    else:
        well = standing(run)
    run.close()
    return well


def standing(run: TargetRun) -> bool:
    """Note today's mapping of each stream, and count the versions that stand with it.

    Returns:
        Whether all streams of the pipeline could be opened.
    """
    session, well = run.session, True
    scopes = session.store.scopes
    try:
        for stream in scopes.streams(session.account, session.sync):
            if (scope := session.scope(stream)) and scope.schema_message:
                run.router.remap(scope.schema_message)
    except StopRun as error:
        _say(one_line(str(error)))
        well = False
    for stream, keys, versions in scopes.standing(session.account, session.sync):
        _say(f"{stream}: {versions:,} of {keys:,} stand")
    return well


def _say(text: str) -> None:
    click.echo(text, err=True)  # stdout is for Singer messages


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
    from singer_http.store.database import file_of  # noqa: PLC0415 - rarely needed
    from singer_http.store.server import parse_url  # noqa: PLC0415 - rarely needed

    file = file_of(parse_url(plan.database_url))
    return file if file and not file.exists() else None
