"""What singer-sdk does behind a target's back, and that ours does not let it.

The traps that have tests elsewhere: a signal in mid-batch, a second run (`test_crashes.py`); a bad
record among good ones (`test_delivery_rejects.py`); BATCH, a schema change
(`test_delivery_input.py`); `batch_size_rows` (`test_delivery.py`); streams that hang on others
(`targets/reisoftware/test_links.py`); settings and secrets (`test_settings.py`,
`test_redaction.py`).
"""

from __future__ import annotations

import json
import os
import subprocess

import pytest

from singer_sandbox import Sandbox
from tests.front_door import JSON, SCRIPTS, Plugin, record, schema, state
from tests.processes import ENTRIES

SCHEMA = schema("people", ("id", "email", "first_name"))


def person(number: int) -> JSON:
    return record("people", id=f"p{number}", email=f"p{number}@example.com")


def test_a_deleted_row_is_a_delete_without_add_record_metadata(
    people: Plugin, sandbox: Sandbox
) -> None:
    people.run([SCHEMA, person(1)])
    gone = record("people", id="p1", _sdc_deleted_at="2026-01-01", _sdc_batched_at="2026-01-01")
    people.run([SCHEMA, gone])
    assert sandbox.state("autoreach")["people"] == {}


def test_sdc_columns_never_go_out(people: Plugin, sandbox: Sandbox) -> None:
    row = person(1)
    row["record"] |= {"_sdc_extracted_at": "2026-01-01T00:00:00Z", "_sdc_deleted_at": None}
    result = people.run([schema("people", ("id", "email", "_sdc_extracted_at")), row])
    assert result.exit_code == 0, result.stderr
    assert not any(name.startswith("_sdc") for name in sandbox.state("autoreach")["people"]["p1"])


def test_sdc_columns_are_part_of_no_digest(people: Plugin) -> None:
    for time in ("2026-01-01T00:00:00Z", "2026-01-02T00:00:00Z"):
        row = person(1)
        row["record"]["_sdc_extracted_at"] = time
        result = people.run([schema("people", ("id", "email", "_sdc_extracted_at")), row])
    assert result.counts("people") == {"received": 1, "unchanged": 1}


def test_settings_may_come_from_a_pipe(people: Plugin) -> None:
    """As `--config <(op inject ...)` gives them: what is read twice is empty the second time."""
    reading, writing = os.pipe()
    os.write(writing, json.dumps(people.config).encode())
    os.close(writing)
    command = [str(SCRIPTS / people.name), "--config", f"/dev/fd/{reading}", "--check"]
    done = subprocess.run(command, pass_fds=[reading], capture_output=True, text=True)
    os.close(reading)
    assert done.returncode == 0, done.stderr
    assert "credentials: accepted" in done.stderr


@pytest.mark.console_script
def test_state_waits_for_what_came_before_it(people: Plugin, sandbox: Sandbox) -> None:
    sandbox.fault(vendor="autoreach", method="PATCH", hold="x")
    process = people.start([SCHEMA, person(1), state({"at": 1})])
    sandbox.wait_held("x")
    process.kill()
    assert process.communicate()[0] == b""
    sandbox.clear_faults()
    sandbox.release("x")


def test_a_state_that_comes_alone_goes_out(people: Plugin) -> None:
    assert people.run([state({"at": 1})]).states == [{"at": 1}]


def test_activate_version_removes_nothing(people: Plugin, sandbox: Sandbox) -> None:
    people.run([SCHEMA, person(1), person(2)])
    version = {"type": "ACTIVATE_VERSION", "stream": "people", "version": 2}
    result = people.run([SCHEMA, version, person(1), version])
    assert result.exit_code == 0, result.stderr
    assert len(sandbox.state("autoreach")["people"]) == 2


def test_flattening_works(people: Plugin, sandbox: Sandbox) -> None:
    nested = schema("people", {
        "id": {"type": "string"},
        "first": {"type": "object", "properties": {"name": {"type": "string"}}},
    })  # fmt: skip
    row = record("people", id="p1", first={"name": "Ada"})
    config: JSON = {"flattening_enabled": True, "flattening_max_depth": 1}
    config["flattening_separator"] = "_"
    result = people.run([nested, row], **config)
    assert result.exit_code == 0, result.stderr
    assert sandbox.state("autoreach")["people"]["p1"]["first_name"] == "Ada"


def test_a_failing_expression_rejects_its_record_alone(people: Plugin, sandbox: Sandbox) -> None:
    maps = {"people": {"first_name": "record['first_name'].upper()"}}
    rows = [record("people", id="a", first_name="ada"), record("people", id="b", first_name=None)]
    result = people.run([SCHEMA, *rows], stream_maps=maps)
    assert result.exit_code == 0, result.stderr
    assert list(sandbox.state("autoreach")["people"]) == ["a"]
    assert "stream_maps" in result.rejects[0]["rejection"]["reason"]


def test_settings_come_from_the_environment_in_their_types(
    people: Plugin, sandbox: Sandbox
) -> None:
    names = {
        f"TARGET_AUTOREACH_{name.upper()}": value if isinstance(value, str) else json.dumps(value)
        for name, value in {**people.config, "timeout": 12.5, "dry_run": False}.items()
    }
    text = "".join(json.dumps(message) + "\n" for message in (SCHEMA, person(1)))
    done = subprocess.run(
        [str(SCRIPTS / "target-autoreach"), "--config", "ENV"],
        input=text.encode(),
        capture_output=True,
        env={**os.environ, **names},
        cwd=people.directory,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr.decode()
    assert len(sandbox.state("autoreach")["people"]) == 1


def test_validation_can_be_left_to_the_vendor(people: Plugin) -> None:
    rows = [record("people", id="a", first_name=5)]
    result = people.run([SCHEMA, *rows], validate_records=False)
    assert result.rejects[0]["rejection"]["kind"] == "refused"


@pytest.mark.console_script
def test_stdout_carries_singer_messages_only(people: Plugin) -> None:
    result = people.run([SCHEMA, person(1), state({"at": 1})])
    assert result.stdout == '{"at": 1}\n'


@pytest.mark.parametrize("name", ENTRIES)
def test_about_works_without_settings(name: str) -> None:
    done = subprocess.run(
        [str(SCRIPTS / name), "--about", "--format", "json"], capture_output=True, timeout=60
    )
    assert done.returncode == 0, done.stderr.decode()
    assert json.loads(done.stdout)["name"] == name


@pytest.mark.parametrize("name", ENTRIES)
def test_a_missing_setting_is_one_line(name: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    done = subprocess.run(
        [str(SCRIPTS / name)], input=b"", capture_output=True, timeout=60,
        cwd=tmp_path_factory.mktemp("empty"),
    )  # fmt: skip
    assert done.returncode == 1
    assert b"Traceback" not in done.stderr
    # tap-deliveries needs no setting, but a database.
    expected = "set work_dir or database_url" if name == "tap-deliveries" else "missing"
    assert expected.encode() in done.stderr
