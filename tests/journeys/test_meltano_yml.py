"""meltano.yml says of each plugin what the plugin says of itself."""

from __future__ import annotations

import json
import re
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

from scripts.reference import folders
from singer_sandbox import Sandbox
from singer_sandbox.settings import plugin_settings
from tests import processes
from tests.front_door import Plugin, record, schema

ROOT = Path(__file__).parents[2]
PROJECT: dict[str, Any] = yaml.safe_load((ROOT / "meltano.yml").read_text())
PLUGINS: dict[str, dict[str, Any]] = {
    plugin["name"]: plugin for kind in PROJECT["plugins"].values() for plugin in kind
}
# Those that are written: a folder with a tap.py or target.py.
OURS = sorted(
    path.parts[-3] for path in ROOT.glob("t*-*/*/ta[pr]*.py") if path.stem in path.parts[-3]
)

# JSON schema type → Meltano kind. Meltano 4.4 reads a `decimal` that comes from the environment,
# and then cannot write it into the plugin's settings file, so a number is an `integer` there.
KINDS = {"string": None, "number": "integer"}


@cache
def about(plugin: str) -> dict[str, Any]:
    shown = processes.start(plugin, ["--about", "--format", "json"], cwd=ROOT)
    return dict(json.loads(shown.communicate(timeout=60)[0]))


def kind_of(definition: dict[str, Any]) -> str | None:
    if definition.get("format") in ("date", "date-time"):
        return "date_iso8601"
    types = definition["type"] if isinstance(definition["type"], list) else [definition["type"]]
    name = next(name for name in types if name != "null")
    return KINDS.get(name, name)


def configured(environment: str) -> dict[str, dict[str, Any]]:
    """Return plugin → settings that an environment gives it."""
    (chosen,) = (e for e in PROJECT["environments"] if e["name"] == environment)
    return {
        plugin["name"]: plugin["config"]
        for kind in chosen["config"]["plugins"].values()
        for plugin in kind
    }


def family(name: str) -> list[dict[str, Any]]:
    """Return a plugin and those that it inherits from."""
    plugin = PLUGINS[name]
    return [plugin, *(family(plugin["inherit_from"]) if "inherit_from" in plugin else [])]


def test_every_plugin_of_the_repository_is_there() -> None:
    assert set(OURS) <= set(PLUGINS)


@pytest.mark.parametrize("name", OURS)
def test_settings_are_those_of_about(name: str) -> None:
    theirs = about(name)["settings"]["properties"]
    listed = {setting["name"]: setting.get("kind") for setting in PLUGINS[name]["settings"]}
    assert listed == {setting: kind_of(definition) for setting, definition in theirs.items()}


@pytest.mark.parametrize("name", OURS)
def test_secrets_are_marked(name: str) -> None:
    theirs = about(name)["settings"]["properties"]
    listed = {s["name"] for s in PLUGINS[name]["settings"] if s.get("sensitive")}
    assert listed == {
        setting
        for setting, definition in theirs.items()
        if definition.get("secret") or definition.get("writeOnly")
    }


@pytest.mark.parametrize("name", OURS)
def test_capabilities_are_the_plugins_own(name: str) -> None:
    assert set(PLUGINS[name]["capabilities"]) <= set(about(name)["capabilities"])


@pytest.mark.parametrize("name", OURS)
def test_it_installs_from_this_repository_without_the_hub(name: str) -> None:
    plugin = PLUGINS[name]
    assert plugin["pip_url"] == " ".join(f"-e ./{folder}" for folder in folders(name))
    assert plugin["executable"] == name
    assert plugin["namespace"] == name.replace("-", "_")


@pytest.mark.parametrize("environment", ["sandbox", "prod"])
@pytest.mark.parametrize("name", [name for name in PLUGINS if family(name)[-1]["name"] in OURS])
def test_each_environment_sets_what_is_required(name: str, environment: str) -> None:
    given: set[str] = set()
    for plugin in family(name):
        given |= set(plugin.get("config", {})) | set(
            configured(environment).get(plugin["name"], {})
        )
    assert set(about(family(name)[-1]["name"])["settings"].get("required", ())) <= given


def test_the_sandbox_environment_has_the_settings_that_the_sandbox_shows() -> None:
    given = configured("sandbox")
    shown = plugin_settings("http://127.0.0.1:8765", "v2")
    assert {
        plugin: {name: given[plugin][name] for name in settings}
        for plugin, settings in shown.items()
    } == shown


@pytest.mark.parametrize("name", PLUGINS)
def test_what_is_configured_is_a_setting(name: str) -> None:
    known = {setting["name"] for plugin in family(name) for setting in plugin.get("settings", ())}
    assert set(PLUGINS[name].get("config", {})) <= known
    for environment in ("sandbox", "prod"):
        assert set(configured(environment).get(name, {})) <= known


def test_production_takes_its_secrets_from_the_variables_of_env_example() -> None:
    example = re.findall(r"^(\w+)=", (ROOT / ".env.example").read_text(), re.MULTILINE)
    used: set[str] = set()
    for settings in configured("prod").values():
        for value in settings.values():
            found = re.fullmatch(r"\$\{(\w+)\}", value)
            assert found, value
            used.add(found[1])
    assert set(example) == {*used, "WAREHOUSE_URL"}


def test_jobs_and_parents_name_plugins_that_are_there() -> None:
    named = {name for job in PROJECT["jobs"] for task in job["tasks"] for name in task.split()}
    assert {name.partition(":")[0] for name in named} <= set(PLUGINS)
    assert {p["inherit_from"] for p in PLUGINS.values() if "inherit_from" in p} <= set(PLUGINS)
    assert {e["name"] for e in PROJECT["environments"]} == {"sandbox", "prod"}
    assert PROJECT["default_environment"] == "sandbox"


@pytest.mark.parametrize(
    ("name", "vendor", "table"),
    [
        ("target-emailmarketing--from-reisoftware", "kasplo", "contacts"),
        ("target-autoreach--from-reisoftware", "autoreach", "people"),
    ],
)
def test_nobody_who_asked_not_to_be_contacted_is_passed_on(
    sandbox: Sandbox, tmp_path: Path, name: str, vendor: str, table: str
) -> None:
    sandbox.put_state("kasplo", {"lists": [{"name": "owners"}]})
    config = {k: v for plugin in reversed(family(name)) for k, v in plugin["config"].items()}
    del config["sync"]
    target = Plugin(family(name)[-1]["name"], sandbox, tmp_path, **config)
    asked = [True, "true", "TRUE", 1, "1", "yes", "maybe"]
    free = [False, "false", None, 0, ""]
    rows = [
        record("contacts", id=f"c{n}", email=f"{n}@example.com", firstName="Ann", lastName="Lee",
               phone=f"+1555123456{n % 10}" if n < 10 else f"+155512345{n}", city="Bonn", dnd=dnd)
        for n, dnd in enumerate([*free, *asked])
    ]  # fmt: skip
    columns: dict[str, Any] = {name: {} for name in rows[0]["record"]}
    result = target.run([schema("contacts", columns), *rows])
    assert result.exit_code == 0, result.stderr
    reached = {str(row["email"]) for row in sandbox.state(vendor)[table].values()}
    assert reached == {f"{n}@example.com" for n in range(len(free))}
