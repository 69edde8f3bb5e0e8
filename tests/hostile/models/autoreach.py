"""AutoReach, from its page: people by id or external_id, members that nothing makes unique."""

from __future__ import annotations

import time
from typing import Any

from typing_extensions import override

from tests.hostile.faults import CREATE, READ, WRITE
from tests.hostile.models.server import JSON, Answer, Call, Vendor, World

TOKEN_PATH = "oauth/token"


class Account:
    """One client's data."""

    def __init__(self, client_id: str, secret: str) -> None:
        self.client_id, self.secret = client_id, secret
        self.people: dict[str, JSON] = {}
        """By id, else external_id."""
        self.members: dict[str, JSON] = {}
        """By id; `_made` is when, in monotonic seconds."""


class AutoReach(Vendor):
    """The forms of answers that its page leaves open are chosen for each scenario."""

    def __init__(self, world: World, accounts: list[Account], forms: JSON) -> None:
        """With forms: created (201 or 200), enveloped (bool), patch (data, nothing, empty)."""
        super().__init__(world)
        self.accounts = {account.client_id: account for account in accounts}
        self.forms = forms
        self._last = 100

    @override
    def label(self, call: Call) -> str:
        if call.path == TOKEN_PATH:
            return "token"
        if call.method == "GET":
            return READ
        return CREATE if call.method == "POST" else WRITE

    @override
    def refusal(self, call: Call, words: str) -> Answer:
        return errors(422, "Unprocessable Entity", words)

    @override
    def handle(self, call: Call) -> Answer:
        if call.path == TOKEN_PATH:
            return self._token(call.body)
        name = call.headers.get("authorization", "").removeprefix("Bearer token-of-")
        account = self.accounts.get(name)
        if account is None:
            return errors(401, "Unauthorized", "The token is not valid")
        stream, _, id_ = call.path.removeprefix("api/v1/").partition("/")
        if call.method == "GET":
            return self._list(account, stream, call.query)
        if stream == "people":
            return self._people(account, call, id_)
        return self._members(account, call, id_)

    def _token(self, body: JSON) -> Answer:
        account = self.accounts.get(body.get("client_id", ""))
        if account is None or body.get("client_secret") != account.secret:
            return Answer(401, {"error": "access_denied", "error_description": "Unauthorized"})
        token = f"token-of-{account.client_id}"
        return Answer(200, {"access_token": token, "expires_in": 86400, "token_type": "Bearer"})

    def _list(self, account: Account, stream: str, query: dict[str, str]) -> Answer:
        if stream == "lists":
            items: list[JSON] = [{"id": 1, "name": "A"}]
        elif stream == "custom_fields":
            items = [{"id": 1, "key": "city", "name": "City"}]
        elif stream == "members":
            items = [
                {name: value for name, value in member.items() if name != "_made"}
                for member in account.members.values()
                if self.world.visible(member["_made"])
            ]
        else:
            items = []
        page, size = int(query.get("page", 1)), int(query.get("per_page", 100))
        shown = items[(page - 1) * size : page * size]
        return Answer(200, {"data": shown, "meta": {"total": len(items)}})

    def _people(self, account: Account, call: Call, id_: str) -> Answer:
        if call.method == "DELETE":
            name = find(account, id_)
            if name is None:
                return errors(404, "Not Found", f"Person {id_} was not found")
            self.world.deletes.append(account.people.pop(name))
            return Answer(204)
        people = call.body["people"]
        if not 1 <= len(people) <= 100:
            return errors(400, "Bad Request", "between 1 and 100 people")
        for person in people:
            if not (person.get("id") or person.get("external_id")) or bad(person):
                return errors(422, "Unprocessable Entity", "email is invalid")
        for person in people:
            names = [str(person[n]) for n in ("id", "external_id") if person.get(n)]
            known = next((found for name in names if (found := find(account, name))), names[0])
            merge(account.people.setdefault(known, {}), person)
        form = self.forms["patch"]
        return Answer(200, None if form == "empty" else {"data": people} if form == "data" else {})

    def _members(self, account: Account, call: Call, id_: str) -> Answer:
        if call.method == "DELETE":
            if id_ not in account.members:
                return errors(404, "Not Found", f"Member {id_} was not found")
            self.world.deletes.append(account.members.pop(id_))
            return Answer(204)
        if bad(call.body):
            return errors(422, "Unprocessable Entity", "email is invalid")
        if call.method == "POST":
            member = self.add_member(account, call.body)
            status = self.forms["created"]
        else:
            if id_ not in account.members:
                return errors(404, "Not Found", f"Member {id_} was not found")
            member, status = account.members[id_], 200
            merge(member, call.body)
        shown = {name: value for name, value in member.items() if name != "_made"}
        return Answer(status, {"data": shown} if self.forms["enveloped"] else shown)

    def add_member(self, account: Account, fields: JSON) -> JSON:
        """A new member; nothing is said of its being unique."""
        self._last += 1
        member = {"id": self._last, "_made": time.monotonic()}
        merge(member, {name: value for name, value in fields.items() if name != "id"})
        account.members[str(self._last)] = member
        return member


def find(account: Account, name: str) -> str | None:
    """A person by id or external_id."""
    if name in account.people:
        return name
    return next((k for k, p in account.people.items() if str(p.get("external_id")) == name), None)


def bad(fields: JSON) -> bool:
    """An email that the vendor does not take."""
    email: Any = fields.get("email")
    return email is not None and "@" not in str(email)


def merge(into: JSON, fields: JSON) -> None:
    """What is sent changes, the rest stays."""
    for name, value in fields.items():
        if name == "custom_fields" and isinstance(value, dict):
            into[name] = {**(into.get(name) or {}), **value}
        else:
            into[name] = value


def errors(status: int, title: str, detail: str) -> Answer:
    """The vendor's form of a no."""
    return Answer(status, {"errors": [{"status": status, "title": title, "detail": detail}]})
