"""tap-autoreach through its front door: what it reads, and that it never loses any in silence."""

from __future__ import annotations

import gzip
import json
import signal
import subprocess
from pathlib import Path
from typing import Any

import pytest

from singer_sandbox import Sandbox
from tests.front_door import JSON, SCRIPTS
from tests.tapping import Tap, only

STREAMS = {"campaigns", "custom_fields", "lists", "members"}


@pytest.fixture
def tap(sandbox: Sandbox, tmp_path: Path) -> Tap:
    return Tap("tap-autoreach", sandbox, tmp_path)


def members(number: int, **fields: Any) -> JSON:
    return {"members": [{"email": f"p{i}@example.com", **fields} for i in range(number)]}


def ids(records: list[JSON]) -> list[int]:
    return [record["id"] for record in records]


def test_all_streams_come_with_their_records(sandbox: Sandbox, tap: Tap) -> None:
    sandbox.seed()
    done = tap.read()
    assert done.streams == STREAMS
    state = sandbox.state("autoreach")
    for stream in STREAMS:
        held = state[stream]
        rows = list(held.values()) if isinstance(held, dict) else held
        assert sorted(done.records(stream), key=str) == sorted(rows, key=str)


def test_an_empty_account_has_its_core(tap: Tap) -> None:
    done = tap.read()
    assert done.streams == STREAMS
    assert {"id", "email", "phone", "first_name", "custom_fields"} <= set(
        done.properties("members")
    )
    assert done.records("members") == []


def test_fields_of_an_account_come_typed(sandbox: Sandbox, tap: Tap) -> None:
    fields = {"score": 7.5, "vip": True, "notes": None, "tags": ["a"], "place": {"city": "Reno"}}
    sandbox.put_state("autoreach", members(3, custom_fields={"parcel": "1"}, **fields))
    done = tap.read()
    found = done.properties("members")
    assert found["id"]["type"] == ["integer"]
    assert found["score"]["type"] == ["number", "null"]
    assert found["vip"]["type"] == ["boolean", "null"]
    assert found["tags"] == {"type": ["array", "null"], "items": {"type": ["string", "null"]}}
    assert found["place"]["properties"] == {"city": {"type": ["string", "null"]}}
    assert found["custom_fields"]["type"] == ["object", "null"]
    assert set(found["notes"]["type"]) >= {"string", "object", "null"}
    record = done.records("members")[0]
    assert {name: record[name] for name in fields} == fields


def test_a_field_that_appears_later_is_left_out_and_reported(sandbox: Sandbox, tap: Tap) -> None:
    sandbox.put_state("autoreach", members(100))
    sandbox.put_state("autoreach", {"members": [{"id": 500, "email": "x@example.com", "new": 1}]})
    done = tap.read()
    assert done.records("members")[-1]["id"] == 500
    assert "new" not in done.records("members")[-1]
    assert "('new',) were present in the 'members' stream but not found in catalog" in done.stderr


@pytest.mark.parametrize("number", [0, 1, 99, 100, 101, 250, 1000])
def test_no_record_is_lost_or_doubled(sandbox: Sandbox, tap: Tap, number: int) -> None:
    sandbox.fill("autoreach", members=number)
    done = tap.read()
    assert ids(done.records("members")) == sorted(set(ids(done.records("members"))))
    assert len(done.records("members")) == number


@pytest.mark.parametrize(
    "options",
    [
        {"page_size_cap": 30},
        {"paging": "none"},
        {"paging": "repeat_last"},
        {"page_param": "p", "page_size_param": "n"},
        {"total": "absent"},
        {"total": "absent", "paging": "repeat_last"},
    ],
    ids=str,
)
def test_every_kind_of_paging_is_read_to_its_end(
    sandbox: Sandbox, tap: Tap, options: dict[str, Any]
) -> None:
    sandbox.fill("autoreach", members=250)
    sandbox.options("autoreach", **options)
    settings = {k: v for k, v in options.items() if k.startswith("page_") and k.endswith("param")}
    done = tap.read(**settings)
    assert len(set(ids(done.records("members")))) == 250


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"paging": "ignored"}, "got 25 of 250: page 2 is the same as an earlier one"),
        ({"paging": "offset_lies"}, "got 250 of 257: page 4 is empty"),
        (
            {"paging": "ignored", "total": "absent"},
            "got 25 of an unknown total: page 2 is the same",
        ),
        ({"page_param": "other"}, "got 100 of 250: page 2 is the same as an earlier one"),
    ],
    ids=str,
)
def test_what_is_missing_ends_the_run_and_names_the_settings(
    sandbox: Sandbox, tap: Tap, options: dict[str, Any], said: str
) -> None:
    sandbox.fill("autoreach", members=250)
    catalog = only(tap.discover(), "members")
    sandbox.options("autoreach", **options)
    done = tap.run(catalog=catalog)
    assert f"members: {said}" in done.error
    assert "check page_param, page_size_param, page_size" in done.error


