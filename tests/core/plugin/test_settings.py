"""Settings: what is accepted, and the one line about what is not."""

from __future__ import annotations

import json
import logging
import os
import stat
import subprocess
from pathlib import Path
from typing import Any

import pytest
from singer_sdk import Tap
from singer_sdk import typing as th
from typing_extensions import override

from singer_http.errors import ConfigError
from singer_http.plugin.base import HTTPPlugin
from singer_http.plugin.settings import COMMON_SETTINGS, tap_settings, target_settings
from singer_http.plugin.validation import Share, parse_share, validate
from tests import processes
from tests.front_door import LIMIT

KEY = th.Property(
    "api_key", th.StringType, required=True, secret=True, description="The account's key."
)
URL = th.Property("api_url", th.URIType, default="https://api.example/v1")


def checked(target: bool = False, **config: Any) -> dict[str, Any]:
    schema = (target_settings if target else tap_settings)(KEY, URL)
    return validate({"api_key": "the-api-key", **config}, schema)


class TapPlain(HTTPPlugin, Tap):
    """A tap without streams."""

    name = "tap-plain"
    config_jsonschema = tap_settings(KEY, URL, rate_limit="3/min")

    @override
    def new_auth(self) -> None:
        """None."""

    @override
    def discover_streams(self) -> list[Any]:
        if self.config.get("use_work_dir", True):
            assert self.work_dir
        if self.config.get("fail"):
            raise RuntimeError("failed on " + self.config["api_key"])
        return []


def tap(
    tmp_path: Path, *arguments: str, env: dict[str, str] | None = None, **config: Any
) -> subprocess.CompletedProcess[str]:
    """Run the tap's command in a process."""
    path = tmp_path / "config.json"
    path.write_text(json.dumps({"work_dir": str(tmp_path / "work"), **config}))
    environment = {k: v for k, v in os.environ.items() if not k.startswith("MELTANO")}
    process = processes.start(
        TapPlain.name,
        arguments or ("--config", str(path)),
        entry=f"{__name__}:TapPlain.cli",
        cwd=tmp_path,
        env={**environment, **(env or {})},
    )
    out, err = process.communicate(timeout=LIMIT)
    return subprocess.CompletedProcess(process.args, process.wait(), out.decode(), err.decode())


@pytest.mark.parametrize(
    ("name", "given", "taken"),
    [
        ("timeout", "2.5", 2.5),
        ("timeout", 10, 10.0),
        ("concurrency", "8", 8),
        ("concurrency", 8.0, 8),
        ("dry_run", "true", True),
        ("dry_run", "No", False),
        ("dry_run", True, True),
        ("max_rejects", 20, "20"),
        ("max_rejects", "", ""),
        ("rate_limit", "", ""),
        ("rate_limit", "100/10s, 200000/day", "100/10s, 200000/day"),
        ("keys", '{"people": ["id"]}', {"people": ["id"]}),
        ("keys", {"people": ["id"]}, {"people": ["id"]}),
        ("phone_region", "US", "US"),
        ("phone_region", "gb", "gb"),
        ("api_url", "http://127.0.0.1:8000", "http://127.0.0.1:8000"),
    ],
)
def test_text_becomes_what_the_setting_is(name: str, given: Any, taken: Any) -> None:
    value = checked(target=True, **{name: given})[name]
    assert (value, type(value)) == (taken, type(taken))


@pytest.mark.parametrize(
    ("name", "given", "accepts"),
    [
        ("timeout", "soon", "a number"),
        ("timeout", 0, "more than 0"),
        ("timeout", 1e18, "at most 86400"),
        ("timeout", True, "a number"),
        ("max_retries", -1, "at least 0"),
        ("max_retries", 2.5, "a whole number"),
        ("concurrency", 0, "at least 1"),
        ("concurrency", [1], "a whole number"),
        ("rate_limit", "fast", "'fast'; it takes a number, a slash and a time, such as '10/s' or"),
        ("rate_limit", "5/s,10/y", "no limit; not '10/y'"),
        ("rate_limit", "10/y", "units s, min, hour, day"),
        ("mode", "delete", "'upsert', 'update', 'create', 'mirror'"),
        ("max_deletes", "150%", "a share up to 100%"),
        ("max_deletes", "some", "a number"),
        ("dry_run", "maybe", "true or false"),
        ("keys", "[1]", "an object"),
        ("sync", "a/b", "text like"),
        ("phone_region", "USA", "text like"),
        ("phone_region", "UK", "an ISO country with two letters, like US or GB; UK is none"),
        ("api_url", "http://api.example", "an address like https"),
        ("api_url", "https://me:hidden@api.example", "without a user and password"),
    ],
)
def test_a_wrong_setting_is_named_with_what_it_accepts(name: str, given: Any, accepts: str) -> None:
    with pytest.raises(ConfigError) as caught:
        checked(target=True, **{name: given})
    assert str(caught.value).startswith(f"setting {name} is ")
    assert accepts in str(caught.value)
    assert "hidden" not in str(caught.value)


