"""Every sink of every target: what its records look like, and what they leave at the vendor."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from singer_http.sink.base import HTTPSink
from singer_sandbox import Sandbox
from target_actionapi import sinks as merlin
from target_autoreach import sinks as autoreach
from target_emailmarketing import sinks as kasplo
from target_reisoftware import contacts as rei
from target_reisoftware import links
from target_reisoftware.tags import ContactTags
from tests.front_door import JSON, record, schema
from tests.subscribers import ACCOUNT

DELETED_AT = "2026-01-01T00:00:00Z"
COUNT = "row_count"
"""The column of `mirror_count`."""


@dataclass(frozen=True)
class Case:
    """One sink; its records are known by the column `k`."""

    target: str
    sink: type[HTTPSink]
    vendor: str
    row: Callable[[str, int], JSON]
    """Key, version -> the record without its key."""
    look: Callable[[JSON], Any]
    """The vendor's state -> what the records left of it, to compare."""
    before: Callable[[Sequence[str]], JSON] = lambda _: {}
    """Keys -> the vendor's state before the first run."""
    config: tuple[tuple[str, Any], ...] = ()
    api_version: str = "v1"
    """Of REI Software."""

    @property
    def name(self) -> str:
        later = "" if self.api_version == "v1" else f"-{self.api_version}"
        return f"{self.vendor}{later}-{self.sink.stream}"

    def settings(self, sandbox: Sandbox) -> JSON:
        """Its settings beside the usual ones."""
        return {**sandbox.settings(self.target, self.api_version), **dict(self.config)}

    @property
    def deletes(self) -> bool:
        return self.sink.no_delete is None

    def messages(
        self, keys: Sequence[str], version: int = 0, *, delete: bool = False, count: int = 0
    ) -> list[JSON]:
        """SCHEMA and records."""
        more: JSON = {"_sdc_deleted_at": DELETED_AT} if delete else {}
        more |= {COUNT: count} if count else {}
        rows = [{"k": key, **self.row(key, version), **more} for key in keys]
        columns: JSON = {name: {} for name in ("k", COUNT, *self.row("", 0))}
        stream = self.sink.stream
        return [schema(stream, columns, ("k",)), *(record(stream, **row) for row in rows)]

    def state(self, sandbox: Sandbox) -> Any:
        """What the records left at the vendor."""
        return self.look(sandbox.state(self.vendor))

    def prepare(self, sandbox: Sandbox, keys: Sequence[str]) -> None:
        """Make the vendor what it is before the first run."""
        sandbox.reset()
        sandbox.put_state(self.vendor, self.before(keys))


def columns_of(rows: Any, *names: str) -> list[Any]:
    """Some columns of the vendor's records, in order."""
    found = rows.values() if isinstance(rows, dict) else rows
    return sorted([str(row.get(name)) for name in names] for row in found)


def email(key: str) -> str:
    return f"{key}@example.com"


def _a_contact_each(keys: Sequence[str]) -> list[JSON]:
    return [{"id": key, "email": email(key)} for key in keys]


def _number(key: str) -> int:
    """Merlin's ids are numbers."""
    return 1000 + zlib.crc32(key.encode()) % 1_000_000


CASES = [
    Case(
        "target-autoreach", autoreach.People, "autoreach",
        lambda key, v: {"id": key, "email": email(key), "first_name": f"v{v}"},
        lambda state: columns_of(state["people"], "email", "first_name"),
    ),
    Case(
        "target-autoreach", autoreach.Members, "autoreach",
        lambda key, v: {"email": email(key), "first_name": f"v{v}", "list_id": "1"},
        lambda state: columns_of(state["members"], "email", "first_name"),
        lambda keys: {"lists": [{"id": 1, "name": "A"}]},
    ),
    Case(
        "target-reisoftware", rei.Contacts, "rei",
        lambda key, v: {"email": email(key), "firstName": f"v{v}"},
        lambda state: columns_of(state["contacts"], "email", "firstName"),
    ),
    Case(
        "target-reisoftware", ContactTags, "rei",
        lambda key, v: {"email": email(key), "tags": ["kept", f"tag{v}"]},
        lambda state: {k: sorted(c.get("tags") or ()) for k, c in state["contacts"].items()},
        lambda keys: {"contacts": _a_contact_each(keys)},
    ),
    Case(
        "target-reisoftware", links.ContactCampaigns, "rei",
        lambda key, v: {"email": email(key), "campaignId": f"c{v}"},
        lambda state: {k: sorted(ids) for k, ids in state["contact_campaigns"].items()},
        lambda keys: {
            "contacts": _a_contact_each(keys), "campaigns": [{"id": f"c{v}"} for v in range(3)]
        },
    ),
    Case(
        "target-reisoftware", links.ContactWorkflows, "rei",
        lambda key, v: {"email": email(key), "workflowId": "w"},
        lambda state: sorted(str(e["contactId"]) for e in state["workflow_entries"]),
        lambda keys: {"contacts": _a_contact_each(keys), "workflows": [{"id": "w"}]},
    ),
    Case(
        "target-emailmarketing", kasplo.Contacts, "kasplo",
        lambda key, v: {"email": email(key), "first_name": f"v{v}"},
        lambda state: columns_of(state["contacts"], "email", "first_name"),
        lambda keys: ACCOUNT,
        (("list", "News"),),
    ),
    Case(
        "target-actionapi", merlin.Contacts, "merlin",
        lambda key, v: {"Email": email(key), "Fname": "Ann", "Lname": key, "Opportunitie": f"v{v}"},
        lambda state: columns_of(state["contacts"], "Email", "Opportunitie"),
    ),
    Case(
        "target-actionapi", merlin.Automations, "merlin",
        lambda key, v: {"idContact": _number(key), "idAuto": 7},
        lambda state: columns_of(state["automation_entries"], "idContact"),
        lambda keys: {
            "contacts": [{"idContact": _number(key)} for key in keys],
            "automations": [{"idAuto": 7}],
        },
    ),
    Case(
        "target-actionapi", merlin.Calls, "merlin",
        lambda key, v: {"number": "+16193596440", "text": key},
        lambda state: columns_of(state["calls"], "text"),
    ),
    Case(
        "target-actionapi", merlin.Sms, "merlin",
        lambda key, v: {"number": "+16193596440", "text": key},
        lambda state: columns_of(state["sms"], "text"),
    ),
]  # fmt: skip
CASES += [replace(case, api_version="v2") for case in CASES if case.vendor == "rei"]
