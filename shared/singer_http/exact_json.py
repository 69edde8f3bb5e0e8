"""JSON without loss: the one decoder and the one encoder of records, keys and STATE.

A number with a point or an exponent is a `Decimal`, an integer an `int` of any size. What was read
is written again digit by digit; two spellings of one number (`7`, `7.0`, `7e0`) have one text.
"""

from __future__ import annotations

import json
import re
from decimal import Decimal, InvalidOperation
from typing import Any

import msgspec
import orjson

LONGEST_INTEGER = 4000
"""Digits from which on an integer is a `Decimal`: Python reads no longer text as an `int`."""
LONGEST_PLAIN = 400
"""Digits of an integer that is written without an exponent in a key."""
_BIG = 1 << 63
_SURROGATE = re.compile("[\ud800-\udfff]")


class NotJSON(ValueError):
    """Nothing reads this text as JSON."""


class StrangeJSON(ValueError):
    """Only a tolerant reader understands it: NaN, Infinity, half of a surrogate pair."""

    def __init__(self, problem: str, value: Any) -> None:
        """Keep what is strange, as one line without values, and the value as it was read."""
        super().__init__(problem)
        self.problem = problem
        self.value = value


def _decimal(text: str) -> Decimal:
    try:
        return Decimal(text)
    except InvalidOperation:
        message = "a number is out of range"
        raise ValueError(message) from None


_decode = msgspec.json.Decoder(float_hook=_decimal).decode


def decode(text: bytes) -> Any:
    """Decode strict JSON.

    Raises:
        StrangeJSON: it is JSON only to a tolerant reader.
        NotJSON: it is not JSON.
    """
    try:
        return _decode(text)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, ValueError) as error:
        return _decode_tolerantly(text, error)


def _decode_tolerantly(text: bytes, error: Exception) -> Any:
    """Decode what the fast decoder refuses; the same errors as `decode`."""
    strange: list[str] = []

    def constant(name: str) -> str:
        strange.append(f"{name} is not a JSON number")
        return name

    def number(digits: str) -> Any:
        try:
            return _decimal(digits)
        except ValueError:
            strange.append("a number is out of range")
            return digits

    def integer(digits: str) -> Any:
        return int(digits) if len(digits) <= LONGEST_INTEGER else number(digits)

    try:
        plain = text.decode("utf-8-sig")
    except UnicodeDecodeError:
        plain = text.decode("utf-8", "replace")
        strange.append("a text is not UTF-8")
    try:
        value = json.loads(
            plain, strict=False, parse_constant=constant, parse_float=number, parse_int=integer
        )
    except (ValueError, RecursionError):
        raise NotJSON(str(error) or type(error).__name__) from None
    if not strange:
        try:
            json.loads(plain, parse_int=number)
            encode(value)
        except ValueError as found:
            strange.append(str(found))
        else:
            return value  # strict JSON after all: a very long integer, a byte order mark
    raise StrangeJSON(strange[0], value) from None


def encode(value: Any) -> bytes:
    """Encode a decoded value: numbers digit by digit.

    Raises:
        TypeError: it holds something that is not JSON.
        ValueError: it holds a number that is not finite, or half of a surrogate pair.
    """
    return _dumps(value, _as_written, 0)


def encode_sorted(value: Any) -> bytes:
    """As `encode`, the members of each object in the order of their names."""
    return _dumps(value, _as_written, orjson.OPT_SORT_KEYS)


def canonical(value: Any) -> bytes:
    """One text for equal values: members sorted, `7.0` as `7`. Errors as in `encode`."""
    return _dumps(value, _canonical, orjson.OPT_SORT_KEYS)


def text_of(value: Any) -> str:
    """One text for one scalar: a text is itself, `7.0` is `7`, true is `true`.

    Objects and arrays have their canonical JSON.
    """
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value) if -_BIG <= value < _BIG else number_text(Decimal(value))
    if isinstance(value, float):  # a `stream_maps` expression calculates with them
        value = Decimal(repr(value))
    if isinstance(value, Decimal):
        return number_text(value)
    return canonical(value).decode()


def number_text(value: Decimal) -> str:
    """The one text of a number: no exponent unless it is very long, no zeros at its end."""
    written = str(value)
    if "." in written and written[-1] != "0" and len(written) < 20 and "E" not in written:
        return written  # as most are: an eighth of the time
    sign, digits, exponent = value.as_tuple()
    if not isinstance(exponent, int):
        return written  # not finite
    text = "".join(map(str, digits)).lstrip("0")
    kept = text.rstrip("0")
    exponent += len(text) - len(kept)
    if not kept:
        return "0"
    minus = "-" if sign else ""
    if exponent >= 0 and len(kept) + exponent <= LONGEST_PLAIN:
        return minus + kept + "0" * exponent
    if exponent < 0 and -exponent <= LONGEST_PLAIN:
        padded = kept.rjust(1 - exponent, "0")
        return f"{minus}{padded[:exponent]}.{padded[exponent:]}"
    return f"{minus}{kept}E{exponent}"


def _dumps(value: Any, default: Any, option: int) -> bytes:
    try:
        return orjson.dumps(value, default, option)
    except TypeError:
        # An integer beyond 64 bits is the one value of JSON that orjson does not take. A surrogate
        # or what is not JSON fails again, with its own message.
        try:
            return orjson.dumps(_boxed(value), default, option)
        except RecursionError:
            message = "it is nested too deeply"
            raise ValueError(message) from None


def _boxed(value: Any) -> Any:
    if isinstance(value, dict):
        return {_boxed(name): _boxed(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [_boxed(item) for item in value]
    if isinstance(value, int) and not isinstance(value, bool) and not -_BIG <= value < 2 * _BIG:
        return Decimal(value)
    if isinstance(value, str) and _SURROGATE.search(value):
        message = "a text holds half of a surrogate pair"
        raise ValueError(message)
    return value


def _as_written(value: Any) -> Any:
    if isinstance(value, Decimal) and value.is_finite():
        return orjson.Fragment(str(value))
    return _not_json(value)


def _canonical(value: Any) -> Any:
    if isinstance(value, Decimal) and value.is_finite():
        return orjson.Fragment(number_text(value))
    return _not_json(value)


def _not_json(value: Any) -> Any:
    if isinstance(value, Decimal):
        message = f"{value} is not a JSON number"
        raise ValueError(message)
    message = f"a {type(value).__name__} is not JSON"
    raise TypeError(message)
