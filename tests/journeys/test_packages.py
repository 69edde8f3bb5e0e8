"""The packages as a stranger gets them: wheels, plain pip, an empty environment, no repository."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import tarfile
import tomllib
import zipfile
from functools import cache
from pathlib import Path

import pytest

from scripts import reference

ROOT = Path(__file__).parents[2]
VERSIONS = ("3.11", "3.12", "3.13")
COMMANDS = reference.plugins()
DISTRIBUTIONS = [
    "merlin_api",
    "reisoftware_api",
    "singer_http",
    "singer_sandbox",
    *(name.replace("-", "_") for name in COMMANDS),
]

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("packages")]


def uv() -> str:
    return shutil.which("uv") or str(ROOT / ".tools" / "uv" / "bin" / "uv")


@cache
def python(version: str) -> str | None:
    """A Python of that version on this machine that runs."""
    places = [Path(found) for name in (f"python{version}",) if (found := shutil.which(name))]
    for pattern in (".pyenv/versions", ".local/share/uv/python"):
        places += sorted((Path.home() / pattern).glob(f"*{version}*/bin/python{version}"))
    for path in places:
        done = subprocess.run([path, "-c", "import venv, ensurepip"], capture_output=True)
        if done.returncode == 0:
            return str(path)
    return None


@pytest.fixture(scope="module")
def dist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What `make build` makes."""
    folder = tmp_path_factory.mktemp("dist")
    command = [uv(), "build", "--quiet", "--all-packages", "--out-dir", str(folder)]
    subprocess.run(command, cwd=ROOT, check=True, timeout=180)
    return folder


def test_the_rules_for_imports_know_each() -> None:
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]
    assert sorted(settings["root_packages"]) == sorted(DISTRIBUTIONS)
    siblings = settings["contracts"][1]["layers"][0].split(" | ")
    siblings += ["merlin_api", "reisoftware_api", "singer_http"]
    assert sorted(siblings) == sorted(DISTRIBUTIONS)


def test_there_is_a_wheel_and_an_sdist_of_each(dist: Path) -> None:
    wheels = {path.name.partition("-")[0] for path in dist.glob("*.whl")}
    sdists = {path.name.partition("-")[0] for path in dist.glob("*.tar.gz")}
    assert wheels == sdists == set(DISTRIBUTIONS)


@pytest.mark.parametrize("name", DISTRIBUTIONS)
def test_a_wheel_has_its_types_and_nothing_strange(dist: Path, name: str) -> None:
    (path,) = dist.glob(f"{name}-*.whl")
    with zipfile.ZipFile(path) as wheel:
        inside = set(wheel.namelist())
    assert f"{name}/py.typed" in inside
    top = {entry.partition("/")[0] for entry in inside}
    assert {entry for entry in top if not entry.endswith(".dist-info")} == {name}
    assert not [entry for entry in inside if "test" in entry or entry.endswith(".pyc")]


def test_the_page_of_the_report_is_in_both(dist: Path) -> None:
    (path,) = dist.glob("singer_http-*.whl")
    with zipfile.ZipFile(path) as wheel:
        assert "singer_http/report/page.html" in wheel.namelist()
    (path,) = dist.glob("singer_http-*.tar.gz")
    with tarfile.open(path) as sdist:
        assert any(name.endswith("singer_http/report/page.html") for name in sdist.getnames())


@pytest.mark.parametrize("version", VERSIONS)
def test_wheels_install_with_pip_and_every_command_speaks(
    version: str, dist: Path, tmp_path: Path
) -> None:
    interpreter = python(version)
    if interpreter is None:
        pytest.skip(f"no Python {version} here")
    environment = tmp_path / "environment"
    subprocess.run([interpreter, "-m", "venv", environment], check=True, timeout=120)
    clean = {k: v for k, v in os.environ.items() if not k.startswith(("PYTHON", "VIRTUAL_ENV"))}
    subprocess.run(
        [environment / "bin" / "python", "-m", "pip", "install", "--quiet", "--find-links", dist,
         "--disable-pip-version-check", *COMMANDS],
        check=True, timeout=400, cwd=tmp_path, env=clean,
    )  # fmt: skip
    for name in COMMANDS:
        shown = subprocess.run(
            [environment / "bin" / name, "--about", "--format", "json"],
            check=True, capture_output=True, timeout=60, cwd=tmp_path, env=clean,
        )  # fmt: skip
        told = json.loads(shown.stdout)
        assert told["name"] == name
        assert told["version"] not in ("", "[could not be detected]")
