"""Merlin CRM: an action API. Every call is a POST of `[{"key": …}, {action}]`."""

from __future__ import annotations

import copy
import re
import time
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from typing_extensions import override

from singer_sandbox.account import Account, Row
from singer_sandbox.merlin.seed import seed
from singer_sandbox.messages import Match, Refusal, Reply, Request, reply
from singer_sandbox.vendor import Vendor

E164 = re.compile(r"\+[1-9]\d{6,14}").fullmatch
EMAIL = re.compile(r"[^@\s]+@[^@\s]+\.[^@\s]+").fullmatch
FIELDS = ("Number", "Email", "Fname", "Lname", "Custom", "Opportunitie")

NEW_FORMS: Mapping[str, Any] = {
    "int": lambda key: key,
    "digits": str,
    "object_idContact": lambda key: {"idContact": key},
    "object_id": lambda key: {"id": key},
    "object_ID": lambda key: {"ID": str(key)},
    "list": lambda key: [{"idContact": key}],
}
STATUS_FORMS: Mapping[str, Any] = {
    "object": {"status": "success"},
    "Status": {"Status": "OK"},
    "message": {"status": "success", "message": "Done"},
    "text": "OK",
    "success": "success",
    "true": True,
    "one": 1,
}
SEARCH_FORMS: Mapping[str, Any] = {
    "list": lambda hits: hits,
    "object_for_one": lambda hits: hits[0] if len(hits) == 1 else hits,
    "by_id": lambda hits: {str(hit["idContact"]): hit for hit in hits},
    "by_id_only": lambda hits: {str(hit.pop("idContact")): hit for hit in hits},
    "data": lambda hits: {"status": "success", "data": hits},
    "lower_case": lambda hits: [{name.lower(): hit[name] for name in hit} for hit in hits],
    "text_ID": lambda hits: [{**hit, "ID": str(hit.pop("idContact"))} for hit in hits],
}


class MerlinAccount(Account):
    """Contacts and automations by id, and every message and entry as it happened."""

    tables: ClassVar[Mapping[str, str]] = {
        "contacts": "idContact",
        "automations": "idAuto",
        "custom_fields": "id",
    }
    journals = ("automation_entries", "calls", "sms")

    @override
    def put(self, table: str, row: Row) -> None:
        """Fixtures: an automation is on and has nodes unless it says otherwise."""
        if table == "automations":
            row = {"name": "", "on": True, "nodes": 3, **row}
        elif table == "contacts":
            row = {**dict.fromkeys(FIELDS[:4]), "Custom": {}, **row}
        super().put(table, row)


