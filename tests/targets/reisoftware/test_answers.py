"""What REI Software's answers mean: none found, no answer, not there, half done."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from reisoftware_api.v1 import V1
from singer_http.errors import NotFound, Refused, reason_of
from singer_http.sink.columns import CustomField
from singer_http.sink.kinds import second_step
from singer_sandbox import Sandbox
from target_reisoftware import values
from target_reisoftware.lookup import is_own_404
from tests.front_door import JSON, Plugin
from tests.targets.reisoftware.test_contacts import contacts, held

GONE = {"_sdc_deleted_at": "2026-01-01T00:00:00Z"}


@pytest.fixture
def rei(sandbox: Sandbox, tmp_path: Path) -> Plugin:
    return Plugin("target-reisoftware", sandbox, tmp_path, max_retries=0)


@pytest.mark.parametrize(
    "data",
    [{}, {"contacts": []}, {"contacts": None}, {"contacts": [{"id": "c1"}]}, {"traceId": "t"}],
)
def test_contacts_and_the_known_forms_of_none_are_answers(data: Any) -> None:
    assert V1({}).looked_up(data) is not None


@pytest.mark.parametrize(
    "data",
    [None, "", "<html>", [], {"message": "busy"}, {"statusCode": 500},
     {"msg": "x", "contacts": None}, {"contacts": "x"}, {"contacts": [{"email": "a@example.com"}]},
     {"error": "x"}],
)  # fmt: skip
def test_anything_else_is_no_answer(data: Any) -> None:
    assert V1({}).looked_up(data) is None


@pytest.mark.parametrize("answer", [{"message": "busy"}, {"statusCode": 500}, ""])
def test_a_lookup_without_an_answer_creates_nothing(rei: Plugin, answer: Any) -> None:
    rei.sandbox.fault(vendor="rei", path="lookup", status=200, answer=answer, times=None)
    result = rei.run(contacts({"key": "1", "email": "ann@example.com"}))
    assert result.exit_code == 1
    assert held(rei.sandbox) == []


def not_found(data: Any) -> NotFound:
    return NotFound(404, reason_of(data), data)


@pytest.mark.parametrize(
    "data",
    [{"msg": "Contact not found."}, {"statusCode": 404, "message": ["Contact not found"]},
     {"message": "Contact with id abc not found"}, {"message": "No such campaign"}],
)  # fmt: skip
def test_a_404_in_the_vendors_words_is_about_the_record(data: JSON) -> None:
    assert is_own_404(not_found(data))


@pytest.mark.parametrize(
    "data",
    [None, "", "<h1>contact not found</h1>", {}, {"message": "Not Found"},
     {"statusCode": 404, "message": "Cannot GET /v9/contacts/lookup", "error": "Not Found"},
     {"message": "no Route matched with those values"}, {"message": "/v1/contacts/x not found"}],
)  # fmt: skip
def test_any_other_404_is_a_servers(data: Any) -> None:
    assert not is_own_404(not_found(data))


def test_a_404_of_a_gateway_is_no_delete(rei: Plugin) -> None:
    rei.run(contacts({"key": "1", "email": "ann@example.com"}))
    rei.sandbox.fault(vendor="rei", status=404, answer={"message": "no Route"}, times=None)
    result = rei.run(contacts({"key": "1", "email": "ann@example.com", **GONE}))
    assert result.exit_code == 1
    rei.sandbox.clear_faults()
    result = rei.run(contacts({"key": "1", "email": "ann@example.com", **GONE}))
    assert result.counts("contacts") == {"received": 1, "deleted": 1}


def test_an_error_after_the_first_step_says_that_something_was_done() -> None:
    error = Refused(422, "no")
    error.nothing_was_done = True
    with pytest.raises(Refused), second_step("tags"):
        raise error
    assert not error.nothing_was_done


@pytest.mark.parametrize(
    ("kind", "value", "sent"),
    [
        ("TEXT", Decimal("7.0"), "7"), ("TEXT", Decimal("1.10"), "1.10"),
        ("TEXT", Decimal("1E+5"), "100000"), ("TEXT", True, "true"),
        ("NUMERICAL", "123456789012345678", 123456789012345678),
        ("NUMERICAL", Decimal("0.10"), Decimal("0.10")), ("NUMERICAL", Decimal("5.0"), 5),
        ("DATE", Decimal("1714521600000.0"), 1714521600000), ("DATE", "20240501", 1714521600000),
        ("MULTIPLE_OPTIONS", [Decimal("1.0"), "b"], ["1", "b"]),
        ("SINGLE_OPTIONS", Decimal("1.0"), "1"),
    ],
)  # fmt: skip
def test_custom_values_keep_their_digits(kind: str, value: Any, sent: Any) -> None:
    choices = ("1", "b") if "OPTIONS" in kind else ()
    found = values.custom(CustomField("f1", ("f1", "Field"), kind, choices))(value)
    assert found == sent
    assert type(found) is type(sent)
