"""The DAG of the example, as a scheduler reads it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from airflow.dag_processing.dagbag import DagBag
from airflow.sdk.exceptions import AirflowFailException
from airflow.serialization.serialized_objects import DagSerialization

from singer_accounts import Job, accounts_dag

DAGS = Path(__file__).parents[1] / "example" / "dags"


@pytest.fixture(scope="module")
def dag() -> Any:
    bag = DagBag(str(DAGS))
    assert bag.import_errors == {}
    (found,) = bag.dags.values()
    return found


def test_the_accounts_are_listed_then_run_then_shown(dag: Any) -> None:
    assert dag.task_ids == ["list_accounts", "account", "overview"]
    assert dag.get_task("account").upstream_task_ids == {"list_accounts"}
    last = dag.get_task("overview")
    assert last.upstream_task_ids == {"account"}
    assert last.trigger_rule == "all_done"


def test_the_scheduler_gets_it_as_json(dag: Any) -> None:
    text = json.dumps(DagSerialization.to_dict(dag))
    read = DagSerialization.from_dict(json.loads(text))
    each = read.get_task("account")
    assert each.partial_kwargs["pool"] == "accounts"
    assert each.partial_kwargs["map_index_template"] == "{{ task.account['account'] }}"


def test_two_runs_of_a_dag_do_not_overlap(tmp_path: Path) -> None:
    job = Job("messages", tmp_path, ["target-actionapi"], {}, database="singer")
    made = accounts_dag(job=job, accounts=tmp_path / "accounts.yml", schedule="@daily")
    assert (made.dag_id, made.max_active_runs, made.catchup) == ("messages", 1, False)


def test_a_wrong_list_is_not_read_again(tmp_path: Path) -> None:
    (tmp_path / "accounts.yml").write_text("accounts: []")
    job = Job("messages", tmp_path, ["target-actionapi"], {}, database="singer")
    made = accounts_dag(job=job, accounts=tmp_path / "accounts.yml", schedule=None)
    lists: Any = made.get_task("list_accounts")
    with pytest.raises(AirflowFailException, match="lists no account"):
        lists.python_callable()


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        # A text is a sequence: no plugin would get the database.
        ({"plugins": "target-actionapi"}, "plugins is a list"),
        ({"plugins": []}, "plugins is a list"),
        ({"project": "/pipeline"}, "project is a Path"),
        ({"variables": {"TARGET_ACTIONAPI_MAX_MESSAGES": 50}}, "TARGET_ACTIONAPI_MAX_MESSAGES is"),
    ],
)
def test_a_wrong_argument_of_a_job_is_an_import_error(wrong: dict[str, Any], says: str) -> None:
    right: dict[str, Any] = {
        "name": "messages",
        "project": Path("/pipeline"),
        "plugins": ["target-actionapi"],
        "credentials": {"TARGET_ACTIONAPI_API_KEY": "password"},
        "database": "singer",
    }
    with pytest.raises(TypeError, match=says):
        Job(**right | wrong)


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"accounts": "accounts.yml"}, "accounts is a Path or a Query, not 'accounts.yml'"),
        ({"page": Path("/reports/page.html")}, "page is a text, not "),
    ],
)
def test_a_wrong_argument_of_the_factory_is_an_import_error(
    wrong: dict[str, Any], says: str
) -> None:
    job = Job("messages", Path("/pipeline"), ["target-actionapi"], {}, database="singer")
    right: dict[str, Any] = {"job": job, "accounts": Path("accounts.yml"), "schedule": None}
    with pytest.raises(TypeError, match=says):
        accounts_dag(**right | wrong)