class Merlin(Vendor[MerlinAccount]):
    """https://ccenter.merlin.watch/flex/API/"""

    name = "merlin"
    account_type = MerlinAccount
    credential_fields = ("key",)
    default_credentials = ("sandbox-merlin-key",)
    choices: ClassVar[Mapping[str, tuple[Any, ...]]] = {
        "new_form": tuple(NEW_FORMS),
        "status_form": tuple(STATUS_FORMS),
        "error_form": ("status", "error", "text", "http"),
        "auth_error": ("401", "200"),
        "search_form": tuple(SEARCH_FORMS),
        "search_none": ("empty", "error", "null", "false"),
        "trash_missing": ("error", "success"),
    }

    @override
    def routes(self) -> None:
        """The contacts' address takes every action, as the settings fall back to it."""
        self.router.add("POST", "/flex/API", self.anything)
        self.router.add("POST", "/flex/automation", self.automation_only)
        self.router.add("POST", "/flex/message", self.message_only)

    @override
    def seed(self, account: MerlinAccount) -> None:
        """A small account."""
        seed(account)

    @override
    def who(self, request: Request, match: Match) -> MerlinAccount | None:
        """The account of the key in the body."""
        body = request.json_or_none
        if isinstance(body, list) and body and isinstance(body[0], dict):
            return self.credentials.get((str(body[0].get("key")),))
        return None

    @override
    def unauthorized(self) -> Reply:
        """401, or 200 with the error in the body."""
        status = 401 if self.options["auth_error"] == "401" else 200
        return reply(status, {"status": "error", "message": "Invalid key"})

    @override
    def error(self, status: int, text: str) -> Reply:
        """An error with its own status where HTTP itself failed."""
        return reply(status, {"status": "error", "message": text})

    def refusal(self, text: str, status: int = 400) -> Refusal:
        """An action refused: with status 200, unless the option says `http`."""
        form = self.options["error_form"]
        if form == "http":
            return Refusal(self.error(status, text))
        forms: Row = {"status": {"status": "error", "message": text}, "error": {"error": text}}
        return Refusal(reply(200, forms.get(form, f"Error: {text}")))

    def done(self) -> Reply:
        """A success of an action that has no id."""
        return reply(200, STATUS_FORMS[self.options["status_form"]])

    @staticmethod
    def action_of(request: Request) -> Row:
        """The second object of the body, or an empty one."""
        body = request.json_or_none
        if isinstance(body, list) and len(body) == 2 and isinstance(body[1], dict):
            return body[1]
        return {}

    @override
    def writes(self, request: Request) -> bool:
        """All but SEARCH."""
        return self.action_of(request).get("type") != "SEARCH"

    @override
    def label(self, request: Request, match: Match) -> str:
        """The address and the type of the action."""
        action = self.action_of(request)
        kind = action.get("type") or ("AUTOMATION" if "idAuto" in action else "?")
        return f"{match.template} {kind}"

    @override
    def identities(self, request: Request, match: Match) -> Sequence[str]:
        """The contact by id, or by Email, else Number; messages by number."""
        action = self.action_of(request)
        kind = str(action.get("type") or "automation")
        if kind in ("CALL", "SMS"):
            return (f"{kind}:{action.get('number')}",)
        if action.get("idContact"):
            return (f"id:{action['idContact']}",)
        if action.get("Email"):
            return (f"email:{str(action['Email']).strip().lower()}",)
        return (f"number:{action['Number']}",) if action.get("Number") else ()

    # Addresses

    def anything(self, account: MerlinAccount, request: Request) -> Reply:
        """Every action."""
        return self.act(account, request, ("NEW", "EDIT", "TRASH", "SEARCH", "CALL", "SMS", ""))

    def automation_only(self, account: MerlinAccount, request: Request) -> Reply:
        """Entries into automations."""
        return self.act(account, request, ("",))

    def message_only(self, account: MerlinAccount, request: Request) -> Reply:
        """Calls and SMS."""
        return self.act(account, request, ("CALL", "SMS"))

    def act(self, account: MerlinAccount, request: Request, allowed: tuple[str, ...]) -> Reply:
        """Carry out the one action of a call."""
        body = request.json
        if len(body) != 2 or not isinstance(body[1], dict):
            raise self.refusal("Exactly one action is expected after the key")
        action: Row = body[1]
        kind = str(action.get("type") or "")
        if kind not in allowed:
            raise self.refusal(f"Unknown type {kind!r}")
        if kind == "NEW":
            return self.new(account, action)
        if kind == "EDIT":
            return self.edit(account, action)
        if kind == "TRASH":
            return self.trash(account, action)
        if kind == "SEARCH":
            return self.search(account, action)
        if kind:
            return self.message(account, action, kind)
        return self.automation(account, action)

    # Contacts

    def new(self, account: MerlinAccount, action: Row) -> Reply:
        """NEW: always makes a new contact, whoever is there already."""
        if not action.get("Number") and not action.get("Email"):
            raise self.refusal("Number or Email is required")
        fields = self.contact_fields(account, action)
        key = account.next_number("contacts")
        account.put("contacts", {"idContact": key, **fields})
        account.note("contacts", str(key), None, self.options["lookup_lag"])
        account.counters["contacts_created"] += 1
        return reply(200, NEW_FORMS[self.options["new_form"]](key))

    def edit(self, account: MerlinAccount, action: Row) -> Reply:
        """EDIT: changes what is sent."""
        row = self.contact(account, action)
        fields = self.contact_fields(account, action)
        custom = fields.pop("Custom", None)
        key = str(row["idContact"])
        account.note("contacts", key, copy.deepcopy(row), self.options["lookup_lag"])
        row.update(fields)
        if isinstance(custom, dict):
            row["Custom"] = {**(row.get("Custom") or {}), **custom}
        account.counters["contacts_edited"] += 1
        return reply(200, NEW_FORMS[self.options["new_form"]](row["idContact"]))

    def trash(self, account: MerlinAccount, action: Row) -> Reply:
        """TRASH"""
        known = str(action.get("idContact")) in account.rows["contacts"]
        if not known and self.options["trash_missing"] == "success":
            return self.done()
        row = self.contact(account, action)
        account.note("contacts", str(row["idContact"]), row, self.options["lookup_lag"])
        account.remove("contacts", str(row["idContact"]))
        account.counters["contacts_trashed"] += 1
        return self.done()

    def search(self, account: MerlinAccount, action: Row) -> Reply:
        """SEARCH by Fname, Lname and idContact: all that are given must fit, case aside."""
        names = [name for name in ("idContact", "Fname", "Lname") if action.get(name)]
        if not names:
            raise self.refusal("Fname, Lname or idContact is required")
        wanted = [(name, str(action[name]).strip().lower()) for name in names]
        rows = account.as_of("contacts", account.rows["contacts"], self.options["lookup_lag"])
        hits = [
            {name: row.get(name) for name in ("idContact", *FIELDS[:5])}
            for row in rows.values()
            if all(str(row.get(name) or "").strip().lower() == text for name, text in wanted)
        ]
        if hits:
            return reply(200, SEARCH_FORMS[self.options["search_form"]](hits))
        none = self.options["search_none"]
        if none == "error":
            raise self.refusal("not found", 404)
        return reply(200, {"empty": [], "null": None, "false": False}[none])

    def contact(self, account: MerlinAccount, action: Row) -> Row:
        """The contact of an idContact, or the refusal."""
        row = account.rows["contacts"].get(str(action.get("idContact")))
        if row is None:
            raise self.refusal(f"Contact {action.get('idContact')} not found", 404)
        return row

    def contact_fields(self, account: MerlinAccount, action: Row) -> Row:
        """The fields of a contact to be written, checked."""
        fields = {name: action[name] for name in FIELDS if name in action}
        if fields.get("Number") and not E164(str(fields["Number"])):
            raise self.refusal(f"Number {fields['Number']} is not valid")
        if fields.get("Email") and not EMAIL(str(fields["Email"])):
            raise self.refusal(f"Email {fields['Email']} is not valid")
        custom = fields.get("Custom")
        if custom is not None and not isinstance(custom, dict):
            raise self.refusal("Custom must map field ids to values")
        known = account.rows["custom_fields"]
        unknown = [key for key in custom or {} if known and key not in known]
        if unknown:
            raise self.refusal(f"Custom field {unknown[0]} does not exist")
        return fields

    # What cannot be taken back

    def message(self, account: MerlinAccount, action: Row, kind: str) -> Reply:
        """CALL and SMS."""
        number, text = action.get("number"), action.get("text")
        if not isinstance(number, str) or not E164(number):
            raise self.refusal(f"number {number} is not valid")
        if not isinstance(text, str) or not text:
            raise self.refusal("text is required")
        journal = account.entries["calls" if kind == "CALL" else "sms"]
        journal.append({"number": number, "text": text, "type": kind, "at": time.time()})
        return self.done()

    def automation(self, account: MerlinAccount, action: Row) -> Reply:
        """A contact into an automation that is on and has nodes."""
        if "idAuto" not in action:
            raise self.refusal("type or idAuto is required")
        row = self.contact(account, action)
        automation = account.rows["automations"].get(str(action["idAuto"]))
        if automation is None:
            raise self.refusal(f"Automation {action['idAuto']} not found", 404)
        if not automation["on"] or not automation["nodes"]:
            raise self.refusal(f"Automation {action['idAuto']} is off or has no nodes")
        entry = {"idContact": row["idContact"], "idAuto": automation["idAuto"], "at": time.time()}
        account.entries["automation_entries"].append(entry)
        return self.done()
