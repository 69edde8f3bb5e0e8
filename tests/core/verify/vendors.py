"""Three vendors whose records can be read back: delivered, edited by hand, deleted, merged."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from singer_http.store import DATABASE_FILE as FILE
from singer_http.store.server import parse_url
from singer_http.store.tables import delivered
from singer_sandbox import Sandbox
from tests.front_door import JSON, Plugin, Result, record, schema
from tests.targets.reisoftware import versions


@dataclass
class Vendor:
    """A target, and the state of its account."""

    plugin: Plugin
    sandbox: Sandbox
    name: str
    """Of the vendor, in the sandbox."""
    stream: str
    email: str
    phone: str
    first: str
    """The field with the first name."""

    def rows(self, *numbers: int, **fields: Any) -> list[JSON]:
        """A SCHEMA, and a record for each number."""
        columns = ["key", self.email, self.phone, self.first, *fields]
        given = [
            {
                "key": f"k{number}",
                self.email: f"p{number}@example.com",
                self.phone: f"+1555201{number:04d}",
                self.first: f"Ann{number}",
                **fields,
            }
            for number in numbers
        ]
        return [
            schema(self.stream, columns, ("key",)),
            *(record(self.stream, **row) for row in given),
        ]

    def deliver(self, *numbers: int, **fields: Any) -> Result:
        """Deliver a record for each number."""
        result = self.plugin.run(self.rows(*numbers, **fields))
        assert result.exit_code == 0, result.stderr
        assert not result.rejects
        return result

    def at_vendor(self) -> dict[int, JSON]:
        """The account's records, by the number in their email."""
        held = self.sandbox.state(self.name)[self.stream].values()
        return {int(row[self.email].split("@")[0][1:]): row for row in held}

    def id_of(self, number: int) -> str:
        """A record's id at the vendor."""
        row = self.at_vendor()[number]
        return str(row["idContact"] if self.name == "merlin" else row["id"])

    def edit(self, number: int, **fields: Any) -> None:
        """Change a record by hand."""
        row = self.at_vendor()[number]
        whole = row if self.name == "merlin" else {"id": row["id"]}
        self.sandbox.put_state(self.name, {self.stream: [{**whole, **fields}]})

    def remove(self, number: int) -> str:
        """Delete a record by hand; its id."""
        id_ = self.id_of(number)
        self.sandbox.remove(self.name, self.stream, id_)
        return id_

    def forget_fields(self) -> None:
        """Make the ledger one of a release that kept no hashes of fields."""
        url = self.plugin.config.get("database_url")
        engine = sa.create_engine(parse_url(url or f"sqlite:///{self.plugin.work_dir}/{FILE}"))
        with engine.begin() as connection:
            connection.execute(delivered.update().values(fields=None))
        engine.dispose()

    def verify(self, *more: str, **config: Any) -> Result:
        """Run `--verify`; it reads no input."""
        return self.plugin.run([], "--verify", *more, **config)

    def drift(self) -> list[JSON]:
        """The lines of the file of differences."""
        path = self.plugin.path("drift.jsonl")
        if not path.exists():
            return []
        assert path.stat().st_mode & 0o077 == 0
        return [json.loads(line) for line in path.read_text().splitlines()]

    def found(self) -> dict[str, str]:
        """Key -> kind of difference, by the file."""
        return {line["key"]: line["difference"] for line in self.drift()}

    def page(self) -> str:
        """The page of the last comparison."""
        return self.plugin.path("drift.html").read_text()


NAMES = ("v1", "v2", "autoreach", "merlin")
with_list = pytest.mark.parametrize("target", ["v1", "v2", "autoreach"], indirect=True)


def vendor(name: str, sandbox: Sandbox, directory: Path, **config: Any) -> Iterator[Vendor]:
    """A vendor's target; `name` is a version of REI Software's API, or another vendor."""
    if name in versions.VERSIONS:
        for plugin in versions.target(name, sandbox, directory, **config):
            yield Vendor(plugin, sandbox, "rei", "contacts", "email", "phone", "firstName")
    elif name == "autoreach":
        plugin = Plugin("target-autoreach", sandbox, directory, **config)
        yield Vendor(plugin, sandbox, "autoreach", "members", "email", "phone", "first_name")
    else:
        plugin = Plugin("target-actionapi", sandbox, directory, **config)
        yield Vendor(plugin, sandbox, "merlin", "contacts", "Email", "Number", "Fname")
