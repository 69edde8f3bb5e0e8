"""Any JSON value, on every path: one key, one payload, one text in the rejects.

The paths: a RECORD line, a BATCH file, a spooled record, what a killed run left, a retried reject,
a corrected rejects file, a mirror.
"""

from __future__ import annotations

import gzip
import itertools
import json
import shutil
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from singer_http.exact_json import number_text
from singer_sandbox import Sandbox
from tests.core.rules.runs import Ran, Runs, examples, fragment
from tests.core.rules.values import ANY, NUMBERS, key_text
from tests.front_door import JSON, adds_up, record, schema

PEOPLE = schema("people", {"k": {}, "id": {}, "anything": {}, "n": {}}, ("k",))
ENTRIES = schema("automations", {"k": {}, "idContact": {}, "idAuto": {}, "anything": {}}, ("k",))
CONTACTS = schema("contacts", {"idContact": {}, "Fname": {}}, ("idContact",))
ROWS = st.lists(st.tuples(ANY, ANY), min_size=1, max_size=6)
Rows = list[tuple[str, str]]
FOLDERS = itertools.count()


class Texts:
    """Records as texts: what the source writes."""

    def __init__(self, rows: Rows, **more: Any) -> None:
        different: dict[Any, tuple[str, str]] = {}
        for number, (key, value) in enumerate(rows):
            different.setdefault(key_text(key) or number, (key, value))
        rest = "".join(f',"{name}":{json.dumps(value)}' for name, value in more.items())
        n = len(different)
        self.records = [
            f'{{"k": {key},"id":"p{i}","anything":{value}, "n":{n}{rest}}}'
            for i, (key, value) in enumerate(different.values())
        ]
        keys = [key_text(key) for key, _ in different.values()]
        self.valid = sum(key is not None for key in keys)

    def lines(self, stream: str = "people") -> list[bytes]:
        head = f'{{"type":"RECORD","stream":"{stream}","record":'
        return [f"{head}{text}}}".encode() for text in self.records]

    def batch(self, directory: Path, compression: str) -> JSON:
        """A BATCH message, and its file."""
        text = "".join(f"{line}\n" for line in self.records).encode()
        path = directory / f"batch.{compression}"
        path.write_bytes(gzip.compress(text) if compression == "gzip" else text)
        encoding = {"format": "jsonl", "compression": compression}
        return {
            "type": "BATCH", "stream": "people", "encoding": encoding,
            "manifest": [f"file://{path}"],
        }  # fmt: skip


Sent = dict[str, tuple[str, list[str]]]
"""Id -> what reached the vendor, and its numbers digit by digit."""


def sent(sandbox: Sandbox, *, once: bool = True) -> Sent:
    """What reached the vendor, each once unless a run was killed; the log is empty then."""
    found: Sent = {}
    for request in sandbox.requests("autoreach"):
        if request["method"] == "PATCH":
            (person,) = request["body"]["people"]
            assert not (once and person["id"] in found), "sent twice"
            found[person["id"]] = json.dumps(person, sort_keys=True), request["numbers"]
    sandbox.log(clear=True)
    return found


def clean(ran: Ran) -> JSON:
    assert ran.error == ""
    assert adds_up(ran.report)
    return ran.counts("people")


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("json")


def new(sandbox: Sandbox, folders: Path, name: str = "target-autoreach", **config: Any) -> Runs:
    """A target with an empty ledger."""
    directory = folders / str(next(FOLDERS))
    directory.mkdir()
    settings = {"unknown_fields": "send", "batch_size_rows": 1, **config}
    return Runs(name, sandbox, directory, **settings)


def by_lines(sandbox: Sandbox, runs: Runs, texts: Texts) -> tuple[Ran, Sent]:
    """An undisturbed run, and what it sent."""
    sandbox.reset()
    ran = runs.run([PEOPLE, *texts.lines()])
    assert clean(ran).get("upserted", 0) == texts.valid
    wanted = sent(sandbox)
    assert len(wanted) == texts.valid
    return ran, wanted


@examples(8)
@given(rows=ROWS)
def test_a_value_is_the_same_by_line_and_by_batch(
    sandbox: Sandbox, folders: Path, rows: Rows
) -> None:
    texts = Texts(rows)
    first = new(sandbox, folders)
    by_line, wanted = by_lines(sandbox, first, texts)
    for compression in ("gzip", "none"):
        # What was delivered by one path is known by the other.
        batch = texts.batch(first.plugin.directory, compression)
        counts = clean(first.run([PEOPLE, batch]))
        assert counts.get("unchanged", 0) == texts.valid, counts
        assert sent(sandbox) == {}
    by_batch = (other := new(sandbox, folders)).run([PEOPLE, batch])
    clean(by_batch)
    assert sent(sandbox) == wanted
    assert list(map(fragment, by_batch.reject_lines)) == list(map(fragment, by_line.reject_lines))
    for used in (first, other):
        shutil.rmtree(used.plugin.directory)


