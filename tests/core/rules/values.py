"""Strategies: any JSON value, as a text, the way that a source may write it."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import strategies as st

from singer_http.exact_json import decode, text_of

DIGITS = st.text("0123456789", min_size=1, max_size=25)
SIGN = st.sampled_from(["", "", "-"])


def _integer(digits: str) -> str:
    return digits.lstrip("0") or "0"


NUMBERS = st.one_of(
    st.builds(lambda s, d: s + _integer(d), SIGN, DIGITS),
    st.builds(lambda s, d, f: f"{s}{_integer(d)}.{f}", SIGN, DIGITS, DIGITS),
    st.builds(
        lambda s, d, f, e: f"{s}{_integer(d)}.{f}{e}",
        SIGN, st.text("0123456789", min_size=1, max_size=3), DIGITS,
        st.sampled_from(["e0", "E5", "e+17", "e-3", "E-40"]),
    ),
    st.sampled_from([
        "7", "7.0", "7.00", "7e0", "70e-1", "0", "-0", "-0.0", "0.10", "1e2", "1E+2", "100",
        "9007199254740992", "9007199254740993.0", "9223372036854775807", "9223372036854775808",
        "18446744073709551616", "-9223372036854775809", "1" + "0" * 60, "0.1" + "0" * 30,
    ]),
)  # fmt: skip
"""A number as it may be written."""
TEXTS = st.one_of(
    st.text(st.characters(exclude_categories=["Cs"]), max_size=12),
    st.sampled_from([
        "", " ", "é", "e\u0301", "\U0001f600", "\0", "a\0b", "\x1f", "\x7f\x80", "\u2028", "\n",
        '"\\/', "null", "7", "7.0", "true", "x" * 3000, "ß", "İ", "\ufeff", "\uffff", "<b>&amp;",
        "rejection", '"rejection":{"kind"', "]}", "é" * 400,
    ]),
)  # fmt: skip


def _text(value: str, escaped: bool) -> str:
    return json.dumps(value, ensure_ascii=escaped)


STRINGS = st.builds(_text, TEXTS, st.booleans())
SCALARS = st.one_of(st.sampled_from(["null", "true", "false"]), NUMBERS, STRINGS)


def _object(members: list[tuple[str, str]], blank: str) -> str:
    named = {json.loads(name): (name, value) for name, value in members}
    return "{" + f",{blank}".join(f"{n}:{blank}{v}" for n, v in named.values()) + "}"


BLANK = st.sampled_from(["", " "])
ANY = st.recursive(
    SCALARS,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3).map(lambda items: "[" + ", ".join(items) + "]"),
        st.builds(_object, st.lists(st.tuples(STRINGS, inner), max_size=3), BLANK),
    ),
    max_leaves=6,
)
"""Any JSON value, as a text."""
LONG_EXPONENT = st.sampled_from(["1e400", "1e-400", "1" + "0" * 4500])


def key_text(written: str) -> str | None:
    """The canonical text of a key, worked out in another way; `None` if it is none."""
    value: Any = decode(written.encode())
    text = text_of(value) if value is not None else ""
    return text if text and "\0" not in text else None
