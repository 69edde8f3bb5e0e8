"""`dndSettings` of API v2: a stop for one channel is not one for the others."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from singer_sandbox import Sandbox
from tests.front_door import JSON, Plugin, record, schema
from tests.tapping import Tap, only
from tests.targets.reisoftware.test_contacts import contacts, held, reasons
from tests.targets.reisoftware.versions import target

SMS_STOP: JSON = {"SMS": {"status": "active", "message": "STOP"}}


@pytest.fixture
def rei(sandbox: Sandbox, tmp_path: Path) -> Iterator[Plugin]:
    yield from target("v2", sandbox, tmp_path)


def settings(sandbox: Sandbox) -> list[JSON]:
    return [contact["dndSettings"] for contact in held(sandbox)]


@pytest.mark.parametrize(
    "given", [SMS_STOP, json.dumps(SMS_STOP), {"sms": {**SMS_STOP["SMS"], "code": None}}]
)
def test_a_stop_is_written_by_channel(rei: Plugin, given: Any) -> None:
    row = {"key": "1", "email": "ann@example.com", "dndSettings": given}
    result = rei.run(contacts(row))
    assert result.exit_code == 0, result.stderr
    assert "left out" not in result.stderr
    assert settings(rei.sandbox) == [SMS_STOP]
    row["dndSettings"] = {"SMS": "inactive", "Email": "permanent"}
    assert rei.run(contacts(row)).counts("contacts")["updated"] == 1
    assert settings(rei.sandbox)[0]["Email"] == {"status": "permanent"}
    assert settings(rei.sandbox)[0]["SMS"]["status"] == "inactive"


def test_the_header_v3_spells_channels_its_own_way(rei: Plugin, tmp_path: Path) -> None:
    row = {"key": "1", "email": "ann@example.com", "dndSettings": SMS_STOP}
    assert rei.run(contacts(row), version_header="v3").exit_code == 0
    assert settings(rei.sandbox) == [SMS_STOP]
    (tmp_path / "tap").mkdir()
    read_by = rei.sandbox.settings("tap-reisoftware", "v2")
    tap = Tap("tap-reisoftware", rei.sandbox, tmp_path / "tap", **read_by, version_header="v3")
    (read,) = tap.run(catalog=only(tap.discover(), "contacts")).records("contacts")
    assert read["dndSettings"] == SMS_STOP


def test_no_settings_are_not_sent_and_the_stops_of_the_vendor_hold(rei: Plugin) -> None:
    row = {"key": "1", "email": "ann@example.com", "dndSettings": SMS_STOP}
    rei.run(contacts(row))
    row = {**row, "dndSettings": {}, "firstName": "Ann"}
    assert rei.run(contacts(row)).exit_code == 0
    assert settings(rei.sandbox) == [SMS_STOP]


@pytest.mark.parametrize("given", ["stop", ["SMS"], {"SMS": {"status": "stop"}}, {"SMS": True}])
def test_what_is_no_stop_is_rejected(rei: Plugin, given: Any) -> None:
    row = {"key": "1", "email": "ann@example.com", "dndSettings": given}
    result = rei.run(contacts(row))
    (reason,) = reasons(result)
    assert "dndSettings" in reason
    assert held(rei.sandbox) == []


def test_a_stop_for_sms_does_not_stop_emails(
    sandbox: Sandbox, tmp_path: Path, kasplo: Plugin
) -> None:
    rows = [
        schema("contacts", {"id": {}, "email": {}, "phone": {}, "dndSettings": {}}, ("id",)),
        record("contacts", id="1", email="ann@example.com", phone="+15551234567",
               dndSettings=SMS_STOP),
        record("contacts", id="2", email="bob@example.com", phone="+15551234568",
               dndSettings={"Email": {"status": "permanent"}}),
        record("contacts", id="3", email="cy@example.com", phone="+15551234569", dndSettings={}),
    ]  # fmt: skip
    stop = "(dndSettings or {}).get('CHANNEL', {}).get('status') in ('active', 'permanent')"
    suppressed = {"__source__": "contacts", "__key_properties__": ["id"], "id": "id",
                  "email": "email", "phone": "phone", "__else__": "__NULL__"}  # fmt: skip
    emails = {**suppressed, "__filter__": stop.replace("CHANNEL", "Email")}
    mine = {"__key_properties__": ["email"], "email": "email", "__else__": "__NULL__"}
    maps = {"suppressions": emails, "contacts": mine}
    result = kasplo.run(rows, stream_maps=maps)
    assert result.exit_code == 0, result.stderr
    reached = {contact["email"] for contact in sandbox.state("kasplo")["contacts"].values()}
    assert reached == {"ann@example.com", "cy@example.com"}
    merlin = Plugin("target-actionapi", sandbox, tmp_path / "merlin", first_run=True)
    (tmp_path / "merlin").mkdir()
    texts = {**suppressed, "__filter__": stop.replace("CHANNEL", "SMS")}
    message = {"__alias__": "sms", "__key_properties__": ["id"], "id": "id", "number": "phone",
               "text": "'Hello'", "__else__": "__NULL__"}  # fmt: skip
    result = merlin.run(rows, stream_maps={"suppressions": texts, "contacts": message})
    assert result.exit_code == 0, result.stderr
    numbers = {sms["number"] for sms in sandbox.state("merlin")["sms"]}
    assert numbers == {"+15551234568", "+15551234569"}
