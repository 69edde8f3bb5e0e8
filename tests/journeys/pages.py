"""The code blocks of the how-tos, and the files that a page may change."""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import NamedTuple

from demo.meltano import ROOT

PAGES = ROOT / "docs" / "how-to"


class Block(NamedTuple):
    """A code block of a page."""

    language: str
    note: str
    text: str


def blocks(page: str) -> list[Block]:
    text = (PAGES / f"{page}.md").read_text("utf-8")
    found = re.findall(r"^```(\w+)(?: ([^\n]*))?\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    return [Block(*parts) for parts in found]


def copy(source: Path, to: Path) -> None:
    to.parent.mkdir(parents=True, exist_ok=True)
    if source.is_dir():
        shutil.copytree(source, to, symlinks=True)
    else:
        shutil.copy(source, to)


def remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