def test_every_wrong_setting_is_named_at_once() -> None:
    with pytest.raises(ConfigError, match=r"setting timeout is .*; setting concurrency is "):
        checked(timeout="x", concurrency="y")


@pytest.mark.parametrize("key", [None, ""])
def test_a_missing_setting_is_named(key: str | None) -> None:
    with pytest.raises(ConfigError, match="setting api_key is missing: The account's key"):
        checked(api_key=key)


def test_a_secrets_value_is_never_shown() -> None:
    with pytest.raises(ConfigError, match="api_key is a secret of type dict; it takes text") as c:
        checked(api_key={"a": "hidden"})
    assert "hidden" not in str(c.value)


def test_null_is_as_if_not_set() -> None:
    assert "timeout" not in checked(timeout=None)
    assert "concurrency" not in checked(concurrency="")


def test_an_unknown_setting_is_warned_about(caplog: pytest.LogCaptureFixture) -> None:
    assert checked(concurency=9)["concurency"] == 9
    assert "no setting 'concurency'; did you mean 'concurrency'?" in caplog.text


def test_every_plugin_has_a_schema_of_its_own() -> None:
    assert tap_settings(KEY) == tap_settings(KEY)
    first = tap_settings(KEY)
    first["properties"]["timeout"]["default"] = 1
    assert tap_settings(KEY)["properties"]["timeout"]["default"] == 30
    assert tap_settings(KEY, rate_limit="1/s")["properties"]["rate_limit"]["default"] == "1/s"


def test_every_setting_is_described() -> None:
    for name, definition in target_settings()["properties"].items():
        assert definition["description"].endswith("."), name
    assert {item.name for item in COMMON_SETTINGS} < set(target_settings()["properties"])


def test_a_share_of_nothing_allows_what_it_always_allows() -> None:
    assert parse_share("10%") == Share(share=0.1)
    assert parse_share("10%").allows_gone(5, 0)
    assert not parse_share("10%").allows_gone(6, 0)
    assert not parse_share("10%").allows(5, 0)
    assert not parse_share("0%").allows_gone(1, 10)
    assert not parse_share("10%").allows(11, 100)
    assert parse_share("10").allows(10, 0)
    assert not parse_share("10").allows(11, 10_000)
    assert parse_share(" ").allows(10_000, 0)


def test_defaults_fill_nulls(tmp_path: Path) -> None:
    plain = TapPlain(config={"api_key": "k1k2k3", "timeout": None, "work_dir": str(tmp_path)})
    assert plain.config["timeout"] == 30
    assert plain.config["rate_limit"] == "3/min"


def test_the_given_config_is_left_alone(tmp_path: Path) -> None:
    given = {"api_key": "k1k2k3", "work_dir": str(tmp_path)}
    TapPlain(config=given)
    assert given == {"api_key": "k1k2k3", "work_dir": str(tmp_path)}


def test_the_work_dir_is_for_its_owner_only(tmp_path: Path) -> None:
    plain = TapPlain(config={"api_key": "k1k2k3", "work_dir": str(tmp_path / "a" / "b")})
    assert stat.S_IMODE(plain.work_dir.stat().st_mode) == 0o700
    assert (plain.work_dir / ".gitignore").read_text() == "*\n"


