"""What the documents name is there: files, headings, tests, modules, and the lines of the code."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = (
    "shared/singer_http",
    "merlin-api/merlin_api",
    "reisoftware-api/reisoftware_api",
    *(str(p.relative_to(ROOT)) for p in ROOT.glob("t*-*/t*_*")),
)
DOCUMENTS = [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("*/README.md")]
NAMES = [str(path.relative_to(ROOT)) for path in DOCUMENTS]


def anchors(path: Path) -> set[str]:
    """The headings of a page, as links name them."""
    headings = re.findall(r"^#+ (.*)$", path.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", text.lower()).strip().replace(" ", "-") for text in headings}


@pytest.mark.parametrize("document", DOCUMENTS, ids=NAMES)
def test_links_lead_somewhere(document: Path) -> None:
    for link, anchor in re.findall(r"\]\(([^)#\s]*)#?([^)\s]*)\)", document.read_text()):
        if link.startswith("http"):
            continue
        target = document.parent / link if link else document
        assert target.exists(), link
        assert not anchor or anchor in anchors(target), f"{link}#{anchor}"


@pytest.mark.parametrize("document", DOCUMENTS, ids=NAMES)
def test_tests_that_are_named_are_there(document: Path) -> None:
    tests = {path: path.read_text() for path in (ROOT / "tests").rglob("test_*.py")}
    text = document.read_text()
    for name in set(re.findall(r"`(?:tests/)?([\w/]*test_\w+\.py)`", text)):
        assert any(str(path).endswith(f"/tests/{name}") for path in tests), name
    for name in set(re.findall(r"`(test_\w+)`", text)):
        assert any(f"def {name}(" in source for source in tests.values()), name


@pytest.mark.parametrize("name", ["docs/architecture.md", "docs/performance.md", "CONTRIBUTING.md"])
def test_modules_and_names_that_are_named_are_there(name: str) -> None:
    text = (ROOT / name).read_text()
    places = [ROOT, *(ROOT / package for package in PACKAGES), ROOT / "tests"]
    places += [(ROOT / package).parent for package in PACKAGES]
    for module in set(re.findall(r"`(\w+/\w+\.py)`", text)):
        assert any((place / module).exists() for place in places), module
    code = "\n".join(path.read_text() for path in (ROOT / PACKAGES[0]).rglob("*.py"))
    for cls, member in set(re.findall(r"`([A-Z]\w*[a-z]\w*)\.(_?[a-z]\w*)`", text)):
        assert f"class {cls}" in code, cls
        assert f"def {member}(" in code, f"{cls}.{member}"


def literals() -> str:
    """The texts in the code, without backticks; what is put into them is left out."""
    found: list[str] = []
    for package in PACKAGES:
        for path in (ROOT / package).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text())):
                if isinstance(node, ast.Constant) and isinstance(node.value, str):
                    found.append(node.value)
                elif isinstance(node, ast.JoinedStr):
                    parts = [v.value if isinstance(v, ast.Constant) else "\0" for v in node.values]
                    found.append("".join(map(str, parts)))
    return "\n".join(found).replace("`", "")


COMPOSED = {
    "Error: Invalid value for '--input': ...",
    "Ended by SIGTERM",
    "HTTP 403: ...; check ...",
    "HTTP ...: ...; check automation_url",
    "...: got ... of ...: page ... is empty; check ...",
    "contacts: HTTP 4..: ...",
}
"""Lines that the code puts together from shorter parts, or that are click's."""


def phrases(line: str) -> set[str]:
    """Four words in a row of a line, or all where there are fewer, between its `...`."""
    found: set[str] = set()
    for part in line.split("..."):
        words = part.strip(" '():.,;").split()
        found |= {" ".join(words[i : i + 4]) for i in range(max(1, len(words) - 3))}
    return {phrase for phrase in found if " " in phrase}


def test_lines_of_troubleshooting_are_lines_of_the_code() -> None:
    code = literals()
    page = (ROOT / "docs" / "troubleshooting.md").read_text()
    rows = re.findall(r"^\| (`.*?) \| ", page, re.MULTILINE)
    lines = [line for row in rows for line in re.findall(r"`([^`]+)`", row)]
    assert len(lines) > 100
    missing = [
        line
        for line in lines
        if line not in COMPOSED
        and phrases(line)
        and not any(phrase in code for phrase in phrases(line))
    ]
    assert not missing