def test_rows_that_are_added_during_the_read_do_not_end_it(sandbox: Sandbox, tap: Tap) -> None:
    sandbox.fill("autoreach", members=300)
    catalog = only(tap.discover(), "members")
    sandbox.fault(vendor="autoreach", path="members", hold="page", after=1)
    process = tap.start(catalog=catalog, concurrency=1)
    sandbox.wait_held("page")
    sandbox.put_state("autoreach", members(150))
    sandbox.clear_faults()
    sandbox.release("page")
    done = tap.finish(process)
    assert done.exit_code == 0, done.stderr
    assert len(set(ids(done.records("members")))) == 450


def test_pages_are_fetched_side_by_side_within_concurrency(sandbox: Sandbox, tap: Tap) -> None:
    sandbox.fill("autoreach", members=3000)
    sandbox.options("autoreach", latency_ms=50)
    done = tap.read(concurrency=3)
    assert ids(done.records("members")) == sorted(ids(done.records("members")))
    assert sandbox.counts()["max_in_flight"]["autoreach"] == 3


def test_one_token_serves_every_run(sandbox: Sandbox, tap: Tap) -> None:
    tap.read()
    tap.read()
    assert sandbox.state("autoreach")["counters"]["tokens_issued"] == 1


def test_an_expired_token_is_replaced_in_the_middle(sandbox: Sandbox, tap: Tap) -> None:
    sandbox.fill("autoreach", members=2000)
    sandbox.fault(vendor="autoreach", path="members", after=5, expire_tokens=True)
    assert len(tap.read().records("members")) == 2000
    assert sandbox.state("autoreach")["counters"]["tokens_issued"] == 2


@pytest.mark.parametrize(
    "fault",
    [
        {"status": 503},
        {"status": 429, "retry_after": 1},
        {"drop": True},
        {"cut": True},
        {"cut_json": True},
    ],
    ids=str,
)
def test_what_goes_wrong_once_is_tried_again(
    sandbox: Sandbox, tap: Tap, fault: dict[str, Any]
) -> None:
    sandbox.fill("autoreach", members=500)
    sandbox.fault(vendor="autoreach", path="members", after=2, **fault)
    assert len(set(ids(tap.read().records("members")))) == 500


def test_bad_credentials_are_one_line(tap: Tap) -> None:
    error = tap.run(client_secret="wrong-secret-1").error
    assert "token endpoint does not accept client_id and client_secret" in error
    assert "wrong-secret-1" not in error
    assert "Service not found" in tap.run(audience="https://www.autoreach.app").error


def test_errors_in_a_200_are_errors(sandbox: Sandbox, tap: Tap) -> None:
    answer = {"errors": [{"status": 500, "title": "Oops", "detail": "Nobody home"}], "data": []}
    sandbox.fault(vendor="autoreach", path="members", status=200, answer=answer, times=None)
    assert "members: Nobody home" in tap.run().error


def test_selection_leaves_streams_and_properties_out(sandbox: Sandbox, tap: Tap) -> None:
    sandbox.put_state("autoreach", members(3, place={"city": "Reno", "zip": "1"}))
    catalog = only(tap.discover(), "members", without=("phone", "zip"))
    sandbox.log(clear=True)
    done = tap.read(catalog=catalog)
    assert done.streams == {"members"}
    record = done.records("members")[0]
    assert "phone" not in record
    assert record["place"] == {"city": "Reno"}
    assert "phone" not in done.properties("members")
    # With a catalog there is nothing to discover.
    assert [request["path"] for request in sandbox.requests("autoreach")] == ["/api/v1/members"]


def test_stream_maps_and_flattening_work(sandbox: Sandbox, tap: Tap) -> None:
    sandbox.put_state("autoreach", members(3, place={"city": "Reno"}))
    maps = {
        "members": {"name": "record['email']", "__alias__": "people", "__filter__": "id != 2"},
        "campaigns": None,
    }
    done = tap.read(stream_maps=maps, flattening_enabled=True, flattening_max_depth=1)
    assert "campaigns" not in done.streams
    records = done.records("people")
    assert ids(records) == [1, 3]
    assert records[0]["name"] == records[0]["email"] == "p0@example.com"
    assert records[0]["place__city"] == "Reno"


def test_batch_files_hold_every_record(sandbox: Sandbox, tap: Tap, tmp_path: Path) -> None:
    sandbox.fill("autoreach", members=250)
    batch = {
        "encoding": {"format": "jsonl", "compression": "gzip"},
        "storage": {"root": f"file://{tmp_path}/batches"},
    }
    (tmp_path / "batches").mkdir()
    done = tap.read(batch_config=batch)
    files = [
        path.removeprefix("file://")
        for message in done.messages
        if message["type"] == "BATCH" and message["stream"] == "members"
        for path in message["manifest"]
    ]
    lines = [
        line for path in files for line in gzip.decompress(Path(path).read_bytes()).splitlines()
    ]
    assert len({json.loads(line)["id"] for line in lines}) == 250


