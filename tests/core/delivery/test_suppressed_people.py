"""By what a person is known who must not be reached: the record's own words, and its contact's."""

from __future__ import annotations

from pathlib import Path

import pytest

from singer_sandbox import Sandbox
from tests.front_door import JSON, TEXT, Plugin, record, schema

SUPPRESSIONS = schema("suppressions", ("id", "email", "phone"))
LINKS = {
    stream: schema(stream, ("id", "contactId", "email", "phone", other))
    for stream, other in (("contact_campaigns", "campaignId"), ("contact_workflows", "workflowId"))
}
ANN, BOB = "ann@example.com", "bob@example.com"
PHONE = "+16193596440"
ANYTHING = {"type": ["string", "number", "null"]}


def stop(**fields: object) -> list[JSON]:
    return [SUPPRESSIONS, record("suppressions", id="1", **fields)]


def link(stream: str, **contact: str) -> list[JSON]:
    return [LINKS[stream], record(stream, id="1", campaignId="c1", workflowId="w1", **contact)]


@pytest.fixture
def rei(sandbox: Sandbox, tmp_path: Path) -> Plugin:
    sandbox.put_state(
        "rei",
        {
            "campaigns": [{"id": "c1", "name": "Spring"}],
            "workflows": [{"id": "w1", "name": "Welcome"}],
            "contacts": [{"id": "x1", "email": ANN, "phone": PHONE}],
        },
    )
    return Plugin("target-reisoftware", sandbox, tmp_path, first_run=True)


@pytest.mark.parametrize("matching", ["lookup", "list"])
@pytest.mark.parametrize("stream", LINKS)
@pytest.mark.parametrize(
    ("named", "suppressed"),
    [
        ({"email": ANN}, {"phone": "(619) 359-6440"}),
        ({"phone": PHONE}, {"email": "ANN@example.com "}),
    ],
)
def test_a_contact_that_was_looked_up_is_known_by_its_other_name_too(
    rei: Plugin, stream: str, matching: str, named: dict[str, str], suppressed: dict[str, str]
) -> None:
    result = rei.run([*stop(**suppressed), *link(stream, **named)], matching=matching)
    assert result.counts(stream).get("suppressed") == 1, result.stderr


@pytest.mark.parametrize("stream", LINKS)
@pytest.mark.parametrize("suppressed", [{"email": BOB}, {"phone": "+15551234567"}])
def test_what_a_record_has_beside_its_contact_id_is_compared(
    rei: Plugin, stream: str, suppressed: dict[str, str]
) -> None:
    entry = link(stream, contactId="x1", email=BOB, phone="(555) 123-4567 x3")
    result = rei.run([*stop(**suppressed), *entry])
    assert result.counts(stream).get("suppressed") == 1, result.stderr


@pytest.mark.parametrize("more", [{"Email": ANN, "Number": PHONE}, {"Email": BOB}])
@pytest.mark.parametrize("named", [True, False])
def test_all_names_of_an_automation_entry_are_compared(
    sandbox: Sandbox, tmp_path: Path, more: dict[str, str], named: bool
) -> None:
    sandbox.put_state("merlin", {"automations": [{"idAuto": 7}]})
    merlin = Plugin("target-actionapi", sandbox, tmp_path, first_run=True)
    contacts = schema("contacts", ("key", "Email", "Fname", "Lname"), ("key",))
    merlin.run([contacts, record("contacts", key="k", Email=ANN, Fname="Ann", Lname="A")])
    (contact,) = sandbox.state("merlin")["contacts"].values()
    if named:
        more = {**more, "idContact": str(contact["idContact"])}
    entries = schema("automations", ("id", "idContact", "Email", "Number", "idAuto"))
    rows = [entries, record("automations", id="1", idAuto="7", **more)]
    suppressed = stop(phone=PHONE) if "Number" in more else stop(email=BOB)
    result = merlin.run([*suppressed, *rows])
    assert result.counts("automations").get("suppressed") == 1, result.stderr


