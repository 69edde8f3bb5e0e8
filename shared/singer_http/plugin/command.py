"""The command line of a plugin: every way to end is one line on stderr and an exit code."""

from __future__ import annotations

import logging
import os
import signal
import sys
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import click
from singer_sdk.plugin_base import SingerCommand
from typing_extensions import override

from singer_http.errors import Interrupted, SingerHTTPError, one_line
from singer_http.plugin.signals import wake_main_thread

LINE_LENGTH = 2000
"""The most characters of the line that says why a run ended."""


class PluginCommand(SingerCommand):
    """The SDK's command; an error is one line, and a traceback only when debugging."""

    @override
    def main(
        self,
        args: Sequence[str] | None = None,
        prog_name: str | None = None,
        complete_var: str | None = None,
        standalone_mode: bool = True,
        **extra: Any,
    ) -> Any:
        call = partial(super().main, args, prog_name, complete_var, False, **extra)
        if standalone_mode:
            sys.exit(self._run(call))
        return call()

    @override
    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except BrokenPipeError:
            # Said here, because click ends without a message. The interpreter would fail again when
            # it flushes stdout.
            os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
            self.logger.error("The reader of the output has ended")
            ctx.exit(1)

    def _run(self, call: Callable[[], Any]) -> int:
        """The exit code."""
        try:
            wake_main_thread()
            code = call()
        except click.ClickException as error:
            error.show()
            return error.exit_code
        except (click.Abort, KeyboardInterrupt):
            return 128 + signal.SIGINT
        except Interrupted as error:
            self.logger.info("Ended by %s", signal.Signals(error.signum).name)
            return 128 + error.signum
        except Exception as error:  # noqa: BLE001  (the last one who can say it in one line)
            self._say(error)
            return 1
        return code if isinstance(code, int) else 0

    def _say(self, error: Exception) -> None:
        debug = self.logger.isEnabledFor(logging.DEBUG)
        line = str(error) if isinstance(error, SingerHTTPError) else f"{_name(error)}: {error}"
        if not isinstance(error, SingerHTTPError) and not debug:
            line += " (LOGLEVEL=DEBUG shows where)"
        self.logger.error("%s", one_line(line, LINE_LENGTH))
        if debug:
            self.logger.debug("The traceback of this error", exc_info=error)


def _name(error: Exception) -> str:
    kind = type(error)
    return kind.__name__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__name__}"
