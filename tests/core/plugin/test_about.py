"""`--about`: what a plugin says of itself."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from tests import processes
from tests.fork_server import plugins


def about(name: str, folder: Path, *arguments: str) -> str:
    process = processes.start(name, ["--about", *arguments], cwd=folder)
    output, errors = process.communicate(timeout=60)
    assert process.returncode == 0, errors
    return output.decode() if isinstance(output, bytes) else output


@pytest.mark.parametrize("name", sorted(plugins()))
def test_the_text_has_each_setting_with_its_description_and_default(
    name: str, tmp_path: Path
) -> None:
    settings = json.loads(about(name, tmp_path, "--format", "json"))["settings"]["properties"]
    blocks = about(name, tmp_path).split("\n\n")[2:]
    assert len(blocks) == len(settings)
    for block, (setting, definition) in zip(blocks, settings.items(), strict=True):
        assert block.startswith(f"  {setting} (")
        assert f"{name}_{setting}".replace("-", "_").upper() in block
        words = " ".join(block.split())
        assert " ".join(definition["description"].split()) in words
        if isinstance(default := definition.get("default"), str):
            assert f"Default: {default}" in words
        for choice in definition.get("enum", ()):
            assert choice is None or str(choice) in words.partition("Choices: ")[2]


def test_the_text_says_what_is_required_and_what_is_secret(tmp_path: Path) -> None:
    text = about("target-autoreach", tmp_path)
    assert "  client_secret (string, required, secret)  TARGET_AUTOREACH_CLIENT_SECRET\n" in text
    assert "      Default: 30\n" in text
    assert "      Default: false\n" in text
    assert max(map(len, text.splitlines())) <= 110


@pytest.mark.console_script
def test_the_text_of_a_console_script_is_all_that_stands_on_stdout(tmp_path: Path) -> None:
    script = processes.SCRIPTS / "target-autoreach"
    done = subprocess.run([script, "--about"], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0
    assert done.stdout.startswith("Name: target-autoreach\nDescription: ")
    assert list(tmp_path.iterdir()) == []
