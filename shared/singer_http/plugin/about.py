"""`--about` as text: each setting with its description, default and choices.

The SDK's own text has only names and types. Its JSON and Markdown are complete.
"""

from __future__ import annotations

import json
import textwrap
from collections.abc import Iterator
from enum import Enum
from typing import TYPE_CHECKING, Any

from singer_http.plugin.validation import is_secret, types_of

if TYPE_CHECKING:
    from singer_sdk.about import AboutInfo

WIDTH = 100
"""Characters of a line, at most."""


def as_text(info: AboutInfo) -> str:
    """What a plugin says of itself, for a terminal."""
    return "\n".join(_lines(info))


def _lines(info: AboutInfo) -> Iterator[str]:
    yield f"Name: {info.name}"
    yield f"Description: {' '.join((info.description or '').split())}"
    yield f"Version: {info.version}"
    yield f"SDK Version: {info.sdk_version}"
    if info.supported_python_versions:
        yield f"Supported Python Versions: {', '.join(info.supported_python_versions)}"
    yield f"Capabilities: {', '.join(capability.value for capability in info.capabilities)}"
    yield ""
    yield "Settings, and the environment variable of each (read with --config ENV):"
    required = info.settings.get("required", ())
    for name, definition in info.settings.get("properties", {}).items():
        yield ""
        yield from _setting(info, name, definition, required=name in required)


def _setting(
    info: AboutInfo, name: str, definition: dict[str, Any], *, required: bool
) -> Iterator[str]:
    notes = types_of(definition)
    notes += ["required"] if required else []
    notes += ["secret"] if is_secret(definition) else []
    variable = f"{info.env_var_prefix}{name.upper().replace('-', '_')}"
    yield f"  {name} ({', '.join(notes)})  {variable}"
    description = " ".join(definition.get("description", "").split())
    yield from textwrap.wrap(
        description,
        WIDTH,
        initial_indent=" " * 6,
        subsequent_indent=" " * 6,
        break_long_words=False,
        break_on_hyphens=False,
    )
    if choices := [choice for choice in definition.get("enum", ()) if choice is not None]:
        yield f"      Choices: {', '.join(map(_value, choices))}"
    if definition.get("default") is not None:
        yield f"      Default: {_value(definition['default'])}"


def _value(value: Any) -> str:
    if isinstance(value, Enum):  # the SDK's own settings have such defaults
        value = value.value
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
