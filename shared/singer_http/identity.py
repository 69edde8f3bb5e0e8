"""Vendor identities as vendors compare them: emails and phones, in every plugin alike."""

from __future__ import annotations

import functools
import re
import unicodedata
from typing import Any, NamedTuple

from singer_http.exact_json import text_of

# Brackets, dots, dashes (typographic ones too), slashes and spaces may stand between the digits of
# one number. A line break, a comma, a letter: it is something else, or more than one number.
_PHONE = re.compile("\\(?\\+?[0-9 \u00a0\u2007\u2009\u202f().\\-\u2010-\u2015\u2212/]*[0-9][)]?")
_INVISIBLE = re.compile("[\u00ad\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufeff]")
"""Marks of writing direction and the like, which address books copy along with a number."""
_EXTENSION = re.compile(r"\s*(;ext=|\bext(ension)?\b\.?|x|#)\s*[0-9]{1,7}\s*$", re.IGNORECASE)
"""Behind a number: `x7`, `ext. 7`. A vendor's field holds the number without it."""
_NORTH_AMERICAN = re.compile(r"\+1[0-9]{10}")
_NOT_DIGITS = re.compile(r"[^0-9]")
_EMAIL_IN_TEXT = re.compile(r"[\w.+%-]+@[\w-]+(?:\.[\w-]+)+")
_PHONE_IN_TEXT = re.compile(
    r"\+[0-9][0-9 ().-]{5,}[0-9]|(?<![\w-])\(?[0-9]{3}[) .-]+[0-9]{3}[ .-][0-9]{4}\b"
    r"|\b[0-9]{10,11}\b"
)
_NATIONAL = re.compile("[0-9 ().\\-/]{1,40}")
_MOST_DIGITS = 20
"""Of a number that is read without the library."""
FEWEST_DIGITS = 3
"""Digits without which a text is no phone number."""
NORTH_AMERICA = "1"
"""Country code; national numbers there have 10 digits."""
LONGEST_AMERICAN = 11
"""Digits of such a number, with its 1."""


def fold_email(value: Any) -> str:
    """An email as it is compared: trimmed, in Unicode NFC, in lower case. Empty for none."""
    if value is None:
        return ""
    if type(value) is str and value.isascii():  # as nearly all are: it is in NFC
        return value.strip().lower()
    # Lower case, not case folding: folding turns ß into ss, which is another mailbox.
    return unicodedata.normalize("NFC", text_of(value).strip().lower())


def fold_phone(value: Any, region: str | None = None) -> str:
    """A phone number as it is compared: its digits in E.164, North America's without their 1.

    Args:
        value: the number.
        region: ISO country of national numbers (`phone_region`); without it they are compared by
            their digits.

    Returns:
        Empty for none, and for a text that is not one phone number. Numbers of other countries
        with ten digits in all keep their +, which tells them from North America's.
    """
    if type(value) is str and _NORTH_AMERICAN.fullmatch(value):
        return value[2:]  # the form that most have by now
    if type(value) is str and len(value) == 12 and value.startswith("+1"):
        digits = value[2:]
        if digits.isascii() and digits.isdecimal():  # nothing stands between them
            return digits
    text, number = _phone_text(value), ""
    # North America's own are known by their digits; longer ones begin with 011, for abroad.
    if (
        region
        and text
        and not _is_international(text)
        and (not _is_north_american(region) or len(_NOT_DIGITS.sub("", text)) > LONGEST_AMERICAN)
    ):
        number = _e164(text, region)
    if number:
        digits, international = number[1:], True
    else:
        digits, international = _digits(text), _is_international(text)
    if not international and digits.startswith("00"):
        digits, international = digits[2:], True
    if len(digits) == 11 and digits.startswith(NORTH_AMERICA):
        return digits[1:]
    if international and len(digits) == 10:
        return f"+{digits}"
    return digits if len(digits) >= FEWEST_DIGITS else ""


def without_extension(value: Any) -> Any:
    """A text without the extension behind its number: `(555) 123-4567 x7`."""
    return _EXTENSION.sub("", value) if isinstance(value, str) else value


def dialled_phone(value: Any, region: str | None = None) -> str:
    """The number that a call or an SMS reaches, as `fold_phone`: without an extension."""
    return fold_phone(value, region) or fold_phone(without_extension(value), region)


def e164(value: Any, region: str | None = None) -> str:
    """A phone number in E.164, of a possible length for its country.

    Args:
        value: the number; one without + needs a region.
        region: ISO country of national numbers.

    Returns:
        Empty for what is not one such number: letters, an extension, two numbers.
    """
    text = _phone_text(value)
    if not text or (not _is_international(text) and not region):
        return ""
    return _e164(text, region)


def _e164(text: str, region: str | None) -> str:
    """As `e164`, of a text that looks like one number."""
    if region and _NATIONAL.fullmatch(text) and (found := _read_national(text, region)) is not None:
        return found
    return _parsed(text, region)


