"""An update that waits is judged by what the vendor has when it leaves."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import pytest

from singer_http.delivery import overwrite
from singer_sandbox import Sandbox
from tests.core.overwrite.crm import CRMS, KEEP, PLUGINS, Crm, ReiV1, settings_of
from tests.core.rules.runs import Runs
from tests.front_door import JSON

PAUSE = 2
"""Seconds that the vendor asks for: time enough for an edit."""


@pytest.mark.parametrize(("kind", "when"), [*((kind, "before") for kind in CRMS), (ReiV1, "after")])
def test_an_edit_while_an_update_waits_is_kept(
    sandbox: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: type[Crm], when: str
) -> None:
    monkeypatch.setattr(overwrite, "FRESH_FOR", 0.5)
    monkeypatch.setattr("target_autoreach.listing.FRESH_FOR", 0.1)
    runs = Runs(PLUGINS[kind.vendor], sandbox, tmp_path, **KEEP, **settings_of(kind, sandbox))
    crm = kind(runs.plugin, sandbox)
    crm.set_up()

    def deliver(*values: str) -> JSON:
        ran = runs.run([crm.schema, crm.row("1", "ann@example.com", *values)])
        assert not ran.error
        assert not ran.rejects
        kept: JSON = ran.report["streams"][crm.stream]["kept"]
        return kept

    deliver("Ann", "Smith", "red")
    status = {"before": 429, "after": 503}[when]  # with 503 the first try was carried out
    crm.fault(crm.update, when=when, status=status, headers={"Retry-After": str(PAUSE)}, times=1)
    name = crm.columns[1]

    def edit() -> None:
        since = len(sandbox.requests(crm.vendor))
        while not any(r.get("status") == status for r in sandbox.requests(crm.vendor)[since:]):
            time.sleep(0.05)
        crm.edit(0, **{name: "Hannah"})

    person = threading.Thread(target=edit, daemon=True)
    person.start()
    kept = deliver("Anne", "Smith", "blue")
    person.join(10)
    assert crm.values() == [("ann@example.com", "Hannah", "Smith", "blue")]
    assert kept == {name: 1}
