"""target-emailmarketing: lists, tags and custom fields, checked against the account's own."""

from __future__ import annotations

from typing import Any

import pytest

from singer_sandbox import Sandbox
from tests.front_door import JSON, Plugin, record, schema
from tests.subscribers import (
    NEWS,
    OFFERS,
    SCHEMA,
    contact,
    contacts_at,
    many,
    posts,
    reasons,
)

# --- lists and tags ---------------------------------------------------------------------------


def test_requests_are_grouped_by_list_and_tags(kasplo: Plugin, sandbox: Sandbox) -> None:
    rows = [
        contact("a@example.com"), contact("b@example.com", tags=["vip"]),
        contact("c@example.com", list="offers"),
        contact("d@example.com", tags="LEAD, vip"), contact("e@example.com", tags=["t1", "t2"]),
        contact("f@example.com", tags=[]), contact("a@example.com", list=OFFERS),
    ]  # fmt: skip
    result = kasplo.run([SCHEMA, *rows], tags=["vip"])
    assert result.counts("contacts") == {"received": 7, "upserted": 7}, result.rejects
    assert {key: contact["tags"] for key, contact in contacts_at(sandbox).items()} == {
        f"{NEWS}/a@example.com": ["t1"],
        f"{NEWS}/b@example.com": ["t1"],
        f"{OFFERS}/c@example.com": ["t1"],
        f"{NEWS}/d@example.com": ["t1", "t2"],
        f"{NEWS}/e@example.com": ["t1", "t2"],
        f"{NEWS}/f@example.com": [],
        f"{OFFERS}/a@example.com": ["t1"],
    }
    assert kasplo.run([SCHEMA, *rows], tags=["t1"]).counts("contacts")["unchanged"] == 7


def test_other_tags_or_another_update_setting_are_a_change(kasplo: Plugin) -> None:
    rows = [SCHEMA, *many(3)]
    kasplo.run(rows)
    for config in ({"tags": ["vip"]}, {"tags": ["vip", "lead"]}, {"list": "Offers"}):
        assert kasplo.run(rows, **config).counts("contacts") == {"received": 3, "upserted": 3}
    assert kasplo.run(rows, list="Offers", tags=["lead", "t1"]).counts("contacts")["upserted"] == 3
    kasplo.run(rows)
    result = kasplo.run(rows, update_subscribers=False)
    assert "unchanged" not in result.counts("contacts")


def test_an_account_that_has_no_lists_at_this_address_needs_a_person(kasplo: Plugin) -> None:
    result = kasplo.run([SCHEMA, *many(1)], api_url=f"{kasplo.config['api_url']}/wrong")
    assert (result.report["outcome"], result.report["needs_person"]) == ("stopped", True)
    assert result.error == "list: HTTP 404: No such address or method.; check api_url"


def test_names_are_found_on_any_page_however_small(kasplo: Plugin, sandbox: Sandbox) -> None:
    more = [{"name": f"List {i}", "list_id": f"l{i}"} for i in range(30)]
    sandbox.put_state("kasplo", {"lists": more})
    sandbox.options("kasplo", page_size_cap=7)
    result = kasplo.run([SCHEMA, contact("a@example.com")], list="List 29")
    assert list(contacts_at(sandbox)) == ["l29/a@example.com"], result.stderr


@pytest.mark.parametrize(
    ("config", "said"),
    [
        ({"list": "Newz"}, "News"),
        ({"list_id": "list-offerz", "list": None}, "Offers"),
        ({"list": "Old"}, "inactive"),
        ({"tags": ["vipp"]}, "vip"),
        ({"tags": ["gone"]}, "inactive"),
    ],
)
def test_an_unknown_list_or_tag_in_the_settings_stops_the_run_with_the_nearest_names(
    kasplo: Plugin, sandbox: Sandbox, config: JSON, said: str
) -> None:
    result = kasplo.run([SCHEMA, *many(3)], **config)
    assert result.exit_code == 1
    assert next(iter(config)) in result.error
    assert said in result.error
    assert posts(sandbox) == []


