"""The source: people and what hangs on them, changing at random; extracts as a tap writes them.

Every change is an event. A row at the vendor is told by its marker, which no change touches
(`Ap3`: the third person of pipeline A), so that a second record of one person shows.
"""

from __future__ import annotations

import json
import random
from dataclasses import dataclass, field
from typing import Any

JSON = dict[str, Any]
TEXT = {"type": ["string", "null"]}
DELETED_AT = "2026-01-31T12:00:00Z"


@dataclass(frozen=True)
class Shape:
    """How a stream calls its columns."""

    kind: str
    """person, link or message."""
    key: str
    """The key column; `email` for a stream whose identity is the key."""
    names: dict[str, str]
    """first, marker, email, phone, city, value → the column's name. Others are not sent."""


SHAPES: dict[str, dict[str, Shape]] = {
    "target-autoreach": {
        "people": Shape("person", "id", {
            "first": "first_name", "marker": "last_name", "email": "email", "phone": "phone"}),
        "members": Shape("person", "owner", {
            "first": "first_name", "marker": "last_name", "email": "email", "phone": "phone",
            "city": "city", "list": "list_id"}),
    },
    "target-reisoftware": {
        "contacts": Shape("person", "k", {
            "first": "firstName", "marker": "lastName", "email": "email", "phone": "phone",
            "city": "city"}),
        "contact_tags": Shape("link", "k", {"email": "email", "phone": "phone", "value": "tag"}),
        "contact_campaigns": Shape("link", "k", {
            "email": "email", "phone": "phone", "value": "campaignId"}),
        "contact_workflows": Shape("once", "k", {
            "email": "email", "phone": "phone", "value": "workflowId"}),
    },
    "target-emailmarketing": {
        "contacts": Shape("person", "k", {
            "first": "first_name", "marker": "last_name", "email": "email", "city": "city",
            "list": "list"}),
    },
    "target-actionapi": {
        "contacts": Shape("person", "k", {
            "first": "city", "marker": "who", "name": "Fname", "last": "Lname", "email": "Email",
            "phone": "Number"}),
        "automations": Shape("once", "k", {
            "email": "Email", "phone": "Number", "value": "idAuto"}),
        "calls": Shape("message", "id", {"phone": "number", "text": "text"}),
        "sms": Shape("message", "id", {"phone": "number", "text": "text"}),
    },
}  # fmt: skip


@dataclass
class Person:
    """Someone in the source; `deleted` once the source no longer has them."""

    marker: str
    key: int
    email: str | None
    phone: str | None
    first: str = "v1"
    city: str | None = None
    list: str = ""
    bad: bool = False
    """Their email is one that the vendor refuses."""
    was_corrected: bool = False
    """Their email was such a one, and the source's events say so no longer."""
    deleted: bool = False
    contested: bool = False
    """Shares an identity with another key, now or earlier: may be rejected with a reason."""
    was_deleted: bool = False
    firsts: set[str] = field(default_factory=lambda: {"v1"})
    """All values of `first` that they ever had."""
    version: int = 1


@dataclass
class Link:
    """Something that hangs on a person, or a message to them."""

    stream: str
    key: int
    person: Person
    value: str
    deleted: bool = False
    values: set[str] = field(default_factory=set)


@dataclass
class Event:
    """One change of one row."""

    seq: int
    stream: str
    key: int
    row: JSON
    deleted: bool
    marker: str


@dataclass
class Extract:
    """Singer lines of one run."""

    lines: list[str]
    records: dict[str, int]
    """Stream → number of RECORD lines."""
    states: list[JSON]
    complete: bool
    """Nothing of it was cut off."""
    torn: bool = False
    """Its last line ends in the middle."""


