"""What the vendor must hold in the end, as if each row had been sent one by one.

Simple on purpose: it knows a pipeline's source and mode, and nothing of how targets work.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from tests.hostile.pipeline import ONCE, SECOND, Pipeline
from tests.hostile.setups import once_key
from tests.hostile.source import Person


@dataclass
class Expected:
    """What is expected of one person's record."""

    person: Person
    present: bool | None
    """None: it may be there or not."""
    current: bool
    """Its values are those of the source's row."""
    firsts: set[str]
    """Values of `first` that it may have otherwise."""
    may_be_rejected: bool


def expected_people(pipeline: Pipeline) -> list[Expected]:
    """One for each person who ever was in the source."""
    return [_expected(pipeline, person) for person in pipeline.source.people]


def _expected(pipeline: Pipeline, person: Person) -> Expected:
    existed = person.marker in pipeline.existing
    firsts = {*person.firsts, *(["old"] if existed else [])}
    excused = person.bad or person.contested
    if person.deleted:
        key_only = bool(pipeline.source.options["key_only"])
        certain = pipeline.mode in ("upsert", "mirror") and not (existed and key_only)
        if existed and pipeline.mode == "mirror":
            certain = False  # never written by the sync, perhaps: then it is not its to remove
        return Expected(person, False if certain else None, False, firsts, True)
    if pipeline.mode == "update":
        # Nobody has an email that is none: such a record is skipped, and leaves no reject.
        moved = person.was_corrected or any(
            event.marker == person.marker and event.row.get("email") != person.email
            for event in pipeline.source.events
        )
        present = None if existed and (person.was_deleted or moved) else existed
        return Expected(
            person, present, existed and not moved and not person.was_deleted,
            firsts, excused,
        )  # fmt: skip
    if pipeline.mode == "create":
        # Whoever has an identity of another row exists already: not touched, and not rejected.
        return Expected(person, None if person.contested else True, False, firsts, excused)
    return Expected(person, True, True, firsts, excused)


@dataclass
class Links:
    """What must hang, may hang, and must not hang on a person's record."""

    must: set[str] = field(default_factory=set)
    may: set[str] = field(default_factory=set)


def expected_links(pipeline: Pipeline, stream: str, person: Person) -> Links:
    """Tags or campaigns of one person. A row that is gone takes away what no other stands for."""
    found = Links()
    full = pipeline.source.options["extraction"] in ("full", "mirror")
    kept = full or not person.was_deleted
    links = [x for x in pipeline.source.links if x.stream == stream and x.person is person]
    for link in links:
        found.may |= link.values - {link.value}
        if not link.deleted and kept:
            found.must.add(link.value)
        elif not link.deleted:
            found.may.add(link.value)
    if pipeline.mode != "mirror":
        # An explicit delete of one row may take what another row stands for, as one by one.
        gone = {link.value for link in links if link.deleted}
        found.may |= found.must & gone
        found.must -= gone
    elif all(link.deleted for link in pipeline.source.links if link.stream == stream):
        # Without a row nothing says that there are none.
        found.may |= {link.value for link in links}
    key_only = pipeline.source.options["key_only"]
    if key_only or pipeline.source.rng is None:
        found.may |= {link.value for link in links}
    return found


def expected_messages(pipeline: Pipeline, stream: str) -> dict[str, Person]:
    """Names in the vendor's log of all that has to be reached once → whom it is about."""
    names: dict[str, Person] = {}
    for link in pipeline.source.links:
        if link.stream != stream or stream not in ONCE:
            continue
        name = once_key(pipeline.name, stream, link.key, link.value)
        names[name] = link.person
        if pipeline.twice:
            names[SECOND + name] = link.person
    return names