@pytest.mark.parametrize("form", ["object", "list", "flat"])
def test_a_custom_field_with_a_phone_is_compared(
    people: Plugin, sandbox: Sandbox, form: str
) -> None:
    field = {"id": 1, "key": "mobile_2", "name": "Mobile 2"}
    sandbox.put_state("autoreach", {"custom_fields": [field]})
    rows = [
        schema("people", ("id", "email", "mobile_2")),
        record("people", id="1", email=BOB, mobile_2="(619) 359-6440"),
    ]
    result = people.run([*stop(phone=PHONE), *rows], custom_fields_format=form)
    assert result.counts("people").get("suppressed") == 1, result.stderr


@pytest.mark.parametrize(
    "written",
    [
        "(619) 359-6440 x7",
        "+1 619 359 6440 ext. 7",
        "\u200e+1\u00a0(619)\u2011359\u20116440",
        "001 619 359 6440",
        16193596440,
        6193596440.0,
    ],
)
@pytest.mark.parametrize("region", [None, "US"])
def test_a_phone_is_one_number_in_every_form(
    people: Plugin, sandbox: Sandbox, written: str | float, region: str | None
) -> None:
    suppressions = schema("suppressions", {"id": TEXT, "phone": ANYTHING})
    rows = [
        schema("people", {"id": TEXT, "phone": ANYTHING}),
        record("people", id="1", phone=PHONE),
        record("people", id="2", phone=written),
    ]
    stopped = record("suppressions", id="1", phone=written)
    result = people.run([suppressions, stopped, *rows], phone_region=region)
    assert sandbox.state("autoreach")["people"] == {}, result.stderr


@pytest.mark.parametrize("mode", ["create", "update"])
def test_suppressions_are_taken_in_whatever_the_mode(
    people: Plugin, sandbox: Sandbox, mode: str
) -> None:
    merlin = Plugin("target-actionapi", sandbox, people.directory, first_run=True)
    for phone in ("+15551110000", PHONE):
        result = merlin.run(stop(phone=phone), mode=mode)
        assert result.counts("suppressions") == {"received": 1, "upserted": 1}
    sms = [schema("sms", ("id", "number", "text")), record("sms", id="1", number=PHONE, text="Hi")]
    assert merlin.run(sms).counts("sms")["suppressed"] == 1


def test_an_email_that_is_none_suppresses_nobody_and_is_told(people: Plugin) -> None:
    result = people.run(stop(email="ann at example.com"))
    (reject,) = result.rejects
    assert "neither an email nor a phone (email cannot be read)" in reject["rejection"]["reason"]


def test_what_can_be_read_of_a_suppression_counts(people: Plugin, sandbox: Sandbox) -> None:
    result = people.run(stop(email=ANN, phone="call me"))
    assert "the phone of a record cannot be read" in result.stderr
    person = [schema("people", ("id", "email")), record("people", id="1", email=ANN)]
    assert people.run(person).counts("people")["suppressed"] == 1
    assert sandbox.state("autoreach")["people"] == {}


def test_the_page_shows_how_many_are_suppressed(people: Plugin) -> None:
    person = [schema("people", ("id", "email")), record("people", id="1", email=ANN)]
    people.run([*stop(email=ANN), *person])
    page = people.path("report.html").read_text()
    assert "<th>suppressed</th>" in page
    head = page.index("<th>suppressed</th>")
    place = page[page.rindex("<tr>", 0, head) : head].count("<th>")
    row = page[page.index("<td>people</td>") :].partition("</tr>")[0]
    assert row.split("</td>")[place] == "<td>1"


def test_keys_that_name_the_suppressions_make_all_records_wait_from_the_first_run(
    people: Plugin, sandbox: Sandbox
) -> None:
    rows = [record("people", id=str(n), email=f"p{n}@example.com") for n in range(3000)]
    messages = [schema("people", ("id", "email")), *rows, *stop(email="p0@example.com")]
    result = people.run(messages, keys={"suppressions": ["id"]})
    assert result.exit_code == 0, result.error
    assert "0" not in sandbox.state("autoreach")["people"]
    assert result.counts("people")["suppressed"] == 1


