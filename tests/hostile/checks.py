"""The promises, checked after each run and at the end."""

from __future__ import annotations

import base64
import html
import json
import urllib.parse
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from tests.hostile.models.rei import digits
from tests.hostile.pipeline import ONCE, Pipeline, Reject, Result, Run
from tests.hostile.reference import (
    Expected,
    expected_links,
    expected_messages,
    expected_people,
)
from tests.hostile.setups import Held, Setup

SUM = (
    "merged", "unchanged", "created", "updated", "upserted", "deleted", "rejected", "skipped",
)  # fmt: skip


class Broken(AssertionError):
    """A promise does not hold."""

    def __init__(self, promise: str, text: str) -> None:
        super().__init__(f"[{promise}] {text}")
        self.promise = promise


# --- after each run -------------------------------------------------------------------------------


def check_run(run: Run, result: Result, setup: Setup, *, signalled: bool, together: bool) -> None:
    """What holds whatever happened."""
    pipeline = run.pipeline
    if result.hung:
        raise Broken("ends", f"{pipeline}: the run did not end")
    codes = {0, 1, -9, -15, 143, 130} if signalled else {0, 1}
    if result.code not in codes:
        raise Broken("exit code", f"{pipeline}: exit {result.code}: {result.stderr[-600:]}")
    if run.extract.torn and result.code == 0:
        raise Broken("exit code", f"{pipeline}: exit 0 after a line that nothing can read")
    if "Traceback" in result.stderr:
        raise Broken("traceback", f"{pipeline}: {result.stderr[-1500:]}")
    if any(state not in run.extract.states for state in result.states):
        raise Broken("state", f"{pipeline}: a STATE that never came: {result.states}")
    check_report(run, result, together=together)
    check_deletes(run, setup, together=together)
    check_once(setup, pipeline)
    check_secrets(setup, pipeline)


def check_report(run: Run, result: Result, *, together: bool) -> None:
    """A run that ends ok counts every record that came."""
    report = result.report
    if report and "account" not in report and together:
        return  # it may be the other run's
    if result.code == 0 and (report is None or report["outcome"] != "ok"):
        raise Broken("report", f"{run.pipeline}: exit 0, report {report and report['outcome']}")
    if result.code != 0 or report is None:
        return
    for stream, counts in report["streams"].items():
        total = sum(counts.get(name, 0) for name in SUM)
        if counts["received"] != total:
            raise Broken("adds up", f"{run.pipeline} {stream}: {counts}")
        source = "people" if stream == run.pipeline.also else stream
        came = run.extract.records.get(source, 0) * (2 if run.pipeline.twice else 1)
        if run.extract.states and counts["received"] != came:
            raise Broken("received", f"{run.pipeline} {stream}: {came} came, {counts}")


def has_another_key(pipeline: Pipeline, of: str) -> bool:
    """The person's key was another one before."""
    return len({event.key for event in pipeline.source.events if event.marker == of}) > 1


def check_deletes(run: Run, setup: Setup, *, together: bool) -> None:
    """A mirror removes nothing that the extract stands for, and not too much."""
    pipeline, deletes = run.pipeline, setup.world.deletes
    own = [item for item in deletes if marker(item).startswith(f"{pipeline.name}p")]
    if not together and len(own) != len(deletes):
        raise Broken("others untouched", f"{pipeline} deleted {shown(deletes)}")
    if pipeline.mode != "mirror":
        return
    if own and not run.extract.complete and run.extract.states:
        raise Broken("mirror", f"{pipeline}: the extract was cut off, and {shown(own)} deleted")
    live = {person.marker for person in pipeline.source.live()}
    links = {(link.person.marker, link.value) for link in pipeline.source.links if not link.deleted}
    keys = {f"{pipeline.name}k{person.key}" for person in pipeline.source.live()}
    for item in own:
        stands = (marker(item), item[1]) in links if isinstance(item, tuple) else True
        if pipeline.streams == ["people"] and "list_id" not in item:
            # Known by the key: a person with another key is another one at the vendor.
            stands = str(item.get("id") or item.get("external_id")) in keys
        elif isinstance(item, dict) and has_another_key(pipeline, marker(item)):
            # With another key, nothing but the email or the phone tells that it is the same one.
            people = pipeline.source.live()
            named = {str(name).lower() for p in people for name in (p.email, p.phone) if name}
            stands = any(str(value).lower() in named for value in item.values())
            if pipeline.plugin == "target-actionapi" and "Fname" not in item:
                stands = False  # Merlin finds nobody without a name
        if stands and marker(item) in live:
            raise Broken("mirror", f"{pipeline} deleted what the extract has: {shown([item])}")
    contacts = [item for item in own if not isinstance(item, tuple)]
    limit = run.config["max_deletes"]
    if not limit.endswith("%") and len(contacts) > 2 * int(limit):
        raise Broken("max_deletes", f"{pipeline}: {shown(contacts)} with max_deletes {limit}")


