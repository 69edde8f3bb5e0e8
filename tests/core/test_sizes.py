"""The sizes at which a folder or a file asks to be divided."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

ROOT = Path(__file__).parents[2]
MODULES = [
    path
    for folder in ROOT.iterdir()
    if folder.is_dir() and not folder.name.startswith(".")
    for path in folder.rglob("*.py")
    if not any(part.startswith(".") for part in path.relative_to(ROOT).parts)
]


def test_no_folder_has_more_than_15_modules() -> None:
    sizes = Counter(path.parent for path in MODULES if path.name != "__init__.py")
    assert {str(folder): size for folder, size in sizes.items() if size > 15} == {}


def test_no_file_has_more_than_400_lines() -> None:
    lines = {str(path): len(path.read_text().splitlines()) for path in MODULES}
    assert {name: number for name, number in lines.items() if number > 400} == {}
