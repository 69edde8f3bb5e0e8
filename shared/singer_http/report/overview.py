"""All accounts and syncs at once: the last runs of their plugins, as the database has them.

    found = overview(database_url, since=datetime.now(UTC) - timedelta(hours=24))
    found.well            # whether each last run ended well, or is under way
    print(found.table())
    overview_page.write(Path("overview.html"), found)

It holds counts, names of accounts and streams, and reasons without the values in them.
"""

from __future__ import annotations

import datetime
import json
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

from singer_http.errors import NoDatabase
from singer_http.http.rate_limit import parse_limits
from singer_http.operations import JSON
from singer_http.redaction import redact
from singer_http.report.rejects_summary import general
from singer_http.report.table import DELIVERED, align, total
from singer_http.report.timeline import in_windows
from singer_http.store.database import Database, file_of
from singer_http.store.runs import KILLED, RUNNING, Runs, StoredRun
from singer_http.store.server import parse_url

DISTINCT = 2_000
"""Reasons that are told apart, at most; the memory is bounded. The others are only counted."""
SHOWN = 20
"""Lines of a list of the table on stdout, at most."""
ERROR = 100
"""Characters of an error in such a line, at most."""
OUTCOMES = ("ok", RUNNING, "stopped", "failed")
BAD = {"stopped", "failed"}
CUT_OFF = "No STATE at the end of the input, so the tap may have stopped"


class LimitUse(NamedTuple):
    """How near a run came to one of its limits."""

    limit: str
    """As the setting `rate_limit` says it."""
    most: float
    """The most requests in any window of its length; an estimate where a run took long."""
    share: float
    """Of what the limit allows: 1.0 is all of it."""


@dataclass(frozen=True, slots=True)
class LastRun:
    """The last run of one plugin, account and sync."""

    account: str
    plugin: str
    sync: str
    """Empty for a tap."""
    started_at: str
    outcome: str
    """`ok`, `stopped`, `failed` or `running`."""
    error: str
    """Without values of records; empty if there is none."""
    needs_person: bool
    retry_at: str | None
    input_complete: bool
    """Whether STATE was the last message of the input: else its tap may have stopped."""
    seconds: float
    received: int
    """Of a tap: what it read."""
    delivered: int
    unchanged: int
    rejected: int
    outstanding: int | None
    """Rejects at its end, those of earlier runs included; `None` if they are not known."""
    requests: int
    limits: tuple[LimitUse, ...]

    @property
    def nearest(self) -> LimitUse | None:
        """The limit of which it used most."""
        return max(self.limits, key=lambda use: use.share, default=None)

    @property
    def rank(self) -> tuple[bool, bool, str, str, str]:
        """Its place in the list: who needs a person first, then what failed."""
        calm = not self.needs_person
        return calm, self.outcome not in BAD, self.account, self.plugin, self.sync


class Reason(NamedTuple):
    """Why records were rejected."""

    stream: str
    kind: str
    status: int | None
    reason: str


class Count(NamedTuple):
    """How many rejects, in how many accounts and syncs."""

    rejects: int
    accounts: int


class Absent(NamedTuple):
    """An account and sync that delivered before, and did not run."""

    account: str
    sync: str


@dataclass(frozen=True, slots=True)
class Overview:
    """What became of all accounts."""

    since: datetime.datetime
    made_at: datetime.datetime
    last_runs: list[LastRun]
    """Those that need a person first, then those that stopped or failed, then by name."""
    reasons: list[tuple[Reason, Count]]
    """Of all outstanding rejects, the most frequent ones first."""
    absent: list[Absent]

    @property
    def outcomes(self) -> Counter[str]:
        """Outcome -> how many last runs have it."""
        return Counter(run.outcome for run in self.last_runs)

    @property
    def well(self) -> bool:
        """Whether something ran, and no last run stopped or failed."""
        return bool(self.last_runs) and not self.bad

    @property
    def bad(self) -> list[LastRun]:
        """The runs that stopped or failed, those that need a person first."""
        return [run for run in self.last_runs if run.outcome in BAD]

    @property
    def cut_off(self) -> list[LastRun]:
        """The runs that ended well, but whose input may have ended early."""
        return [run for run in self.last_runs if run.outcome == "ok" and not run.input_complete]

    @property
    def outstanding(self) -> int:
        """Rejects of all accounts."""
        return sum(run.outstanding or 0 for run in self.last_runs)

    @property
    def need_person(self) -> int:
        """Last runs that no retry helps."""
        return sum(run.needs_person for run in self.last_runs)

    def table(self) -> str:
        """The overview in few lines of text."""
        if not self.last_runs:
            return f"No run began since {moment(self.since)}."
        return "\n".join(_lines(self))


def overview(database_url: str, *, since: datetime.datetime) -> Overview:
    """Read the last run of each account and sync.

    Args:
        database_url: SQLAlchemy URL, as of the setting.
        since: of the runs that began at this moment or later.

    Raises:
        NoDatabase: it cannot be opened, or is not there.
        StopRun: it cannot be read.
    """
    file = file_of(parse_url(database_url))
    # Opening would make an empty one, in which nothing ever fails.
    if file and not file.is_file():
        raise NoDatabase(f"There is no database {file}: check database_url.")
    database = Database(database_url)
    try:
        runs = Runs(database)
        found, counted = [], _Reasons()
        for run, report in runs.last_of_each(int(since.timestamp())):
            extras: JSON = json.loads(run.page) if run.page else {}
            counted.add(extras.get("rejects"))
            found.append(_last_run(run, report, extras))
        absent = [Absent(*pair) for pair in runs.without_run(int(since.timestamp()))]
    finally:
        database.close()
    found.sort(key=lambda run: run.rank)
    made_at = datetime.datetime.now(datetime.UTC)
    return Overview(since, made_at, found, counted.most_frequent(), absent)


