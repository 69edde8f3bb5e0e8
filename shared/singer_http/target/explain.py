"""`target-x --explain TEXT`: all that the database knows of a record.

It takes no lock, so that it works while a run is under way. Nothing personal is shown that the user
did not type: emails and numbers in a reason are left out.
"""

from __future__ import annotations

import datetime
from collections.abc import Iterator
from typing import NamedTuple

import click
import sqlalchemy as sa

from singer_http.identity import fold_email, fold_phone, masked_identities
from singer_http.operations import DELETED, SAME, UNKNOWN, RejectionKind
from singer_http.redaction import redact
from singer_http.sink import suppression_file
from singer_http.sink.base import HTTPSink
from singer_http.store.arrivals import Arrivals
from singer_http.store.database import Database
from singer_http.store.ledger import Ledger
from singer_http.store.rejects import NEWER, Rejects, shown_key
from singer_http.store.rows import Reject
from singer_http.store.runs import RUNNING, Runs, StoredRun
from singer_http.store.search import KEY, Place, Search
from singer_http.store.suppressions import PART, STREAM, Suppressions, beginnings
from singer_http.store.tables import delivered, runs
from singer_http.target.plan import Plan
from singer_http.target.verify.notes import Difference, Notes

SHOWN = 20
"""Keys that are shown of each stream, at most."""
KINDS = {
    RejectionKind.INVALID: "invalid, found before sending",
    RejectionKind.REFUSED: "refused by the vendor",
    RejectionKind.UNCERTAIN: "uncertain: it may have arrived",
    RejectionKind.HELD: "held back for a later run",
}
NEVER = (
    "never came, or was skipped each time (`mode`, `overwrite`, suppression), or was given up with "
    "--resolve"
)


class _Row(NamedTuple):
    """What the ledger has of a key."""

    digest: bytes
    remote_id: str | None
    at: int
    run: int | None


def explain(plan: Plan, text: str) -> bool:
    """Print what is known of a record; whether this account and sync know anything of it."""
    text = text.encode("utf-8", "replace").decode()  # what the terminal could not encode
    if not text.strip():
        click.echo("--explain needs a key, an email, a phone or an id at the vendor.")
        return False
    database = Database(plan.database_url)
    try:
        explanation = _Explanation(plan, database, text)
        for line in explanation.lines():
            click.echo(line)
    finally:
        database.close()
    return explanation.known


