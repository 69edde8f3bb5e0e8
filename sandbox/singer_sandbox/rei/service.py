"""REI Software: a white label of HighLevel. Two APIs over the same accounts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from typing_extensions import override

from singer_sandbox.messages import Match, Reply, Request
from singer_sandbox.rei.account import ReiAccount
from singer_sandbox.rei.seed import fill, seed
from singer_sandbox.rei.v1.reading import Reading
from singer_sandbox.rei.v1.writing import Writing
from singer_sandbox.rei.v2.access import PREFIX
from singer_sandbox.rei.v2.errors import error
from singer_sandbox.rei.v2.service import ApiV2, is_v2
from singer_sandbox.settings import REI_TOKEN
from singer_sandbox.vendor import number_of

ABOUT_NOBODY = ("/v2/locations/", "/v2/contacts/bulk/")


class ReiSoftware(Reading, Writing):
    """https://rest.reisoftware.com/v1, and under v2 https://services.leadconnectorhq.com"""

    def __init__(self) -> None:
        self.v2 = ApiV2(lambda: self.options)
        super().__init__()

    @override
    def reset(self) -> None:
        """The default account has a key for v1 and a token for v2."""
        super().reset()
        self.v2.reset(REI_TOKEN, self.accounts["default"])

    @override
    def register(self, name: str, given: Mapping[str, Any], *, replace: bool = False) -> None:
        """A key of v1, or a private integration token (`pit-...`) of v2."""
        if not str(given.get("api_key", "")).startswith(PREFIX):
            super().register(name, given, replace=replace)
            return
        account = self.accounts.setdefault(name, self.account_type(name))
        self.v2.register(account, given, replace=replace)

    @override
    def routes(self) -> None:
        """The addresses of the vendor's page, and the four lists seen elsewhere."""
        add = self.router.add
        add("GET", "/v1/contacts", self.list_contacts)
        add("POST", "/v1/contacts", self.create)
        add("GET", "/v1/contacts/lookup", self.lookup)
        add("GET", "/v1/contacts/{id}", self.get)
        add("PUT", "/v1/contacts/{id}", self.update)
        add("DELETE", "/v1/contacts/{id}", self.delete)
        add("GET", "/v1/contacts/{id}/appointments", self.appointments)
        add("POST", "/v1/contacts/{id}/tags", self.add_tags)
        add("DELETE", "/v1/contacts/{id}/tags", self.delete_tags)
        add("DELETE", "/v1/contacts/{id}/campaigns/remove-all", self.remove_all_campaigns)
        add("POST", "/v1/contacts/{id}/campaigns/{campaign}", self.add_campaign)
        add("DELETE", "/v1/contacts/{id}/campaigns/{campaign}", self.remove_campaign)
        add("POST", "/v1/contacts/{id}/workflow/{workflow}", self.add_workflow)
        add("GET", "/v1/custom-fields", self.custom_fields)
        add("GET", "/v1/tags", self.tags)
        add("GET", "/v1/campaigns", self.campaigns)
        add("GET", "/v1/workflows", self.workflows)
        self.v2.routes(self.router)

    # Which of the two APIs

    @override
    def who(self, request: Request, match: Match) -> ReiAccount | None:
        """The location of a key or a token; neither opens the other API."""
        return self.v2.who(request) if is_v2(request) else super().who(request, match)

    @override
    def handle(self, request: Request, match: Match | None) -> Reply:
        """Each API in its own way."""
        if not is_v2(request):
            return super().handle(request, match)
        answer = self.v2.handle(request, match, list(self.accounts.values()))
        return self._with_limits(answer, request)

    @override
    def refuse(self, request: Request, status: int, text: str) -> Reply:
        """In the form of the API that was asked."""
        if not is_v2(request):
            return super().refuse(request, status, text)
        return self._with_limits(error(status, text), request)

    @override
    def too_many(self, request: Request, wait: int) -> Reply:
        """In the form of the API that was asked."""
        if not is_v2(request):
            return super().too_many(request, wait)
        return self._with_limits(self.v2.too_many(wait), request)

    def _with_limits(self, answer: Reply, request: Request) -> Reply:
        limit = self.limit_of(self.v2.who(request))
        return self.v2.add_headers(answer, request, limit)

    @override
    def keeps_answers(self, request: Request) -> bool:
        """Those of v2: they are compared with the vendor's document."""
        return is_v2(request)

    @override
    def writes(self, request: Request) -> bool:
        """A search of v2 is a POST."""
        return super().writes(request) and not request.path.startswith("/v2/contacts/search")

    @override
    def seed(self, account: ReiAccount) -> None:
        """A small location."""
        seed(account)

    @override
    def fill(self, account: ReiAccount, counts: Mapping[str, Any]) -> None:
        """`{"contacts": n, "same_ms": k}`: k contacts in each millisecond."""
        fill(account, number_of(counts, "contacts", "same_ms"), int(counts.get("same_ms", 1)))

    @override
    def identities(self, request: Request, match: Match) -> Sequence[str]:
        """The contact by id, or by email, else by phone."""
        if match.template.startswith(ABOUT_NOBODY):
            return ()
        if match.params:
            return (f"id:{match.params[0]}",)
        if match.template == "/v1/contacts/lookup":
            source: Any = request.params
        elif match.template == "/v2/contacts/search/duplicate":
            source = {**request.params, "phone": request.params.get("number")}
        elif request.method == "POST":
            source = request.json_or_none
        else:
            return ()
        if not isinstance(source, dict):
            return ()
        if source.get("email"):
            return (f"email:{str(source['email']).strip().lower()}",)
        return (f"phone:{source['phone']}",) if source.get("phone") else ()
