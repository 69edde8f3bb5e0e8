"""REI Software, API v1, from its page and FACTS.md: contacts and what hangs on them."""

from __future__ import annotations

import re
import time
from typing import Any

from typing_extensions import override

from tests.hostile.faults import CREATE, MESSAGE, READ, WRITE
from tests.hostile.models.server import JSON, Answer, Call, Vendor, World


class Account:
    """One location."""

    def __init__(self, key: str) -> None:
        self.key = key
        self.contacts: dict[str, JSON] = {}
        """By id: fields, `tags` and `campaigns` (lists), `_made` and `_named` (monotonic s)."""
        self.workflows: list[tuple[str, str, Any]] = []
        """Contact's id, workflow's id, eventStartTime: one for each entry that was taken."""


class Rei(Vendor):
    """Forms: duplicates (merge, forbid, allow), none (404, empty, without, 422), deleted."""

    def __init__(self, world: World, accounts: list[Account], forms: JSON) -> None:
        """With the forms that this scenario's location has."""
        super().__init__(world)
        self.accounts = {account.key: account for account in accounts}
        self.forms = forms
        self._last = 0

    @override
    def label(self, call: Call) -> str:
        if call.method == "GET":
            return READ
        parts = call.path.strip("/").split("/")
        if "workflow" in parts:
            return MESSAGE
        return CREATE if call.method == "POST" and parts[-1] == "contacts" else WRITE

    @override
    def refusal(self, call: Call, words: str) -> Answer:
        if call.method == "GET" or self.forms["refusal"] == "nest":
            return Answer(422, {"statusCode": 422, "message": [words], "error": "Unprocessable"})
        return Answer(422, {"city": {"message": words, "rule": "invalid"}})

    @override
    def handle(self, call: Call) -> Answer:
        account = self.accounts.get(call.headers.get("authorization", "").removeprefix("Bearer "))
        if account is None:
            return Answer(401, {"msg": "Api key is invalid."})
        parts = call.path.strip("/").removeprefix("v1/").split("/")
        if parts[0] != "contacts":
            fields = [{"id": "cf1", "name": "City code", "fieldKey": "contact.city_code",
                       "dataType": "TEXT", "position": 50}]  # fmt: skip
            names = {"custom-fields": "customFields"}
            found = fields if parts[0] == "custom-fields" else []
            return Answer(200, {names.get(parts[0], parts[0]): found})
        if len(parts) == 1:
            return self._create(account, call.body) if call.method == "POST" else self._list(
                account, call.query
            )  # fmt: skip
        if parts[1] == "lookup":
            return self._lookup(account, call.query)
        contact = account.contacts.get(parts[1])
        if contact is None:
            return unknown()
        if len(parts) == 2:
            return self._contact(account, contact, call)
        return self._hang(account, contact, call, parts[2:])

    # --- contacts -----------------------------------------------------------------------------

    def _list(self, account: Account, query: dict[str, str]) -> Answer:
        """Newest first, or last; the cursor is the date's milliseconds and the id."""
        rows = [c for c in account.contacts.values() if self.world.visible(c["_named"])]
        sign = 1 if query.get("order") == "asc" else -1
        rows.sort(key=lambda c: (sign * c["_ms"], c["id"]))
        if "startAfter" in query:
            after = (sign * int(query["startAfter"]), query.get("startAfterId", ""))
            rows = [c for c in rows if (sign * c["_ms"], c["id"]) > after]
        limit = min(5, int(query.get("limit", 20)))
        page, more = rows[:limit], len(rows) > limit
        last = page[-1] if page else None
        meta = {"total": len(account.contacts), "nextPage": 2 if more else "", "currentPage": 1,
                "startAfter": last["_ms"] if last else None,
                "startAfterId": last["id"] if last else None}  # fmt: skip
        return Answer(200, {"contacts": [shown(c) for c in page], "meta": meta})

    def _lookup(self, account: Account, query: dict[str, str]) -> Answer:
        if not (query.get("email") or query.get("phone")):
            return Answer(422, {"statusCode": 422, "message": "email or phone", "error": "no"})
        seen = [c for c in account.contacts.values() if self.world.visible(c["_named"])]
        found = [c for c in seen if same_email(c, query)] or [
            c for c in seen if same_phone(c, query)
        ]
        if found:
            return Answer(200, {"contacts": [shown(c) for c in found]})
        form = self.forms["none"]
        if form == "404":
            return unknown()
        if form == "422":
            names = [name for name in ("email", "phone") if query.get(name)]
            return Answer(422, {n: {"message": "no such contact", "rule": "x"} for n in names})
        return Answer(200, {"contacts": []} if form == "empty" else {})

    def _create(self, account: Account, body: JSON) -> Answer:
        if refused := check(body):
            return refused
        same = [c for c in account.contacts.values() if same_email(c, body)] or [
            c for c in account.contacts.values() if same_phone(c, body)
        ]
        if same and self.forms["duplicates"] == "merge":
            self._write(same[0], body, add_tags=True)
            return Answer(200, {"contact": shown(same[0])})
        if same and self.forms["duplicates"] == "forbid":
            return duplicate(same[0], body)
        return Answer(200, {"contact": shown(self.add(account, body))})

    def add(self, account: Account, fields: JSON) -> JSON:
        """A new contact."""
        self._last += 1
        now = time.monotonic()
        contact: JSON = {"id": f"c{self._last:05}", "_made": now, "_named": now,
                         "_ms": 1_700_000_000_000 + self._last // 2,
                         "tags": [], "campaigns": [], "customField": {}}  # fmt: skip
        account.contacts[contact["id"]] = contact
        self._write(contact, fields, add_tags=True)
        return contact

    def _contact(self, account: Account, contact: JSON, call: Call) -> Answer:
        if call.method == "GET":
            return Answer(200, {"contact": shown(contact)})
        if call.method == "DELETE":
            self.world.deletes.append(account.contacts.pop(contact["id"]))
            return Answer(200)
        if refused := check(call.body):
            return refused
        others = [
            c
            for c in account.contacts.values()
            if c is not contact and (same_email(c, call.body) or same_phone(c, call.body))
        ]
        if others and self.forms["duplicates"] != "allow":
            return duplicate(others[0], call.body)
        before = (contact.get("email"), contact.get("phone"))
        self._write(contact, call.body, add_tags=False)
        if before != (contact.get("email"), contact.get("phone")):
            contact["_named"] = time.monotonic()
        return Answer(200, {"contact": shown(contact)})

    @staticmethod
    def _write(contact: JSON, fields: JSON, *, add_tags: bool) -> None:
        for name, value in fields.items():
            if name == "tags":
                had = contact["tags"] if add_tags else []
                contact["tags"] = list(dict.fromkeys([*had, *value]))
            elif name == "customField":
                contact["customField"] = {**contact["customField"], **value}
            else:
                contact[name] = value

    # --- what hangs on a contact ----------------------------------------------------------------

    def _hang(self, account: Account, contact: JSON, call: Call, parts: list[str]) -> Answer:
        kind, id_ = parts[0], parts[1] if len(parts) > 1 else ""
        if kind == "tags":
            tags = [str(tag) for tag in call.body["tags"]]
            if call.method == "POST":
                contact["tags"] = list(dict.fromkeys([*contact["tags"], *tags]))
            else:
                gone = [tag for tag in tags if tag in contact["tags"]]
                self.world.deletes.extend((shown(contact), tag) for tag in gone)
                contact["tags"] = [tag for tag in contact["tags"] if tag not in tags]
            return Answer(200, {"tags": contact["tags"]})
        if kind == "campaigns":
            if call.method == "POST":
                contact["campaigns"] = list(dict.fromkeys([*contact["campaigns"], id_]))
            else:
                gone = [c for c in contact["campaigns"] if id_ in (c, "remove-all")]
                self.world.deletes.extend((shown(contact), name) for name in gone)
                contact["campaigns"] = [c for c in contact["campaigns"] if c not in gone]
            return Answer(200, "")
        start = (call.body or {}).get("eventStartTime")
        account.workflows.append((contact["id"], id_, start))
        return Answer(200, "")


