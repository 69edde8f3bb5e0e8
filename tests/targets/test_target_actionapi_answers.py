"""What Merlin's answers mean where a wrong reading calls or texts somebody twice."""

from __future__ import annotations

import json
from typing import Any

import pytest

from merlin_api import answers, search
from merlin_api.answers import Verdict, verdict
from singer_http.errors import BadCredentials, Refused, SingerHTTPError, Uncertain
from target_actionapi.reading import number
from target_actionapi.sinks import identities_of

NESTED = json.loads("[" * 900 + "]" * 900)


@pytest.mark.parametrize(
    "data",
    [
        {"status": "success"},
        {"Status": "OK"},
        {"status": "success", "message": "Done"},
        "OK",
        "Sent.",
        True,
        1,
        4711,
        "4711",
        {"id": 5},
        [{"status": "ok"}],
        {"success": True, "error": ""},
        {"status": 200, "error": None},
        {"status": "sent", "errors": []},
    ],
)
def test_a_known_yes(data: Any) -> None:
    assert verdict(data) is Verdict.YES


@pytest.mark.parametrize(
    "data",
    [
        False,
        "false",
        "failed",
        {"status": "error", "message": "Number is not valid"},
        {"error": "Number is not valid"},
        {"success": False},
        {"success": 0},
        [{"status": "failed"}],
        {"status": 400, "message": "x"},
        {"errors": [{"message": "bad"}]},
    ],
)
def test_a_clear_structured_no(data: Any) -> None:
    assert verdict(data) is Verdict.NO


@pytest.mark.parametrize(
    "data",
    [
        "Message sent, no errors",
        {"status": "sent", "error": "No error"},
        NESTED,
        "<html>Error</html>",
        "",
        None,
        {},
        [],
        "Hm",
        {"error": "No error"},
        {"error": "none"},
        0,
        "0",
        -1,
        {"status": 0},
        {"status": "pending"},
        {"status": "success", "error": "quota"},
        [1, 2],
        {"status": 500},
        "Error: Number is not valid",
        {"message": "Number is not valid"},
        {"error": {"code": "ok"}},
        {"id": 5, "status": "failed"},
        [{"status": "failed"}, {"status": "sent"}],
    ],
)
def test_anything_else_may_have_been_done(data: Any) -> None:
    assert verdict(data) is Verdict.UNCLEAR
    with pytest.raises(Uncertain) as caught:
        answers.check_at_most_once(data, 200)
    assert not caught.value.nothing_was_done


def test_only_a_structured_no_proves_that_nothing_was_done() -> None:
    for data, kind, proven in (
        ({"error": "Number is not valid"}, Refused, True),
        ({"status": "error", "message": "Invalid key"}, BadCredentials, True),
        ("Error: invalid key", BadCredentials, False),
    ):
        with pytest.raises(SingerHTTPError) as caught:
            answers.check_at_most_once(data, 200)
        assert isinstance(caught.value, kind)
        assert caught.value.nothing_was_done is proven


def test_an_answer_with_too_many_brackets_about_a_contact_is_not_understood() -> None:
    assert not answers.says_no(NESTED)
    assert not answers.says_yes(NESTED)
    with pytest.raises(Refused, match="not understood"):
        search.contacts(NESTED, 200)


def test_emails_and_numbers_are_compared_as_everywhere() -> None:
    one = identities_of({"Email": "ANN@example.com ", "Number": "(619) 359-6440"})
    assert one == identities_of({"Email": "ann@example.com", "Number": "+16193596440"})
    assert identities_of({"Number": "030 123456"}, "DE") == identities_of({"Number": "+4930123456"})
    assert identities_of({"Number": "ask Ann"}) == ()


def test_an_id_is_a_number_only_where_that_changes_nothing() -> None:
    assert [number(x) for x in ("7", 7, 7.0, "007", "x7")] == [7, 7, 7, "007", "x7"]
