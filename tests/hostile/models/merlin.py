"""Merlin CRM, from its page and FACTS.md: one address, a JSON array of a key and an action."""

from __future__ import annotations

import time
from typing import Any

from typing_extensions import override

from tests.hostile.faults import CREATE, MESSAGE, READ, WRITE
from tests.hostile.models.server import JSON, Answer, Call, Vendor, World


class Account:
    """One account."""

    def __init__(self, key: str) -> None:
        self.key = key
        self.contacts: dict[int, JSON] = {}
        """By id; `_made` is when, in monotonic seconds."""
        self.messages: list[JSON] = []
        """Every call and SMS that was taken: type, number, text."""
        self.automations: list[JSON] = []
        """Every entry that was taken: idContact, idAuto, and the contact as it was."""


class Merlin(Vendor):
    """Forms: new (int, text, object, list, status), yes (ok, id, true, sent), none, no."""

    empty_means_none = True

    def __init__(self, world: World, accounts: list[Account], forms: JSON) -> None:
        """With the forms that this scenario's account has."""
        super().__init__(world)
        self.accounts = {account.key: account for account in accounts}
        self.forms = forms
        self._last = 500

    @override
    def label(self, call: Call) -> str:
        action = call.body[1]
        types = {"SEARCH": READ, "NEW": CREATE, "EDIT": WRITE, "TRASH": WRITE}
        return types.get(action.get("type", ""), MESSAGE)

    @override
    def refusal(self, call: Call, words: str) -> Answer:
        return Answer(self.forms["no"], {"status": "error", "message": words})

    @override
    def handle(self, call: Call) -> Answer:
        account = self.accounts.get(str(call.body[0].get("key")))
        if account is None:
            return Answer(401, {"status": "error", "message": "Invalid key"})
        action = call.body[1]
        kind = action.get("type")
        fields = {name: value for name, value in action.items() if name != "type"}
        if kind == "NEW":
            if refused := self._check(call, fields):
                return refused
            return self._made(self.add(account, fields)["idContact"])
        if kind == "SEARCH":
            return self._search(account, fields)
        if kind in ("EDIT", "TRASH"):
            return self._change(account, call, kind, fields)
        if kind in ("CALL", "SMS"):
            account.messages.append(dict(action))
            return self._yes(None)
        contact = account.contacts.get(int(fields.get("idContact") or 0))
        if contact is None:
            return self.refusal(call, "Contact not found")
        account.automations.append({**fields, "contact": dict(contact)})
        return self._yes(None)

    def _check(self, call: Call, fields: JSON) -> Answer | None:
        email = fields.get("Email")
        if email and "@" not in str(email):
            return self.refusal(call, "Email is invalid")
        return None

    def add(self, account: Account, fields: JSON) -> JSON:
        """A new contact; nothing is said of its being unique."""
        self._last += 1
        contact = {**fields, "idContact": self._last, "_made": time.monotonic()}
        account.contacts[self._last] = contact
        return contact

    def _change(self, account: Account, call: Call, kind: str, fields: JSON) -> Answer:
        id_ = int(fields.pop("idContact", 0) or 0)
        if id_ not in account.contacts:
            return self.refusal(call, "Contact not found")
        if kind == "TRASH":
            self.world.deletes.append(account.contacts.pop(id_))
            return self._yes(id_)
        if refused := self._check(call, fields):
            return refused
        contact = account.contacts[id_]
        custom = {**(contact.get("Custom") or {}), **(fields.pop("Custom", None) or {})}
        contact.update(fields)
        if {"Fname", "Lname"} & set(fields):
            contact["_made"] = min(contact["_made"], time.monotonic())
        if custom:
            contact["Custom"] = custom
        return self._yes(id_)

    def _search(self, account: Account, wanted: JSON) -> Answer:
        names = {n: str(v).strip().lower() for n, v in wanted.items() if v not in (None, "")}
        found = [
            {name: value for name, value in contact.items() if name != "_made"}
            for contact in account.contacts.values()
            if self.world.visible(contact["_made"])
            and all(str(contact.get(n) or "").strip().lower() == v for n, v in names.items())
        ]
        if found:
            return Answer(200, {"data": found} if self.forms["hits"] == "data" else found)
        form = self.forms["none"]
        if form == "error":
            return Answer(200, {"status": "error", "message": "No contacts found"})
        return Answer(200, [] if form == "list" else False)

    def _made(self, id_: int) -> Answer:
        forms: dict[str, Any] = {
            "int": id_, "text": str(id_), "object": {"idContact": id_}, "list": [{"id": id_}],
            "status": {"status": "success", "ID": str(id_)}, "no_id": {"status": "success"},
        }  # fmt: skip
        return Answer(200, forms[self.forms["new"]])

    def _yes(self, id_: int | None) -> Answer:
        forms: dict[str, Any] = {
            "ok": {"status": "ok"}, "true": True, "id": id_ or {"status": "queued"},
            "sent": "Sent", "vague": {"note": "your request is with us"},
        }  # fmt: skip
        form = self.forms["yes"]
        return Answer(200, forms["ok" if form == "vague" and id_ else form])
