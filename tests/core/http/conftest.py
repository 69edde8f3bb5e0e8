"""Fixtures of the tests of the client."""

from __future__ import annotations

import pytest


@pytest.fixture
def no_jitter(monkeypatch: pytest.MonkeyPatch) -> None:
    """The pauses between tries are at most 10 ms, unless the vendor asks for one."""
    monkeypatch.setattr("backoff.full_jitter", lambda value: min(value, 0.01))
