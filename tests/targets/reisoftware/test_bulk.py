"""By API v2 the same tags of many contacts go in one request."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from singer_sandbox import Sandbox
from target_reisoftware.tags import BulkSize
from tests.front_door import JSON, Plugin
from tests.targets.reisoftware.test_links import DELETED, rejection, rows, tags
from tests.targets.reisoftware.versions import asked, target


@pytest.fixture
def rei(sandbox: Sandbox, tmp_path: Path) -> Iterator[Plugin]:
    yield from target("v2", sandbox, tmp_path)


def known(sandbox: Sandbox, number: int) -> list[str]:
    """So many contacts at the vendor; their ids."""
    ids = [f"contact{n:013d}" for n in range(number)]
    rows = [{"id": id_, "email": f"{id_}@example.com"} for id_ in ids]
    sandbox.put_state("rei", {"contacts": rows})
    return ids


def tag_rows(ids: list[str], *names: str, **more: Any) -> list[JSON]:
    some = [{"contactId": id_, "tag": name, **more} for id_ in ids for name in names]
    return rows("contact_tags", *some, key=("contactId", "tag"))


def bulk(sandbox: Sandbox) -> list[int]:
    """How many contacts each bulk request had."""
    requests = [r for r in sandbox.requests("rei") if "/bulk/" in r["path"]]
    return [len(request["body"]["contacts"]) for request in requests]


def test_the_same_tag_of_many_contacts_takes_few_requests(rei: Plugin) -> None:
    ids = known(rei.sandbox, 1000)
    result = rei.run(tag_rows(ids, "vip"))
    assert result.exit_code == 0, result.stderr
    assert result.counts("contact_tags") == {"received": 1000, "upserted": 1000}
    assert all(tags(rei.sandbox, id_) == ["vip"] for id_ in ids[::99])
    assert len(asked(rei.sandbox)) <= 20
    assert max(bulk(rei.sandbox)) == 100
    again = rei.run(tag_rows(ids, "vip"))
    assert again.counts("contact_tags") == {"received": 1000, "unchanged": 1000}


def test_the_first_requests_are_small(rei: Plugin) -> None:
    rei.run(tag_rows(known(rei.sandbox, 200), "vip"), concurrency=1)
    assert max(bulk(rei.sandbox)[:2]) <= 20


def test_deletes_go_in_bulk_too_and_different_tags_do_not_mix(rei: Plugin) -> None:
    ids = known(rei.sandbox, 60)
    rei.run(tag_rows(ids, "vip", "owner"))
    assert sorted(tags(rei.sandbox, ids[0])) == ["owner", "vip"]
    rei.sandbox.log(clear=True)
    result = rei.run(tag_rows(ids, "vip", _sdc_deleted_at=DELETED))
    assert result.counts("contact_tags") == {"received": 60, "deleted": 60}
    assert all(tags(rei.sandbox, id_) == ["owner"] for id_ in ids)
    assert len(asked(rei.sandbox)) < 10


@pytest.mark.parametrize("most", [1, 7, 30])
def test_where_the_vendor_takes_fewer_contacts_smaller_requests_are_sent(
    rei: Plugin, most: int
) -> None:
    rei.sandbox.options("rei", bulk_tags_max=most)
    ids = known(rei.sandbox, 200)
    result = rei.run(tag_rows(ids, "vip"))
    assert result.counts("contact_tags") == {"received": 200, "upserted": 200}
    assert all(tags(rei.sandbox, id_) == ["vip"] for id_ in ids)
    refused = [size for size in bulk(rei.sandbox) if size > most]
    assert len(refused) < 30


def test_the_setting_bounds_a_request(rei: Plugin) -> None:
    rei.run(tag_rows(known(rei.sandbox, 120), "vip"), bulk_tags=25)
    assert max(bulk(rei.sandbox)) == 25
    rei.sandbox.log(clear=True)
    rei.run(tag_rows(known(rei.sandbox, 5), "owner"), bulk_tags=1)
    assert bulk(rei.sandbox) == []


def test_what_the_answer_says_of_a_contact_is_about_that_contact(rei: Plugin) -> None:
    ids = known(rei.sandbox, 30)
    rei.sandbox.remove("rei", "contacts", ids[3])
    result = rei.run(tag_rows(ids, "vip"))
    assert result.counts("contact_tags") == {"received": 30, "upserted": 29, "rejected": 1}
    assert rejection(result)["kind"] == "invalid"
    assert ids[3] in rejection(result)["reason"]
    gone = tag_rows([ids[3], ids[4]], "vip", _sdc_deleted_at=DELETED)
    deleted = rei.run(gone, retry_rejects=False)
    assert deleted.counts("contact_tags") == {"received": 2, "deleted": 2}


def test_a_refused_tag_does_not_make_the_requests_of_others_small(rei: Plugin) -> None:
    rei.sandbox.fault(
        vendor="rei", method="POST", path="tags", body='"bad"', times=None, status=422,
        answer={"message": ["the tag is forbidden"], "statusCode": 422},
    )  # fmt: skip
    ids = known(rei.sandbox, 220)
    result = rei.run(
        [*tag_rows(ids[:20], "bad"), *tag_rows(ids[20:], "good")], max_rejects="", concurrency=1
    )
    assert result.counts("contact_tags") == {"received": 220, "upserted": 200, "rejected": 20}
    assert max(bulk(rei.sandbox)) > 20
    assert {message["rejection"]["kind"] for message in result.rejects} == {"refused"}


@pytest.mark.parametrize(
    "answer", [{}, {"succeded": True}, {"responses": ["ok"]}, {"responses": 5}]
)
def test_after_an_answer_that_names_no_contact_each_is_sent_alone(
    rei: Plugin, answer: JSON
) -> None:
    rei.sandbox.fault(vendor="rei", path="bulk", times=None, status=201, answer=answer)
    ids = known(rei.sandbox, 10)
    result = rei.run(tag_rows(ids, "vip"))
    assert result.counts("contact_tags") == {"received": 10, "upserted": 10}
    assert all(tags(rei.sandbox, id_) == ["vip"] for id_ in ids)


@pytest.mark.parametrize("fault", [{"drop": True}, {"status": 503}])
def test_a_bulk_request_whose_answer_was_lost_is_sent_again(rei: Plugin, fault: JSON) -> None:
    rei.sandbox.fault(vendor="rei", path="bulk", when="after", **fault)
    ids = known(rei.sandbox, 20)
    result = rei.run(tag_rows(ids, "vip"))
    assert result.counts("contact_tags") == {"received": 20, "upserted": 20}


@pytest.mark.parametrize("step", ["after_pending", "after_answer", "before_acknowledged"])
def test_a_run_that_died_is_finished_by_the_next_one(rei: Plugin, step: str) -> None:
    ids = known(rei.sandbox, 50)
    rei.dying(step, 2).run(tag_rows(ids, "vip"))
    result = rei.run(tag_rows(ids, "vip"))
    assert result.exit_code == 0, result.stderr
    assert all(tags(rei.sandbox, id_) == ["vip"] for id_ in ids)


def test_the_size_doubles_and_never_grows_beyond_a_refusal() -> None:
    size = BulkSize(100)
    for expected in (20, 40, 80, 100, 100):
        size.taken(size.now)
        assert size.now == expected
    size.refused(100)
    size.taken(50)
    assert size.now == 50
