"""What the tap reads by either version of the API, the target writes by either."""

from __future__ import annotations

from pathlib import Path

import pytest

from singer_sandbox import Sandbox
from tests.tapping import Tap, only
from tests.targets.reisoftware.test_contacts import held, sent, unstamped
from tests.targets.reisoftware.versions import VERSIONS, target


@pytest.mark.parametrize("writes", VERSIONS)
@pytest.mark.parametrize("reads", VERSIONS)
def test_contacts_are_written_back_as_they_were_read(
    sandbox: Sandbox, tmp_path: Path, reads: str, writes: str
) -> None:
    sandbox.seed()
    before = [unstamped(row) for row in held(sandbox)]
    settings = sandbox.settings("tap-reisoftware", reads)
    tap = Tap("tap-reisoftware", sandbox, tmp_path, **settings)
    messages = tap.read(catalog=only(
        tap.discover(), "contacts"
    )).messages  # fmt: skip
    for rei in target(writes, sandbox, tmp_path):
        result = rei.run(messages)
        assert result.exit_code == 0, result.stderr
        assert result.counts("contacts") == {"received": 60, "updated": 60}
        assert "left out" not in result.stderr
        assert "did not take" not in result.stderr
        assert [unstamped(row) for row in held(sandbox)] == before
        sandbox.log(clear=True)
        again = rei.run(messages)
        assert again.counts("contacts") == {"received": 60, "unchanged": 60}
        assert sent(sandbox) == []
