"""The SDK's own suite for taps: against the sandbox, and a database that a target wrote."""

from __future__ import annotations

import json
import subprocess
import tempfile
from pathlib import Path
from typing import Any

import pytest
from singer_sdk.testing import get_tap_test_class

from singer_sandbox import Sandbox
from tap_actionapi.tap import TapActionApi
from tap_autoreach.tap import TapAutoReach
from tap_deliveries.tap import TapDeliveries
from tap_emailmarketing.tap import TapEmailMarketing
from tap_reisoftware.tap import TapReiSoftware
from tests.front_door import SCRIPTS
from tests.people import SCHEMA, person

# Discovery runs when tests are collected, so the sandbox has to be there by then. It ends with
# this process.
SANDBOX = Sandbox(seed=True)
SANDBOX.start()
WORK_DIR = tempfile.TemporaryDirectory()


def settings(name: str, api_version: str = "v1") -> dict[str, Any]:
    given = SANDBOX.settings(name, api_version=api_version)
    return {**given, "rate_limit": "", "work_dir": WORK_DIR.name}


def database() -> str:
    """A database with a run, a record and a reject."""
    folder = Path(WORK_DIR.name)
    config = folder / "target.json"
    config.write_text(json.dumps(settings("target-autoreach")))
    messages = [SCHEMA, person(1), person(2, email="no-mail")]
    subprocess.run(
        [str(SCRIPTS / "target-autoreach"), "--config", str(config)],
        input="".join(json.dumps(message) + "\n" for message in messages),
        text=True,
        capture_output=True,
        check=True,
    )
    return WORK_DIR.name


pytestmark = pytest.mark.filterwarnings("ignore:Fields in transformed catalog")

TestAutoReach = get_tap_test_class(
    TapAutoReach, config=settings("tap-autoreach"), parse_env_config=False
)
TestReiSoftware = get_tap_test_class(
    TapReiSoftware, config=settings("tap-reisoftware"), parse_env_config=False
)
TestReiSoftwareV2 = get_tap_test_class(
    TapReiSoftware, config=settings("tap-reisoftware", "v2"), parse_env_config=False
)
TestEmailMarketing = get_tap_test_class(
    TapEmailMarketing,
    config=settings("tap-emailmarketing"),
    parse_env_config=False,
)
TestActionApi = get_tap_test_class(
    TapActionApi,
    config={**settings("tap-actionapi"), "searches": [{"Lname": "Pedro"}, {"idContact": 3}]},
    parse_env_config=False,
)
TestDeliveries = get_tap_test_class(
    TapDeliveries,
    config={"work_dir": database(), "include_records": True},
    parse_env_config=False,
)
