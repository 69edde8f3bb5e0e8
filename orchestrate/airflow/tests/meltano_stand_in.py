#!/usr/bin/env python3
"""Stands in for Meltano: does what STAND_IN (JSON) says, and writes down its environment.

With `tap` it runs that tap, whose settings are in the environment, except the one of `without`.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

told: dict[str, Any] = json.loads(os.environ["STAND_IN"])
seen = Path(told["seen"])
if tap := told.get("tap"):
    os.environ.pop(told.get("without", ""), None)
    sys.exit(subprocess.run([tap, "--config=ENV"], stdout=subprocess.DEVNULL).returncode)
folder = Path(os.environ["TARGET_ACTIONAPI_WORK_DIR"])
system = sorted(path.name for path in Path(os.environ["MELTANO_SYS_DIR_ROOT"]).iterdir())
seen.write_text(json.dumps({"arguments": sys.argv[1:], "environment": dict(os.environ),
                            "cwd": str(Path.cwd()), "system": system}))  # fmt: skip


def end(number: int, frame: Any) -> None:
    time.sleep(0.5)  # the requests in flight
    seen.with_suffix(".ended").write_text("after the requests in flight")
    sys.exit(143)


if told.get("killed"):
    # A plugin, whose output Meltano reads.
    if os.fork() == 0:
        signal.signal(signal.SIGTERM, end)
        null = os.open(os.devnull, os.O_RDWR)
        os.dup2(null, 1)
        os.dup2(null, 2)
        seen.with_suffix(".plugin").touch()
        time.sleep(60)
    while not seen.with_suffix(".plugin").exists():
        time.sleep(0.02)
    os.kill(os.getpid(), signal.SIGKILL)
if told.get("wait"):
    signal.signal(signal.SIGTERM, end)
    print("waiting", flush=True)
    time.sleep(60)
if (report := told.get("report")) is not None:
    (folder / "target-actionapi.dallas.report.json").write_text(json.dumps(report))
print("a line of the run", flush=True)
if variables := told.get("say"):
    print(*(os.environ[name] for name in variables), flush=True)
sys.exit(told.get("code", 0))
