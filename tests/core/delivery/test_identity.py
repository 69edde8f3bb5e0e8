"""Emails and phones are compared as vendors compare them."""

from __future__ import annotations

import random
from decimal import Decimal
from typing import Any

import phonenumbers
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from singer_http import identity
from singer_http.identity import e164, fold_email, fold_phone


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Ann@Example.com", " ann@example.com\u00a0"),
        ("rene\u0301@example.com", "REN\u00c9@example.com"),
    ],
)
def test_spellings_of_one_email_are_one(one: str, other: str) -> None:
    assert fold_email(one) == fold_email(other)


def test_two_mailboxes_stay_two() -> None:
    assert fold_email("stra\u00dfe@example.com") != fold_email("strasse@example.com")
    assert fold_email(None) == fold_email("  ") == ""


@pytest.mark.parametrize(
    "text",
    [
        "+15551234567", "15551234567", "(555) 123-4567", "1-555-123-4567", "+1 (555) 123.4567",
        "555 123 4567 ", "555\u2013123\u20134567", "\u202a+1 555 123 4567\u202c", 5551234567,
        15551234567, Decimal("5551234567.0"), "001 555 123 4567",
    ],
)  # fmt: skip
def test_a_north_american_number_is_one_with_or_without_1(text: Any) -> None:
    assert fold_phone(text) == "5551234567"
    assert fold_phone(text, "US") == "5551234567"


@pytest.mark.parametrize(
    "text",
    ["+49 30 123456", "(+49) 30-123456", "+49 (0)30 123456", "0049 30 123456"],
)
def test_a_number_of_another_country_is_not_taken_for_a_north_american_one(text: str) -> None:
    assert fold_phone(text) == fold_phone("+4930123456")
    assert fold_phone(text) != fold_phone("(493) 012-3456")


@pytest.mark.parametrize(
    ("national", "region", "number"),
    [
        ("030 123456", "DE", "+4930123456"), ("90123456", "no", "+4790123456"),
        ("13812345678", "CN", "+8613812345678"), ("555-123-4567", "US", "+15551234567"),
    ],
)  # fmt: skip
def test_a_national_number_is_of_the_region(national: str, region: str, number: str) -> None:
    assert e164(national, region) == number
    assert fold_phone(national, region) == fold_phone(number, region) == fold_phone(number)


@pytest.mark.parametrize(
    "text",
    [
        None, "", "  ", "+", "()", "call Ann 5551234567", "5551234567x12", "5551234567 ext. 12",
        "5551234567, 5559876543", "5551234567; 5559876543", "5551234567\n5559876543",
        "1800FLOWERS", "12", True, ["5551234567"], {"phone": "5551234567"},
    ],
)  # fmt: skip
def test_what_is_not_one_phone_number_has_no_identity(text: Any) -> None:
    assert fold_phone(text) == ""
    assert fold_phone(text, "DE") == ""
    assert e164(text, "US") == ""


@pytest.mark.parametrize(
    "text", ["555-1234", "5551234567 5559876543", "+1619359", "+99912345", "+161935964401234"]
)
def test_a_number_of_an_impossible_length_is_not_made_e164(text: str) -> None:
    assert e164(text, "US") == ""


def test_without_a_region_only_international_numbers_become_e164() -> None:
    assert e164("6193596440") == ""
    assert e164("+1 (619) 359-6440") == "+16193596440"


REGIONS = sorted(phonenumbers.SUPPORTED_REGIONS)


@settings(max_examples=1500, deadline=None)
@given(
    st.sampled_from([*REGIONS, "GB", "DE", "FR", "AU", "IT", "BR", "MX", "AR", "nl", "XX"]),
    st.text("0123456789", min_size=1, max_size=16),
    st.sampled_from(["", "0", "00", "8", "country"]),
    st.sampled_from(["{}", "({:.3})", "{:.3} {}", "{:.3}-{}.{:.1}", "({}", "{}/{:.2}"]),
)
def test_a_national_number_is_what_the_library_reads(
    region: str, digits: str, prefix: str, form: str
) -> None:
    if prefix == "country":
        prefix = str(phonenumbers.country_code_for_region(region.upper()))
    text = form.format(prefix + digits, digits, digits)
    assert identity.e164(text, region) == identity._parsed(text, region)


@pytest.mark.parametrize("region", REGIONS)
def test_national_numbers_of_every_region_are_what_the_library_reads(region: str) -> None:
    numbers = random.Random(region)
    plan = identity._numbering(region)
    assert plan is not None
    for length in range(3, 14):
        for prefix in ("", "0", "1", "8", plan.code, "0" + plan.code, "00", "01", "06"):
            for _ in range(6):
                text = prefix + "".join(numbers.choices("0123456789", k=length))
                assert identity.e164(text, region) == identity._parsed(text, region), text


@pytest.mark.parametrize("region", ["US", "CA", "DO"])
def test_a_number_abroad_that_is_dialled_from_north_america_is_that_of_its_country(
    region: str,
) -> None:
    assert fold_phone("011 44 20 7946 0958", region) == fold_phone("+44 20 7946 0958", region)
    for text in ("(619) 359-6440", "1-619-359-6440", "+1 619 359 6440", "001 619 359 6440"):
        assert fold_phone(text, region) == "6193596440"
    assert fold_phone("359-6440", region) == "3596440"
