"""Vendor identities as vendors compare them: emails and phones, in every plugin alike."""

from __future__ import annotations

import re
import unicodedata
from typing import Any

from singer_http.exact_json import text_of

_PHONE = re.compile(r"\+?[0-9\s().\-/]+")
_NOT_DIGITS = re.compile(r"[^0-9]")
FEWEST_DIGITS = 3
"""Digits without which a text is no phone number."""


def fold_email(value: Any) -> str:
    """An email as it is compared: trimmed, in Unicode NFC, in lower case. Empty for none."""
    if value is None:
        return ""
    return unicodedata.normalize("NFC", text_of(value)).strip().lower()


def fold_phone(value: Any) -> str:
    """A phone number as it is compared: its digits in E.164, North America's without their 1.

    Empty for none, and for a text that is not one phone number.
    """
    if value is None:
        return ""
    text = text_of(value).strip()
    if not _PHONE.fullmatch(text):
        return ""
    digits = _NOT_DIGITS.sub("", text)
    if not text.startswith("+") and digits.startswith("00"):
        digits = digits[2:]
    if len(digits) == 11 and digits.startswith("1"):
        digits = digits[1:]
    return digits if len(digits) >= FEWEST_DIGITS else ""
