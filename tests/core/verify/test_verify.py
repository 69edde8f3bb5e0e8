"""`--verify`: what was delivered against what the vendor has now."""

from __future__ import annotations

import pytest

from singer_sandbox import Sandbox
from tests.core.verify.vendors import Vendor, with_list
from tests.front_door import JSON, Plugin
from tests.people import SCHEMA, person


def test_what_the_vendor_has_as_it_was_delivered_is_no_difference(target: Vendor) -> None:
    target.deliver(1, 2, 3)
    result = target.verify()
    assert (result.exit_code, result.error) == (0, "")
    assert target.drift() == []
    assert "no difference" in target.page()


@with_list
def test_a_record_that_was_deleted_by_hand_is_gone(target: Vendor) -> None:
    target.deliver(1, 2, 3)
    id_ = target.remove(2)
    result = target.verify()
    assert result.exit_code == 1
    (line,) = target.drift()
    assert (line["key"], line["id"], line["difference"]) == ("k2", id_, "gone")


@with_list
def test_a_record_whose_email_another_one_has_is_merged_into_it(target: Vendor) -> None:
    target.deliver(1, 2, 3)
    target.remove(2)
    target.sandbox.put_state(
        target.name, {target.stream: [{"id": "900", target.email: "P2@example.com"}]}
    )
    result = target.verify()
    assert result.exit_code == 1
    (line,) = target.drift()
    assert (line["key"], line["difference"]) == ("k2", "merged")
    assert line["into"] == target.id_of(2)


@pytest.mark.parametrize("target", ["merlin"], indirect=True)
def test_what_a_search_does_not_find_is_not_called_gone(target: Vendor) -> None:
    target.deliver(1, 2)
    target.remove(2)
    result = target.verify()
    assert result.exit_code == 0
    assert target.drift() == []
    assert "contacts: 1 not compared: SEARCH does not find them by their idContact" in result.stdout


def test_records_of_others_are_no_difference(target: Vendor) -> None:
    target.plugin.run(target.rows(7, 8), sync="other")
    target.deliver(1)
    target.remove(7)
    assert target.verify().exit_code == 0
    assert target.drift() == []


@pytest.mark.parametrize("target", ["v2"], indirect=True)
def test_a_list_that_lags_behind_hides_nothing(target: Vendor) -> None:
    target.sandbox.options("rei", search_lag=30)
    target.deliver(1, 2)
    assert target.verify().exit_code == 0
    target.remove(1)
    assert target.verify().exit_code == 1
    assert target.found() == {"k1": "gone"}


@pytest.mark.parametrize("target", ["autoreach"], indirect=True)
def test_a_list_that_misses_a_record_is_read_again(target: Vendor) -> None:
    target.deliver(*range(1, 8))
    row = target.at_vendor()[1]
    # After page 2 was answered, a row of page 1 is deleted: row 5 moves to page 2.
    target.sandbox.fault(
        vendor="autoreach",
        path="/members$",
        method="GET",
        after=2,
        remove={"table": "members", "key": row["id"]},
    )
    target.sandbox.log(clear=True)
    result = target.verify(page_size=2)
    assert (result.exit_code, target.drift()) == (0, []), "1 was compared before it was deleted"
    pages = [r for r in target.sandbox.requests("autoreach") if r["template"].endswith("members")]
    assert len(pages) > 2 * 4
    assert target.verify(page_size=2).exit_code == 1
    assert target.found() == {"k1": "gone"}


@pytest.mark.parametrize("target", ["v1", "v2"], indirect=True)
def test_a_list_that_costs_more_than_the_records_is_not_read(target: Vendor) -> None:
    target.sandbox.fill("rei", contacts=350)
    target.plugin.run(target.rows(9001, 9002))
    target.sandbox.log(clear=True)
    assert target.verify().exit_code == 0
    asked = [r for r in target.sandbox.requests("rei") if "/contacts" in r["path"]]
    assert len(asked) == 3, "how many there are, and each of the two"


def test_streams_that_cannot_be_read_are_named_with_the_reason(
    people: Plugin, sandbox: Sandbox
) -> None:
    people.run([SCHEMA, person(1)])
    result = people.run([], "--verify")
    assert result.exit_code == 0
    assert "people: not compared: the vendor has no request that reads them back" in result.stdout


def test_a_sync_that_has_delivered_nothing_has_no_difference(target: Vendor) -> None:
    result = target.verify()
    assert result.exit_code == 0
    assert "delivered nothing" in result.stdout


def test_verifying_leaves_runs_and_reports_as_they_were(target: Vendor) -> None:
    target.deliver(1)
    before = target.plugin.report()
    target.verify()
    assert target.plugin.report() == before
    history = target.plugin.run([], "--history").stdout
    assert len([line for line in history.splitlines() if "default" in line]) == 1


def test_a_vendor_that_is_down_ends_it_with_the_reason(target: Vendor) -> None:
    target.deliver(1)
    target.sandbox.fault(vendor=target.name, status=500, times=None)
    result = target.verify(max_retries=0)
    assert result.exit_code == 1
    assert "500" in result.error
    target.sandbox.clear_faults()
    assert target.verify().exit_code == 0


@pytest.mark.parametrize("target", ["v1"], indirect=True)
def test_a_page_that_could_not_be_written_is_not_named(target: Vendor) -> None:
    target.deliver(1)
    target.plugin.path("drift.html").mkdir()
    result = target.verify()
    assert result.exit_code == 0
    assert "The page could not be written" in result.stderr
    assert "Page:" not in result.stdout


@pytest.mark.parametrize(
    ("arguments", "config", "said"),
    [
        (["--repair"], {}, "give both"),
        (["--verify"], {"ledger_url": "none"}, "ledger_url must not be 'none'"),
        (["--verify", "--repair"], {"dry_run": True}, "dry_run forbids"),
    ],
)
def test_what_cannot_be_is_refused(
    people: Plugin, arguments: list[str], config: JSON, said: str
) -> None:
    result = people.run([], *arguments, **config)
    assert result.exit_code == 1
    assert said in result.error


def test_the_rate_limit_holds_as_in_a_run(target: Vendor) -> None:
    numbers = range(1, 26)
    target.deliver(*numbers)
    for number in numbers:  # what differs in a list is asked for one by one
        target.edit(number, **{target.first: "Hannah"})
    target.sandbox.log(clear=True)
    pages = {"page_size": 1} if target.name == "autoreach" else {}
    result = target.verify(rate_limit="10/s", concurrency=8, **pages)
    assert f"edited fields: {target.first} (25)" in result.stdout
    times = [
        request["at"]
        for request in target.sandbox.requests(target.name)
        if "oauth" not in request["path"]
    ]
    assert len(times) >= 25
    assert max(sum(at <= other < at + 1 for other in times) for at in times) <= 10


def test_a_run_and_a_comparison_of_one_sync_exclude_each_other(target: Vendor) -> None:
    target.deliver(1)
    target.sandbox.fault(vendor=target.name, hold="read", times=1)
    process = target.plugin.start([], "--verify")
    target.sandbox.wait_held("read")
    result = target.plugin.run(target.rows(2))
    assert result.exit_code == 1
    assert "Another run" in result.error
    target.sandbox.release("read")
    assert target.plugin.finish(process).exit_code == 0