def test_an_unknown_list_or_tag_in_a_record_rejects_that_record(
    kasplo: Plugin, sandbox: Sandbox
) -> None:
    rows = [
        contact("a@example.com", list="Newz"),
        contact("b@example.com", tags=["vipp"]),
        contact("c@example.com"),
    ]
    result = kasplo.run([SCHEMA, *rows])
    assert result.counts("contacts") == {"received": 3, "upserted": 1, "rejected": 2}
    found = reasons(result.rejects)
    assert found["a@example.com"][0] == found["b@example.com"][0] == "invalid"
    assert "'News'" in found["a@example.com"][1]
    assert "'vip'" in found["b@example.com"][1]


def test_contacts_without_any_list_stop_or_are_rejected(kasplo: Plugin) -> None:
    plain = schema("contacts", ("email",), ("email",))
    result = kasplo.run([plain, contact("a@example.com")], list=None)
    assert result.exit_code == 1
    assert "list_id" in result.error
    result = kasplo.run(
        [SCHEMA, contact("a@example.com"), contact("b@example.com", list="News")], list=None
    )
    assert result.counts("contacts") == {"received": 2, "upserted": 1, "rejected": 1}


@pytest.mark.parametrize("status", [400, 404])
def test_a_list_that_vanishes_stops_the_run_with_the_vendors_words(
    kasplo: Plugin, sandbox: Sandbox, status: int
) -> None:
    sandbox.options("kasplo", unknown_list_status=status)
    sandbox.fault(vendor="kasplo", method="POST", when="before", hold="post", times=None)
    process = kasplo.start([SCHEMA, *many(30)])
    sandbox.wait_held("post", 1)
    sandbox.remove("kasplo", "lists", NEWS)
    sandbox.clear_faults()
    sandbox.release("post")
    result = kasplo.finish(process)
    assert result.exit_code == 1
    assert "Invalid list_id" in result.error
    assert result.rejects == []


def test_a_refusal_of_one_contact_stops_nothing_whatever_words_it_uses(
    kasplo: Plugin, sandbox: Sandbox
) -> None:
    answer = {"status": 400, "message": "p3@example.com is on the block list of this tag."}
    refused = {"method": "POST", "status": 400, "answer": answer, "times": None}
    sandbox.fault(vendor="kasplo", body="p3@example", **refused)
    result = kasplo.run([SCHEMA, *many(5)])
    assert result.counts("contacts") == {"received": 5, "upserted": 4, "rejected": 1}
    assert list(reasons(result.rejects)) == ["p3@example.com"]


def test_a_refusal_that_names_the_list_as_a_field_stops_the_run(
    kasplo: Plugin, sandbox: Sandbox
) -> None:
    answer = {"status": 422, "error": {"list_id": ["is not yours"]}}
    sandbox.fault(vendor="kasplo", method="POST", status=422, answer=answer, times=None)
    result = kasplo.run([SCHEMA, *many(3)])
    assert result.exit_code == 1
    assert "is not yours" in result.error
    assert result.rejects == []


def test_a_check_without_any_list_fails_where_the_run_would(kasplo: Plugin) -> None:
    result = kasplo.finish(kasplo.start([], "--check", list=None))
    assert result.exit_code == 1
    assert "no list to put them into" in result.stderr
    assert kasplo.finish(kasplo.start([], "--check")).exit_code == 0


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


@pytest.mark.parametrize("others", [0, 4, 5, 6, 30])
def test_two_keys_with_one_email_in_a_list_are_a_conflict_wherever_they_stand(
    kasplo: Plugin, sandbox: Sandbox, others: int
) -> None:
    rows = [
        record("contacts", key=str(number), email=f"c{number}@example.com", first_name="One")
        for number in range(others + 1)
    ]
    second = record("contacts", key="second", email="C0@Example.com", first_name="Two")
    columns = schema("contacts", ["key", "email", "first_name"], ["key"])
    result = kasplo.run([columns, *rows, second])
    assert [line["record"]["key"] for line in result.rejects] == ["second"]
    found = sandbox.state("kasplo")["contacts"].values()
    assert [c["first_name"] for c in found if c["email"].lower() == "c0@example.com"] == ["One"]
