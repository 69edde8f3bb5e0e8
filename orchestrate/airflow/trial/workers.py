"""Workers: each a machine of its own, as far as one kernel can play several.

A worker has a network namespace with an address of its own, a process namespace that ends as a
whole, and a mount namespace where /tmp is empty. It reaches the others through a bridge. On its own
127.0.0.1 nothing listens but forwarders: the sandbox speaks http, which plugins accept on loopback
only, and so every part has the same address everywhere.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from trial.airflow import BIN
from trial.services import Process

FORWARD = Path(__file__).with_name("forward.py")
INSIDE = Path(__file__).with_name("machine.sh")


class Network:
    """A bridge, and a forwarder from its address to the services of this machine.

    Args:
        ports: what the workers may reach.
        folder: for logs.
    """

    def __init__(self, ports: Sequence[int], folder: Path) -> None:
        self.ports = list(ports)
        # Another one may be there, of another test.
        own = os.getpid() % 250 + 1
        self.prefix = f"10.213.{own}"
        self.bridge = f"singer{own}"
        self.address = f"{self.prefix}.1"
        command = [sys.executable, str(FORWARD), self.address, "127.0.0.1", *map(str, ports)]
        self._forward = Process("forward", command, dict(os.environ), folder)

    def __enter__(self) -> Network:
        self._remove()
        ip("link", "add", self.bridge, "type", "bridge")
        ip("address", "add", f"{self.address}/24", "dev", self.bridge)
        ip("link", "set", self.bridge, "up")
        self._forward.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._forward.stop()
        self._remove()

    def _remove(self) -> None:
        with suppress(subprocess.CalledProcessError):
            ip("link", "delete", self.bridge)


class Worker:
    """A Celery worker in namespaces of its own.

    Args:
        network: where it is.
        number: 1, 2, ...
        folder: its disk, which no other worker uses.
        environment: of the worker.
    """

    def __init__(
        self, network: Network, number: int, folder: Path, environment: Mapping[str, str]
    ) -> None:
        self.name = f"{network.bridge}-worker-{number}"
        self.address = f"{network.prefix}.{10 + number}"
        self._network = network
        self._link = f"{network.bridge}-{number}"
        forward = [sys.executable, str(FORWARD), "127.0.0.1", network.address]
        forward += map(str, network.ports)
        inside = ["ip", "netns", "exec", self.name, "unshare", "--pid", "--fork", "--kill-child"]
        inside += ["--mount", "--mount-proc", "--uts", "bash", str(INSIDE), self.address]
        command = [*inside, *forward, "--", str(BIN / "airflow"), "celery", "worker"]
        self._process = Process(self.name, command, environment, folder)

    def __enter__(self) -> Worker:
        self._remove()
        ip("netns", "add", self.name)
        ip("link", "add", self._link, "type", "veth", "peer", "eth0", "netns", self.name)
        ip("link", "set", self._link, "master", self._network.bridge, "up")
        for arguments in (
            ("link", "set", "lo", "up"),
            ("address", "add", f"{self.address}/24", "dev", "eth0"),
            ("link", "set", "eth0", "up"),
        ):
            ip("-n", self.name, *arguments)
        self._process.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._process.stop()
        self._remove()

    def kill(self) -> None:
        """SIGKILL for all of its processes at once."""
        self._process.kill()

    def start(self) -> None:
        """Start it after it was killed."""
        self._process.start()

    def _remove(self) -> None:
        with suppress(subprocess.CalledProcessError):
            ip("netns", "delete", self.name)


def ip(*arguments: str) -> None:
    """Change the network.

    Raises:
        CalledProcessError: it is refused.
    """
    subprocess.run(["ip", *arguments], check=True, capture_output=True)


def available() -> bool:
    """Whether namespaces can be made here."""
    return (
        os.geteuid() == 0 and shutil.which("ip") is not None and shutil.which("unshare") is not None
    )
