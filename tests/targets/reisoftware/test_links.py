"""Tags and campaigns of REI Software's contacts."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from singer_sandbox import Sandbox
from tests.front_door import JSON, Plugin, Result, adds_up, record, schema
from tests.targets.reisoftware.versions import LOOKUPS, VERSIONS, asked, is_v2, lookups, target

DELETED = "2026-01-01T00:00:00Z"
ANN: JSON = {"id": "ann", "email": "Ann@example.com", "phone": "+4930123456"}
BOB: JSON = {"id": "bob", "email": "bob@example.com"}


def directory(sandbox: Sandbox) -> None:
    """Two contacts at the vendor."""
    sandbox.put_state(
        "rei",
        {
            "contacts": [ANN, BOB],
            "campaigns": [{"id": "spring"}, {"id": "winter"}],
            "workflows": [{"id": "welcome"}],
        },
    )


@pytest.fixture(params=VERSIONS)
def rei(request: pytest.FixtureRequest, sandbox: Sandbox, tmp_path: Path) -> Iterator[Plugin]:
    directory(sandbox)
    yield from target(request.param, sandbox, tmp_path)


def rows(stream: str, *records: JSON, key: tuple[str, ...] = ("key",)) -> list[JSON]:
    names = dict.fromkeys(name for row in records for name in row)
    properties: dict[str, Any] = {name: {} for name in names}
    return [schema(stream, properties, key), *(record(stream, **row) for row in records)]


def tags(sandbox: Sandbox, contact: str) -> list[str]:
    return list(sandbox.state("rei")["contacts"][contact].get("tags") or [])


def campaigns(sandbox: Sandbox) -> JSON:
    found: JSON = sandbox.state("rei")["contact_campaigns"]
    return found


def entries(sandbox: Sandbox) -> list[JSON]:
    return list(sandbox.state("rei")["workflow_entries"])


def rejection(result: Result) -> JSON:
    (message,) = result.rejects
    found: JSON = message["rejection"]
    return found


# --- tags ---------------------------------------------------------------------------------------


def test_all_tags_of_a_contact_go_in_one_request_whoever_it_is_named_by(rei: Plugin) -> None:
    result = rei.run(
        rows(
            "contact_tags",
            {"key": "1", "contactId": "ann", "tag": "a"},
            {"key": "2", "email": "ann@Example.com", "tags": ["b", "c"]},
            {"key": "3", "phone": "+49 30 123456", "tags": "d, e"},
            {"key": "4", "email": "bob@example.com", "tag": "b"},
        )
    )
    assert result.exit_code == 0, result.stderr
    assert tags(rei.sandbox, "ann") == ["a", "b", "c", "d", "e"]
    assert tags(rei.sandbox, "bob") == ["b"]
    posts = sorted(asked(rei.sandbox, "POST"))
    assert [post.rstrip("/") for post in posts] == [
        "POST contacts/ann/tags", "POST contacts/bob/tags",
    ]  # fmt: skip
    assert result.counts("contact_tags") == {"received": 4, "upserted": 4}
    assert adds_up(result.report)


def test_each_contact_is_looked_up_once_in_a_run(rei: Plugin) -> None:
    some = [{"key": str(n), "email": "ann@example.com", "tag": f"t{n}"} for n in range(40)]
    rei.run(rows("contact_tags", *some), concurrency=8)
    assert len(tags(rei.sandbox, "ann")) == 40
    assert asked(rei.sandbox, "GET") == [LOOKUPS[is_v2(rei)]]


def test_a_contact_of_the_same_run_is_not_looked_up_at_all(rei: Plugin) -> None:
    person = rows("contacts", {"key": "1", "email": "New@example.com"})
    tag = rows("contact_tags", {"key": "1", "email": "new@example.com", "tag": "vip"})
    result = rei.run([*tag, *person])
    assert result.exit_code == 0, result.stderr
    assert result.counts("contact_tags") == {"received": 1, "upserted": 1}
    assert len(lookups(rei.sandbox)) == 1


def test_tags_the_second_time_send_nothing(rei: Plugin) -> None:
    some = rows("contact_tags", {"key": "1", "email": "ann@example.com", "tags": ["b", "a"]})
    rei.run(some)
    rei.sandbox.log(clear=True)
    again = rows("contact_tags", {"key": "1", "email": "ANN@example.com", "tags": "a,b"})
    assert rei.run(again).counts("contact_tags") == {"received": 1, "unchanged": 1}
    assert asked(rei.sandbox) == []


def many_tags(number: int) -> list[str]:
    """Tags that no index makes much smaller."""
    return [hashlib.sha256(b"%d" % n).hexdigest()[:20] for n in range(number)]


def test_more_tags_than_the_ledger_holds_under_one_key_reject_that_record(
    rei: Plugin, database: str
) -> None:
    result = rei.run(
        rows(
            "contact_tags",
            {"key": "1", "contactId": "ann", "tags": many_tags(400)},
            {"key": "2", "contactId": "bob", "tags": ["b"]},
        ),
        database_url=database,
    )
    assert result.exit_code == 0, result.error
    assert rejection(result)["kind"] == "invalid"
    assert "give each tag a record of its own" in rejection(result)["reason"]
    assert (tags(rei.sandbox, "ann"), tags(rei.sandbox, "bob")) == ([], ["b"])


def test_tags_that_become_too_many_over_time_are_all_put_on(rei: Plugin, database: str) -> None:
    all_of_them = many_tags(400)
    for start in range(0, 400, 100):
        row = {"key": "1", "contactId": "ann", "tags": all_of_them[start : start + 100]}
        result = rei.run(rows("contact_tags", row), database_url=database)
        assert result.exit_code == 0, result.error
        assert result.counts("contact_tags") == {"received": 1, "upserted": 1}
    assert set(tags(rei.sandbox, "ann")) == set(all_of_them)


def test_a_delete_of_tags_removes_them_and_adds_and_deletes_keep_their_order(rei: Plugin) -> None:
    rei.run(rows("contact_tags", {"key": "1", "contactId": "ann", "tags": ["a", "b"]}))
    result = rei.run(
        rows(
            "contact_tags",
            {"key": "2", "contactId": "ann", "tag": "c"},
            {"key": "1", "contactId": "ann", "tags": ["a", "b"], "_sdc_deleted_at": DELETED},
            {"key": "3", "contactId": "ann", "tag": "a"},
        )
    )
    assert tags(rei.sandbox, "ann") == ["c", "a"]
    assert result.counts("contact_tags") == {"received": 3, "upserted": 2, "deleted": 1}


def test_a_delete_that_brings_only_its_key_takes_back_what_was_written(rei: Plugin) -> None:
    rei.run(rows("contact_tags", {"key": "1", "email": "ann@example.com", "tags": ["a", "b"]}))
    rei.run(rows("contact_tags", {"key": "2", "email": "ann@example.com", "tags": ["c"]}))
    result = rei.run(rows("contact_tags", {"key": "1", "_sdc_deleted_at": DELETED}))
    assert tags(rei.sandbox, "ann") == ["c"]
    assert result.counts("contact_tags") == {"received": 1, "deleted": 1}


def test_a_refused_tag_costs_its_neighbours_nothing(rei: Plugin) -> None:
    rei.sandbox.fault(
        vendor="rei", method="POST", path="tags", body='"bad"', times=None, status=422,
        answer={"tags": {"message": "The tag is forbidden.", "rule": "in"}},
    )  # fmt: skip
    some = [{"key": tag, "contactId": "ann", "tag": tag} for tag in ("a", "bad", "c")]
    result = rei.run(rows("contact_tags", *some))
    assert tags(rei.sandbox, "ann") == ["a", "c"]
    assert rejection(result)["kind"] == "refused"
    assert "The tag is forbidden." in rejection(result)["reason"]


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ({"tag": "a"}, "contactId, email or phone"),
        ({"contactId": "ann"}, "tags or tag"),
        ({"contactId": "ann", "tags": 5}, "5"),
        ({"email": "who@example.com", "tag": "a"}, "no contact with this email"),
        ({"contactId": "who", "tag": "a"}, "no contact who"),
    ],
)
def test_tags_that_cannot_be_put_anywhere_are_invalid(rei: Plugin, row: JSON, reason: str) -> None:
    result = rei.run(rows("contact_tags", {"key": "1", **row}))
    assert rejection(result)["kind"] == "invalid"
    assert reason in rejection(result)["reason"]


@pytest.mark.parametrize("status", [404, 400, 422])
@pytest.mark.parametrize("name", [{"contactId": "who"}, {"email": "who@example.com"}])
@pytest.mark.parametrize(
    ("stream", "what"),
    [("contact_tags", {"tag": "a"}), ("contact_campaigns", {"campaignId": "spring"})],
)
def test_of_a_contact_that_is_not_there_an_add_is_invalid_and_a_delete_succeeds(
    rei: Plugin, status: int, name: JSON, stream: str, what: JSON
) -> None:
    rei.sandbox.options("rei", unknown_contact_status=status)
    result = rei.run(
        rows(
            stream,
            {"key": "1", **name, **what},
            {"key": "2", **name, **what, "_sdc_deleted_at": DELETED},
        )
    )
    assert result.counts(stream) == {"received": 2, "rejected": 1, "deleted": 1}
    assert rejection(result)["kind"] == "invalid"


def test_a_contact_that_was_made_anew_gets_its_tags_again(rei: Plugin) -> None:
    person = rows("contacts", {"key": "1", "email": "new@example.com"})
    tag = rows("contact_tags", {"key": "1", "email": "new@example.com", "tag": "vip"})
    rei.run([*person, *tag])
    (old,) = {*rei.sandbox.state("rei")["contacts"]} - {"ann", "bob"}
    rei.sandbox.remove("rei", "contacts", old)
    rei.run([*rows("contacts", {"key": "1", "email": "new@example.com", "city": "Bonn"}), *tag])
    (new,) = {*rei.sandbox.state("rei")["contacts"]} - {"ann", "bob"}
    assert tags(rei.sandbox, new) == ["vip"]


def test_a_stale_id_in_the_ledger_is_looked_up_anew(rei: Plugin) -> None:
    rei.run(rows("contacts", {"key": "1", "email": "new@example.com"}))
    (old,) = {*rei.sandbox.state("rei")["contacts"]} - {"ann", "bob"}
    rei.sandbox.remove("rei", "contacts", old)
    rei.sandbox.put_state("rei", {"contacts": [{"id": "again", "email": "new@example.com"}]})
    result = rei.run(rows("contact_tags", {"key": "1", "email": "new@example.com", "tag": "vip"}))
    assert result.counts("contact_tags") == {"received": 1, "upserted": 1}
    assert tags(rei.sandbox, "again") == ["vip"]


def test_a_mirror_takes_back_the_tags_of_a_row_that_is_gone(rei: Plugin) -> None:
    rei.sandbox.put_state("rei", {"contacts": [{"id": "ann", "tags": ["theirs"]}]})
    mirror = {"mode": "mirror", "mirror_count": "n"}
    both = [
        {"email": "ann@example.com", "tag": "a"},
        {"email": "ann@example.com", "tag": "b"},
        {"email": "bob@example.com", "tag": "a"},
    ]
    key = ("email", "tag")
    rei.run(rows("contact_tags", *({**row, "n": 3} for row in both), key=key), **mirror)
    result = rei.run(rows("contact_tags", {**both[1], "n": 1}, key=key), **mirror)
    assert result.counts("contact_tags") == {"received": 1, "unchanged": 1, "removed": 2}
    assert tags(rei.sandbox, "ann") == ["theirs", "b"]
    assert tags(rei.sandbox, "bob") == []


@pytest.mark.parametrize("fault", [{"drop": True}, {"status": 503}])
def test_tags_whose_answer_was_lost_are_sent_again(rei: Plugin, fault: JSON) -> None:
    rei.sandbox.fault(vendor="rei", method="POST", path="tags", when="after", **fault)
    result = rei.run(rows("contact_tags", {"key": "1", "contactId": "ann", "tag": "a"}))
    assert result.counts("contact_tags") == {"received": 1, "upserted": 1}
    assert tags(rei.sandbox, "ann") == ["a"]


@pytest.mark.parametrize("stream", ["contact_tags", "contact_campaigns"])
def test_a_contact_never_has_two_requests_in_flight(rei: Plugin, stream: str) -> None:
    rei.sandbox.options("rei", latency_ms=2)
    rei.sandbox.put_state("rei", {"campaigns": [{"id": f"c{n}"} for n in range(150)]})
    names = [{"contactId": "ann"}, {"email": "ann@example.com"}, {"email": "bob@example.com"}]
    some = [
        {"key": str(n), **names[n % 3], "tag": f"t{n}", "campaignId": f"c{n}"} for n in range(150)
    ]
    result = rei.run(rows(stream, *some), concurrency=8)
    assert result.counts(stream) == {"received": 150, "upserted": 150}
    assert rei.sandbox.counts()["max_same_identity_writes"]["rei"]["count"] == 1


# --- campaigns ----------------------------------------------------------------------------------


def campaign(contact: str, what: str, **more: Any) -> JSON:
    return {"contactId": contact, "campaignId": what, **more}


def campaign_rows(*records: JSON) -> list[JSON]:
    return rows("contact_campaigns", *records, key=("contactId", "campaignId"))


def test_campaigns_are_added_and_removed(rei: Plugin) -> None:
    result = rei.run(campaign_rows(campaign("ann", "spring"), campaign("ann", "winter")))
    assert result.counts("contact_campaigns") == {"received": 2, "upserted": 2}
    assert campaigns(rei.sandbox) == {"ann": ["spring", "winter"]}
    rei.run(campaign_rows(campaign("ann", "spring", _sdc_deleted_at=DELETED)))
    assert campaigns(rei.sandbox) == {"ann": ["winter"]}


def test_a_star_removes_all_campaigns_in_order_with_the_adds(rei: Plugin) -> None:
    rei.run(campaign_rows(campaign("ann", "spring"), campaign("bob", "spring")))
    result = rei.run(
        campaign_rows(
            campaign("ann", "winter"),
            campaign("ann", "*", _sdc_deleted_at=DELETED),
            campaign("ann", "spring"),
        ),
        concurrency=8,
    )
    assert result.exit_code == 0, result.stderr
    assert campaigns(rei.sandbox) == {"ann": ["spring"], "bob": ["spring"]}


def test_after_a_star_in_an_earlier_run_an_add_is_not_taken_for_unchanged(rei: Plugin) -> None:
    rei.run(campaign_rows(campaign("ann", "spring"), campaign("bob", "spring")))
    rei.run(campaign_rows(campaign("ann", "*", _sdc_deleted_at=DELETED)))
    assert campaigns(rei.sandbox) == {"bob": ["spring"]}
    result = rei.run(campaign_rows(campaign("ann", "spring"), campaign("bob", "spring")))
    assert campaigns(rei.sandbox) == {"ann": ["spring"], "bob": ["spring"]}
    assert result.counts("contact_campaigns") == {"received": 2, "upserted": 1, "unchanged": 1}


def test_an_old_star_that_comes_again_does_not_take_what_was_added_since(rei: Plugin) -> None:
    star = campaign_rows(campaign("ann", "*", _sdc_deleted_at=DELETED))
    rei.run(campaign_rows(campaign("ann", "spring")))
    rei.run(star)
    assert campaigns(rei.sandbox) == {}
    rei.run(campaign_rows(campaign("ann", "winter")))
    assert rei.run(star).counts("contact_campaigns") == {"received": 1, "unchanged": 1}
    assert campaigns(rei.sandbox) == {"ann": ["winter"]}
    rei.run(campaign_rows(campaign("ann", "*", _sdc_deleted_at="2026-02-02T00:00:00Z")))
    assert campaigns(rei.sandbox) == {}


def test_a_star_for_nobody_is_sent_once_the_contact_is_there(rei: Plugin) -> None:
    star = {"key": "1", "email": "new@example.com", "campaignId": "*", "_sdc_deleted_at": DELETED}
    rei.run(rows("contact_campaigns", star))
    rei.sandbox.put_state(
        "rei",
        {
            "contacts": [{"id": "new", "email": "new@example.com"}],
            "contact_campaigns": {"new": ["spring"]},
        },
    )
    rei.run(rows("contact_campaigns", star))
    assert campaigns(rei.sandbox) == {}


@pytest.mark.parametrize("name", [{"contactId": "ann"}, {"email": "ann@example.com"}])
def test_a_full_extract_with_a_star_sends_nothing_the_second_time(rei: Plugin, name: JSON) -> None:
    extract = rows(
        "contact_campaigns",
        {"key": "1", **name, "campaignId": "*", "_sdc_deleted_at": DELETED},
        {"key": "2", **name, "campaignId": "spring", "_sdc_deleted_at": None},
    )
    rei.run(extract)
    rei.sandbox.log(clear=True)
    again = rei.run(extract)
    assert again.counts("contact_campaigns") == {"received": 2, "unchanged": 2}
    assert asked(rei.sandbox) == []
    assert campaigns(rei.sandbox) == {"ann": ["spring"]}


def test_a_star_is_for_deletes_only(rei: Plugin) -> None:
    result = rei.run(campaign_rows(campaign("ann", "*")))
    assert rejection(result)["kind"] == "invalid"
    assert asked(rei.sandbox) == []


@pytest.mark.parametrize("status", [404, 422])
def test_an_unknown_campaign_is_refused_and_the_run_goes_on(rei: Plugin, status: int) -> None:
    rei.sandbox.options("rei", unknown_target_status=status)
    result = rei.run(
        campaign_rows(
            campaign("ann", "nope"),
            campaign("ann", "spring"),
            campaign("bob", "nope", _sdc_deleted_at=DELETED),
        )
    )
    assert result.exit_code == 0, result.stderr
    assert rejection(result)["kind"] == "refused"
    assert "ampaign" in rejection(result)["reason"]
    assert rejection(result)["status"] == status
    assert campaigns(rei.sandbox) == {"ann": ["spring"]}
    assert result.counts("contact_campaigns")["deleted"] == 1


def test_a_star_that_an_earlier_run_was_refused_goes_before_what_is_newer(rei: Plugin) -> None:
    rei.run(campaign_rows(campaign("ann", "winter")))
    rei.sandbox.fault(vendor="rei", path="remove-?[aA]ll", status=400, answer={"msg": "Locked."})
    rei.run(campaign_rows(campaign("ann", "*", _sdc_deleted_at=DELETED)))
    assert campaigns(rei.sandbox) == {"ann": ["winter"]}
    rei.run(campaign_rows(campaign("ann", "spring")))
    assert campaigns(rei.sandbox) == {"ann": ["spring"]}


def test_a_mirror_takes_a_contact_out_of_a_campaign(rei: Plugin) -> None:
    mirror = {"mode": "mirror", "mirror_count": "n"}
    rei.run(campaign_rows(campaign("ann", "spring", n=2), campaign("bob", "spring", n=2)), **mirror)
    rei.run(campaign_rows(campaign("ann", "spring", n=1)), **mirror)
    assert campaigns(rei.sandbox) == {"ann": ["spring"]}