def shown(contact: JSON) -> JSON:
    """As the vendor gives a contact out."""
    fields = {n: v for n, v in contact.items() if not n.startswith("_") and n != "campaigns"}
    custom = [{"id": name, "value": value} for name, value in contact["customField"].items()]
    return {**fields, "locationId": "loc", "customField": custom, "tags": list(contact["tags"])}


def check(body: JSON) -> Answer | None:
    """What the vendor refuses."""
    if not (body.get("email") or body.get("phone")):
        return Answer(422, {"email": {"message": "email or phone is required", "rule": "required"}})
    if body.get("email") and "@" not in body["email"]:
        return Answer(422, {"email": {"message": "The email must be valid.", "rule": "email"}})
    return None


def duplicate(contact: JSON, body: JSON) -> Answer:
    """Another contact has that email or phone."""
    field = "email" if same_email(contact, body) else "phone"
    words = "This location does not allow duplicated contacts."
    meta = {"contactId": contact["id"], "matchingField": field}
    return Answer(400, {"message": words, "meta": meta})


def unknown() -> Answer:
    """No such contact."""
    return Answer(404, {"msg": "Contact not found"})


def same_email(contact: JSON, fields: JSON) -> bool:
    """Compared without case."""
    email = str(fields.get("email") or "").strip().lower()
    return bool(email) and str(contact.get("email") or "").strip().lower() == email


def same_phone(contact: JSON, fields: JSON) -> bool:
    """Compared by digits, North America's with or without 1."""
    phone = digits(fields.get("phone"))
    return bool(phone) and digits(contact.get("phone")) == phone


def digits(value: Any) -> str:
    """The digits of a number, without North America's 1."""
    found = re.sub(r"\D", "", str(value or ""))
    return found[1:] if len(found) == 11 and found.startswith("1") else found
