"""What the bytes of an answer say: JSON, text, nothing, or nothing that can be read."""

from __future__ import annotations

import json
import re
from functools import lru_cache
from typing import Any

from singer_http import exact_json

_CHARSET = re.compile(r"""charset\s*=\s*["']?([\w.:+-]+)""", re.IGNORECASE | re.ASCII)
_WEB_PAGE = re.compile(r"\A<|<(?:!doctype|html|head|body)\b", re.IGNORECASE)
_UTF8 = "utf-8"
_UTF8_MARK = b"\xef\xbb\xbf"


class Unreadable(ValueError):
    """The body is not what it says it is: cut off, damaged, or in another charset."""

    def __init__(self, problem: str) -> None:
        """Keep what is wrong with it, in words that follow "the answer"."""
        super().__init__(problem)


def parse(content: bytes, content_type: str) -> Any:
    """Parse a body: JSON as exact values, None if empty, else its text.

    The declared charset is used. Without one, the body is UTF-8, or UTF-16 or UTF-32 as its byte
    order mark or the zeros of its JSON say.

    Raises:
        Unreadable: it says that it is JSON, or begins like it, and does not parse; or its text
            cannot be decoded.
    """
    charset = charset_of(content_type)
    if charset == _UTF8:
        try:
            return exact_json.decode(content)
        except ValueError:
            pass  # empty, plain text, another charset, or JSON that only a tolerant reader takes
    text = _decoded(content, charset).strip()
    if not text:
        return None
    try:
        return exact_json.decode(text.encode())
    except exact_json.StrangeJSON:
        pass
    except ValueError:
        if "json" in content_type.lower() or text[0] in '{["':
            message = "has JSON that is cut off or damaged"
            raise Unreadable(message) from None
        return text
    try:
        return _tolerant(text)
    except (ValueError, RecursionError):
        message = "has JSON with a number that is out of range"
        raise Unreadable(message) from None


def is_blank(data: Any) -> bool:
    """Whether a parsed body holds no value: nothing, `{}`, `[]`, `{"message": ""}`."""
    if isinstance(data, dict):
        return all(map(is_blank, data.values()))
    if isinstance(data, list):
        return all(map(is_blank, data))
    return data is None or (isinstance(data, str) and not data.strip())


def is_web_page(data: Any) -> bool:
    """Whether a parsed body is the text of an HTML or XML page, which no JSON API answers with."""
    return isinstance(data, str) and _WEB_PAGE.search(data) is not None


@lru_cache(maxsize=64)
def charset_of(content_type: str) -> str:
    """Read the charset of a Content-Type; UTF-8 if it has none, or one that is not known."""
    found = _CHARSET.search(content_type)
    name = found[1].lower() if found else _UTF8
    try:
        b"a".decode(name)
    except LookupError:
        return _UTF8
    except UnicodeError:
        pass  # half a character of UTF-16
    return _UTF8 if name in ("utf8", "us-ascii", "ascii") else name


def _decoded(content: bytes, charset: str) -> str:
    """Decode strictly: a character that is replaced would be a value that is changed."""
    if content.startswith(_UTF8_MARK):
        charset = "utf-8-sig"
    elif charset in (_UTF8, "utf-16", "utf-32"):
        found = json.detect_encoding(content)  # by the byte order mark, or where the zeros are
        charset = found if charset == _UTF8 or found != _UTF8 else charset
    try:
        return content.decode(charset)
    except UnicodeError:
        message = f"cannot be decoded as {charset.removesuffix('-sig')}"
        raise Unreadable(message) from None


def _tolerant(text: str) -> Any:
    """JSON with what some vendors send: NaN and Infinity are None, half an emoji is `?`."""

    def number(digits: str) -> Any:
        return exact_json.decode(digits.encode())

    value = json.loads(
        text, strict=False, parse_constant=lambda _: None, parse_float=number, parse_int=number
    )
    return _without_surrogates(value)


def _without_surrogates(value: Any) -> Any:
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode()
    if isinstance(value, list):
        return [_without_surrogates(item) for item in value]
    if isinstance(value, dict):
        return {_without_surrogates(k): _without_surrogates(v) for k, v in value.items()}
    return value