class _Explanation:
    """What is known of the record that a text means."""

    def __init__(self, plan: Plan, database: Database, text: str) -> None:
        self._plan = plan
        self._text = text.strip()
        self._region = plan.config.get("phone_region")
        self._database = database
        self._ledger = Ledger(database, database.commit)
        self._rejects = Rejects(database, database.commit, "")
        self._arrivals = Arrivals(database, database.commit)
        self._runs = Runs(database)
        self._search = Search(database, text, self._region)
        self._found = self._search.find()
        own: list[Place] = []
        others: list[Place] = []
        for place in self._search.places():
            is_own = (place.account, place.sync) == (plan.ledger_account, plan.config["sync"])
            (own if is_own else others).append(place)
        self._own = {place.stream: place for place in own}
        self._others = [place for place in others if place.id in self._found]
        self.known = any(place.id in self._found for place in own)

    def lines(self) -> Iterator[str]:
        """The answer, as lines of text."""
        plan = self._plan
        where = f"{plan.name}, account {plan.account}, sync {plan.config['sync']}"
        if not self.known:
            streams = ", ".join(sink.stream for sink in plan.sinks)
            yield f"{where}: {self._text!r} is unknown in {streams}: it {NEVER}."
        else:
            yield f"{where}: {self._text}"
            for sink in plan.sinks:
                yield ""
                yield sink.stream
                yield from (f"  {line}" for line in self._stream(sink))
        yield ""
        yield self._suppressed()
        yield from self._elsewhere()

    def _suppressed(self) -> str:
        """Whether the person must not be reached, by what was typed and by what the ledger has."""
        typed = {fold_email(self._text), fold_phone(self._text, self._region)} - {""}
        claims = set(map(self._ledger.hashed, typed))
        for place in self._own.values():
            keys = list(self._found.get(place.id, {}))[:SHOWN]
            claims |= set().union(*self._ledger.claims_of(place.id, keys).values())
            of_keys = (delivered.c.scope == place.id) & delivered.c.key.in_(keys)
            for (names,) in self._database.query(sa.select(delivered.c.names).where(of_keys)):
                claims |= set(beginnings(names))
        by = []
        suppressions = Suppressions(self._database, self._plan.ledger_account, self._ledger.hashed)
        if suppressions.stream_has(claims):
            by.append(f"the stream {STREAM}")
        suppressions.close()
        for path in suppression_file.paths(self._plan.config.get("suppression")):
            entries = suppression_file.read([path], self._region)
            hashes = (self._ledger.hashed(entry.value) for entry in entries)
            if any(one in claims or one[:PART] in claims for one in hashes):
                by.append(path)
        return (
            f"Suppressed, by {' and '.join(by)}: nothing reaches it." if by else "Not suppressed."
        )

    def _elsewhere(self) -> Iterator[str]:
        """Other syncs and accounts of this database that know the text too."""
        if self._others:
            yield ""
            yield "Other syncs and accounts of this database know it too (each has its own ledger):"
        groups: dict[tuple[str, str], list[str]] = {}
        for place in self._others:
            groups.setdefault((place.account, place.sync), []).append(place.stream)
        for (account, sync), streams in groups.items():
            yield f"  account {account}, sync {sync}: {', '.join(streams)}"

    def _stream(self, sink: type[HTTPSink]) -> Iterator[str]:
        place = self._own.get(sink.stream)
        if place is None:
            yield "never came: no run of this sync has had this stream"
            return
        keys = self._found.get(place.id, {})
        if not keys:
            yield NEVER
            return
        for key, how in list(keys.items())[:SHOWN]:
            yield f"{self._name(key, how)} (found by its {how})"
            yield from (f"  {line}" for line in self._key(sink, place, key))
        if len(keys) > SHOWN:
            yield f"and {len(keys) - SHOWN:,} more keys"

    def _name(self, key: str, how: str) -> str:
        if key.startswith("\n"):
            return "a record without a key"
        shown = shown_key(key)
        if shown is None and how == KEY and not self._text.startswith("#"):
            shown = self._text
        return "a key that is stored as a hash" if shown is None else f"key {shown}"

    # --- one key ------------------------------------------------------------------------------

    def _key(self, sink: type[HTTPSink], place: Place, key: str) -> Iterator[str]:
        """What is known of a (stored) key."""
        row = self._row(place, key)
        rejects = self._rejects.of_key(place.id, key)
        abouts = self._search.pending.get((place.id, key), ())
        if row is None:
            yield "nothing was delivered"
        else:
            notes = Notes(self._database, place.id)
            noted = notes.of_key(key)
            marked = noted is not None and _waits(noted, row)
            yield from self._delivered(sink, place, key, row, marked=marked)
            if noted is not None:
                yield from _verified(noted, notes.began() or 0, row)
        for reject in rejects:
            yield from self._outstanding(sink, reject)
        for about in abouts:
            yield (
                f"about to be sent since {_moment(about.at)} {self._run_of_pending(about.at)}: "
                "whether it arrived is settled by that run, or by the next one"
            )
        if not (rejects or abouts):
            yield "nothing is outstanding"

    def _row(self, place: Place, key: str) -> _Row | None:
        columns = [delivered.c[name] for name in _Row._fields]
        where = (delivered.c.scope == place.id) & (delivered.c.key == key)
        found = self._database.query(sa.select(*columns).where(where))
        return _Row(*found[0]) if found else None

    def _delivered(
        self, sink: type[HTTPSink], place: Place, key: str, row: _Row, *, marked: bool
    ) -> Iterator[str]:
        run = self._runs.of_number(row.run) if row.run is not None else None
        # What `--repair` marked is not known to be there: it was sent all the same.
        what = "deleted at the vendor" if row.digest == DELETED and not marked else "sent"
        yield f"{what} {_when(row, run)}"
        if row.digest == UNKNOWN and not marked:
            yield (
                "counts as sent, although its content is not known: it is not sent again"
                if sink.at_most_once
                else "what the vendor has now is not known: it is sent again when it comes next"
            )
        yield self._last_came(place, key, row)
        remote_id = key if row.remote_id == SAME else row.remote_id
        if remote_id is None:
            yield "its id at the vendor is not known"
            return
        yield f"id at the vendor: {shown_key(remote_id) or 'its key'}"
        others = self._ledger.owners_of_ids(place.id, [remote_id]).get(remote_id, set()) - {key}
        if others:
            names = ", ".join(sorted(filter(None, map(shown_key, others)))[:SHOWN])
            yield (
                f"the vendor's record is shared with {len(others):,} other "
                f"key{'s' if len(others) > 1 else ''}{f': {names}' if names else ''}"
            )

    def _last_came(self, place: Place, key: str, row: _Row) -> str:
        arrival = self._arrivals.last(place.id, key)
        if arrival is not None and arrival.number > (row.run or 0):
            return (
                f"came again unchanged, last in run {arrival.run}, which began "
                f"{_moment(arrival.at)}"
            )
        return (
            "has not come unchanged since then, as far as it is known (arrivals are kept for the "
            "last runs only, from the end of each)"
        )

    def _outstanding(self, sink: type[HTTPSink], reject: Reject) -> Iterator[str]:
        kind = KINDS.get(RejectionKind(reject.kind), reject.kind)
        named = not reject.status or str(reject.status) in reject.reason
        status = "" if named else f" (HTTP {reject.status})"
        tries = f"{reject.attempts} attempt{'' if reject.attempts == 1 else 's'}"
        by = f"run {reject.run}" if reject.run else "an earlier run"
        what = "outstanding, beside it" if reject.slot else "outstanding"
        if reject.slot == NEWER:
            what = "outstanding, a newer record of the key"
        yield f"{what}: {kind}{status}: {self._masked(redact(reject.reason))}"
        yield f"  {reject.operation}, {tries}, by {by}, {_moment(reject.at)}"
        if reject.kind == RejectionKind.UNCERTAIN:
            yield (
                "  once somebody has checked the vendor: --resolve "
                f"{sink.stream} KEY sent|unsent|drop"
            )

    def _run_of_pending(self, at: float) -> str:
        """The run that wrote a pending entry: the last one that had begun."""
        own = (
            (runs.c.plugin == self._plan.name)
            & (runs.c.account == self._plan.ledger_account)
            & (runs.c.sync == self._plan.config["sync"])
        )
        columns = (runs.c.run, runs.c.outcome)
        found = self._database.query(
            sa.select(*columns)
            .where(own & (runs.c.started_at <= int(at) + 1))
            .order_by(runs.c.id.desc())
            .limit(1)
        )
        if not found:
            return "by a run that is no longer kept"
        state = "is under way or was killed" if found[0].outcome == RUNNING else "did not finish it"
        return f"by run {found[0].run}, which {state}"

    def _masked(self, text: str) -> str:
        """A text without the emails and phones that the user did not type."""
        return masked_identities(text, typed=self._text, region=self._region)


