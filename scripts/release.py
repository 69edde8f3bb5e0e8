"""Set one version everywhere, and close the CHANGELOG's Unreleased section.

    python -m scripts.release 0.2.0

Nothing is committed, tagged or sent anywhere: check the difference first.
"""

from __future__ import annotations

import argparse
import datetime
import re
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
VERSION = re.compile(r"\d+\.\d+\.\d+((a|b|rc)\d+)?")


def release(root: Path, version: str, day: datetime.date) -> list[Path]:
    """Do it; the files that changed.

    Raises:
        ValueError: the version is none, or the CHANGELOG has nothing to release.
    """
    if not VERSION.fullmatch(version):
        raise ValueError(f"{version!r} is no version: write 1.2.3, or 1.2.3rc1")
    changelog = root / "CHANGELOG.md"
    changed = {changelog: _closed(changelog.read_text("utf-8"), version, day)}
    for path in sorted(root.glob("*/pyproject.toml")):
        text = path.read_text("utf-8")
        text = re.sub(r'(?m)^version = "[^"]*"', f'version = "{version}"', text, count=1)
        # Ours go together: a plugin takes the core of its own minor version.
        own = re.compile(r'"((?:singer-http|merlin-api|reisoftware-api)(?:\[\w+\])?)~=[^"]*"')
        changed[path] = own.sub(lambda found: f'"{found[1]}~={version}"', text)
    plans = root / "dbt" / "dbt_project.yml"
    if plans.exists():
        text = plans.read_text("utf-8")
        changed[plans] = re.sub(r"(?m)^version: .*$", f"version: {version}", text, count=1)
    for path, text in changed.items():
        path.write_text(text, "utf-8")
    return list(changed)


def _closed(text: str, version: str, day: datetime.date) -> str:
    if f"## [{version}]" in text:
        raise ValueError(f"CHANGELOG.md has a section {version} already")
    found = re.search(r"(?ms)^## \[Unreleased\]\n(.*?)(?=^## \[|\Z)", text)
    if found is None or not found[1].strip():
        raise ValueError("CHANGELOG.md has nothing under [Unreleased]")
    head = f"## [Unreleased]\n\n## [{version}] - {day:%Y-%m-%d}\n"
    return text[: found.start()] + head + found[1] + text[found.end() :]


def main() -> None:
    """Read the version from the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("version")
    try:
        today = datetime.datetime.now(datetime.UTC).date()
        changed = release(ROOT, parser.parse_args().version, today)
    except ValueError as error:
        sys.exit(str(error))
    for path in changed:
        print(path.relative_to(ROOT))
    print("Next: uv lock, make reference, make test, commit, tag.")


if __name__ == "__main__":
    main()
