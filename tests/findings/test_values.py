"""Values: identities, empty text, names that fold to nothing, suppression files, charsets."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from singer_sandbox import Sandbox
from tests.findings.inputs import contacts, kinds, member, members, rows, sent
from tests.front_door import JSON, Plugin, record, schema
from tests.subscribers import SCHEMA as SUBSCRIBERS
from tests.subscribers import contact as subscriber
from tests.subscribers import contacts_at
from tests.tapping import Tap

ROOT = Path(__file__).parents[2]

# --- P11 ----------------------------------------------------------------------------------------

LISTS = {
    "quotes": '"ann@example.com"\n"Bob@Example.com"\n',
    "more columns": "ann@example.com,unsubscribed\nbob@example.com,bounced\n",
    "a header": "email,reason\nann@example.com,x\nbob@example.com,y\n",
    "a header with the email last": 'name,Email\nAnn,ann@example.com\n"Lee, Bob",bob@example.com\n',
    "semicolons": "ann@example.com;unsubscribed\nbob@example.com;bounced\n",
    "a BOM and quotes": '\ufeff"email";"reason"\n"ann@example.com";"x"\n"bob@example.com";"y"\n',
    "CRLF and spaces": " ann@example.com \r\n\r\n\tBOB@example.com\r\n",
}


@pytest.mark.parametrize("form", LISTS)
def test_a_suppression_file_of_any_usual_form_suppresses(
    kasplo: Plugin, sandbox: Sandbox, tmp_path: Path, form: str
) -> None:
    """P11"""
    path = tmp_path / "suppressed.csv"
    path.write_bytes(LISTS[form].encode())
    messages = [SUBSCRIBERS, *(subscriber(f"{n}@example.com") for n in ("ann", "bob", "cat"))]
    result = kasplo.run(messages, suppression=str(path))
    assert result.exit_code == 0, result.error
    assert [c["email"] for c in contacts_at(sandbox).values()] == ["cat@example.com"]
    assert result.counts("contacts") == {
        "received": 3,
        "skipped": 2,
        "suppressed": 2,
        "upserted": 1,
    }


@pytest.mark.parametrize("line", ["not an address", "ann(at)example.com", '"unclosed'])
def test_a_line_that_suppresses_nobody_stops_the_run_with_its_number(
    kasplo: Plugin, sandbox: Sandbox, tmp_path: Path, line: str
) -> None:
    """P11"""
    path = tmp_path / "suppressed.csv"
    path.write_text(f"ann@example.com\nbob@example.com\n{line}\n")
    result = kasplo.run([SUBSCRIBERS, subscriber("cat@example.com")], suppression=str(path))
    assert result.exit_code == 1
    assert "suppression" in result.error
    assert "3" in result.error
    assert contacts_at(sandbox) == {}


# --- P12 ----------------------------------------------------------------------------------------

PHONES = ["(555) 123-4567", "555-123-4567", "1 555 123 4567", "+1 (555) 123-4567", "+15551234567"]


@pytest.mark.parametrize("there", ["+15551234567", "(555) 123-4567"])
@pytest.mark.parametrize("given", PHONES)
def test_a_member_is_found_by_its_phone_in_any_spelling(
    autoreach: Plugin, sandbox: Sandbox, there: str, given: str
) -> None:
    """P12"""
    sandbox.put_state("autoreach", {"members": [{"id": 1, "phone": there, "first_name": "A"}]})
    columns = schema("members", ("owner", "phone", "first_name"), ("owner",))
    row = record("members", owner="x", phone=given, first_name="B")
    result = autoreach.run([columns, row])
    assert (result.exit_code, result.rejects) == (0, []), result.error
    assert [m["first_name"] for m in members(sandbox)] == ["B"]


@pytest.mark.parametrize("given", PHONES[:2])
def test_a_lost_merlin_contact_is_found_by_its_phone_in_any_spelling(
    merlin: Plugin, sandbox: Sandbox, given: str
) -> None:
    """P12"""
    there = {"idContact": 9, "Fname": "Ann", "Number": "+15551234567"}
    sandbox.put_state("merlin", {"contacts": [there]})
    row = {"key": "1", "Fname": "Ann", "Number": given, "Lname": None}
    result = merlin.run(rows("contacts", row), phone_region="US")
    assert (result.exit_code, result.rejects) == (0, []), result.error
    assert set(sandbox.state("merlin")["contacts"]) == {"5", "9"}


def test_other_phones_are_other_members(autoreach: Plugin, sandbox: Sandbox) -> None:
    """P12"""
    sandbox.put_state("autoreach", {"members": [{"id": 1, "phone": "+445551234567"}]})
    columns = schema("members", ("owner", "phone"), ("owner",))
    autoreach.run([columns, record("members", owner="x", phone="(555) 123-4567")])
    assert len(members(sandbox)) == 2


# --- P13 ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("column", ["$", "", "-", " ", "§"])
def test_a_name_that_folds_to_nothing_matches_no_custom_field(
    rei: Plugin, sandbox: Sandbox, column: str
) -> None:
    """P13"""
    fields = [{"id": "p", "name": "%"}, {"id": "h", "name": "#", "fieldKey": "contact."}]
    sandbox.put_state("rei", {"custom_fields": fields})
    result = rei.run(rows("contacts", {"key": "1", "email": "a@example.com", column: "text"}))
    assert result.exit_code == 0, result.error
    assert [c["customField"] for c in contacts(sandbox).values()] == [{}]


def test_a_mark_still_finds_the_field_of_exactly_that_name(rei: Plugin, sandbox: Sandbox) -> None:
    """P13"""
    sandbox.put_state("rei", {"custom_fields": [{"id": "p", "name": "%"}]})
    rei.run(rows("contacts", {"key": "1", "email": "a@example.com", "%": "text"}))
    assert [c["customField"] for c in contacts(sandbox).values()] == [{"p": "text"}]


@pytest.mark.parametrize("names", [("Parcel-No", "parcel no"), ("Straße 1", "STRASSE-1")])
def test_two_custom_fields_that_fold_to_one_stop_the_run(
    rei: Plugin, sandbox: Sandbox, names: tuple[str, str]
) -> None:
    """P13"""
    fields = [{"id": f"x{i}", "name": name} for i, name in enumerate(names)]
    sandbox.put_state("rei", {"custom_fields": fields})
    column = names[0].lower().replace("-", "_").replace(" ", "_").replace("ß", "ss")
    result = rei.run(rows("contacts", {"key": "1", "email": "a@example.com", column: "v"}))
    assert result.exit_code == 1
    assert all(name in result.error for name in names)
    assert contacts(sandbox) == {}


# --- P18 ----------------------------------------------------------------------------------------

TARGETS: list[tuple[str, str, JSON, JSON]] = [
    ("rei", "contacts", {"key": "1", "email": "a@example.com"}, {"city": "Bonn"}),
    ("rei", "contacts", {"key": "1", "email": "a@example.com"}, {"Parcel ID": "P-1"}),
    ("autoreach", "people", {"id": "1", "email": "a@example.com"}, {"first_name": "Ann"}),
    ("autoreach", "members", {"key": "1", "email": "a@example.com"}, {"first_name": "Ann"}),
    ("merlin", "contacts", {"key": "1", "Email": "a@example.com", "Fname": "A"}, {"Lname": "Lee"}),
]


@pytest.mark.parametrize(("name", "stream", "base", "value"), TARGETS, ids=lambda v: str(v)[:14])
@pytest.mark.parametrize(("empty", "nulls"), [("", "omit"), (None, "omit"), ("", "send")])
def test_empty_text_clears_nothing_unless_nulls_are_sent(
    request: pytest.FixtureRequest,
    sandbox: Sandbox,
    name: str,
    stream: str,
    base: JSON,
    value: JSON,
    empty: Any,
    nulls: str,
) -> None:
    """P18"""
    plugin: Plugin = request.getfixturevalue(name)
    keys = (next(iter(base)),)
    assert plugin.run(rows(stream, {**base, **value}, keys=keys)).exit_code == 0
    (column,) = value
    result = plugin.run(rows(stream, {**base, column: empty}, keys=keys), nulls=nulls)
    assert (result.exit_code, result.rejects) == (0, []), result.error
    text = json.dumps(sandbox.state(name)[stream], ensure_ascii=False)
    assert (value[column] in text) is (nulls == "omit")


@pytest.mark.parametrize(
    ("value", "kept"),
    [("true", True), ("false", False), (1, True), (0, False), ("True", True), ("0", False)],
)
def test_dnd_is_taken_in_every_form_of_a_boolean(
    rei: Plugin, sandbox: Sandbox, value: Any, kept: bool
) -> None:
    """P18"""
    result = rei.run(rows("contacts", {"key": "1", "email": "a@example.com", "dnd": value}))
    assert (result.exit_code, result.rejects) == (0, []), result.error
    assert [bool(c.get("dnd")) for c in contacts(sandbox).values()] == [kept]


@pytest.mark.parametrize("value", ["perhaps", 2, ["true"]])
def test_dnd_that_is_no_boolean_is_rejected_before_sending(
    rei: Plugin, sandbox: Sandbox, value: Any
) -> None:
    """P18"""
    result = rei.run(rows("contacts", {"key": "1", "email": "a@example.com", "dnd": value}))
    assert kinds(result) == ["invalid"]
    assert sent(sandbox, "rei", "POST") == []


@pytest.mark.parametrize("email", ["ann@example.com ", " ann@example.com", "ann@example.com\n"])
@pytest.mark.parametrize("name", ["rei", "autoreach", "merlin", "kasplo"])
def test_spaces_around_an_email_are_left_out(
    request: pytest.FixtureRequest, sandbox: Sandbox, name: str, email: str
) -> None:
    """P18"""
    plugin: Plugin = request.getfixturevalue(name)
    stream, column = ("people" if name == "autoreach" else "contacts"), "email"
    column = "Email" if name == "merlin" else "email"
    key = "id" if name == "autoreach" else "key"
    result = plugin.run(rows(stream, {key: "1", column: email, "extra": None}, keys=(key,)))
    assert (result.exit_code, result.rejects) == (0, []), result.error
    held = [row.get(column) for row in sandbox.state(name)[stream].values()]
    assert "ann@example.com" in held
    assert all(text is None or text == text.strip() for text in held)


@pytest.mark.parametrize(
    "phone", ["call Ann 5551234567", "555 123 4567 or 555 987 6543", "5551234567, 5559876543"]
)
@pytest.mark.parametrize("name", ["rei", "autoreach", "merlin"])
def test_a_text_that_is_not_one_phone_number_is_rejected(
    request: pytest.FixtureRequest, sandbox: Sandbox, name: str, phone: str
) -> None:
    """P18"""
    plugin: Plugin = request.getfixturevalue(name)
    stream, key, column = {
        "rei": ("contacts", "key", "phone"),
        "autoreach": ("people", "id", "phone"),
        "merlin": ("contacts", "key", "Number"),
    }[name]
    row = {key: "1", column: phone, "email" if name != "merlin" else "Email": "a@example.com"}
    result = plugin.run(rows(stream, row, keys=(key,)), phone_region="US")
    assert kinds(result) == ["invalid"]
    assert not [r for r in sent(sandbox, name, "POST", "PATCH") if "oauth" not in r["path"]]


# --- P21 ----------------------------------------------------------------------------------------


def shipped(name: str) -> JSON:
    """The settings that meltano.yml gives a plugin of its own."""
    project = yaml.safe_load((ROOT / "meltano.yml").read_text())
    every = {p["name"]: p for kind in project["plugins"].values() for p in kind}
    config: JSON = every[name].get("config", {})
    return config


@pytest.mark.parametrize("dnd", [True, False])
def test_the_shipped_job_emails_nobody_who_is_not_to_be_disturbed(
    kasplo: Plugin, sandbox: Sandbox, tmp_path: Path, dnd: bool
) -> None:
    """P21"""
    sandbox.put_state("kasplo", {"lists": [{"name": "newsletter"}, {"name": "owners"}]})
    sandbox.put_state(
        "rei",
        {
            "contacts": [
                {"id": "a", "email": "a@example.com", "dnd": dnd},
                {"id": "b", "email": "b@example.com"},
            ]
        },
    )
    done = Tap("tap-reisoftware", sandbox, tmp_path).read()
    lines = [
        line for line in done.stdout.splitlines(keepends=True)
        if json.loads(line).get("stream") in (None, "contacts")
    ]  # fmt: skip
    config = {**shipped("target-emailmarketing--from-reisoftware")}
    sync = config.pop("sync", "default")
    result = kasplo.run(
        [line for line in lines if '"STATE"' not in line], sync=sync, **{"list": "owners", **config}
    )
    assert result.exit_code == 0, result.stderr
    emailed = {c["email"] for c in sandbox.state("kasplo")["contacts"].values()}
    assert emailed == ({"b@example.com"} if dnd else {"a@example.com", "b@example.com"})


# --- P22 ----------------------------------------------------------------------------------------

TAPS = [
    ("tap-autoreach", "autoreach", "lists", {"lists": [{"id": 1, "name": "Müller"}]}),
    ("tap-reisoftware", "rei", "tags", {"tags": [{"id": "t1", "name": "Müller"}]}),
    ("tap-emailmarketing", "kasplo", "lists", {"lists": [{"list_id": "l", "name": "Müller"}]}),
]


@pytest.mark.parametrize(("name", "vendor", "stream", "held"), TAPS, ids=lambda v: str(v)[:12])
@pytest.mark.parametrize("charset", ["iso-8859-1", "windows-1252", "utf-16"])
def test_an_answer_is_read_in_the_charset_that_it_declares(
    sandbox: Sandbox, tmp_path: Path, name: str, vendor: str, stream: str, held: JSON, charset: str
) -> None:
    """P22"""
    sandbox.put_state(vendor, held)
    sandbox.fault(vendor=vendor, method="GET", charset=charset, times=None)
    done = Tap(name, sandbox, tmp_path).read()
    assert [row["name"] for row in done.records(stream)] == ["Müller"]


@pytest.mark.parametrize(("name", "vendor", "stream", "held"), TAPS, ids=lambda v: str(v)[:12])
@pytest.mark.parametrize("declared", ["utf-8", ""])
def test_an_answer_that_cannot_be_decoded_is_an_error(
    sandbox: Sandbox, tmp_path: Path, name: str, vendor: str, stream: str, held: JSON, declared: str
) -> None:
    """P22"""
    sandbox.put_state(vendor, held)
    fault = {"vendor": vendor, "method": "GET", "times": None}
    sandbox.fault(**fault, charset="iso-8859-1", declared=declared)
    done = Tap(name, sandbox, tmp_path, max_retries=1).run()
    assert done.exit_code == 1
    assert "\ufffd" not in done.stdout
    assert "Traceback" not in done.stderr


def test_a_target_reads_a_reason_in_its_charset(autoreach: Plugin, sandbox: Sandbox) -> None:
    """P22"""
    text = "E-Mail von Müller ungültig"
    answer = {"errors": [{"status": 422, "title": "x", "detail": text}]}
    fault = {"vendor": "autoreach", "method": "POST", "path": "members"}
    sandbox.fault(**fault, status=422, answer=answer, when="after")
    sandbox.fault(**fault, charset="iso-8859-1")
    columns = schema("members", ("owner", "email"), ("owner",))
    result = autoreach.run([columns, member("a")])
    assert text in result.rejects[0]["rejection"]["reason"]
