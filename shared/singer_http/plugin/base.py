"""What taps and targets have in common: settings, `work_dir`, client, account, clean exits."""

from __future__ import annotations

import _thread
import functools
import hashlib
import json
import os
import tempfile
from functools import cached_property
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, Any, ClassVar, Self
from urllib.parse import urlsplit

import click
from singer_sdk.exceptions import ConfigValidationError
from singer_sdk.plugin_base import PluginBase
from typing_extensions import override

from singer_http.errors import ConfigError, Interrupted, one_line
from singer_http.http.rate_limit import Limiter, longest_hold
from singer_http.plugin import validation
from singer_http.plugin.about import as_text
from singer_http.plugin.command import PluginCommand
from singer_http.store import DATABASE_FILE

if TYPE_CHECKING:
    from collections.abc import Mapping
    from types import FrameType

    from requests.auth import AuthBase
    from singer_sdk.plugin_base import _ConfigInput

    from singer_http.http.client import Client
    from singer_http.store.rate_windows import RateWindows
    from singer_http.store.tokens import SharedToken


class HTTPPlugin(PluginBase):
    """The part that is the same for a tap and a target of an HTTP API.

    A plugin sets `name` and `config_jsonschema` (see `settings`), and has `new_auth`.
    """

    setting_checks: ClassVar[Mapping[str, validation.Check]] = {}
    """Checks of the plugin's own settings, beside their JSON schema: name → check."""

    def __init__(
        self,
        *,
        config: dict[str, Any] | PurePath | str | list[PurePath | str] | None = None,
        parse_env_config: bool = False,
        validate_config: bool = True,
        **kwargs: Any,
    ) -> None:
        """Check the settings, then do what the SDK does.

        Raises:
            ConfigError: a setting is missing or wrong (unless `validate_config` is false).
        """
        schema = self.config_jsonschema
        self.append_builtin_config(schema)
        given = _read(config)
        prefix = f"{self.name.upper().replace('-', '_')}_"
        if parse_env_config:
            given |= validation.from_environment(schema, prefix)
        validation.warn_of_variables(schema, prefix)
        # Before anything can be logged about them.
        for name, definition in schema["properties"].items():
            if validation.is_secret(definition) and given.get(name) is not None:
                validation.register_secret(given[name], definition)
        checks = {**validation.CHECKS, **self.setting_checks}
        try:
            given = self.complete(validation.validate(given, schema, checks))
            super().__init__(config=given, validate_config=validate_config, **kwargs)
        except ConfigValidationError as error:
            raise ConfigError(one_line("; ".join(error.errors))) from None
        except ConfigError:
            if validate_config:
                raise
            super().__init__(config=given, validate_config=False, **kwargs)

    @classmethod
    def unchecked(cls, given: Mapping[str, Any], env: bool, **kwargs: Any) -> Self:
        """Make a plugin whose settings are refused, to find where it leaves its report.

        Args:
            given: the settings, as far as there are any.
            env: whether the environment has more.
            **kwargs: of the constructor.
        """
        schema = cls.config_jsonschema
        # A value that is none of a setting's choices: the code that reads it would fail.
        there = {
            name: value
            for name, value in given.items()
            if value is not None
            and value in (schema["properties"].get(name, {}).get("enum") or (value,))
        }
        config = {
            name: "" if validation.is_secret(schema["properties"][name]) else "unknown"
            for name in schema.get("required", ())
        } | there
        return cls(config=config, parse_env_config=env, validate_config=False, **kwargs)

    # What a plugin implements

    def new_auth(self) -> AuthBase | None:
        """The credentials for the plugin's requests, made from its settings."""
        raise NotImplementedError

    def complete(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """The settings as they were given, with what some of them say about others.

        Args:
            given: valid settings, without defaults.

        Raises:
            ConfigError: they do not fit together; one line that names the setting.
        """
        return dict(given)

    def default_account(self) -> str:
        """Whose data this is when `account` is not set: a fingerprint of host and secrets."""
        host = urlsplit(self.config.get("api_url") or "").netloc
        keys = [
            str(self.config.get(name))
            for name in self.config_jsonschema.get("required", ())
            if validation.is_secret(self.config_jsonschema["properties"][name])
        ]
        return fingerprint(host, *keys)

    # What it gets

    @property
    def account(self) -> str:
        """Whose data this is; holds no secret."""
        return str(self.config.get("account") or self.default_account())

    @property
    def ledger_account(self) -> str:
        """Whose rows these are in the database: the account, and the server that it is on."""
        host, slash, path = self.api_url.partition("://")[2].partition("/")
        return f"{self.account} {host.lower()}{slash}{path}"

    @property
    def api_url(self) -> str:
        """The address that paths are joined to, without a slash at its end."""
        return str(self.config["api_url"]).rstrip("/")

    @property
    def work_path(self) -> Path:
        """Where `work_dir` is or will be."""
        root = os.environ.get("MELTANO_PROJECT_ROOT") or "."
        given = self.config.get("work_dir")
        return Path(given).expanduser() if given else Path(root) / ".singer-http"

    @cached_property
    def work_dir(self) -> Path:
        """The folder for what outlives a run; made if it is not there.

        Raises:
            ConfigError: it cannot be written.
        """
        path = self.work_path
        try:
            path.mkdir(mode=0o700, parents=True, exist_ok=True)
            if not (ignore := path / ".gitignore").exists():
                ignore.write_text("*\n")
            with tempfile.TemporaryFile(dir=path) as probe:
                probe.write(b"\0" * 4096)  # a full disk lets a file be made, but not filled
        except OSError as error:
            message = f"work_dir {path} cannot be written: {error.strerror or error}"
            raise ConfigError(message) from error
        return path.resolve()

    def path(self, kind: str) -> Path:
        """A file of this pipeline in `work_dir`."""
        parts = [self.name]
        if account := self.config.get("account"):
            parts.append(file_name(str(account)))
        if (sync := self.config.get("sync", "default")) != "default":
            parts.append(file_name(str(sync)))  # one that is refused too: for its report
        return self.work_dir / f"{'.'.join(parts)}.{kind}"

    @cached_property
    def database_url(self) -> str:
        """SQLAlchemy URL of the database for what outlives a run."""
        given = self.config.get("database_url")
        return str(given) if given else f"sqlite:///{self.work_dir / DATABASE_FILE}"

    @cached_property
    def client(self) -> Client:
        """The one client for all requests to the vendor."""
        return self.new_client(auth=self.new_auth(), limiter=self._limiter())

    def new_client(
        self,
        url: str | None = None,
        *,
        auth: AuthBase | None = None,
        limiter: Limiter | None = None,
    ) -> Client:
        """A client with this plugin's limits of time and tries.

        Args:
            url: what paths are joined to; None for `api_url`.
            auth: credentials, None for none.
            limiter: the rate limit, None for none (a token endpoint is not the vendor's API).
        """
        from singer_http.http.client import Client  # noqa: PLC0415  (--about starts without it)

        return Client(
            url or self.api_url,
            auth=auth,
            timeout=self.config["timeout"],
            max_retries=self.config["max_retries"],
            max_wait=self.config["max_wait"],
            concurrency=self.config["concurrency"],
            limiter=limiter,
            user_agent=f"{self.name}/{self.plugin_version}",
        )

    def next_run_goes_on(self) -> bool:
        """Whether the next run would go on after what this one did. Threads may ask."""
        return False

    def _limiter(self) -> Limiter | None:
        spec = str(self.config.get("rate_limit") or "").strip()
        if not spec:
            return None
        longest = self.config["max_wait"]
        return Limiter(spec, self._rate_windows, longest, goes_on=self.next_run_goes_on)

    def _rate_windows(self) -> RateWindows:
        """What the processes of this account sent, to this server."""
        from singer_http.store.rate_windows import RateWindows  # noqa: PLC0415  (imports SQLAlchemy, which no run waits for before its first request)

        account = f"{self.account} {urlsplit(self.api_url).netloc.lower()}"
        return RateWindows(self.database_url, account, longest_hold(self.config["timeout"]))

    def shared_token(self, name: str) -> SharedToken:
        """The stored token of the credentials that a hash names, for all processes."""
        from singer_http.store.tokens import SharedToken  # noqa: PLC0415  (as above)

        return SharedToken(self.database_url, name)

    def on_signal(self, signum: int) -> None:
        """What SIGTERM and SIGINT do; runs in the main thread, between any two steps of it."""
        raise Interrupted(signum)

    def cancel_requests(self) -> None:
        """Send nothing more: for a signal's handler."""
        if "client" in self.__dict__:
            # Not in this thread, nor by a Thread: the handler may have interrupted what holds the
            # lock that either of them takes.
            _thread.start_new_thread(self.client.stop, ())

    # The SDK's hooks

    @override
    def _handle_termination(self, signum: int, frame: FrameType | None) -> None:
        # The SDK registers this method for both signals; its own exits with 0.
        self.on_signal(signum)

    @classmethod
    @functools.cache
    @override
    def get_plugin_version(cls) -> str:
        # Asked for several times in a run, and each time the SDK reads the package's files.
        return super().get_plugin_version()

    @classmethod
    @override
    def cb_config(
        cls, ctx: click.Context, param: click.Option, value: tuple[str, ...]
    ) -> _ConfigInput:
        """Read the settings files, with a clear line about one that cannot be read."""
        found = super().cb_config(ctx, param, tuple(name for name in value if name == "ENV"))
        for name in value:
            if name != "ENV":  # once: a pipe has nothing to read the second time
                found.config |= _read_file(name)
        return found

    @classmethod
    @override
    def print_about(cls, output_format: str | None = None) -> None:
        """What the plugin says of itself; as text with descriptions and defaults."""
        if output_format in (None, "text"):
            click.echo(as_text(cls._get_about_info()))
        else:
            super().print_about(output_format)

    @classmethod
    @override
    def get_singer_command(cls) -> click.Command:
        """The SDK's command, with errors as one line."""
        command = super().get_singer_command()
        return PluginCommand(
            name=command.name,
            callback=command.callback,
            context_settings=command.context_settings,
            params=command.params,
            help=command.help,
            logger=cls.logger,
        )


def fingerprint(*parts: str) -> str:
    """A short hash of texts, 16 hex digits; the texts cannot be recovered from it."""
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:16]


