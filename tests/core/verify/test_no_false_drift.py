"""Whatever a record holds, what was just delivered is no difference.

Many records are delivered by one run, since each run and each comparison is a process.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from typing_extensions import override

from singer_sandbox import Sandbox
from tests.core.rules.values import TEXTS
from tests.core.verify.vendors import NAMES, Vendor, vendor
from tests.front_door import JSON, record, schema

EXAMPLES = settings(
    max_examples=3,
    deadline=None,
    # An example is many records, and takes seconds: it is not made smaller when it fails.
    suppress_health_check=list(HealthCheck),
    phases=[Phase.explicit, Phase.reuse, Phase.generate],
)
ROWS = 40

TEXT = st.one_of(
    TEXTS,
    st.sampled_from(
        [" Ann ", "ANN", "Jose\u0301", "007", "7.0", "1e3", "+1", "2024-05-01", "true", "Yes", "-"]
    ),
)
NUMBER = st.one_of(
    st.integers(-(10**12), 10**12),
    st.floats(allow_nan=False, allow_infinity=False, width=32),
    st.sampled_from(["7", "7.0", " 7.50 ", "1e3", "0.10", "-0", 0, True, False]),
)
TIME = st.one_of(
    st.datetimes().map(lambda moment: moment.isoformat()),
    st.sampled_from(
        [
            "2024-05-01", "2024-05-01T00:00:00Z", "2024-05-01T10:20:30.456Z",
            "2024-05-01T23:30:00-05:00", "2024-12-31T23:59:59.999999Z", "1969-07-20", "20240501",
            1714521600000, "1714521600000", "2024-05-01 20:18:57 +0000",
        ]
    ),
)  # fmt: skip
FLAG = st.sampled_from([True, False, "true", "FALSE", "yes", "n", 1, 0, "1"])
CHOICES = ["sell", "rent", "buy, later", " keep "]
OPTIONS = st.one_of(
    st.lists(st.sampled_from(CHOICES), max_size=4),
    st.sampled_from(["sell, rent", "rent,sell", '["rent", "sell"]', "buy, later"]),
)
NOTHING = st.sampled_from([None, ""])


def maybe(values: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.one_of(values, values, values, NOTHING)


REI_FIELDS: list[JSON] = [
    {"id": "f1", "name": "Parcel", "fieldKey": "contact.parcel", "dataType": "TEXT"},
    {"id": "f2", "name": "Sale", "fieldKey": "contact.sale", "dataType": "DATE"},
    {"id": "f3", "name": "Value", "fieldKey": "contact.value", "dataType": "NUMERICAL"},
    {
        "id": "f4", "name": "Interests", "fieldKey": "contact.interests",
        "dataType": "MULTIPLE_OPTIONS", "picklistOptions": CHOICES,
    },
    {
        "id": "f5", "name": "Motive", "fieldKey": "contact.motive",
        "dataType": "SINGLE_OPTIONS", "picklistOptions": CHOICES,
    },
    {"id": "f6", "name": "Price", "fieldKey": "contact.price", "dataType": "MONETORY"},
    {"id": "f7", "name": "Note", "fieldKey": "contact.note", "dataType": "LARGE_TEXT"},
    {"id": "f8", "name": "Mobile", "fieldKey": "contact.mobile", "dataType": "PHONE"},
    {"id": "f9", "name": "Odd", "fieldKey": "contact.odd", "dataType": "SIGNATURE"},
]  # fmt: skip
REI: dict[str, st.SearchStrategy[Any]] = {
    **dict.fromkeys(
        ("firstName", "lastName", "companyName", "address1", "city", "state", "country", "website",
         "timezone", "source"),
        TEXT,
    ),
    "postalCode": st.one_of(TEXT, st.integers(0, 99999)),
    "dateOfBirth": TIME,
    "dnd": FLAG,
    "tags": st.one_of(st.lists(TEXT, max_size=3), TEXT),
    "f1": st.one_of(TEXT, NUMBER, FLAG),
    "f2": TIME,
    "f3": NUMBER,
    "f4": OPTIONS,
    "f5": st.sampled_from(CHOICES),
    "f6": NUMBER,
    "f7": TEXT,
    "f8": st.sampled_from(["(555) 201-0042", "+1 555 201 0042", "5552010042", "x"]),
    "f9": st.one_of(TEXT, NUMBER, st.lists(TEXT, max_size=2)),
}  # fmt: skip
AUTOREACH: dict[str, st.SearchStrategy[Any]] = {
    "first_name": TEXT,
    "last_name": TEXT,
    "previous_contact_date": TIME,
    "external_id": TEXT,
    "list_id": st.sampled_from(["1", "2", 1]),
    "c1": st.one_of(TEXT, NUMBER, FLAG),
    "c2": st.one_of(TIME, st.lists(TEXT, max_size=2)),
}
MERLIN: dict[str, st.SearchStrategy[Any]] = {
    "Fname": TEXT,
    "Lname": TEXT,
    "Opportunitie": TEXT,
    "town": st.one_of(TEXT, NUMBER),
    "day": TIME,
}
COLUMNS = {"v1": REI, "v2": REI, "autoreach": AUTOREACH, "merlin": MERLIN}
DATES = {"dateOfBirth", "f2", "previous_contact_date", "c2", "day"}
EMAIL = st.sampled_from(["p{}@example.com", " P{}@Example.COM "])
PHONE = st.sampled_from(
    [
        "+1555201{:04d}",
        "(555) 201-{:04d}",
        "1 555 201 {:04d}",
        "+44 20 7946 {:04d}",
        "555.201.{:04d}",
    ]
)


class Rows:
    """Records; what fails is shown by the test, not all of them."""

    def __init__(self, rows: list[JSON]) -> None:
        self.rows = rows

    @override
    def __repr__(self) -> str:
        return f"{len(self.rows)} rows"


@st.composite
def rows(draw: st.DrawFn, name: str) -> Rows:
    """Records of different people, in all forms."""
    fields = {column: maybe(values) for column, values in COLUMNS[name].items()}
    row = st.fixed_dictionaries({"the email": EMAIL, "the phone": PHONE, **fields})
    found = draw(st.lists(row, min_size=ROWS // 2, max_size=ROWS))
    for number, one in enumerate(found):
        one["key"] = f"k{number}"
        for column in ("the email", "the phone"):
            one[column] = one[column].format(number)
    return Rows(found)


def messages(target: Vendor, given_rows: list[JSON]) -> list[JSON]:
    names = {"the email": target.email, "the phone": target.phone}
    full = [{names.get(name, name): value for name, value in row.items()} for row in given_rows]
    time = {"anyOf": [{"type": "string", "format": "date-time"}, {}]}
    properties = {name: time if name in DATES else {} for name in full[0]}
    return [
        schema(target.stream, properties, ("key",)),
        *(record(target.stream, **row) for row in full),
    ]


def prepare(name: str, sandbox: Sandbox) -> JSON:
    """An account with custom fields; the settings that it asks for."""
    sandbox.reset()
    if name in ("v1", "v2"):
        sandbox.put_state("rei", {"custom_fields": REI_FIELDS})
    elif name == "autoreach":
        fields = [{"id": key, "key": key, "name": key} for key in ("c1", "c2")]
        lists = [{"id": key, "name": key} for key in ("1", "2")]
        sandbox.put_state("autoreach", {"custom_fields": fields, "lists": lists})
    else:
        return {"custom_fields": {"town": "1", "day": "2"}}
    return {}


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("nulls", ["omit", "send"])
def test_what_was_just_delivered_is_no_difference(sandbox: Sandbox, name: str, nulls: str) -> None:
    @EXAMPLES
    @given(rows(name), rows(name), st.sampled_from([None, "US"]))
    def one_history(first: Rows, second: Rows, region: str | None) -> None:
        config = prepare(name, sandbox) | {
            "nulls": nulls, "max_rejects": "", "unknown_fields": "warn", "phone_region": region,
        }  # fmt: skip
        with tempfile.TemporaryDirectory() as folder:
            for target in vendor(name, sandbox, Path(folder), **config):
                for now in (first.rows, second.rows):
                    result = target.plugin.run(messages(target, now))
                    assert result.exit_code == 0, result.stderr
                    result = target.verify()
                    sent = {row["key"]: row for row in (*first.rows, *now)}
                    held = target.at_vendor()
                    found = [
                        (name, value, sent[line["key"]].get(name), held[int(line["key"][1:])])
                        for line in target.drift()
                        for name, value in line["fields"].items()
                    ]
                    assert found[:1] == []
                    assert result.exit_code == 0, result.stderr

    one_history()
