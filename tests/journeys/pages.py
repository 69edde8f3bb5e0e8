"""The code blocks of the how-tos, and the files that a page may change."""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import NamedTuple

from demo.meltano import ROOT

PAGES = ROOT / "docs" / "how-to"
# As Meltano Hub has it, as far as the pages need it.
TAP_POSTGRES = """
name: tap-postgres
namespace: tap_postgres
variant: meltanolabs
pip_url: meltanolabs-tap-postgres==0.10.0
executable: tap-postgres
capabilities: [about, catalog, discover, state, stream-maps]
settings:
- {name: sqlalchemy_url, sensitive: true}
- {name: filter_schemas, kind: array}
"""


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
