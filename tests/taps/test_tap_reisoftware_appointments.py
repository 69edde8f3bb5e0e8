"""tap-reisoftware reads the appointments of contacts, side by side."""

from __future__ import annotations

from pathlib import Path

import pytest

from singer_sandbox import Sandbox
from tests.contacts import change, contact, numbers, only_v1
from tests.front_door import JSON
from tests.tapping import Tap, only


@pytest.fixture
def both(rei: Tap) -> JSON:
    """A catalog of contacts and their appointments."""
    return only(rei.discover(), "contacts", "appointments")


@only_v1
@pytest.mark.parametrize("form", ["empty-object-when-none", "appointments", "events"])
def test_appointments_come_in_every_envelope(
    sandbox: Sandbox, rei: Tap, both: JSON, form: str
) -> None:
    sandbox.seed()
    sandbox.options("rei", appointments_form=form)
    done = rei.read(catalog=both)
    held = sandbox.state("rei")["appointments"]
    assert {row["id"]: row for row in done.records("appointments")} == held
    assert done.state["bookmarks"]["appointments"] == {}


def test_appointments_are_read_without_contacts(sandbox: Sandbox, rei: Tap, both: JSON) -> None:
    sandbox.seed()
    done = rei.read(catalog=only(both, "appointments"))
    assert done.streams == {"appointments"}
    assert len(done.records("appointments")) == 12
    assert "replication_key_value" not in done.state["bookmarks"].get("contacts", {})


def test_appointments_of_all_contacts_are_read_in_every_run(
    sandbox: Sandbox, rei: Tap, both: JSON
) -> None:
    sandbox.seed()
    state = rei.read(catalog=both).state
    sandbox.put_state("rei", {"appointments": [{"id": "new", "contactId": contact(3)}]})
    done = rei.read(catalog=both, state=state)
    assert numbers(done.records("contacts")) == [60]
    assert len(done.records("appointments")) == 13


def test_appointments_of_changed_contacts_are_read_alone(
    sandbox: Sandbox, rei: Tap, both: JSON
) -> None:
    sandbox.seed()
    first = rei.read(catalog=both, appointments_of="changed")
    assert len(first.records("appointments")) == 12
    sandbox.put_state(
        "rei", {"appointments": [{"id": f"new{n}", "contactId": contact(n)} for n in (3, 4)]}
    )
    change(sandbox, 3)
    sandbox.log(clear=True)
    done = rei.read(catalog=both, state=first.state, appointments_of="changed")
    assert {row["id"] for row in done.records("appointments")} == {"new3"}
    asked = [r for r in sandbox.requests("rei") if "appointments" in r["template"]]
    assert len(asked) == 2  # contact 3, and the one at the bookmark


def test_appointments_are_asked_for_side_by_side(sandbox: Sandbox, rei: Tap, both: JSON) -> None:
    sandbox.fill("rei", contacts=100)
    sandbox.options("rei", latency_ms=30)
    rei.read(catalog=both, concurrency=8)
    assert sandbox.counts()["max_in_flight"]["rei"] == 8


@pytest.mark.parametrize("status", [404, 400, 422])
def test_a_contact_that_is_gone_has_no_appointments(
    sandbox: Sandbox, rei: Tap, both: JSON, status: int
) -> None:
    sandbox.seed()
    sandbox.options("rei", unknown_contact_status=status)
    sandbox.fault(vendor="rei", path="contacts/.*/appointments", hold="gone")
    process = rei.start(catalog=both, concurrency=1)
    sandbox.wait_held("gone")
    for number in range(1, 61):
        if number > 30:
            sandbox.remove("rei", "contacts", contact(number))
    sandbox.release("gone")
    done = rei.finish(process)
    assert done.exit_code == 0, done.stderr
    assert len(done.records("appointments")) == 6


def test_the_rate_limit_holds_for_appointments(sandbox: Sandbox, rei: Tap, both: JSON) -> None:
    sandbox.fill("rei", contacts=60)
    rei.read(catalog=both, rate_limit="20/1s", concurrency=8)
    assert sandbox.rates("rei", 1)["max"] <= 20


def test_stream_maps_leave_appointments_side_by_side(
    sandbox: Sandbox, rei: Tap, both: JSON
) -> None:
    sandbox.seed()
    maps = {"contacts": {"__alias__": "people", "external_id": "id", "__filter__": "id[-1] != '1'"}}
    done = rei.read(catalog=both, stream_maps=maps)
    assert len(done.records("people")) == 54
    # As in the SDK: what the map filters out has no children either.
    assert {row["contactId"][-1] for row in done.records("appointments")} == {"6"}
    assert sum(message["type"] == "SCHEMA" for message in done.messages) == 2


def test_batch_files_of_contacts_leave_appointments_as_records(
    sandbox: Sandbox, rei: Tap, both: JSON, tmp_path: Path
) -> None:
    sandbox.seed()
    (tmp_path / "files").mkdir()
    batch = {
        "encoding": {"format": "jsonl", "compression": "none"},
        "storage": {"root": f"file://{tmp_path}/files"},
    }
    done = rei.read(catalog=both, batch_config=batch)
    assert len(done.records("appointments")) == 12
    assert [m["stream"] for m in done.messages if m["type"] == "BATCH"] == ["contacts"]
    assert done.state["bookmarks"]["contacts"]["replication_key"] == "dateUpdated"
