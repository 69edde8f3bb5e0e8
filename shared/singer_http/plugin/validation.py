"""Checking settings: one clear line for what is wrong, and never a secret in it."""

from __future__ import annotations

import difflib
import json
import logging
import math
import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from dotenv import find_dotenv, load_dotenv

from singer_http import redaction
from singer_http.errors import ConfigError
from singer_http.http.rate_limit import parse_limits
from singer_http.http.urls import require_safe_url
from singer_http.identity import is_region

logger = logging.getLogger(__name__)

TRUE = ("true", "1", "yes", "on")
FALSE = ("false", "0", "no", "off")
CLOSE = 0.85
"""How close a variable's name is to a setting's if it is a slip (1 is equal)."""

ALWAYS_ALLOWED = 5
"""What a share above 0% allows to be gone, however few records there are."""

Check = Callable[[Any], object]
"""Takes a setting's value in its proper type; raises ValueError with what it accepts."""


@dataclass(frozen=True, slots=True)
class Share:
    """A limit that is a number of records, or a share of them (0 to 1)."""

    number: int | None = None
    share: float | None = None

    def allows(self, count: int, total: int) -> bool:
        """Whether `count` of `total` is within the limit."""
        if self.share is not None:
            return count <= self.share * total
        return self.number is None or count <= self.number

    def allows_gone(self, count: int, total: int) -> bool:
        """Whether `count` of `total` records may be gone; a share always allows a few."""
        return self.allows(count, total) or (bool(self.share) and count <= ALWAYS_ALLOWED)


def parse_share(text: str) -> Share:
    """A limit from `"50"`, `"10%"` or `""` (no limit).

    Raises:
        ValueError: anything else; the text says what is accepted.
    """
    text = text.strip()
    if not text:
        return Share()
    if found := re.fullmatch(r"(\d+)", text):
        return Share(number=int(found[1]))
    if (found := re.fullmatch(r"(\d+(?:\.\d+)?)\s*%", text)) and float(found[1]) <= 100:
        return Share(share=float(found[1]) / 100)
    message = "a number ('50'), a share up to 100% ('10%'), or nothing for no limit"
    raise ValueError(message)


ALWAYS, IF_EMPTY, IF_UNEDITED = "always", "if_empty", "if_unedited"
POLICIES = (ALWAYS, IF_EMPTY, IF_UNEDITED)
EVERY_FIELD = "*"
"""In the setting `overwrite`: the fields that it does not name."""


def check_policies(value: Any) -> None:
    """Refuse an `overwrite` that is not field -> policy.

    Raises:
        ValueError: says what is accepted.
    """
    for name, policy in value.items():
        if policy not in POLICIES:
            message = f"for each field one of {', '.join(POLICIES)}: {name!r} has {policy!r}"
            raise ValueError(message)


def check_region(value: str) -> None:
    """Refuse a `phone_region` that is no country of phone numbers.

    Raises:
        ValueError: says what is accepted.
    """
    if not is_region(value):
        message = f"an ISO country with two letters, like US or GB; {value} is none"
        raise ValueError(message)


CHECKS: Mapping[str, Check] = {
    "phone_region": check_region,
    "overwrite": check_policies,
    "rate_limit": parse_limits,
    "max_deletes": parse_share,
    "max_rejects": parse_share,
}
"""Checks of settings whose text has a syntax of its own."""


def whole_text(pattern: str) -> str:
    """The pattern for the whole of a text: JSON Schema looks for a match anywhere in it."""
    return pattern if pattern.startswith("^") else f"^(?:{pattern})$"


def is_secret(definition: Mapping[str, Any]) -> bool:
    """Whether a setting of this JSON schema must never be shown."""
    return bool(definition.get("secret") or definition.get("writeOnly"))


def register_secret(value: Any, definition: Mapping[str, Any]) -> None:
    """Let the value of a secret setting be shown nowhere, as text or as a list of addresses.

    `none` says that there is no value (`ledger_url`): it is a word like any other.
    """
    if value == "none":
        return
    if not isinstance(value, list):
        redaction.add(str(value).strip())
    if "array" in types_of(definition):
        for address in _as("array", value) or ():
            redaction.add_address(str(address).strip())


def types_of(definition: Mapping[str, Any]) -> list[str]:
    """The JSON types of a setting besides null."""
    types = definition.get("type", [])
    return [kind for kind in ([types] if isinstance(types, str) else types) if kind != "null"]


def from_environment(schema: Mapping[str, Any], prefix: str) -> dict[str, str]:
    """The settings found in the environment (and a `.env` file) as `<PREFIX><NAME>`, as text."""
    load_dotenv(find_dotenv(usecwd=True))
    names = {name: prefix + name.upper().replace("-", "_") for name in schema["properties"]}
    return {name: os.environ[key] for name, key in names.items() if key in os.environ}


def warn_of_variables(schema: Mapping[str, Any], prefix: str) -> None:
    """Name variables of the environment that look like a setting, and are none.

    Meltano passes the variables of `.env` on, and drops those that it does not know. A name that
    ends in a setting's is another plugin's (`TARGET_AUTOREACH_EU_CLIENT_ID`), one that begins
    with a setting's is a part of it.
    """
    names = {name.replace("-", "_"): name for name in schema["properties"]}
    for variable in sorted(os.environ):
        name = variable.removeprefix(prefix).lower()
        if name == variable.lower() or name in names:
            continue
        for near in difflib.get_close_matches(name, names, n=1, cutoff=CLOSE):
            if not (name.endswith(f"_{near}") or name.startswith(f"{near}_")):
                logger.warning(
                    "The variable %s is no setting; did you mean %s?",
                    variable,
                    prefix + near.upper(),
                )


