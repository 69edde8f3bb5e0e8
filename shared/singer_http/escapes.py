"""Texts without their escapes (JSON, URL, HTML, Python's repr), and where each character stood."""

from __future__ import annotations

import html
import re

ESCAPE = re.compile(
    r"(?:%[0-9A-Fa-f]{2})+"  # URL
    r"|(?:\\+u[0-9A-Fa-f]{4})+"  # JSON; a character beyond 16 bits is two of them
    r"|(?:\\+x[0-9A-Fa-f]{2})+"  # Python's repr
    r"|\\+U[0-9A-Fa-f]{8}"
    r"|\\+(?:[^\\]|\Z)"  # JSON's, PHP's and Python's \/ \" \\ \n
    r"|&(?:#[0-9]{1,7}|#[xX][0-9A-Fa-f]{1,6}|[A-Za-z][A-Za-z0-9]{1,30});",  # HTML
    re.DOTALL,
)
"""One escape, or several that encode one character."""

_DEEPEST = 5
"""Escapes in escapes that are looked into."""

_LETTERS = {"n": "\n", "r": "\r", "t": "\t", "b": "\b", "f": "\f"}
_HEX = re.compile("[0-9A-Fa-f]{2}")
_UNIT = re.compile("[0-9A-Fa-f]{4}")


def unescaped(text: str) -> tuple[str, list[int], list[int]]:
    """Replace all escapes, also those that others hide.

    Returns:
        The text, and for each of its characters where it began and ended in what was given.
    """
    starts, ends = list(range(len(text))), list(range(1, len(text) + 1))
    for _ in range(_DEEPEST):
        pieces: list[str] = []
        new_starts: list[int] = []
        new_ends: list[int] = []
        done = 0
        for found in ESCAPE.finditer(text):
            begin, end = found.span()
            characters = _characters(found[0])
            pieces += [text[done:begin], characters]
            new_starts += starts[done:begin] + [starts[begin]] * len(characters)
            new_ends += ends[done:begin] + [ends[end - 1]] * len(characters)
            done = end
        if not done:
            break
        plain = "".join(pieces) + text[done:]
        new_starts += starts[done:]
        new_ends += ends[done:]
        unchanged = plain == text
        text, starts, ends = plain, new_starts, new_ends
        if unchanged:
            break
    return text, starts, ends


def _characters(escape: str) -> str:
    """The characters that one match of ESCAPE encodes."""
    if escape[0] == "%":
        return _text(bytes.fromhex(escape.replace("%", "")))
    if escape[0] == "&":
        return html.unescape(escape)
    body = escape.lstrip("\\")
    if not body:
        return ""
    if len(body) == 1:
        return _LETTERS.get(body, body)
    if body[0] == "x":
        return _text(bytes.fromhex("".join(_HEX.findall(escape.replace("x", " ")))))
    if body[0] == "U":
        number = int(body[1:], 16)
        return chr(number) if number <= 0x10FFFF else escape
    units = _UNIT.findall(escape.replace("u", " "))
    return bytes.fromhex("".join(units)).decode("utf-16-be", "replace")


def _text(raw: bytes) -> str:
    """Bytes as UTF-8, or else one character each."""
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return raw.decode("latin-1")