class Source:
    """One pipeline's tables."""

    def __init__(self, rng: random.Random, name: str, plugin: str, options: JSON) -> None:
        """With options: streams, extraction (full, table, log, mirror), numeric, null_city,
        key_only, phone_only, stable_names, people_key (id, external_id, email)."""
        self.rng, self.name, self.plugin, self.options = rng, name, plugin, options
        self.shapes = {s: SHAPES[plugin][s] for s in options["streams"]}
        self.people: list[Person] = []
        self.links: list[Link] = []
        self.events: list[Event] = []
        self._seq = self._keys = 0

    # --- rows ---------------------------------------------------------------------------------

    @property
    def person_stream(self) -> str | None:
        """The stream of people, if there is one."""
        return next((s for s, shape in self.shapes.items() if shape.kind == "person"), None)

    def live(self) -> list[Person]:
        """Those that the source has."""
        return [person for person in self.people if not person.deleted]

    def new_key(self) -> int:
        """A key that nothing had before."""
        self._keys += 1
        return self._keys

    def key_column(self, stream: str) -> str:
        """The key column of a stream."""
        if stream == "people":
            return str(self.options["people_key"])
        if self.plugin == "target-emailmarketing" and self.options["people_key"] == "email":
            return "email"
        return self.shapes[stream].key

    def key_value(self, stream: str, key: int) -> Any:
        """A key as it is written: a number has more than one form."""
        if self.options["numeric"] and stream != "people":
            return self.rng.choice([key, float(key)])
        return f"{self.name}k{key}"

    def person_row(self, stream: str, person: Person) -> JSON:
        """A person's columns."""
        names = self.shapes[stream].names
        email = f"nonsense {person.marker}" if person.bad else person.email
        first = person.first
        values = {"first": first, "marker": person.marker, "email": email, "phone": person.phone,
                  "city": person.city, "list": person.list}  # fmt: skip
        if "name" in names:
            stable = self.options["stable_names"]
            values["name"] = "Ann" if stable else f"Ann {first}"
            values["last"] = person.marker
            if not self.options["has_names"]:
                values["name"] = values["last"] = None
        row = {column: values.get(name) for name, column in names.items()}
        if self.plugin == "target-emailmarketing" and self.options["people_key"] == "email":
            return row
        return {self.key_column(stream): None, **row}

    def link_row(self, link: Link) -> JSON:
        """A link's or a message's columns."""
        names = self.shapes[link.stream].names
        person = link.person
        values: JSON = {"phone": person.phone, "value": link.value}
        values["email"] = person.email
        values["text"] = f"{self.name}:{link.stream}:{link.key} {link.value}"
        if "text" not in names and person.email:
            values["phone"] = None
        return {"k": None, **{column: values[name] for name, column in names.items()}}

    def note(self, stream: str, key: int, row: JSON, marker: str, *, deleted: bool) -> None:
        """Write an event."""
        self._seq += 1
        self.events.append(Event(self._seq, stream, key, row, deleted, marker))

    def note_person(self, person: Person) -> None:
        """A person's row is as it is now."""
        if stream := self.person_stream:
            row = self.person_row(stream, person)
            self.note(stream, person.key, row, person.marker, deleted=person.deleted)

    def note_link(self, link: Link) -> None:
        """A link's row is as it is now."""
        row = self.link_row(link)
        self.note(link.stream, link.key, row, link.person.marker, deleted=link.deleted)

    # --- extracts -----------------------------------------------------------------------------

    def rows(self, stream: str, after: int) -> list[Event]:
        """The rows that the next extract has, in order."""
        events = [event for event in self.events if event.stream == stream]
        if self.options["extraction"] == "log":
            return [event for event in events if event.seq > after]
        last = {event.key: event for event in events}
        found = sorted(last.values(), key=lambda event: event.seq)
        if self.options["extraction"] == "table":
            return [event for event in found if event.seq > after]
        if self.options["extraction"] == "mirror":
            return [event for event in found if not event.deleted]
        return found

    def extract(self, bookmark: JSON, *, stop_early: bool, swapped: bool) -> Extract:
        """Singer lines.

        Args:
            bookmark: stream → the last event that a STATE told.
            stop_early: the source dies before its end.
            swapped: what hangs on people comes first.
        """
        lines: list[str] = []
        records: dict[str, int] = {}
        states: list[JSON] = []
        marks = dict(bookmark)
        streams = list(self.shapes)
        for stream in reversed(streams) if swapped else streams:
            rows = self.rows(stream, int(bookmark.get(stream, 0)))
            lines.append(self.schema(stream, extra=False))
            for number, event in enumerate(rows):
                if number and self.rng.random() < 0.06:
                    lines.append(self.schema(stream, extra=self.rng.random() < 0.5))
                lines.append(self.record(event, len(rows)))
                records[stream] = records.get(stream, 0) + 1
                marks[stream] = event.seq
                if self.rng.random() < 0.2:
                    states.append(dict(marks))
                    lines.append(json.dumps({"type": "STATE", "value": states[-1]}))
        if stop_early and len(lines) > 2:
            lines = lines[: self.rng.randint(1, len(lines) - 1)]
            kept = [json.loads(line) for line in lines]
            records = {}
            for message in kept:
                if message["type"] == "RECORD":
                    records[message["stream"]] = records.get(message["stream"], 0) + 1
            torn = self.rng.random() < 0.3
            if torn:
                lines[-1] = lines[-1][: len(lines[-1]) // 2]
            return Extract(lines, records, states, complete=False, torn=torn)
        states.append(dict(marks))
        lines.append(json.dumps({"type": "STATE", "value": states[-1]}))
        return Extract(lines, records, states, complete=True)

    def schema(self, stream: str, *, extra: bool) -> str:
        """A SCHEMA message; `extra`: with a column that no vendor has."""
        key = self.key_column(stream)
        keys = ["email", "tag"] if self.view_keys(stream) else [key]
        names = [*self.shapes[stream].names.values(), *(["shoe_size"] if extra else [])]
        properties: JSON = dict.fromkeys(names, TEXT)
        number = self.options["numeric"] and stream != "people"
        properties[key] = {"type": "number"} if number and key != "email" else TEXT
        properties["_sdc_deleted_at"] = TEXT
        if self.options["extraction"] == "mirror":
            properties["n"] = {"type": "integer"}
        schema = {"type": "object", "properties": properties}
        message = {"type": "SCHEMA", "stream": stream, "schema": schema, "key_properties": keys}
        return json.dumps(message)

    def view_keys(self, stream: str) -> bool:
        """The stream is keyed by what it holds."""
        return stream == "contact_tags" and bool(self.options.get("view_keys"))

    def record(self, event: Event, count: int) -> str:
        """A RECORD message."""
        key = self.key_column(event.stream)
        row = dict(event.row)
        if not (key == "email" and event.stream == "contacts"):
            row.pop("k", None)
            row[key] = self.key_value(event.stream, event.key)
        if event.deleted:
            if self.options["key_only"]:
                row = {key: row[key]}
            row["_sdc_deleted_at"] = DELETED_AT
        if self.options["extraction"] == "mirror":
            row["n"] = count
        return json.dumps({"type": "RECORD", "stream": event.stream, "record": row})
