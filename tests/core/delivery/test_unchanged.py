"""A record that is as it was when it was delivered is passed over; whatever bears on it is noticed.

The ledger keeps a digest of the record beside that of what was sent (docs/delivery.md).
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from singer_http.sink.base import HTTPSink
from singer_sandbox import Sandbox
from target_actionapi.target import TargetActionApi
from target_autoreach.target import TargetAutoReach
from target_emailmarketing.target import TargetEmailMarketing
from target_reisoftware.target import TargetReiSoftware
from tests.front_door import JSON, Plugin, Result, adds_up, record, schema
from tests.people import SCHEMA, patches, people_at, person

# A field of free text, so that the vendor takes both forms.
WHEN = schema("people", ("id", "last_name"))
DATES = schema(
    "people",
    {"id": {"type": "string"}, "last_name": {"type": "string", "format": "date-time"}},
)
SEEN = record("people", id="p1", last_name="2024-05-01T10:00:00Z")
INNER = schema("people", {"id": {"type": "string"}, "custom_fields": {"type": "object"}})
ODD = record("people", id="p1", custom_fields={"nobody_knows": "this"})


def sent_again(plugin: Plugin, sandbox: Sandbox, *messages: JSON, **config: Any) -> bool:
    """Whether a run sent the one record of its input."""
    sandbox.log(clear=True)
    result = plugin.run(messages, **config)
    assert result.exit_code == 0, result.error
    assert adds_up(result.report)
    assert result.counts("people") in (
        {"received": 1, "unchanged": 1}, {"received": 1, "upserted": 1},
    )  # fmt: skip
    assert bool(patches(sandbox)) is ("upserted" in result.counts("people"))
    return bool(patches(sandbox))


def compared(result: Result) -> bool:
    """Whether the record with the odd custom field was mapped: that is when it is warned of."""
    return "nobody_knows" in result.stderr


def test_it_is_neither_sent_nor_mapped(people: Plugin) -> None:
    assert compared(people.run([INNER, ODD]))
    again = people.run([INNER, ODD])
    assert not compared(again)
    assert again.counts("people") == {"received": 1, "unchanged": 1}


@pytest.mark.parametrize(
    "config", [{"concurrency": 2}, {"unknown_fields": "warn", "max_rejects": "7"}]
)
def test_settings_that_change_nothing_at_the_vendor_do_not_send_it_again(
    people: Plugin, sandbox: Sandbox, config: JSON
) -> None:
    assert sent_again(people, sandbox, SCHEMA, person(1))
    assert not sent_again(people, sandbox, SCHEMA, person(1), **config)
    assert not sent_again(people, sandbox, SCHEMA, person(1), **config)


def test_it_is_passed_over_again_once_its_source_has_another_form(people: Plugin) -> None:
    wider = schema("people", {**INNER["schema"]["properties"], "email": {"type": "null"}})
    people.run([INNER, ODD])
    assert compared(people.run([wider, ODD]))
    again = people.run([wider, ODD])
    assert not compared(again)
    assert again.counts("people") == {"received": 1, "unchanged": 1}


@pytest.mark.parametrize("column", ["_sdc_batched_at", "updated_at", "rows"])
def test_columns_of_which_nothing_is_made_may_change(people: Plugin, column: str) -> None:
    """What the SDK adds, what the vendor writes itself, the count of a mirror."""
    columns = schema("people", {**INNER["schema"]["properties"], column: {"type": "integer"}})

    def run(value: int) -> Result:
        return people.run(
            [columns, record("people", **ODD["record"], **{column: value})],
            mode="mirror",
            mirror_count="rows" if column == "rows" else "trust",
        )

    assert compared(run(1))
    again = run(2)
    assert not compared(again)
    assert again.counts("people") == {"received": 1, "unchanged": 1}


def test_a_schema_that_changes_what_a_value_means_sends_it_again(
    people: Plugin, sandbox: Sandbox
) -> None:
    assert sent_again(people, sandbox, WHEN, SEEN)
    assert people_at(sandbox)["p1"]["last_name"] == "2024-05-01T10:00:00Z"
    assert sent_again(people, sandbox, DATES, SEEN)
    assert people_at(sandbox)["p1"]["last_name"] == "2024-05-01 10:00:00 +0000"


def test_a_mapping_that_changes_sends_it_again(people: Plugin, sandbox: Sandbox) -> None:
    lower = {"people": {"first_name": "first_name.lower()"}}
    assert sent_again(people, sandbox, SCHEMA, person(1))
    assert sent_again(people, sandbox, SCHEMA, person(1), stream_maps=lower)
    assert not sent_again(people, sandbox, SCHEMA, person(1), stream_maps=lower)
    assert people_at(sandbox)["p1"]["first_name"] == "p1"


def test_a_custom_field_that_the_account_has_by_now_sends_it(
    people: Plugin, sandbox: Sandbox
) -> None:
    people.run([INNER, ODD])
    assert not people_at(sandbox)["p1"].get("custom_fields")
    sandbox.put_state("autoreach", {"custom_fields": [{"key": "nobody_knows"}]})
    assert sent_again(people, sandbox, INNER, ODD)
    assert people_at(sandbox)["p1"]["custom_fields"] == {"nobody_knows": "this"}


def test_a_schema_that_it_does_not_fit_any_more_rejects_it(people: Plugin) -> None:
    people.run([SCHEMA, person(1)])
    strict = schema("people", {**SCHEMA["schema"]["properties"], "email": {"type": "integer"}})
    result = people.run([strict, person(1)], max_rejects="5")
    assert result.counts("people") == {"received": 1, "rejected": 1}
    assert result.rejects[0]["rejection"]["kind"] == "invalid"


def test_it_counts_only_where_it_is_the_last_copy_of_its_key(
    people: Plugin, sandbox: Sandbox
) -> None:
    old, new = person(1), person(1, first_name="New")
    people.run([SCHEMA, old])

    result = people.run([SCHEMA, old, new])
    assert result.counts("people") == {"received": 2, "merged": 1, "upserted": 1}
    assert people_at(sandbox)["p1"]["first_name"] == "New"

    result = people.run([SCHEMA, old, new])
    assert result.counts("people") == {"received": 2, "merged": 1, "unchanged": 1}

    result = people.run([SCHEMA, new, old])
    assert result.counts("people") == {"received": 2, "merged": 1, "upserted": 1}
    assert people_at(sandbox)["p1"]["first_name"] == "P1"


def test_a_reject_leaves_when_the_source_goes_back_to_what_was_delivered(
    people: Plugin, sandbox: Sandbox
) -> None:
    people.run([SCHEMA, person(1)])
    refused = people.run([SCHEMA, person(1, email="nonsense")], max_rejects="5")
    assert len(refused.rejects) == 1
    back = people.run([SCHEMA, person(1)])
    assert back.counts("people") == {"received": 1, "unchanged": 1}
    assert not back.rejects
    assert people_at(sandbox)["p1"]["email"] == "p1@example.com"


def test_a_delete_and_what_comes_after_it_are_told_apart(people: Plugin, sandbox: Sandbox) -> None:
    gone = person(1, _sdc_deleted_at="2024-01-01T00:00:00Z")
    people.run([SCHEMA, person(1)])
    assert people.run([SCHEMA, gone]).counts("people") == {"received": 1, "deleted": 1}
    assert people.run([SCHEMA, gone]).counts("people") == {"received": 1, "unchanged": 1}
    assert people.run([SCHEMA, person(1)]).counts("people") == {"received": 1, "upserted": 1}
    assert "p1" in people_at(sandbox)


@pytest.mark.parametrize(
    ("name", "vendor", "stream", "id_", "email", "field"),
    [
        ("target-autoreach", "autoreach", "people", "id", "email", "last_name"),
        ("target-autoreach", "autoreach", "members", "id", "email", "last_name"),
        ("target-reisoftware", "rei", "contacts", "id", "email", "lastName"),
        ("target-actionapi", "merlin", "contacts", "idContact", "Email", "Lname"),
    ],
)
def test_it_goes_out_if_it_is_another_one_at_the_vendor_now(
    sandbox: Sandbox,
    tmp_path: Path,
    name: str,
    vendor: str,
    stream: str,
    id_: str,
    email: str,
    field: str,
) -> None:
    """The id is no field of what is sent: nothing else has changed."""
    there = [{id_: number, email: f"p{number}@example.com"} for number in (11, 12)]
    sandbox.put_state(vendor, {stream: there})
    plugin = Plugin(name, sandbox, tmp_path, keys={stream: ["row"]})
    columns = schema(stream, ("row", id_, field))
    for number, unchanged in (("11", 0), ("12", 0), ("12", 1)):
        row = {"row": "r1", id_: number, field: "Smith"}
        counts = plugin.run([columns, record(stream, **row)]).counts(stream)
        assert not counts.get("rejected")
        assert counts.get("unchanged", 0) == unchanged
    found = sandbox.state(vendor)[stream]
    assert [found[number][field] for number in ("11", "12")] == ["Smith", "Smith"]


def test_an_id_that_the_source_learns_is_no_change(people: Plugin, sandbox: Sandbox) -> None:
    """Written back into the warehouse: what was created goes by its id from now on."""
    columns = ("email", "list_id", "last_name")
    sandbox.put_state("autoreach", {"lists": [{"id": 1, "name": "Owners"}]})
    row = {"email": "p1@example.com", "list_id": "1", "last_name": "Smith"}
    people.run([schema("members", columns, ("email",)), record("members", **row)])
    (id_,) = sandbox.state("autoreach")["members"]
    known = [schema("members", (*columns, "id"), ("email",)), record("members", **row, id=id_)]
    assert people.run(known).counts("members") == {"received": 1, "unchanged": 1}


SINKS = [
    sink
    for target in (TargetAutoReach, TargetReiSoftware, TargetEmailMarketing, TargetActionApi)
    for sink in target.sinks
]


@pytest.mark.parametrize("sink", SINKS, ids=lambda sink: f"{sink.__module__}.{sink.stream}")
def test_only_sinks_whose_records_say_it_all_pass_over(sink: type[HTTPSink]) -> None:
    own = [
        name
        for name in ("skip", "is_current")
        if not getattr(sink, name).__module__.startswith("singer_http.")
    ]
    assert not (sink.deterministic and (own or sink.at_most_once))
