"""Kasplo email marketing: lists, custom fields and tags to read, contacts to write."""

from __future__ import annotations

import hashlib
import re
import time
from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import partial
from typing import Any, ClassVar

import orjson
from typing_extensions import override

from singer_sandbox.account import Account, Row
from singer_sandbox.kasplo.seed import seed
from singer_sandbox.messages import Match, Reply, Request, reply, reply_bytes
from singer_sandbox.vendor import Vendor

CONTACTS_LIMIT = 100
EMAIL = re.compile(r"[^@\s]+@[^@\s]+\.[^@\s]+").fullmatch
NUMBER = re.compile(r"[+-]?\d+(\.\d+)?").fullmatch
BOOLEANS = frozenset({"true", "false", "0", "1"})


def utc_now() -> str:
    """Now, as the vendor writes it."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())


class KasploAccount(Account):
    """Lists, custom fields, tags, and contacts by `list_id/email`."""

    tables: ClassVar[Mapping[str, str]] = {
        "lists": "list_id",
        "custom_fields": "custom_id",
        "tags": "tag_id",
        "contacts": "key",
    }

    @override
    def put(self, table: str, row: Row) -> None:
        """Fixtures get ids, times and the other members that an answer always has."""
        now = utc_now()
        if table == "contacts":
            row["key"] = f"{row['list_id']}/{str(row['email']).strip().lower()}"
            row = {"tags": [], "custom_fields": {}, "status": 1, "created_at": now, **row}
        else:
            key = self.tables[table]
            name = str(row.get("name"))
            row.setdefault(key, hashlib.sha256(f"{table}/{name}".encode()).hexdigest()[:32])
            changed = "modified_at" if table == "tags" else "updated_at"
            row = {"name": name, "status": 1, "created_at": now, changed: now, **row}
            if table == "custom_fields":
                row = {"type": "string", "values": "", "required": 0, "default": "", **row}
        super().put(table, row)


class Kasplo(Vendor[KasploAccount]):
    """{domain}/audience/v1/{sid}"""

    name = "kasplo"
    account_type = KasploAccount
    credential_fields = ("sid", "api_key")
    default_credentials = ("sandbox-sid", "sandbox-kasplo-key")
    choices: ClassVar[Mapping[str, tuple[Any, ...]]] = {
        "unknown_list_status": (400, 404),
        "answer_order": ("as_sent", "reversed"),
        "answer_email": ("as_sent", "lower"),
        "accepted_status": (202, 200),
    }
    defaults: ClassVar[Mapping[str, Any]] = {
        "page_size_default": 10,
        "page_size_max": 100,
        "dropdown_separator": ",",
    }

    @override
    def routes(self) -> None:
        """The addresses of the vendor's page."""
        base = "/audience/v1/{sid}"
        for path, table in (("list", "lists"), ("custom-field", "custom_fields"), ("tag", "tags")):
            self.router.add("GET", f"{base}/{path}", partial(self.listing, table=table))
        self.router.add("POST", f"{base}/contact", self.contacts)

    @override
    def seed(self, account: KasploAccount) -> None:
        """A small account."""
        seed(account)

    @override
    def who(self, request: Request, match: Match) -> KasploAccount | None:
        """The account of a sid and an api-key that belong together."""
        return self.credentials.get((match.params[0], request.header(b"api-key")))

    @override
    def shown_path(self, path: str, match: Match | None) -> str:
        """The sid is a secret."""
        pieces = path.split("/")
        if len(pieces) > 3:
            pieces[3] = "***"
        return "/".join(pieces)

    @override
    def unauthorized(self) -> Reply:
        """401 in the vendor's form."""
        return self.error(401, "Unauthorized access.")

    @override
    def error(self, status: int, text: str) -> Reply:
        """The envelope of the other answers, with the error filled in."""
        body = {"status": status, "message": text, "error": {"message": text}, "data": {}}
        return reply(status, body)

    @override
    def identities(self, request: Request, match: Match) -> Sequence[str]:
        """Emails and their list."""
        body = request.json_or_none if request.method == "POST" else None
        rows = body.get("data") if isinstance(body, dict) else None
        if not isinstance(body, dict) or not isinstance(rows, list):
            return ()
        list_id = body.get("list_id")
        return [
            f"email:{str(row.get('email')).strip().lower()}/{list_id}"
            for row in rows
            if isinstance(row, dict)
        ]

    @override
    def items(self, request: Request) -> int:
        """Contacts in a POST."""
        body = request.json_or_none if request.method == "POST" else None
        rows = body.get("data") if isinstance(body, dict) else None
        return len(rows) if isinstance(rows, list) else 0

    # Reading

    def listing(self, account: KasploAccount, request: Request, _sid: str, *, table: str) -> Reply:
        """One page; rendered once until something changes."""
        key = (table, request.query)
        page = account.pages.get(key)
        if page is None:
            page = account.pages[key] = self.render(account, request.params, table)
        return reply_bytes(200, page)

    def render(self, account: KasploAccount, params: Mapping[str, str], table: str) -> bytes:
        """One page in its envelope."""
        rows = list(account.rows[table].values())
        if table == "tags":
            status = 2 if params.get("status") == "2" else 1
            rows = [row for row in rows if row["status"] == status]
        if params.get("name"):
            wanted = params["name"].lower()
            rows = [row for row in rows if wanted in str(row["name"]).lower()]
        options = self.options
        default, most = options["page_size_default"], options["page_size_max"]
        size = self.page_size(params.get("pageSize"), default, most)
        text = params.get("page", "1")
        page = max(1, int(text)) if text.isdigit() else 1
        found = rows[(page - 1) * size : page * size]
        body: Row = {"data": found, "limit": size, "total": len(rows)}
        if table == "tags":
            body |= {"message": "Success", "status": True, "statuscode": 200}
        else:
            message = "Request processed successfully."
            body |= {"error": {}, "message": message, "status": 200}
        return orjson.dumps(body)

    # Writing

    def contacts(self, account: KasploAccount, request: Request, _sid: str) -> Reply:
        """POST contact: good ones are taken, bad ones come back with a reason under `string`."""
        body = request.json
        rows = body.get("data") if isinstance(body, dict) else None
        if not isinstance(body, dict) or not isinstance(rows, list) or not rows:
            return self.error(400, "data must be a list of contacts.")
        if len(rows) > CONTACTS_LIMIT:
            return self.error(400, f"data may hold {CONTACTS_LIMIT} contacts at most.")
        list_id, tags = body.get("list_id"), body.get("tags") or []
        wanted = account.rows["lists"].get(str(list_id))
        if wanted is None:
            return self.error(self.options["unknown_list_status"], f"Invalid list_id {list_id!r}.")
        if wanted["status"] != 1:
            return self.error(400, f"The list {list_id!r} is not active.")
        if not isinstance(tags, list):
            return self.error(400, "tags must be a list.")
        for tag in tags:
            if str(tag) not in account.rows["tags"]:
                return self.error(400, f"Invalid tag {tag!r}.")
        update = body.get("update_subscribers", False) is True
        valid: list[Row] = []
        invalid: list[Row] = []
        seen: set[str] = set()
        definitions = {row["name"]: row for row in account.rows["custom_fields"].values()}
        for row in rows:
            contact = row if isinstance(row, dict) else {"email": row}
            email = str(contact.get("email") or "").strip().lower()
            held = account.rows["contacts"].get(f"{list_id}/{email}")
            if email in seen:
                reason = "Contact already exists in request, not unique"
            elif held is not None and not update:
                reason = "Contact already exists"
            else:
                reason = self.problem(contact, definitions, held) or ""
            seen.add(email)
            shown = contact
            if self.options["answer_email"] == "lower":
                shown = {**contact, "email": email}
            if reason:
                invalid.append({**shown, "string": reason})
                continue
            valid.append(shown)
            self.save(account, contact, held, str(list_id), [str(tag) for tag in tags])
        account.counters["contacts_invalid"] += len(invalid)
        if self.options["answer_order"] == "reversed":
            valid.reverse()
            invalid.reverse()
        data = {
            "invalid_contacts": invalid,
            "total_invalid": len(invalid),
            "total_valid": len(valid),
            "valid_contacts": valid,
        }
        status = self.options["accepted_status"]
        message = "Request processed successfully."
        return reply(status, {"status": status, "message": message, "data": data, "error": {}})

    @staticmethod
    def save(
        account: KasploAccount, contact: Row, held: Row | None, list_id: str, tags: list[str]
    ) -> None:
        """Create or update a contact of a list."""
        now = utc_now()
        if held is None:
            email = str(contact["email"]).strip()
            key = f"{list_id}/{email.lower()}"
            held = account.rows["contacts"][key] = {
                "key": key,
                "email": email,
                "list_id": list_id,
                "first_name": None,
                "last_name": None,
                "custom_fields": {},
                "tags": [],
                "created_at": now,
            }
            account.counters["contacts_created"] += 1
        else:
            account.counters["contacts_updated"] += 1
        plain = {k: v for k, v in contact.items() if k not in ("email", "custom_fields")}
        held.update(plain)
        held["custom_fields"] = {**held["custom_fields"], **(contact.get("custom_fields") or {})}
        held["tags"] = list(dict.fromkeys([*held["tags"], *tags]))
        # What happens to an unsubscribed one is unknown; the worst is that it comes back.
        held["status"] = 1
        held["updated_at"] = now

    def problem(self, contact: Row, definitions: Mapping[str, Row], held: Row | None) -> str | None:
        """Why a contact is invalid."""
        email = contact.get("email")
        if not isinstance(email, str) or not EMAIL(email.strip()):
            return "Invalid email"
        for name in ("first_name", "last_name"):
            if contact.get(name) is not None and not isinstance(contact[name], str):
                return f"{name} must be a string"
        custom = contact.get("custom_fields") or {}
        if not isinstance(custom, dict):
            return "custom_fields must be an object"
        for name, value in custom.items():
            definition = definitions.get(name)
            if definition is None:
                return f"Custom field {name} does not exist"
            if value is not None and value != "":
                text = self.value_problem(value, definition)
                if text:
                    return f"Custom field {name} {text}"
        there = held["custom_fields"] if held else {}
        for name, definition in definitions.items():
            if definition["required"] == 1 and definition["status"] == 1:
                value = custom[name] if name in custom else there.get(name)
                if value is None or value == "":
                    return f"Custom field {name} is required"
        return None

    def value_problem(self, value: Any, definition: Row) -> str | None:
        """What is wrong with one custom value."""
        kind = definition["type"]
        text = value if isinstance(value, str) else ""
        if kind == "boolean":
            good = isinstance(value, bool) or text.lower() in BOOLEANS
            return None if good else "must be a boolean"
        if kind == "numeric":
            number = isinstance(value, (int, float)) and not isinstance(value, bool)
            return None if number or NUMBER(text) else "must be numeric"
        if kind == "date":
            try:
                datetime.fromisoformat(text)
            except ValueError:
                return "must be a date"
            return None
        if not isinstance(value, str):
            return "must be a string"
        if kind == "dropdown":
            choices = str(definition["values"]).split(self.options["dropdown_separator"])
            if text not in [choice.strip() for choice in choices]:
                return f"must be one of {definition['values']}"
        return None
