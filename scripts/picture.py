"""Make docs/images/report.png: the page of a run in the sandbox, with invented people.

    python -m scripts.picture

Needs Chromium.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from singer_sandbox.client import Sandbox
from tests import browser

ROOT = Path(__file__).parents[1]
PICTURE = ROOT / "docs" / "images" / "report.png"
TARGET = Path(sys.executable).with_name("target-autoreach")
WIDTH, HEIGHT = 900, 1470
TEXT = {"type": ["string", "null"]}
PEOPLE = 2_400


def messages(changed: int) -> Iterator[dict[str, Any]]:
    """An extract of people; the first `changed` of them have another city than before."""
    columns = ("external_id", "first_name", "email", "phone", "property_city")
    properties = dict.fromkeys(columns, TEXT)
    yield {
        "type": "SCHEMA",
        "stream": "to_autoreach-people",
        "schema": {"type": "object", "properties": properties},
        "key_properties": ["external_id"],
    }
    for number in range(PEOPLE):
        email = f"ann{number}@example.com"
        if number % 60 == 0:
            email = "not an address"
        phone = f"+1555{number:07}" if number % 150 else "by letter"
        city = "Austin" if number < changed else "Reno"
        values = (f"own_{number}", "Ann", email, phone, city)
        record = dict(zip(columns, values, strict=True))
        yield {"type": "RECORD", "stream": "to_autoreach-people", "record": record}
    yield {"type": "STATE", "value": {"done": changed}}


def main() -> None:
    """Run the target twice, and photograph the page of the second run."""
    with tempfile.TemporaryDirectory() as name, Sandbox(seed=True) as sandbox:
        folder = Path(name)
        settings = sandbox.settings("target-autoreach") | {
            "work_dir": name,
            "account": "example",
            "sync": "nightly",
            "phone_region": "US",
        }
        for changed, rate_limit in ((0, ""), (700, "10/2s")):
            config = json.dumps(settings | {"rate_limit": rate_limit})
            (folder / "config.json").write_text(config)
            lines = "".join(json.dumps(message) + "\n" for message in messages(changed))
            command = [str(TARGET), "--config", "config.json"]
            subprocess.run(  # noqa: S603 - a command of ours
                command,
                input=lines.encode(),
                cwd=folder,
                check=True,
                stdout=subprocess.DEVNULL,
            )
        page = folder / "target-autoreach.example.nightly.report.html"
        shown = browser.look(page.as_uri(), folder, width=WIDTH, height=HEIGHT)
        PICTURE.parent.mkdir(exist_ok=True)
        shutil.copyfile(shown.picture, PICTURE)
    print(f"wrote {PICTURE.relative_to(ROOT)}, {PICTURE.stat().st_size // 1024} KB")


if __name__ == "__main__":
    main()