@pytest.mark.parametrize("key", ["id", "external_id"])
@pytest.mark.parametrize("by", ["stream", "file"])
@pytest.mark.parametrize("known", [{"email": ANN}, {"phone": PHONE}])
def test_a_person_is_known_by_what_the_ledger_has_of_its_id(
    people: Plugin, sandbox: Sandbox, tmp_path: Path, key: str, by: str, known: dict[str, str]
) -> None:
    columns = schema("people", (key, "email", "phone", "first_name", "_sdc_deleted_at"), (key,))
    first = [record("people", **{key: "7"}, **known), record("people", **{key: "8"}, email=BOB)]
    assert people.run([columns, *first]).counts("people")["upserted"] == 2
    settings: JSON = {}
    if by == "file":
        (tmp_path / "dnc.txt").write_text("\n".join(known.values()))
        settings["suppression"] = str(tmp_path / "dnc.txt")
    else:
        people.run(stop(**known))
    changed = [record("people", **{key: id_}, first_name="New") for id_ in "78"]
    changed.append(record("people", **{key: "9"}, **known))
    result = people.run([columns, *changed], **settings)
    counts = result.counts("people")
    assert (counts.get("suppressed"), counts["upserted"]) == (2, 1), result.stderr
    assert "Suppressed, by" in people.run([], "--explain", "7", **settings).stdout
    assert "Not suppressed" in people.run([], "--explain", "8", **settings).stdout
    gone = record("people", **{key: "7"}, _sdc_deleted_at="2026-01-31T12:00:00Z")
    assert people.run([columns, gone], **settings).counts("people")["deleted"] == 1


def test_a_member_is_known_by_what_the_ledger_has_of_its_id(
    sandbox: Sandbox, tmp_path: Path, ledger_url: str | None
) -> None:
    more = {"database_url": ledger_url} if ledger_url else {}
    people = Plugin("target-autoreach", sandbox, tmp_path, **more)
    columns = schema("members", ("key", "email", "first_name"), ("key",))
    people.run([columns, record("members", key="k", email=ANN)])
    (member,) = sandbox.state("autoreach")["members"].values()
    people.run(stop(email=ANN))
    result = people.run([columns, record("members", key="k", first_name="New")])
    assert result.counts("members").get("suppressed") == 1, result.stderr
    by_id = schema("members", ("id", "first_name"))
    named = record("members", id=str(member["id"]), first_name="New")
    result = people.run([by_id, named], sync="other")
    assert result.counts("members").get("suppressed") == 1, result.stderr


@pytest.mark.parametrize("known", [{"email": ANN}, {"phone": f"{PHONE} "}])
@pytest.mark.parametrize("stream", ["people", "members"])
def test_a_record_without_the_email_and_phone_leaves_them_with_its_id(
    sandbox: Sandbox, tmp_path: Path, ledger_url: str | None, stream: str, known: dict[str, str]
) -> None:
    more = {"database_url": ledger_url} if ledger_url else {}
    people = Plugin("target-autoreach", sandbox, tmp_path, **more)
    columns = schema(stream, ("external_id", "email", "phone", "first_name"), ("external_id",))
    id_ = {"external_id": "7"}
    people.run([columns, record(stream, **id_, email=ANN, phone=PHONE)])
    for fields in ({"first_name": "A"}, {"email": None, "phone": "", "first_name": "B"}):
        result = people.run([columns, record(stream, **id_, **fields)])
        assert "suppressed" not in result.counts(stream), result.stderr
    people.run(stop(**known))
    result = people.run([columns, record(stream, **id_, first_name="C")])
    assert result.counts(stream).get("suppressed") == 1, result.stderr
    assert "Suppressed, by" in people.run([], "--explain", "7").stdout


