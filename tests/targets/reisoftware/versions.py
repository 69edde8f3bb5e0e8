"""REI Software's target by either version of the API; what goes by v2 is held to its document."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from singer_sandbox import Sandbox
from tests.front_door import Plugin
from tests.openapi import check_exchanges, have_documents

VERSIONS = ("v1", "v2")
BELOW_API = re.compile(r"^.*?/v[12]/")


def target(version: str, sandbox: Sandbox, directory: Path, **config: Any) -> Iterator[Plugin]:
    """The target; after the test its exchanges are compared with the document."""
    settings = sandbox.settings("target-reisoftware", version)
    yield Plugin("target-reisoftware", sandbox, directory, **settings, **config)
    if version == "v2" and have_documents:
        check_exchanges(sandbox, allow_refused=True)


def is_v2(plugin: Plugin) -> bool:
    """Whether it goes by API v2."""
    return plugin.config.get("api_version") == "v2"


def asked(sandbox: Sandbox, *methods: str) -> list[str]:
    """The requests that reached the vendor: method and path."""
    return [
        f"{entry['method']} {BELOW_API.sub('', entry['path'])}"
        for entry in sandbox.requests("rei")
        if not methods or entry["method"] in methods
    ]


def lookups(sandbox: Sandbox) -> list[str]:
    """Those of them that look a contact up."""
    return [line for line in asked(sandbox, "GET") if line in LOOKUPS]


LOOKUP = "contacts/(lookup|search/duplicate)"
LOOKUPS = ("GET contacts/lookup", "GET contacts/search/duplicate")
READS = (*LOOKUPS, "POST contacts/search")
