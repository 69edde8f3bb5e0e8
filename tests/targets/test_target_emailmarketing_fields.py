"""target-emailmarketing holds custom fields to the account's definitions before it sends them."""

from __future__ import annotations

from typing import Any

import pytest

from singer_sandbox import Sandbox
from tests.front_door import Plugin, schema
from tests.subscribers import NEWS, SCHEMA, contact, contacts_at, reasons

# --- custom fields ----------------------------------------------------------------------------


def test_custom_fields_go_out_by_name_from_columns_and_from_the_object(
    kasplo: Plugin, sandbox: Sandbox
) -> None:
    fields = [{"name": "Pet Name", "custom_id": "c2"}]
    sandbox.put_state("kasplo", {"custom_fields": fields})
    columns = schema("contacts", {"email": {}, "City": {}, "custom_fields": {}}, ("email",))
    row = contact("a@example.com", City="Pune", custom_fields={"c2": "Rex", "nope": 1})
    result = kasplo.run([columns, row, contact("b@example.com", custom_fields={"pet_name": "Tom"})])
    held = contacts_at(sandbox)
    assert held[f"{NEWS}/a@example.com"]["custom_fields"] == {"city": "Pune", "Pet Name": "Rex"}
    assert held[f"{NEWS}/b@example.com"]["custom_fields"] == {"Pet Name": "Tom"}
    assert "nope" in result.stderr


@pytest.mark.parametrize(
    ("kind", "good", "bad"),
    [
        ("boolean", [True, "false", 1, "Yes"], ["maybe", 2]),
        ("numeric", [5, 2.5, "-7", "1.25"], ["five", True, "1,5"]),
        ("date", ["2026-01-31", "2026-01-31T10:00:00+00:00"], ["31.01.2026", 5]),
        ("string", ["x", 25, True], [["x"], {"a": 1}]),
    ],
)
def test_values_are_held_to_their_type_before_sending(
    kasplo: Plugin, sandbox: Sandbox, kind: str, good: list[Any], bad: list[Any]
) -> None:
    sandbox.put_state(
        "kasplo", {"custom_fields": [{"name": "city", "custom_id": "c1", "type": kind}]}
    )
    rows = [contact(f"good{i}@example.com", City=value) for i, value in enumerate(good)]
    wrong = [contact(f"bad{i}@example.com", City=value) for i, value in enumerate(bad)]
    result = kasplo.run([SCHEMA, *rows, *wrong], max_rejects="")
    assert result.counts("contacts")["upserted"] == len(good), result.rejects
    found = reasons(result.rejects)
    assert len(found) == len(bad)
    assert all(k == "invalid" and text.startswith("city: ") for k, text in found.values())


@pytest.mark.parametrize("separator", [", ", ";", "|", "\n"])
def test_a_dropdown_takes_its_choices_whatever_separates_them(
    kasplo: Plugin, sandbox: Sandbox, separator: str
) -> None:
    choices = {"type": "dropdown", "values": separator.join(["Gold", "Silver", "No one"])}
    sandbox.put_state("kasplo", {"custom_fields": [{"name": "city", "custom_id": "c1", **choices}]})
    sandbox.options("kasplo", dropdown_separator=separator)
    rows = [contact("a@example.com", City="No one"), contact("b@example.com", City="Bronze")]
    result = kasplo.run([SCHEMA, *rows])
    kind, reason = reasons(result.rejects)["b@example.com"]
    assert kind == "invalid"
    assert "city: 'Bronze' is none of Gold, Silver, No one" in reason
    assert list(contacts_at(sandbox)) == [f"{NEWS}/a@example.com"]


def test_a_required_field_has_to_be_there(kasplo: Plugin, sandbox: Sandbox) -> None:
    required = {"name": "city", "custom_id": "c1", "required": 1}
    sandbox.put_state("kasplo", {"custom_fields": [required]})
    result = kasplo.run([SCHEMA, contact("a@example.com"), contact("b@example.com", City="Pune")])
    assert result.counts("contacts") == {"received": 2, "upserted": 1, "rejected": 1}
    kind, reason = reasons(result.rejects)["a@example.com"]
    assert kind == "invalid"
    assert "city" in reason
    assert "require" in reason
