"""A scenario's vendor, its accounts and their settings; and what the accounts hold, in one form."""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from typing import Any

from tests.hostile.faults import CREATE, READ, WRITE
from tests.hostile.models import autoreach, kasplo, merlin, rei, rei_v2
from tests.hostile.models.server import JSON, Vendor, World
from tests.hostile.source import Person

PLUGINS = ("target-autoreach", "target-reisoftware", "target-emailmarketing", "target-actionapi")
LABELS = {
    "people": [WRITE],
    "members": [READ, CREATE, WRITE],
    "contacts": [READ, CREATE, WRITE],
    "contact_tags": [READ, WRITE],
    "contact_campaigns": [READ, WRITE],
}
"""The requests of a stream; of one that is not here: messages."""
ACCOUNTS = ("one", "two")


@dataclass
class Held:
    """A contact, member, person or subscriber of an account."""

    id: str
    marker: str
    first: str
    email: str
    phone: str
    city: str
    tags: set[str] = field(default_factory=set)
    campaigns: set[str] = field(default_factory=set)


class Setup:
    """One vendor with its accounts."""

    def __init__(self, rng: random.Random, plugin: str, world: World, url: str) -> None:
        """With what the vendor's pages leave open chosen at random."""
        self.plugin, self.world, self.url = plugin, world, url
        self.secrets = {
            name: f"sk/{name}+{rng.randbytes(9).hex()}/live{rng.randbytes(4).hex()}"
            for name in ACCOUNTS
        }
        self.vendor: Vendor
        self.accounts: dict[str, Any] = {}
        self.settings: dict[str, JSON] = {}
        build = {
            "target-autoreach": self._autoreach, "target-reisoftware": self._rei,
            "target-emailmarketing": self._kasplo, "target-actionapi": self._merlin,
        }[plugin]  # fmt: skip
        self.forms = build(rng)
        world.vendor = self.vendor

    def _autoreach(self, rng: random.Random) -> JSON:
        forms = {"created": rng.choice([200, 201]), "enveloped": rng.random() < 0.7,
                 "patch": rng.choice(["data", "nothing", "empty"])}  # fmt: skip
        for name, secret in self.secrets.items():
            self.accounts[name] = autoreach.Account(f"client-{name}", secret)
            self.settings[name] = {
                "client_id": f"client-{name}", "client_secret": secret,
                "auth_url": f"{self.url}/oauth/token", "api_url": f"{self.url}/api/v1",
            }  # fmt: skip
        self.vendor = autoreach.AutoReach(self.world, list(self.accounts.values()), forms)
        return forms

    def _rei(self, rng: random.Random) -> JSON:
        matching = rng.choice(["auto", "lookup", "list"])
        forms: JSON
        if rng.random() < 0.5:
            kind: type[rei.Rei] = rei.Rei
            forms = {"duplicates": rng.choice(["merge", "forbid", "allow"]),
                     "none": rng.choice(["404", "empty", "without", "422"]),
                     "refusal": rng.choice(["nest", "map"])}  # fmt: skip
            more = {"api_url": f"{self.url}/v1"}
        else:
            kind = rei_v2.ReiV2
            forms = {"duplicates": rng.choice(["forbid", "forbid", "allow"]),
                     "none": rng.choice(["404", "null", "empty"]), "kept": rng.random() < 0.5,
                     "flags": rng.choice([[], ["succeded"], ["succeded", "succeeded"]]),
                     "bulk": rng.choice([1, 3, 100])}  # fmt: skip
            more = {"api_url": self.url, "api_version": "v2", "location_id": rei_v2.LOCATION}
        for name, secret in self.secrets.items():
            self.accounts[name] = rei.Account(secret)
            self.settings[name] = {"api_key": secret, "matching": matching, **more}
        self.vendor = kind(self.world, list(self.accounts.values()), forms)
        return forms | {"matching": matching, "api": kind.__name__}

    def _kasplo(self, rng: random.Random) -> JSON:
        forms = {"shuffled": rng.random() < 0.5}
        for name, secret in self.secrets.items():
            sid = f"sid-{name}-{rng.randbytes(5).hex()}"
            self.accounts[name] = kasplo.Account(sid, secret)
            self.settings[name] = {"sid": sid, "api_key": secret, "api_url": self.url}
        self.vendor = kasplo.Kasplo(self.world, list(self.accounts.values()), forms)
        return forms

    def _merlin(self, rng: random.Random) -> JSON:
        forms = {"new": rng.choice(["int", "text", "object", "list", "status", "no_id"]),
                 "yes": rng.choice(["ok", "ok", "true", "id", "sent", "vague"]),
                 "none": rng.choice(["error", "list", "false"]), "no": rng.choice([200, 200, 400]),
                 "hits": rng.choice(["data", "plain"])}  # fmt: skip
        for name, secret in self.secrets.items():
            self.accounts[name] = merlin.Account(secret)
            self.settings[name] = {"api_key": secret, "api_url": f"{self.url}/flex/API/",
                                   "custom_fields": {"city": "12", "who": "13"}}  # fmt: skip
        self.vendor = merlin.Merlin(self.world, list(self.accounts.values()), forms)
        return forms

    # --- what is there ------------------------------------------------------------------------

    def add_existing(self, account: str, person: Person) -> str:
        """A person that the vendor has since long before the first run; its id."""
        row = self._add_existing(account, person)
        for name in ("_made", "_named"):
            if name in row:
                row[name] -= 1000.0
        return str(row.get("id") or row.get("idContact") or person.email)

    def _add_existing(self, account: str, person: Person) -> JSON:
        data, vendor = self.accounts[account], self.vendor
        phone = f"({person.phone[2:5]}) {person.phone[5:8]}-{person.phone[8:]}" if (
            person.phone) else None  # fmt: skip
        base: JSON = {"email": person.email, "phone": phone}
        if isinstance(vendor, rei.Rei):
            fields = {**base, "firstName": "old", "lastName": person.marker, "tags": ["by hand"]}
            return vendor.add(data, fields)
        if isinstance(vendor, autoreach.AutoReach):
            fields = {**base, "first_name": "old", "last_name": person.marker, "list_id": "1"}
            return vendor.add_member(data, fields)
        if isinstance(vendor, merlin.Merlin):
            custom = {"12": "old", "13": person.marker}
            fields = {"Email": person.email, "Number": phone, "Fname": "Ann",
                      "Lname": person.marker, "Custom": custom}  # fmt: skip
            return vendor.add(data, fields)
        list_id = {name: i for i, name in kasplo.LISTS.items()}[person.list]
        fields = {"email": person.email, "first_name": "old", "last_name": person.marker}
        kasplo.Kasplo.write(data, list_id, fields, [])
        return {}

    def remove(self, account: str, id_: str) -> None:
        """Delete a record by hand."""
        data = self.accounts[account]
        with self.world.work:
            if isinstance(data, autoreach.Account):
                data.members.pop(id_, None)
            elif isinstance(data, merlin.Account):
                data.contacts.pop(int(id_), None)
            else:
                data.contacts.pop(id_, None)

    def held(self, account: str, stream: str) -> list[Held]:
        """What the account has."""
        data = self.accounts[account]
        if isinstance(data, autoreach.Account):
            rows = data.people if stream == "people" else data.members
            return [_held(id_, row, "first_name", "last_name") for id_, row in rows.items()]
        if isinstance(data, rei.Account):
            return [_held(i, row, "firstName", "lastName") for i, row in data.contacts.items()]
        if isinstance(data, merlin.Account):
            return [_merlin(id_, row) for id_, row in data.contacts.items()]
        return [
            _held(f"{list_id} {email}", row, "first_name", "last_name")
            for (list_id, email), row in data.contacts.items()
        ]

    def messages(self, account: str, stream: str) -> list[str]:
        """What the account sent, each as `key` text (see `once_key`)."""
        data = self.accounts[account]
        if isinstance(data, merlin.Account):
            if stream == "automations":
                return [str(entry["idAuto"]) for entry in data.automations]
            kind = "SMS" if stream == "sms" else "CALL"
            return [m["text"].split(" ")[0] for m in data.messages if m["type"] == kind]
        if isinstance(data, rei.Account):
            return [workflow for _, workflow, _ in data.workflows]
        return []


def _held(id_: str, row: JSON, first: str, marker: str) -> Held:
    custom = row.get("custom_fields") or {}
    return Held(
        str(id_), str(row.get(marker) or ""), str(row.get(first) or ""),
        str(row.get("email") or ""), str(row.get("phone") or ""),
        str(row.get("city") or custom.get("city") or ""),
        set(row.get("tags") or ()), set(row.get("campaigns") or ()),
    )  # fmt: skip


def _merlin(id_: int, row: JSON) -> Held:
    custom = row.get("Custom") or {}
    marker, first = str(custom.get("13") or ""), str(custom.get("12") or "")
    return Held(
        str(id_), marker, first, str(row.get("Email") or ""), str(row.get("Number") or ""), ""
    )


def once_key(pipeline: str, stream: str, key: int, value: str) -> str:
    """How the vendor's log names a message of the source."""
    return f"{pipeline}:{stream}:{key}" if stream in ("sms", "calls") else value
