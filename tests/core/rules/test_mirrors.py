"""For any mirror, nothing that the extract stands for is missing at the vendor.

Keys that change, emails that move from one key to another or change their case, ids of the vendor,
shared tags and campaigns, rows that are rejected, without a key, or there twice. What this sync
never wrote stays; what no row stands for any more is gone after at most two more runs.
"""

from __future__ import annotations

import itertools
import shutil
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from singer_sandbox import Sandbox
from tests.core.rules.runs import Ran, Runs, examples
from tests.front_door import JSON, adds_up, record, schema

FOLDERS = itertools.count()
EMAILS = [f"p{i}@example.com" for i in range(4)]
KEYS = ["a", "b", "c", "d", "e"]
FOREIGN = "foreign@example.com"

email = st.builds(
    lambda text, up: text.upper() if up else text, st.sampled_from(EMAILS), st.booleans()
)
key = st.sampled_from([*KEYS, *KEYS, *KEYS, None])
WRONG = st.sampled_from([None] * 8 + ["invalid", "refused"])
PEOPLE_ROWS = st.fixed_dictionaries({"k": key, "email": email, "wrong": WRONG})
TAG_ROWS = st.fixed_dictionaries(
    {"k": key, "email": email, "tag": st.sampled_from(["vip", "VIP", "owner"]), "wrong": WRONG}
)
Rows = list[JSON]


def tables(rows: st.SearchStrategy[JSON]) -> st.SearchStrategy[list[Rows]]:
    """Extracts, one for each run; the same key twice now and then."""
    often_once = st.lists(rows, max_size=5, unique_by=lambda row: row["k"])
    return st.lists(
        st.one_of(often_once, often_once, st.lists(rows, max_size=5)), min_size=2, max_size=4
    )


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("mirrors")


class Mirror:
    """Runs of one stream's mirror."""

    def __init__(self, target: str, sandbox: Sandbox, folders: Path, stream: str) -> None:
        self.directory = folders / str(next(FOLDERS))
        self.directory.mkdir()
        self.stream, self.sandbox = stream, sandbox
        self.runs = Runs(
            target, sandbox, self.directory,
            mode="mirror", mirror_count="n", max_deletes="100%",
        )  # fmt: skip

    def extract(self, rows: Rows) -> Ran:
        names = {name for row in rows for name in row} | {"k", "n", "email"}
        columns: JSON = {name: {} for name in sorted(names)}
        sent = [{**row, "n": len(rows)} for row in rows]
        ran = self.runs.run(
            [schema(self.stream, columns, ("k",)), *(record(self.stream, **row) for row in sent)]
        )
        assert ran.error == ""
        assert adds_up(ran.report)
        return ran

    def end(self) -> None:
        shutil.rmtree(self.directory)


def removes(ran: Ran, stream: str) -> bool:
    """Whether a mirror could tell what is gone."""
    return not any(
        "nothing removed" in note for note in ran.report["streams"][stream].get("notes", ())
    )


def as_sent(row: JSON) -> JSON:
    """A row of a table as the source writes it."""
    out = {"k": row["k"], "email": row["email"]}
    if row["wrong"] == "invalid":
        out["email"] = {"no": "text"}
    if row["wrong"] == "refused":
        out["email"] = row["email"].replace("@", " at ")
    if "tag" in row:
        out["tags"] = [row["tag"], "shared"]
    return out


def stands_for(rows: Rows) -> dict[str, JSON]:
    """Key -> the row that counts: the last one."""
    return {row["k"]: row for row in rows if row["k"] is not None}


def contacts(sandbox: Sandbox, vendor: str) -> list[str]:
    found = sandbox.state(vendor)["members" if vendor == "autoreach" else "contacts"]
    name = "Email" if vendor == "merlin" else "email"
    return sorted(str(row[name]).lower() for row in found.values())


VENDORS = {
    "autoreach": ("target-autoreach", "members"),
    "rei": ("target-reisoftware", "contacts"),
    "merlin": ("target-actionapi", "contacts"),
}


def vendor_row(row: JSON, vendor: str) -> JSON:
    row = as_sent(row)
    if vendor == "merlin":
        row["Email"] = row.pop("email")
        row |= {"Fname": "Ann", "Lname": "Lee"}
    return row


