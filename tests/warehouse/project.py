"""A dbt project that uses the package, as a user's would."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

import yaml

from demo.meltano import ROOT
from demo.warehouse import variables as variables_of

DBT = Path(os.environ.get("DBT", ROOT / ".tools" / "dbt" / "bin" / "dbt"))
PROFILES = ROOT / "demo" / "transform" / "profiles.yml"


class Project:
    """Models in a folder, and the warehouse that they are for.

    Args:
        folder: where the project is made.
        url: of the warehouse.
        models: name of a model -> its text.
        tables: tables of the schema `warehouse`, as sources.
        variables: of the project.
    """

    def __init__(
        self,
        folder: Path,
        url: str,
        models: Mapping[str, str],
        tables: Sequence[str],
        **variables: str,
    ) -> None:
        self.folder = folder
        self._environment = {
            **os.environ,
            **variables_of(url),
            "DBT_SEND_ANONYMOUS_USAGE_STATS": "false",
            "NO_COLOR": "1",
        }
        (folder / "models").mkdir(parents=True)
        self._write(
            "dbt_project.yml",
            {
                "name": "tests",
                "profile": "warehouse",
                "models": {"tests": {"+materialized": "table"}},
                "vars": variables,
            },
        )
        self._write("packages.yml", {"packages": [{"local": str(ROOT / "dbt")}]})
        # As `dbt deps` leaves it, which takes some seconds; the how-to runs that.
        (folder / "dbt_packages").mkdir()
        (folder / "dbt_packages" / "singer_http").symlink_to(ROOT / "dbt")
        source = {"name": "warehouse", "tables": [{"name": table} for table in tables]}
        self._write("models/sources.yml", {"sources": [source]})
        shutil.copy(PROFILES, folder)
        for name, text in models.items():
            (folder / "models" / f"{name}.sql").write_text(text)

    def _write(self, path: str, content: object) -> None:
        (self.folder / path).write_text(yaml.safe_dump(content))

    def dbt(self, *arguments: str, fails: bool = False) -> str:
        """Run dbt; what it said."""
        done = subprocess.run(
            [DBT, "--no-use-colors", *arguments],
            cwd=self.folder,
            env=self._environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=120,
        )
        assert bool(done.returncode) == fails, done.stdout
        return done.stdout

    def sql(self, model: str, package: str = "tests") -> str:
        """The SQL of a model, as the last run rendered it."""
        compiled = self.folder / "target" / "compiled" / package / "models" / f"{model}.sql"
        return compiled.read_text()