def test_what_was_cleared_at_the_vendor_is_nobodys(people: Plugin) -> None:
    columns = schema("people", ("id", "email", "phone", "first_name"))
    people.run([columns, record("people", id="7", email=ANN, phone=PHONE)])
    people.run([columns, record("people", id="7", email=BOB, phone=None)], nulls="send")
    people.run([*stop(email=ANN), record("suppressions", id="2", phone=PHONE)])
    result = people.run([columns, record("people", id="7", first_name="New")])
    assert result.counts("people") == {"received": 1, "upserted": 1}


@pytest.mark.parametrize("suppressed", [{"email": ANN}, {"phone": PHONE}])
@pytest.mark.parametrize("stream", LINKS)
@pytest.mark.parametrize("update", [{}, {"email": ANN}, {"phone": PHONE}])
def test_a_contact_is_known_by_what_an_earlier_record_said_of_it(
    sandbox: Sandbox, tmp_path: Path, stream: str, suppressed: JSON, update: JSON
) -> None:
    rei = Plugin("target-reisoftware", sandbox, tmp_path, first_run=True)
    columns = schema("contacts", ("key", "email", "phone", "firstName"), ("key",))
    rei.run([columns, record("contacts", key="k", email=ANN, phone=PHONE)])
    ((contact, _),) = sandbox.state("rei")["contacts"].items()
    rei.run([columns, record("contacts", key="k", firstName="New", **update)])
    result = rei.run([*stop(**suppressed), *link(stream, contactId=contact)])
    assert result.counts(stream).get("suppressed") == 1, result.stderr


@pytest.mark.parametrize("stream", LINKS)
def test_a_contact_is_not_known_by_what_a_rejected_record_said_of_it(
    sandbox: Sandbox, tmp_path: Path, stream: str
) -> None:
    rei = Plugin("target-reisoftware", sandbox, tmp_path, first_run=True, phone_region="US")
    columns = schema("contacts", ("key", "email", "phone", "firstName"), ("key",))
    rei.run([columns, record("contacts", key="k", email=ANN)])
    ((contact, _),) = sandbox.state("rei")["contacts"].items()
    assert rei.run([columns, record("contacts", key="k", email=BOB, phone="1")]).rejects
    rei.run([columns, record("contacts", key="k", firstName="New")])
    result = rei.run([*stop(email=BOB), *link(stream, contactId=contact)])
    assert "suppressed" not in result.counts(stream), result.stderr
    assert "key k" not in rei.run([], "--explain", BOB).stdout


def test_automations_know_a_contact_by_what_an_earlier_record_said_of_it(
    sandbox: Sandbox, tmp_path: Path
) -> None:
    sandbox.put_state("merlin", {"automations": [{"idAuto": 7}]})
    merlin = Plugin("target-actionapi", sandbox, tmp_path, first_run=True)
    columns = schema("contacts", ("key", "Email", "Number", "Fname", "Lname"), ("key",))
    merlin.run([columns, record("contacts", key="k", Email=ANN, Number=PHONE, Lname="A")])
    ((contact, _),) = sandbox.state("merlin")["contacts"].items()
    merlin.run([columns, record("contacts", key="k", Fname="Ann", Lname="A")])
    entries = schema("automations", ("id", "idContact", "idAuto"))
    entry = record("automations", id="1", idContact=contact, idAuto="7")
    result = merlin.run([*stop(phone=PHONE), entries, entry])
    assert result.counts("automations").get("suppressed") == 1, result.stderr


@pytest.mark.parametrize("entry", [f"mailto:{ANN}", "619-359-6440/619-359-6441"])
def test_an_entry_that_would_suppress_nobody_is_told(
    people: Plugin, tmp_path: Path, entry: str
) -> None:
    name = "email" if "@" in entry else "phone"
    (reject,) = people.run(stop(**{name: entry})).rejects
    assert f"{name} cannot be read" in reject["rejection"]["reason"]
    (tmp_path / "dnc.csv").write_text(f"{name}\n{entry}\n")
    result = people.run([], suppression=str(tmp_path / "dnc.csv"))
    assert "line 2 has neither" in result.error
