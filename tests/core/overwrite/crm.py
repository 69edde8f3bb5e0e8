"""Three CRMs whose records can be read, with the same three fields to a test."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, TypeVar

from typing_extensions import override

from singer_sandbox import Sandbox
from tests.front_door import JSON, Plugin, Result, record, schema

UNEDITED = {"*": "if_unedited"}
KEEP: JSON = {"overwrite": UNEDITED}
EMPTY = {"*": "if_empty"}


@dataclass
class Crm:
    """A target, and its vendor's records as a person edits them."""

    plugin: Plugin
    sandbox: Sandbox

    name: ClassVar[str]
    stream: ClassVar[str]
    vendor: ClassVar[str]
    table: ClassVar[str]
    id: ClassVar[str] = "id"
    columns: ClassVar[tuple[str, str, str, str]]
    """An email, two texts, a custom field."""
    extra: ClassVar[Mapping[str, Any]] = {}
    """Columns that each record has."""

    def set_up(self) -> None:
        """Prepare the account."""

    @property
    def schema(self) -> JSON:
        return self.schema_with()

    def schema_with(self, *more: str) -> JSON:
        """With further columns."""
        return schema(self.stream, ("key", *self.columns, *self.extra, *more), ("key",))

    def row(self, key: str, *values: Any) -> JSON:
        """A record with an email, texts and a custom value; less of them if fewer are given."""
        named = dict(zip(self.columns, values, strict=False))
        return record(self.stream, key=key, **{**self.extra, **named})

    def run(self, *rows: JSON, **config: Any) -> Result:
        """Deliver; the run must end well."""
        result = self.plugin.run([self.schema, *rows], **config)
        assert result.exit_code == 0, result.stderr
        return result

    def counts(self, result: Result) -> JSON:
        return result.counts(self.stream)

    def records(self) -> list[JSON]:
        """What the vendor has, in the order of the ids."""
        return list(self.sandbox.state(self.vendor)[self.table].values())

    def values(self) -> list[tuple[Any, ...]]:
        """The four fields of each record."""
        return [tuple(self.read(one, column) for column in self.columns) for one in self.records()]

    def read(self, one: JSON, column: str) -> Any:
        return one.get(column)

    def edit(self, number: int, **fields: Any) -> None:
        """A person edits a record: by column."""
        one = self.records()[number]
        self.sandbox.put_state(self.vendor, {self.table: [self.edited(one, fields)]})

    def edited(self, one: JSON, fields: JSON) -> JSON:
        return one | fields

    def ids(self) -> list[str]:
        return [str(one[self.id]) for one in self.records()]

    update: ClassVar[JSON] = {"method": "PUT"}
    """By what a fault knows an update."""
    read_fault: ClassVar[JSON] = {"method": "GET", "path": "contacts/[^/]{20}$"}
    """By what a fault knows the reading of a record."""

    def fault(self, which: JSON, **what: Any) -> None:
        self.sandbox.fault(vendor=self.vendor, **which, **what)

    reads_of_three: ClassVar[int] = 3
    """Requests that reading three records takes."""

    reads_of_run: ClassVar[int] = 0
    """Those that a run makes, whatever its records are."""

    def reads(self, since: int) -> int:
        """The requests of a run that read records, from one on."""
        found = sum(map(self.is_read, self.sandbox.requests(self.vendor)[since:]))
        return found - self.reads_of_run

    def is_read(self, request: JSON) -> bool:
        raise NotImplementedError


