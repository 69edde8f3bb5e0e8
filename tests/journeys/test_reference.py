"""READMEs, plugin definitions, versions: written down once, by the plugins themselves."""

from __future__ import annotations

import datetime
import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from scripts import reference, release
from singer_sandbox import Sandbox
from tests.front_door import record, schema

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("name", reference.plugins())
def test_the_readme_says_what_about_says(name: str) -> None:
    text = (ROOT / name / "README.md").read_text("utf-8")
    assert text == reference.readme(name), "run make reference"


@pytest.mark.parametrize("name", reference.plugins())
def test_the_definition_says_what_about_says(name: str) -> None:
    text = (ROOT / "plugins" / f"{name}.meltano.yml").read_text("utf-8")
    assert text == reference.definition(name), "run make reference"


@pytest.mark.parametrize("name", reference.plugins())
def test_every_setting_is_explained(name: str) -> None:
    schema = reference.about(name)["settings"]
    silent = [n for n, d in schema["properties"].items() if not d.get("description")]
    assert silent == []


@pytest.mark.slow
@pytest.mark.xdist_group("meltano")
def test_an_empty_meltano_project_takes_them_and_runs_one(sandbox: Sandbox, tmp_path: Path) -> None:
    subprocess.run(["make", "--silent", "meltano"], cwd=ROOT, check=True)
    project = tmp_path / "project"
    project.mkdir()
    (project / "meltano.yml").write_text("project_id: empty\n")

    settings = {
        f"TARGET_AUTOREACH_{setting.upper()}": str(value)
        for setting, value in sandbox.settings("target-autoreach").items()
    }

    def meltano(*args: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            [ROOT / ".tools" / "meltano" / "bin" / "meltano", *args],
            cwd=project,
            env={
                **os.environ,
                "SINGER_PLUGINS": str(ROOT),
                "MELTANO_SEND_ANONYMOUS_USAGE_STATS": "false",
                "MELTANO_PROJECT_ROOT": str(project),
                **settings,
            },
            input=stdin,
            capture_output=True,
            text=True,
            timeout=180,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done

    for name in reference.plugins():
        definition = ROOT / "plugins" / f"{name}.meltano.yml"
        meltano("add", "--no-install", name, "--from-ref", str(definition))
    written = yaml.safe_load((project / "meltano.yml").read_text())["plugins"]
    added = {plugin["name"] for kind in written.values() for plugin in kind}
    assert added == set(reference.plugins())

    meltano("install", "target-autoreach")
    messages = [schema("people", ("id", "email")), record("people", id="1", email="a@example.com")]
    lines = "".join(json.dumps(message) + "\n" for message in messages)
    meltano("invoke", "target-autoreach", stdin=lines)
    assert len(sandbox.state("autoreach")["people"]) == 1
    assert (project / ".singer-http" / "target-autoreach.report.html").exists()


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    """A copy of what a release changes."""
    for path in [ROOT / "CHANGELOG.md", *ROOT.glob("*/pyproject.toml")]:
        copy = tmp_path / path.relative_to(ROOT)
        copy.parent.mkdir(exist_ok=True)
        shutil.copy(path, copy)
    return tmp_path


def test_a_release_sets_every_version_and_closes_the_changelog(workspace: Path) -> None:
    changelog = workspace / "CHANGELOG.md"
    changelog.write_text("# Changelog\n\n## [Unreleased]\n\n### Added\n\n- this\n")
    release.release(workspace, "7.8.9", datetime.date(2026, 2, 3))
    for path in workspace.glob("*/pyproject.toml"):
        assert 'version = "7.8.9"' in path.read_text()
    assert '"singer-http~=7.8.9"' in (workspace / "target-autoreach/pyproject.toml").read_text()
    assert changelog.read_text() == (
        "# Changelog\n\n## [Unreleased]\n\n## [7.8.9] - 2026-02-03\n\n### Added\n\n- this\n"
    )


@pytest.mark.parametrize("version", ["", "1", "v1.2.3", "1.2.3; rm"])
def test_a_release_needs_a_version(workspace: Path, version: str) -> None:
    with pytest.raises(ValueError, match="is no version"):
        release.release(workspace, version, datetime.date(2026, 2, 3))


def test_a_release_needs_something_to_release(workspace: Path) -> None:
    (workspace / "CHANGELOG.md").write_text("# Changelog\n\n## [Unreleased]\n\n## [0.1.0]\n\nx\n")
    with pytest.raises(ValueError, match="nothing under"):
        release.release(workspace, "7.8.9", datetime.date(2026, 2, 3))
