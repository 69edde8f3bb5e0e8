"""Random changes of a source: each is one of those that a warehouse sees."""

from __future__ import annotations

from tests.hostile.source import Link, Person, Source

TAGS = ("warm", "cold", "vip")
CAMPAIGNS = ("camp1", "camp2")


def change(source: Source, number: int) -> list[str]:
    """Make some changes; in words."""
    return [made for _ in range(number) if (made := _one(source))]


def _one(source: Source) -> str:
    rng = source.rng
    if not source.people or (rng.random() < 0.3 and len(source.people) < 9):
        return insert(source)
    if source.person_stream is None or (source.links and rng.random() < 0.3):
        return change_link(source)
    person = rng.choice(source.people)
    if person.deleted:
        return revive(source, person)
    ways = [update, update, update, revert, email, email_case, rekey, delete, twin, spoil]
    return rng.choice(ways)(source, person)


def insert(source: Source) -> str:
    """Someone new, perhaps with what hangs on them."""
    rng, options = source.rng, source.options
    number = len(source.people) + 1
    marker = f"{source.name}p{number}"
    phone = f"+1555{ord(source.name[0]) % 10}{number:06}"
    only = options["phone_only"] and rng.random() < 0.3
    person = Person(
        marker, source.new_key(), None if only else f"{marker.lower()}@example.com", None
    )
    needs_phone = only or "phone" in _message_names(source) or rng.random() < 0.3
    person.phone = phone if needs_phone else None
    person.city = rng.choice([None, "Rome", "Oslo"])
    person.list = rng.choice(["News", "Offers"]) if options["lists"] else "News"
    if "members" in options["streams"]:
        person.list = "1"
    source.people.append(person)
    source.note_person(person)
    words = [f"+{marker}"]
    for stream, shape in source.shapes.items():
        if shape.kind != "person":
            words += [add_link(source, stream, person) for _ in range(rng.choice([0, 1, 1, 2]))]
    return " ".join(words)


def _message_names(source: Source) -> set[str]:
    return {n for shape in source.shapes.values() if shape.kind == "message" for n in shape.names}


def add_link(source: Source, stream: str, person: Person) -> str:
    """A tag, a campaign, a workflow, an automation or a message for someone."""
    key = source.new_key()
    value = {"contact_tags": source.rng.choice(TAGS),
             "contact_campaigns": source.rng.choice(CAMPAIGNS),
             "contact_workflows": f"wf{source.name}{key}",
             "automations": str(ord(source.name[0]) * 1000 + key)}.get(stream, "m1")  # fmt: skip
    if source.view_keys(stream) and any(
        x.person is person and x.value == value and not x.deleted for x in source.links
    ):
        return ""
    link = Link(stream, key, person, value, values={value})
    source.links.append(link)
    source.note_link(link)
    return f"+{stream} {key}={value}"


def change_link(source: Source) -> str:
    """Another value, a deletion, or one more."""
    rng = source.rng
    live = [link for link in source.links if not link.deleted]
    if not live or rng.random() < 0.4:
        streams = [s for s, shape in source.shapes.items() if shape.kind != "person"]
        if not streams or not source.live():
            return insert(source)
        return add_link(source, rng.choice(streams), rng.choice(source.live()))
    link = rng.choice(live)
    kind = source.shapes[link.stream].kind
    if kind == "link" and rng.random() < 0.6:
        link.deleted = True
        source.note_link(link)
        return f"-{link.stream} {link.key}"
    if kind == "message" and rng.random() < 0.5:
        link.value = f"m{rng.randint(1, 3)}"
        source.note_link(link)
        return f"{link.stream} {link.key}={link.value}"
    if link.stream == "contact_tags" and not source.view_keys(link.stream):
        link.value = rng.choice(TAGS)
        link.values.add(link.value)
        source.note_link(link)
        return f"tag {link.key}={link.value}"
    return ""


