"""Calls to the sandbox's API v2, compared with the vendor's documents when a test is done."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
import requests

from singer_sandbox import Sandbox
from tests.calling import rei_v2
from tests.openapi import check_exchanges, have_documents

Call = Callable[..., requests.Response]


@pytest.fixture
def v2(sandbox: Sandbox) -> Iterator[Call]:
    """`v2("GET", "/contacts/{id}")`; what the sandbox refuses may be wrong by the document too."""

    def call(method: str, path: str, body: Any = None, **more: Any) -> requests.Response:
        return rei_v2(sandbox, method, path, body, **more)

    yield call
    if have_documents:
        check_exchanges(sandbox, allow_refused=True)