@pytest.mark.parametrize("vendor", VENDORS)
@examples(8)
@given(extracts=tables(PEOPLE_ROWS))
def test_nobody_that_the_extract_stands_for_is_missing(
    sandbox: Sandbox, folders: Path, vendor: str, extracts: list[Rows]
) -> None:
    sandbox.reset()
    target, stream = VENDORS[vendor]
    table = "members" if vendor == "autoreach" else "contacts"
    id_, name = ("idContact", "Email") if vendor == "merlin" else ("id", "email")
    sandbox.put_state(vendor, {table: [{id_: 999, name: FOREIGN}]})
    mirror = Mirror(target, sandbox, folders, stream)
    rejected = False
    for rows in extracts:
        ran = mirror.extract([vendor_row(row, vendor) for row in rows])
        there = contacts(sandbox, vendor)
        rejected = rejected or bool(ran.rejects)
        assert there.count(FOREIGN) == 1, "what this sync never wrote"
        assert rejected or len(set(there)) == len(there), "created twice"
        check_present(rows, ran, there)
    for _ in range(2):
        ran = mirror.extract([vendor_row(row, vendor) for row in rows])
    there = contacts(sandbox, vendor)
    check_present(rows, ran, there)
    # A row that is rejected keeps what it names, for as long as it is.
    if not ran.rejects and removes(ran, stream):
        assert there == sorted(
            {FOREIGN} | {row["email"].lower() for row in stands_for(rows).values()}
        )
    mirror.end()


def check_present(rows: Rows, ran: Ran, there: list[str]) -> None:
    """Each row is delivered, or it is in the rejects."""
    outstanding = {reject["record"]["k"] for reject in ran.rejects}
    for key, row in stands_for(rows).items():
        wrong = row["wrong"] is not None
        assert wrong <= (key in outstanding), f"{key} is lost"
        if key not in outstanding:
            assert row["email"].lower() in there, f"{key} is missing"
    assert None in outstanding or all(row["k"] is not None for row in rows), "a row is lost"


@examples(12)
@given(extracts=tables(TAG_ROWS))
def test_no_tag_that_the_extract_stands_for_is_missing(
    sandbox: Sandbox, folders: Path, extracts: list[Rows]
) -> None:
    sandbox.reset()
    people = [{"id": text, "email": text, "tags": ["own"]} for text in EMAILS]
    sandbox.options("rei", tags_lowercase=True)  # tags that differ in their case alone are one
    sandbox.put_state("rei", {"contacts": people})
    mirror = Mirror("target-reisoftware", sandbox, folders, "contact_tags")

    def check(rows: Rows, ran: Ran, *, all_gone: bool) -> None:
        tags = {
            k: {t.lower() for t in c["tags"]} for k, c in sandbox.state("rei")["contacts"].items()
        }
        outstanding = {reject["record"]["k"] for reject in ran.rejects}
        wanted: dict[str, set[str]] = {text: {"own"} for text in EMAILS}
        for key, row in stands_for(rows).items():
            if row["wrong"] is None:
                assert key not in outstanding, f"{key} was rejected"
                wanted[row["email"].lower()] |= {row["tag"].lower(), "shared"}
            else:
                assert key in outstanding, f"{key} is lost"
        for contact, there in tags.items():
            assert wanted[contact] <= there, f"{wanted[contact] - there} of {contact} is missing"
            assert not all_gone or there == wanted[contact]

    for rows in extracts:
        ran = mirror.extract([as_sent(row) for row in rows])
        check(rows, ran, all_gone=False)
    for _ in range(2):
        ran = mirror.extract([as_sent(row) for row in rows])
    all_gone = removes(ran, "contact_tags") and not ran.rejects
    check(rows, ran, all_gone=all_gone)
    mirror.end()


def campaigns(sandbox: Sandbox) -> dict[str, set[str]]:
    found: dict[str, Any] = sandbox.state("rei")["contact_campaigns"]
    return {contact: set(ids) for contact, ids in found.items()}


@examples(8)
@given(extracts=tables(TAG_ROWS))
def test_no_campaign_that_the_extract_stands_for_is_missing(
    sandbox: Sandbox, folders: Path, extracts: list[Rows]
) -> None:
    sandbox.reset()
    people = [{"id": text, "email": text} for text in EMAILS]
    ids = ["vip", "VIP", "owner", "own"]
    sandbox.put_state("rei", {"contacts": people, "campaigns": [{"id": i} for i in ids]})
    sandbox.put_state("rei", {"contact_campaigns": {text: ["own"] for text in EMAILS}})
    mirror = Mirror("target-reisoftware", sandbox, folders, "contact_campaigns")

    def row_of(row: JSON) -> JSON:
        out = as_sent(row)
        out.pop("tags")
        return {**out, "campaignId": row["tag"]}

    for number in range(len(extracts) + 2):
        rows = extracts[min(number, len(extracts) - 1)]
        ran = mirror.extract([row_of(row) for row in rows])
        wanted: dict[str, set[str]] = {text: {"own"} for text in EMAILS}
        for row in stands_for(rows).values():
            if row["wrong"] is None:
                wanted[row["email"].lower()].add(row["tag"])
        there = campaigns(sandbox)
        for contact in EMAILS:
            assert wanted[contact] <= there.get(contact, set()), "missing"
        if number > len(extracts) and removes(ran, "contact_campaigns") and not ran.rejects:
            assert there == wanted
    mirror.end()