def update(source: Source, person: Person) -> str:
    """A new value."""
    person.version += 1
    person.first = f"v{person.version}"
    person.firsts.add(person.first)
    if source.options["null_city"]:
        person.city = source.rng.choice([None, "Rome", "Oslo"])
    elif person.city:
        person.city = source.rng.choice(["Rome", "Oslo"])
    source.note_person(person)
    return f"{person.marker}={person.first}"


def revert(source: Source, person: Person) -> str:
    """A value that was there before."""
    person.first = source.rng.choice(sorted(person.firsts))
    source.note_person(person)
    return f"{person.marker}={person.first} again"


def email(source: Source, person: Person) -> str:
    """Another email, in all rows that name it."""
    if person.email is None or source.options["people_key"] == "email":
        return update(source, person)
    person.version += 1
    person.email = f"{person.marker.lower()}.{person.version}@example.com"
    source.note_person(person)
    _renew_links(source, person)
    return f"{person.marker} email {person.email}"


def email_case(source: Source, person: Person) -> str:
    """The same email, written otherwise."""
    if person.email is None:
        return update(source, person)
    person.email = person.email.swapcase()
    source.note_person(person)
    _renew_links(source, person)
    return f"{person.marker} email {person.email}"


def _renew_links(source: Source, person: Person) -> None:
    """Rows that name a person by email have the new one; tombstones too, as a view would."""
    for link in source.links:
        if link.person is person and "email" in source.shapes[link.stream].names:
            source.note_link(link)


def rekey(source: Source, person: Person) -> str:
    """Another key for the same person: the old row is gone, a new one there."""
    if source.options["people_key"] == "email":
        return update(source, person)
    old = person.key
    person.contested = True
    stream = source.person_stream or ""
    row = source.person_row(stream, person)
    person.key = source.new_key()
    if source.rng.random() < 0.7:
        source.note(stream, old, row, person.marker, deleted=True)
        source.note_person(person)
    else:
        source.note_person(person)
        source.note(stream, old, row, person.marker, deleted=True)
    person.was_deleted = True
    return f"{person.marker} key {old} -> {person.key}"


def delete(source: Source, person: Person) -> str:
    """The source no longer has them."""
    if source.plugin == "target-emailmarketing":
        return update(source, person)
    person.deleted = person.was_deleted = True
    source.note_person(person)
    return f"-{person.marker}"


def revive(source: Source, person: Person) -> str:
    """They are back, as they were, with their key or a new one."""
    person.deleted = False
    if source.rng.random() < 0.3:
        person.key = source.new_key()
    person.contested = True
    source.note_person(person)
    return f"+{person.marker} again, key {person.key}"


def twin(source: Source, person: Person) -> str:
    """A second row about the same person, under another key."""
    if person.email is None or person.bad or "people" in source.options["streams"]:
        return update(source, person)
    if source.options["people_key"] == "email" or len(source.people) > 9:
        return update(source, person)
    number = len(source.people) + 1
    other = Person(f"{source.name}p{number}", source.new_key(), person.email.swapcase(), None)
    other.list = person.list
    if "phone" in _message_names(source):
        other.phone = f"+1555{ord(source.name[0]) % 10}{number:06}"
    other.contested = person.contested = True
    source.people.append(other)
    source.note_person(other)
    return f"+{other.marker} with the email of {person.marker}"


def spoil(source: Source, person: Person) -> str:
    """An email that the vendor refuses, or that is right again."""
    if person.email is None or source.options["people_key"] == "email":
        return update(source, person)
    person.bad = not person.bad
    source.note_person(person)
    return f"{person.marker} {'bad' if person.bad else 'good'}"


def correct(source: Source) -> dict[str, str]:
    """Bad emails are corrected in place, in every event: bad text → email."""
    corrected: dict[str, str] = {}
    for person in source.people:
        if person.bad and person.email:
            corrected[f"nonsense {person.marker}"] = person.email
            person.bad, person.was_corrected = False, True
    for event in source.events:
        for name, value in event.row.items():
            if isinstance(value, str) and value in corrected:
                event.row[name] = corrected[value]
    return corrected