class Rei(Crm):
    stream, vendor, table = "contacts", "rei", "contacts"
    columns = ("email", "firstName", "city", "color")
    version: ClassVar[str]

    @override
    def set_up(self) -> None:
        color = {"id": "fieldcolor0000000001", "name": "Color", "fieldKey": "contact.color"}
        self.sandbox.put_state(
            "rei", {"custom_fields": [color | {"dataType": "TEXT", "position": 1}]}
        )

    @override
    def read(self, one: JSON, column: str) -> Any:
        if column == "color":
            return one["customField"].get("fieldcolor0000000001")
        return one.get(column)

    @override
    def edited(self, one: JSON, fields: JSON) -> JSON:
        given = {n: v for n, v in fields.items() if n != "color"}
        kept = {n: v for n, v in one.items() if n not in ("dateAdded", "dateUpdated")}
        if "color" in fields:
            given["customField"] = {"fieldcolor0000000001": fields["color"]}
        return kept | given

    @override
    def is_read(self, request: JSON) -> bool:
        return request["method"] == "GET" and bool(
            re.search(r"contacts/[^/]{20}$", request["path"])
        )


class ReiV1(Rei):
    name = "rei v1"
    version = "v1"


class ReiV2(Rei):
    name = "rei v2"
    version = "v2"


class AutoReach(Crm):
    name = "autoreach"
    stream, vendor, table = "members", "autoreach", "members"
    columns = ("email", "first_name", "last_name", "color")
    extra: ClassVar[Mapping[str, Any]] = {"list_id": "1"}
    # After the first page, which says which fields members have.
    read_fault: ClassVar[JSON] = {"method": "GET", "path": "members$", "after": 1}
    reads_of_three = 1  # the list
    reads_of_run = 1  # its first page says which fields members have

    @override
    def set_up(self) -> None:
        self.sandbox.put_state(
            "autoreach",
            {
                "lists": [{"id": 1, "name": "A"}],
                "custom_fields": [{"id": 9, "key": "color", "name": "Color"}],
            },
        )

    @override
    def read(self, one: JSON, column: str) -> Any:
        return one["custom_fields"].get("color") if column == "color" else one.get(column)

    @override
    def edited(self, one: JSON, fields: JSON) -> JSON:
        given = {n: v for n, v in fields.items() if n != "color"}
        if "color" in fields:
            given["custom_fields"] = one["custom_fields"] | {"color": fields["color"]}
        return one | given

    @override
    def is_read(self, request: JSON) -> bool:
        return request["method"] == "GET" and bool(request["path"].endswith("/members"))


class Merlin(Crm):
    name = "merlin"
    stream, vendor, table = "contacts", "merlin", "contacts"
    id = "idContact"
    update: ClassVar[JSON] = {"body": "EDIT"}
    read_fault: ClassVar[JSON] = {"body": "SEARCH"}
    columns = ("Email", "Fname", "Lname", "color")

    @override
    def set_up(self) -> None:
        self.plugin.config["custom_fields"] = {"color": "12"}

    @override
    def read(self, one: JSON, column: str) -> Any:
        return (one["Custom"] or {}).get("12") if column == "color" else one.get(column)

    @override
    def edited(self, one: JSON, fields: JSON) -> JSON:
        given = {n: v for n, v in fields.items() if n != "color"}
        if "color" in fields:
            given["Custom"] = (one["Custom"] or {}) | {"12": fields["color"]}
        return one | given

    @override
    def is_read(self, request: JSON) -> bool:
        return bool(request["template"].endswith("SEARCH"))


PLUGINS = {
    "rei": "target-reisoftware",
    "autoreach": "target-autoreach",
    "merlin": "target-actionapi",
}
CRMS = (ReiV1, ReiV2, AutoReach, Merlin)
C = TypeVar("C", bound=Crm)


def settings_of(kind: type[Crm], sandbox: Sandbox) -> JSON:
    """What the plugin needs beside the address."""
    if issubclass(kind, Rei):
        return sandbox.settings("target-reisoftware", kind.version)
    return {}


def crm(kind: type[C], sandbox: Sandbox, directory: Path) -> C:
    """One of them, with an empty account."""
    settings = settings_of(kind, sandbox)
    found = kind(Plugin(PLUGINS[kind.vendor], sandbox, directory, **settings), sandbox)
    found.set_up()
    return found