@examples(7)
@given(rows=ROWS)
def test_a_value_is_the_same_when_a_reject_is_sent_again(
    sandbox: Sandbox, folders: Path, rows: Rows
) -> None:
    texts = Texts(rows)
    runs = new(sandbox, folders)
    _, wanted = by_lines(sandbox, runs, texts)
    shutil.rmtree(runs.plugin.directory)
    for path in ("retried", "corrected"):
        sandbox.reset()
        runs = new(sandbox, folders)
        sandbox.fault(vendor="autoreach", method="PATCH", status=422, times=None)
        ran = runs.run([PEOPLE, *texts.lines()])
        assert clean(ran) == {"received": len(texts.records), "rejected": len(texts.records)}
        without_rejection = sorted(text.encode() for text in texts.records)
        assert sorted(map(fragment, ran.reject_lines)) == without_rejection
        again = runs.run([PEOPLE])
        assert sorted(map(fragment, again.reject_lines)) == without_rejection
        sandbox.clear_faults()
        sandbox.log(clear=True)
        export = runs.plugin.path("rejects.jsonl").read_bytes().splitlines()
        ran = runs.run([PEOPLE] if path == "retried" else export)
        assert sent(sandbox) == wanted
        assert len(ran.rejects) == len(texts.records) - texts.valid
        counts = clean(runs.run([PEOPLE, *texts.lines()]))
        assert counts.get("unchanged", 0) == texts.valid
        assert sent(sandbox) == {}
        shutil.rmtree(runs.plugin.directory)


@examples(2)
@given(rows=ROWS)
def test_a_value_is_the_same_when_a_killed_run_is_recovered(
    sandbox: Sandbox, folders: Path, rows: Rows
) -> None:
    texts = Texts(rows)
    runs = new(sandbox, folders)
    _, wanted = by_lines(sandbox, runs, texts)
    lines = [line.decode() + "\n" for line in texts.lines()]
    for step in ("after_pending", "after_answer", "before_acknowledged"):
        sandbox.reset()
        runs = new(sandbox, folders)
        runs.run_and_die(step, [PEOPLE, *lines])
        before = {k: v for k, v in sent(sandbox, once=False).items() if k in wanted}
        ran = runs.run([PEOPLE])  # what was pending
        after = sent(sandbox, once=False)
        assert all(wanted[key] == found for key, found in {**before, **after}.items())
        clean(runs.run([PEOPLE, *texts.lines()]))
        assert {**before, **after, **sent(sandbox, once=False)} == wanted
        assert len(runs.reject_lines()) == len(texts.records) - texts.valid
        assert ran.error == ""


@examples(8)
@given(rows=ROWS)
def test_a_mirror_finds_every_key_again(sandbox: Sandbox, folders: Path, rows: Rows) -> None:
    sandbox.reset()
    texts = Texts(rows)
    runs = new(sandbox, folders, mode="mirror", mirror_count="n", max_deletes="100%")
    batch = texts.batch(runs.plugin.directory, "none")
    for messages in ([*texts.lines()], [batch], [*texts.lines()]):
        ran = runs.run([PEOPLE, *messages])
        assert clean(ran).get("removed", 0) == 0
        assert len(sandbox.state("autoreach")["people"]) == texts.valid
    assert len(sent(sandbox)) == texts.valid


@examples(7)
@given(rows=ROWS)
def test_a_spooled_value_is_sent_once_whichever_path_it_came_by(
    sandbox: Sandbox, folders: Path, rows: Rows
) -> None:
    sandbox.reset()
    sandbox.put_state("merlin", {"automations": [{"idAuto": 7}], "contacts": [{"idContact": 5}]})
    texts = Texts(rows, idContact=5, idAuto=7)
    runs = new(sandbox, folders, "target-actionapi")
    contact = record("contacts", idContact=5, Fname="Ann")
    spooled: list[JSON | bytes] = [ENTRIES, *texts.lines("automations"), CONTACTS, contact]
    sandbox.fault(vendor="merlin", path="automation", status=422, times=None)
    ran = runs.run(spooled)
    assert ran.error == ""
    assert len(ran.rejects) == len(texts.records)
    assert sorted(map(fragment, ran.reject_lines)) == sorted(t.encode() for t in texts.records)
    sandbox.clear_faults()
    extracts = ([ENTRIES], spooled, [*spooled, *texts.lines("automations")])
    for messages in extracts:
        ran = runs.run(messages)
        assert ran.error == ""
        assert adds_up(ran.report)
        assert len(sandbox.state("merlin")["automation_entries"]) == texts.valid
        assert len(ran.rejects) == len(texts.records) - texts.valid


def respelled(number: str) -> Iterator[str]:
    """The same number in other words."""
    if "e" in number.lower():
        return
    yield f"{number}e0"
    yield f"{number}0" if "." in number else f"{number}.0"
    yield f"{number}E-0" if "." in number or int(number) == 0 else f"{number}00E-2"


@examples(8)
@given(numbers=st.lists(NUMBERS, min_size=1, max_size=4, unique_by=key_text))
def test_a_key_is_one_however_its_number_is_written(
    sandbox: Sandbox, folders: Path, numbers: list[str]
) -> None:
    sandbox.reset()
    runs = new(sandbox, folders)

    def people(spellings: list[str]) -> list[bytes]:
        head = '{"type":"RECORD","stream":"people","record":'
        return [f'{head}{{"k":{k},"id":"p{i}"}}}}'.encode() for i, k in enumerate(spellings)]

    clean(runs.run([PEOPLE, *people(numbers)]))
    assert len(sent(sandbox)) == len(numbers)
    others = list(zip(*(list(respelled(n)) or [n] * 3 for n in numbers), strict=True))
    for spellings in others:
        assert clean(runs.run([PEOPLE, *people(list(spellings))]))["unchanged"] == len(numbers)
    assert sent(sandbox) == {}


@given(st.decimals(allow_nan=False, allow_infinity=False), st.integers(0, 5))
def test_a_number_has_one_text_however_many_zeros_it_is_written_with(
    value: Decimal, zeros: int
) -> None:
    sign, digits, exponent = value.as_tuple()
    longer = Decimal((sign, (*digits, *[0] * zeros), int(exponent) - zeros))
    assert Decimal(number_text(value)) == value
    assert number_text(longer) == number_text(value)
