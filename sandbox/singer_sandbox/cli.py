"""`singer-sandbox`: starts the server and prints the settings to use."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

from singer_sandbox.server import base_url, listen, serve, stop_with_stdin, write_port
from singer_sandbox.settings import environment, plugin_settings
from singer_sandbox.world import World


def parser() -> argparse.ArgumentParser:
    """The command line."""
    line = argparse.ArgumentParser(
        prog="singer-sandbox",
        description="A local server that behaves like AutoReach, REI Software, Kasplo and Merlin.",
    )
    line.add_argument("--host", default="127.0.0.1", help="a loopback address")
    line.add_argument("--port", type=int, default=8765, help="0 takes a free one")
    line.add_argument("--port-file", type=Path, help="write the port here once it listens")
    line.add_argument("--seed", action="store_true", help="start with a little invented data")
    line.add_argument(
        "--accounts", type=int, default=0, metavar="N",
        help="further accounts of each vendor: account-001 and so on, with the keys key-001 ...",
    )  # fmt: skip
    line.add_argument("--latency", type=float, default=0, metavar="MS", help="of every request")
    line.add_argument("--quiet", action="store_true", help="print nothing")
    line.add_argument("--exit-with-stdin", action="store_true", help=argparse.SUPPRESS)
    return line


def greeting(url: str) -> str:
    """What a person needs to know."""
    lines = [f"Sandbox at {url} (open it in a browser; control API under {url}/_sandbox/)", ""]
    for plugin, settings in plugin_settings(url, "v2").items():
        lines.append(f"{plugin}: {json.dumps(settings)}")
    lines += ["", "The same as environment variables:", ""]
    lines += [f"export {name}={value}" for name, value in environment(url).items()]
    lines += ["", "Ctrl-C ends it; everything is in memory."]
    return "\n".join(lines)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run until SIGTERM or SIGINT; 1 when it cannot listen."""
    given = parser().parse_args(arguments)
    try:
        listener = listen(given.host, given.port)
    except (OSError, OverflowError, ValueError) as error:
        print(
            f"singer-sandbox: cannot listen on {given.host}:{given.port}: {error}", file=sys.stderr
        )
        return 1
    world = World(given.accounts)
    for vendor in world.vendors.values():
        vendor.set_options({"latency_ms": given.latency})
    if given.seed:
        world.seed()
    if given.exit_with_stdin:
        stop_with_stdin()

    def ready() -> None:
        if given.port_file:
            write_port(given.port_file, listener.getsockname()[1])
        if not given.quiet:
            print(greeting(base_url(listener)), flush=True)

    serve(world, listener, ready)
    return 0