def marker(item: Any) -> str:
    """Whose a deleted thing was."""
    row = item[0] if isinstance(item, tuple) else item
    name = (row.get("Custom") or {}).get("13") or row.get("lastName") or row.get("last_name")
    return str(name or "")


def shown(items: Iterable[Any]) -> str:
    """Deleted things, shortly."""
    return ", ".join(marker(i) + (f" {i[1]}" if isinstance(i, tuple) else "") for i in items)


def check_once(setup: Setup, pipeline: Pipeline) -> None:
    """No message twice."""
    for stream in pipeline.streams:
        if stream in ONCE:
            for name, number in Counter(setup.messages(pipeline.account, stream)).items():
                if number > 1:
                    raise Broken("once", f"{stream} {name} was sent {number} times")


def check_secrets(setup: Setup, pipeline: Pipeline) -> None:
    """No secret in what a run prints, or in files for people."""
    forms: set[str] = set()
    for secret in setup.secrets.values():
        forms |= {secret, json.dumps(secret)[1:-1], secret.replace("/", "\\/"),
                  urllib.parse.quote(secret, safe=""), urllib.parse.quote(secret),
                  html.escape(secret), base64.b64encode(secret.encode()).decode()}  # fmt: skip
    for path in secret_places(pipeline):
        text = path.read_bytes().decode(errors="replace")
        for form in forms:
            if form in text:
                at = text.index(form)
                raise Broken("secret", f"{path.name}: {text[max(0, at - 80) : at + 60]}")


def secret_places(pipeline: Pipeline) -> list[Path]:
    """Where a secret could end up; databases hold tokens, but no secrets either."""
    files = [path for path in pipeline.work_dir.rglob("*") if path.is_file()]
    return [*files, *pipeline.directory.glob("*.out"), *pipeline.directory.glob("*.err")]


# --- at the end -----------------------------------------------------------------------------------


def check_end(setup: Setup, pipelines: list[Pipeline]) -> None:
    """Every record is at the vendor, or in the rejects with a reason."""
    for pipeline in pipelines:
        rejects = pipeline.rejects()
        if stream := pipeline.source.person_stream:
            for name in filter(None, (stream, pipeline.also)):
                check_people(setup, pipeline, name, rejects)
        for stream in pipeline.streams:
            if stream in ("contact_tags", "contact_campaigns"):
                check_links(setup, pipeline, stream, rejects)
            if stream in ONCE:
                check_messages(setup, pipeline, stream, rejects)
    check_strangers(setup, pipelines)


def check_people(setup: Setup, pipeline: Pipeline, stream: str, rejects: list[Reject]) -> None:
    """Each person's record: there or not, once, with the values of the source."""
    by_marker: dict[str, list[Held]] = {}
    for item in setup.held(pipeline.account, stream):
        by_marker.setdefault(item.marker, []).append(item)
    mine = [reject for reject in rejects if reject.target_stream == stream]
    for expected in expected_people(pipeline):
        person = expected.person
        found = by_marker.get(person.marker, [])
        if pipeline.plugin == "target-emailmarketing":
            found = kasplo_current(found, expected)
        rejected = [r for r in mine if pipeline.marker_of(r) == person.marker]
        where = f"{pipeline} {stream} {person.marker}: {found or 'not there'}"
        found = [item for item in found if not is_stranger(item, expected, pipeline)]
        # Without updates, one who came with another key and then another email is a new one.
        anew = pipeline.mode == "create" and has_another_key(pipeline, person.marker)
        if len(found) > 1 and not anew:
            raise Broken("twice", f"{where}; rejects {[str(r) for r in rejected]}")
        unexcused = [r for r in rejected if r.kind in ("refused", "invalid")]
        if unexcused and not excused(expected, pipeline, unexcused[0]):
            raise Broken("rejected without a cause", f"{where}; {unexcused[0]}")
        if rejected or expected.present is None:
            continue
        check_person(expected, found, where, pipeline)


def check_person(expected: Expected, found: list[Held], where: str, pipeline: Pipeline) -> None:
    """One who is not among the rejects."""
    if bool(found) != expected.present:
        raise Broken("lost" if expected.present else "not deleted", f"{where}, no reject")
    if not found:
        return
    held, person = found[0], expected.person
    if not expected.current:
        if held.first not in expected.firsts:
            raise Broken("state", f"{where}: first is none of {expected.firsts}")
        return
    if held.first != person.first:
        raise Broken("state", f"{where}: not {person.first}, no reject")
    if person.email and held.email.lower() != person.email.lower():
        raise Broken("state", f"{where}: not {person.email}, no reject")
    if person.phone and held.phone and digits(held.phone) != digits(person.phone):
        raise Broken("state", f"{where}: not {person.phone}, no reject")
    names = pipeline.source.shapes[pipeline.source.person_stream or ""].names
    told = "city" in names and (person.city or pipeline.nulls == "send")
    if told and held.city != (person.city or ""):
        raise Broken("state", f"{where}: not {person.city}, no reject")


