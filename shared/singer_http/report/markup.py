"""Parts of a page in HTML; every value is escaped here."""

from __future__ import annotations

import html
from collections.abc import Iterable, Mapping, Sequence
from importlib.resources import files
from string import Template
from typing import Any


def text(value: Any) -> str:
    """A value as HTML that shows it, whatever it holds."""
    # Characters that turn the direction of a line, or that no font has, would hide what is there.
    visible = "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in str(value))
    return html.escape(visible)


def prose(value: str) -> str:
    """Words of our own: `names` become code."""
    parts = text(value).split("`")
    return "".join(f"<code>{p}</code>" if i % 2 else p for i, p in enumerate(parts))


def document(title: str, parts: Iterable[str]) -> str:
    """A whole page; empty parts are left out."""
    template = files("singer_http.report").joinpath("page.html").read_text("utf-8")
    return Template(template).substitute(title=text(title), body="\n".join(filter(None, parts)))


def header(name: str, badges: Sequence[tuple[str, str]]) -> str:
    """The head of a page: its name, and its badges as (kind, words)."""
    shown = [f'<span class="badge {kind}">{text(words)}</span>' for kind, words in badges]
    return f'<header><h1>{text(name)}</h1><p class="badges">{" ".join(shown)}</p></header>'


def fact_list(facts: Mapping[str, Any]) -> str:
    """Names with their values."""
    items = "".join(f"<div><dt>{k}</dt><dd>{text(v)}</dd></div>" for k, v in facts.items())
    return f'<dl class="facts">{items}</dl>'


def tiles(numbers: Iterable[tuple[str, int, str]]) -> str:
    """Numbers in large type, as (name, number, kind)."""
    shown = "".join(
        f'<div class="tile {kind}"><strong>{number:,}</strong> <span>{name}</span></div>'
        for name, number, kind in numbers
    )
    return f'<div class="tiles">{shown}</div>'


def row(tag: str, contents: Iterable[str]) -> str:
    """A row of a table: cells of a tag, each with HTML."""
    return "<tr>" + "".join(f"<{tag}>{content}</{tag}>" for content in contents) + "</tr>"
