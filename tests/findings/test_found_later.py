"""What a second hostile test found: other examples of the kinds that are settled already."""

from __future__ import annotations

from typing import Any

import pytest

from singer_sandbox import Sandbox
from tests.findings.inputs import (
    SMS,
    kinds,
    rows,
    sms,
    texts,
)
from tests.front_door import JSON, Plugin

STRANGE_SMS = (
    '{"type":"RECORD","stream":"sms","record":'
    '{"id":"1","number":"+16193596440","text":"Hello","x":NaN}}\n'
)


# --- an uncertain record and a record of its key that is invalid ---------------------------------


@pytest.mark.parametrize(
    "bad", [STRANGE_SMS, sms("1", number="letters"), sms("1", text=""), sms("1", text=None)]
)
def test_an_invalid_record_does_not_take_the_place_of_an_uncertain_message(
    merlin: Plugin, sandbox: Sandbox, bad: Any
) -> None:
    """Kinds H4, H18: it was forgotten that the first one may have arrived, and it went again."""
    sandbox.fault(vendor="merlin", body="SMS", when="after", drop=True)
    assert kinds(merlin.run([SMS, sms("1")])) == ["uncertain"]
    assert sorted(kinds(merlin.run([SMS, bad], max_rejects=""))) == ["invalid", "uncertain"]
    for _ in range(2):
        result = merlin.run([SMS, sms("1")], max_rejects="")
        assert result.exit_code == 0, result.error
    assert texts(sandbox) == ["Hello"]
    assert "uncertain" in kinds(result)


def test_an_invalid_record_leaves_once_the_uncertain_one_is_settled_and_it_is_corrected(
    merlin: Plugin, sandbox: Sandbox
) -> None:
    sandbox.fault(vendor="merlin", body="SMS", when="after", drop=True)
    merlin.run([SMS, sms("1")])
    merlin.run([SMS, sms("1", number="letters")], max_rejects="")
    maps = {"sms": {"number": "'+16193596440'"}}
    result = merlin.run([SMS], uncertain="drop", stream_maps=maps)
    assert (result.exit_code, result.rejects) == (0, []), result.error
    assert texts(sandbox) == ["Hello"]


@pytest.mark.parametrize("bad", [{"dnd": "maybe"}, {"phone": "letters"}, {"tags": 5}])
def test_an_invalid_record_does_not_take_the_place_of_an_uncertain_contact(
    rei: Plugin, sandbox: Sandbox, bad: JSON
) -> None:
    """The vendor's answer came too late, and then its lookup did not show the contact."""
    sandbox.fault(vendor="rei", method="POST", path="contacts/$", late=4)
    row = {"key": "1", "email": "ann@example.com", "firstName": "A"}
    first = rei.run(rows("contacts", row), timeout=1)
    assert kinds(first) == ["uncertain"]
    result = rei.run(rows("contacts", row | bad), max_rejects="", phone_region="US")
    assert "uncertain" in kinds(result)