def is_stranger(held: Held, expected: Expected, pipeline: Pipeline) -> bool:
    """The vendor had it before, and neither the email nor the phone of the source leads to it."""
    person = expected.person
    moved = bool(person.email) and held.email.lower() != (person.email or "").lower()
    found_by_phone = bool(person.phone) and digits(held.phone) == digits(person.phone)
    untouched = held.id == pipeline.existing.get(person.marker) and held.first == "old"
    return untouched and moved and not found_by_phone


def kasplo_current(found: list[Held], expected: Expected) -> list[Held]:
    """Subscribers cannot be deleted: those of earlier emails and lists stay."""
    if not expected.current:
        return found[:1]
    email = (expected.person.email or "").lower()
    return [item for item in found if item.email.lower() == email][:1]


def excused(expected: Expected, pipeline: Pipeline, reject: Reject) -> bool:
    """There is a reason why this one is rejected for good."""
    if expected.may_be_rejected:
        return True
    person = expected.person
    mine = [event.row for event in pipeline.source.events if event.marker == person.marker]
    moved = any("@" in str(v) and v != person.email for row in mine for v in row.values())
    if person.marker in pipeline.existing and person.phone and moved:
        return True  # the phone is that of a record that has the person's earlier email
    # Made without an id, and nothing to search by.
    by_id = pipeline.plugin == "target-actionapi" and "id" in reject.reason
    return by_id or "did not return its id" in reject.reason


def check_links(setup: Setup, pipeline: Pipeline, stream: str, rejects: list[Reject]) -> None:
    """Tags and campaigns of each person whose record is there."""
    people = {item.marker: item for item in setup.held(pipeline.account, "contacts")}
    mine = [reject for reject in rejects if reject.target_stream in (stream, "contacts")]
    # A mirror with a row that has no key does not know what is gone: it removes nothing.
    keyless = any("the key column" in r.reason for r in mine if r.target_stream == stream)
    removes_nothing = pipeline.mode == "mirror" and keyless
    for person in pipeline.source.people:
        held = people.get(person.marker)
        if held is None or person.contested:
            continue
        about = [r for r in mine if pipeline.marker_of(r) == person.marker]
        links = expected_links(pipeline, stream, person)
        has = (held.tags if stream == "contact_tags" else held.campaigns) - {"by hand"}
        where = f"{pipeline} {stream} {person.marker} has {has}"
        if about:
            continue
        if missing := links.must - has:
            raise Broken("link lost", f"{where}, misses {missing}, no reject")
        if (more := has - links.must - links.may) and not removes_nothing:
            raise Broken("link not removed", f"{where}, {more} too many")


def check_messages(setup: Setup, pipeline: Pipeline, stream: str, rejects: list[Reject]) -> None:
    """Each message was sent once, or is in the rejects."""
    sent = set(setup.messages(pipeline.account, stream))
    names = expected_messages(pipeline, stream)
    rejected = Counter(pipeline.message_name(r) for r in rejects if r.target_stream == stream)
    for name, person in names.items():
        if name in sent or rejected[name] or rejected[name.removeprefix("second-")]:
            continue
        if stream in ("automations", "contact_workflows") and (person.deleted or person.contested):
            continue
        raise Broken("message lost", f"{pipeline} {stream} {name}: not sent, no reject")
    for reject in rejects:
        if reject.target_stream == stream and reject.kind == "held":
            raise Broken("held for ever", f"{pipeline} {reject}")
        if reject.target_stream != stream or reject.kind not in ("refused", "invalid"):
            continue
        name = pipeline.message_name(reject)
        person_of = names.get(name)
        if stream in ("sms", "calls") and name not in sent and "other content" not in reject.reason:
            raise Broken("rejected without a cause", f"{pipeline} {reject}")
        if person_of is None or person_of.deleted or person_of.contested or person_of.bad:
            continue
        if setup.forms.get("new") == "no_id" or pipeline.said_sent:
            continue  # Merlin never told the contact's id, which an automation needs
        if "other content" in reject.reason:
            continue  # what was sent first may have arrived
        if name not in sent and not any(r.target_stream == "contacts" for r in rejects):
            raise Broken("rejected without a cause", f"{pipeline} {reject}")


def check_strangers(setup: Setup, pipelines: list[Pipeline]) -> None:
    """No account has what was meant for another."""
    for account in setup.accounts:
        own = {pipeline.name for pipeline in pipelines if pipeline.account == account}
        streams = {s for p in pipelines for s in (*p.streams, p.also or "people")}
        for stream in streams:
            if stream in ONCE:
                names = {x.removeprefix("second-")[:1] for x in setup.messages(account, stream)}
                names -= {*"w0123456789"}
                if names - own:
                    raise Broken("another account", f"{account} {stream}: of {names - own}")
        for stream in streams & {"people", "members", "contacts"}:
            names = {item.marker[:1] for item in setup.held(account, stream)} - {""}
            if names - own:
                raise Broken("another account", f"{account} {stream}: records of {names - own}")
