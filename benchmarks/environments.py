"""Where the contestants live: each peer in an environment of its own, ours as users install it."""

from __future__ import annotations

import os
import shutil
import subprocess
from importlib.metadata import version
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PLACE = ROOT / ".tools" / "bench"
"""Not part of the repository; `make clean` removes it."""
PEERS = Path(__file__).with_name("peers")
OURS = PLACE / "ours"


def uv() -> str:
    return shutil.which("uv") or str(ROOT / ".tools" / "uv" / "bin" / "uv")


def _uv(*arguments: str | Path, **environment: str) -> None:
    """Run uv.

    Raises:
        RuntimeError: it failed; with what it said.
    """
    done = subprocess.run(
        [uv(), *map(str, arguments), "--quiet"],
        cwd=ROOT,
        check=False,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
    )
    if done.returncode:
        raise RuntimeError(f"uv {arguments[0]}: {done.stderr.strip()[-500:]}")


def install_ours() -> None:
    """All plugins from the lock file, not editable, without what is for development."""
    packages = [path.parent.name for path in ROOT.glob("t*-*/pyproject.toml")] + ["singer-http"]
    again = [word for name in packages for word in ("--reinstall-package", name)]
    _uv(
        *("sync", "--frozen", "--all-packages", "--no-dev", "--no-editable", "--compile-bytecode"),
        *again,
        UV_PROJECT_ENVIRONMENT=str(OURS),
    )
    # For a ledger in PostgreSQL.
    _uv("pip", "install", "--python", OURS / "bin" / "python", "psycopg[binary]>=3.2")


def install_peer(name: str) -> None:
    """The pinned release; nothing to do if it is there already."""
    wanted = (PEERS / name / "requirements.txt").read_text()
    stamp = PLACE / name / "installed.txt"
    if stamp.exists() and stamp.read_text() == wanted:
        return
    _uv("venv", "--clear", PLACE / name)
    _uv(
        *("pip", "install", "--compile-bytecode", "--python", PLACE / name / "bin" / "python"),
        *("--requirements", PEERS / name / "requirements.txt"),
    )
    stamp.write_text(wanted)


def install() -> dict[str, str]:
    """Install everything; peer → why it is missing."""
    PLACE.mkdir(parents=True, exist_ok=True)
    install_ours()
    missing = {}
    for folder in sorted(PEERS.iterdir()):
        if (folder / "requirements.txt").exists():
            try:
                install_peer(folder.name)
            except RuntimeError as error:
                missing[folder.name] = f"cannot be installed: {error}"
    return missing


def python(name: str) -> Path:
    """The interpreter of an environment."""
    return PLACE / name / "bin" / "python"


def versions() -> dict[str, str]:
    """What is measured: name → release."""
    found = {"ours": version("singer-http")}
    for folder in sorted(PEERS.iterdir()):
        requirements = folder / "requirements.txt"
        if requirements.exists():
            name, _, release = requirements.read_text().splitlines()[0].partition("==")
            found[name] = release
    return found
