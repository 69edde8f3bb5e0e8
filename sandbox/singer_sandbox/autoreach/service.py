"""AutoReach: client-credentials tokens, four lists to read, people and members to write."""

from __future__ import annotations

import copy
import secrets
import time
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, ClassVar

import orjson
from typing_extensions import override

from singer_sandbox.account import Row
from singer_sandbox.autoreach.account import AutoReachAccount, vendor_time
from singer_sandbox.autoreach.checks import PEOPLE_LIMIT, PersonChecker, member_problem
from singer_sandbox.autoreach.seed import fill, seed
from singer_sandbox.messages import Match, Refusal, Reply, Request, reply, reply_bytes
from singer_sandbox.vendor import Vendor, number_of

AUDIENCE = "https://www.autoreach.app/"
TITLES = {
    400: "Bad Request",
    401: "Unauthorized",
    403: "Forbidden",
    404: "Not Found",
    405: "Method Not Allowed",
    409: "Conflict",
    422: "Unprocessable Entity",
    429: "Too Many Requests",
    500: "Internal Server Error",
    502: "Bad Gateway",
    503: "Service Unavailable",
}


class AutoReach(Vendor[AutoReachAccount]):
    """https://www.autoreach.app/api/v1 and its Auth0 token endpoint."""

    name = "autoreach"
    account_type = AutoReachAccount
    credential_fields = ("client_id", "client_secret")
    default_credentials = ("sandbox-client", "sandbox-secret")
    choices: ClassVar[Mapping[str, tuple[Any, ...]]] = {
        "paging": ("pages", "none", "ignored", "offset_lies", "repeat_last"),
        "custom_fields_format": ("object", "list", "flat"),
        "people_partial": (False, True),
        "people_refusal_status": (422, 400),
        "patch_answer": ("ids", "full", "count", "empty"),
        "error_detail": ("named", "vague"),
        "errors_in_200": (False, True),
        "delete_fails_with_body": (False, True),
        "members_unique": (False, True),
        "total": ("present", "absent"),
        "people_store": ("checked", "lazy", "count"),
    }
    defaults: ClassVar[Mapping[str, Any]] = {
        "page_param": "page",
        "page_size_param": "per_page",
        "page_size_default": 25,
        "page_size_max": 100,
        "token_expires_in": 86400,
        "token_lifetime": None,
    }

    @override
    def routes(self) -> None:
        """The addresses of the vendor's page."""
        self.tokens: dict[str, tuple[float, AutoReachAccount]] = {}
        add = self.router.add
        add("POST", "/oauth/token", self.token, public=True)
        for table in ("campaigns", "custom_fields", "lists", "members"):
            add("GET", f"/api/v1/{table}", partial(self.listing, table=table))
        add("POST", "/api/v1/members", self.post_member)
        add("PUT", "/api/v1/members/{id}", self.put_member)
        add("DELETE", "/api/v1/members/{id}", self.delete_member)
        add("PATCH", "/api/v1/people", self.patch_people)
        add("PUT", "/api/v1/people/{id}", self.put_person)
        add("DELETE", "/api/v1/people/{id}", self.delete_person)

    @override
    def seed(self, account: AutoReachAccount) -> None:
        """A small account."""
        seed(account)

    @override
    def fill(self, account: AutoReachAccount, counts: Mapping[str, Any]) -> None:
        """`{"members": n}`"""
        fill(account, number_of(counts, "members"))

    @override
    def reset(self) -> None:
        """No tokens either."""
        super().reset()
        self.tokens = {}

    # Tokens

    def token(self, request: Request) -> Reply:
        """The token endpoint, as Auth0 answers."""
        body = request.json
        if not isinstance(body, dict):
            return _oauth_error(400, "invalid_request", "Expected a JSON object")
        if body.get("grant_type") != "client_credentials":
            return _oauth_error(403, "unauthorized_client", "Grant type not allowed for the client")
        key = (str(body.get("client_id", "")), str(body.get("client_secret", "")))
        account = self.credentials.get(key)
        if account is None:
            return _oauth_error(401, "access_denied", "Unauthorized")
        if body.get("audience") != AUDIENCE:
            text = f"Service not found: {body.get('audience')}"
            return _oauth_error(403, "access_denied", text)
        account.counters["tokens_issued"] += 1
        token = "sandbox." + secrets.token_urlsafe(48)
        expires_in = self.options["token_expires_in"]
        lifetime = self.options["token_lifetime"]
        ends = time.time() + float(expires_in if lifetime is None else lifetime)
        self.tokens[token] = (ends, account)
        answer = {
            "access_token": token,
            "scope": "read:all write:all",
            "expires_in": expires_in,
            "token_type": "Bearer",
        }
        return reply(200, answer)

    def expire_tokens(self) -> None:
        """Make all tokens issued so far invalid."""
        self.tokens = {}

    @override
    def revoke(self, account: AutoReachAccount) -> None:
        """Its tokens go with the credentials."""
        super().revoke(account)
        self.tokens = {t: entry for t, entry in self.tokens.items() if entry[1] is not account}

    @override
    def who(self, request: Request, match: Match) -> AutoReachAccount | None:
        """The account of a bearer token that is still good."""
        scheme, _, token = request.header(b"authorization").partition(" ")
        ends, account = self.tokens.get(token, (0.0, None))
        return account if scheme.lower() == "bearer" and ends > time.time() else None

    @override
    def unauthorized(self) -> Reply:
        """401 in the vendor's form."""
        return self.error(401, "The access token is missing, unknown or expired.")

    @override
    def error(self, status: int, text: str) -> Reply:
        """`{"errors": [{"status", "title", "detail"}]}`."""
        return self.errors(status, [text])

    def errors(self, status: int, texts: Sequence[str]) -> Reply:
        """Several errors in one answer."""
        return reply(
            status,
            {
                "errors": [
                    {"status": status, "title": TITLES.get(status, "Error"), "detail": text}
                    for text in texts
                ]
            },
        )

    @override
    def identities(self, request: Request, match: Match) -> Sequence[str]:
        """People by key, members by id and email."""
        if request.method == "GET":
            return ()
        kind = "people" if "people" in match.template else "member"
        if match.params:
            return (f"{kind}:{match.params[0]}",)
        body = request.json_or_none
        if not isinstance(body, dict):
            return ()
        if kind == "member":
            email = body.get("email") or body.get("phone")
            return (f"member-email:{str(email).lower()}/{body.get('list_id')}",) if email else ()
        people = body.get("people")
        if not isinstance(people, list):
            return ()
        return [
            f"people:{person.get('id') or person.get('external_id')}"
            for person in people
            if isinstance(person, dict)
        ]

    @override
    def items(self, request: Request) -> int:
        """People in a PATCH, else one."""
        if request.method != "PATCH":
            return super().items(request)
        body = request.json_or_none
        people = body.get("people") if isinstance(body, dict) else None
        return len(people) if isinstance(people, list) else 0

    # Reading

    def listing(self, account: AutoReachAccount, request: Request, *, table: str) -> Reply:
        """One page; rendered once until something changes."""
        key = (table, request.query)
        if table == "members" and self.options["lookup_lag"]:
            return reply_bytes(200, self.render(account, request.params, table))
        page = account.pages.get(key)
        if page is None:
            page = account.pages[key] = self.render(account, request.params, table)
        return reply_bytes(200, page)

    def render(self, account: AutoReachAccount, params: Mapping[str, str], table: str) -> bytes:
        """One page, paged the way the options say."""
        options = self.options
        rows = account.row_list(table)
        if table == "members" and options["lookup_lag"]:
            seen = account.as_of(table, account.rows[table], options["lookup_lag"])
            rows = list(seen.values())
        total = len(rows)
        paging = options["paging"]
        if paging == "none":
            page = rows
        else:
            wanted = params.get(options["page_size_param"])
            size = self.page_size(wanted, options["page_size_default"], options["page_size_max"])
            text = params.get(options["page_param"], "1")
            number = max(1, int(text)) if text.isdigit() else 1
            if paging == "ignored":
                size, number = min(options["page_size_default"], size), 1
            elif paging == "repeat_last":
                number = min(number, max(1, -(-total // size)))
            elif paging == "offset_lies":
                total += 7
            page = rows[(number - 1) * size : number * size]
        meta = {} if options["total"] == "absent" else {"total": total}
        return orjson.dumps({"data": page, "meta": meta})

    # Members

    def post_member(self, account: AutoReachAccount, request: Request) -> Reply:
        """POST members: makes a new one, and makes a second one as happily."""
        body = self.member_body(account, request, new=True)
        if self.options["members_unique"] and account.member_like(body) is not None:
            raise Refusal(self.error(409, "A member with this email or phone exists in the list."))
        if self.options["errors_in_200"]:
            return self.errors(200, ["The member could not be saved."])
        row = account.add_member(body)
        account.note("members", str(row["id"]), None, self.options["lookup_lag"])
        account.counters["members_created"] += 1
        return reply(201, {"data": row})

    def put_member(self, account: AutoReachAccount, request: Request, member: str) -> Reply:
        """PUT members/{id}: changes what is sent."""
        row = account.rows["members"].get(member)
        if row is None:
            return self.error(404, f"Member {member} not found.")
        body = self.member_body(account, request, new=False)
        if self.options["errors_in_200"]:
            return self.errors(200, ["The member could not be saved."])
        account.note("members", member, copy.deepcopy(row), self.options["lookup_lag"])
        account.update_member(row, body)
        account.counters["members_updated"] += 1
        return reply(200, {"data": row})

    def delete_member(self, account: AutoReachAccount, _request: Request, member: str) -> Reply:
        """DELETE members/{id}: no body when it worked."""
        if member not in account.rows["members"]:
            return self.error(404, f"Member {member} not found.")
        if self.options["delete_fails_with_body"]:
            return self.errors(200, ["The member could not be removed."])
        row = account.rows["members"][member]
        account.note("members", member, row, self.options["lookup_lag"])
        account.remove("members", member)
        account.counters["members_deleted"] += 1
        return Reply(204)

    def member_body(self, account: AutoReachAccount, request: Request, *, new: bool) -> Row:
        """The fields of a member, checked."""
        body = request.json
        if isinstance(body, dict) and isinstance(body.get("member"), dict):
            body = body["member"]
        if not isinstance(body, dict):
            raise Refusal(self.error(400, "Expected a JSON object."))
        checker = account.checker(self.options)
        problem = member_problem(body, checker, account.rows, new=new)
        if problem:
            raise Refusal(self.error(422, problem))
        return checker.stored(body)

    # People

    def patch_people(self, account: AutoReachAccount, request: Request) -> Reply:
        """PATCH people: up to 100, all of them or none."""
        store = self.options["people_store"]
        if store == "lazy":
            # For benchmarks: taken as sent, read and merged when somebody reads the state.
            account.unread.append(request.body)
            return reply(200, {"data": [], "meta": {}})
        body = request.json
        people = body.get("people") if isinstance(body, dict) else None
        if not isinstance(people, list) or not people:
            return self.error(400, "people must be a list of 1 to 100 people.")
        if len(people) > PEOPLE_LIMIT:
            return self.error(422, f"people may hold {PEOPLE_LIMIT} at most, not {len(people)}.")
        if store == "count":
            account.counters["people_upserted"] += len(people)
            return reply(200, {"data": [], "meta": {"total": len(people)}})
        checker = account.checker(self.options)
        good, problems = checker.sort(people)
        if problems:
            account.counters["people_refused"] += len(problems)
            if self.options["people_partial"]:
                account.upsert_people(good, checker)
            texts = [f"people[{index}]: {text}" for index, text in problems]
            if self.options["error_detail"] == "vague":
                texts = ["Validation failed."]
            return self.errors(self.options["people_refusal_status"], texts)
        if self.options["errors_in_200"]:
            return self.errors(200, ["The people could not be saved."])
        saved = account.upsert_people(people, checker)
        return self.patch_answer(saved)

    def patch_answer(self, saved: list[Row]) -> Reply:
        """What a PATCH answers is unknown: four forms."""
        form = self.options["patch_answer"]
        if form == "empty":
            return Reply(204)
        data: list[Row] = []
        if form == "full":
            data = saved
        elif form == "ids":
            data = [{"id": row["id"], "external_id": row.get("external_id")} for row in saved]
        return reply(200, {"data": data, "meta": {"total": len(saved)}})

    def put_person(self, account: AutoReachAccount, request: Request, person: str) -> Reply:
        """PUT people/{id or external_id}: changes one that exists."""
        row = account.find_person(person)
        if row is None:
            return self.error(404, f"Person {person} not found.")
        body = request.json
        if isinstance(body, dict) and isinstance(body.get("person"), dict):
            body = body["person"]
        if not isinstance(body, dict):
            return self.error(400, "Expected a JSON object.")
        checker: PersonChecker = account.checker(self.options)
        problem = checker.problem(body, keyed=True)
        if problem:
            return self.error(422, problem)
        if self.options["errors_in_200"]:
            return self.errors(200, ["The person could not be saved."])
        account.update_person(row, checker.stored(body), vendor_time())
        account.counters["people_updated"] += 1
        return reply(200, {"data": row})

    def delete_person(self, account: AutoReachAccount, _request: Request, person: str) -> Reply:
        """DELETE people/{id or external_id}: no body when it worked."""
        row = account.find_person(person)
        if row is None:
            return self.error(404, f"Person {person} not found.")
        if self.options["delete_fails_with_body"]:
            return self.errors(200, ["The person could not be removed."])
        account.remove_person(row)
        account.counters["people_deleted"] += 1
        return Reply(204)


def _oauth_error(status: int, error: str, text: str) -> Reply:
    return reply(status, {"error": error, "error_description": text})
