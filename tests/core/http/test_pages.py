"""Numbered pages of a list that changes while it is read, and of vendors that page oddly."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from singer_http.errors import Incomplete
from singer_http.http.pages import NumberedPages, PageParams, key_of, stated_total
from singer_http.http.seen_keys import SeenKeys

Row = dict[str, Any]
Change = Callable[["Vendor"], None]


class Vendor:
    """A list in numbered pages; changes are made before a certain request."""

    def __init__(self, rows: int, changes: dict[int, Change] | None = None) -> None:
        self.rows: list[Row] = [{"id": number} for number in range(1, rows + 1)]
        self.changes = changes or {}
        self.requests: list[int] = []
        self.cap = 100
        self.state_total: Callable[[int], int | None] = lambda length: length
        self.pages_to_give: Callable[[int], int] = lambda number: number

    def fetch(self, number: int) -> Any:
        self.requests.append(number)
        if change := self.changes.get(len(self.requests)):
            change(self)
        given = self.pages_to_give(number)
        rows = self.rows[(given - 1) * self.cap : given * self.cap]
        return {"data": rows, "total": self.state_total(len(self.rows))}

    def read(self, **options: Any) -> list[int]:
        """The ids, in the order in which they came; none came twice."""
        ids = [row["id"] for page in self.pages(**options).read() for row in page]
        assert len(ids) == len(set(ids))
        return ids

    def pages(self, **options: Any) -> NumberedPages:
        return NumberedPages(
            fetch=self.fetch,
            rows=lambda answer: list(answer["data"]),
            total=lambda answer: stated_total(answer["total"]),
            key=key_of("id"),
            listed="members",
            params=PageParams("page", "size", 100, "page_param and page_size"),
            **options,
        )


def delete(*ids: int) -> Change:
    def change(vendor: Vendor) -> None:
        vendor.rows = [row for row in vendor.rows if row["id"] not in ids]

    return change


def insert(position: int, *ids: int) -> Change:
    def change(vendor: Vendor) -> None:
        vendor.rows[position:position] = [{"id": number} for number in ids]

    return change


def both(*changes: Change) -> Change:
    def change(vendor: Vendor) -> None:
        for each in changes:
            each(vendor)

    return change


@pytest.mark.parametrize("number", [0, 1, 99, 100, 101, 250, 300])
def test_a_quiet_list_is_read_once(number: int) -> None:
    vendor = Vendor(number)
    assert vendor.read() == list(range(1, number + 1))
    # A full last page is no proof of the end: the total may be too small.
    assert len(vendor.requests) == number // 100 + 1


@pytest.mark.parametrize("at", [2, 3])
@pytest.mark.parametrize("gone", [{5}, {100}, {1}, {101}, {300}, set(range(1, 100))], ids=str)
def test_a_row_that_a_deletion_moves_back_is_read(at: int, gone: set[int]) -> None:
    vendor = Vendor(300, {at: delete(*gone)})
    assert set(vendor.read()) >= set(range(1, 301)) - gone
    assert len(vendor.requests) <= 7  # not the whole list again


def test_deletions_of_several_pages_are_followed_back_as_far_as_needed() -> None:
    vendor = Vendor(1000, {5: delete(*range(1, 351))})
    assert set(vendor.read()) == {*range(1, 401), *range(401, 1001)}


def test_deletions_between_all_answers_lose_no_row() -> None:
    vendor = Vendor(1000, {number: delete(number) for number in range(2, 60)})
    assert set(vendor.read()) >= set(range(60, 1001))


def test_the_row_that_was_alone_on_the_last_page_is_read() -> None:
    assert set(Vendor(201, {3: delete(7)}).read()) == set(range(1, 202))


def test_a_row_added_at_the_end_is_read() -> None:
    assert set(Vendor(300, {2: insert(300, 301)}).read()) == set(range(1, 302))


def test_a_row_added_in_front_loses_and_doubles_none() -> None:
    vendor = Vendor(300, {2: insert(0, 301)})
    assert set(vendor.read()) >= set(range(1, 301))


def test_a_whole_page_added_in_front_loses_and_doubles_none() -> None:
    vendor = Vendor(300, {2: insert(0, *range(301, 401))})
    assert set(vendor.read()) == set(range(1, 401))


def test_a_deletion_and_an_insertion_apart_from_each_other_lose_no_row() -> None:
    vendor = Vendor(400, {2: delete(5), 3: insert(399, 401)})
    assert set(vendor.read()) >= set(range(1, 401)) - {5}


def test_fewer_rows_than_the_total_are_looked_for_again() -> None:
    # At once, so that the total stays as it was: row 300 goes, row 301 stands in front.
    vendor = Vendor(400, {2: both(delete(300), insert(0, 401))})
    assert set(vendor.read()) >= set(range(1, 401)) - {300}


def test_what_leaves_no_sign_is_found_where_the_list_has_to_be_certain() -> None:
    vendor = Vendor(300, {2: both(delete(5), insert(299, 301))})
    assert 101 in vendor.read(confirm=True)
    assert len(vendor.requests) <= 12


def test_a_quiet_list_that_has_to_be_certain_is_read_twice() -> None:
    vendor = Vendor(250)
    assert len(vendor.read(confirm=True)) == 250
    assert vendor.requests == [1, 2, 3, 1, 2, 3]
    short = Vendor(99)
    short.read(confirm=True)
    assert short.requests == [1]  # one answer is one moment


def test_rows_that_are_only_added_do_not_stop_a_list_that_has_to_be_certain() -> None:
    steady = {number: insert(5000, 10_000 + number) for number in range(2, 100)}
    vendor = Vendor(350, steady)
    assert set(vendor.read(confirm=True)) >= set(range(1, 351))


def test_a_list_that_never_stops_changing_stops_the_run() -> None:
    swaps = {
        number: both(delete(number), insert(0, 10_000 + number), insert(250, 20_000 + number))
        for number in range(1, 200)
    }
    with pytest.raises(Incomplete, match="members: the list changed in each of 5 passes") as caught:
        Vendor(350, swaps).read(confirm=True)
    assert "page_param and page_size" in str(caught.value)


def no_total(vendor: Vendor) -> Vendor:
    vendor.state_total = lambda _: None
    return vendor


def test_a_list_without_a_total_is_read_until_a_pass_brings_nothing_new() -> None:
    assert 101 in no_total(Vendor(300, {2: delete(5)})).read()


@pytest.mark.parametrize("number", [0, 1, 100, 250])
@pytest.mark.parametrize("repeats_last", [False, True])
def test_a_list_without_a_total_ends_with_nothing_or_the_last_page_again(
    number: int, repeats_last: bool
) -> None:
    vendor = no_total(Vendor(number))
    if repeats_last:
        last = max(1, -(-number // 100))
        vendor.pages_to_give = lambda asked: min(asked, last)
    one_page = 0 < number <= 100
    assert len(vendor.read(one_answer=one_page)) == number


def test_more_rows_than_asked_for_in_every_answer_are_the_whole_list() -> None:
    vendor = no_total(Vendor(250))
    vendor.cap, vendor.pages_to_give = 1000, lambda _: 1
    assert len(vendor.read()) == 250


@pytest.mark.parametrize(("total", "said"), [(None, "an unknown total"), (250, "250")])
def test_parameters_that_are_ignored_stop_the_run(total: int | None, said: str) -> None:
    vendor = Vendor(25)
    vendor.state_total, vendor.pages_to_give = lambda _: total, lambda _: 1
    with pytest.raises(Incomplete) as caught:
        vendor.read()
    assert str(caught.value) == (
        f"members: got 25 of {said}: page 2 is the same as an earlier one; "
        "check page_param and page_size"
    )


def test_a_total_that_is_too_large_stops_the_run() -> None:
    vendor = Vendor(250)
    vendor.state_total = lambda length: length + 7
    with pytest.raises(Incomplete, match="got 250 of 257: page 4 is empty"):
        vendor.read()


def test_a_total_that_is_too_small_hides_no_row() -> None:
    vendor = Vendor(550)
    vendor.state_total = lambda _: 200
    assert len(vendor.read()) == 550


@pytest.mark.parametrize("cap", [1, 7, 30, 250])
def test_a_page_size_of_the_vendors_own_is_read_to_the_end(cap: int) -> None:
    vendor = Vendor(450)
    vendor.cap = cap
    assert vendor.read() == list(range(1, 451))


def test_pages_that_are_fetched_in_another_order_lose_no_row() -> None:
    def shuffled(call: Callable[[int], Any], numbers: Any) -> Iterator[Any]:
        order = list(numbers)
        random.Random(4).shuffle(order)
        answers = {number: call(number) for number in order}
        return (answers[number] for number in sorted(answers))

    vendor = Vendor(1000, {number: delete(number * 7) for number in range(2, 12)})
    assert set(vendor.read(map=shuffled)) >= set(range(85, 1001))


@pytest.mark.parametrize("seed", range(60))
def test_no_row_that_stays_is_missed_whatever_is_deleted_and_added(seed: int) -> None:
    chance = random.Random(seed)
    stay = set(range(1, 601, 2))
    changes = {}
    for request in range(2, chance.randrange(3, 12)):
        gone = [2 * chance.randrange(1, 300) for _ in range(chance.randrange(4))]
        added = [1000 * request + number for number in range(chance.randrange(4))]
        place = chance.choice([0, 300, 10_000])
        changes[request] = both(delete(*gone), insert(place, *added))
    assert set(Vendor(600, changes).read(confirm=True)) >= stay


def test_rows_without_a_key_are_told_apart_by_what_they_hold() -> None:
    key = key_of("id")
    assert key({"name": "a"}) != key({"name": "b"})
    assert key({"id": 1}) == key({"id": "1"})
    assert key_of("a", "b")({"a": 1}) != key_of("a", "b")({"b": 1})


@pytest.mark.parametrize(
    ("value", "total"), [(3, 3), ("3", 3), (3.0, 3), (3.5, None), (True, None), ("x", None)]
)
def test_a_total_is_a_number_or_its_digits(value: Any, total: int | None) -> None:
    assert stated_total(value) == total


def test_many_keys_are_found_again() -> None:
    seen = SeenKeys()
    seen.add(range(100_000))
    assert seen.unseen([5, 99_999, 100_000, -3]) == [False, False, True, True]
    seen.add([100_000, 5])
    assert seen.unseen([100_000]) == [False]
    seen.close()