def _verified(noted: Difference, began: int, row: _Row) -> Iterator[str]:
    """What the last `--verify` saw of a key, unless it was sent since."""
    if noted.marked is None and (noted.at, noted.run) != (row.at, row.run):
        return
    what, fields = noted.what, ", ".join(noted.what.get("fields", ()))
    said = {
        "edited": f"other values were at the vendor in {fields}",
        "gone": f"the vendor did not have it any more (id {what['id']})",
        "merged": (
            f"the vendor did not have it any more (id {what['id']}): {what.get('into')} has its "
            "email or phone"
        ),
    }
    if noted.marked is None:
        yield f"by --verify, begun {_moment(began)}: {said[what['difference']]}"
    else:
        yield f"by --verify: {said[what['difference']]}"
        since = "deleted since" if row.digest == DELETED else "sent since"
        then = "sent again when it comes next, changed or not" if _waits(noted, row) else since
        yield f"marked by --verify --repair {_moment(noted.marked)}: {then}"


def _waits(noted: Difference, row: _Row) -> bool:
    """Whether it was marked, and no run has sent or deleted it since."""
    marked = noted.marked is not None and noted.run == row.run
    return marked and row.digest in (UNKNOWN, DELETED)


def _when(row: _Row, run: StoredRun | None) -> str:
    """When a record was sent, and by which run."""
    if run is None:
        by = (
            "a run that is no longer kept" if row.run is not None else "--resolve or an old release"
        )
        return f"{_moment(row.at)} by {by}"
    if run.started_at <= row.at and (run.finished_at is None or row.at <= run.finished_at):
        return f"{_moment(row.at)} by run {run.run}"
    # The row was written again since, without a request.
    return f"by run {run.run}, which began {_moment(run.started_at)}"


def _moment(at: float) -> str:
    return f"{datetime.datetime.fromtimestamp(at, datetime.UTC):%Y-%m-%d %H:%M:%SZ}"
