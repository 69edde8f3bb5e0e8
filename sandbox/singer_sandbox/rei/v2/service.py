"""API v2's addresses, and the way of a call from its headers to its answer."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from singer_sandbox.account import Row
from singer_sandbox.messages import BadJSON, Match, Refusal, Reply, Request, Router
from singer_sandbox.rei.account import ReiAccount
from singer_sandbox.rei.v2 import access, contacts, limits, links, lists, matching, search, tags
from singer_sandbox.rei.v2.access import Token
from singer_sandbox.rei.v2.call import Answer, Call
from singer_sandbox.rei.v2.errors import error, no_route, traced

PREFIX = "/v2"

CHOICES: Mapping[str, tuple[Any, ...]] = {
    "appointment_times": ("naive", "offset"),
    "contacts_list": ("answers", "gone"),
    "create_status": (201, 200),
    "custom_value_clearing": ("null", "empty_text", "both", "none"),
    "custom_value_name": ("field_value", "value", "fieldValue", "any"),
    "date_updated_ignores": ("nothing", "custom_fields", "dnd"),
    "date_values": ("date", "epoch_ms"),
    "duplicate_missing": ("null", "404", "empty"),
    "match_fields": ("email,phone", "phone,email", "email", "phone"),
    "put_company_name": (False, True),
    "refused_create_is_kept": (False, True),
    "retry_after": (True, False),
    "search_by_phone": ("finds", "misses"),
    "search_date_of_birth": ("date", "epoch_ms"),
    "success_flags": ("both", "succeded", "succeeded", "none", "false"),
    "unknown_version_status": (401, 400),
    "workflow_status": (200, 201),
    "wrong_custom_value": ("422", "ignored"),
}
"""What accounts and reports differ in; the first one is the default."""
DEFAULTS: Mapping[str, Any] = {
    "bulk_tags_max": 100,
    "daily_limit": 200_000,
    "search_lag": 0,
    "search_page_max": 500,
}

READ, WRITE = "contacts.readonly", "contacts.write"


def is_v2(request: Request) -> bool:
    """Whether a request goes to this API."""
    return request.path.startswith(f"{PREFIX}/")


class ApiV2:
    """https://services.leadconnectorhq.com, over the same accounts as v1."""

    def __init__(self, options: Callable[[], Mapping[str, Any]]) -> None:
        self._options = options
        self.tokens: dict[str, Token] = {}

    def routes(self, router: Router) -> None:
        """The addresses of the vendor's document that the plugins need, and calendars/events."""

        def add(method: str, template: str, scope: str, handler: Callable[..., Answer]) -> None:
            router.add(method, PREFIX + template, _Route(scope, handler))

        def flagged(
            method: str, template: str, handler: Callable[..., Answer], status: int = 200
        ) -> None:
            router.add(
                method, PREFIX + template, _Route(WRITE, handler, flagged=True, status=status)
            )

        add("POST", "/contacts/search", READ, search.search)
        add("GET", "/contacts/search/duplicate", READ, matching.search_duplicate)
        add("GET", "/contacts", READ, lists.contacts)
        add("POST", "/contacts", WRITE, contacts.create)
        flagged("POST", "/contacts/upsert", contacts.upsert)
        add("POST", "/contacts/bulk/tags/update/{type}", WRITE, tags.bulk)
        add("GET", "/contacts/{id}", READ, contacts.get)
        flagged("PUT", "/contacts/{id}", contacts.update)
        flagged("DELETE", "/contacts/{id}", contacts.delete)
        add("GET", "/contacts/{id}/appointments", READ, lists.appointments)
        add("POST", "/contacts/{id}/tags", WRITE, tags.add)
        add("DELETE", "/contacts/{id}/tags", WRITE, tags.remove)
        flagged("DELETE", "/contacts/{id}/campaigns/removeAll", links.remove_all_campaigns)
        flagged("DELETE", "/contacts/{id}/campaigns/remove-all", links.remove_all_campaigns)
        flagged("POST", "/contacts/{id}/campaigns/{campaign}", links.add_campaign, status=201)
        flagged("DELETE", "/contacts/{id}/campaigns/{campaign}", links.remove_campaign)
        flagged("POST", "/contacts/{id}/workflow/{workflow}", links.add_workflow)
        flagged("DELETE", "/contacts/{id}/workflow/{workflow}", links.remove_workflow)
        location = "/locations/{location}"
        fields = "locations/customFields.readonly"
        add("GET", f"{location}/customFields", fields, lists.custom_fields)
        add("GET", f"{location}/tags", "locations/tags.readonly", lists.tags)
        add("GET", "/workflows", "workflows.readonly", lists.workflows)
        add("GET", "/campaigns", "campaigns.readonly", lists.campaigns)
        add("GET", "/calendars/events", "calendars/events.readonly", lists.events)

    # Credentials

    def reset(self, key: str, account: ReiAccount) -> None:
        """One token, which may do everything in the default account."""
        self.tokens = {key: Token(account)}

    def register(
        self, account: ReiAccount, given: Mapping[str, Any], *, replace: bool = False
    ) -> None:
        """Let a token into an account; `replace` revokes its other tokens, not its v1 keys."""
        token = access.token_of(account, given)
        if replace:
            self.tokens = {k: t for k, t in self.tokens.items() if t.account is not account}
        self.tokens[str(given["api_key"])] = token

    def who(self, request: Request) -> ReiAccount | None:
        """The account of the request's token."""
        token = self.tokens.get(access.bearer(request))
        return token.account if token is not None else None

    # Answers

    def handle(
        self, request: Request, match: Match | None, elsewhere: Sequence[ReiAccount]
    ) -> Reply:
        """Do the work and say what came of it; `elsewhere`: all accounts, for foreign contacts."""
        try:
            return self._work(request, match, elsewhere)
        except Refusal as refusal:
            return refusal.answer
        except BadJSON as problem:
            return error(400, f"The body is not JSON: {problem}")

    def add_headers(self, answer: Reply, request: Request, limit: Any) -> Reply:
        """Every answer says what is left of both limits."""
        answer.headers += limits.headers(self.who(request), limit, self._options())
        return answer

    def too_many(self, wait: int) -> Reply:
        """The answer beyond the limit of a few seconds."""
        return limits.too_many(wait, self._options())

    def _work(self, request: Request, match: Match | None, accounts: Sequence[ReiAccount]) -> Reply:
        options = self._options()
        if match is None or not isinstance(match.handler, _Route):
            raise no_route(request)
        version = access.check_version(request, options["unknown_version_status"])
        token = access.check_token(request, self.tokens)
        access.check_scope(token, match.handler.scope)
        access.check_location(token, _location(request, match))
        wait = limits.take_from_day(token.account, options)
        if wait is not None:
            return self.too_many(wait)

        def elsewhere(contact: str) -> bool:
            return any(contact in a.contacts for a in accounts if a is not token.account)

        call = Call(token, request, version, options, elsewhere)
        return match.handler(call, *match.params)


class _Route:
    """A handler, the scope that it asks for, and whether its answer carries success flags."""

    def __init__(
        self,
        scope: str,
        handler: Callable[..., Answer],
        *,
        flagged: bool = False,
        status: int = 200,
    ) -> None:
        self.scope = scope
        self.status = status
        self.handler = handler
        self.flagged = flagged

    def __call__(self, call: Call, *params: str) -> Reply:
        form = call.options["success_flags"] if self.flagged else "none"
        if form == "false":  # refused, with the status of a success
            return traced(self.status, {"succeded": False, "succeeded": False})
        status, body = self.handler(call, *params)
        names = {"none": (), "both": ("succeded", "succeeded")}.get(form, (form,))
        return traced(status, {**body, **dict.fromkeys(names, True)})


def _location(request: Request, match: Match) -> Any:
    """The location that a request names: in its path, query or body; None when it names none."""
    if match.template.startswith(f"{PREFIX}/locations/"):
        return match.params[0]
    if location := request.params.get("locationId"):
        return location
    body: Row | Any = request.json_or_none
    location = body.get("locationId") if isinstance(body, dict) else None
    return location or None
