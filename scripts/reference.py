"""Write down what the plugins say of themselves: settings tables, and definitions for Meltano.

    python -m scripts.reference            writes what differs
    python -m scripts.reference --check    exit 1 if anything differs

The tables stand in each plugin's README between two markers, the definitions in `plugins/`.
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from singer_http.plugin.settings import COMMON_SETTINGS, TARGET_SETTINGS

ROOT = Path(__file__).parents[1]
BEGIN, END = "<!-- settings, by `make reference` -->", "<!-- end of settings -->"
SHARED = {setting.name for setting in (*COMMON_SETTINGS, *TARGET_SETTINGS)}
# JSON schema type -> Meltano kind. A `decimal` from the environment cannot be written by Meltano
# 4.4 into the settings file, so a number is an `integer` there.
KINDS = {"string": None, "number": "integer"}
HEAD = """\
# {name} for an existing Meltano project: with SINGER_PLUGINS set to the folder of this repository,
#     meltano add {name} --from-ref "$SINGER_PLUGINS/plugins/{name}.meltano.yml"
# Made by `make reference`.
"""


def plugins() -> list[str]:
    """The plugins of the workspace that are written."""
    found = ROOT.glob("t*-*/t*_*/ta[pr]*.py")
    return sorted(path.parts[-3] for path in found if path.stem in path.parts[-3])


@cache
def about(name: str) -> dict[str, Any]:
    """What `--about` says."""
    command = [str(Path(sys.executable).with_name(name)), "--about", "--format", "json"]
    shown = subprocess.run(command, capture_output=True, check=True, text=True)  # noqa: S603
    return dict(json.loads(shown.stdout))


def kind_of(definition: dict[str, Any]) -> str | None:
    """A setting's type in Meltano's words; `None` is text."""
    if definition.get("format") in ("date", "date-time"):
        return "date_iso8601"
    found = definition["type"]
    types = found if isinstance(found, list) else [found]
    name = next(name for name in types if name != "null")  # text, where text is one of several
    return KINDS.get(name, name)


def is_secret(definition: dict[str, Any]) -> bool:
    """It must not be shown."""
    return bool(definition.get("secret") or definition.get("writeOnly"))


# --- tables -----------------------------------------------------------------------------------


def tables(name: str) -> str:
    """The plugin's settings as Markdown: its own, those of this project, those of the SDK."""
    schema = about(name)["settings"]
    properties, required = schema["properties"], set(schema.get("required", ()))
    names = list(properties)
    # The plugin's own come first, then the shared ones; what follows is the SDK's.
    last = max(place for place, setting in enumerate(names) if setting in SHARED)
    own = [n for n in names[: last + 1] if n not in SHARED]
    shared = [n for n in names[: last + 1] if n in SHARED]
    kind = "target" if name.startswith("target-") else "tap"
    parts = [
        _table(own, properties, required),
        f"Settings that every {kind} of this project has:",
        _table(shared, properties, required),
    ]
    if rest := names[last + 1 :]:
        listed = ", ".join(f"`{n}`" for n in rest)
        parts.append(f"Settings of the Singer SDK: {listed}.")
    return "\n\n".join(parts)


def _table(names: list[str], properties: dict[str, Any], required: set[str]) -> str:
    lines = ["| setting | type | default | meaning |", "| --- | --- | --- | --- |"]
    for name in names:
        definition = properties[name]
        marks = (["required"] if name in required else []) + (
            ["secret"] if is_secret(definition) else []
        )
        if "default" in definition:
            marks.insert(0, f"`{_words(definition['default'])}`")
        meaning = " ".join(str(definition.get("description", "")).split())
        if choices := definition.get("enum"):
            meaning += f" One of {', '.join(f'`{c}`' for c in choices if c is not None)}."
        cells = [f"`{name}`", kind_of(definition) or "string", ", ".join(marks), meaning]
        lines.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
    return "\n".join(lines)


def _words(value: Any) -> str:
    return value if isinstance(value, str) and value else json.dumps(value)


def readme(name: str) -> str:
    """The plugin's README with its tables as they should be.

    Raises:
        SystemExit: it has no markers.
    """
    text = (ROOT / name / "README.md").read_text("utf-8")
    if BEGIN not in text or END not in text:
        sys.exit(f"{name}/README.md needs the lines {BEGIN} and {END}")
    inner = f"{BEGIN}\n\n{tables(name)}\n\n{END}"
    return re.sub(f"{re.escape(BEGIN)}.*?{re.escape(END)}", lambda _: inner, text, flags=re.DOTALL)


def folders(name: str) -> list[str]:
    """The folders of the workspace that a plugin is installed from, itself last."""
    text = (ROOT / name / "pyproject.toml").read_text("utf-8")
    shared = {
        "singer-http": "shared",
        "merlin-api": "merlin-api",
        "reisoftware-api": "reisoftware-api",
    }
    return [folder for package, folder in shared.items() if f'"{package}~=' in text] + [name]


# --- definitions ------------------------------------------------------------------------------


def definition(name: str) -> str:
    """The plugin's definition, as `meltano add --from-ref` takes it."""
    told = about(name)
    schema = told["settings"]
    found = {
        "name": name,
        "namespace": name.replace("-", "_"),
        "variant": "singer-http",
        "label": told["description"].removeprefix("Singer ").rstrip("."),
        "pip_url": " ".join(f"-e ${{SINGER_PLUGINS}}/{folder}" for folder in folders(name)),
        "executable": name,
        "capabilities": sorted(told["capabilities"]),
        "settings_group_validation": [list(schema.get("required", ()))],
        "settings": [_setting(n, d) for n, d in schema["properties"].items()],
    }
    text = yaml.safe_dump(found, sort_keys=False, allow_unicode=True, width=100)
    return HEAD.format(name=name) + text


def _setting(name: str, definition: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {"name": name, "label": name.replace("_", " ").capitalize()}
    if kind := kind_of(definition):
        found["kind"] = kind
    if definition.get("default") is not None:
        found["value"] = definition["default"]
    found["description"] = " ".join(str(definition.get("description", "")).split())
    if choices := [choice for choice in definition.get("enum", ()) if choice is not None]:
        found["kind"] = "options"
        found["options"] = [{"label": str(c), "value": c} for c in choices]
    if is_secret(definition):
        found["sensitive"] = True
    return found


# --- all --------------------------------------------------------------------------------------


def wanted() -> dict[Path, str]:
    """Each file that is made from the plugins -> what should stand in it."""
    files: dict[Path, str] = {}
    for name in plugins():
        files[ROOT / name / "README.md"] = readme(name)
        files[ROOT / "plugins" / f"{name}.meltano.yml"] = definition(name)
    return files


def main() -> None:
    """Write, or check."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true")
    check = parser.parse_args().check
    stale = [p for p, text in wanted().items() if not p.exists() or p.read_text("utf-8") != text]
    for path in stale:
        name = path.relative_to(ROOT)
        print(f"{name} is not what --about says: make reference" if check else f"wrote {name}")
        if not check:
            path.parent.mkdir(exist_ok=True)
            path.write_text(wanted()[path], "utf-8")
    sys.exit(1 if check and stale else 0)


if __name__ == "__main__":
    main()
