"""The manifest of a Job, against Kubernetes' own schema."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

from singer_accounts.meltano import LOCAL_DATABASE

MANIFEST = Path(__file__).parents[2] / "kubernetes" / "account-job.yaml"
VERSION = "1.31"


def manifest() -> dict[str, Any]:
    content: dict[str, Any] = yaml.safe_load(MANIFEST.read_text())
    return content


def test_kubernetes_accepts_the_job_of_an_account() -> None:
    kubernetes_validate.validate(manifest(), VERSION, strict=True)


def test_a_mistake_in_it_would_be_seen() -> None:
    wrong = copy.deepcopy(manifest())
    wrong["spec"]["template"]["spec"]["terminationGracePeriod"] = 60
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(wrong, VERSION, strict=True)


def test_a_retry_does_not_wait_for_meltanos_own_check_of_a_killed_run() -> None:
    # The retries of a Job are over in about a minute; Meltano refuses a run for five.
    (container,) = manifest()["spec"]["template"]["spec"]["containers"]
    assert container["args"][0].rstrip().endswith("exec meltano run --force messages")


def test_a_plugin_that_gets_no_database_cannot_make_one_in_the_pod() -> None:
    (container,) = manifest()["spec"]["template"]["spec"]["containers"]
    given = {variable["name"]: variable.get("value") for variable in container["env"]}
    first = container["args"][0].splitlines()[0]
    assert first.split()[-1] == f"{given['TARGET_ACTIONAPI_WORK_DIR']}/{LOCAL_DATABASE}"


def test_it_gives_a_run_what_the_airflow_task_gives_it() -> None:
    (container,) = manifest()["spec"]["template"]["spec"]["containers"]
    given = {variable["name"]: variable for variable in container["env"]}
    assert {
        "SINGER_ACCOUNT",
        "MELTANO_SYS_DIR_ROOT",
        "MELTANO_AUTO_INSTALL",
        "MELTANO_DATABASE_URI",
        "MELTANO_RUN_STATE_ID_SUFFIX",
        "XDG_STATE_HOME",
        "TARGET_ACTIONAPI_ACCOUNT",
        "TARGET_ACTIONAPI_API_KEY",
        "TARGET_ACTIONAPI_DATABASE_URL",
        "TARGET_ACTIONAPI_WORK_DIR",
        "WAREHOUSE_URL",
    } == set(given)
    for name, variable in given.items():
        secret = name.endswith(("KEY", "URL", "URI"))
        assert ("valueFrom" in variable) == secret, name
