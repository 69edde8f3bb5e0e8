"""Kasplo, from its page: contacts of lists, known by their email; nothing can be read back."""

from __future__ import annotations

from typing_extensions import override

from tests.hostile.faults import READ, WRITE
from tests.hostile.models.server import JSON, Answer, Call, Vendor, World

LISTS = {"l-one": "News", "l-two": "Offers"}
TAGS = {"t-one": "warm", "t-two": "cold"}


class Account:
    """One account."""

    def __init__(self, sid: str, key: str) -> None:
        self.sid, self.key = sid, key
        self.contacts: dict[tuple[str, str], JSON] = {}
        """List's id and email in lower case → fields, with `tags`."""


class Kasplo(Vendor):
    """Forms: shuffled (results in another order)."""

    def __init__(self, world: World, accounts: list[Account], forms: JSON) -> None:
        """With the forms that this scenario's account has."""
        super().__init__(world)
        self.accounts = {account.sid: account for account in accounts}
        self.forms = forms

    @override
    def label(self, call: Call) -> str:
        return READ if call.method == "GET" else WRITE

    @override
    def refusal(self, call: Call, words: str) -> Answer:
        return Answer(400, {"status": 400, "message": words, "data": {}, "error": {"code": 1}})

    @override
    def handle(self, call: Call) -> Answer:
        _, _, sid, stream, *_ = [*call.path.split("/"), ""]
        account = self.accounts.get(sid)
        if account is None or call.headers.get("api-key") != account.key:
            return Answer(401, {"status": 401, "message": "Unauthorized", "error": {}})
        return self._contacts(account, call.body) if call.method == "POST" else self._list(
            stream, call.query
        )  # fmt: skip

    @staticmethod
    def _list(stream: str, query: dict[str, str]) -> Answer:
        if stream == "list":
            items: list[JSON] = [{"list_id": i, "name": n, "status": 1} for i, n in LISTS.items()]
        elif stream == "tag":
            wanted = int(query.get("status", 1))
            items = [{"tag_id": i, "name": n, "status": 1} for i, n in TAGS.items()]
            items = items if wanted == 1 else []
        else:
            items = [{"name": "city", "custom_id": "c1", "type": "string", "values": "",
                      "status": 1, "required": 0, "default": ""}]  # fmt: skip
        page, size = int(query.get("page", 1)), int(query.get("pageSize", 10))
        data = {"data": items[(page - 1) * size : page * size], "limit": size,
                "total": len(items), "message": "Request processed successfully."}  # fmt: skip
        if stream == "tag":
            return Answer(200, {**data, "status": True, "statuscode": 200})
        return Answer(200, {**data, "status": 200, "error": {}})

    def _contacts(self, account: Account, body: JSON) -> Answer:
        list_id, tags = body.get("list_id"), body.get("tags") or []
        if list_id not in LISTS or not set(tags) <= set(TAGS):
            return Answer(400, {"status": 400, "message": "unknown list_id or tag", "error": {}})
        if len(body["data"]) > 100:
            return Answer(400, {"status": 400, "message": "at most 100 contacts", "error": {}})
        valid: list[JSON] = []
        invalid: list[JSON] = []
        seen: set[str] = set()
        for contact in body["data"]:
            email = str(contact.get("email") or "").strip().lower()
            known = account.contacts.get((list_id, email))
            if "@" not in email:
                invalid.append({**contact, "string": "Email is not valid"})
            elif email in seen:
                words = "Contact already exists in request, not unique"
                invalid.append({**contact, "string": words})
            elif known is not None and not body.get("update_subscribers"):
                invalid.append({**contact, "string": "Contact already exists"})
            else:
                seen.add(email)
                self.write(account, list_id, contact, tags)
                valid.append(contact)
        if self.forms["shuffled"]:
            valid.reverse()
        data = {"valid_contacts": valid, "invalid_contacts": invalid,
                "total_valid": len(valid), "total_invalid": len(invalid)}  # fmt: skip
        words = "Request processed successfully."
        return Answer(202, {"status": 202, "message": words, "data": data, "error": {}})

    @staticmethod
    def write(account: Account, list_id: str, contact: JSON, tags: list[str]) -> None:
        """Add or update a subscriber."""
        email = contact["email"].strip().lower()
        known = account.contacts.setdefault((list_id, email), {"custom_fields": {}, "tags": []})
        for name, value in contact.items():
            if name == "custom_fields":
                known[name] = {**known[name], **value}
            elif name != "email" or name not in known:
                known[name] = value
        known["tags"] = sorted({*known["tags"], *tags})