def test_the_work_dir_is_in_the_meltano_project(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MELTANO_PROJECT_ROOT", str(tmp_path / "project"))
    assert TapPlain(config={"api_key": "k1k2k3"}).work_dir == tmp_path / "project" / ".singer-http"
    monkeypatch.delenv("MELTANO_PROJECT_ROOT")
    monkeypatch.chdir(tmp_path)
    assert TapPlain(config={"api_key": "k1k2k3"}).work_dir == tmp_path / ".singer-http"


def test_the_account_is_a_fingerprint_of_host_and_key(tmp_path: Path) -> None:
    def account(**config: str) -> str:
        return TapPlain(config={"work_dir": str(tmp_path), **config}).account

    first = account(api_key="k1k2k3")
    assert first == account(api_key="k1k2k3", api_url="https://api.example/v2")
    assert first != account(api_key="k1k2k4")
    assert first != account(api_key="k1k2k3", api_url="https://other.example/v1")
    assert "k1k2k3" not in first
    assert account(api_key="k1k2k3", account="mine") == "mine"


def one_error(done: Any) -> str:
    """The one line that says why a run ended."""
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    (line,) = [line for line in done.stderr.splitlines() if "| ERROR" in line]
    assert done.stderr.splitlines()[-1] == line
    return str(line)


def test_a_wrong_config_is_one_line_and_exit_1(tmp_path: Path) -> None:
    assert "setting api_key is missing" in one_error(tap(tmp_path))
    assert "setting stream_maps is 3" in one_error(tap(tmp_path, api_key="k", stream_maps=3))


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"{", "is not JSON"),
        (b"[1]", "is not a JSON object"),
        (b"\xff", "not UTF-8"),
        (None, "No such file"),
    ],
)
def test_a_config_file_that_cannot_be_read_is_one_line(
    tmp_path: Path, content: bytes | None, said: str
) -> None:
    path = tmp_path / "other.json"
    if content is not None:
        path.write_bytes(content)
    line = one_error(tap(tmp_path, "--config", str(path)))
    assert str(path) in line
    assert said in line


def test_an_unexpected_error_is_one_line_without_secrets(tmp_path: Path) -> None:
    config: dict[str, Any] = {"api_key": "top/secret+key", "fail": True}
    line = one_error(tap(tmp_path, **config))
    assert "RuntimeError: failed on [secret]" in line
    debug = tap(tmp_path, env={"LOGLEVEL": "DEBUG"}, **config)
    assert "Traceback" in debug.stderr
    assert "top/secret" not in debug.stderr


def test_a_work_dir_that_cannot_be_made_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    line = one_error(tap(tmp_path, api_key="k1k2k3", work_dir=str(tmp_path / "file" / "x")))
    assert "work_dir" in line
    assert "cannot be written" in line


def test_settings_come_from_the_environment(tmp_path: Path) -> None:
    env = {"TAP_PLAIN_API_KEY": "from-the-env", "TAP_PLAIN_TIMEOUT": "1.5", "TAP_PLAIN_FAIL": "1"}
    env["TAP_PLAIN_WORK_DIR"] = str(tmp_path / "w")
    done = tap(tmp_path, "--config", "ENV", "--discover", env=env)
    assert done.returncode == 0
    assert json.loads(done.stdout) == {"streams": []}
    env["TAP_PLAIN_TIMEOUT"] = "x"
    assert "timeout is 'x'" in one_error(tap(tmp_path, "--config", "ENV", env=env))


def test_a_slip_in_a_variable_is_a_warning(tmp_path: Path) -> None:
    slips = {"TAP_PLAIN_DATABSE_URL": "sqlite:///x.db", "TAP_PLAIN_RATELIMIT": "1/s"}
    others = {
        "TAP_PLAIN_EU_DATABASE_URL": "of the plugin tap-plain-eu",
        "TAP_PLAIN_STREAM_MAPS_PEOPLE": "a part of a setting",
        "TAP_PLAIN__SELECT": "Meltano's",
        "TAP_PLAIN_API_KEY": "x",
    }
    done = tap(tmp_path, env=slips | others, api_key="x")
    warned = [
        line.rpartition(" | ")[2] for line in done.stderr.splitlines() if "no setting" in line
    ]
    assert warned == [
        "The variable TAP_PLAIN_DATABSE_URL is no setting; did you mean TAP_PLAIN_DATABASE_URL?",
        "The variable TAP_PLAIN_RATELIMIT is no setting; did you mean TAP_PLAIN_RATE_LIMIT?",
    ]


def test_about_and_version_need_no_settings(tmp_path: Path) -> None:
    about = tap(tmp_path, "--about", "--format", "json")
    assert about.returncode == 0
    names = json.loads(about.stdout)["settings"]["properties"]
    assert {"api_key", "rate_limit", "stream_maps", "batch_config"} <= set(names)
    assert tap(tmp_path, "--version").returncode == 0


def test_a_wrong_option_is_a_usage_error(tmp_path: Path) -> None:
    done = tap(tmp_path, "--nonsense")
    assert done.returncode == 2
    assert "Traceback" not in done.stderr


def test_debug_logging_shows_no_secret(tmp_path: Path) -> None:
    done = tap(tmp_path, env={"LOGLEVEL": "DEBUG"}, api_key="top/secret+key")
    assert done.returncode == 0
    assert "top/secret" not in done.stderr
    assert logging.getLogger().level != logging.DEBUG
