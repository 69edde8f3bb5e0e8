"""REI Software, API v2: the same contacts as v1's model, by the vendor's documents and reports.

Forms: duplicates (forbid, allow), none (404, null, empty), kept (a create that is refused has made
the contact all the same), flags (spelling of success), bulk (the largest bulk request).
"""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import Any

from typing_extensions import override

from tests.hostile.faults import CREATE, MESSAGE, READ, WRITE
from tests.hostile.models.rei import Account, Rei, duplicate, same_email, same_phone, shown
from tests.hostile.models.server import JSON, Answer, Call

LOCATION = "loc"
UPDATE = frozenset(
    {"firstName", "lastName", "name", "email", "phone", "address1", "city", "state", "postalCode",
     "website", "timezone", "dnd", "tags", "customFields", "source", "dateOfBirth", "country"}
)  # fmt: skip
CREATED = UPDATE | {"locationId", "companyName"}
CUSTOM_FIELDS = [
    {"id": "cf1", "name": "City code", "fieldKey": "contact.city_code", "dataType": "TEXT",
     "documentType": "field", "model": "contact"},
    {"id": "folder", "name": "More", "fieldKey": "contact.more", "documentType": "folder"},
]  # fmt: skip


class ReiV2(Rei):
    """Strict bodies; duplicates are refused, never merged; a search that lags."""

    @override
    def label(self, call: Call) -> str:
        parts = call.path.strip("/").split("/")
        if call.method == "GET" or parts[-1] == "search":
            return READ
        if "workflow" in parts:
            return MESSAGE
        return CREATE if call.method == "POST" and parts == ["contacts"] else WRITE

    @override
    def refusal(self, call: Call, words: str) -> Answer:
        return refused(422, [words])

    @override
    def handle(self, call: Call) -> Answer:
        account = self.accounts.get(call.headers.get("authorization", "").removeprefix("Bearer "))
        if "version" not in call.headers:
            return refused(401, "version header was not found.")
        if account is None:
            return refused(401, "Invalid Private Integration token")
        parts = call.path.strip("/").split("/")
        if parts[0] == "locations":
            return traced(200, {"customFields": CUSTOM_FIELDS})
        if parts[0] != "contacts":
            return refused(404, f"Cannot {call.method} /{call.path}")
        if len(parts) == 1:
            return self._made(account, call.body)
        if parts[1] == "search":
            return self._duplicate(account, call.query) if len(parts) > 2 else self._search(
                account, call.body
            )  # fmt: skip
        if parts[1] == "bulk":
            return self._bulk(account, call.body, parts[-1])
        contact = account.contacts.get(parts[1])
        if contact is None:
            return refused(400, "Contact not found")
        if len(parts) == 2:
            return self._one(account, contact, call)
        if parts[2] == "campaigns" and parts[-1] == "removeAll":
            parts[-1] = "remove-all"
        answer = self._hang(account, contact, call, parts[2:])
        return traced(answer.status, {**self._flags(), **(answer.data or {})})

    def _flags(self) -> JSON:
        return dict.fromkeys(self.forms["flags"], True)

    # --- finding --------------------------------------------------------------------------------

    def _search(self, account: Account, body: JSON) -> Answer:
        since = 0
        for condition in body.get("filters", ()):
            since = milliseconds(condition["value"]["gte"])
        hidden = self.forms["duplicates"] == "forbid"
        rows = [c for c in account.contacts.values() if c["_updated"] >= since
                and not (hidden and not self.world.visible(c["_named"]))]  # fmt: skip
        rows.sort(key=lambda c: (c["_updated"], c["id"]))
        if after := body.get("searchAfter"):
            rows = [c for c in rows if [c["_updated"], c["id"]] > after]
        page = rows[: min(5, body["pageLimit"])]
        found = [{**view(c), "searchAfter": [c["_updated"], c["id"]]} for c in page]
        return traced(200, {"contacts": found, "total": len(account.contacts)})

    def _duplicate(self, account: Account, query: dict[str, str]) -> Answer:
        asked = {"email": query.get("email"), "phone": query.get("number")}
        contacts = account.contacts.values()
        found = [c for c in contacts if same_email(c, asked)] or [
            c for c in contacts if same_phone(c, asked)
        ]
        if found:
            return traced(200, {"contact": view(found[0]), "matchingField": "contactId"})
        if self.forms["none"] == "404":
            return refused(404, "Contact not found")
        return traced(200, {"contact": None} if self.forms["none"] == "null" else {})

    # --- contacts -------------------------------------------------------------------------------

    def _made(self, account: Account, body: JSON) -> Answer:
        if body.get("locationId") != LOCATION:
            return refused(403, "The token does not have access to this location.")
        problems = [f"property {name} should not exist" for name in body if name not in CREATED]
        bad_email = bool(body.get("email")) and "@" not in body["email"]
        problems += ["email must be an email"] if bad_email else []
        fields = self._fields(body)
        if problems and self.forms["kept"] and body.get("phone"):
            fields.pop("email" if bad_email else "", None)
            if not self._same(account, fields):
                self.add(account, fields)
        if problems:
            return refused(422, problems)
        if same := self._same(account, fields):
            return traced(400, {"statusCode": 400, **duplicate(same, fields).data})
        return traced(201, {"contact": view(self.add(account, fields))})

    def _same(self, account: Account, fields: JSON, own: JSON | None = None) -> JSON | None:
        if self.forms["duplicates"] == "allow":
            return None
        others = [c for c in account.contacts.values() if c is not own]
        found = [c for c in others if same_email(c, fields)] or [
            c for c in others if same_phone(c, fields)
        ]
        return found[0] if found else None

    def _one(self, account: Account, contact: JSON, call: Call) -> Answer:
        if call.method == "GET":
            return traced(200, {"contact": view(contact)})
        if call.method == "DELETE":
            self.world.deletes.append(account.contacts.pop(contact["id"]))
            return traced(200, self._flags())
        problems = [f"property {name} should not exist" for name in call.body if name not in UPDATE]
        if call.body.get("email") and "@" not in call.body["email"]:
            problems.append("email must be an email")
        if problems:
            return refused(422, problems)
        fields = self._fields(call.body)
        if same := self._same(account, fields, contact):
            return traced(400, {"statusCode": 400, **duplicate(same, fields).data})
        self._write(contact, fields, add_tags=False)
        contact["_named"] = time.monotonic()
        return traced(200, {**self._flags(), "contact": view(contact)})

    @staticmethod
    def _fields(body: JSON) -> JSON:
        fields = {name: value for name, value in body.items() if name != "locationId"}
        if "customFields" in fields:
            items = fields.pop("customFields")
            fields["customField"] = {item["id"]: item["field_value"] for item in items}
        return fields

    @override
    def add(self, account: Account, fields: JSON) -> JSON:
        contact = super().add(account, fields)
        contact["_updated"] = round(time.time() * 1000)
        return contact

    # --- tags -----------------------------------------------------------------------------------

    def _bulk(self, account: Account, body: JSON, kind: str) -> Answer:
        if len(body["contacts"]) > self.forms["bulk"]:
            return refused(422, [f"contacts must contain no more than {self.forms['bulk']}"])
        method, responses = "POST" if kind == "add" else "DELETE", []
        for id_ in body["contacts"]:
            contact = account.contacts.get(id_)
            said: JSON = {"contactId": id_, "message": "contact is deleted", "type": "error"}
            if contact is not None:
                call = Call(method, "", {}, {}, {"tags": body["tags"]})
                self._hang(account, contact, call, ["tags"])
                said = {"contactId": id_, "message": "Tags updated", "type": "success"}
            responses.append(said)
        errors = sum(said["type"] == "error" for said in responses)
        answer = {"succeded": not errors, "errorCount": errors, "responses": responses[::-1]}
        return traced(201, answer)

    @override
    def _hang(self, account: Account, contact: JSON, call: Call, parts: list[str]) -> Answer:
        contact["_updated"] = round(time.time() * 1000)
        answer = super()._hang(account, contact, call, parts)
        return Answer(answer.status, answer.data or {})


def view(contact: JSON) -> JSON:
    """A contact as v2 shows it."""
    row = shown(contact)
    row["customFields"] = row.pop("customField")
    moment = datetime.fromtimestamp(contact["_updated"] / 1000, UTC)
    row["dateUpdated"] = moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return row


def milliseconds(text: str) -> int:
    """Epoch milliseconds of an ISO time."""
    return round(datetime.fromisoformat(text).timestamp() * 1000)


def traced(status: int, body: JSON) -> Answer:
    """An answer with its trace id."""
    return Answer(status, {**body, "traceId": "t-1"})


def refused(status: int, message: Any) -> Answer:
    """In the vendor's form."""
    return traced(status, {"statusCode": status, "message": message, "error": "Refused"})
