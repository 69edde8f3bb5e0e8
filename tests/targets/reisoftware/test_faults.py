"""REI Software's contacts when the vendor goes wrong, says no, or is asked by many at once."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from singer_sandbox import Sandbox
from tests.front_door import JSON, Plugin
from tests.targets.reisoftware.test_contacts import contacts, held, kinds, reasons, sent
from tests.targets.reisoftware.versions import VERSIONS, is_v2, target


@pytest.fixture(params=VERSIONS)
def rei(request: pytest.FixtureRequest, sandbox: Sandbox, tmp_path: Path) -> Iterator[Plugin]:
    yield from target(request.param, sandbox, tmp_path)


@pytest.mark.parametrize("fault", [{"drop": True}, {"status": 502}, {"cut": True}])
def test_a_create_whose_answer_was_lost_is_looked_up_and_not_made_twice(
    rei: Plugin, fault: JSON
) -> None:
    rei.sandbox.options("rei", create_makes_duplicates=True)
    rei.sandbox.fault(vendor="rei", method="POST", path="contacts/?$", when="after", **fault)
    rows = [{"key": str(n), "email": f"{n}@example.com"} for n in range(3)]
    result = rei.run(contacts(*rows))
    assert result.counts("contacts") == {"received": 3, "created": 3}
    assert len(held(rei.sandbox)) == 3
    assert sent(rei.sandbox, "POST") == ["POST contacts/"] * 3


def test_a_create_that_never_arrived_is_sent_again(rei: Plugin) -> None:
    rei.sandbox.options("rei", create_makes_duplicates=True)
    rei.sandbox.fault(vendor="rei", method="POST", path="contacts/?$", when="before", drop=True)
    result = rei.run(contacts({"key": "1", "email": "a@example.com"}))
    assert result.counts("contacts") == {"received": 1, "created": 1}
    assert len(held(rei.sandbox)) == 1


def test_a_429_is_waited_for(rei: Plugin) -> None:
    rei.sandbox.fault(vendor="rei", status=429, retry_after=1, times=2)
    result = rei.run(contacts({"key": "1", "email": "a@example.com"}))
    assert result.counts("contacts") == {"received": 1, "created": 1}
    assert result.report["streams"]["contacts"]["retries"] == 2


@pytest.mark.parametrize("form", ["map", "statusCode", "statusCode_list"])
def test_a_refused_contact_has_the_vendors_words_and_its_neighbours_arrive(
    rei: Plugin, form: str
) -> None:
    rei.sandbox.options("rei", error_form=form)
    rows = [{"key": str(n), "email": f"{n}@example.com"} for n in range(6)]
    rows[2]["email"] = "nonsense"
    result = rei.run(contacts(*rows))
    assert result.counts("contacts") == {"received": 6, "created": 5, "rejected": 1}
    assert kinds(result) == ["refused"]
    words = "email must be an email" if is_v2(rei) else "The email must be a valid email address."
    assert words in reasons(result)[0]
    assert result.rejects[0]["rejection"]["status"] == 422


def test_a_wrong_key_stops_the_run_and_is_not_shown(rei: Plugin) -> None:
    result = rei.run(contacts({"key": "1", "email": "a@example.com"}), api_key="wrong-secret-key")
    assert result.exit_code == 1
    assert "api_key" in result.error
    assert "wrong-secret-key" not in result.stderr


def test_a_wrong_address_stops_the_run_instead_of_finding_nobody(rei: Plugin) -> None:
    gone = {"key": "1", "email": "a@example.com", "_sdc_deleted_at": "2026-01-01T00:00:00Z"}
    wrong = f"{rei.sandbox.url}/rei/v9"
    for row in ({"key": "1", "email": "a@example.com"}, gone):
        result = rei.run(contacts(row), api_url=wrong)
        assert result.exit_code == 1
        assert "api_url" in result.error


def test_a_new_key_beside_a_known_one_stops_the_run_until_account_is_set(
    sandbox: Sandbox, tmp_path: Path
) -> None:
    rei = Plugin("target-reisoftware", sandbox, tmp_path)
    rei.run(contacts({"key": "1", "email": "a@example.com"}))
    rei.sandbox.account("rei", "default", api_key="renewed-key")
    old = rei.run(contacts({"key": "2", "email": "b@example.com"}), api_key="renewed-key")
    assert old.exit_code == 1
    assert "account" in old.error
    assert len(held(rei.sandbox)) == 1


def test_by_api_v2_the_location_says_whose_data_it_is(sandbox: Sandbox, tmp_path: Path) -> None:
    settings = sandbox.settings("target-reisoftware", "v2")
    rei = Plugin("target-reisoftware", sandbox, tmp_path, **settings)
    rei.run(contacts({"key": "1", "email": "a@example.com"}))
    sandbox.account("rei", "default", api_key="pit-renewed")
    result = rei.run(contacts({"key": "1", "email": "a@example.com"}), api_key="pit-renewed")
    assert result.counts("contacts") == {"received": 1, "unchanged": 1}


def test_no_identity_has_two_requests_in_flight(rei: Plugin) -> None:
    rows = [
        {"key": str(n), "email": f"{n % 40}@example.com", "phone": f"+1888555{n % 17:04}"}
        for n in range(200)
    ]
    rei.sandbox.options("rei", latency_ms=3)
    rei.run(contacts(*rows), concurrency=8, max_rejects="")
    counts = rei.sandbox.counts()
    assert counts["max_same_identity_writes"]["rei"]["count"] == 1
    assert counts["max_in_flight"]["rei"] > 2
    emails = [contact["email"] for contact in held(rei.sandbox)]
    assert len(emails) == len(set(emails))


def test_the_last_copy_of_a_key_wins(rei: Plugin) -> None:
    rows = [{"key": "1", "email": "a@example.com", "city": f"city {n}"} for n in range(50)]
    result = rei.run(contacts(*rows), concurrency=8)
    assert held(rei.sandbox)[0]["city"] == "city 49"
    assert result.counts("contacts") == {"received": 50, "merged": 49, "created": 1}