def test_test_mode_reads_one_record_of_each_stream(sandbox: Sandbox, tap: Tap) -> None:
    sandbox.seed()
    done = tap.read("--test")
    assert {stream: len(done.records(stream)) for stream in STREAMS} == dict.fromkeys(STREAMS, 1)
    assert tap.read("--test=schema").streams == STREAMS


def test_metrics_count_the_records(sandbox: Sandbox, tap: Tap) -> None:
    sandbox.fill("autoreach", members=250)
    metrics = [
        json.loads(line.split("METRIC: ")[1])
        for line in tap.read().stderr.splitlines()
        if "METRIC: " in line
    ]
    (count,) = [
        metric["value"]
        for metric in metrics
        if metric["metric"] == "record_count" and metric["tags"]["stream"] == "members"
    ]
    assert count == 250


def test_it_logs_no_line_for_each_request(sandbox: Sandbox, tap: Tap) -> None:
    sandbox.fill("autoreach", members=5000)
    assert len(tap.read().stderr.splitlines()) < 40


def test_state_comes_along_the_way_and_at_the_end(sandbox: Sandbox, tap: Tap) -> None:
    sandbox.fill("autoreach", members=250)
    done = tap.read()
    assert done.messages[-1] == {
        "type": "STATE",
        "value": {"bookmarks": {stream: {} for stream in sorted(STREAMS)}},
    }
    again = tap.read(state={"bookmarks": {"members": {"note": 1}}})
    assert again.state["bookmarks"]["members"] == {"note": 1}


@pytest.mark.console_script
@pytest.mark.parametrize(("signum", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_signal_ends_it_with_whole_lines_and_state(
    sandbox: Sandbox, tap: Tap, signum: int, code: int
) -> None:
    sandbox.fill("autoreach", members=3000)
    catalog = only(tap.discover(), "members")
    sandbox.fault(vendor="autoreach", path="members", hold="page", after=10, times=None)
    # It ends though an answer is due, and not because of a timeout.
    bookmarks = {"bookmarks": {"other": {"note": 1}}}
    process = tap.start(catalog=catalog, state=bookmarks, timeout=1000)
    sandbox.wait_held("page")
    process.send_signal(signum)
    done = tap.finish(process)
    assert done.exit_code == code
    # Whole pages, in their order, up to the first that was held.
    read = ids(done.records("members"))
    assert read == list(range(1, len(read) + 1))
    assert len(read) in range(300, 1001, 100)
    assert done.state["bookmarks"]["other"] == {"note": 1}
    assert "Traceback" not in done.stderr


def test_nobody_reading_is_no_traceback(sandbox: Sandbox, tap: Tap) -> None:
    sandbox.fill("autoreach", members=5000)
    tap.discover()
    script, config = str(SCRIPTS / "tap-autoreach"), str(tap.directory / "config.json")
    done = subprocess.run(
        f"{script} --config {config} | head -1 >/dev/null; exit ${{PIPESTATUS[0]}}",
        shell=True,
        executable="/bin/bash",
        stderr=subprocess.PIPE,
        text=True,
        cwd=tap.directory,
    )
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert "The reader of the output has ended" in done.stderr.splitlines()[-1]


@pytest.mark.parametrize(
    "config",
    [{"api_url": "http://api.example"}, {"client_id": None}, {"page_size": 0}, {"timeout": "x"}],
)
def test_a_wrong_setting_is_one_line(tap: Tap, config: dict[str, Any]) -> None:
    assert next(iter(config)) in tap.run(**config).error
    assert next(iter(config)) in tap.run("--discover", **config).error


@pytest.mark.parametrize("option", ["--state", "--catalog"])
def test_a_file_that_is_no_json_is_one_line(tap: Tap, tmp_path: Path, option: str) -> None:
    (tmp_path / "broken").write_text("{")
    assert f"{option} is not a JSON object" in tap.run(option, str(tmp_path / "broken")).error


def changed_while_read(sandbox: Sandbox, tap: Tap, *gone: int) -> list[int]:
    """The ids that come when members are deleted after page 1 was read."""
    sandbox.fill("autoreach", members=300)
    catalog = only(tap.discover(), "members")
    sandbox.fault(vendor="autoreach", path="members", hold="page", after=1)
    process = tap.start(catalog=catalog, concurrency=1)
    sandbox.wait_held("page")
    for number in gone:
        sandbox.remove("autoreach", "members", str(number))
    sandbox.clear_faults()
    sandbox.release("page")
    done = tap.finish(process)
    assert done.exit_code == 0, done.stderr
    return ids(done.records("members"))


@pytest.mark.parametrize("gone", [(5,), (5, 6, 7), (250,)])
def test_rows_that_are_deleted_during_the_read_take_no_other_row_along(
    sandbox: Sandbox, tap: Tap, gone: tuple[int, ...]
) -> None:
    read = changed_while_read(sandbox, tap, *gone)
    assert set(read) >= set(range(1, 301)) - set(gone)
    assert len(read) == len(set(read))
