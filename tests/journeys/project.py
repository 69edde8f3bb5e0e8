"""The Meltano project that the how-tos are followed in."""

from __future__ import annotations

import json
import os
import re
import subprocess
from pathlib import Path
from typing import Any

import psycopg
import yaml

from demo.meltano import MELTANO, PLUGIN_PREFIXES, ROOT
from singer_sandbox.client import Sandbox
from singer_sandbox.settings import environment
from tests.journeys.pages import PAGES, Block, blocks, copy, remove

FIRST = "first-sync"
KEPT = ("meltano.yml", ".env", ".singer-http", ".meltano/meltano.db", ".meltano/run")
"""What a page may change in the project."""
SCHEMAS = "warehouse, to_autoreach, to_actionapi, everything, ledger"
NOT_RUN = "not run: "
HUB, OWN_VALUES = "asks Meltano Hub", "the values are your own"
VARIABLE = re.compile(r"\b(?:TAP|TARGET)_[A-Z_]+\b")
# As Meltano Hub has it, as far as the pages need it.
TAP_POSTGRES = """
name: tap-postgres
namespace: tap_postgres
variant: meltanolabs
pip_url: meltanolabs-tap-postgres==0.10.0
executable: tap-postgres
capabilities: [about, catalog, discover, state, stream-maps]
settings:
- {name: sqlalchemy_url, sensitive: true}
- {name: filter_schemas, kind: array}
"""


class Project:
    """A new Meltano project; its folder is made by the first page."""

    def __init__(self, folder: Path, sandbox: Sandbox, url: str, database_url: str) -> None:
        self.sandbox, self.url = sandbox, url
        self._folder, self._kept = folder, folder / "kept"
        self.values = {
            **environment(sandbox.url),
            "TAP_POSTGRES_SQLALCHEMY_URL": url,
            "TARGET_AUTOREACH_DATABASE_URL": database_url,
        }
        mine = {k: v for k, v in os.environ.items() if not k.startswith(PLUGIN_PREFIXES)}
        self._environment = {
            **mine,
            "PATH": f"{MELTANO.parent}{os.pathsep}{mine['PATH']}",
            "SINGER_PLUGINS": str(ROOT),
            "MELTANO_SEND_ANONYMOUS_USAGE_STATS": "false",
            "NO_COLOR": "1",
            # What the commands import is compiled once, and nothing else.
            "PYTHONDONTWRITEBYTECODE": "",
            "UV_COMPILE_BYTECODE": "false",
        }

    @property
    def root(self) -> Path:
        """Where the commands run."""
        made = self._folder / "my-pipeline"
        return made if made.exists() else self._folder

    def follow(self, page: str) -> list[str]:
        """Do what a page says; what each `sh` block said, in order."""
        said = []
        for block in blocks(page):
            if block.language == "sql":
                self.execute(block.text)
            elif block.language == "yaml" and block.text.startswith("plugins:"):
                self.configure(yaml.safe_load(block.text)["plugins"])
            elif block.language == "sh" and not block.note:
                done = self.sh(block.text)
                assert done.returncode == 0, block.text + done.stdout
                said.append(done.stdout)
            elif block.note == NOT_RUN + HUB:
                definition = self._folder / "tap-postgres.yml"
                definition.write_text(TAP_POSTGRES)
                assert self.sh(f"{block.text.strip()} --from-ref {definition}").returncode == 0
            elif block.note == NOT_RUN + OWN_VALUES:
                self._give_values(page, block)
        return said

    def sh(self, text: str) -> subprocess.CompletedProcess[str]:
        """Run a block; stdout has stderr too."""
        return subprocess.run(
            ["bash", "-e", "-c", text],
            cwd=self.root,
            env=self._environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=300,
        )

    def execute(self, statement: str) -> None:
        """Change the warehouse."""
        with psycopg.connect(self.url) as connection:
            connection.execute(statement.encode())

    def configure(self, kinds: dict[str, list[dict[str, Any]]]) -> None:
        """Change plugins in meltano.yml."""
        path = self.root / "meltano.yml"
        content = yaml.safe_load(path.read_text())
        for kind, plugins in kinds.items():
            for given in plugins:
                known = content["plugins"].setdefault(kind, [])
                if kind == "utilities":  # the page adds it
                    known.append({"name": given["name"]})
                (plugin,) = (p for p in known if p["name"] == given["name"])
                for name, value in given.items():
                    if isinstance(value, dict):
                        plugin.setdefault(name, {}).update(value)
                    else:
                        plugin[name] = value
        path.write_text(yaml.safe_dump(content, sort_keys=False))

    def _give_values(self, page: str, block: Block) -> None:
        """What the page names, and the values that a sandbox has for it."""
        named = dict.fromkeys(VARIABLE.findall((PAGES / f"{page}.md").read_text()))
        assert set(VARIABLE.findall(block.text)) <= set(self.values)
        self.add_to_env({name: self.values[name] for name in named if name in self.values})

    def add_to_env(self, values: dict[str, str]) -> None:
        """Add variables to the project's .env."""
        with (self.root / ".env").open("a") as file:
            file.writelines(f"{name}='{value}'\n" for name, value in values.items())

    def keep(self) -> None:
        """Remember how the first page left everything."""
        for name in KEPT:
            copy(self.root / name, self._kept / name)
        people = self.sandbox.state("autoreach")["people"]
        self._people = list(people.values())

    def restore(self) -> None:
        """As the first page left it, so that each page stands alone."""
        for name in KEPT:
            remove(self.root / name)
            copy(self._kept / name, self.root / name)
        self.sandbox.reset()
        self.sandbox.seed()
        self.sandbox.put_state("autoreach", {"people": self._people})
        self.execute(f"drop schema if exists {SCHEMAS} cascade")
        for block in blocks(FIRST):
            if block.language == "sql":
                self.execute(block.text)

    def report(self, plugin: str = "target-autoreach") -> dict[str, Any]:
        """The report of the last run."""
        path = self.root / ".singer-http" / f"{plugin}.report.json"
        return dict(json.loads(path.read_text()))

    def rejected(self, plugin: str = "target-autoreach") -> list[str]:
        """The first column of what is outstanding."""
        path = self.root / ".singer-http" / f"{plugin}.rejects.jsonl"
        lines = (
            [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []
        )
        return [next(iter(line["record"].values())) for line in lines if "rejection" in line]

    def people(self) -> dict[str, dict[str, Any]]:
        """External id → person at the vendor."""
        found = self.sandbox.state("autoreach")["people"].values()
        return {person["external_id"]: person for person in found}