def file_name(text: str) -> str:
    """An account, or a sync that may be refused, as a part of a file's name."""
    safe = "".join(c if c.isalnum() or c in "-_" else "_" for c in text)[:64]
    return safe if safe == text else f"{safe}-{fingerprint(text)[:6]}"


def _read(config: Any) -> dict[str, Any]:
    """A copy of the settings, from a dict or from files."""
    if config is None or isinstance(config, dict):
        return dict(config or {})
    given: dict[str, Any] = {}
    for name in config if isinstance(config, list) else [config]:
        given |= _read_file(name)
    return given


def _read_file(name: PurePath | str) -> dict[str, Any]:
    """The settings in a JSON file.

    Raises:
        ConfigError: there is none, or it is not a JSON object. Never shows what is in it.
    """
    try:
        data = json.loads(Path(name).read_bytes())
    except OSError as error:
        problem = f"cannot be read: {error.strerror or error}"
    except json.JSONDecodeError as error:
        problem = f"is not JSON ({error.msg}, line {error.lineno} column {error.colno})"
    except ValueError:
        problem = "is not JSON (it is not UTF-8 text)"
    else:
        if isinstance(data, dict):
            return data
        problem = f"is not a JSON object but a {type(data).__name__}"
    message = f"Config file {name} {problem}"
    raise ConfigError(message)