def validate(
    config: Mapping[str, Any],
    schema: Mapping[str, Any],
    checks: Mapping[str, Check] = CHECKS,
) -> dict[str, Any]:
    """The settings with their proper types and without nulls.

    Text is converted where the setting is not a text (Meltano passes settings in the
    environment). A null counts as not set, and so does an empty text where the setting does
    not take one (Meltano passes a variable that is not set as an empty text). An unknown key is
    kept, with a warning.

    Raises:
        ConfigError: with one line that names every setting that is wrong or missing.
    """
    properties: Mapping[str, Any] = schema["properties"]
    clean: dict[str, Any] = {}
    problems: list[str] = []
    for name, value in config.items():
        definition = properties.get(name)
        if definition is None:
            _warn_unknown(name, properties)
            clean[name] = value
            continue
        if value is None or (value == "" and not _takes_empty(definition)):
            continue
        try:
            clean[name] = _checked(value, definition, checks.get(name))
        except ValueError as error:
            said = str(error).removeprefix(f"{name}: ")
            problems.append(f"{name} is {_shown(value, definition)}; it takes {said}")
    problems += [
        f"{name} is missing: {properties[name].get('description', '')}".rstrip(": ")
        for name in schema.get("required", ())
        if clean.get(name) in (None, "") and not any(p.startswith(f"{name} ") for p in problems)
    ]
    if problems:
        raise ConfigError("setting " + "; setting ".join(problems))
    return clean


def _takes_empty(definition: Mapping[str, Any]) -> bool:
    """Whether an empty text is a value of a setting."""
    free = definition.get("format") != "uri" and "" in definition.get("enum", ("",))
    return free and "string" in types_of(definition)


def _checked(value: Any, definition: Mapping[str, Any], check: Check | None) -> Any:
    """The value in its proper type. Raises ValueError with what is accepted."""
    if types := types_of(definition):
        value = _converted(value, types)
    if definition.get("enum") and value not in definition["enum"]:
        raise ValueError("one of " + ", ".join(map(repr, definition["enum"])))
    if isinstance(value, int | float) and not isinstance(value, bool):
        _check_range(value, definition)
    if isinstance(value, str):
        _check_text(value, definition)
    if check:
        check(value)
    return value


def _converted(value: Any, types: list[str]) -> Any:
    """The value as the first of the JSON types that it can be; text last, which all can be."""
    types = sorted(types, key="string".__eq__)
    for kind in types:
        converted = _as(kind, value)
        if converted is not None:
            return converted
    raise ValueError(" or ".join(_NOUNS.get(kind, kind) for kind in types))


_NOUNS = {
    "string": "text",
    "integer": "a whole number",
    "number": "a number",
    "boolean": "true or false",
    "array": "a list",
    "object": "an object",
}


def _as(kind: str, value: Any) -> Any:
    """The value as a JSON type, None where it cannot be."""
    match kind, value:
        case "boolean", bool():
            return value
        case "boolean", str() if value.lower() in (*TRUE, *FALSE):
            return value.lower() in TRUE
        case (("string" | "integer" | "number"), bool()):
            return None
        case "string", str():
            return value
        case "string", int() | float() | Decimal():
            return str(value)  # 50 for "50": what YAML makes of it
        case "integer", int():
            return value
        case "integer", float() | Decimal() if value % 1 == 0:
            return int(value)
        case "integer", str() if re.fullmatch(r"\s*[+-]?\d+\s*", value):
            return int(value)
        case "number", int() | float() | Decimal() if math.isfinite(value):
            return float(value)
        case "number", str() if re.fullmatch(r"\s*[+-]?\d+(\.\d+)?\s*", value):
            return float(value)
        case "array", list():
            return value
        case "object", dict():
            return value
        case (("array" | "object"), str()):
            return _from_json(value, list if kind == "array" else dict)
    return None


def _from_json(text: str, kind: type) -> Any:
    try:
        value = json.loads(text)
    except ValueError:
        return None
    return value if isinstance(value, kind) else None


def _check_range(value: float, definition: Mapping[str, Any]) -> None:
    if value < definition.get("minimum", value):
        message = f"at least {definition['minimum']}"
    elif value > definition.get("maximum", value):
        message = f"at most {definition['maximum']}"
    elif "exclusiveMinimum" in definition and value <= definition["exclusiveMinimum"]:
        message = f"more than {definition['exclusiveMinimum']}"
    else:
        return
    raise ValueError(message)


def _check_text(value: str, definition: Mapping[str, Any]) -> None:
    message = None
    if definition.get("format") == "uri":
        require_safe_url(value)
    elif definition.get("format") == "date-time":
        try:
            datetime.fromisoformat(value)
        except ValueError:
            message = "a date and time like 2026-01-31T12:00:00Z"
    elif (pattern := definition.get("pattern")) and not re.search(pattern, value):
        message = f"text like {pattern.removeprefix('^(?:').removesuffix(')$')}"
    if message:
        raise ValueError(message)


def _shown(value: Any, definition: Mapping[str, Any]) -> str:
    """What a setting got, for an error's text; a secret's type only."""
    if is_secret(definition):
        return f"a secret of type {type(value).__name__}"
    if definition.get("format") == "uri" and "@" in str(value):
        return "an address with a password"
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:79]}…"


def _warn_unknown(name: str, properties: Mapping[str, Any]) -> None:
    near = difflib.get_close_matches(name, properties, n=1)
    hint = f"; did you mean {near[0]!r}?" if near else ""
    logger.warning("There is no setting %r%s", name, hint)