def moment(when: datetime.datetime) -> str:
    """A moment as text, in UTC."""
    return f"{when.astimezone(datetime.UTC):%Y-%m-%d %H:%M:%S} UTC"


# --- one run ------------------------------------------------------------------------------------


def _last_run(run: StoredRun, report: JSON, extras: JSON) -> LastRun:
    timeline = extras.get("timeline") or {"requests": [], "width": 1, "seconds": 0.0}
    took = timeline["seconds"] or (run.finished_at or run.started_at) - run.started_at
    rejects = extras.get("rejects")
    return LastRun(
        account=report["account"],
        plugin=run.plugin,
        sync=run.sync,
        started_at=report["started_at"],
        outcome=report["outcome"],
        error=_error(report),
        needs_person=bool(report.get("needs_person")),
        retry_at=report.get("retry_at"),
        input_complete=bool(report.get("input_complete", True)),
        seconds=float(took),
        received=total(report, "received", "records"),
        delivered=total(report, *DELIVERED),
        unchanged=total(report, "unchanged"),
        rejected=total(report, "rejected"),
        outstanding=rejects["total"] if rejects else None,
        requests=sum(timeline["requests"]),
        limits=tuple(_uses(extras.get("rate_limit") or "", timeline)),
    )


def _error(report: JSON) -> str:
    """What ended the run, without values of a record."""
    said = report["error"] or ""
    if report["outcome"] == "failed" and said != KILLED:
        # The text of an error that nobody foresaw may hold anything, a record too.
        return "An unexpected error, which the run's own report names."
    return redact(general(said, {}))


def _uses(spec: str, timeline: JSON) -> Iterator[LimitUse]:
    requests = timeline["requests"]
    if not requests:  # the run may have ended because the setting is wrong
        return
    for text, limit in zip(filter(str.strip, spec.split(",")), parse_limits(spec), strict=True):
        most = max(in_windows(requests, timeline["width"], limit.seconds))
        yield LimitUse(text.strip(), most, most / limit.count)


# --- all rejects --------------------------------------------------------------------------------


class _Reasons:
    """Counts the rejects of all accounts by reason, in bounded memory."""

    def __init__(self) -> None:
        self._rejects: defaultdict[Reason, int] = defaultdict(int)
        self._accounts: defaultdict[Reason, int] = defaultdict(int)

    def add(self, summary: JSON | None) -> None:
        """Count the rejects of one run, as `summarise` gave them."""
        if not summary:
            return
        counts = {
            Reason(group["stream"], group["kind"], group["status"], group["reason"]): group["count"]
            for group in summary["groups"]
        }
        if rest := summary["not_shown"]:
            counts[OTHER] = rest
        for reason, count in counts.items():
            known = reason in self._rejects or len(self._rejects) < DISTINCT
            self._rejects[reason if known else OTHER] += count
            self._accounts[reason if known else OTHER] += 1

    def most_frequent(self) -> list[tuple[Reason, Count]]:
        """The most frequent ones first, those that are only counted last."""
        found = [
            (reason, Count(rejects, self._accounts[reason]))
            for reason, rejects in self._rejects.items()
        ]
        return sorted(
            found, key=lambda pair: (pair[0] == OTHER, -pair[1].rejects, *map(str, pair[0]))
        )


OTHER = Reason("", "", None, "other reasons: see the runs' own pages")


# --- text ---------------------------------------------------------------------------------------


def _lines(found: Overview) -> Iterator[str]:
    head = ["last runs", *OUTCOMES, "rejects"]
    outcomes = found.outcomes
    numbers = [len(found.last_runs), *(outcomes[o] for o in OUTCOMES), found.outstanding]
    yield align([head, [f"{number:,}" for number in numbers]], words=[False] * len(head))
    if found.bad:
        yield ""
        rows = [
            [run.outcome, run.account, run.plugin, run.sync, _said(run)]
            for run in found.bad[:SHOWN]
        ]
        yield align([["outcome", "account", "plugin", "sync", "why"], *rows], words=[True] * 5)
        yield from _rest(len(found.bad) - SHOWN)
    if found.cut_off:
        yield ""
        yield f"{CUT_OFF}: {len(found.cut_off):,}"
        rows = [[run.account, run.plugin, run.sync] for run in found.cut_off[:SHOWN]]
        yield align([["account", "plugin", "sync"], *rows], words=[True] * 3)
        yield from _rest(len(found.cut_off) - SHOWN)
    if found.reasons:
        yield ""
        shown = [
            [f"{count.rejects:,}", f"{count.accounts:,}", reason_text(reason)]
            for reason, count in found.reasons[:SHOWN]
        ]
        yield align([["rejects", "accounts", "reason"], *shown], words=[False, False, True])
        yield from _rest(len(found.reasons) - SHOWN)
    if found.absent:
        yield ""
        yield f"{len(found.absent):,} accounts and syncs have no run since {moment(found.since)}."


def _said(run: LastRun) -> str:
    words = run.error if len(run.error) <= ERROR else f"{run.error[: ERROR - 1]}…"
    if run.needs_person:
        return f"needs a person: {words}"
    return f"not before {run.retry_at}: {words}" if run.retry_at else words


def _rest(number: int) -> Iterator[str]:
    if number > 0:
        yield f"... and {number:,} more"


def reason_text(reason: Reason) -> str:
    """A reason in one line."""
    status = f", HTTP {reason.status}" if reason.status else ""
    start = f"{reason.stream}, {reason.kind}{status}: " if reason.stream else ""
    return f"{start}{reason.reason}"