def _parsed(text: str, region: str | None) -> str:
    """As `_e164`, by the library alone."""
    import phonenumbers  # noqa: PLC0415 - a tenth of a second, for those who ask for it

    try:
        number = phonenumbers.parse(text, region.upper() if region else None)
    except phonenumbers.NumberParseException:
        return ""
    # Not `is_possible_number`: that takes numbers without their area code too.
    possible = phonenumbers.is_possible_number_with_reason(number)
    if possible != phonenumbers.ValidationResult.IS_POSSIBLE:
        return ""
    return str(phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164))


class _Numbering(NamedTuple):
    """How the national numbers of a region are read, by the tables of `phonenumbers`."""

    code: str
    """Of the country."""
    abroad: re.Pattern[str] | None
    """Begins a number of another country (00)."""
    trunk: re.Pattern[str] | None
    """Begins a national number that is dialled within the country (0)."""
    rewrites: bool
    """More is done to a number with such a beginning than to take it away."""
    national: re.Pattern[str]
    """Numbers without it."""
    shortened: frozenset[int]
    """Lengths that a number may have once it is taken away; else it stays."""
    possible: frozenset[int]
    """Lengths of a whole number."""


def _read_national(text: str, region: str) -> str | None:
    """As `_parsed`, a tenth of the time, of a text of digits and marks.

    Returns:
        `None` where only the library can tell.
    """
    plan = _numbering(region)
    digits = _NOT_DIGITS.sub("", text)
    if plan is None or not FEWEST_DIGITS <= len(digits) <= _MOST_DIGITS:
        return None
    if digits.startswith(plan.code) or (plan.abroad and plan.abroad.match(digits)):
        return None
    if plan.trunk and (trunk := plan.trunk.match(digits)):
        if plan.rewrites:
            return None
        rest = digits[trunk.end() :]
        whole = plan.national.fullmatch(digits) and not plan.national.fullmatch(rest)
        if not whole and len(rest) in plan.shortened:
            digits = rest
    return f"+{plan.code}{digits}" if len(digits) in plan.possible else ""


@functools.cache
def _numbering(region: str) -> _Numbering | None:
    """`None` for a region that is not known."""
    import phonenumbers  # noqa: PLC0415 - as above

    tables = phonenumbers.PhoneMetadata
    own = tables.metadata_for_region(region.upper(), None)
    if own is None or own.country_code is None:
        return None
    code = own.country_code
    main = tables.metadata_for_region_or_calling_code(
        code, phonenumbers.region_code_for_country_code(code)
    )
    numbers, of_country = own.general_desc, main.general_desc if main else None
    if numbers is None or of_country is None or not numbers.national_number_pattern:
        return None
    abroad, trunk = own.international_prefix, own.national_prefix_for_parsing
    longer = range(max(numbers.possible_length) + 1, _MOST_DIGITS + 1)
    local = {*numbers.possible_length_local_only}
    return _Numbering(
        code=str(code),
        abroad=re.compile(abroad) if abroad else None,
        trunk=re.compile(trunk) if trunk else None,
        rewrites=bool(own.national_prefix_transform_rule),
        national=re.compile(numbers.national_number_pattern),
        shortened=frozenset({*numbers.possible_length, *longer} - local),
        possible=frozenset(
            {*of_country.possible_length} - {*of_country.possible_length_local_only}
        ),
    )


def masked_identities(text: str, *, typed: str = "", region: str | None = None) -> str:
    """A text with an ellipsis for each email and phone in it.

    Args:
        text: what a vendor or a plugin says.
        typed: an email or a phone that is left as it is: the reader has it already.
        region: ISO country of national numbers.
    """
    known = {fold_email(typed), fold_phone(typed, region)} - {""}

    def mask(match: re.Match[str]) -> str:
        found = match.group()
        forms = (fold_email(found), fold_phone(found, region))
        return "\N{HORIZONTAL ELLIPSIS}" if known.isdisjoint(forms) else found

    return _PHONE_IN_TEXT.sub(mask, _EMAIL_IN_TEXT.sub(mask, text))


def _phone_text(value: Any) -> str:
    """The text of one phone number, empty for anything else."""
    if value is None or isinstance(value, bool):
        return ""
    text = text_of(value)
    if not text.isascii():
        text = _INVISIBLE.sub("", text)
    text = text.strip()
    return text if _PHONE.fullmatch(text) else ""


def _digits(text: str) -> str:
    if _is_international(text):
        text = text.replace("(0)", "")  # +44 (0)20: the 0 of calls within the country
    return _NOT_DIGITS.sub("", text)


def _is_international(text: str) -> bool:
    return text.lstrip("(").startswith("+")


def is_region(region: str) -> bool:
    """Whether numbers are read as a country's: an ISO code, in upper or lower case."""
    return not region or _country_code(region) != 0


def _is_north_american(region: str) -> bool:
    return _country_code(region) == int(NORTH_AMERICA)


@functools.cache
def _country_code(region: str) -> int:
    """0 for a region that is not known."""
    import phonenumbers  # noqa: PLC0415 - as above

    return int(phonenumbers.country_code_for_region(region.upper()))
